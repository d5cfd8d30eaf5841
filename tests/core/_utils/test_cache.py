"""Atomic writes."""

import stat
from pathlib import Path

import pytest

from disentmetrics._utils.cache import atomic_path


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666])
def test_a_file_that_is_replaced_keeps_its_permissions(mode: int, tmp_path: Path) -> None:
    path = tmp_path / "card.json"
    path.write_text("before")
    path.chmod(mode)
    with atomic_path(path) as temporary:
        temporary.write_text("after")
    assert path.read_text() == "after"
    assert stat.S_IMODE(path.stat().st_mode) == mode
