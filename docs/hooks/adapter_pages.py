"""A page for each encoder scheme, from what its loader says of itself."""

from docstrings import body, summary

from disentmetrics.encoders.registry import Adapter, find_adapters, load_adapter


def pages() -> dict[str, str]:
    """Return the Markdown of each scheme's page, by the path of the page."""
    return {path_of(scheme): _page(load_adapter(scheme)) for scheme in sorted(find_adapters())}


def navigation() -> list[dict[str, str]]:
    """Return the part of the navigation that leads to the pages."""
    return [{scheme: path_of(scheme)} for scheme in sorted(find_adapters())]


def path_of(scheme: str) -> str:
    """Return where the page of a scheme lies."""
    return f"adapters/{scheme}.md"


def table() -> str:
    """Return all schemes as a table in Markdown."""
    rows = [f"| [{name}]({path_of(name)}) | {summary(load_adapter(name).help)} |" for name in sorted(find_adapters())]
    return "\n".join(["| scheme | what it loads |", "|---|---|", *rows])


def _page(adapter: Adapter) -> str:
    every = (
        "Every scheme also takes `fingerprint=NAME`, a name for exactly this encoder under which its codes are kept."
    )
    return "\n\n".join([f"# {adapter.scheme}:", summary(adapter.help), body(adapter.help), every])
