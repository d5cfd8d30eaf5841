"""Distributions of factors: identities, chi-square tests of samples, rejected input."""

import pickle
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from numpy.typing import NDArray
from scipy.stats import chisquare

from disentmetrics.datasets.distribution import MOST_CELLS, FactorDistribution
from disentmetrics.errors import InvalidInputError
from disentmetrics.factors import Factor, FactorSpace

SPACE = FactorSpace([
    Factor("a", 2, "categorical"),
    Factor("b", 3, "ordinal"),
    Factor("c", 4, "circular"),
    Factor("d", 3, "ordinal"),
])  # fmt: skip
EVERY = SPACE.indices_of(np.arange(SPACE.n_combinations))
N = 40_000


def table(*sizes: int, seed: int = 0, holes: float = 0.3) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    made: NDArray[np.float64] = rng.random(sizes) ** 2
    made[rng.random(sizes) < holes] = 0
    made.flat[0] = 1.0
    return made


def brute_force(*tables: tuple[tuple[str, ...], NDArray[np.float64]]) -> NDArray[np.float64]:
    """The probability of each row of the grid, computed by brute force."""
    weights = np.ones(len(EVERY))
    for names, given_table in tables:
        weights *= given_table[tuple(EVERY[:, SPACE.position(name)] for name in names)]
    return np.asarray(weights / weights.sum())


TABLES: dict[str, tuple[tuple[tuple[str, ...], NDArray[np.float64]], ...]] = {
    "uniform": (),
    "one": ((("b",), np.array([1.0, 0, 3])),),
    "pair, turned": ((("d", "b"), table(3, 3)),),
    "two blocks": ((("c", "a"), table(4, 2)), (("b", "d"), table(3, 3, seed=1))),
    "overlapping": (
        (("a", "c"), table(2, 4, holes=0.1)),
        (("c", "d"), table(4, 3, seed=2)),
        (("b",), table(3, seed=3)),
    ),
    "all": ((("b", "d", "a", "c"), table(3, 3, 2, 4)),),
}


def p_value(rows: NDArray[np.int64], probability: NDArray[np.float64]) -> float:
    """Chi-square test of rows of the grid; rows of probability 0 must not occur."""
    counts = np.bincount(rows, minlength=len(probability))
    assert not counts[probability < 1e-12].any()
    possible = probability >= 1e-12
    expected = probability[possible] * len(rows)
    rare = expected < 5
    seen = np.append(counts[possible][~rare], counts[possible][rare].sum())
    meant = np.append(expected[~rare], expected[rare].sum())
    some = meant > 0
    return float(chisquare(seen[some], meant[some] * seen.sum() / meant.sum()).pvalue) if some.sum() > 1 else 1.0


@pytest.mark.parametrize("name", TABLES)
def test_the_probability_is_the_product_of_the_tables(name: str) -> None:
    distribution = FactorDistribution(SPACE, TABLES[name])
    expected = brute_force(*TABLES[name])
    assert distribution.probability(EVERY) == pytest.approx(expected, abs=1e-15)
    assert distribution.probability(EVERY).sum() == pytest.approx(1)
    assert distribution.support_size == np.count_nonzero(expected)
    assert np.array_equal(distribution.support(), EVERY[expected > 0])
    again = distribution.support(np.arange(distribution.support_size))
    assert np.array_equal(np.sort(SPACE.rows_of(again)), np.flatnonzero(expected))


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("names", [("a",), ("d", "b"), ("c", "a", "d"), ("d", "c", "b", "a")])
def test_a_marginal_is_the_sum_over_the_others(name: str, names: tuple[str, ...]) -> None:
    grid = brute_force(*TABLES[name]).reshape(SPACE.sizes)
    axes = [SPACE.position(n) for n in names]
    kept = grid.sum(axis=tuple(k for k in range(4) if k not in axes))
    expected = kept.transpose(np.argsort(np.argsort(axes)))
    assert FactorDistribution(SPACE, TABLES[name]).marginal(*names) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("name", TABLES)
