import numpy as np

from disentmetrics.datasets import load_dataset
from disentmetrics.datasets.rendering.mixing import MixedSources


def load(spec: str) -> MixedSources:
    data = load_dataset(spec)
    assert isinstance(data, MixedSources)
    return data


def test_factor_analysis_has_the_covariance_of_its_matrix(rng: np.random.Generator) -> None:
    data = load("linear-gaussian?n_sources=2&n_observed=3&noise=0.3")
    draws = data.sample(40_000, rng)
    observed = data.observations(draws.factors, draws.nuisance)
    np.testing.assert_allclose(np.cov(observed.T), data.mixing @ data.mixing.T + 0.09 * np.eye(3), atol=0.06)


def test_rotated_sources_give_the_same_covariance(rng: np.random.Generator) -> None:
    mixing = load("linear-gaussian").mixing
    rotation = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    rotated = mixing @ rotation
    assert np.abs(rotated - mixing).max() > 0.1
    np.testing.assert_allclose(rotated @ rotated.T, mixing @ mixing.T, atol=1e-12)


def test_principal_components_span_the_sources(rng: np.random.Generator) -> None:
    data = load("linear-gaussian?noise=0.01")
    draws = data.sample(2000, rng)
    spread = np.linalg.svd(data.observations(draws.factors, draws.nuisance))[1]
    assert spread[4] > 20 * spread[5]
