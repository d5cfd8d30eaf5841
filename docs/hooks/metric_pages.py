"""A page for each metric and the table of all claims, generated from declarations and docstrings."""

import inspect
import math
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
_LINE = 80
_LEGEND = """The property suite tests every ● and has a counterexample to every ·.
[Definition of these properties](../metrics.md#claims-of-each-metric)."""


def pages() -> dict[str, str]:
    """Return the Markdown of each metric's page, by the path of the page."""
    return {path_of(metric): _page(metric) for metric in registered_metrics().values()}


def navigation() -> list[dict[str, list[dict[str, str]]]]:
    """Return the navigation entries of the pages, by family."""
    return [
        {title: [{metric.name: path_of(metric)} for metric in registered_metrics().values() if metric.family == family]}
        for family, title in FAMILIES.items()
    ]


def pages_by_name() -> dict[str, str]:
    """Return the path of each metric's page, by the metric's name."""
    return {name: path_of(metric) for name, metric in registered_metrics().items()}


def path_of(metric: Metric) -> str:
    """Return the path of the page of a metric."""
    return f"metrics/{metric.name}.md"


def claims_table() -> str:
    """Return the claims of each metric under its default protocol, as a Markdown table."""
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
    yield _value(protocol.perfect)
    yield _value(protocol.noise)


def _value(claimed: float | str) -> str:
    if claimed == "chance":
        return "1 / K"
    return "–" if math.isnan(float(claimed)) else f"{claimed:g}"


def _page(metric: Metric) -> str:
    docstring = inspect.getdoc(metric) or ""
    return "\n\n".join(
        [
            f"# {metric.name}",
            summary(docstring),
            f"```python\n{_call(metric)}\n```",
            _facts(metric),
            f'!!! failure "Known failure"\n\n    {metric.known_failure}',
            body(docstring),
            "## Protocols",
            "The bare name refers to the recommended settings; the others are those of a paper or of its code.",
            *(_protocol(metric, name) for name in metric.protocols),
            "## Claims",
            _LEGEND,
            _claims(metric),
        ]
    )


def _call(metric: Metric) -> str:
    """Return the signature of a metric's call without annotations, broken after each parameter if it is long."""
    signature = inspect.signature(metric)
    plain = [parameter.replace(annotation=parameter.empty) for parameter in signature.parameters.values()]
    call = f"dm.metrics.{metric.name}{signature.replace(parameters=plain, return_annotation=signature.empty)}"
    if len(call) <= _LINE:
        return call
    return call.replace("(", "(\n    ", 1).replace(", ", ",\n    ")[:-1] + ",\n)"


def _facts(metric: Metric) -> str:
    low, high = (f"{bound:g}".replace("inf", "∞").replace("-", "−") for bound in metric.bounds)
    rows = [
        ("source", metric.paper),
        ("family", FAMILIES[metric.family]),
        ("range", f"{low} to {high}, {'higher' if metric.higher_is_better else 'lower'} is better"),
        ("needs", ", ".join(_needs(metric))),
        ("further parts", ", ".join(f"`{metric.name}.{part}`" for part in metric.parts)),
        ("randomised", "yes: reported with its standard deviation over five seeds" if metric.randomised else "no"),
    ]
    return "\n".join([_row("", ""), _row("---", "---"), *(_row(f"**{name}**", text) for name, text in rows if text)])


def _needs(metric: Metric) -> Iterator[str]:
    needs = metric.needs
    if needs.factors == 0:
        yield "codes only"
    for least, what in ((needs.codes, "latents"), (needs.factors, "factors"), (needs.rows, "rows")):
        if least > 1:
            yield f"at least {least} {what}"
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
    lines = [f"`{full}`", f":   {protocol.source}."]
    lines += [f"    Options: {options}."] if options else []
    values = {"perfect codes": _value(protocol.perfect), "uninformative ones": _value(protocol.noise)}
    expected = ", ".join(f"{codes} score {value}" for codes, value in values.items() if value != "–")
    lines += [f"    {expected[0].upper()}{expected[1:]}."] if expected else []
    return "\n".join(lines)


def _claims(metric: Metric) -> str:
    names = list(metric.protocols)
    rows = [_row("invariant to", *names), _row("---", *[":-:"] * len(names))]
    rows += [
        _row(change, *(_YES if change in metric.protocols[name].invariant_to else _NO for name in names))
        for change in INVARIANCES
    ]
    detected = [_row("detects", *names), _row("---", *[":-:"] * len(names))]
    detected += [
        _row(defect, *(_YES if defect in metric.protocols[name].detects else _NO for name in names))
        for defect in DEFECTS
    ]
    return "\n".join([*rows, "", *detected])


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"