def test_draws_follow_the_probability(name: str, rng: np.random.Generator) -> None:
    distribution = FactorDistribution(SPACE, TABLES[name])
    assert p_value(SPACE.rows_of(distribution.sample(N, rng)), brute_force(*TABLES[name])) > 1e-3


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("fixed", [{"c": 0}, {"b": 0, "d": 0}, {"a": 0, "b": 0, "c": 0, "d": 0}])
def test_draws_given_values_follow_the_conditional_probability(
    name: str, fixed: Mapping[str, int], rng: np.random.Generator
) -> None:
    distribution = FactorDistribution(SPACE, TABLES[name])
    weights = brute_force(*TABLES[name])
    for factor, value in fixed.items():
        weights[EVERY[:, SPACE.position(factor)] != value] = 0
    drawn = distribution.sample(N // 4, rng, fixed=fixed)
    assert p_value(SPACE.rows_of(drawn), weights / weights.sum()) > 1e-3
    exact = distribution.conditional(fixed)
    assert exact.probability(EVERY) == pytest.approx(weights / weights.sum(), abs=1e-15)


@pytest.mark.parametrize("name", TABLES)
def test_fixed_values_can_differ_between_draws(name: str, rng: np.random.Generator) -> None:
    distribution = FactorDistribution(SPACE, TABLES[name])
    given_rows = distribution.sample(N, rng)
    drawn = distribution.sample(N, rng, fixed={"c": given_rows[:, 2], "b": given_rows[:, 1]})
    assert np.array_equal(drawn[:, 1:3], given_rows[:, 1:3])
    assert p_value(SPACE.rows_of(drawn), brute_force(*TABLES[name])) > 1e-3  # total probability


def test_the_chi_square_test_detects_a_wrong_table(rng: np.random.Generator) -> None:
    wrong = FactorDistribution(SPACE, {("b",): [1.0, 0, 2.8]})
    assert p_value(SPACE.rows_of(wrong.sample(N, rng)), brute_force(*TABLES["one"])) < 1e-3


@given(st.integers(0, 2**32), st.integers(0, 3), st.integers(0, 2))
def test_a_product_is_the_product_of_probabilities_renormalised(seed: int, first: int, second: int) -> None:
    pairs = [("a", "b"), ("b", "c"), ("c", "d"), ("d", "a")]
    one, other = pairs[first], pairs[second]
    sizes = [SPACE[name].size or 0 for name in (*one, *other)]
    p = FactorDistribution(SPACE, {one: table(*sizes[:2], seed=seed)})
    q = FactorDistribution(SPACE, {other: table(*sizes[2:], seed=seed + 1)})
    expected = p.probability(EVERY) * q.probability(EVERY)
    if not expected.any():
        with pytest.raises(InvalidInputError, match="at least one combination"):
            p * q
        return
    assert (p * q).probability(EVERY) == pytest.approx(expected / expected.sum(), abs=1e-15)
    assert (p * q).name == f"{p.name}+{q.name}"
    assert (p * FactorDistribution(SPACE)).name == p.name


@pytest.mark.parametrize(
    ("tables", "uniform"),
    [
        ({}, True),
        ({("a",): [1, 2]}, False),
        ({("a",): [0, 2]}, True),
        ({("a", "b"): [[0, 1, 1], [1, 1, 1]], ("c",): [0, 1, 1, 0]}, True),
        ({("a", "b"): [[0, 1, 1], [1, 1, 1]], ("c",): [0, 1, 2, 0]}, False),
        ({("a", "b"): [[7, 7, 7], [7, 7, 7]]}, True),
    ],
)
def test_is_uniform_compares_combinations_of_positive_probability(tables: Any, uniform: bool) -> None:
    distribution = FactorDistribution(SPACE, tables)
    positive = distribution.probability(EVERY)[distribution.probability(EVERY) > 0]
    assert distribution.is_uniform == uniform == bool(np.ptp(positive) < 1e-12)


def test_a_constant_table_is_dropped() -> None:
    assert FactorDistribution(SPACE, {("a", "b"): np.full((2, 3), 0.1)}).name == "uniform"
    rng = np.random.default_rng
    assert np.array_equal(FactorDistribution(SPACE).sample(50, rng(3)), SPACE.sample(50, rng(3)))


def test_conditioning_on_very_unlikely_values_works(rng: np.random.Generator) -> None:
    weights = np.array([[1.0, 1.0, 1.0], [1e-250, 3e-250, 0]])
    distribution = FactorDistribution(SPACE, {("a", "b"): weights})
    drawn = distribution.sample(N, rng, fixed={"a": 1})
    assert p_value(drawn[:, 1], np.array([0.25, 0.75, 0])) > 1e-3


def test_names_are_equal_exactly_for_equal_tables() -> None:
    names = {FactorDistribution(SPACE, tables).name for tables in TABLES.values()}
    assert len(names) == len(TABLES)
    assert FactorDistribution(SPACE, {("b",): [1, 0, 3]}).name == FactorDistribution(SPACE, {("b",): [2, 0, 6]}).name
    assert FactorDistribution(SPACE, {("b",): [1, 0, 3]}).name.startswith("weighted(b,")


def test_it_can_be_pickled() -> None:
    distribution = FactorDistribution(SPACE, TABLES["overlapping"])
    distribution.sample(10, np.random.default_rng(0))
    back = pickle.loads(pickle.dumps(distribution))
    assert np.array_equal(
        back.sample(100, np.random.default_rng(1)), distribution.sample(100, np.random.default_rng(1))
    )
    assert repr(FactorDistribution(SPACE)) == "FactorDistribution(uniform: 72 of 72 combinations)"


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({("a",): [0, 0]}, "at least one combination positive weight; all combinations of a have weight 0"),
        ({("a",): [1, 0], ("a", "b"): [[0, 0, 0], [1, 1, 1]]}, "at least one combination"),
        ({("a",): [1, 2, 3]}, r"must have shape \(2,\); got \(3,\)"),
        ({("a",): [1, -1]}, "finite, non-negative weights"),
        ({("a",): [1, np.nan]}, "finite, non-negative weights"),
        ({("z",): [1]}, "no factor is named 'z'"),
        ({("a", "a"): np.ones((2, 2))}, "each once; got a, a"),
        ({(): np.float64(1)}, "at least one factor must be named"),
    ],
)
def test_invalid_tables_are_rejected(tables: Any, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        FactorDistribution(SPACE, tables)


def test_tables_that_would_not_fit_in_memory_are_rejected() -> None:
    wide = FactorSpace([Factor(f"f{k}", 300, "ordinal") for k in range(4)])
    chain: list[tuple[tuple[str, ...], NDArray[np.float64]]] = [
        ((f"f{k}", f"f{k + 1}"), np.ones((300, 300)) + np.eye(300)) for k in range(3)
    ]
    with pytest.raises(InvalidInputError, match=f"at most {MOST_CELLS:,} entries; f0, f1, f2 have 27,000,000"):
        FactorDistribution(wide, chain)
    with pytest.raises(InvalidInputError, match="make fewer factors depend on each other"):
        FactorDistribution(wide).marginal("f0", "f1", "f2")
    assert FactorDistribution(wide, chain[::2]).support_size == 300**4  # but two blocks are fine
    line = FactorSpace([Factor("t", None, "continuous")])
    with pytest.raises(InvalidInputError, match="needs a grid; these factors are continuous: t"):
        FactorDistribution(line)
    with pytest.raises(InvalidInputError, match="over the same factors"):
        FactorDistribution(wide) * FactorDistribution(SPACE)


@pytest.mark.parametrize(
    ("fixed", "message"),
    [
        ({"z": 0}, "no factor is named 'z'"),
        ({"b": 3}, r"must be fixed to 0 .. 2; got 3 .. 3"),
        ({"b": -1}, r"must be fixed to 0 .. 2"),
        ({"b": 0.5}, "got float64"),
        ({"b": [0, 1]}, r"by 5 indices, one per draw; got int64 of shape \(2,\)"),
        ({"b": 1}, "positive joint probability"),
        ({"a": 1, "c": 2}, "positive joint probability"),
        ({"a": 1, "c": [0, 0, 1, 1, 2]}, "positive joint probability"),
    ],
)
def test_invalid_fixed_values_are_rejected(fixed: Any, message: str, rng: np.random.Generator) -> None:
    holes = np.ones((2, 4))
    holes[1, 2] = 0
    distribution = FactorDistribution(SPACE, {("b",): np.array([1, 0, 3]), ("a", "c"): holes})
    with pytest.raises(InvalidInputError, match=message):
        distribution.sample(5, rng, fixed=fixed)


@pytest.mark.parametrize("given_values", [{"b": 1}, {"b": []}, {"b": [0, 3]}, {"b": [0.5]}, {"z": 0}])
def test_impossible_conditions_are_rejected(given_values: Any) -> None:
    with pytest.raises(InvalidInputError):
        FactorDistribution(SPACE, {("b",): [1, 0, 3]}).conditional(given_values)
