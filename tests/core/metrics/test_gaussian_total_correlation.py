from collections.abc import Callable

import numpy as np
import pytest

import disentmetrics as dm

COVARIANCE = np.array([[4.0, 1.0, 0.5], [1.0, 1.0, -0.2], [0.5, -0.2, 2.0]])


def labels(codes: np.ndarray) -> np.ndarray:
    return np.zeros(len(codes), dtype=int)


def score(name: str, codes: np.ndarray, **options: object) -> dm.Score:
    result: dm.Score = getattr(dm.metrics, name)(codes, labels(codes), **options)
    return result


def test_total_correlation_of_a_known_covariance(with_covariance: Callable[..., np.ndarray]) -> None:
    codes = with_covariance(COVARIANCE)
    expected = 0.5 * np.log(np.diag(COVARIANCE).prod() / np.linalg.det(COVARIANCE))
    assert score("gaussian_total_correlation", codes, protocol="locatello2019").value == pytest.approx(expected)
    pair = with_covariance(np.array([[1.0, 0.6], [0.6, 1.0]]), n=20_000)
    assert score("gaussian_total_correlation", pair).value == pytest.approx(-0.5 * np.log(1 - 0.36), abs=0.01)


def test_total_correlation_of_a_copy_is_infinite_and_said_to_be(with_covariance: Callable[..., np.ndarray]) -> None:
    codes = with_covariance(COVARIANCE)
    for spoilt in (np.c_[codes, codes[:, :1]], np.c_[codes, codes.sum(axis=1)], np.c_[codes, -3 * codes[:, 1] + 7]):
        result = score("gaussian_total_correlation", spoilt, protocol="locatello2019")
        assert "infinite" in (result.undefined or "")
    assert "fewer rows" in (score("gaussian_total_correlation", codes[:3]).undefined or "")


@pytest.mark.parametrize("name", ["gaussian_total_correlation", "wasserstein_correlation"])
def test_dead_latents_are_excluded_and_warps_do_not_matter(
    with_covariance: Callable[..., np.ndarray], name: str
) -> None:
    codes = with_covariance(COVARIANCE)
    plain = score(name, codes).value
    assert plain > 0.1
    assert score(name, np.c_[codes, np.full(200, 3.0)]).value == pytest.approx(plain, abs=1e-12)
    assert score(name, np.c_[np.exp(codes[:, :1]), 1e6 * codes[:, 1:]]).value == pytest.approx(plain, abs=1e-12)
    assert score(name, np.ones((50, 3))).value == 0.0
