"""Mistakes in public implementations, each with a test that distinguishes it from the correct form."""

import dataclasses
import math
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from disentmetrics_reference_models.nn.gaussians import kl_to_standard_normal, reparameterise
from disentmetrics_reference_models.training.config import METHODS, Config
from disentmetrics_reference_models.training.data import TrainingData
from disentmetrics_reference_models.training.evidence import AutoEncoder, Terms
from disentmetrics_reference_models.training.method import Batch, Method
from disentmetrics_reference_models.training.registry import find_method
from disentmetrics_reference_models.training.train import train
from disentmetrics_reference_models.training.trainer import Trainer, train_to_end
from torch import Tensor
from torch.distributions import Bernoulli

from disentmetrics.datasets.base import DataSet
from disentmetrics.errors import InvalidInputError

N, D = 12, 4
ADVERSARIAL = ("factor_vae", "factor_vae_prior", "aae")


class Made(NamedTuple):
    method: Method
    config: Config
    model: AutoEncoder
    batch: Batch

    def terms(self, **weights: float) -> Terms:
        given = {k: torch.tensor(v) for k, v in {**self.config.weights, **weights}.items()}
        with torch.no_grad():
            return self.method.objective(self.model, self.batch, given, self.config)

    def posterior(self) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            mean, log_variance = self.model.encoder(self.batch.observations[:N])
        return mean, log_variance


def made(name: str, **changes: Any) -> Made:
    method = find_method(name)
    config = dataclasses.replace(method.preset("smoke"), architecture="small-fc", batch_size=N, n_codes=D, **changes)
    torch.manual_seed(0)
    model = method.build(config, (1, 8, 8))
    with torch.no_grad():
        model.get_parameter("encoder.head.weight").mul_(20)  # so that images differ in their codes
    images = torch.rand(N * method.n_batches, 1, 8, 8)
    draw = {"normal": torch.randn, "uniform": torch.rand}
    noise = {key: draw[shape.distribution](shape.shape) for key, shape in method.noise(config).items()}
    return Made(method, config, model, Batch(images, noise, torch.tensor(100.0), 1000))


@pytest.mark.parametrize("name", ["vae", "beta_vae", "beta_tcvae", "factor_vae", "dip_vae_i"])
def test_pixels_and_codes_are_summed_and_images_averaged(name: str) -> None:
    here = made(name)
    terms, (mean, log_variance) = here.terms(), here.posterior()
    with torch.no_grad():
        logits = here.model.decoder(reparameterise(mean, log_variance, here.batch.noise["z"]))
    of_images = -Bernoulli(logits=logits, validate_args=False).log_prob(here.batch.observations[:N]).sum((1, 2, 3))
    torch.testing.assert_close(terms["reconstruction"], of_images.mean())
    torch.testing.assert_close(terms["kl"], kl_to_standard_normal(mean, log_variance).sum(1).mean())


@pytest.mark.parametrize(("name", "weights"), [("vae", {}), ("beta_vae", {"beta": 3.0})])
def test_the_kl_of_the_loss_is_that_of_all_codes_and_weighted(name: str, weights: dict[str, float]) -> None:
    terms = made(name).terms(**weights)
    torch.testing.assert_close(terms["loss"], terms["reconstruction"] + weights.get("beta", 1.0) * terms["kl"])


def test_the_capacity_is_of_the_mean_kl_and_not_of_each_image() -> None:
    here = made("capacity_vae", n_growing=1.0)
    kl = kl_to_standard_normal(*here.posterior()).sum(1)
    assert (kl - kl.mean()).abs().mean() > 0.1
    terms = here.terms(capacity=float(kl.mean()))
    torch.testing.assert_close(terms["loss"], terms["reconstruction"], atol=1e-2, rtol=0)


def test_the_kl_is_drawn_to_the_capacity_from_both_sides() -> None:
    here = made("capacity_vae", n_growing=1.0)
    kl = float(here.terms()["kl"])
    for capacity, sign in ((0.5 * kl, 1.0), (2.0 * kl, -1.0)):
        terms = here.terms(capacity=capacity, gamma=10.0)
        torch.testing.assert_close(terms["loss"], terms["reconstruction"] + sign * 10 * (terms["kl"] - capacity))


