"""How this package was installed, for messages about optional packages."""

import contextlib
import functools
import json
from importlib.metadata import PackageNotFoundError, distribution


@functools.cache
def install_command(extra: str) -> str:
    """Return the command that adds an extra, from where this package was installed: an index, a folder or an address.

    Examples
    --------
    >>> install_command("plots").startswith("pip install ")
    True
    """
    origin: dict[str, dict[str, str]] = {}
    with contextlib.suppress(PackageNotFoundError, ValueError):
        origin = json.loads(distribution("disentmetrics").read_text("direct_url.json") or "{}")
    return _command(extra, origin)


def _command(extra: str, origin: dict[str, dict[str, str]]) -> str:
    """Return the command for the content of ``direct_url.json`` (PEP 610), which is empty for an index."""
    url = str(origin.get("url", ""))
    if not url:
        return f'pip install "disentmetrics[{extra}]"'
    if url.startswith("file://") and origin.get("dir_info", {}).get("editable"):
        return f'pip install --editable "{url.removeprefix("file://")}[{extra}]"'
    scheme = f"{origin['vcs_info']['vcs']}+" if origin.get("vcs_info") else ""
    return f'pip install "disentmetrics[{extra}] @ {scheme}{url}"'
