import json

import numpy as np
import pytest
from hypothesis import given, strategies as st

from disentmetrics.errors import InvalidInputError
from disentmetrics.factors import Factor, FactorSpace, parse_kind

sizes = st.lists(st.integers(1, 6), min_size=1, max_size=4)


def space_of(sizes: list[int]) -> FactorSpace:
    return FactorSpace([Factor(f"v{k}", size, "ordinal") for k, size in enumerate(sizes)])


@given(sizes)
def test_rows_and_indices_are_inverse_over_the_full_grid(sizes: list[int]) -> None:
    space = space_of(sizes)
    rows = np.arange(space.n_combinations)
    assert np.array_equal(space.rows_of(space.indices_of(rows)), rows)


@given(sizes)
def test_the_last_factor_varies_fastest(sizes: list[int]) -> None:
    space = space_of(sizes)
    expected = np.indices(sizes).reshape(len(sizes), -1).T
    assert np.array_equal(space.indices_of(np.arange(space.n_combinations)), expected)


def test_sampling_without_replacement_exhausts_the_grid(rng: np.random.Generator) -> None:
    space = space_of([3, 4])
    drawn = space.rows_of(space.sample(12, rng, replace=False))
    assert sorted(drawn) == list(range(12))
    with pytest.raises(InvalidInputError, match="at most 12 distinct combinations"):
        space.sample(13, rng, replace=False)


def test_sampling_with_replacement_is_uniform(rng: np.random.Generator) -> None:
    counts = np.bincount(space_of([2, 3]).rows_of(space_of([2, 3]).sample(60_000, rng)), minlength=6)
    assert ((counts - 10_000) ** 2 / 10_000).sum() < 20.5  # chi-square with 5 degrees, p = 0.001


@pytest.mark.parametrize(
    ("name", "size", "kind", "values", "message"),
    [
        ("x", None, "ordinal", (), "size must be the number of values if the kind is ordinal; got None"),
        ("x", 3, "continuous", (), "size must be None if the kind is continuous; got 3"),
        ("x", 3, "circular", (0.0, 10.0, 180.0), "need a period, such as period=360 for degrees; got 0, 10, 180$"),
        ("x", 0, "ordinal", (), "size must be at least 1"),
        ("x", 2, "ordinal", (1.0,), "number of values must equal size"),
        ("x", 2, "nominal", (), "kind must be one of"),
    ],
)
def test_a_factor_that_contradicts_itself_is_refused(name, size, kind, values, message) -> None:  # type: ignore[no-untyped-def] # wrong types are the point
    with pytest.raises(InvalidInputError, match=message):
        Factor(name, size, kind, values)


@pytest.mark.parametrize(
    ("indices", "message"),
    [
        ([[0, 0, 0]], r"shape \(n, 2\)"),
        ([[0.5, 0.5]], "must be integers"),
        ([[2, 0]], "factor 'v0' must lie in 0 .. 1; got 2 .. 2"),
        ([[0, -1]], "factor 'v1' must lie in 0 .. 2; got -1"),
    ],
)
def test_indices_outside_the_grid_are_refused(indices: list[list[float]], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        space_of([2, 3]).rows_of(indices)


def test_names_are_unique() -> None:
    with pytest.raises(InvalidInputError, match="must be unique"):
        FactorSpace([Factor("x", 2, "ordinal"), Factor("x", 3, "ordinal")])


def test_no_factors_span_a_single_point() -> None:
    space = FactorSpace([])
    assert (len(space), space.n_combinations, space.is_grid) == (0, 1, True)
    assert space.indices_of([0, 0]).shape == (2, 0)
    assert space.rows_of(np.empty((3, 0), int)).tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[0, 0.5, 0]], r"shape \(n, 2\)"),
        ([[0, np.nan]], "must be finite"),
        ([[0.5, 0.5]], "factor 'x' must be whole"),
        ([[2, 0.5]], "lie in 0 .. 1; got 2.0"),
        ([["a", "b"]], "must be numbers"),
    ],
)
def test_values_that_are_not_factors_are_refused(values: list[list[float]], message: str) -> None:
    space = FactorSpace([Factor("x", 2, "ordinal"), Factor("t", None, "continuous")])
    assert space.check_values([[1, -0.5]]).tolist() == [[1.0, -0.5]]
    with pytest.raises(InvalidInputError, match=message):
        space.check_values(values)


