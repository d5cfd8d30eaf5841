"""``metrics``: list, describe and test metrics."""

import importlib
import inspect
import re
import sys
from collections.abc import Callable
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from disentmetrics._utils.progress import tracked
from disentmetrics.cli.base import JsonOption, QuietOption, SeedOption, app
from disentmetrics.cli.console import err, out, print_json, print_table, print_text
from disentmetrics.errors import InvalidInputError
from disentmetrics.metrics import find_metric, registered_metrics
from disentmetrics.metrics.base import Metric
from disentmetrics.scoring.presets import PRESETS, expand
from disentmetrics.testing import CASES, axiom_rows, axiom_table, check_metric

metrics_app = typer.Typer(help="Metrics, their protocols and their properties.")
app.add_typer(metrics_app, name="metrics")

MetricArgument = Annotated[str, typer.Argument(metavar="NAME", help="Metric, such as mig or factorvae.")]


class TableFormat(StrEnum):
    """Format of a printed table."""

    TABLE = "table"
    MARKDOWN = "markdown"
    JSON = "json"


@metrics_app.callback(invoke_without_command=True)
def _metrics(context: typer.Context) -> None:
    """List all metrics when no command is given."""
    if context.invoked_subcommand is None:
        metrics_list()


@metrics_app.command("list")
def metrics_list(as_json: JsonOption = False) -> None:
    """List all metrics with their protocols."""
    metrics = registered_metrics()
    if as_json:
        print_json(
            [
                {
                    "name": metric.name,
                    "family": metric.family,
                    "needs": asdict(metric.needs),
                    "parts": list(metric.parts),
                    "bounds": metric.bounds,
                    "higher_is_better": metric.higher_is_better,
                    "paper": metric.paper,
                    "known_failure": metric.known_failure,
                    "protocols": {name: protocol.source for name, protocol in metric.protocols.items()},
                }
                for metric in metrics.values()
            ]
        )
        return
    rows = [
        (
            name,
            metric.family,
            _short(metric.paper),
            _needs(metric),
            ", ".join(metric.protocols),
        )
        for name, metric in sorted(metrics.items(), key=lambda pair: (pair[1].family, pair[0]))
    ]
    print_table(("name", "family", "paper", "needs", "protocols"), rows)
    out.print("\npresets, for --metrics:")
    print_table(("name", "description", "metrics"), [(n, p.about, ", ".join(p.metrics)) for n, p in PRESETS.items()])


def _short(paper: str) -> str:
    """Return authors and year."""
    authors_and_year = re.match(r".*?\(\d{4}\)", paper)
    return authors_and_year.group() if authors_and_year else paper.partition(";")[0]


def _needs(metric: Metric) -> str:
    """Describe the requirements beyond one latent and one factor."""
    needs = metric.needs
    counts = ((needs.codes, "latents"), (needs.factors, "factors"))
    requirements = [f"{least} {what}" for least, what in counts if least > 1]
    requirements += [f"{needs.groups} groups, if rows are grouped"] if needs.groups > 2 else []
    requirements += ["no factors"] if needs.factors == 0 else []
    requirements += ["circular factors"] if needs.circular else []
    requirements += ["symbols"] if needs.symbols else []
    requirements += ["log-variance"] if needs.log_variance else []
    requirements += [
        f"log-variance (@{name})"
        for name, protocol in metric.protocols.items()
        if protocol.needs.log_variance > needs.log_variance
    ]
    return ", ".join(requirements) or "–"


@metrics_app.command("axioms")
def metrics_axioms(
    metrics: Annotated[
        str | None,
        typer.Option(help="Comma-separated presets and names; by default all metrics that are not costly."),
    ] = None,
    rows: Annotated[int, typer.Option(min=100, help="Number of rows of each representation.")] = 6_000,
    seeds: Annotated[int, typer.Option(min=1, help="Number of representations averaged per cell.")] = 2,
    form: Annotated[TableFormat, typer.Option("--format", help="Output format.")] = TableFormat.TABLE,
    quiet: QuietOption = False,
) -> None:
    """Score 14 representations of known quality with each metric, and list the axioms that it satisfies."""
    if metrics is None:
        every = registered_metrics().values()
        selected = [(metric, "default") for metric in every if not metric.protocol("default").costly]
    else:
        selected = [find_metric(name) for name in expand(metrics, posterior=True)]
    measured = axiom_rows(selected, n_rows=rows, n_seeds=seeds)
    table = list(tracked(measured, len(selected), "scoring", shown=not quiet and err.is_terminal))
    if form is TableFormat.MARKDOWN:
        out.print(axiom_table(table), highlight=False, markup=False, soft_wrap=True)
    elif form is TableFormat.JSON:
        print_json(
            [
                {"name": row.name, "values": dict(zip(CASES, row.values, strict=True)), "axioms": row.satisfied}
                for row in table
            ]
        )
    else:
        cells = [(row.name, *("–" if v is None else f"{v:z.2f}" for v in row.values)) for row in table]
        print_table(("metric", *CASES), cells)
        out.print()
        print_table(("case", "representation"), [(name, about) for name, (about, _) in CASES.items()])
        out.print()
        print_table(("metric", "axioms satisfied"), [(row.name, " ".join(row.satisfied)) for row in table])


@metrics_app.command("check")
def metrics_check(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Metric, metric@protocol, or a user-defined package.module:function.")
    ],
    seed: SeedOption = 0,
) -> None:
    """Test a metric: its invariances, the defects it detects, and its behaviour on degenerate tables.

    A user-defined function takes codes (n_samples, n_codes) and factors (n_samples, n_factors) and returns a float.
    """
    findings = check_metric(_function(name), seed=seed) if ":" in name else check_metric(*find_metric(name), seed=seed)
    print_table(
        ("axiom", "property", "", "moved by", "on"),
        [
            (f.axiom, f.name, f.verdict, f"{f.largest_move:.4f}", f.example)
            for f in sorted(findings, key=lambda f: int(f.axiom[1:]))
        ],
    )


def _function(name: str) -> Callable[..., Any]:
    module, _, attribute = name.partition(":")
    sys.path.insert(0, str(Path.cwd()))
    try:
        function: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise InvalidInputError(f"{name} must be package.module:function; it cannot be imported ({error})") from error
    return function


@metrics_app.command("info")
def metrics_info(name: MetricArgument) -> None:
    """Describe a metric: formula, range, source, protocols, known failure."""
    metric, _ = find_metric(name)
    out.print(f"[bold]{metric.name}[/]", highlight=False)
    print_text(inspect.getdoc(metric) or "")
    out.print(f"\nknown failure: {metric.known_failure}\n", highlight=False, markup=False)
    rows = [
        (key, p.source, ", ".join(sorted(p.invariant_to)), ", ".join(sorted(p.detects)))
        for key, p in metric.protocols.items()
    ]
    print_table(("protocol", "source", "invariant to", "detects"), rows)
