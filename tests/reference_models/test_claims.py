"""What each method claims of itself, on blobs and in seconds: beside the same networks without its pressure."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from disentmetrics_reference_models.method import find_method
from disentmetrics_reference_models.run import Run, train_many
from numpy.typing import NDArray

from disentmetrics.datasets import load_dataset
from disentmetrics.datasets.base import DataSet
from disentmetrics.encoder import Posterior
from disentmetrics.generative import decompose_kl

NARROW, WIDE = "blobs?size=16&width=1&positions=8", "blobs?size=16&width=2&positions=16"


@cache
def blobs(spec: str) -> tuple[DataSet, NDArray[np.int64], NDArray[np.uint8]]:
    data = load_dataset(spec)
    factors = data.whole().factors
    return data, factors, data.observations(factors)


def trained(name: str, spec: str, weights: Sequence[dict[str, float]], **changes: Any) -> list[Run]:
    """Train a model for each choice of weights, as one stack."""
    config = find_method(name).preset("smoke").changed({"architecture": "small-fc", **changes})
    return train_many([config.changed(chosen) for chosen in weights], blobs(spec)[0], device="cpu")


def posterior(run: Run, spec: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    found: Posterior = run(blobs(spec)[2])
    assert found.log_variance is not None
    return np.asarray(found.mean, np.float64), np.asarray(found.log_variance, np.float64)


def off_diagonal(run: Run, spec: str) -> float:
    covariance = np.cov(posterior(run, spec)[0].T, bias=True)
    return float((covariance**2).sum() - (np.diag(covariance) ** 2).sum())


def total_correlation(run: Run, spec: str) -> float:
    return decompose_kl(*posterior(run, spec), n_samples=4_000).total_correlation


def test_the_kl_follows_its_capacity() -> None:
    spec = "blobs?size=16&width=1&positions=16"
    (run,) = trained("capacity_vae", spec, [{}], n_steps=1_500, learning_rate=3e-3)
    capacity = run.history["capacity"]
    assert capacity[-1] == 6.0
    settled = run.history["step"] > 300
    assert np.abs(run.history["kl"] - capacity)[settled].max() < 1.0


def test_two_places_take_two_codes_under_pressure_and_more_without() -> None:
    free, pressed = trained("beta_vae", WIDE, [{"beta": 1.0}, {"beta": 8.0}], n_steps=1_500, learning_rate=5e-3)
    assert pressed.history["kl"][-1] < 0.75 * free.history["kl"][-1]
    assert free.history["active_codes"][-1] > 2
    assert pressed.history["active_codes"][-1] == 2
    mean, log_variance = posterior(pressed, WIDE)
    used = mean[:, np.argsort(log_variance.mean(0))[:2]]
    places = blobs(WIDE)[1]
    affine = np.c_[np.ones(len(places)), places]
    missed = used - affine @ np.linalg.lstsq(affine, used, rcond=None)[0]
    assert (1 - missed.var(0) / used.var(0)).min() > 0.9


@pytest.mark.parametrize("name", ["dip_vae_i", "dip_vae_ii"])
def test_covariances_off_the_diagonal_are_driven_down(name: str) -> None:
    without = {"off_diagonal": 0.0, "diagonal": 0.0}
    free, pressed = trained(name, NARROW, [without, {}], n_steps=800, learning_rate=3e-3)
    assert off_diagonal(pressed, NARROW) < 0.5 * off_diagonal(free, NARROW)


def test_the_weight_of_the_total_correlation_lowers_it() -> None:
    free, pressed = trained("beta_tcvae", NARROW, [{"beta": 1.0}, {"beta": 6.0}], n_steps=600, learning_rate=3e-3)
    assert total_correlation(pressed, NARROW) < 0.5 * total_correlation(free, NARROW)
    assert pressed.history["reconstruction"][-1] < 22.0  # nats; 27.6 of a decoder that is told nothing


def test_a_discriminator_lowers_the_total_correlation() -> None:
    free, pressed = trained("factor_vae", NARROW, [{"gamma": 0.0}, {"gamma": 20.0}], n_steps=1_500, learning_rate=3e-3)
    assert total_correlation(pressed, NARROW) < total_correlation(free, NARROW) - 0.1
    assert pressed.history["reconstruction"][-1] < 22.0
