"""Batches that share a factor and pairs that differ in few, compared with an enumeration of a small grid."""

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import chisquare

from disentmetrics.datasets.base import DataSet
from disentmetrics.datasets.distribution import FactorDistribution
from disentmetrics.datasets.pairs import change_pairs, shared_factor_batches
from disentmetrics.datasets.transforms.distributions import correlated, only, without
from disentmetrics.errors import InvalidInputError
from disentmetrics.factors import Factor, FactorSpace

N = 30_000


class Small(DataSet):
    name = "small"
    fingerprint = "small-1"
    space = FactorSpace([Factor(name, size, "ordinal") for name, size in (("a", 2), ("b", 3), ("c", 3), ("d", 1))])
    observation_shape = (4,)

    def make(self, factors: NDArray[Any], nuisance: NDArray[np.uint64]) -> NDArray[np.float64]:
        return np.asarray(factors, np.float64)


class NoisySmall(Small):
    fingerprint = "noisy-small-1"
    nuisances = ("noise",)


SPACE = Small.space
GRID = SPACE.indices_of(np.arange(18))
DISTRIBUTIONS = {
    "uniform": FactorDistribution(SPACE),
    "correlated": correlated(SPACE, "b", "c", 0.9),
    "holes": without(SPACE, {"a": [1], "b": [0, 2]}),
    "all dependent": FactorDistribution(SPACE, {("c", "a", "b"): np.random.default_rng(1).random((3, 2, 3)) ** 3}),
    "a diagonal and a hole": only(SPACE, {"b": [0, 1]})
    * correlated(SPACE, "b", "c", sigma=0.05)
    * without(SPACE, {"a": 0, "c": 1}),
}


def data_of(name: str) -> DataSet:
    return Small().with_distribution(DISTRIBUTIONS[name])


def p_value(counts: NDArray[np.int64], probability: NDArray[np.float64]) -> float:
    counts, probability = counts.ravel(), probability.ravel()
    assert not counts[probability < 1e-12].any()
    expected = probability * counts.sum()
    common = expected > 5
    seen = np.append(counts[common], counts[~common].sum())
    meant = np.append(expected[common], expected[~common].sum())
    return float(chisquare(seen[meant > 0], meant[meant > 0]).pvalue) if (meant > 0).sum() > 1 else 1.0


def pair_probabilities(
    p: NDArray[np.float64], numbers: tuple[int, int], able: tuple[int, ...], *, redraw: bool
) -> NDArray[np.float64]:
    """The probability of first, second and choice of factors, by enumeration."""
    choices = [c for k in range(numbers[0], numbers[1] + 1) for c in combinations(able, k)]
    n_choices = {k: sum(len(c) == k for c in choices) for k in range(len(able) + 1)}
    expected = np.zeros((18, 18, 16))
    for choice in choices:
        weight = 1 / n_choices[len(choice)] / (numbers[1] - numbers[0] + 1)
        code = sum(1 << k for k in choice)
        kept = [k for k in range(4) if k not in choice]
        for i in np.flatnonzero(p):
            fits = (GRID[:, kept] == GRID[i, kept]).all(axis=1)
            if not redraw:
                fits &= (GRID[:, list(choice)] != GRID[i, list(choice)]).all(axis=1)
            possible = p * fits
            if possible.any():
                expected[i, :, code] += p[i] * weight * possible / possible.sum()
    return np.asarray(expected / expected.sum())


@pytest.mark.parametrize("name", DISTRIBUTIONS)
@pytest.mark.parametrize("redraw", [False, True])
@pytest.mark.parametrize("numbers", [(1, 1), (2, 2), (1, 3), (3, 3)])
def test_pairs_follow_their_distribution(name: str, numbers: tuple[int, int], redraw: bool) -> None:
    p = DISTRIBUTIONS[name].probability(GRID)
    able = tuple(k for k in range(3) if np.count_nonzero(DISTRIBUTIONS[name].marginal("abc"[k])) > 1)
    expected = pair_probabilities(p, numbers, able, redraw=redraw) if numbers[1] <= len(able) else np.zeros(1)
    rng = np.random.default_rng(7)
    n_changed = numbers if numbers[0] < numbers[1] else numbers[0]
    pairs = change_pairs(data_of(name), N, rng, n_changed=n_changed, redraw=redraw)
    counts = np.zeros((18, 18, 16), np.int64)
    codes = pairs.changed @ (1 << np.arange(4))
    np.add.at(counts, (SPACE.rows_of(pairs.first.factors), SPACE.rows_of(pairs.second.factors), codes), 1)
    assert p_value(counts, expected) > 1e-3


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_named_factors_change_and_no_others(name: str, rng: np.random.Generator) -> None:
    p = DISTRIBUTIONS[name].probability(GRID)
    pairs = change_pairs(data_of(name), N, rng, factors=["c"])
    assert np.array_equal(pairs.changed, np.tile([False, False, True, False], (N, 1)))
    assert np.array_equal(pairs.first.factors != pairs.second.factors, pairs.changed)
    counts = np.zeros((18, 18), np.int64)
    np.add.at(counts, (SPACE.rows_of(pairs.first.factors), SPACE.rows_of(pairs.second.factors)), 1)
    assert p_value(counts, pair_probabilities(p, (1, 1), (2,), redraw=False).sum(axis=2)) > 1e-3


