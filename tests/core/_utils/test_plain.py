"""Conversion to JSON."""

import json
import math
from dataclasses import dataclass

import numpy as np
from hypothesis import given, strategies as st

from disentmetrics._utils.plain import to_plain

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@dataclass(frozen=True)
class Point:
    x: float
    label: str


@given(plain)
def test_plain_values_are_unchanged(value: object) -> None:
    assert to_plain(value) == value


def test_arrays_scalars_and_dataclasses_become_what_json_represents() -> None:
    value = {"a": np.array([[1, 2]]), "b": np.float32(0.5), "c": (Point(math.inf, "p"),), "d": np.array([True])}
    converted = to_plain(value)
    assert converted == {"a": [[1, 2]], "b": 0.5, "c": [{"x": None, "label": "p"}], "d": [True]}
    assert json.loads(json.dumps(converted, allow_nan=False)) == converted


def test_numbers_that_json_does_not_have_become_null() -> None:
    assert to_plain([math.nan, math.inf, -math.inf, np.nan]) == [None] * 4
