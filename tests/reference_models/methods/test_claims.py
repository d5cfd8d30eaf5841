"""The effect that each method claims, in comparison with the same networks without its penalty.

Settings are those of the preset ``smoke`` except for small dense networks and what a test specifies. Claims of a method
may also be tested in other files, by tests with the mark ``claim`` and the name of the method.
"""

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from disentmetrics_reference_models.analysis.posterior_evaluation import KLDecomposition, decompose_kl
from disentmetrics_reference_models.methods.decomposition_vae import dimension_wise_mmd
from disentmetrics_reference_models.nn.gaussians import reparameterise
from disentmetrics_reference_models.nn.priors import ARM_CENTRES, SampledPrior
from disentmetrics_reference_models.training.registry import find_method, find_methods
from disentmetrics_reference_models.training.run import Run
from disentmetrics_reference_models.training.train import train_many
from numpy.typing import NDArray

from disentmetrics.datasets import load_dataset
from disentmetrics.datasets.arrays.custom import CustomDataSet
from disentmetrics.datasets.base import DataSet

NARROW, WIDE = "blobs?size=16&width=1&positions=8", "blobs?size=16&width=2&positions=16"


def test_every_method_has_a_tested_claim() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parents[1].rglob("test_*.py"))
    marks = re.findall(r"^@pytest\.mark\.claim\((.*)\)$", sources, re.MULTILINE)
    claimed = {name for mark in marks for name in re.findall(r'"(\w+)"', mark)}
    assert claimed == set(find_methods())


@cache
def blobs(spec: str) -> tuple[DataSet, NDArray[np.int64], NDArray[np.uint8]]:
    data = load_dataset(spec)
    factors = data.full_grid().factors
    return data, factors, data.observations(factors)


def trained(name: str, spec: str, weights: Sequence[dict[str, float]], **changes: Any) -> list[Run]:
    """Train a model for each choice of weights, as one stack."""
    config = find_method(name).preset("smoke").changed({"architecture": "small-fc", **changes})
    return train_many([config.changed(chosen) for chosen in weights], blobs(spec)[0], device="cpu")


