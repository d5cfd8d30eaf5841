"""``datasets``."""

import re
from collections.abc import Callable
from typing import Any

Run = Callable[..., Any]


def test_one_data_set_is_explained(run: Run) -> None:
    about = run("datasets", "info", "dsprites").out
    assert re.search(r"orientation +40 +circular", about)
    assert "licence: Apache-2.0" in about
    assert run("datasets", "info", "dsprites?source=original").out == about
