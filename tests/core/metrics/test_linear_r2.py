from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import cross_val_predict

import disentmetrics as dm


def normal(n: int, k: int, correlation: float = 0.0, seed: int = 0) -> np.ndarray:
    covariance = np.full((k, k), correlation) + (1 - correlation) * np.eye(k)
    return np.random.default_rng(seed).multivariate_normal(np.zeros(k), covariance, size=n)


def test_a_shift_of_the_codes_does_not_matter() -> None:
    """Fitted without intercept, R2(Z + 3, Z) is 0 in identifiability-guard 0.1.0."""
    factors = normal(300, 3)
    assert dm.metrics.linear_r2(factors + 3, factors).value == pytest.approx(1.0)
    assert dm.metrics.linear_r2(1e6 - factors, factors + 40).value == pytest.approx(1.0)


def test_linear_r2_is_the_share_of_variance_on_rows_left_out() -> None:
    factors = normal(2_000, 2)
    codes = factors @ [[1.0, 0.5], [-0.3, 1.0]] + normal(2_000, 2, seed=1)
    score = dm.metrics.linear_r2(codes, factors)
    y_pred = cross_val_predict(LinearRegression(), codes, factors, cv=5)
    expected = 1 - ((y_pred - factors) ** 2).mean(axis=0) / factors.var(axis=0)
    assert list(score.per_factor.values()) == pytest.approx(expected, abs=0.005)
    back = cross_val_predict(LinearRegression(), factors, codes, cv=5)
    expected_back = (1 - ((back - codes) ** 2).mean(axis=0) / codes.var(axis=0)).mean()
    assert score.parts["codes_from_factors"].value == pytest.approx(expected_back, abs=0.005)


def test_noise_scores_0_for_any_number_of_latents() -> None:
    """In sample, R² of noise reaches d / n: 0.66 for 200 latents on 300 rows."""
    factors, codes = normal(300, 2), normal(300, 200, seed=1)
    assert LinearRegression().fit(codes, factors).score(codes, factors) > 0.6
    score = dm.metrics.linear_r2(codes, factors)
    assert score.value == 0
    assert (score.details["held_out"] < 0).all()


HEAVY: dict[str, Callable[[Any, Any], Any]] = {
    "t(1.5) noise": lambda z, rng: z + stats.t(1.5).rvs(z.shape, random_state=rng),
    "Cauchy noise": lambda z, rng: z + stats.cauchy.rvs(size=z.shape, random_state=rng),
    "t(1.5) quantiles": lambda z, _: stats.t(1.5).ppf(stats.norm.cdf(z)),
    "exp(3 z)": lambda z, _: np.exp(3 * z),
    "z^9": lambda z, _: z**9,
    "one outlier": lambda z, _: np.where(np.arange(len(z))[:, None] == 7, 1e4, z),
}


@pytest.mark.parametrize("kind", HEAVY)
def test_heavy_tails_of_one_code_are_bounded_noted_and_leave_other_factors_alone(kind: str) -> None:
    rng = np.random.default_rng(3)
    factors = normal(1_000, 3)
    codes = factors.copy()
    codes[:, :1] = HEAVY[kind](factors[:, :1], rng)
    score = dm.metrics.linear_r2(codes, factors)
    first, *others = score.per_factor.values()
    assert others == pytest.approx([1.0, 1.0])
    assert 0 <= first < 0.7
    assert score.value == pytest.approx((2 + first) / 3)
    assert "10 of 1000 rows have more than half of the variance of z0, so that least squares" in " ".join(score.notes)


def test_a_heavy_tailed_factor_that_is_encoded_linearly_scores_1_without_a_note() -> None:
    """Predictions must not be clipped to the range of the training rows: the largest value lies outside."""
    factors = stats.cauchy.rvs(size=(1_000, 2), random_state=0)
    score = dm.metrics.linear_r2(factors @ [[2.0, 1.0], [-1.0, 2.0]] + 1, factors)
    assert score.value == pytest.approx(1.0)
    assert not score.notes


def test_light_tails_need_no_note() -> None:
    factors = normal(1_000, 2)
    for codes in (normal(1_000, 2, seed=1), np.random.default_rng(0).laplace(size=(1_000, 2)), factors[:, :1]):
        assert not dm.metrics.linear_r2(codes, factors).notes


def test_the_interval_of_heavy_tailed_codes_lies_within_the_bounds() -> None:
    factors = normal(400, 2)
    score = dm.score(dm.Representation(np.exp(3 * factors), factors), ["linear_r2"])["linear_r2"]
    assert score.bounds == (0.0, 1.0)
    assert score.interval is not None
    assert 0 <= score.interval.low <= score.value <= score.interval.high <= 1


def test_the_two_directions_distinguish_missing_factors_from_extra_noise() -> None:
    factors = normal(500, 3)
    noisy = dm.metrics.linear_r2(np.hstack([factors, normal(500, 3, seed=1)]), factors)
    short = dm.metrics.linear_r2(factors[:, :2], factors)
    assert noisy.value == pytest.approx(1.0)
    assert noisy.parts["codes_from_factors"].value == pytest.approx(0.5, abs=0.02)
    assert short.value == pytest.approx(2 / 3, abs=0.02)
    assert short.parts["codes_from_factors"].value == pytest.approx(1.0)


def test_orthogonality_error_is_0_for_rotations_and_largest_for_one_direction() -> None:
    factors = normal(4_000, 3)
    factors = (factors - factors.mean(axis=0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(factors.T))).T
    rotation = np.linalg.qr(normal(3, 3, seed=2))[0]
    error = {
        name: dm.metrics.linear_r2(codes, factors).details["orthogonality_error"][0]
        for name, codes in {
            "rotated": 7 * factors @ rotation + 3,
            "stretched": factors * [1.0, 1.0, 2.0],
            "flat": factors @ np.ones((3, 2)),
        }.items()
    }
    assert error["rotated"] == pytest.approx(0.0, abs=1e-10)
    assert error["stretched"] == pytest.approx(np.linalg.norm([0.5 - 1, 0.5 - 1, 2.0 - 1]) / np.sqrt(3))
    assert error["flat"] == pytest.approx(np.sqrt(2))