def posterior_of(run: Run, images: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    posterior = run.posterior(images)
    assert posterior.log_variance is not None
    return np.asarray(posterior.mean, np.float64), np.asarray(posterior.log_variance, np.float64)


def posterior(run: Run, spec: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return posterior_of(run, blobs(spec)[2])


def off_diagonal(run: Run, spec: str) -> float:
    covariance = np.cov(posterior(run, spec)[0].T, bias=True)
    return float((covariance**2).sum() - (np.diag(covariance) ** 2).sum())


def parts_of_kl(run: Run, spec: str) -> KLDecomposition:
    return decompose_kl(*posterior(run, spec), n_samples=4_000)


def total_correlation(run: Run, spec: str) -> float:
    return parts_of_kl(run, spec).total_correlation


def distance_from_prior(run: Run, spec: str) -> float:
    """Return KL(q(z) || N(0, I))."""
    parts = parts_of_kl(run, spec)
    return parts.total_correlation + parts.dimension_wise_kl


@pytest.mark.claim("capacity_vae")
def test_the_kl_follows_its_capacity() -> None:
    spec = "blobs?size=16&width=1&positions=16"
    (run,) = trained("capacity_vae", spec, [{}], n_steps=1_500, learning_rate=3e-3)
    capacity = run.history["capacity"]
    assert capacity[-1] == 6.0
    settled = run.history["step"] > 300
    assert np.abs(run.history["kl"] - capacity)[settled].max() < 1.0


@pytest.mark.claim("vae", "beta_vae")
def test_two_position_factors_use_two_latents_with_beta_and_more_without() -> None:
    settings: dict[str, Any] = {"n_steps": 1_500, "learning_rate": 5e-3}
    (free,) = trained("vae", WIDE, [{}], **settings)
    (penalised,) = trained("beta_vae", WIDE, [{"beta": 8.0}], **settings)
    assert free.history["elbo"][-1] > penalised.history["elbo"][-1] + 1
    assert free.history["reconstruction"][-1] < penalised.history["reconstruction"][-1] - 1
    assert penalised.history["kl"][-1] < 0.75 * free.history["kl"][-1]
    assert free.history["active_codes"][-1] > 2
    assert penalised.history["active_codes"][-1] == 2
    mean, log_variance = posterior(penalised, WIDE)
    used = mean[:, np.argsort(log_variance.mean(0))[:2]]
    places = blobs(WIDE)[1]
    affine = np.c_[np.ones(len(places)), places]
    missed = used - affine @ np.linalg.lstsq(affine, used, rcond=None)[0]
    assert (1 - missed.var(0) / used.var(0)).min() > 0.9


@pytest.mark.claim("dip_vae_i", "dip_vae_ii")
@pytest.mark.parametrize("name", ["dip_vae_i", "dip_vae_ii"])
def test_off_diagonal_covariances_are_reduced(name: str) -> None:
    without = {"off_diagonal": 0.0, "diagonal": 0.0}
    free, penalised = trained(name, NARROW, [without, {}], n_steps=800, learning_rate=3e-3)
    assert off_diagonal(penalised, NARROW) < 0.5 * off_diagonal(free, NARROW)


@pytest.mark.claim("beta_tcvae", "isa_tcvae")
@pytest.mark.parametrize("name", ["beta_tcvae", "isa_tcvae"])
def test_the_weight_of_the_total_correlation_reduces_it(name: str) -> None:
    settings: dict[str, Any] = {"batch_size": 64, "n_steps": 600, "learning_rate": 3e-3}
    free, penalised = trained(name, NARROW, [{"beta": 1.0}, {"beta": 6.0}], **settings)
    assert total_correlation(penalised, NARROW) < 0.5 * total_correlation(free, NARROW)
    assert penalised.history["reconstruction"][-1] < 25.0  # nats; 27.6 for an uninformative latent code


@pytest.mark.claim("factor_vae")
def test_a_discriminator_reduces_the_total_correlation() -> None:
    free, penalised = trained(
        "factor_vae", NARROW, [{"gamma": 0.0}, {"gamma": 20.0}], n_steps=1_500, learning_rate=3e-3
    )
    assert total_correlation(penalised, NARROW) < total_correlation(free, NARROW) - 0.1
    assert penalised.history["reconstruction"][-1] < 22.0


@pytest.mark.claim("factor_vae_prior")
def test_a_discriminator_moves_the_aggregate_posterior_to_the_prior() -> None:
    settings: dict[str, Any] = {"n_steps": 800, "learning_rate": 3e-3}
    free, penalised = trained("factor_vae_prior", NARROW, [{"gamma": 0.0}, {"gamma": 10.0}], **settings)
    assert distance_from_prior(penalised, NARROW) < 0.7 * distance_from_prior(free, NARROW)
    assert penalised.history["reconstruction"][-1] < 25.0


@pytest.mark.claim("aae")
def test_without_a_kl_per_image_the_discriminator_alone_matches_the_aggregate_posterior() -> None:
    settings: dict[str, Any] = {"n_steps": 800, "learning_rate": 3e-3}
    free, matched = trained("aae", NARROW, [{"gamma": 0.0}, {"gamma": 10.0}], **settings)
    assert distance_from_prior(free, NARROW) > 100
    assert distance_from_prior(matched, NARROW) < 5
    mean, log_variance = posterior(matched, NARROW)
    assert np.abs(mean.mean(0)).max() < 1
    assert (mean.var(0) + np.exp(log_variance).mean(0)).max() < 3
    assert matched.history["discriminator_accuracy"][-1] < 0.8
    assert matched.history["reconstruction"][-1] < 22.0


def axes_of_places(run: Run, spec: str) -> float:
    """Return the smaller, over two codes, of the squared correlation with the place each follows best."""
    mean, _ = posterior(run, spec)
    between = np.corrcoef(np.c_[mean, blobs(spec)[1]].T)[:2, 2:]
    return float((between**2).max(1).min())


@pytest.mark.claim("isa_vae")
def test_a_prior_without_rotation_invariance_aligns_latents_with_positions_and_the_isotropic_one_does_not() -> None:
    round_prior, square_prior = ({"exponent": p, "root_exponent": p} for p in (2.0, 4.0))
    members = [{**prior, "seed": seed} for prior in (round_prior, square_prior) for seed in range(3)]
    settings: dict[str, Any] = {"n_codes": 2, "beta": 2.0, "n_steps": 600, "learning_rate": 5e-3}
    correlations = [axes_of_places(run, WIDE) for run in trained("isa_vae", WIDE, members, **settings)]
    assert np.median(correlations[:3]) < 0.8
    assert np.median(correlations[3:]) > 0.95


@pytest.mark.claim("isa_vae")
def test_exponents_increase_for_codes_in_a_square_and_decrease_for_a_rotated_square() -> None:
    settings: dict[str, Any] = {"n_codes": 2, "beta": 2.0, "n_steps": 600, "learning_rate": 5e-3}
    learning = {"learned_exponents": True, "exponent": 2.1, "root_exponent": 2.0, "exponents_learning_rate": 5e-3}
    runs = trained("isa_vae", WIDE, [{"seed": seed} for seed in (0, 2)], **settings, **learning)
    corner, side = sorted(runs, key=lambda run: axes_of_places(run, WIDE))
    assert axes_of_places(corner, WIDE) < 0.7
    assert axes_of_places(side, WIDE) > 0.95
    assert corner.history["exponent_0"][-1] < 2.0
    assert side.history["exponent_0"][-1] > 2.3


SPECTRUM = "2,1,0,-1,-2,-3"


@pytest.mark.claim("decomposition_vae")
@pytest.mark.parametrize(
    "changes",
    [
        {"prior": "isotropic"},
        {"prior": "anisotropic", "spectrum": SPECTRUM},
        {"prior": "student-t", "degrees": 3.0},
        {"prior": "sparse", "spike": 0.6},
    ],
    ids=lambda changes: str(changes["prior"]),
)
def test_the_divergence_weight_matches_the_aggregate_posterior_to_any_prior(changes: dict[str, Any]) -> None:
    settings: dict[str, Any] = {"divergence": "mmd_dim", "n_steps": 250, "learning_rate": 5e-3, "beta": 0.1}
    weights = [{"alpha": 0.0}, {"alpha": 100.0}]
    discrepancies = []
    for run in trained("decomposition_vae", NARROW, weights, **settings, **changes):
        mean, log_variance = (torch.from_numpy(part).repeat(5, 1) for part in posterior(run, NARROW))
        generator = torch.Generator().manual_seed(0)
        normal = torch.randn(2, *mean.shape, generator=generator, dtype=torch.float64)
        uniform = torch.rand(mean.shape, generator=generator, dtype=torch.float64)
        prior = run.prior
        assert isinstance(prior, SampledPrior)
        samples = prior.sample(normal[0], uniform)
        discrepancies.append(float(dimension_wise_mmd(samples, reparameterise(mean, log_variance, normal[1]))))
    free, matched = discrepancies
    assert matched < 0.5 * free
    if "spectrum" in changes:
        aggregate = mean.var(0) + log_variance.exp().mean(0)
        target = torch.tensor([float(word) for word in SPECTRUM.split(",")]).softmax(0) * 6
        assert (aggregate.log() - target.log()).abs().max() < 1.5


@cache
def pinwheel_images() -> tuple[DataSet, NDArray[np.int64], NDArray[np.uint8]]:
    """Return a spot at each of 400 points on four arms."""
    wheel = load_dataset("pinwheel")
    factors = wheel.sample_factors(400, np.random.default_rng(0))
    factors[:, 0] = np.repeat(np.arange(4), 100)
    arms = factors[:, 0].astype(np.int64)
    x, y = 7.5 + 3.5 * wheel.observations(factors).T[..., None, None]
    squares = (np.arange(16)[:, None] - y) ** 2 + (np.arange(16) - x) ** 2
    images = np.rint(255 * np.exp(-squares / (2 * 1.5**2))).astype(np.uint8)[..., None]
    return CustomDataSet(images, {"arm": arms}), arms, images


@pytest.mark.claim("decomposition_vae")
def test_a_mixture_prior_clusters_arms_by_matching_the_aggregate_and_not_by_the_kl_alone() -> None:
    data, arms, images = pinwheel_images()
    config = find_method("decomposition_vae").preset("smoke")
    changes: dict[str, Any] = {"architecture": "small-fc", "n_codes": 2, "prior": "mixture"}
    config = config.changed({**changes, "n_steps": 400, "learning_rate": 5e-3, "batch_size": 128})
    weights = [{"beta": 1.0, "alpha": 0.0}, {"beta": 0.0, "alpha": 30.0}]
    purity = []
    for run in train_many([config.changed(chosen) for chosen in weights], data, device="cpu"):
        mean, _ = posterior_of(run, images)
        squares = ((mean[:, None] - np.array(ARM_CENTRES)) ** 2).sum(2)
        table = np.zeros((4, 4), np.int64)
        np.add.at(table, (squares.argmin(1), arms), 1)
        purity.append(table.max(1).sum() / 400)
    assert purity[0] < 0.8
    assert purity[1] > 0.95
    assert (table.max(1) > 80).all()
    assert squares.min(1).mean() < 2 * 0.03  # as many as the variance of both codes
