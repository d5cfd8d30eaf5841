import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from sklearn.decomposition import FastICA

from disentmetrics.datasets import load_dataset
from disentmetrics.datasets.rendering.mixing import MixedSources


def load(spec: str) -> MixedSources:
    data = load_dataset(spec)
    assert isinstance(data, MixedSources)
    return data


def mean_correlation(codes: np.ndarray, sources: np.ndarray) -> float:
    """Return the mean absolute correlation of the sources with their best-matching codes."""
    n = sources.shape[1]
    correlations = np.abs(np.corrcoef(codes.T, sources.T)[:n, n:])
    return float(correlations[linear_sum_assignment(-correlations)].mean())


@pytest.mark.parametrize("sources", ["laplace", "uniform"])
def test_independent_components_are_the_sources(sources: str, rng: np.random.Generator) -> None:
    data = load(f"linear-ica?sources={sources}&n_sources=4&n_observed=4&noise=0")
    drawn = data.sample_factors(4000, rng)
    observed = data.observations(drawn)
    components = FastICA(4, whiten="unit-variance", random_state=0, max_iter=1000).fit_transform(observed)
    assert mean_correlation(components, drawn) > 0.98
    assert mean_correlation(observed, drawn) < 0.9


def test_gaussian_sources_stay_mixed(rng: np.random.Generator) -> None:
    data = load("linear-ica?sources=gaussian&n_sources=4&n_observed=4&noise=0")
    drawn = data.sample_factors(4000, rng)
    components = FastICA(4, whiten="unit-variance", random_state=0, max_iter=1000, tol=1).fit_transform(
        data.observations(drawn)
    )
    assert mean_correlation(components, drawn) < 0.95


def test_the_error_of_unmixing_noisy_observations(rng: np.random.Generator) -> None:
    data = load("linear-ica")
    draws = data.sample(2000, rng)
    errors = data.unmix(data.observations(draws.factors, draws.nuisance)) - draws.factors
    # The error of least squares is the noise divided by the singular values, which run from 2 down to 1/2.
    expected = 0.1 * np.sqrt((np.geomspace(2, 0.5, 5) ** -2.0).mean())
    assert np.sqrt((errors**2).mean()) == pytest.approx(expected, rel=0.05)
