import numpy as np
import pytest
from scipy.stats import norm
from sklearn.linear_model import LinearRegression

import disentmetrics as dm
from disentmetrics.errors import InvalidInputError


def normal(n: int, k: int, correlation: float = 0.0, seed: int = 0) -> np.ndarray:
    covariance = np.full((k, k), correlation) + (1 - correlation) * np.eye(k)
    return np.random.default_rng(seed).multivariate_normal(np.zeros(k), covariance, size=n)


def test_p_values_of_t_mex_are_those_of_residual_products() -> None:
    """Reference implementation: least squares on the other folds, normalised sum of products."""
    factors = normal(600, 3, correlation=0.5)
    codes = factors @ normal(3, 2, seed=3) + normal(600, 2, seed=4)
    table = dm.Representation(codes, factors)
    score = dm.metrics.tmex.score(table, "linear", n_folds=2)
    from disentmetrics.representation.resampling import folds

    splits = folds(table, np.arange(600), 2, 0)
    for k in range(3):
        rest = np.delete(factors, k, axis=1)
        for j in range(2):
            products = []
            for train, test in splits:
                left = [
                    values[test] - LinearRegression().fit(rest[train], values[train]).predict(rest[test])
                    for values in (factors[:, k], codes[:, j])
                ]
                products.append(left[0] * left[1])
            together = np.concatenate(products)
            t = together.mean() / together.std(ddof=1) * np.sqrt(600)
            assert score.details["p_values"][j, k] == pytest.approx(2 * norm.sf(abs(t)), rel=1e-6)


@pytest.mark.parametrize("protocol", ["default", "linear"])
def test_perfect_codes_of_dependent_factors_are_exclusive(protocol: str) -> None:
    """Each latent depends on every factor, but given the others only on its own."""
    rng = np.random.default_rng(0)
    first = rng.integers(4, size=1_500)
    factors = np.stack([first, (first + rng.integers(3, size=1_500)) // 2, rng.integers(4, size=1_500)], axis=1)
    score = dm.metrics.tmex(-factors[:, [1, 2, 0]].astype(float), factors, protocol=protocol)
    assert score.value == 1.0
    assert score.details["expected"].tolist() == [[0, 1, 0], [0, 0, 1], [1, 0, 0]]


def test_level_of_the_exclusive_cells() -> None:
    """Blurred codes of dependent factors: about one in twenty exclusive cells is rejected, and no more."""
    shares = []
    for seed in range(8):
        factors = normal(800, 4, correlation=0.5, seed=seed)
        codes = factors + normal(800, 4, seed=100 + seed)
        score = dm.metrics.tmex(codes, factors, protocol="linear")
        assert score.parts["found"].value == 1.0
        shares.append(score.parts["exclusive"].value)
    assert 0.88 < np.mean(shares) <= 1.0


def test_mixing_missing_and_unrelated_codes_disagree() -> None:
    factors = normal(1_000, 3)
    mixed = dm.metrics.tmex(factors + 0.5 * factors[:, [1, 2, 0]], factors, protocol="linear")
    assert mixed.value == pytest.approx(6 / 9)
    assert mixed.parts["exclusive"].value == pytest.approx(0.5)
    short = dm.metrics.tmex(factors[:, :2], factors, protocol="linear")
    assert short.value == pytest.approx(8 / 9)
    assert short.parts["found"].value == pytest.approx(2 / 3)
    noise = dm.metrics.tmex(normal(1_000, 3, seed=5), factors, protocol="linear")
    assert noise.parts["found"].value == 0.0


def test_a_given_pattern_is_what_is_compared() -> None:
    factors = normal(700, 2)
    own = np.eye(2)
    assert dm.metrics.tmex(factors, factors, protocol="linear", expected=own).value == 1.0
    assert dm.metrics.tmex(factors, factors, protocol="linear", expected=1 - own).value == 0.0
    with pytest.raises(InvalidInputError, match="expected must contain 0 or 1 for 2 latents and 2 factors"):
        dm.metrics.tmex(factors, factors, expected=np.eye(3))
    with pytest.raises(InvalidInputError, match="alpha must be between 0 and 1"):
        dm.metrics.tmex(factors, factors, alpha=1.0)


def test_what_cannot_be_tested_is_said() -> None:
    factors = np.random.default_rng(0).integers(4, size=(300, 2))
    twice = np.c_[factors, factors[:, 0] * 2]  # the first and the last are functions of each other
    score = dm.metrics.tmex(factors.astype(float), twice, protocol="linear")
    assert np.isnan(score.per_factor["factor_0"])
    assert any("not tested, because constant" in note for note in score.notes)
    assert any("with 300 rows these tests have little power" in note for note in score.notes)