@pytest.mark.parametrize("estimate", ["mws", "mss", "batch"])
def test_each_part_of_the_kl_has_its_own_weight(estimate: str) -> None:
    here = made("beta_tcvae", estimate=estimate)
    for number, part in enumerate(("mutual_information", "total_correlation", "dimension_wise_kl")):
        alpha, beta, gamma = (7.0 * (number == k) for k in range(3))
        terms = here.terms(alpha=alpha, beta=beta, gamma=gamma)
        torch.testing.assert_close(terms["loss"], terms["reconstruction"] + 7 * terms[part])


def test_weighted_sampling_counts_the_images_of_the_data_set() -> None:
    here = made("beta_tcvae", estimate="mws")
    larger = here._replace(batch=here.batch._replace(n_rows=5000))
    first, second = here.terms(), larger.terms()
    change = math.log(5000 / 1000)
    torch.testing.assert_close(second["mutual_information"] - first["mutual_information"], torch.tensor(change))
    torch.testing.assert_close(second["total_correlation"] - first["total_correlation"], torch.tensor((D - 1) * change))


@pytest.mark.parametrize("name", ["beta_tcvae", "isa_tcvae"])
def test_objectives_receive_the_size_of_the_data_set(
    name: str, spots: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = find_method(name).preset("smoke").changed({"architecture": "small-fc", "batch_size": 8, "n_steps": 1})
    original = find_method(name)
    sizes: list[int] = []

    def objective(model: AutoEncoder, batch: Batch, weights: Any, config: Any) -> Terms:
        sizes.append(batch.n_rows)
        assert 0 <= float(batch.observations.min()) < float(batch.observations.max()) <= 1
        return original.objective(model, batch, weights, config)

    monkeypatch.setitem(METHODS, type(config), dataclasses.replace(original, objective=objective))
    train_to_end(Trainer([config], TrainingData(spots)))
    assert set(sizes) == {36}


def test_the_isa_total_correlation_alone_counts_beta_times() -> None:
    here = made("isa_tcvae")
    parts = [here.terms(beta=beta) for beta in (1.0, 5.0)]
    torch.testing.assert_close(parts[1]["loss"] - parts[0]["loss"], 4 * parts[0]["total_correlation"])


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_the_divergence_that_the_discriminator_sees_is_added_and_not_taken_away(name: str) -> None:
    here = made(name)
    terms = here.terms(gamma=3.0)
    rest = terms["reconstruction"] if name == "aae" else -terms["elbo"]
    torch.testing.assert_close(terms["loss"], rest + 3 * terms["divergence"])
    (mean, log_variance), judge = here.posterior(), here.model.parts["discriminator"]
    with torch.no_grad():
        logits = judge(reparameterise(mean, log_variance, here.batch.noise["z"]))
    torch.testing.assert_close(terms["divergence"], (logits[:, 0] - logits[:, 1]).mean())


def test_the_discriminator_permutes_a_second_batch_and_each_is_whole() -> None:
    here = made("factor_vae")
    assert len(here.batch.observations) == 2 * N
    terms = here.terms()
    images = here.batch.observations.clone()
    images[N:] = images[N:].flip(0).square()
    other = here._replace(batch=here.batch._replace(observations=images)).terms()
    torch.testing.assert_close(other["loss"], terms["loss"])
    assert other["discriminator_loss"] != terms["discriminator_loss"]


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_neither_player_is_moved_by_the_loss_of_the_other(name: str, spots: DataSet) -> None:
    for still, field in (("parts.discriminator.", "discriminator_learning_rate"), ("coder.", "learning_rate")):
        tiny: dict[str, Any] = {"architecture": "small-fc", "batch_size": 8, "n_steps": 3, field: 1e-12}
        trainer = Trainer([find_method(name).preset("smoke").changed(tiny)], TrainingData(spots))
        before = {key: value.detach().clone() for key, value in trainer.parameters.items()}
        train_to_end(trainer)
        for key, value in trainer.parameters.items():
            moved = float((value.detach() - before[key]).abs().max())
            assert moved < 1e-9 if still in key else moved > 1e-6, key


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_the_discriminator_may_be_updated_after_the_model_on_its_new_codes(name: str, spots: DataSet) -> None:
    tiny: dict[str, Any] = {"architecture": "small-fc", "batch_size": 8, "n_steps": 3}
    config = find_method(name).preset("smoke").changed(tiny)
    data = TrainingData(spots)
    common, fresh = (
        Trainer([config.changed({"discriminator_update": update})], data) for update in ("common", "fresh")
    )
    train_to_end(common, until=1)
    train_to_end(fresh, until=1)
    same = {n: torch.equal(p, fresh.parameters[n]) for n, p in common.parameters.items()}
    assert all(same[n] for n in same if not n.startswith("parts.discriminator"))  # the model's step is the same
    assert not all(same[n] for n in same if n.startswith("parts.discriminator"))
    with pytest.raises(InvalidInputError, match="discriminator_update must be one of common, fresh"):
        config.changed({"discriminator_update": "late"})


def test_optimisers_are_those_of_the_papers(spots: DataSet) -> None:
    tiny: dict[str, Any] = {"architecture": "small-fc", "batch_size": 8}
    images = TrainingData(spots)
    config = find_method("factor_vae").preset("smoke").changed(tiny)
    parameter_groups = Trainer([config], images).parameter_groups
    assert parameter_groups["parts.discriminator"][1].defaults["betas"] == (0.5, 0.9)
    assert parameter_groups[""][1].defaults["betas"] == (0.9, 0.999)
    adagrad = find_method("beta_vae").preset("smoke").changed({**tiny, "optimizer": "adagrad"})
    optimizer = Trainer([adagrad], images).parameter_groups[""][1]
    assert optimizer.defaults["initial_accumulator_value"] == 0.1


def test_spikes_of_an_adversarial_autoencoder_have_a_least_width() -> None:
    here = made("aae")
    with torch.no_grad():
        here.model.get_parameter("encoder.head.bias")[D:] = -50.0
    kl = here.terms()["kl"]
    mean, log_variance = here.posterior()
    torch.testing.assert_close(kl, kl_to_standard_normal(mean, log_variance.clamp(min=-10)).sum(1).mean())
    assert log_variance.max() < -10


@pytest.mark.parametrize("name", ["dip_vae_i", "dip_vae_ii"])
def test_covariances_are_of_means_or_of_posteriors_and_never_of_the_samples_drawn(name: str) -> None:
    here = made(name)
    mean, log_variance = (part.double() for part in here.posterior())
    matrix = np.cov(mean.numpy().T, bias=True)
    if name == "dip_vae_ii":
        matrix += np.diag(log_variance.exp().mean(0).numpy())
    off = sum(matrix[i, j] ** 2 for i in range(D) for j in range(D) if i != j)
    own = sum((matrix[i, i] - 1) ** 2 for i in range(D))
    terms = here.terms(off_diagonal=3.0, diagonal=5.0)
    assert float(terms["off_diagonal_covariance"]) == pytest.approx(off, rel=1e-4)
    assert float(terms["loss"] + terms["elbo"]) == pytest.approx(3 * off + 5 * own, rel=1e-3)
    other = here._replace(batch=here.batch._replace(noise={"z": -2 * here.batch.noise["z"]})).terms()
    torch.testing.assert_close(other["off_diagonal_covariance"], terms["off_diagonal_covariance"])


def test_the_representation_is_the_mean_and_no_sample(spots: DataSet) -> None:
    config = find_method("vae").preset("smoke").changed({"architecture": "small-fc", "batch_size": 8, "n_steps": 2})
    run = train(config, spots, device="cpu")
    images = spots.observations(spots.full_grid().factors)
    with torch.no_grad():
        mean, log_variance = run.model.encoder(torch.from_numpy(images).movedim(-1, 1).float() / 255)
    encoded = run.posterior(images)
    assert np.array_equal(encoded.mean, mean.numpy())
    assert np.array_equal(encoded.mean, run.posterior(images).mean)
    assert float(log_variance.exp().min()) > 0.01
