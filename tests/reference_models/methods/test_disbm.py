"""DisBM: energies and their conditional probabilities, pairs, chains, and what identity and pose units encode."""

from typing import Any

import numpy as np
import pytest
import torch
from disentmetrics_reference_models.methods.disbm import DisBMConfig, ThreeWayMachine
from disentmetrics_reference_models.training.config import Config, as_dict
from disentmetrics_reference_models.training.data import TrainingData
from disentmetrics_reference_models.training.registry import find_method
from disentmetrics_reference_models.training.train import train
from disentmetrics_reference_models.training.trainer import Trainer, train_to_end
from numpy.typing import NDArray

import disentmetrics as dm
from disentmetrics.datasets.base import DataSet
from disentmetrics.errors import InvalidInputError

TINY = {"n_identity_units": 20, "n_pose_units": 20, "n_factors": 30, "n_sweeps": 3, "batch_size": 32}


def config_of(**changes: Any) -> Config:
    return find_method("disbm").preset("smoke").changed({**TINY, "identity": "row", "n_steps": 30, **changes})


def machine() -> ThreeWayMachine:
    torch.manual_seed(0)
    config = DisBMConfig(n_identity_units=3, n_pose_units=2, n_factors=4, batch_size=5)
    return ThreeWayMachine(config, (1, 2, 3)).double().requires_grad_(requires_grad=False)


def binary(*shape: int) -> torch.Tensor:
    return torch.randint(2, shape, generator=torch.Generator().manual_seed(1)).double()


@pytest.mark.parametrize("group", ["visible", "pose", "identity"])
def test_conditional_probabilities_are_those_of_the_energy(group: str) -> None:
    model = machine()
    v, m, h = binary(5, 6), binary(5, 2), binary(5, 3)
    probability = {
        "visible": model.visible(m, h),
        "pose": model.pose(v, h),
        "identity": (model.identity_input(v, m) + model.identity_bias).sigmoid(),
    }[group]
    chosen = {"visible": v, "pose": m, "identity": h}[group]
    for unit in range(chosen.shape[1]):
        energies = []
        for value in (0.0, 1.0):
            changed = chosen.clone()
            changed[:, unit] = value
            states = {"visible": v, "pose": m, "identity": h, group: changed}
            energies.append(model.energy(states["visible"], states["pose"], states["identity"]))
        torch.testing.assert_close(probability[:, unit], (energies[0] - energies[1]).sigmoid())


def test_the_free_energy_bounds_the_log_weight_of_an_image() -> None:
    model = machine()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
    v = binary(5, 6)
    states = [(torch.tensor(a), torch.tensor(b)) for a in np.ndindex(2, 2) for b in np.ndindex(2, 2, 2)]
    energies = torch.stack([model.energy(v, m.expand(5, -1).double(), h.expand(5, -1).double()) for m, h in states])
    exact = -torch.logsumexp(-energies, 0)
    free = model.free_energy(v, 50)
    assert bool((free >= exact - 1e-9).all())
    assert float((free - exact).max()) < 0.5


@pytest.mark.claim("disbm")
def test_identity_units_encode_the_identity_and_pose_units_the_pose(spots: DataSet) -> None:
    run = train(config_of(n_steps=400, n_pretraining=100.0), spots, device="cpu")
    images = spots.observations(spots.full_grid().factors)
    codes = np.asarray(run(images)).reshape(6, 6, -1)

    def share(units: NDArray[np.float32], axis: int) -> float:
        """Return the share of the variance of units that the factor on this axis explains."""
        return float(units.mean(1 - axis).var(0).sum() / units.var((0, 1)).sum())

    identity, pose = codes[..., :20], codes[..., 20:]
    assert share(identity, 0) > 0.9
    assert share(identity, 1) < 0.1
    assert share(pose, 1) > 3 * share(pose, 0)
    v = torch.from_numpy(images).flatten(1).float() / 255
    noise = torch.from_numpy(np.random.default_rng(0).permuted(v.numpy(), axis=1))
    assert float((run.model.free_energy(noise, 5) - run.model.free_energy(v, 5)).mean()) > 10
    assert run.sample(3).shape == (3, 16, 16, 1)


def test_pairs_share_their_identity_alone(spots: DataSet) -> None:
    data = TrainingData(spots)
    drawn = Trainer([config_of()], data)._draw(20)
    for step in range(20):
        first, second = data.draws(drawn.rows[0, step]).factors.reshape(2, 32, 2)
        assert (first[:, 0] == second[:, 0]).all()
        assert not (first[:, 1] == second[:, 1]).all()
        differ = drawn.inputs["differ"][0, step].numpy()
        assert np.array_equal(differ > 0, first[:, 0] != np.roll(first[:, 0], -1))


def test_three_way_weights_have_no_effect_during_pretraining(spots: DataSet) -> None:
    trainer = Trainer([config_of(n_pretraining=5.0)], TrainingData(spots))
    before = trainer.parameters["pose_factors"].detach().clone()
    train_to_end(trainer, until=5)
    assert torch.equal(trainer.parameters["pose_factors"], before)
    train_to_end(trainer, until=7)
    assert not torch.equal(trainer.parameters["pose_factors"], before)


def test_chains_move_and_stay_binary(spots: DataSet) -> None:
    trainer = Trainer([config_of()], TrainingData(spots))
    train_to_end(trainer, until=2)
    first = trainer.buffers["first_visible"].clone()
    assert set(first.unique().tolist()) == {0.0, 1.0}
    train_to_end(trainer, until=3)
    assert not torch.equal(trainer.buffers["first_visible"], first)


def test_factors_of_the_identity_must_be_known(spots: DataSet) -> None:
    data = dm.load_dataset("mini-sprites")
    for known, identity in ((data, "shape"), (spots, "row")):
        resolved = Trainer([config_of(identity="")], TrainingData(known)).config
        assert as_dict(resolved)["identity"] == identity
    for wrong, changes, message in (
        (spots, {"identity": "row,column"}, "needs factors of the identity and others of the pose"),
        (spots, {"identity": "rwo"}, "did you mean 'row'"),
        (dm.load_dataset("linear-gaussian"), {}, "needs a full grid of factors"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            Trainer([config_of(**changes)], TrainingData(wrong))
    with pytest.raises(InvalidInputError, match="n_sweeps must be at least 1"):
        config_of(n_sweeps=0)
