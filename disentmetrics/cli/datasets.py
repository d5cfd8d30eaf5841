"""``datasets``: what data sets there are, and their files."""

from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.markup import escape

from disentmetrics.cli.base import JsonOption, QuietOption, app
from disentmetrics.cli.console import err, out, print_json, print_table
from disentmetrics.datasets import list_datasets, load_dataset
from disentmetrics.datasets.registry import DataSetSpec

datasets_app = typer.Typer(help="Data sets with known factors.", no_args_is_help=False)
app.add_typer(datasets_app, name="datasets")

DataSetArgument = Annotated[str, typer.Argument(metavar="NAME", help="Data set, such as dsprites.")]


@datasets_app.callback(invoke_without_command=True)
def _datasets(context: typer.Context) -> None:
    """List data sets, describe one, or fetch its files."""
    if context.invoked_subcommand is None:
        datasets_list()


@datasets_app.command("list")
def datasets_list(as_json: JsonOption = False) -> None:
    """List all data sets."""
    found = list_datasets()
    if as_json:
        print_json([{**asdict(info), "space": _factors_of(info.space)} for info in found])
        return
    rows = [
        (info.name, f"{info.space.n_combinations:,}", _sizes(info.space), "yes" if info.offline else "no", info.licence)
        for info in found
    ]
    print_table(("name", "observations", "factors", "offline", "licence"), rows)


@datasets_app.command("info")
def datasets_info(name: DataSetArgument) -> None:
    """Describe one data set: factors, licence, citation, remarks."""
    found = {info.name: info for info in list_datasets()}
    name = DataSetSpec.parse(name).name
    if name not in found:
        load_dataset(name)  # says which names there are
    info = found[name]
    out.print(f"[bold]{info.name}[/]: {escape(info.summary)}", highlight=False)
    print_table(("factor", "values", "kind"), [(f.name, str(f.size or "real"), f.kind) for f in info.space])
    for heading, text in (("licence", info.licence), ("cite", info.citation), *(("note", r) for r in info.remarks)):
        out.print(f"{heading}: {text}", highlight=False, markup=False)


@datasets_app.command("fetch")
def datasets_fetch(name: DataSetArgument, quiet: QuietOption = False) -> None:
    """Download and verify a data set, or render it into the cache."""
    data = load_dataset(name)
    prepare = getattr(data, "prepare", None)
    if prepare is not None:
        prepare(progress=not quiet and err.is_terminal)
    if not quiet:
        err.print(f"{data.name} ({data.fingerprint}) is ready", highlight=False)


def _factors_of(space: Any) -> list[dict[str, Any]]:
    return [asdict(factor) for factor in space]


def _sizes(space: Any) -> str:
    return ", ".join(f"{factor.name} {factor.size or 'real'}" for factor in space)
