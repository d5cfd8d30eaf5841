"""Information Dropout: its noise, its KL and its representation."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from disentmetrics_reference_models.methods.info_dropout import InfoDropoutConfig, LogNormalEncoder
from disentmetrics_reference_models.nn.gaussians import log_density
from disentmetrics_reference_models.nn.priors import LearnedGaussian
from disentmetrics_reference_models.nn.total_correlation import pairwise_log_density
from disentmetrics_reference_models.training.config import Config
from disentmetrics_reference_models.training.data import TrainingData
from disentmetrics_reference_models.training.evidence import AutoEncoder
from disentmetrics_reference_models.training.method import Batch, Method
from disentmetrics_reference_models.training.registry import find_method
from disentmetrics_reference_models.training.train import train, train_many
from disentmetrics_reference_models.training.trainer import Trainer, train_to_end
from torch import Tensor
from torch.distributions import LogNormal

from disentmetrics.datasets.base import DataSet
from disentmetrics.errors import InvalidInputError


def tiny(**changes: Any) -> Config:
    settings = {"architecture": "small-fc", "batch_size": 16, "n_steps": 40, "n_codes": 4, **changes}
    return find_method("info_dropout").preset("smoke").changed(settings)


def made(**changes: Any) -> tuple[Method, Config, AutoEncoder, Batch, dict[str, Tensor]]:
    method, config = find_method("info_dropout"), tiny(**changes)
    torch.manual_seed(0)
    model = method.build(config, (1, 8, 8))
    batch = Batch(torch.rand(16, 1, 8, 8), {"z": torch.randn(16, 4)}, torch.tensor(0.0), 1000)
    return method, config, model, batch, {k: torch.tensor(v) for k, v in config.weights.items()}


def test_the_heads_are_log_activation_and_log_squared_noise() -> None:
    _, _, model, batch, _ = made(most_noise=0.5)
    encoder = model.encoder
    assert isinstance(encoder, LogNormalEncoder)
    log_f, log_square = encoder(batch.observations)
    activation, strength = encoder.encoder(batch.observations)
    torch.testing.assert_close(log_f.exp(), torch.nn.functional.softplus(activation))
    torch.testing.assert_close((0.5 * log_square).exp(), 0.001 + 0.5 / (1 + (-strength).exp()))

    class Extreme(torch.nn.Module):
        def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
            return torch.tensor([[-1e3, 1e3]]), torch.tensor([[-1e3, 1e3]])

    log_f, log_square = LogNormalEncoder(Extreme(), 0.7)(batch.observations)
    assert log_f[0].tolist() == pytest.approx([math.log(1e-4), math.log(1e3)])
    assert (0.5 * log_square).exp()[0].tolist() == pytest.approx([0.001, 0.701])


def test_the_divergence_is_that_of_log_normals_and_the_mean_of_log_ratios() -> None:
    method, config, model, batch, weights = made()
    prior = model.parts["prior"]
    assert isinstance(prior, LearnedGaussian)
    torch.nn.init.normal_(prior.mean)
    torch.nn.init.normal_(prior.log_variance)
    with torch.no_grad():
        logged = method.objective(model, batch, weights, config)["kl_of_code"]
        log_f, log_square = model.encoder(batch.observations)
        posterior = LogNormal(log_f, (0.5 * log_square).exp())
        z = log_f.exp() * ((0.5 * log_square).exp() * torch.randn(4000, 16, 4)).exp()
        ratios = posterior.log_prob(z) - LogNormal(prior.mean, (0.5 * prior.log_variance).exp()).log_prob(z)
    of_batches = ratios.mean(1)
    error = of_batches.std(0) / len(of_batches) ** 0.5
    assert ((of_batches.mean(0) - logged).abs() < 4.5 * error).all()


@pytest.mark.parametrize("beta", [0.0, 2.0])
def test_the_loss_is_reconstruction_and_beta_times_the_divergence(beta: float) -> None:
    method, config, model, batch, weights = made(beta=beta)
    terms = method.objective(model, batch, weights, config)
    torch.testing.assert_close(terms["loss"], terms["reconstruction"] + beta * terms["kl"])
    torch.testing.assert_close(terms["elbo"], -terms["reconstruction"] - terms["kl"])


def test_the_decoder_sees_log_activations_under_noise() -> None:
    method, config, model, batch, weights = made()
    seen: list[Tensor] = []
    model.decoder.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    method.objective(model, batch, weights, config)
    log_f, log_square = model.encoder(batch.observations)
    noisy = log_f.exp() * ((0.5 * log_square).exp() * batch.noise["z"]).exp()
    torch.testing.assert_close(seen[0], noisy.log())


def test_the_prior_is_learned_towards_the_aggregate(spots: DataSet) -> None:
    config = tiny(n_steps=250, learning_rate=2e-2, beta=4.0)
    run = train(config, spots, device="cpu")
    posterior = run.posterior(spots.observations(spots.full_grid().factors))
    assert posterior.log_variance is not None
    prior = run.model.parts["prior"]
    assert isinstance(prior, LearnedGaussian)
    aggregate = posterior.mean.var(0) + np.exp(posterior.log_variance).mean(0)
    assert prior.mean.numpy() == pytest.approx(posterior.mean.mean(0), abs=0.3)
    assert np.abs(np.log(aggregate) - prior.log_variance.numpy()).max() < 0.7


@pytest.mark.claim("info_dropout")
def test_noise_grows_and_information_falls_with_beta(spots: DataSet) -> None:
    first = tiny(n_steps=200, learning_rate=1e-2, batch_size=32)
    runs = train_many([first.changed({"beta": beta}) for beta in (0.1, 1.0, 8.0)], spots, device="cpu")
    noise, kl, reconstruction = (
        [float(run.history[term][-1]) for run in runs] for term in ("noise", "kl", "reconstruction")
    )
    assert noise == sorted(noise)
    assert kl == sorted(kl, reverse=True)
    assert reconstruction == sorted(reconstruction)
    assert kl[0] - kl[2] > 3


@pytest.mark.claim("info_dropout_tc")
def test_a_weight_of_the_total_correlation_makes_latents_less_dependent(spots: DataSet) -> None:
    tiny_tc = {"architecture": "small-fc", "batch_size": 36, "n_steps": 600, "n_codes": 4, "learning_rate": 5e-3}
    first = find_method("info_dropout_tc").preset("smoke").changed({**tiny_tc, "beta": 0.5, "estimate": "batch"})
    weak, strong = train_many([first.changed({"gamma": gamma}) for gamma in (0.5, 20.0)], spots, device="cpu")
    tc = [run.history["total_correlation"][-20:].mean() for run in (weak, strong)]
    assert tc[1] < 0.5 * tc[0]


def test_with_equal_weights_it_is_the_divergence_from_the_product_of_the_marginals() -> None:
    method = find_method("info_dropout_tc")
    config = method.preset("smoke").changed({"architecture": "small-fc", "batch_size": 16, "n_codes": 4})
    torch.manual_seed(0)
    model = method.build(config, (1, 8, 8))
    batch = Batch(torch.rand(16, 1, 8, 8), {"z": torch.randn(16, 4)}, torch.tensor(0.0), 1000)
    weights = {"beta": torch.tensor(3.0), "gamma": torch.tensor(3.0), "most_noise": torch.tensor(0.7)}
    terms = method.objective(model, batch, weights, config)
    mean, log_variance = model.encoder(batch.observations)
    z = mean + (0.5 * log_variance).exp() * batch.noise["z"]
    log_q = pairwise_log_density(z, mean, log_variance)
    marginals = torch.logsumexp(log_q, 1) - math.log(1000 * 16)
    divergence = (log_density(z, mean, log_variance) - marginals).sum(1).mean()
    torch.testing.assert_close(terms["loss"], terms["reconstruction"] + 3 * divergence)
    torch.testing.assert_close(terms["prior_loss"], terms["kl"])


def test_the_prior_of_the_second_objective_is_fitted_and_does_not_influence_the_latents(spots: DataSet) -> None:
    config = find_method("info_dropout_tc").preset("smoke").changed({"architecture": "small-fc", "n_steps": 20})
    one, other = (Trainer([config], TrainingData(spots)) for _ in range(2))
    with torch.no_grad():
        other.parameters["parts.prior.mean"] += 3
    train_to_end(one)
    train_to_end(other)
    assert torch.equal(one.parameters["encoder.encoder.head.weight"], other.parameters["encoder.encoder.head.weight"])
    assert other.parameters["parts.prior.mean"].max() < 3


def test_members_of_a_stack_may_differ_in_noise(spots: DataSet) -> None:
    configs = [tiny(), tiny(seed=1, most_noise=0.2, beta=3.0)]
    together = train_to_end(Trainer(configs, TrainingData(spots)), record_every=20)
    alone = train_to_end(Trainer(configs[1:], TrainingData(spots)), record_every=20)[0]
    assert together[1]["noise"].max() < 0.2
    assert together[0]["noise"].max() > 0.2
    for term in ("loss", "noise", "kl"):
        assert together[1][term] == pytest.approx(alone[term], rel=2e-3)


def test_noise_must_be_some() -> None:
    with pytest.raises(InvalidInputError, match="most_noise must be above 0"):
        InfoDropoutConfig(most_noise=0.0)
    with pytest.raises(InvalidInputError, match="did you mean 'most_noise'"):
        InfoDropoutConfig().changed({"most_nois": 1})
