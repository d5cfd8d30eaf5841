"""``cache``: cached codes and data sets."""

import typer

from disentmetrics._utils.cache import cache_entries, cache_folder, clear_cache
from disentmetrics.cli.base import JsonOption, app
from disentmetrics.cli.console import out, print_json, print_table

cache_app = typer.Typer(help="Cached codes and data sets.")
app.add_typer(cache_app, name="cache")


@cache_app.callback(invoke_without_command=True)
def _cache(context: typer.Context) -> None:
    """List or delete cached files."""
    if context.invoked_subcommand is None:
        cache_list()


@cache_app.command("list")
def cache_list(as_json: JsonOption = False) -> None:
    """List cached files and their sizes."""
    entries = cache_entries()
    if as_json:
        print_json([{"path": str(entry.path), "bytes": entry.n_bytes} for entry in entries])
        return
    print_table(("file", "MB"), [(str(e.path.relative_to(cache_folder())), f"{e.n_bytes / 1e6:,.1f}") for e in entries])
    total = sum(entry.n_bytes for entry in entries) / 1e6
    out.print(f"{len(entries)} files, {total:,.1f} MB in {cache_folder()}", highlight=False, markup=False)


@cache_app.command("clear")
def cache_clear() -> None:
    """Delete all cached files; they are recreated when needed."""
    out.print(f"{clear_cache() / 1e6:,.1f} MB freed in {cache_folder()}", highlight=False, markup=False)
