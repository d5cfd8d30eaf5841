import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from disentmetrics.datasets.published.manifest import ManifestFile


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache of Zoë"
    monkeypatch.setenv("DISENTMETRICS_CACHE", str(folder))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return folder


@pytest.fixture
def published() -> Callable[[ManifestFile, Path], ManifestFile]:
    """Return a function that describes a file as if exactly this one had been published."""

    def describe(file: ManifestFile, path: Path) -> ManifestFile:
        content = path.read_bytes()
        checksums = {name: hashlib.new(name, content).hexdigest() for name in ("sha256", "md5")}
        return replace(file, n_bytes=len(content), checksums=checksums, content_sha256="")

    return describe
