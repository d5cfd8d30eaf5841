"""Correlation of latents and factors against numpy, scipy and scikit-learn."""

from typing import Literal

import numpy as np
import pytest
from hypothesis import given, strategies as st
from numpy.typing import NDArray
from scipy.stats import pearsonr, spearmanr
from sklearn.linear_model import LinearRegression

from disentmetrics.estimators.assignment import one_to_one_assignment
from disentmetrics.factors import Factor, FactorSpace, Kind
from disentmetrics.representation import Representation
from disentmetrics.statistics.association import best_and_second, correlation_matrix

Floats = NDArray[np.float64]
Correlation = Literal["pearson", "spearman"]


def space(*kinds: Kind, size: int = 5) -> FactorSpace:
    return FactorSpace([Factor(f"v{k}", None if kind == "continuous" else size, kind) for k, kind in enumerate(kinds)])


def test_correlation_of_numbers_is_that_of_numpy_and_scipy() -> None:
    rng = np.random.default_rng(0)
    values = np.stack([rng.integers(5, size=200), rng.normal(size=200)], axis=1)
    codes = np.exp(values @ rng.normal(size=(2, 4))) + rng.normal(size=(200, 4))
    table = Representation(codes, values, space=space("ordinal", "continuous"))
    pearson = [[abs(pearsonr(z, v).statistic) for v in values.T] for z in codes.T]
    spearman = [[abs(spearmanr(z, v).statistic) for v in values.T] for z in codes.T]
    np.testing.assert_allclose(correlation_matrix(table), pearson, atol=1e-12)
    np.testing.assert_allclose(correlation_matrix(table), np.abs(np.corrcoef(codes.T, values.T))[:4, 4:], atol=1e-12)
    np.testing.assert_allclose(correlation_matrix(table, "spearman"), spearman, atol=1e-12)


@pytest.mark.parametrize("kind", ["categorical", "circular"])
def test_correlation_with_several_columns_is_the_multiple_one(kind: Kind) -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(5, size=300)
    codes = np.stack([np.cos(2 * np.pi * labels / 5 + 1), (labels == 2) + 0.1 * labels, rng.normal(size=300)], axis=1)
    codes += 0.2 * rng.normal(size=codes.shape)
    table = Representation(codes, labels, space=space(kind))
    columns = np.eye(5)[labels] if kind == "categorical" else np.exp(2j * np.pi * labels / 5).view(float).reshape(-1, 2)
    expected = [np.sqrt(LinearRegression().fit(columns, code).score(columns, code)) for code in codes.T]
    np.testing.assert_allclose(correlation_matrix(table)[:, 0], expected, atol=1e-10)


@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_rows_without_a_label_are_left_out_for_that_factor_only(method: Correlation) -> None:
    rng = np.random.default_rng(2)
    values = rng.integers(5, size=(120, 3))
    codes = values + rng.normal(size=(120, 3))
    kinds = space("ordinal", "categorical", "circular")
    holes = values.copy()
    holes[:50, 1] = holes[50:80, 2] = -1
    found = correlation_matrix(Representation(codes, holes, space=kinds), method)
    for position, rows in enumerate((slice(None), slice(50, None), np.r_[0:50, 80:120])):
        whole = Representation(codes[rows], values[rows], space=kinds)
        expected = correlation_matrix(whole, method)[:, position]
        np.testing.assert_allclose(found[:, position], expected, atol=1e-12)


@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_what_is_constant_correlates_with_nothing(method: Correlation) -> None:
    rng = np.random.default_rng(3)
    factors = np.stack([rng.integers(5, size=50), np.full(50, 3), np.full(50, 2), np.full(50, -1)], axis=1)
    codes = np.stack([np.full(50, 0.1), rng.normal(size=50)], axis=1)
    table = Representation(codes, factors, space=space("ordinal", "categorical", "circular", "ordinal"))
    found = correlation_matrix(table, method)
    assert (found[0] == 0).all()
    assert (found[:, 1:] == 0).all()
    assert 0 < found[1, 0] < 1


def test_a_single_labelled_row_correlates_with_nothing() -> None:
    factors = np.full((10, 1), -1)
    factors[4] = 2
    table = Representation(np.arange(10.0), factors, space=space("ordinal"))
    assert correlation_matrix(table).tolist() == [[0.0]]


def test_extreme_scales_neither_overflow_nor_vanish() -> None:
    values = np.arange(40) % 5
    codes = np.stack([1e300 * (values - 2.0), 1e-300 * values, 1e12 + values], axis=1)
    np.testing.assert_allclose(
        correlation_matrix(Representation(codes, values, space=space("ordinal"))), 1.0, atol=1e-6
    )


@given(seed=st.integers(0, 2**32 - 1), shape=st.tuples(st.integers(1, 5), st.integers(1, 5)))
def test_best_second_and_matched_against_all_pairings(seed: int, shape: tuple[int, int]) -> None:
    from itertools import permutations

    matrix = np.random.default_rng(seed).random(shape)
    best, second = best_and_second(matrix)
    ranked = np.sort(np.vstack([matrix, np.zeros((1, shape[1]))]), axis=0) if shape[0] == 1 else np.sort(matrix, axis=0)
    np.testing.assert_array_equal(best, ranked[-1])
    np.testing.assert_array_equal(second, ranked[-2])
    np.testing.assert_array_equal(best_and_second(matrix, axis=1), best_and_second(matrix.T))
    codes, factors = one_to_one_assignment(matrix)
    tall = matrix if shape[0] >= shape[1] else matrix.T
    largest = max(
        tall[list(pick), range(tall.shape[1])].sum() for pick in permutations(range(len(tall)), tall.shape[1])
    )
    assert matrix[codes, factors].sum() == pytest.approx(largest)
    assert len(set(codes.tolist())) == len(set(factors.tolist())) == min(shape)
