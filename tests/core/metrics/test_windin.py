from collections.abc import Callable

import numpy as np
import pytest

import disentmetrics as dm


def labels(codes: np.ndarray) -> np.ndarray:
    return np.zeros(len(codes), dtype=int)


def score(name: str, codes: np.ndarray, **options: object) -> dm.Score:
    result: dm.Score = getattr(dm.metrics, name)(codes, labels(codes), **options)
    return result


@pytest.mark.parametrize("name", ["wsepin", "windin"])
@pytest.mark.parametrize("rho", [0.0, 0.7])
def test_informations_of_a_gaussian_latent_are_those_of_the_closed_form(
    gaussian: Callable[..., tuple[np.ndarray, np.ndarray]], name: str, rho: float
) -> None:
    blur = 0.5
    codes, log_variance = gaussian(rho, blur)
    whole = np.array([[1 + blur, rho], [rho, 1 + blur]])
    of_all = 0.5 * np.log(np.linalg.det(whole) / blur**2)
    of_one = 0.5 * np.log((1 + blur) / blur)
    expected = of_all - of_one  # equals of_one + log(1 - r²) / 2: minus the shared information
    assert expected == pytest.approx(of_one + 0.5 * np.log(1 - (rho / (1 + blur)) ** 2))
    result = score(name, codes, log_variance=log_variance, n_samples=4_000)
    assert result.value == pytest.approx(expected, abs=0.03)
    assert result.details["information"] == pytest.approx(np.full(2, of_one), abs=0.04)


@pytest.mark.parametrize("name", ["wsepin", "windin"])
def test_posterior_variances_are_required_and_must_not_be_degenerate(name: str) -> None:
    codes = np.random.default_rng(0).normal(size=(50, 2))
    assert "log_variance" in (score(name, codes).undefined or "")
    assert "must be finite" in (score(name, codes, log_variance=np.full((50, 2), -1000.0)).undefined or "")
    assert "must be finite" in (score(name, codes, log_variance=np.full((50, 2), 2000.0)).undefined or "")
