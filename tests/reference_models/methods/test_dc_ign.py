"""DC-IGN: batches in which one factor varies, clamping, and its gradient."""

from typing import Any

import numpy as np
import pytest
import torch
from disentmetrics_reference_models.training.config import Config
from disentmetrics_reference_models.training.data import TrainingData
from disentmetrics_reference_models.training.method import Batch
from disentmetrics_reference_models.training.registry import find_method
from disentmetrics_reference_models.training.train import train
from disentmetrics_reference_models.training.trainer import Trainer

import disentmetrics as dm
from disentmetrics.datasets.base import DataSet
from disentmetrics.errors import InvalidInputError

METHOD = find_method("dc_ign")


def config_of(**changes: Any) -> Config:
    tiny = {"architecture": "small-fc", "batch_size": 16, "n_steps": 40, "n_codes": 4}
    return METHOD.preset("smoke").changed({**tiny, **changes})


@pytest.mark.claim("dc_ign")
def test_the_latent_of_a_factor_follows_it_and_is_invariant_to_the_others(spots: DataSet) -> None:
    run = train(config_of(n_steps=2_000, batch_size=32, learning_rate=2e-3, invariance=1.0), spots, device="cpu")
    codes = np.asarray(run.posterior(spots.observations(spots.full_grid().factors)).mean)[:, :2].reshape(6, 6, 2)
    of_rows, of_columns = codes.mean(1).var(0) / codes.var((0, 1)), codes.mean(0).var(0) / codes.var((0, 1))
    assert min(of_rows[0], of_columns[1]) > 0.9
    assert max(of_rows[1], of_columns[0]) < 0.05
    assert run.history["invariance_ratio"][-10:].mean() < 0.05


def test_one_factor_or_the_nuisance_varies_in_a_batch() -> None:
    data = TrainingData(dm.load_dataset("scenes"))
    config = config_of(n_codes=8, intrinsic=2.0)
    trainer = Trainer([config], data)
    drawn = trainer._draw(300)
    assert drawn.nuisance is not None
    kinds = []
    for step in range(300):
        factors = data.draws(drawn.rows[0, step]).factors
        varying = np.flatnonzero(np.ptp(factors, axis=0))
        active = drawn.inputs["active"][0, step].numpy()
        n_nuisances = len(np.unique(drawn.nuisance[0, step]))
        if active[data.n_factors :].any():
            assert varying.size == 0
            assert n_nuisances == config.batch_size
            assert active.tolist() == [0.0] * data.n_factors + [1.0] * (8 - data.n_factors)
            kinds.append(data.n_factors)
        else:
            assert n_nuisances == 1
            assert active.sum() == 1
            assert set(varying) <= {int(active.argmax())}
            kinds.append(int(active.argmax()))
    counts = np.bincount(kinds, minlength=data.n_factors + 1)
    assert counts[-1] == pytest.approx(2 * counts[:-1].mean(), rel=0.4)


def test_without_nuisances_no_batch_repeats_one_image(spots: DataSet) -> None:
    drawn = Trainer([config_of()], TrainingData(spots))._draw(100)
    assert drawn.nuisance is None
    assert set(drawn.inputs["active"].sum(-1).unique().tolist()) == {1.0}
    assert not drawn.inputs["active"][..., 2:].any()


@pytest.mark.parametrize("clamp", ["mean", "first"])
def test_inactive_latents_are_replaced_and_receive_their_deviation_as_gradient(clamp: str) -> None:
    config = config_of(clamp=clamp)
    torch.manual_seed(0)
    model = METHOD.build(config, (1, 8, 8))
    seen: list[torch.Tensor] = []
    mean, log_variance = (torch.randn(6, 4, requires_grad=True) for _ in range(2))

    class Encoder(torch.nn.Module):
        def forward(self, _images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return mean, log_variance

    model.encoder = Encoder()
    model.decoder.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    active = torch.tensor([0.0, 1.0, 0.0, 0.0])
    batch = Batch(torch.rand(6, 1, 8, 8), {"z": torch.zeros(6, 4)}, torch.tensor(0.0), 36, {"active": active})
    strength = {"invariance": torch.tensor(0.3), "intrinsic": torch.tensor(10.0)}
    terms = METHOD.objective(model, batch, strength, config)
    kept = mean.mean(0) if clamp == "mean" else mean[0]
    expected = torch.where(active > 0, mean, kept)
    torch.testing.assert_close(seen[0], expected)
    gradient, of_variance = torch.autograd.grad(terms["loss"], (mean, log_variance))
    deviation = 0.3 * (mean - mean.mean(0)) / 6
    torch.testing.assert_close(gradient[:, [0, 2, 3]], deviation[:, [0, 2, 3]])
    spread = 0.3 * (log_variance - log_variance.mean(0)) / 6
    torch.testing.assert_close(of_variance[:, [0, 2, 3]], spread[:, [0, 2, 3]])
    assert not torch.allclose(gradient[:, 1], deviation[:, 1])


def test_data_and_settings_must_fit(spots: DataSet) -> None:
    for data, changes, message in (
        (spots, {"n_codes": 1}, "n_codes must be at least 2; got 1"),
        (dm.load_dataset("scenes"), {"n_codes": 4}, "factors and the nuisance: n_codes must be at least 5"),
        (dm.load_dataset("linear-gaussian"), {"likelihood": "gaussian"}, "needs a full grid of factors"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            Trainer([config_of(**changes)], TrainingData(data))
    with pytest.raises(InvalidInputError, match="clamp must be one of mean, first"):
        config_of(clamp="median")
    with pytest.raises(InvalidInputError, match="invariance must not be negative"):
        config_of(invariance=-1.0)


def test_the_published_networks_take_images_of_150_pixels() -> None:
    for name, side in (("dc-ign", 150), ("dc-ign-64", 64), ("dc-ign-64", 16)):
        model = METHOD.build(config_of(architecture=name), (1, side, side))
        mean, _ = model.encoder(torch.rand(2, 1, side, side))
        assert model.decoder(mean).shape == (2, 1, side, side)
    with pytest.raises(InvalidInputError, match="dc-ign needs images of 150 x 150 pixels"):
        METHOD.build(config_of(architecture="dc-ign"), (1, 64, 64))
