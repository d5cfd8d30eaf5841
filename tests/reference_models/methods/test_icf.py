"""Independently controllable factors: transitions, policies and selectivity."""

from typing import Any

import numpy as np
import pytest
import torch
from disentmetrics_reference_models.training.config import Config, as_dict
from disentmetrics_reference_models.training.data import TrainingData
from disentmetrics_reference_models.training.registry import find_method
from disentmetrics_reference_models.training.train import train
from disentmetrics_reference_models.training.trainer import Trainer, train_to_end
from scipy.stats import spearmanr

import disentmetrics as dm
from disentmetrics.datasets.base import DataSet
from disentmetrics.errors import InvalidInputError


def config_of(**changes: Any) -> Config:
    tiny = {"architecture": "small-fc", "batch_size": 16, "n_steps": 40, "n_codes": 2, "movable": "row,column"}
    return find_method("icf").preset("smoke").changed({**tiny, **changes})


@pytest.mark.claim("icf")
def test_each_policy_moves_its_own_feature_along_one_coordinate(spots: DataSet) -> None:
    run = train(config_of(n_steps=2_500, learning_rate=2e-3, architecture="small-conv"), spots, device="cpu")
    assert run.history["selectivity"][-10:].mean() > 0.8  # 1/2 by chance
    assert run.history["dominance"][-10:].mean() > 0.75
    drawn = spots.full_grid()
    codes = np.asarray(run(spots.observations(drawn.factors)))
    rho = np.abs([[spearmanr(codes[:, j], drawn.factors[:, k]).statistic for k in range(2)] for j in range(2)])
    assert rho.max(1).min() > 0.9
    assert set(rho.argmax(1)) == {0, 1}
    assert np.abs(codes).max() <= 1


def test_actions_move_one_factor_by_one_step_and_keep_the_nuisance() -> None:
    data = TrainingData(dm.load_dataset("mini-sprites").with_nuisance("shape"))
    config = config_of(movable="orientation,x", batch_size=8)
    drawn = Trainer([config], data)._draw(20)
    assert drawn.nuisance is not None
    names, sizes = data.data.space.names, data.data.space.sizes
    moves = drawn.inputs["moves"][0].numpy()
    for step in range(20):
        factors = data.draws(drawn.rows[0, step]).factors.reshape(5, 8, -1)
        nuisance = drawn.nuisance[0, step].reshape(5, 8)
        assert (nuisance == nuisance[0]).all()
        for action, (name, direction) in enumerate([("orientation", -1), ("orientation", 1), ("x", -1), ("x", 1)]):
            column = names.index(name)
            changed = factors[action + 1] != factors[0]
            assert not np.delete(changed, column, axis=1).any()
            assert np.array_equal(changed[:, column], moves[step, :, action] > 0)
            target = factors[0, :, column] + direction
            expected = target % sizes[column] if name == "orientation" else target.clip(0, sizes[column] - 1)
            assert np.array_equal(factors[action + 1, :, column], expected)
    assert moves[..., :2].all()  # a circle has no end
    assert not moves[..., 2:].all()


def test_actions_without_effect_are_not_chosen(spots: DataSet) -> None:
    trainer = Trainer([config_of()], TrainingData(spots))
    history = train_to_end(trainer, record_every=10)[0]
    assert np.isfinite(history["loss"]).all()
    assert 0 <= history["selectivity"].min() <= history["selectivity"].max() <= 1


def test_policies_do_not_change_the_features_they_read(spots: DataSet) -> None:
    first, second = (Trainer([config_of(selectivity=0.0)], TrainingData(spots)) for _ in range(2))
    with torch.no_grad():
        second.parameters["parts.policies.weight"] += 1.0
    train_to_end(first, until=5)
    train_to_end(second, until=5)
    assert torch.equal(first.parameters["encoder.head.weight"], second.parameters["encoder.head.weight"])


def test_data_and_settings_must_fit(spots: DataSet) -> None:
    for data, changes, message in (
        (spots, {"movable": "rwo"}, "got 'rwo'; did you mean 'row'"),
        (dm.load_dataset("linear-gaussian"), {"likelihood": "gaussian"}, "needs a full grid of factors"),
        (spots, {"architecture": "chen-conv"}, "icf needs features before the last layer"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            Trainer([config_of(**changes)], TrainingData(data))
    resolved = Trainer([config_of(movable="")], TrainingData(spots)).config
    assert as_dict(resolved)["movable"] == "row,column"
    with pytest.raises(InvalidInputError, match="movable must name each factor once; got row,row"):
        Trainer([config_of(movable="row,row")], TrainingData(spots))
    shapes = dm.load_dataset("mini-sprites").select({"scale": 0, "orientation": 0, "x": 0, "y": 0})
    with pytest.raises(InvalidInputError, match="are categorical"):
        Trainer([config_of(movable="")], TrainingData(shapes))
