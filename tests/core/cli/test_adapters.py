"""``adapters``."""

from collections.abc import Callable
from typing import Any

Run = Callable[..., Any]


def test_one_scheme_is_explained(run: Run) -> None:
    assert "weights : file, or none" in run("adapters", "info", "torch").out
