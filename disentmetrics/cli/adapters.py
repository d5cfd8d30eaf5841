"""``adapters``: encoder schemes and their options."""

from typing import Annotated

import typer

from disentmetrics.cli.base import JsonOption, app
from disentmetrics.cli.console import out, print_json, print_table, print_text
from disentmetrics.encoders.registry import find_adapters, load_adapter

adapters_app = typer.Typer(help="Encoder schemes: how to name an encoder of any framework.")
app.add_typer(adapters_app, name="adapters")

SchemeArgument = Annotated[str, typer.Argument(metavar="SCHEME", help="Encoder scheme, such as torch or onnx.")]


@adapters_app.callback(invoke_without_command=True)
def _adapters(context: typer.Context) -> None:
    """List encoder schemes, or explain one."""
    if context.invoked_subcommand is None:
        adapters_list()


@adapters_app.command("list")
def adapters_list(as_json: JsonOption = False) -> None:
    """List all encoder schemes that are installed."""
    found = [load_adapter(scheme) for scheme in sorted(find_adapters())]
    if as_json:
        print_json([{"scheme": a.scheme, "from": a.origin, "summary": a.summary} for a in found])
        return
    print_table(("scheme", "what it loads", "from"), [(a.scheme, a.summary, a.origin) for a in found])


@adapters_app.command("info")
def adapters_info(scheme: SchemeArgument) -> None:
    """Explain one scheme and its options."""
    adapter = load_adapter(scheme)
    out.print(f"[bold]{adapter.scheme}[/]", highlight=False)
    print_text(adapter.help)
