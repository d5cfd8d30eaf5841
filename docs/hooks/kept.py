"""Files that take long to make, kept until the code that they depend on changes."""

import hashlib
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
_FOLDER = ROOT / "build" / "docs"
_SOURCES = ("disentmetrics", "adapters", "reference_models", "data_manifests", "docs/hooks")


def kept_file(name: str, make: Callable[[Path], None], *, more: bytes = b"") -> Path:
    """Return the file of this name, made by ``make(path)`` unless nothing that it can depend on has changed.

    Parameters
    ----------
    name : str
        Of the file, with its extension.
    make : callable
        Writes the file.
    more : bytes
        What the file depends on besides the sources of all packages.
    """
    folder = _FOLDER / _sources()
    path = folder / f"{hashlib.sha256(more).hexdigest()[:8]}-{name}"
    if not path.exists():
        for stale in _FOLDER.glob("*"):
            if stale != folder:
                shutil.rmtree(stale, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            made = Path(temporary) / name
            make(made)
            made.replace(path)
    return path


@cache
def _sources() -> str:
    found = [path for folder in _SOURCES for path in (ROOT / folder).rglob("*") if path.suffix in {".py", ".toml"}]
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(found))).hexdigest()[:16]
