"""ISA-VAE and ISA-TCVAE: special cases that equal other methods, and invalid settings."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from disentmetrics_reference_models.analysis.evidence_bounds import latent_variable_model
from disentmetrics_reference_models.methods.isa_vae import ISAVAEConfig, isa_prior, subspace_sizes
from disentmetrics_reference_models.nn.gaussians import log_density, reparameterise
from disentmetrics_reference_models.training.config import Config
from disentmetrics_reference_models.training.data import TrainingData
from disentmetrics_reference_models.training.evidence import AutoEncoder, Terms
from disentmetrics_reference_models.training.method import Batch, Method
from disentmetrics_reference_models.training.registry import find_method
from disentmetrics_reference_models.training.train import train
from disentmetrics_reference_models.training.trainer import Trainer, train_to_end

from disentmetrics.datasets.base import DataSet
from disentmetrics.errors import InvalidInputError

GAUSSIAN: dict[str, Any] = {"exponent": 2.0, "root_exponent": 2.0}


def made(name: str, **changes: Any) -> tuple[Method, Any, AutoEncoder, Batch]:
    method = find_method(name)
    own = {key: value for key, value in changes.items() if key in {f.name for f in dataclasses.fields(method.config)}}
    config: Config = dataclasses.replace(
        method.preset("smoke"), architecture="small-fc", batch_size=12, n_codes=4, **own
    )
    torch.manual_seed(0)
    model = method.build(config, (1, 8, 8))
    images = torch.rand(12, 1, 8, 8)
    return method, config, model, Batch(images, {"z": torch.randn(12, 4)}, torch.tensor(0.0), 1000)


def terms_of(name: str, **changes: Any) -> Terms:
    method, config, model, batch = made(name, **changes)
    return method.objective(model, batch, {k: torch.tensor(v) for k, v in config.weights.items()}, config)


def test_with_beta_one_both_are_the_bound_under_their_prior() -> None:
    one, other = (terms_of(name, beta=1.0) for name in ("isa_vae", "isa_tcvae"))
    torch.testing.assert_close(one["loss"], -one["elbo"])
    torch.testing.assert_close(other["loss"], one["loss"])
    assert not torch.isclose(terms_of("isa_tcvae", beta=2.0)["loss"], one["loss"])


def test_with_exponents_two_they_are_one_sample_forms_of_their_gaussian_relatives() -> None:
    isa, plain = terms_of("isa_tcvae", beta=3.0, **GAUSSIAN), terms_of("beta_tcvae", beta=3.0)
    torch.testing.assert_close(isa["prior_scale"], torch.tensor(2.0))
    for term in ("loss", "mutual_information", "total_correlation", "dimension_wise_kl"):
        torch.testing.assert_close(isa[term], plain[term], rtol=1e-4, atol=1e-4)
    method, config, model, batch = made("isa_vae", beta=3.0, **GAUSSIAN)
    weights = {k: torch.tensor(v) for k, v in config.weights.items()}
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        kl = [
            method.objective(
                model, batch._replace(noise={"z": torch.randn(12, 4, generator=generator)}), weights, config
            )["kl_of_code"]
            for _ in range(1000)
        ]
    error = torch.stack(kl).std(0) / len(kl) ** 0.5
    expected = terms_of("beta_vae", beta=3.0)["kl_of_code"]
    assert ((torch.stack(kl).mean(0) - expected).abs() < 4.5 * error).all()


def test_the_scale_gives_unit_variance_unless_specified() -> None:
    assert float(terms_of("isa_vae")["prior_scale"]) == pytest.approx(2.141, abs=1e-3)
    assert float(terms_of("isa_vae", scale=1.0)["prior_scale"]) == 1.0
    _, config, model, _ = made("isa_vae", subspaces="3,1")
    prior = isa_prior(model, {k: torch.tensor(v) for k, v in config.weights.items()}, config)
    assert float(prior.variance().mean()) == pytest.approx(1.0)
    assert prior.sample(5, np.random.default_rng(0)).shape == (5, 4)


def test_learned_exponents_are_logged_and_learn(spots: DataSet) -> None:
    config = find_method("isa_vae").preset("smoke")
    learning = {"learned_exponents": True, "exponent": 2.1, "root_exponent": 2.0, "exponents_learning_rate": 1e-2}
    first = config.changed({"architecture": "small-fc", "batch_size": 16, "n_steps": 40, **learning})
    starts = (2.1, 2.5)
    configs = [first, first.changed({"seed": 1, "exponent": starts[1], "beta": 3.0})]
    trainer = Trainer(configs, TrainingData(spots))
    together = train_to_end(trainer, record_every=20)
    for member, start, history in zip(configs, starts, together, strict=True):
        alone = train_to_end(Trainer([member], TrainingData(spots)), record_every=20)[0]
        for term in ("loss", "exponent_0", "exponent_2", "prior_scale"):
            assert history[term] == pytest.approx(alone[term], rel=2e-3)
        assert abs(history["exponent_0"][0] - start) < 0.2
        assert abs(history["exponent_0"][-1] - history["exponent_0"][0]) > 1e-3
    assert trainer.models()[1].parts["exponents"]().tolist() == pytest.approx(
        [together[1][f"exponent_{k}"][-1] for k in range(3)], abs=0.1
    )


def test_the_prior_shapes_the_aggregate(spots: DataSet) -> None:
    changes = {**GAUSSIAN, "architecture": "small-fc", "batch_size": 32, "n_steps": 200, "learning_rate": 1e-2}
    config = find_method("isa_vae").preset("smoke").changed({**changes, "beta": 8.0})
    wide = config.changed({"scale": 18.0})
    trainer = Trainer([config, wide], TrainingData(spots))
    train_to_end(trainer)
    images = torch.from_numpy(spots.observations(spots.full_grid().factors)).movedim(-1, 1).float() / 255
    spread = [(m.var(0) + v.exp().mean(0)).mean() for m, v in (model.encoder(images) for model in trainer.models())]
    assert float(spread[0]) == pytest.approx(1.0, abs=0.5)
    assert float(spread[1]) > 4.0


@pytest.mark.parametrize("name", ["isa_vae", "isa_tcvae", "decomposition_vae", "info_dropout", "beta_vae"])
def test_the_prior_of_a_run_is_that_of_its_logged_bound(name: str, spots: DataSet) -> None:
    changes: dict[str, Any] = {"architecture": "small-fc", "batch_size": 16, "n_steps": 20}
    if name == "decomposition_vae":
        changes |= {"prior": "anisotropic", "spectrum": "3,2,1,0,0,0", "learned": True}
    if name.startswith("isa"):
        changes["learned_exponents"] = True
    run = train(find_method(name).preset("smoke").changed(changes), spots, device="cpu")
    noise = {k: torch.rand(s.shape) for k, s in run.method.noise(run.config).items()}
    images = torch.rand(16, 1, 16, 16)
    weights = {k: torch.tensor(v) for k, v in run.config.weights.items()}
    terms = run.method.objective(run.model, Batch(images, noise, torch.tensor(0.0), 1000), weights, run.config)
    mean, log_variance = run.model.encoder(images)
    z = reparameterise(mean, log_variance, noise["z"])
    torch.testing.assert_close(run.prior.kl(mean, log_variance, z).mean(0), terms["kl_of_code"])
    if name.startswith("isa"):
        ratios = log_density(z, mean, log_variance).sum(1) - latent_variable_model(run).log_prior(z)
        torch.testing.assert_close(ratios.mean(), terms["kl"])


def test_subspace_sizes_are_parsed_and_validated() -> None:
    assert subspace_sizes("4", 20) == (4,) * 5
    assert subspace_sizes("1, 2,3", 6) == (1, 2, 3)
    for text, n, message in (
        ("4", 10, "size 4; got 10; nearest n_codes: 8 or 12"),
        ("4", 2, "nearest n_codes: 4 or 8"),
        ("4,4", 10, "4,4 sum to 8 and n_codes is 10"),
        ("4,0", 4, "sizes of at least 1"),
        ("four", 4, "sizes of at least 1"),
        ("", 4, "sizes of at least 1"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            subspace_sizes(text, n)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"exponent": 0.0}, "exponent must be above 0.0"),
        ({"exponent": 1.7, "learned_exponents": True}, "exponent must be above 1.8"),
        ({"root_exponent": -1.0}, "root_exponent must be above 0"),
        ({"scale": -1.0}, "scale must be above 0"),
        ({"exponents_learning_rate": 0.0}, "exponents_learning_rate must be above 0"),
        ({"subspace": "2"}, "did you mean 'subspaces'"),
        ({"n_codes": 10}, "nearest n_codes: 8 or 12"),
    ],
)
def test_invalid_settings_raise_errors(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        ISAVAEConfig().changed(changes)
    with pytest.raises(InvalidInputError, match="did you mean 'mws'"):
        find_method("isa_tcvae").preset("smoke").changed({"estimate": "mwss"})
