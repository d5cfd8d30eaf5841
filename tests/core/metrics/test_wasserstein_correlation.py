from collections.abc import Callable

import numpy as np
import pytest
from scipy.linalg import sqrtm

import disentmetrics as dm

COVARIANCE = np.array([[4.0, 1.0, 0.5], [1.0, 1.0, -0.2], [0.5, -0.2, 2.0]])


def labels(codes: np.ndarray) -> np.ndarray:
    return np.zeros(len(codes), dtype=int)


def score(name: str, codes: np.ndarray, **options: object) -> dm.Score:
    result: dm.Score = getattr(dm.metrics, name)(codes, labels(codes), **options)
    return result


def test_wasserstein_correlation_of_a_known_covariance(with_covariance: Callable[..., np.ndarray]) -> None:
    codes = with_covariance(COVARIANCE)
    root = np.diag(np.sqrt(np.diag(COVARIANCE)))
    expected = 2 * np.trace(COVARIANCE) - 2 * np.trace(sqrtm(root @ COVARIANCE @ root)).real
    result = score("wasserstein_correlation", codes, protocol="locatello2019")
    assert result.value == pytest.approx(expected, abs=1e-9)
    assert result.parts["normalised"].value == pytest.approx(expected / np.trace(COVARIANCE), abs=1e-9)


@pytest.mark.parametrize("d", [2, 5])
def test_wasserstein_correlation_of_copies_is_finite(d: int) -> None:
    codes = np.repeat(np.random.default_rng(0).normal(size=(100, 1)), d, axis=1)
    assert score("wasserstein_correlation", codes).value == pytest.approx(2 * d - 2 * np.sqrt(d))
