"""Declarations of metrics, looked up by the names of scores."""

import re
from typing import Any

from disentmetrics.errors import InvalidInputError
from disentmetrics.metrics import find_metric


def declared(name: str) -> dict[str, Any]:
    """Return bounds, direction, randomness and question of a score; empty if its metric is not installed.

    Examples
    --------
    >>> declared("dci@eastwood2018.completeness")["bounds"], declared("unheard-of")
    ((0.0, 1.0), {})
    """
    metric, *_ = re.split("[@.]", name, maxsplit=1)
    try:
        return find_metric(metric)[0].declared(name.partition(".")[2])
    except InvalidInputError:
        return {}
