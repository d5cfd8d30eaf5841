"""A page for each metric, and the table of what every metric claims: from the declarations and docstrings."""

import inspect
from collections.abc import Iterator

from docstrings import body, summary

from disentmetrics.metrics import registered_metrics
from disentmetrics.metrics.base import DEFECTS, INVARIANCES, Metric, ResolvedProtocol

FAMILIES = {
    "information": "Information",
    "predictor": "Predictors",
    "matching": "Matching",
    "intervention": "Interventions",
    "geometry": "Geometry",
    "downstream": "Downstream tasks",
    "unsupervised": "Without labels",
}
_YES, _NO = "●", "·"
_LEGEND = """The property suite tests every ● and keeps a counterexample to every ·.
[What the words mean](../metrics.md#what-every-metric-claims)."""


def pages() -> dict[str, str]:
    """Return the Markdown of each metric's page, by the path of the page."""
    return {path_of(metric): _page(metric) for metric in registered_metrics().values()}


def navigation() -> list[dict[str, list[dict[str, str]]]]:
    """Return the part of the navigation that leads to the pages, by family."""
    return [
        {title: [{metric.name: path_of(metric)} for metric in registered_metrics().values() if metric.family == family]}
        for family, title in FAMILIES.items()
    ]


def pages_by_name() -> dict[str, str]:
    """Return the path of each metric's page, by the metric's name."""
    return {name: path_of(metric) for name, metric in registered_metrics().items()}


def path_of(metric: Metric) -> str:
    """Return where the page of a metric lies."""
    return f"metrics/{metric.name}.md"


def claims_table() -> str:
    """Return what the recommended form of each metric claims, as a table in Markdown."""
    lines = _claims_head()
    for metric in registered_metrics().values():
        protocol = metric.protocol("default")
        lines.append(_row(f"[{metric.name}]({path_of(metric)})", *_marks(protocol)))
    return "\n".join(['<div class="claims" markdown>', "", *lines, "", "</div>"])


def _claims_head() -> list[str]:
    turned = [f'<span class="turned">{name}</span>' for name in (*INVARIANCES, *DEFECTS)]
    return [_row("metric", *turned, "perfect", "noise"), _row("---", *[":-:"] * (len(turned) + 2))]


def _marks(protocol: ResolvedProtocol) -> Iterator[str]:
    yield from (_YES if name in protocol.invariant_to else _NO for name in INVARIANCES)
    yield from (_YES if name in protocol.detects else _NO for name in DEFECTS)
    yield f"{protocol.perfect:g}"
    yield "1 / K" if protocol.noise == "chance" else f"{protocol.noise:g}"


def _page(metric: Metric) -> str:
    docstring = inspect.getdoc(metric) or ""
    return "\n\n".join(
        [
            f"# {metric.name}",
            summary(docstring),
            _facts(metric),
            f'!!! failure "Known failure"\n\n    {metric.known_failure}',
            body(docstring),
            "## Protocols",
            "The bare name is the form that we recommend. Others are those of a paper or of its code.",
            *(_protocol(metric, name) for name in metric.protocols),
            "## What it claims",
            _LEGEND,
            _claims(metric),
        ]
    )


def _facts(metric: Metric) -> str:
    low, high = (f"{bound:g}".replace("inf", "∞").replace("-", "−") for bound in metric.bounds)
    rows = [
        ("source", metric.paper),
        ("family", FAMILIES[metric.family]),
        ("range", f"{low} to {high}, {'higher' if metric.higher_is_better else 'lower'} is better"),
        ("needs", ", ".join(_needs(metric))),
        ("further parts", ", ".join(f"`{metric.name}.{part}`" for part in metric.parts)),
        ("draws at random", "yes: its spread over five seeds is printed with it" if metric.randomised else "no"),
    ]
    return "\n".join([_row("", ""), _row("---", "---"), *(_row(f"**{name}**", text) for name, text in rows if text)])


def _needs(metric: Metric) -> Iterator[str]:
    needs = metric.needs
    if needs.factors == 0:
        yield "codes alone"
    for least, what in ((needs.codes, "codes"), (needs.factors, "factors"), (needs.rows, "rows")):
        if least > 1:
            yield f"{least} {what} or more"
    if needs.log_variance:
        yield "posterior variances"
    if needs.symbols:
        yield "codes that are symbols"
    if needs.circular:
        yield "circular factors only"
    for name, protocol in metric.protocols.items():
        if protocol.needs.log_variance and not needs.log_variance:
            yield f"posterior variances for `@{name}`"


def _protocol(metric: Metric, name: str) -> str:
    protocol = metric.protocols[name]
    full = metric.name if name == "default" else f"{metric.name}@{name}"
    options = ", ".join(f"`{key}={value!r}`" for key, value in protocol.options.items())
    noise = "1 / K (K factors)" if protocol.noise == "chance" else f"{protocol.noise:g}"
    said = [f"`{full}`", f":   {protocol.source}."]
    said += [f"    Options: {options}."] if options else []
    said.append(f"    A perfect code scores {protocol.perfect:g}, one that knows nothing {noise}.")
    return "\n".join(said)


def _claims(metric: Metric) -> str:
    names = list(metric.protocols)
    rows = [_row("left as it is by", *names), _row("---", *[":-:"] * len(names))]
    rows += [
        _row(change, *(_YES if change in metric.protocols[name].invariant_to else _NO for name in names))
        for change in INVARIANCES
    ]
    seen = [_row("lowered by", *names), _row("---", *[":-:"] * len(names))]
    seen += [
        _row(defect, *(_YES if defect in metric.protocols[name].detects else _NO for name in names))
        for defect in DEFECTS
    ]
    return "\n".join([*rows, "", *seen])


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"