def test_the_chi_square_test_detects_a_wrong_distribution(rng: np.random.Generator) -> None:
    pairs = change_pairs(data_of("correlated"), N, rng)
    counts = np.zeros((18, 18, 16), np.int64)
    codes = pairs.changed @ (1 << np.arange(4))
    np.add.at(counts, (SPACE.rows_of(pairs.first.factors), SPACE.rows_of(pairs.second.factors), codes), 1)
    nearly = correlated(SPACE, "b", "c", 0.88).probability(GRID)
    assert p_value(counts, pair_probabilities(nearly, (1, 1), (0, 1, 2), redraw=False)) < 1e-3


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_batches_share_one_factor_and_follow_the_distribution(name: str, rng: np.random.Generator) -> None:
    n, size = 6000, 4
    batches = shared_factor_batches(data_of(name), n, size, rng)
    drawn = batches.draws.factors.reshape(n, size, 4)
    p = DISTRIBUTIONS[name].probability(GRID)
    for column in range(3):
        of_factor = drawn[batches.factor == column]
        if not np.ptp(GRID[p > 0, column]):
            assert not len(of_factor)
            continue
        assert (of_factor[:, :, column] == of_factor[:, :1, column]).all()
        rows = SPACE.rows_of(of_factor.reshape(-1, 4)).reshape(-1, size)
        assert p_value(np.bincount(rows[:, 0], minlength=18), p) > 1e-3  # the value has the expected frequency
        pairs = np.zeros((18, 18))  # and two of a batch are independent given it
        for value in range(3):
            conditional = p * (GRID[:, column] == value)
            if conditional.any():
                pairs += np.outer(conditional, conditional) / conditional.sum()
        counts = np.zeros((18, 18), np.int64)
        np.add.at(counts, (rows[:, 1], rows[:, 3]), 1)
        assert p_value(counts, pairs) > 1e-3
    able = [k for k in range(3) if np.ptp(GRID[p > 0, k])]
    assert chisquare(np.bincount(batches.factor, minlength=4)[able]).pvalue > 1e-3
    assert set(batches.factor) == set(able)


def test_batches_of_named_factors(rng: np.random.Generator) -> None:
    batches = shared_factor_batches(Small(), 300, 2, rng, factors=["c", "a"])
    assert set(batches.factor) == {0, 2}
    assert len(batches.draws) == 600


def test_nuisances_of_a_pair_are_independent(rng: np.random.Generator) -> None:
    pairs = change_pairs(NoisySmall(), 100, rng)
    assert len({*pairs.first.nuisance, *pairs.second.nuisance}) == 200
    still = change_pairs(Small(), 100, rng)
    assert np.array_equal(still.second.nuisance, SPACE.rows_of(still.second.factors))
    batches = shared_factor_batches(NoisySmall(), 10, 10, rng)
    assert len(set(batches.draws.nuisance)) == 100


def test_the_generator_determines_the_sample() -> None:
    first, again = (change_pairs(data_of("holes"), 50, np.random.default_rng(2), n_changed=(1, 2)) for _ in range(2))
    assert np.array_equal(first.second.factors, again.second.factors)


def test_strongly_correlated_factors_still_change_one_by_one(rng: np.random.Generator) -> None:
    """Rejection sampling nearly always fails here, so possible values are enumerated."""

    class Wide(Small):
        space = FactorSpace([Factor("x", 32, "ordinal"), Factor("y", 32, "ordinal")])

    pairs = change_pairs(
        Wide().with_distribution(correlated(Wide.space, "x", "y", sigma=0.008)), 20_000, rng, factors=["x"]
    )
    step = np.abs(pairs.first.factors[:, 0] - pairs.second.factors[:, 0])
    assert step.min() == 1
    # Seen from the diagonal, the neighbours on its two sides are alike, and likeliest by far.
    on_it = pairs.first.factors[:, 0] == pairs.first.factors[:, 1]
    inside = on_it & (pairs.first.factors[:, 0] > 0) & (pairs.first.factors[:, 0] < 31)
    ups = (pairs.second.factors[inside, 0] > pairs.first.factors[inside, 0]).sum()
    assert chisquare([ups, inside.sum() - ups]).pvalue > 1e-3
    assert (step[inside] == 1).mean() > 0.99


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_changed": 4}, "n_changed from 1 to 3"),
        ({"n_changed": 0}, "n_changed from 1 to 3"),
        ({"n_changed": (2, 1)}, r"got n = 5 and n_changed = \(2, 1\)"),
        ({"factors": ["d"]}, "n_changed from 1 to 0"),
        ({"factors": ["bb"]}, "no factor is named 'bb'"),
        ({"factors": ["b", "b"]}, "named once"),
    ],
)
def test_impossible_pairs_are_rejected(options: Any, message: str, rng: np.random.Generator) -> None:
    with pytest.raises(InvalidInputError, match=message):
        change_pairs(Small(), 5, rng, **options)


def test_factors_that_never_differ_alone_are_rejected(rng: np.random.Generator) -> None:
    diagonal = FactorDistribution(SPACE, {("b", "c"): np.eye(3)})
    with pytest.raises(InvalidInputError, match="must not be too rare"):
        change_pairs(Small().with_distribution(diagonal), 5, rng, factors=["b"])
    both = change_pairs(Small().with_distribution(diagonal), 500, rng, factors=["b", "c"], n_changed=2)
    assert (both.second.factors[:, 1] == both.second.factors[:, 2]).all()
    one = Small().with_distribution(only(SPACE, {"a": 0, "b": 0, "c": 0}))
    for draw in (change_pairs, lambda data, n, rng: shared_factor_batches(data, n, 2, rng)):
        with pytest.raises(InvalidInputError, match="all are constant"):
            draw(one, 5, rng)


def test_empty_batches_are_rejected(rng: np.random.Generator) -> None:
    for n, size in ((0, 3), (3, 0)):
        with pytest.raises(InvalidInputError, match="n and size must be at least 1"):
            shared_factor_batches(Small(), n, size, rng)
    with pytest.raises(InvalidInputError, match="n must be at least 1"):
        change_pairs(Small(), 0, rng)
