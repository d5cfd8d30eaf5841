"""GAN, InfoGAN and InfoWGAN-GP: their groups, the information about their codes, and their representations."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from disentmetrics_reference_models.training.config import Config
from disentmetrics_reference_models.training.data import TrainingData
from disentmetrics_reference_models.training.registry import find_method
from disentmetrics_reference_models.training.run import Run
from disentmetrics_reference_models.training.train import train
from disentmetrics_reference_models.training.trainer import Trainer, train_to_end

import disentmetrics as dm
from disentmetrics.datasets.base import DataSet
from disentmetrics.errors import InvalidInputError

NAMES = ["gan", "info_gan", "info_wgan_gp"]


def smoke(name: str, **changes: Any) -> Config:
    return find_method(name).preset("smoke").changed({"batch_size": 32, "n_steps": 12, **changes})


@pytest.fixture(scope="module")
def informed(spots: DataSet) -> Run:
    return train(smoke("info_gan", n_steps=400, n_continuous=2), spots, device="cpu")


@pytest.mark.claim("info_gan")
def test_the_category_carries_almost_all_the_information_it_can(informed: Run, spots: DataSet) -> None:
    run = informed
    assert run.history["information_of_categories"][-1] > 0.85 * math.log(3)
    assert run.history["information"].max() < math.log(3) + 2 * (math.log(2) - 0.5 * math.log(2 * math.pi))
    representation = dm.encode(run, spots, full_grid=True, cache=False)
    assert representation.categorical_codes.tolist() == [True, False, False]
    assert len(np.unique(representation.codes[:, 0])) > 1


@pytest.mark.claim("info_wgan_gp")
def test_a_gradient_penalty_keeps_slopes_at_one_and_the_distance_falls(spots: DataSet) -> None:
    run = train(smoke("info_wgan_gp", n_steps=600), spots, device="cpu")
    assert run.history["gradient_penalty"][-50:].mean() < 0.1
    assert run.history["distance"][-20:].mean() < 0.8 * run.history["distance"].max()
    assert run.history["information_of_categories"][-20:].mean() > 0.5 * math.log(3)


@pytest.mark.claim("gan")
def test_generated_images_are_as_dark_as_those_of_the_data(spots: DataSet) -> None:
    run = train(smoke("gan", n_steps=300), spots, device="cpu")
    assert np.mean(run.sample(200)) / 255 == pytest.approx(16 / 256, rel=0.5)
    assert run.config.n_codes == np.asarray(run(spots.observations(spots.full_grid().factors))).shape[1]
    with pytest.raises(InvalidInputError, match="gan cannot decode features .*; use its samples"):
        run.decode(np.zeros((2, run.config.n_codes)))


@pytest.mark.parametrize("name", NAMES)
def test_the_generator_follows_the_critic_it_faces(name: str, spots: DataSet) -> None:
    trainer = Trainer([smoke(name)], TrainingData(spots))
    period = 2 if name == "info_wgan_gp" else 1
    changed = []
    for _ in range(4):
        before = {n: p.detach().clone() for n, p in trainer.parameters.items()}
        train_to_end(trainer, until=trainer.step + 1)
        changed.append(any(not torch.equal(p, before[n]) for n, p in trainer.parameters.items() if n.startswith("gen")))
    assert changed == [(step + 1) % period == 0 for step in range(4)]
    kinds = {key: optimizer.defaults["betas"] for key, (_, optimizer) in trainer.parameter_groups.items()}
    assert kinds == {"critic": (0.5, 0.999), "": (0.5, 0.999)}


def test_the_recognition_network_is_trained_with_its_trunk_in_both_steps(spots: DataSet) -> None:
    trainer = Trainer([smoke("info_gan", information=100.0)], TrainingData(spots))
    names, _ = trainer.parameter_groups["critic"]
    assert any(name.startswith("critic.recognition") for name in names)
    assert any(name.startswith("critic.features") for name in names)
    history = train_to_end(trainer, record_every=1)[0]
    assert history["information"][-1] > history["information"][0]


def test_codes_decode_to_images_whose_category_is_recognised(informed: Run) -> None:
    codes = np.array([[category, 0.5, 0.0] for category in (0.0, 1.0, 2.0)])
    images = informed.decode(codes)
    assert images.shape == (3, 16, 16, 1)
    assert np.asarray(informed(images))[:, 0].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"networks": "mnst"}, "did you mean 'mnist'"),
        ({"n_noise": 0}, "n_noise must be at least 1"),
        ({"categories": "", "n_continuous": 0}, "at least one code"),
        ({"critic_learning_rate": 0.0}, "critic_learning_rate must be above 0"),
        ({"batch_size": 1}, "batch_size of at least 2; got 1"),
    ],
)
def test_wrong_settings_report_the_requirement(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        smoke("info_gan", **changes)
    with pytest.raises(InvalidInputError, match="networks must be one of dsprites, wgan, .*; got mnist"):
        smoke("info_wgan_gp", networks="mnist")
    with pytest.raises(InvalidInputError, match="n_critic must be at least 1"):
        smoke("info_wgan_gp", n_critic=0)
