"""The decomposition objective: its divergences, its priors and special cases."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from disentmetrics_reference_models.methods.decomposition_vae import (
    DecompositionVAEConfig,
    dimension_wise_mmd,
    inclusive_kl,
    log_spectrum,
)
from disentmetrics_reference_models.nn.priors import Gaussian
from disentmetrics_reference_models.training.data import TrainingData
from disentmetrics_reference_models.training.evidence import AutoEncoder, Terms
from disentmetrics_reference_models.training.method import Batch, Method
from disentmetrics_reference_models.training.registry import find_method
from disentmetrics_reference_models.training.run_folder import load_run
from disentmetrics_reference_models.training.train import train, train_many
from disentmetrics_reference_models.training.trainer import Trainer, train_to_end
from numpy.typing import NDArray
from torch import Tensor

from disentmetrics.datasets.base import DataSet
from disentmetrics.errors import InvalidInputError

NAME = "decomposition_vae"
PRIORS: dict[str, dict[str, Any]] = {
    "isotropic": {},
    "anisotropic": {"spectrum": "1,0"},
    "learned": {"prior": "anisotropic", "spectrum": "1,0", "learned": True},
    "student-t": {},
    "sparse": {},
    "mixture": {},
}


def config_of(prior: str, **changes: Any) -> DecompositionVAEConfig:
    tiny: dict[str, Any] = {"architecture": "small-fc", "batch_size": 16, "n_steps": 20, "n_codes": 2}
    config = find_method(NAME).preset("smoke").changed({**tiny, "prior": prior, **PRIORS[prior], **changes})
    assert isinstance(config, DecompositionVAEConfig)
    return config


def made(config: DecompositionVAEConfig) -> tuple[Method, AutoEncoder, Batch, dict[str, Tensor]]:
    method = find_method(NAME)
    torch.manual_seed(0)
    model = method.build(config, (1, 8, 8))
    images = torch.rand(16, 1, 8, 8)
    draw = {"normal": torch.randn, "uniform": torch.rand}
    noise = {key: draw[shape.distribution](shape.shape) for key, shape in method.noise(config).items()}
    weights = {k: torch.tensor(v) for k, v in config.weights.items()}
    return method, model, Batch(images, noise, torch.tensor(0.0), 1000), weights


def terms_of(config: DecompositionVAEConfig) -> Terms:
    method, model, batch, weights = made(config)
    return method.objective(model, batch, weights, config)


@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize("divergence", ["kld_inc", "mmd_dim"])
def test_the_loss_is_made_of_its_terms_under_every_prior(prior: str, divergence: str) -> None:
    terms = terms_of(config_of(prior, divergence=divergence, beta=2.0, alpha=3.0))
    expected = terms["reconstruction"] + 2 * terms["kl"] + 3 * terms["divergence"]
    torch.testing.assert_close(terms["loss"], expected)
    torch.testing.assert_close(terms["elbo"], -terms["reconstruction"] - terms["kl"])
    bound = terms_of(config_of(prior, divergence=divergence, beta=1.0, alpha=0.0))
    torch.testing.assert_close(bound["loss"], -bound["elbo"])


def test_priors_that_are_gaussian_give_the_vae() -> None:
    vae = terms_of(config_of("isotropic"))
    _, model, batch, _ = made(config_of("isotropic"))
    config = find_method("vae").preset("smoke").changed({"n_codes": 2, "batch_size": 16, "architecture": "small-fc"})
    torch.testing.assert_close(find_method("vae").objective(model, batch, {}, config)["kl"], vae["kl"])
    flat = terms_of(config_of("anisotropic", spectrum="equal"))
    torch.testing.assert_close(flat["loss"], vae["loss"])
    moved = terms_of(config_of("anisotropic", spectrum="1,0"))
    assert not torch.isclose(moved["kl"], vae["kl"])


@pytest.mark.parametrize("prior", PRIORS)
def test_every_prior_is_trained_alone_as_in_a_stack(prior: str, spots: DataSet) -> None:
    first = config_of(prior)
    configs = [first, first.changed({"seed": 1, "beta": 2.0, "degrees": 4.0, "spike": 0.3, "scale": 2.0})]
    trainer = Trainer(configs, TrainingData(spots))
    together = train_to_end(trainer, record_every=10)[1]
    alone = train_to_end(Trainer(configs[1:], TrainingData(spots)), record_every=10)[0]
    for term in ("loss", "kl", "divergence"):
        assert together[term] == pytest.approx(alone[term], rel=2e-3, abs=2e-3)
    if prior == "learned":
        theta = trainer.models()[0].get_parameter("parts.spread.theta")
        assert not torch.equal(theta, torch.tensor([1.0, 0.0]))


def normal(n: int, d: int, seed: int) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_mmd_is_zero_for_equal_distributions_and_positive_for_shifted_ones() -> None:
    same = [float(dimension_wise_mmd(normal(100, 3, 2 * i), normal(100, 3, 2 * i + 1))) for i in range(60)]
    error = np.std(same) / len(same) ** 0.5
    assert abs(np.mean(same)) < 4 * error
    assert min(same) < 0
    shifted = dimension_wise_mmd(normal(100, 3, 0), normal(100, 3, 1) + torch.tensor([1.0, 0.0, 0.0]))
    assert float(shifted) > max(same)
    dependent = normal(400, 1, 0).expand(-1, 2)
    assert (
        abs(float(dimension_wise_mmd(dependent, normal(400, 2, 1)))) < 0.05
    )  # latent by latent: dependence is not detected


def test_the_discrepancy_is_the_sum_over_pairs() -> None:
    x, y = normal(5, 2, 0).numpy(), normal(5, 2, 1).numpy()

    def kernel(u: float, v: float) -> float:
        return sum(2 * s / (2 * s + (u - v) ** 2) for s in (0.1, 0.2, 0.5, 1, 2, 5))

    expected = 0.0
    for j in range(2):
        pairs = [(a, b) for a in range(5) for b in range(5)]
        expected += sum(kernel(x[a, j], x[b, j]) + kernel(y[a, j], y[b, j]) for a, b in pairs if a != b) / 20
        expected -= 2 * sum(kernel(x[a, j], y[b, j]) for a, b in pairs) / 25
    assert float(dimension_wise_mmd(torch.from_numpy(x), torch.from_numpy(y))) == pytest.approx(expected)


def test_the_inclusive_divergence_is_that_of_gaussians() -> None:
    prior = Gaussian(torch.zeros(2, dtype=torch.float64))
    samples = normal(200_000, 2, 0)
    mean, log_variance = torch.tensor([[1.0, 0.0]]).double(), torch.tensor([[0.0, 1.0]]).double()
    expected = 0.5 * 1.0 + 0.5 * (np.exp(-1) - 1 + 1)
    assert float(inclusive_kl(prior, samples, mean, log_variance)) == pytest.approx(expected, abs=0.01)
    twice = inclusive_kl(prior, samples, mean.expand(4, 2), log_variance.expand(4, 2))
    assert float(twice) == pytest.approx(expected, abs=0.01)


def test_a_larger_weight_matches_the_aggregate_to_the_prior(spots: DataSet) -> None:
    first = config_of("isotropic", beta=0.0, n_steps=150, alpha=0.0, batch_size=32, learning_rate=3e-3)
    configs = [first, first.changed({"alpha": 30.0})]
    free, matched = train_to_end(Trainer(configs, TrainingData(spots)), record_every=50)
    assert matched["divergence"][-1] < 0.5 * free["divergence"][-1]


def sparsity(codes: NDArray[np.float32]) -> float:
    """Return the mean Hoyer measure of rows, each code by its own standard deviation."""
    scaled = codes / codes.std(0)
    root = codes.shape[1] ** 0.5
    return float(np.mean((root - np.abs(scaled).sum(1) / np.linalg.norm(scaled, axis=1)) / (root - 1)))


@pytest.mark.claim("decomposition_vae")
def test_codes_become_sparse_by_the_weight_under_a_sparse_prior_alone(spots: DataSet) -> None:
    changes = {"n_codes": 10, "divergence": "mmd_dim", "batch_size": 32, "n_steps": 400, "learning_rate": 5e-3}
    images = spots.observations(spots.full_grid().factors)
    gained = {}
    for prior in ("sparse", "isotropic"):
        first = config_of(prior, **changes, spike=0.8, alpha=0.0)
        runs = train_many([first, first.changed({"alpha": 100.0})], spots, device="cpu")
        plain, matched = (sparsity(run.posterior(images).mean) for run in runs)
        gained[prior] = matched - plain
    assert gained["sparse"] > 0.06  # three seeds gained 0.06 to 0.15
    assert gained["isotropic"] < 0.03


def test_the_spectrum_is_largest_first() -> None:
    rng = np.random.default_rng(0)
    matrix = rng.standard_normal((60, 30)) * np.arange(1, 31)
    values = np.linalg.svd(matrix, compute_uv=False)
    assert log_spectrum(matrix, 10) == pytest.approx(np.log(values[:10] ** 2))
    assert log_spectrum(matrix, 30) == pytest.approx(np.log(values**2))
    with pytest.raises(InvalidInputError, match="spectrum of 31 latents"):
        log_spectrum(matrix, 31)


def test_a_spectrum_of_pixels_is_settled_before_training_and_kept(spots: DataSet, tmp_path: Any) -> None:
    config = config_of("anisotropic", spectrum="pca", n_codes=4)
    run = train(config, spots, out=tmp_path / "run", device="cpu")
    assert isinstance(run.config, DecompositionVAEConfig)
    pixels = spots.observations(spots.full_grid().factors).reshape(36, -1) / 255
    assert run.config.theta == pytest.approx(log_spectrum(pixels, 4).tolist(), abs=1e-3)
    assert run.config.theta == sorted(run.config.theta, reverse=True)
    back = load_run(tmp_path / "run")
    assert back.config == run.config
    torch.testing.assert_close(back.model.parts["spread"].theta, torch.tensor(run.config.theta))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prior": "student"}, "got 'student'; did you mean 'student-t'"),
        ({"prior": "isotropc"}, "did you mean 'isotropic'"),
        ({"divergence": "mmd"}, "divergence must be one of kld_inc, mmd_dim; got 'mmd'; did you mean 'mmd_dim'"),
        ({"scale": 0.0}, "scale must be above 0"),
        ({"degrees": 0.0}, "degrees must be above 0"),
        ({"spike": 1.0}, "spike must be from 0 to below 1"),
        ({"prior": "mixture"}, "n_codes must be 2; got 10"),
        ({"learned": True}, "only the anisotropic prior has a spectrum"),
        ({"prior": "sparse", "spectrum": "pca"}, "only the anisotropic prior has a spectrum"),
        ({"prior": "anisotropic", "spectrum": "1,2"}, "for each of 10 latents"),
        ({"prior": "anisotropic", "spectrum": "pcaa"}, "did you mean 'pca'"),
    ],
)
def test_wrong_settings_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        dataclasses.replace(DecompositionVAEConfig(), **changes)
