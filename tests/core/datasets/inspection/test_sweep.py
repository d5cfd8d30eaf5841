"""One factor runs through its values."""

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
def test_values_are_chosen_evenly_with_first_and_last(
    position: int, n: int | None, expected: list[int], rng: np.random.Generator
) -> None:
    assert values_of(dm.load_dataset("dsprites"), position, n, rng=rng).tolist() == expected


def test_in_a_rendered_set_the_factor_alone_varies(rng: np.random.Generator) -> None:
    data = dm.load_dataset("dsprites")
    start = data.sample(1, rng)
    found = sweep(data, start, 3, np.array([0, 9, 31]))
    assert found.exact
    assert found.draws.factors[:, 3].tolist() == found.values.tolist() == [0, 9, 31]
    assert (np.delete(found.draws.factors, 3, axis=1) == np.delete(start.factors, 3, axis=1)).all()
    assert (found.draws.nuisance == start.nuisance).all()


def a_table(factors: Any, **options: Any) -> CustomDataSet:
    n_rows = len(next(iter(factors.values()))) if isinstance(factors, dict) else len(factors)
    rows = np.arange(n_rows, dtype=np.uint8)
    return CustomDataSet(np.broadcast_to(rows[:, None, None, None], (n_rows, 2, 2, 1)), factors, **options)


def test_of_a_table_the_nearest_rows_are_taken() -> None:
    labels = np.array([[0, 0, 0], [1, 1, 1], [1, 0, 1], [2, 2, 2], [1, 0, 0], [2, 0, 2]])
    data = a_table(labels, factor_names=["a", "b", "c"])
    start = data.full_grid()[np.array([0])]
    assert exact_sweep(data, start, 0, np.arange(3)) is None
    found = sweep(data, start, 0, np.arange(3))
    assert not found.exact
    assert data.observations(found.draws.factors, found.draws.nuisance)[:, 0, 0, 0].tolist() == [0, 4, 5]
    several = sweep(data, start, 0, np.arange(3), n_draws=6)
    assert several.values.tolist() == [0, 1, 1, 2, 2]
    assert data.observations(several.draws.factors, several.draws.nuisance)[:, 0, 0, 0].tolist() == [0, 4, 2, 5, 3]


def test_a_whole_table_is_a_grid() -> None:
    data = a_table(np.indices((2, 3)).reshape(2, -1).T, factor_names=["a", "b"])
    draws = exact_sweep(data, data.full_grid()[np.array([4])], 1, np.arange(3))
    assert draws is not None
    assert data.observations(draws.factors, draws.nuisance)[:, 0, 0, 0].tolist() == [3, 4, 5]


def test_real_values_are_met_as_nearly_as_rows_have_them(rng: np.random.Generator) -> None:
    columns = {"t": np.linspace(0, 1, 50) ** 2, "u": np.tile(np.linspace(-1, 1, 25), 2)}
    data = a_table(columns, kinds={"t": "continuous", "u": "continuous"})
    values = values_of(data, 0, 5, rng=rng)
    assert (values[0], values[-1]) == (0, 1)
    found = sweep(data, data.full_grid()[np.array([7])], 0, values)
    assert np.isin(found.values, columns["t"]).all()
    assert np.abs(found.values - values).max() < 0.04


def test_values_that_a_design_excludes_are_not_swept(rng: np.random.Generator) -> None:
    data = dm.load_dataset("mini-sprites?without=shape:heart,x:2&without=y:0")
    assert values_of(data, 4, rng=rng).tolist() == [1, 2, 3, 4, 5, 6]
    assert values_of(data, 0, rng=rng).tolist() == [0, 1, 2]
    at_x = data.draws([[0, 0, 0, 2, 3], [0, 0, 0, 1, 3]])
    assert values_of(data, 0, rng=rng, start=at_x[:1]).tolist() == [0, 1]
    assert values_of(data, 0, rng=rng, start=at_x[1:]).tolist() == [0, 1, 2]
    assert values_of(data, 4, 2, rng=rng, start=at_x[:1]).tolist() == [1, 6]


def test_what_is_made_of_observed_rows_is_observed_too(rng: np.random.Generator) -> None:
    data = a_table(rng.integers(3, size=(60, 2)), factor_names=["a", "b"])
    grid = a_table(np.indices((2, 3)).reshape(2, -1).T, factor_names=["a", "b"])
    for made in (data, data.select({"a": [0, 1]}), data.map(np.copy, name="same")):
        assert made.is_observed
        assert exact_sweep(made, made.sample(1, rng), 0, np.arange(2)) is None
    assert not grid.is_observed
    assert not grid.select({"b": [0, 2]}).is_observed


def test_discrete_factors_beside_continuous_ones_are_swept_whole(rng: np.random.Generator) -> None:
    data = dm.load_dataset("pinwheel")
    start = data.sample(1, rng)
    values = values_of(data, 0, rng=rng, start=start)
    assert values.tolist() == [0, 1, 2, 3]
    assert sweep(data, start, 0, values).exact
