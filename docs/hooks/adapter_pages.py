"""Pages of encoder schemes, generated from the docstrings of their loaders."""

from docstrings import body, summary

from disentmetrics.encoders.registry import Adapter, find_adapters, load_adapter


def pages() -> dict[str, str]:
    """Return the Markdown of the page of each scheme, by path."""
    return {path_of(scheme): _page(load_adapter(scheme)) for scheme in sorted(find_adapters())}


def navigation() -> list[dict[str, str]]:
    """Return the navigation entries of the pages."""
    return [{scheme: path_of(scheme)} for scheme in sorted(find_adapters())]


def path_of(scheme: str) -> str:
    """Return the path of the page of a scheme."""
    return f"adapters/{scheme}.md"


def table() -> str:
    """Return a Markdown table of all schemes."""
    rows = [f"| [{name}]({path_of(name)}) | {summary(load_adapter(name).help)} |" for name in sorted(find_adapters())]
    return "\n".join(["| scheme | loads |", "|---|---|", *rows])


def _page(adapter: Adapter) -> str:
    shared = (
        "Every scheme also has the option `fingerprint=NAME`, a name that identifies exactly this encoder and under "
        "which its codes are cached."
    )
    return "\n\n".join([f"# {adapter.scheme}:", summary(adapter.help), body(adapter.help), shared])
