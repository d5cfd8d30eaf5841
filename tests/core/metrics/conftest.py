"""Tables that the tests of several metrics draw."""

from collections.abc import Callable

import numpy as np
import pytest


@pytest.fixture
def mixed() -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """Return a function that draws codes which blur, mix, duplicate and ignore factors of different sizes."""

    def draw(n: int = 3_000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        factors = rng.integers((3, 6, 10, 12), size=(n, 4))
        blurred = factors + 0.7 * rng.normal(size=factors.shape)
        mix = factors[:, :1] + 0.4 * factors[:, 1:2] + 0.1 * rng.normal(size=(n, 1))
        return np.hstack([blurred, mix, np.exp(blurred[:, 2:3] / 4), rng.normal(size=(n, 1)) ** 3]), factors

    return draw


def _with_covariance(covariance: np.ndarray, n: int = 200, seed: int = 0) -> np.ndarray:
    raw = np.random.default_rng(seed).normal(size=(n, len(covariance)))
    raw -= raw.mean(axis=0)
    white = raw @ np.linalg.inv(np.linalg.cholesky(np.cov(raw, rowvar=False))).T
    return np.asarray(white @ np.linalg.cholesky(covariance).T)


@pytest.fixture
def with_covariance() -> Callable[..., np.ndarray]:
    """Return a function that draws codes with exactly the given sample covariance."""
    return _with_covariance


@pytest.fixture
def gaussian() -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """Return a function that draws two latents of correlation rho, and the log variances of their posteriors."""

    def draw(rho: float, blur: float, n: int = 1_500) -> tuple[np.ndarray, np.ndarray]:
        means = _with_covariance(np.array([[1.0, rho], [rho, 1.0]]), n=n)
        return means, np.full(means.shape, np.log(blur))

    return draw
