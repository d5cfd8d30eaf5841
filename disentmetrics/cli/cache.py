"""``cache``: files that are kept to save time."""

import typer

from disentmetrics._utils.cache import cache_entries, cache_folder, clear_cache
from disentmetrics.cli.base import JsonOption, app
from disentmetrics.cli.console import out, print_json, print_table

cache_app = typer.Typer(help="Codes and data sets that are kept to save time.")
app.add_typer(cache_app, name="cache")


@cache_app.callback(invoke_without_command=True)
def _cache(context: typer.Context) -> None:
    """List what is cached, or clear it."""
    if context.invoked_subcommand is None:
        cache_list()


@cache_app.command("list")
def cache_list(as_json: JsonOption = False) -> None:
    """List cached files and their sizes."""
    found = cache_entries()
    if as_json:
        print_json([{"path": str(entry.path), "bytes": entry.n_bytes} for entry in found])
        return
    print_table(("file", "MB"), [(str(e.path.relative_to(cache_folder())), f"{e.n_bytes / 1e6:,.1f}") for e in found])
    total = sum(entry.n_bytes for entry in found) / 1e6
    out.print(f"{len(found)} files, {total:,.1f} MB in {cache_folder()}", highlight=False, markup=False)


@cache_app.command("clear")
def cache_clear() -> None:
    """Delete all cached files; they are made again when needed."""
    out.print(f"{clear_cache() / 1e6:,.1f} MB freed in {cache_folder()}", highlight=False, markup=False)
