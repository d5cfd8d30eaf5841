"""``metrics``."""

import re
from collections.abc import Callable
from typing import Any

Run = Callable[..., Any]


def test_one_metric_is_explained(run: Run) -> None:
    about = run("metrics", "info", "mig@chen2018").out
    assert "Mutual information gap" in about
    assert "known failure: Two factors packed" in about
    assert re.search(r"locatello2019 +disentanglement_lib", about)
