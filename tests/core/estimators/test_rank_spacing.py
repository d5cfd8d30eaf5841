from collections.abc import Callable
from math import comb

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy.special import digamma

from disentmetrics.estimators.rank_spacing import rank_spacing_information, sort_code


def information(code: np.ndarray, labels: np.ndarray) -> float:
    return rank_spacing_information(sort_code(code), labels, int(labels.max()) + 1)


@pytest.mark.parametrize(("n", "n_v", "m"), [(12, 5, 3), (30, 7, 4), (9, 2, 1)])
def test_the_mean_log_gap_under_independence_is_the_closed_form(n: int, n_v: int, m: int) -> None:
    """The identity on which the estimator is based, summed over the exact distribution of the gap."""
    gaps = np.arange(m, n)
    share = np.array([comb(s - 1, m - 1) * comb(n - s, n_v - m) / comb(n, n_v) for s in gaps])
    assert share.sum() == pytest.approx(1.0)
    expected = digamma(n + 1) - digamma(n_v + 1) + digamma(m)
    assert share @ digamma(gaps) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("n_values", [2, 7, 40])
def test_an_unrelated_code_has_no_information_on_average(n_values: int) -> None:
    rng = np.random.default_rng(n_values)
    labels = rng.integers(n_values, size=800)
    found = [information(rng.normal(size=800), labels) for _ in range(400)]
    assert abs(np.mean(found)) < 4 * np.std(found) / 20


@pytest.mark.parametrize("make", ["relu", "rounded", "integers"])
def test_ties_leave_an_unrelated_code_without_information(make: str) -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(5, size=2_000)
    tied: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "relu": lambda z: np.maximum(z, 0),
        "rounded": lambda z: np.round(z, 3),
        "integers": lambda z: np.round(8 * z),
    }
    found = [information(tied[make](rng.normal(size=2_000)), labels) for _ in range(100)]
    assert abs(np.mean(found)) < 0.003


@given(st.integers(2, 60), st.integers(0, 2**32 - 1), st.booleans())
def test_a_latent_that_separates_the_values_carries_all_information(n_values: int, seed: int, atoms: bool) -> None:
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(n_values), rng.integers(8, 40, size=n_values))
    code = rng.permutation(n_values)[labels] + (0 if atoms else rng.uniform(0, 0.9, size=len(labels)))
    p = np.bincount(labels) / len(labels)
    assert information(code, labels) == pytest.approx(-(p * np.log(p)).sum(), rel=1e-3)


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.1, 1.0]))
def test_a_strictly_monotone_warp_and_the_order_of_rows_change_nothing(seed: int, grain: float) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(4, size=400)
    code = np.round((labels + rng.normal(size=400)) / grain) * grain
    order = rng.permutation(400)
    plain = information(code, labels)
    assert information(np.exp(code), labels) == pytest.approx(plain, abs=1e-12)
    assert information(-code, labels) == pytest.approx(plain, abs=1e-9)
    assert information(code[order], labels[order]) == pytest.approx(plain, abs=1e-9)


@pytest.mark.parametrize(("n_values", "sd"), [(3, 0.3), (3, 1.0), (10, 1.0), (40, 1.0), (40, 3.0)])
def test_a_blurred_code_has_the_information_that_quadrature_gives(n_values: int, sd: float) -> None:
    grid = np.linspace(-8 * sd, n_values + 8 * sd, 40_001)
    centres = np.arange(n_values)[:, None]
    density = (np.exp(-((grid - centres) ** 2) / (2 * sd**2)) / (sd * np.sqrt(2 * np.pi))).mean(axis=0)
    inside = density > 0
    whole = -np.trapezoid(density[inside] * np.log(density[inside]), grid[inside])
    truth = whole - 0.5 * np.log(2 * np.pi * np.e * sd**2)
    rng = np.random.default_rng(3)
    labels = rng.integers(n_values, size=20_000)
    found = information(labels + sd * rng.normal(size=20_000), labels)
    assert found == pytest.approx(truth, abs=0.006 * np.log(n_values))


def test_partly_atomic_codes_add_the_information_of_both_parts() -> None:
    """Half of the rows share one atom without information, the others determine the two values."""
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=40_000)
    silent = rng.random(40_000) < 0.5
    code = np.where(silent, -1.0, labels + rng.uniform(0, 0.5, size=40_000))
    assert information(code, labels) == pytest.approx(0.5 * np.log(2), abs=0.01)


def test_one_row_of_each_value_carries_no_information() -> None:
    assert information(np.arange(6.0), np.arange(6)) == 0.0
