import hashlib
import pickle
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from disentmetrics.datasets import load_dataset
from disentmetrics.datasets.rendering.mixing import (
    CONDITION_NUMBER,
    SOURCES,
    MixedSources,
    Mixture,
    product,
    random_matrix,
)
from disentmetrics.errors import InvalidInputError

LINEAR = ("linear-gaussian", "linear-ica")
NAMES = (*LINEAR, "nonlinear-ica")


def load(spec: str) -> MixedSources:
    data = load_dataset(spec)
    assert isinstance(data, MixedSources)
    return data


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", ["n_sources=5&n_observed=10", "n_sources=3&n_observed=3", "n_sources=1&n_observed=2"])
def test_without_noise_unmixing_recovers_the_sources(name: str, shape: str, rng: np.random.Generator) -> None:
    data = load(f"{name}?noise=0&{shape}&seed=3")
    sources = data.sample_factors(500, rng)
    np.testing.assert_allclose(data.unmix(data.observations(sources)), sources, atol=1e-10)


@pytest.mark.parametrize("name", LINEAR)
def test_linear_mixing_is_the_matrix(name: str, rng: np.random.Generator) -> None:
    data = load(f"{name}?noise=0")
    sources = data.sample_factors(50, rng)
    np.testing.assert_allclose(data.observations(sources), sources @ data.mixing.T, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_condition_numbers_are_bounded(name: str) -> None:
    for seed in range(20):
        layers = load(f"{name}?n_sources=6&n_observed=9&seed={seed}").layers
        assert np.prod([np.linalg.cond(matrix) for matrix in layers]) == pytest.approx(CONDITION_NUMBER)
        assert np.linalg.norm(layers[0], 2) * np.linalg.svd(layers[0])[1][-1] == pytest.approx(1)


def test_mixing_directions_are_uniform() -> None:
    columns = np.array([random_matrix(3, 2, seed=seed)[:, 0] for seed in range(3000)])
    directions = columns / np.linalg.norm(columns, axis=1, keepdims=True)
    for coordinate in directions.T:  # on a sphere in space, each coordinate is uniform
        assert stats.kstest(coordinate, "uniform", (-1, 2)).pvalue > 1e-3


@pytest.mark.parametrize(
    ("sources", "distribution"),
    [
        ("gaussian", stats.norm()),
        ("laplace", stats.laplace(scale=0.5**0.5)),
        ("uniform", stats.uniform(-(3**0.5), 2 * 3**0.5)),
    ],
)
def test_sources_are_independent_of_mean_0_and_variance_1(sources: str, distribution: stats.rv_continuous) -> None:
    assert (distribution.mean(), distribution.std()) == pytest.approx((0, 1))
    drawn = load(f"linear-ica?sources={sources}").sample_factors(4000, np.random.default_rng(5))
    for source in drawn.T:
        assert stats.kstest(source, distribution.cdf).pvalue > 1e-3
    assert np.abs(np.corrcoef(drawn.T) - np.eye(5)).max() < 0.06
    assert np.abs(np.corrcoef((drawn**2).T) - np.eye(5)).max() < 0.08
    assert sources in SOURCES


def test_noise_is_gaussian_with_the_given_deviation_and_a_function_of_the_nuisance(rng: np.random.Generator) -> None:
    data = load("linear-gaussian?noise=0.5")
    draws = data.sample(3000, rng)
    noise = (data.observations(draws.factors, draws.nuisance) - data.mix(draws.factors)) / 0.5
    for column in noise.T:
        assert stats.kstest(column, "norm").pvalue > 1e-3
    assert np.abs(np.corrcoef(noise.T) - np.eye(10)).max() < 0.08
    quiet = load("linear-gaussian?noise=0")
    assert (data.nuisances, quiet.nuisances) == (("noise of the observation",), ())
    assert np.array_equal(quiet.observations(draws.factors[:5], [1] * 5), quiet.observations(draws.factors[:5]))


def test_sums_do_not_depend_on_the_library(rng: np.random.Generator) -> None:
    rows, matrix = rng.normal(size=(40, 7)), rng.normal(size=(5, 7))
    by_hand = []
    for row in rows.tolist():
        for weights in matrix.tolist():
            total = 0.0
            for value, weight in zip(row, weights, strict=True):
                total += value * weight
            by_hand.append(total)
    assert product(rows, matrix).ravel().tolist() == by_hand


@pytest.mark.parametrize("name", NAMES)
def test_there_is_no_grid(name: str) -> None:
    data = load(name)
    with pytest.raises(InvalidInputError, match=f"{name} has no full grid"):
        data.full_grid()
    assert load_dataset(name).space.names == tuple(f"source{k}" for k in range(1, 6))


def test_the_default_nuisance_is_a_function_of_the_sources(rng: np.random.Generator) -> None:
    data = load("linear-ica")
    sources = data.sample_factors(1000, rng)
    nuisance = data.default_nuisance(sources)
    assert len(np.unique(nuisance)) == 1000
    assert np.array_equal(data.observations(sources)[::-1], data.observations(sources[::-1]))
    assert np.array_equal(data.default_nuisance(-0.0 * sources), data.default_nuisance(0.0 * sources))


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("linear-gaussian", "e5911e7c132a35c07e04e37be387315b7d543162b84f12611e3cbcb840a83e67"),
        ("linear-ica", "e5911e7c132a35c07e04e37be387315b7d543162b84f12611e3cbcb840a83e67"),
        ("nonlinear-ica", "4b898cff3c02975b25922220794580521b742ba0dc782dad9742b44b8c778f47"),
    ],
)
def test_observations_are_the_same_on_every_machine(name: str, digest: str) -> None:
    sources = (np.arange(-50, 50)[:, None] * np.arange(1, 6)) / 64
    content = load(name).observations(sources, np.arange(100)).astype("<f8").tobytes()
    assert hashlib.sha256(content).hexdigest() == digest


