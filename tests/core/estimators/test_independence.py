"""Tests of independence against permutations and against scipy."""

import numpy as np
import pytest
from scipy import stats

from disentmetrics.estimators.independence import false_discovery_gate, independence_p_value
from disentmetrics.estimators.mutual_information import contingency


def drawn(n: int, n_first: int, n_second: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return np.arange(n) % n_first, rng.integers(n_second, size=n)


@pytest.mark.parametrize(("n", "n_first", "n_second"), [(40, 3, 10), (100, 10, 40), (300, 2, 3)])
def test_p_values_of_permuted_rows_are_uniform_also_in_sparse_tables(n: int, n_first: int, n_second: int) -> None:
    first, second = drawn(n, n_first, n_second, 0)
    rng = np.random.default_rng(1)
    p_values = np.array(
        [independence_p_value(contingency(first, rng.permutation(second), n_first, n_second)) for _ in range(2_000)]
    )
    excess = 1.7 if n < n_first * n_second else 1.25  # as the docstring states for sparse tables
    for level in (0.01, 0.05, 0.2):
        assert 0.7 * level <= np.mean(p_values <= level) <= excess * level


def test_it_agrees_with_the_chi_squared_test_where_no_cell_is_sparse() -> None:
    rng = np.random.default_rng(2)
    first = rng.integers(3, size=3_000)
    second = np.where(rng.random(3_000) < 0.06, first, rng.integers(3, size=3_000))
    counts = contingency(first, second, 3, 3)
    assert independence_p_value(counts) == pytest.approx(stats.chi2_contingency(counts)[1], rel=0.03)


def test_empty_rows_and_columns_do_not_count() -> None:
    counts = np.array([[8, 3], [2, 9]])
    padded = np.zeros((4, 5), dtype=int)
    padded[np.ix_([0, 3], [1, 2])] = counts
    assert independence_p_value(padded) == independence_p_value(counts)


@pytest.mark.parametrize("counts", [[[5, 5]], [[5], [5]], [[1, 0], [0, 1]], np.eye(50, dtype=int)])
def test_tables_that_cannot_show_dependence_have_p_1(counts: np.ndarray) -> None:
    assert independence_p_value(np.asarray(counts)) == 1.0


def test_the_gate_agrees_with_scipy() -> None:
    p_values = np.random.default_rng(3).random(40) ** 3
    assert np.array_equal(false_discovery_gate(p_values, 0.05), stats.false_discovery_control(p_values) <= 0.05)


def test_the_gate_lets_nothing_through_where_nothing_is_significant() -> None:
    assert not false_discovery_gate(np.full((3, 2), 0.4), 0.05).any()
