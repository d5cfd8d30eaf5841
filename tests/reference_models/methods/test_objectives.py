"""Terms of each objective, and the parameters that receive its gradients."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from disentmetrics_reference_models.nn.networks import ARCHITECTURES
from disentmetrics_reference_models.training.config import Config
from disentmetrics_reference_models.training.evidence import AutoEncoder, Terms
from disentmetrics_reference_models.training.method import REPORTED, Batch, Method
from disentmetrics_reference_models.training.registry import find_method, find_methods
from disentmetrics_reference_models.training.trainer import steps_per_chunk

METHODS = sorted(find_methods())


def made(name: str, **changes: Any) -> tuple[Method, Config, AutoEncoder, Batch]:
    method = find_method(name)
    config = dataclasses.replace(method.preset("smoke"), architecture="small-fc", batch_size=12, n_codes=4, **changes)
    torch.manual_seed(0)
    model = method.build(config, (1, 8, 8))
    images = torch.rand(12 * method.n_batches, 1, 8, 8)
    draw = {"normal": torch.randn, "uniform": torch.rand}
    noise = {key: draw[shape.distribution](shape.shape) for key, shape in method.noise(config).items()}
    return (
        method,
        config,
        model,
        Batch(images, noise, torch.tensor(100.0), 1000, {"factors": torch.randn(len(images), 4)}),
    )


def terms_of(name: str, weights: Mapping[str, float] | None = None) -> Terms:
    method, config, model, batch = made(name)
    given = {**config.weights, **(weights or {})}
    return method.objective(model, batch, {k: torch.tensor(v) for k, v in given.items()}, config)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_a_source_and_presets(name: str) -> None:
    method = find_method(name)
    assert method.paper
    assert method.summary
    for preset in ("smoke", "small", "paper"):
        config = method.preset(preset)
        assert config.architecture in ARCHITECTURES
        assert steps_per_chunk(config) >= 1


BOUNDED = [name for name in METHODS if find_method(name).reported == REPORTED]


@pytest.mark.parametrize("name", BOUNDED)
def test_every_method_with_an_evidence_bound_logs_what_makes_objectives_comparable(name: str) -> None:
    terms = terms_of(name)
    assert {"loss", "reconstruction", "kl", "elbo", "kl_of_code"} <= set(terms)
    assert all(torch.isfinite(value).all() for value in terms.values())
    torch.testing.assert_close(terms["elbo"], -terms["reconstruction"] - terms["kl"])
    torch.testing.assert_close(terms["kl"], terms["kl_of_code"].sum())


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("beta_vae", {"beta": 1.0}),
        ("beta_tcvae", {"alpha": 0.0, "beta": 0.0, "gamma": 0.0}),
        ("dip_vae_i", {"off_diagonal": 0.0, "diagonal": 0.0}),
        ("dip_vae_ii", {"off_diagonal": 0.0, "diagonal": 0.0}),
        ("factor_vae", {"gamma": 0.0}),
        ("factor_vae_prior", {"gamma": 0.0}),
        ("capacity_vae", {"gamma": 0.0}),
        ("aae", {"gamma": 0.0}),
    ],
)
def test_without_its_weights_a_method_is_its_base_method(name: str, weights: dict[str, float]) -> None:
    terms = terms_of(name, weights)
    only_reconstruction = name in {"beta_tcvae", "capacity_vae", "aae"}
    expected = terms["reconstruction"] if only_reconstruction else -terms["elbo"]
    torch.testing.assert_close(terms["loss"], expected)


def test_parts_of_the_kl_weighted_by_one_are_a_one_sample_bound() -> None:
    terms = terms_of("beta_tcvae", {"alpha": 1.0, "beta": 1.0, "gamma": 1.0})
    parts = terms["mutual_information"] + terms["total_correlation"] + terms["dimension_wise_kl"]
    torch.testing.assert_close(terms["loss"], terms["reconstruction"] + parts)


def test_the_covariance_of_type_two_is_that_of_samples() -> None:
    from disentmetrics_reference_models.methods.dip_vae import aggregate_covariance, covariance

    torch.manual_seed(0)
    mean, log_variance = torch.randn(50, 3), torch.randn(50, 3)
    samples = mean + (0.5 * log_variance).exp() * torch.randn(20_000, 50, 3)
    torch.testing.assert_close(
        covariance(samples.reshape(-1, 3)), aggregate_covariance(mean, log_variance), rtol=0.02, atol=0.02
    )
    torch.testing.assert_close(covariance(mean), torch.cov(mean.T, correction=0))


@pytest.mark.parametrize("name", ["factor_vae", "factor_vae_prior", "aae"])
def test_the_discriminator_is_trained_alone_and_its_divergence_reaches_the_encoder(name: str) -> None:
    method, config, model, batch = made(name)
    weights = {k: torch.tensor(v) for k, v in config.weights.items()}
    terms = method.objective(model, batch, weights, config)
    own = [*model.encoder.parameters(), *model.decoder.parameters()]
    leaked = torch.autograd.grad(terms["discriminator_loss"], own, retain_graph=True, allow_unused=True)
    assert all(gradient is None for gradient in leaked)
    gradients = torch.autograd.grad(terms["divergence"], list(model.encoder.parameters()), retain_graph=True)
    assert any(gradient.abs().sum() > 0 for gradient in gradients)


def test_an_accurate_discriminator_has_a_positive_ratio_on_codes() -> None:
    from disentmetrics_reference_models.nn.adversarial import discriminator_loss, log_ratio
    from disentmetrics_reference_models.nn.networks import Discriminator

    torch.manual_seed(0)
    discriminator = Discriminator(2, width=32, n_layers=2)
    optimizer = torch.optim.Adam(discriminator.parameters(), lr=1e-2)
    own, other = torch.randn(500, 2) + 1.0, torch.randn(500, 2) - 1.0
    for _ in range(100):
        loss, _ = discriminator_loss(discriminator, own, other)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    loss, accuracy = discriminator_loss(discriminator, own, other)
    assert accuracy > 0.85
    assert loss < 0.35
    # log of N(1, I) over N(-1, I) at x is 2 sum x; its mean under the first is 4.
    assert float(log_ratio(discriminator(own)).mean().detach()) == pytest.approx(4.0, abs=1.5)


def test_the_capacity_increases_to_its_maximum() -> None:
    method, config, model, batch = made("capacity_vae")
    weights = {k: torch.tensor(v) for k, v in config.weights.items()}
    for step, expected in ((0.0, 0.0), (300.0, 3.0), (600.0, 6.0), (9000.0, 6.0)):
        with torch.no_grad():
            terms = method.objective(model, batch._replace(step=torch.tensor(step)), weights, config)
        assert float(terms["capacity"]) == pytest.approx(expected)
        distance = abs(float(terms["kl"]) - expected)
        assert float(terms["loss"] - terms["reconstruction"]) == pytest.approx(1000.0 * distance, rel=1e-3)