@pytest.mark.parametrize("name", NAMES)
def test_every_option_is_part_of_the_fingerprint_and_survives_pickling(name: str, rng: np.random.Generator) -> None:
    options = ["", "?n_sources=4", "?n_observed=11", "?noise=0.25", "?seed=1"]
    options += [] if name == "linear-gaussian" else ["?sources=gaussian"]
    options += ["?n_layers=2"] if name == "nonlinear-ica" else []
    variants = [load(name + option) for option in options]
    assert len({data.fingerprint for data in variants}) == len(options)
    for data in variants:
        sent = pickle.loads(pickle.dumps(data))
        sources = data.sample_factors(3, rng)
        assert (sent.fingerprint, sent.space) == (data.fingerprint, data.space)
        assert np.array_equal(sent.observations(sources), data.observations(sources))


def test_seeds_differ_in_every_layer() -> None:
    default = Mixture("x", "uniform", n_layers=3)
    layers = [matrix for seed in range(3) for matrix in MixedSources(replace(default, seed=seed)).layers[1:]]
    for k, one in enumerate(layers):
        assert all(np.abs(one - other).max() > 0.1 for other in layers[:k])


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ("linear-ica?n_sources=0", "n_sources must be an integer from 1 to 512"),
        ("linear-ica?n_sources=11", "n_observed must be at least n_sources.*; got 10 and 11"),
        ("linear-ica?noise=-1", "noise must be a number from 0"),
        ("linear-ica?seed=-1", "seed must be an integer from 0"),
        ("linear-ica?sources=cauchy", "sources must be gaussian or laplace or uniform; got 'cauchy'"),
        ("linear-gaussian?sources=laplace", "no option 'sources'"),
        ("nonlinear-ica?n_layers=0", "n_layers must be an integer from 1"),
    ],
)
def test_wrong_options_are_refused(spec: str, complaint: str) -> None:
    with pytest.raises(InvalidInputError, match=complaint):
        load_dataset(spec)


@pytest.mark.parametrize("wrong", [[[0.0] * 4], [0.0] * 5, [[np.nan] * 5], [["a"] * 5]])
def test_wrong_sources_are_refused(wrong: list[float]) -> None:
    with pytest.raises(InvalidInputError, match="factors must be"):
        load("linear-ica").observations(wrong)
