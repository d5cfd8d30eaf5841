"""Sweeps of one factor."""

from typing import Any

import numpy as np
import pytest

import disentmetrics as dm
from disentmetrics.datasets.arrays.custom import CustomDataSet
from disentmetrics.datasets.inspection.sweep import exact_sweep, sweep, values_of


@pytest.mark.parametrize(
    ("position", "n", "expected"),
    [
        (0, 12, [0, 1, 2]),
        (1, 12, [0, 1, 2, 3, 4, 5]),
        (2, 2, [0, 39]),
        (2, None, list(range(40))),
        (3, 5, [0, 8, 16, 23, 31]),
    ],
)
def test_values_are_evenly_spaced_and_include_first_and_last(
    position: int, n: int | None, expected: list[int], rng: np.random.Generator
) -> None:
    assert values_of(dm.load_dataset("dsprites"), position, n, rng=rng).tolist() == expected


def test_in_a_rendered_set_only_the_factor_varies(rng: np.random.Generator) -> None:
    data = dm.load_dataset("dsprites")
    start = data.sample(1, rng)
    swept = sweep(data, start, 3, np.array([0, 9, 31]))
    assert swept.exact
    assert swept.draws.factors[:, 3].tolist() == swept.values.tolist() == [0, 9, 31]
    assert (np.delete(swept.draws.factors, 3, axis=1) == np.delete(start.factors, 3, axis=1)).all()
    assert (swept.draws.nuisance == start.nuisance).all()


def a_table(factors: Any, **options: Any) -> CustomDataSet:
    n_rows = len(next(iter(factors.values()))) if isinstance(factors, dict) else len(factors)
    rows = np.arange(n_rows, dtype=np.uint8)
    return CustomDataSet(np.broadcast_to(rows[:, None, None, None], (n_rows, 2, 2, 1)), factors, **options)


def test_in_a_table_the_nearest_rows_are_used() -> None:
    labels = np.array([[0, 0, 0], [1, 1, 1], [1, 0, 1], [2, 2, 2], [1, 0, 0], [2, 0, 2]])
    data = a_table(labels, factor_names=["a", "b", "c"])
    start = data.full_grid()[np.array([0])]
    assert exact_sweep(data, start, 0, np.arange(3)) is None
    swept = sweep(data, start, 0, np.arange(3))
    assert not swept.exact
    assert data.observations(swept.draws.factors, swept.draws.nuisance)[:, 0, 0, 0].tolist() == [0, 4, 5]
    several = sweep(data, start, 0, np.arange(3), n_draws=6)
    assert several.values.tolist() == [0, 1, 1, 2, 2]
    assert data.observations(several.draws.factors, several.draws.nuisance)[:, 0, 0, 0].tolist() == [0, 4, 2, 5, 3]


def test_a_complete_table_is_swept_exactly() -> None:
    data = a_table(np.indices((2, 3)).reshape(2, -1).T, factor_names=["a", "b"])
    draws = exact_sweep(data, data.full_grid()[np.array([4])], 1, np.arange(3))
    assert draws is not None
    assert data.observations(draws.factors, draws.nuisance)[:, 0, 0, 0].tolist() == [3, 4, 5]


def test_continuous_values_are_approximated_by_the_nearest_rows(rng: np.random.Generator) -> None:
    columns = {"t": np.linspace(0, 1, 50) ** 2, "u": np.tile(np.linspace(-1, 1, 25), 2)}
    data = a_table(columns, kinds={"t": "continuous", "u": "continuous"})
    values = values_of(data, 0, 5, rng=rng)
    assert (values[0], values[-1]) == (0, 1)
    swept = sweep(data, data.full_grid()[np.array([7])], 0, values)
    assert np.isin(swept.values, columns["t"]).all()
    assert np.abs(swept.values - values).max() < 0.04


def test_values_that_a_design_excludes_are_not_swept(rng: np.random.Generator) -> None:
    data = dm.load_dataset("mini-sprites?without=shape:heart,x:2&without=y:0")
    assert values_of(data, 4, rng=rng).tolist() == [1, 2, 3, 4, 5, 6]
    assert values_of(data, 0, rng=rng).tolist() == [0, 1, 2]
    at_x = data.draws([[0, 0, 0, 2, 3], [0, 0, 0, 1, 3]])
    assert values_of(data, 0, rng=rng, start=at_x[:1]).tolist() == [0, 1]
    assert values_of(data, 0, rng=rng, start=at_x[1:]).tolist() == [0, 1, 2]
    assert values_of(data, 4, 2, rng=rng, start=at_x[:1]).tolist() == [1, 6]


def test_transforms_of_observed_rows_are_observed_too(rng: np.random.Generator) -> None:
    data = a_table(rng.integers(3, size=(60, 2)), factor_names=["a", "b"])
    grid = a_table(np.indices((2, 3)).reshape(2, -1).T, factor_names=["a", "b"])
    for derived in (data, data.select({"a": [0, 1]}), data.map(np.copy, name="same")):
        assert derived.is_observed
        assert exact_sweep(derived, derived.sample(1, rng), 0, np.arange(2)) is None
    assert not grid.is_observed
    assert not grid.select({"b": [0, 2]}).is_observed


def test_discrete_factors_next_to_continuous_ones_are_swept_exactly(rng: np.random.Generator) -> None:
    data = dm.load_dataset("pinwheel")
    start = data.sample(1, rng)
    values = values_of(data, 0, rng=rng, start=start)
    assert values.tolist() == [0, 1, 2, 3]
    assert sweep(data, start, 0, values).exact