def test_a_continuous_factor_makes_no_grid() -> None:
    space = FactorSpace([Factor("x", 2, "ordinal"), Factor("t", None, "continuous")])
    assert not space.is_grid
    with pytest.raises(InvalidInputError, match="these are continuous: t"):
        _ = space.sizes


# Angles.


def test_angles_are_those_of_the_values_in_units_of_the_period() -> None:
    hours = Factor("hour", 4, "circular", (0, 6, 18, 24), period=24)
    np.testing.assert_allclose(hours.angles([0, 1, 2, 3, np.nan]), [0, np.pi / 2, 3 * np.pi / 2, 0, np.nan])
    degrees = Factor("angle", None, "circular", period=360)
    np.testing.assert_allclose(degrees.angles([-90.0, 0, 450, 360, -1e-20]), [3 * np.pi / 2, 0, np.pi / 2, 0, 0])
    named = Factor("direction", 4, "circular", ("north", "east", "south", "west"))
    np.testing.assert_array_equal(named.angles(np.arange(4)), np.arange(4) * np.pi / 2)
    part = Factor("hour", 13, "circular", period=24)  # without values the indices are in units of the period
    np.testing.assert_allclose(part.angles([0, 12]), [0, np.pi])


def test_real_values_are_radians_unless_a_period_is_given() -> None:
    assert Factor("angle", None, "circular").period == 2 * np.pi


def test_only_values_that_surround_the_circle_are_closed() -> None:
    assert Factor("hue", 10, "circular").is_closed
    assert Factor("angle", 40, "circular", tuple(np.linspace(0, 360, 40)), period=360).is_closed
    assert not Factor("hour", 13, "circular", tuple(range(8, 21)), period=24).is_closed
    assert not Factor("size", 3, "ordinal").is_closed


@pytest.mark.parametrize("period", [0.0, -1.0, np.inf, np.nan])
def test_a_period_is_a_positive_number_of_a_circular_factor(period: float) -> None:
    with pytest.raises(InvalidInputError, match="period must be a finite number above 0"):
        Factor("angle", None, "circular", period=period)
    with pytest.raises(InvalidInputError, match="only circular factors have a period"):
        Factor("size", 3, "ordinal", period=period)
    with pytest.raises(InvalidInputError, match="only circular factors have angles; 'size' is ordinal"):
        Factor("size", 3, "ordinal").angles([0])


@pytest.mark.parametrize(
    "factor",
    [
        Factor("shape", 2, "categorical", ("a", "b")),
        Factor("speed", None, "continuous"),
        Factor("angle", None, "circular"),
        Factor("hour", 13, "circular", tuple(range(13)), period=24.0),
        Factor("hue", 3, "circular", (0.1, 0.4, 0.7), period=0.9),
    ],
)
def test_a_factor_and_its_kind_are_restored_from_plain_data(factor: Factor) -> None:
    assert Factor.from_plain(json.loads(json.dumps(factor.to_plain()))) == factor
    assert parse_kind(factor.kind_spec) == (factor.kind, factor.period)


@pytest.mark.parametrize(
    ("text", "period"),
    [("circular:24", 24.0), ("circular: 0.5", 0.5), ("circular:2pi", 2 * np.pi), ("circular:pi", np.pi)],
)
def test_periods_are_numbers_or_multiples_of_pi(text: str, period: float) -> None:
    assert parse_kind(text) == ("circular", period)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("circl", "or circular:PERIOD such as circular:24; got 'circl'; did you mean 'circular'"),
        ("circular:", "a finite number above 0 such as circular:24 or circular:2pi; got 'circular:'"),
        ("circular:-24", "got 'circular:-24'"),
        ("circular:nan", "got 'circular:nan'"),
        ("ordinal:3", "only a circular kind has a period"),
    ],
)
def test_a_kind_that_does_not_exist_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        parse_kind(text)
