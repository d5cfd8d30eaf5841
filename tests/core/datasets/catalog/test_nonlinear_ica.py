import numpy as np
import pytest

from disentmetrics.datasets import load_dataset
from disentmetrics.datasets.rendering.mixing import MixedSources
from disentmetrics.errors import InvalidInputError


def load(spec: str) -> MixedSources:
    data = load_dataset(spec)
    assert isinstance(data, MixedSources)
    return data


def test_the_network_is_matrices_with_leaky_relus_between(rng: np.random.Generator) -> None:
    data = load("nonlinear-ica?n_layers=3")
    sources = data.sample_factors(50, rng)
    first, second, third = data.layers
    one = sources @ first.T
    two = np.maximum(one, 0.2 * one) @ second.T
    expected = np.maximum(two, 0.2 * two) @ third.T
    np.testing.assert_allclose(data.observations(sources), expected, atol=1e-12)
    with pytest.raises(InvalidInputError, match="3 layers has no single mixing matrix"):
        _ = data.mixing


def test_one_layer_is_linear_and_more_are_not(rng: np.random.Generator) -> None:
    for n_layers, is_linear in ((1, True), (2, False), (3, False)):
        data = load(f"nonlinear-ica?n_layers={n_layers}")
        one, other = data.sample_factors(2000, rng), data.sample_factors(2000, rng)
        nonlinearity = data.mix(one + other) - data.mix(one) - data.mix(other)
        assert (np.abs(nonlinearity).max() < 1e-12) == is_linear


def test_unmixing_recovers_the_sources_and_linear_regression_does_not(rng: np.random.Generator) -> None:
    data = load("nonlinear-ica?n_sources=2&n_observed=2")
    sources = data.sample_factors(4000, rng)
    observed = data.observations(sources)
    weights = np.linalg.lstsq(observed, sources, rcond=None)[0]
    assert ((observed @ weights - sources) ** 2).mean() > 0.02
    np.testing.assert_allclose(data.unmix(observed), sources, atol=1e-10)
