"""The density-ratio estimate of total correlation against the closed form for Gaussians."""

import math
from typing import Any

import numpy as np
import pytest
from disentmetrics_reference_models.analysis.density_ratio import density_ratio
from numpy.typing import NDArray

from disentmetrics.errors import InvalidInputError


def gaussian(covariance: NDArray[np.float64], n: int = 8_000) -> NDArray[np.float64]:
    return np.random.default_rng(1).multivariate_normal(np.zeros(len(covariance)), covariance, n)


def closed_form(covariance: NDArray[np.float64]) -> float:
    return float(0.5 * (np.log(np.diag(covariance)).sum() - np.linalg.slogdet(covariance)[1]))


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9])
def test_the_total_correlation_of_a_gaussian_pair_is_estimated_from_below(correlation: float) -> None:
    covariance = np.array([[1.0, correlation], [correlation, 1.0]])
    estimate = density_ratio(gaussian(covariance), n_steps=400)
    truth = closed_form(covariance)
    assert estimate.total_correlation == pytest.approx(truth, abs=0.02 + 0.07 * truth)
    assert estimate.total_correlation < truth + 3 * estimate.standard_error
    assert estimate.accuracy == pytest.approx(0.5, abs=0.03) if correlation == 0 else estimate.accuracy > 0.57


def test_scales_shifts_and_constant_latents_do_not_change_the_estimate() -> None:
    covariance = np.array([[1.0, 0.6, 0.3], [0.6, 1.0, 0.5], [0.3, 0.5, 1.0]])
    codes = gaussian(covariance)
    estimate = density_ratio(codes, n_steps=300)
    assert estimate.total_correlation == pytest.approx(closed_form(covariance), abs=0.06)
    moved = np.c_[codes * [1e3, 1.0, 1e-3] + 7.0, np.full(len(codes), 3.0)]
    assert density_ratio(moved, n_steps=300).total_correlation == pytest.approx(estimate.total_correlation, abs=1e-3)
    assert density_ratio(codes, n_steps=300) == estimate
    assert density_ratio(codes[:, :1], n_steps=300) == (0.0, 0.0, 0.5)


def test_dependence_without_correlation_is_detected() -> None:
    rng = np.random.default_rng(0)
    signs = rng.integers(0, 2, (8_000, 2)) * 2 - 1
    codes = np.c_[signs, signs.prod(1)] + 0.1 * rng.standard_normal((8_000, 3))
    estimate = density_ratio(codes, n_steps=400)
    assert np.abs(np.corrcoef(codes.T)[np.triu_indices(3, 1)]).max() < 0.05
    assert estimate.total_correlation == pytest.approx(math.log(2), rel=0.35)  # half of the corners contain no codes


@pytest.mark.parametrize(
    ("codes", "changes", "message"),
    [
        (np.zeros((50, 2)), {}, "at least 100 rows and one column; got shape (50, 2)"),
        (np.zeros(500), {}, "must be a matrix"),
        (np.full((200, 2), np.nan), {}, "with values that are not finite"),
        (np.zeros((200, 2)), {"n_steps": 0}, "n_steps must be at least 1; got 0"),
        (np.zeros((200, 2)), {"learning_rate": 0.0}, "learning_rate must be above 0"),
    ],
)
def test_invalid_settings_raise_errors(codes: Any, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        density_ratio(codes, **changes)
    assert message in str(refused.value)
