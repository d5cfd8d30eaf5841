from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, strategies as st

import disentmetrics as dm
from disentmetrics.representation.resampling import half_sample_rows, jackknife_rows
from disentmetrics.scoring.uncertainty import IntervalMethod, permutation_p_value, standard_error, t_interval

Split = Callable[[dm.Representation, np.random.Generator], list[np.ndarray]]


def table(n: int, groups: np.ndarray | None = None) -> dm.Representation:
    return dm.Representation(np.arange(float(n)), {"v": np.arange(n) % 2}, groups=groups)


@given(st.integers(40, 300), st.integers(0, 2**32 - 1))
def test_each_row_is_deleted_exactly_once(n: int, seed: int) -> None:
    subsets = jackknife_rows(table(n), np.random.default_rng(seed))
    kept = np.sum([np.bincount(rows, minlength=n) for rows in subsets], axis=0)
    assert len(subsets) == 20
    assert (kept == 19).all()


@pytest.mark.parametrize("n_groups", [7, 20, 50])
def test_clusters_are_deleted_and_halved_as_units(n_groups: int, rng: np.random.Generator) -> None:
    groups = rng.integers(n_groups, size=600)
    for subsets in (jackknife_rows(table(600, groups), rng), half_sample_rows(table(600, groups), rng)):
        for rows in subsets:
            inside, outside = set(groups[rows]), set(np.delete(groups, rows))
            assert not inside & outside
    assert len(jackknife_rows(table(600, groups), rng)) == min(20, n_groups)


@pytest.mark.parametrize(("method", "split"), [("jackknife", jackknife_rows), ("half-sampling", half_sample_rows)])
def test_the_standard_error_of_a_mean_comes_out(method: IntervalMethod, split: Split, rng: np.random.Generator) -> None:
    """For a mean, sigma / sqrt(n) is known."""
    errors = []
    for _ in range(60):
        values = rng.normal(size=400)
        errors.append(standard_error([values[rows].mean() for rows in split(table(400), rng)], method))
    assert np.mean(np.square(errors)) == pytest.approx(1 / 400, rel=0.12)


@pytest.mark.parametrize("method", ["jackknife", "half-sampling"])
def test_intervals_cover_the_value_of_a_large_sample(method: IntervalMethod) -> None:
    """Nominal 95 %: with that coverage, 52 or more of 60 runs are covered with probability 0.997."""

    def draw(n: int, rng: np.random.Generator) -> dm.Representation:
        factors = rng.integers(10, size=(n, 3))
        mixing = np.array([[1, 0.3, 0], [0.2, 1, 0.2], [0, 0.3, 1], [0.5, 0.5, 0]]).T
        standard = (factors - 4.5) / np.sqrt(8.25)
        return dm.Representation(standard @ mixing + 0.5 * rng.normal(size=(n, 4)), factors)

    truth = dm.metrics.mig.score(draw(300_000, np.random.default_rng(1))).value
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(60):
        interval = dm.score(draw(1_000, rng), ["mig"], interval=method, null=False)["mig"].interval
        assert interval is not None
        covered += interval.low <= truth <= interval.high
    assert covered >= 52


def test_an_interval_stays_within_the_bounds_and_contains_its_value() -> None:
    interval = t_interval(0.99, 0.02, 19, (0.0, 1.0), "jackknife")
    assert interval.high == 1.0
    assert interval.low == pytest.approx(0.99 - 2.093 * 0.02, abs=1e-4)


def test_the_p_value_counts_the_identity_among_the_permutations() -> None:
    assert permutation_p_value(1.0, [0.0] * 99) == 0.01
    assert permutation_p_value(0.0, [0.0, float("nan"), 1.0]) == 1.0
