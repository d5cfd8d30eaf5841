from typing import Any

import pytest

from disentmetrics.datasets.transforms.values import as_tuples, format_values, parse_values, value_indices
from disentmetrics.errors import InvalidInputError
from disentmetrics.factors import Factor, FactorSpace

SPACE = FactorSpace([
    Factor("shape", 3, "categorical", ("square", "ellipse", "heart")),
    Factor("x", 32, "ordinal"),
    Factor("mood", 2, "categorical", ("semi-sad", "3")),
    Factor("digit", 4, "categorical", ("1", "2", "9", "3")),
    Factor("size", 3, "ordinal", (1.0, 2.0, 4.0)),
])  # fmt: skip


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("shape:2", {"shape": 2}),
        ("shape:heart", {"shape": 2}),
        ("shape:heart/square", {"shape": (0, 2)}),
        ("shape:2-2", {"shape": (2,)}),
        ("x:0-3/7/30-31", {"x": (0, 1, 2, 3, 7, 30, 31)}),
        (" shape : 1 , x : 4-5 ", {"shape": 1, "x": (4, 5)}),
        ("mood:semi-sad", {"mood": 0}),
        ("mood:1", {"mood": 1}),  # digits are an index
        ("mood:3", {"mood": 1}),  # but where they are a name
        ("size:2", {"size": 2}),
        ("size:1-2", {"size": (1, 2)}),
    ],
)
def test_text_selects_values(text: str, chosen: dict[str, Any]) -> None:
    found = value_indices(SPACE, parse_values(SPACE, text))
    assert found == chosen
    assert value_indices(SPACE, parse_values(SPACE, format_values(found).replace("=", ":"))) == chosen


@pytest.mark.parametrize(
    ("text", "chosen"), [("digit:1", 0), ("digit:2/9", (1, 2)), ("digit:0-0", (0,)), ("digit:3/2/1", (0, 1, 3))]
)
def test_numeric_names_take_precedence_over_indices(text: str, chosen: Any) -> None:
    assert value_indices(SPACE, parse_values(SPACE, text)) == {"digit": chosen}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "factor:values"),
        ("shape", "factor:values, such as shape:2"),
        ("shape:", "factor:values"),
        ("shpae:2", "no factor is named 'shpae'; did you mean 'shape'"),
        ("shape:haert", "no value 'haert'; did you mean 'heart'"),
        ("shape:3", r"indices in 0 .. 2; got 3"),
        ("digit:0-2", "'2' is also the name of value 1; list the names instead, as in digit:1/2/9"),
        ("digit:1-3", "'1' is also the name of value 0"),
        ("x:5-2", "must be ascending"),
        ("x:0-32", r"indices in 0 .. 31; got '0-32'"),
        ("x:0-999999999999", r"indices in 0 .. 31"),
        ("x:0-3/2", "each once"),
        ("x:1,x:2", "got x more than once"),
        ("x:-1", "no value '-1'; give an index"),
    ],
)
def test_malformed_text_is_rejected(text: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        value_indices(SPACE, parse_values(SPACE, text))


@pytest.mark.parametrize("chosen", [{}, {"x": []}, {"x": [1, 1]}, {"x": 1.5}, {"x": [True]}, {"x": 32}, {"z": 1}])
def test_invalid_values_are_rejected(chosen: Any) -> None:
    with pytest.raises((InvalidInputError, TypeError)):
        value_indices(SPACE, chosen)


def test_single_values_become_tuples() -> None:
    assert as_tuples({"shape": 2, "x": (1, 4)}) == {"shape": (2,), "x": (1, 4)}
