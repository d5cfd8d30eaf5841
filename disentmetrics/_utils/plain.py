"""Conversion of results to what JSON can represent."""

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np


def to_plain(value: Any) -> Any:
    """Return the value as dicts, lists and scalars of JSON; NaN and infinities become None.

    Examples
    --------
    >>> to_plain({"values": np.array([0.5, np.nan]), "bounds": (0.0, math.inf)})
    {'values': [0.5, None], 'bounds': [0.0, None]}
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key: to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return to_plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
