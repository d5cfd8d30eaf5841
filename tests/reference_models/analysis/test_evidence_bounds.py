"""Bounds of the likelihood of a linear Gaussian model against its exact likelihood."""

import math
from typing import Any

import pytest
import torch
from disentmetrics_reference_models.analysis.evidence_bounds import (
    LatentVariableModel,
    evidence_bounds,
    latent_variable_model,
    standard_normal,
)
from disentmetrics_reference_models.nn.gaussians import kl_to_standard_normal, log_density
from disentmetrics_reference_models.training.registry import find_method
from disentmetrics_reference_models.training.train import train

from disentmetrics.datasets.base import DataSet
from disentmetrics.errors import InvalidInputError

LOADINGS = torch.tensor([[1.5, 0.6], [0.2, 1.0], [0.7, -0.4]], dtype=torch.float64)
NOISE = 0.5  # variance of the observed variables given the latents


def linear_gaussian(blur: float = 1.0) -> LatentVariableModel:
    """z ~ N(0, I), x | z ~ N(Wz, NOISE I), with the optimal factorised posterior, or a wider one."""
    precision = torch.eye(2, dtype=torch.float64) + LOADINGS.T @ LOADINGS / NOISE
    to_mean = (torch.linalg.inv(precision) @ LOADINGS.T / NOISE).T

    def encode(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return images @ to_mean, (blur / precision.diagonal()).log().expand(len(images), 2)

    def log_likelihood(z: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        log_variance = torch.full_like(images, math.log(NOISE))
        return log_density(images, z @ LOADINGS.T, log_variance).sum(1)

    return LatentVariableModel(encode, log_likelihood)


def observed(n: int = 20) -> torch.Tensor:
    generator = torch.Generator().manual_seed(7)
    z = torch.randn(n, 2, generator=generator, dtype=torch.float64)
    noise = torch.randn(n, 3, generator=generator, dtype=torch.float64)
    return z @ LOADINGS.T + math.sqrt(NOISE) * noise


def true_log_likelihood(images: torch.Tensor) -> torch.Tensor:
    covariance = LOADINGS @ LOADINGS.T + NOISE * torch.eye(3, dtype=torch.float64)
    distribution = torch.distributions.MultivariateNormal(torch.zeros(3, dtype=torch.float64), covariance)
    return torch.as_tensor(distribution.log_prob(images))


def closed_elbo(images: torch.Tensor, model: LatentVariableModel) -> tuple[torch.Tensor, torch.Tensor]:
    mean, log_variance = model.encode(images)
    shrinkage = ((LOADINGS**2).sum(0) * log_variance.exp()).sum(1) / (2 * NOISE)
    likelihood = model.log_likelihood(mean, images) - shrinkage
    return likelihood - kl_to_standard_normal(mean, log_variance).sum(1), likelihood


def test_the_bound_converges_to_the_likelihood_with_many_particles() -> None:
    images, model = observed(), linear_gaussian(blur=2.0)
    bounds = torch.stack(
        [evidence_bounds(model, images, n_particles=5000, seed=seed).importance_weighted for seed in range(8)]
    )
    error = bounds.std(0) / math.sqrt(8)
    assert bool(((bounds.mean(0) - true_log_likelihood(images)).abs() < 4.5 * error + 1e-4).all())
    assert float(error.max()) < 0.02
    gap = (bounds.mean(0) - true_log_likelihood(images)).mean()
    assert abs(float(gap)) < 3 * float(error.square().mean().sqrt()) / math.sqrt(20)


def test_the_bound_increases_with_particles_and_stays_below_the_likelihood() -> None:
    images, model = observed(200), linear_gaussian()
    means = [float(evidence_bounds(model, images, n_particles=k).importance_weighted.mean()) for k in (1, 4, 32, 1000)]
    truth = float(true_log_likelihood(images).mean())
    assert means == sorted(means)
    assert means[0] < truth - 0.05
    assert means[-1] < truth + 0.01


def test_with_one_particle_the_bound_is_the_evidence_lower_bound() -> None:
    images, model = observed(), linear_gaussian()
    one = evidence_bounds(model, images, n_particles=1)
    torch.testing.assert_close(one.importance_weighted, one.elbo)
    many = evidence_bounds(model, images.repeat(500, 1), n_particles=1)
    elbo, likelihood = closed_elbo(images, model)
    assert float(many.importance_weighted.mean()) == pytest.approx(float(elbo.mean()), abs=0.05)
    assert float(many.log_likelihood.mean()) == pytest.approx(float(likelihood.mean()), abs=0.05)


def test_the_mean_over_particles_is_the_closed_evidence_lower_bound() -> None:
    images, model = observed(), linear_gaussian()
    elbo, likelihood = closed_elbo(images, model)
    bounds = evidence_bounds(model, images, n_particles=20_000)
    assert float((bounds.elbo - elbo).abs().max()) < 0.05
    assert float((bounds.log_likelihood - likelihood).abs().max()) < 0.05


@pytest.mark.parametrize("rows_at_once", [1, 7, 50, 10_000])
def test_bounds_do_not_depend_on_the_chunk_size(rows_at_once: int) -> None:
    images, model = observed(9), linear_gaussian()
    for in_chunks, at_once in zip(
        evidence_bounds(model, images, n_particles=40, rows_at_once=rows_at_once),
        evidence_bounds(model, images, n_particles=40),
        strict=True,
    ):
        torch.testing.assert_close(in_chunks, at_once)


def test_weights_below_the_smallest_float_are_summed() -> None:
    model = linear_gaussian()
    far = LatentVariableModel(model.encode, lambda z, x: model.log_likelihood(z, x) - 5000.0)
    images = observed()
    shifted = evidence_bounds(far, images, n_particles=100).importance_weighted
    torch.testing.assert_close(shifted + 5000, evidence_bounds(model, images, n_particles=100).importance_weighted)


def test_the_bound_depends_on_the_prior() -> None:
    images = observed()
    model = linear_gaussian()
    narrow = LatentVariableModel(model.encode, model.log_likelihood, lambda z: standard_normal(2 * z) + 2 * math.log(2))
    bounds = evidence_bounds(narrow, images, n_particles=5000).importance_weighted
    covariance = LOADINGS @ LOADINGS.T / 4 + NOISE * torch.eye(3, dtype=torch.float64)
    truth = torch.distributions.MultivariateNormal(torch.zeros(3, dtype=torch.float64), covariance).log_prob(images)
    assert float((bounds - truth).abs().max()) < 0.1


@pytest.mark.parametrize("changes", [{"n_particles": 0}, {"rows_at_once": 0}])
def test_invalid_settings_raise_errors(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match=f"{next(iter(changes))} must be at least 1; got 0"):
        evidence_bounds(linear_gaussian(), observed(), **changes)
    with pytest.raises(InvalidInputError, match="images must be at least 1"):
        evidence_bounds(linear_gaussian(), observed(0))


def test_images_in_parts_are_bounded_as_all_at_once() -> None:
    images = observed()
    together = evidence_bounds(linear_gaussian(), images, n_particles=20, rows_at_once=60)
    in_parts = evidence_bounds(linear_gaussian(), iter(images.split(7)), n_particles=20, rows_at_once=60)
    for one, other in zip(together, in_parts, strict=True):
        torch.testing.assert_close(one, other)


def test_a_trained_model_is_bounded_near_its_logged_evidence(spots: DataSet) -> None:
    config = find_method("vae").preset("smoke").changed({"architecture": "small-fc", "batch_size": 36, "n_steps": 200})
    run = train(config, spots, device="cpu")
    images = run.inputs(spots.observations(spots.full_grid().factors))
    bounds = evidence_bounds(latent_variable_model(run), images, n_particles=50)
    assert float(bounds.elbo.mean()) == pytest.approx(run.history["elbo"][-1], rel=0.15)
    assert bool((bounds.importance_weighted > bounds.elbo).all())
    assert bool((bounds.log_likelihood > bounds.elbo).all())
