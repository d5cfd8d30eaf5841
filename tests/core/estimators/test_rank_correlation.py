import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import spearmanr

from disentmetrics.estimators.rank_correlation import rank_correlation, standardise, standardised_ranks


@given(arrays(np.float64, (15, 4), elements=st.integers(-3, 3).map(float)))
def test_agrees_with_scipy_on_tied_values_and_is_zero_where_scipy_has_none(codes: np.ndarray) -> None:
    first, second = codes[:, :3], codes[:, 1:]
    values = rank_correlation(first, second)
    for a in range(3):
        for b in range(3):
            if np.ptp(first[:, a]) and np.ptp(second[:, b]):
                expected = abs(spearmanr(first[:, a], second[:, b]).statistic)
            else:
                expected = 0.0
            assert values[a, b] == pytest.approx(expected, abs=1e-12)


@given(st.integers(0, 2**32 - 1))
def test_strictly_monotone_warps_change_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.normal(size=(40, 3)), rng.normal(size=(40, 2))
    before = rank_correlation(first, second)
    after = rank_correlation(-np.exp(first), second**3)
    np.testing.assert_allclose(after, before, atol=1e-12)
    np.testing.assert_allclose(rank_correlation(second, first), before.T, atol=1e-12)


def test_a_code_that_is_constant_up_to_rounding_has_no_correlation() -> None:
    rng = np.random.default_rng(0)
    wobble = (1000 * (1 + 1e-7 * rng.integers(0, 2, 50))).astype(np.float32)
    codes = np.stack([wobble, rng.normal(size=50)], axis=1).astype(np.float32)
    assert np.ptp(wobble) > 0
    np.testing.assert_array_equal(standardised_ranks(codes)[:, 0], 0)
    np.testing.assert_allclose(rank_correlation(codes, codes), [[0, 0], [0, 1]], atol=1e-12)


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
def test_standardised_columns_have_mean_zero_and_mean_square_one_at_any_scale(scale: float) -> None:
    values = scale * np.random.default_rng(0).normal(size=(30, 2))
    standardised = standardise(values)
    np.testing.assert_allclose(standardised.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(np.square(standardised).mean(axis=0), 1)
    np.testing.assert_array_equal(standardise(np.full((5, 1), 0.1)), 0)
