"""``adapters``: encoder schemes and their options."""

from typing import Annotated

import typer

from disentmetrics.cli.base import JsonOption, app
from disentmetrics.cli.console import err, out, print_json, print_table, print_text
from disentmetrics.encoders.registry import Adapter, find_adapters, load_adapter
from disentmetrics.errors import DisentmetricsError

adapters_app = typer.Typer(help="Encoder schemes: how to specify an encoder of any framework.")
app.add_typer(adapters_app, name="adapters")

SchemeArgument = Annotated[str, typer.Argument(metavar="SCHEME", help="Encoder scheme, such as torch or onnx.")]


@adapters_app.callback(invoke_without_command=True)
def _adapters(context: typer.Context) -> None:
    """List encoder schemes, or describe one."""
    if context.invoked_subcommand is None:
        adapters_list()


@adapters_app.command("list")
def adapters_list(as_json: JsonOption = False) -> None:
    """List all installed encoder schemes."""
    adapters = _importable_adapters()
    if as_json:
        print_json([{"scheme": a.scheme, "from": a.origin, "summary": a.summary} for a in adapters])
        return
    print_table(("scheme", "loads", "from"), [(a.scheme, a.summary, a.origin) for a in adapters])


def _importable_adapters() -> list[Adapter]:
    """Return all adapters but those that cannot be imported, each of which prints a warning."""
    adapters = []
    for _, load in sorted(find_adapters().items()):
        try:
            adapters.append(load())
        except DisentmetricsError as error:
            err.print(f"warning: {error}", style="dim", highlight=False, markup=False, soft_wrap=True)
    return adapters


@adapters_app.command("info")
def adapters_info(scheme: SchemeArgument) -> None:
    """Show the documentation of one scheme and its options."""
    adapter = load_adapter(scheme)
    out.print(f"[bold]{adapter.scheme}[/]", highlight=False)
    print_text(adapter.help)
