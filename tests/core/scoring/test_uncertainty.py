from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, strategies as st

import disentmetrics as dm
from disentmetrics.representation.resampling import half_sample_rows, jackknife_rows
from disentmetrics.scoring.uncertainty import (
    IntervalMethod,
    bias_corrected,
    permutation_p_value,
    slow_bias_weight,
    standard_error,
    t_interval,
)

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


def exponential(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return rng.exponential(size=shape)


def normal(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return rng.normal(size=shape)


def uniform(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return rng.random(shape)


def votes(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return rng.binomial(60, 0.2, size=shape) / 60


def mostly_zero(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return rng.exponential(size=shape) * (rng.random(shape) < 0.1)


@pytest.mark.parametrize("draw", [exponential, normal, uniform, votes, mostly_zero])
def test_extrapolated_p_values_are_small_no_more_often_than_stated(
    draw: Callable[[np.random.Generator, tuple[int, int]], np.ndarray],
) -> None:
    n = 4_000
    samples = draw(np.random.default_rng(0), (n, 40))
    p_values = np.array([permutation_p_value(value, permuted) for value, *permuted in samples.tolist()])
    for level in (0.01, 0.015, 0.02, 0.025, 0.05, 0.1):
        assert (p_values <= level).mean() <= level + 3 * np.sqrt(level * (1 - level) / n)


def test_a_score_far_beyond_few_permutations_has_the_p_value_of_many() -> None:
    permuted = np.random.default_rng(0).normal(0.2, 0.02, size=39).tolist()
    assert permutation_p_value(1.0, permuted) == 0.01
    assert permutation_p_value(0.2 + 0.02 * 2.6, permuted) == pytest.approx(0.015, abs=0.01)
    beyond = [permutation_p_value(max(permuted) + step, permuted) for step in (0.0, 1e-6, 0.01, 0.03, 0.1)]
    assert beyond == sorted(beyond, reverse=True)
    assert beyond[:2] == [2 / 40, 1 / 40]


def test_nothing_is_extrapolated_from_equal_scores_or_below_many_permutations() -> None:
    assert permutation_p_value(1.0, [0.0] * 39) == 1 / 40
    assert permutation_p_value(1.0, [0.001 * k for k in range(199)]) == 1 / 200
    assert permutation_p_value(1.0, [0.1]) == 1 / 2
    assert permutation_p_value(1.0, []) == 1.0


@pytest.mark.parametrize("n", [200, 1_000, 2_500])
def test_the_weight_of_a_slow_bias_removes_one_that_falls_with_the_root_of_rows(n: int) -> None:
    def score(rows: int) -> float:
        return 0.8 + 3 * (rows**-0.5 - 4_000**-0.5)

    weight = slow_bias_weight(n, 4_000)
    assert bias_corrected(score(n), [score(n // 2)] * 20, "half-sampling", weight) == pytest.approx(0.8)
    assert slow_bias_weight(4_000, 4_000) == slow_bias_weight(9_000, 4_000) == 0.0
