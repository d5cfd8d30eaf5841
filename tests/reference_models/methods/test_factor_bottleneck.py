"""The factor bottleneck: its KL, and the order in which factors are transmitted."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from disentmetrics_reference_models.methods.factor_bottleneck import FactorBottleneck
from disentmetrics_reference_models.nn.gaussians import kl_to_standard_normal
from disentmetrics_reference_models.training.config import Config
from disentmetrics_reference_models.training.data import TrainingData, standardised_factors
from disentmetrics_reference_models.training.history import History
from disentmetrics_reference_models.training.method import Batch
from disentmetrics_reference_models.training.registry import find_method
from disentmetrics_reference_models.training.run_folder import load_run
from disentmetrics_reference_models.training.train import train
from disentmetrics_reference_models.training.trainer import Trainer, train_to_end
from numpy.typing import ArrayLike, NDArray

import disentmetrics as dm
from disentmetrics.datasets.base import DataSet, Draws
from disentmetrics.errors import InvalidInputError
from disentmetrics.factors import Factor, FactorSpace

NAME = "factor_bottleneck"


class HiddenSpots(DataSet):
    """A bright square at one of 6 x 6 positions, a third factor without effect, and a constant fourth one."""

    name = "hidden-spots"
    fingerprint = "hidden-spots-1"
    space = FactorSpace([Factor(n, size, "ordinal") for n, size in zip("rchk", (6, 6, 4, 1), strict=True)])
    observation_shape = (16, 16, 1)

    def make(self, factors: NDArray[np.int64], nuisance: NDArray[np.uint64]) -> NDArray[np.uint8]:
        images = np.zeros((len(factors), 16, 16, 1), np.uint8)
        for image, (row, column) in zip(images, factors[:, :2], strict=True):
            image[2 * row : 2 * row + 4, 2 * column : 2 * column + 4] = 255
        return images


def quick(**changes: Any) -> Config:
    return find_method(NAME).preset("smoke").changed({"architecture": "small-fc", "batch_size": 64, **changes})


def history_of(data: DataSet, config: Config) -> History:
    return train_to_end(Trainer([config], TrainingData(data)), record_every=100)[0]


def test_noise_and_signal_share_one_variance_where_the_kl_is_least() -> None:
    factors = torch.linspace(-2, 2, 2001)
    factors = ((factors - factors.mean()) / factors.std(correction=0))[:, None]
    for ratio in (0.1, 1.0, 30.0):  # of variances of signal and noise

        def kl(noise: float, ratio: float = ratio) -> float:
            bottleneck = FactorBottleneck(1)
            with torch.no_grad():
                bottleneck.scale.fill_(ratio**0.5 * noise)
                bottleneck.log_noise.fill_(float(np.log(noise)))
                return float(kl_to_standard_normal(*bottleneck(factors)).mean())

        best = (1 + ratio) ** -0.5  # where s² + n² = 1
        assert kl(best) == pytest.approx(0.5 * np.log(1 + ratio), rel=1e-4)
        assert kl(best) == pytest.approx(-np.log(best), rel=1e-4)
        assert kl(best) < min(kl(0.97 * best), kl(1.03 * best))


def test_the_terms_are_those_of_the_formula() -> None:
    method = find_method(NAME)
    config = quick(n_codes=3, n_steps=400, batch_size=5)
    torch.manual_seed(0)
    model = method.build(config, (1, 8, 8))
    factors, noise = torch.randn(5, 3), torch.randn(5, 3)
    scale, spread = torch.tensor([0.5, 1.0, 2.0]), torch.tensor([0.9, 0.3, 1.5])
    model.parts["bottleneck"].load_state_dict({"scale": scale, "log_noise": spread.log()})
    batch = Batch(torch.rand(5, 1, 8, 8), {"z": noise}, torch.tensor(100.0), 1000, {"factors": factors})
    weights = {"gamma": torch.tensor(7.0), "first_capacity": torch.tensor(0.5), "capacity": torch.tensor(25.0)}
    with torch.no_grad():
        terms = method.objective(model, batch, weights, config)
        logits = model.decoder(scale * factors + spread * noise)
    expected = 0.5 * (scale**2 * factors**2 + spread**2 - 1 - 2 * spread.log())
    torch.testing.assert_close(terms["kl_of_code"], expected.mean(0))
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(logits, batch.observations, reduction="sum") / 5
    torch.testing.assert_close(terms["reconstruction"], entropy)
    assert float(terms["capacity"]) == pytest.approx(0.5 + 24.5 / 4)
    distance = (expected.sum(1).mean() - terms["capacity"]).abs()
    torch.testing.assert_close(terms["loss"], terms["reconstruction"] + 7 * distance)


def test_factors_come_with_their_images_and_standardised() -> None:
    data = HiddenSpots()
    images = TrainingData(data)
    cpu = torch.device("cpu")

    def factors_at(rows: NDArray[np.int64]) -> torch.Tensor:
        return torch.from_numpy(standardised_factors(images, images.draws(rows)))

    factors = factors_at(np.arange(len(images)))
    assert factors.mean(0).abs().max() < 1e-6
    torch.testing.assert_close(factors.var(0, correction=0), torch.tensor([1.0, 1.0, 1.0, 0.0]))
    rows = np.array([[3, 77], [100, 2]])
    shown = images.at(rows, cpu).float() / 255
    height = torch.arange(16.0)
    row = (shown.sum((2, 4)) * height).sum(-1) / shown.sum((2, 3, 4))  # 1.5 + twice its index
    torch.testing.assert_close(factors_at(rows.ravel()).reshape(2, 2, -1)[..., 0], (row - 6.5) / 2 / (35 / 12) ** 0.5)


def test_what_shows_passes_in_equal_shares_and_what_does_not_show_never() -> None:
    history = history_of(HiddenSpots(), quick())
    row, column, hidden, constant = (history[f"kl_of_code_{j}"][-1] for j in range(4))
    assert row == pytest.approx(column, rel=0.1)
    assert row + column > 5.0
    assert max(hidden, constant) < 0.1
    assert history["reconstruction"][-1] < 2.0
    assert np.abs(history["kl"] - history["capacity"])[3:].max() < 1.0


def test_both_places_of_a_blob_pass_in_equal_shares() -> None:
    history = history_of(dm.load_dataset("blobs?size=16&width=1&positions=8"), quick())
    x, y = history["kl_of_code_0"], history["kl_of_code_1"]
    assert x[3:] == pytest.approx(y[3:], rel=0.1)
    assert history["reconstruction"][-1] < 0.5 * history["reconstruction"][3]


@pytest.mark.claim("factor_bottleneck")
def test_position_passes_before_scale_and_scale_before_shape() -> None:
    data = dm.load_dataset("mini-sprites")
    history = history_of(data, quick(n_steps=2500, capacity=10.0))
    kl = {name: history[f"kl_of_code_{j}"] for j, name in enumerate(data.space.names)}
    assert kl["x"][5:] == pytest.approx(kl["y"][5:], rel=0.1)
    onset = {name: history["capacity"][np.argmax(values > 0.75)] for name, values in kl.items()}
    assert max(onset["x"], onset["y"]) < onset["scale"] - 1
    assert max(kl["shape"][-1], kl["orientation"][-1]) < 0.1 < kl["scale"][-1]


def test_there_is_a_code_for_each_factor_and_none_for_images(spots: DataSet, tmp_path: Path) -> None:
    run = train(quick(n_codes=7, n_steps=20), spots, out=tmp_path / "run", device="cpu")
    assert run.config.n_codes == 2
    back = load_run(tmp_path / "run")
    assert back.fingerprint == run.fingerprint
    assert back.decode(np.zeros((3, 2))).shape == (3, 16, 16, 1)
    with pytest.raises(InvalidInputError, match="cannot encode images .* use its decoder"):
        run(spots.observations(spots.full_grid().factors))


class NoFactors(HiddenSpots):
    name = "no-factors"
    space = FactorSpace([])

    def make(self, factors: NDArray[np.int64], nuisance: NDArray[np.uint64]) -> NDArray[np.uint8]:
        return np.zeros((len(factors), 16, 16, 1), np.uint8)


class MissingFactors(HiddenSpots):
    name = "missing-factors"

    def full_grid(self) -> Draws:
        draws = super().full_grid()
        draws.factors[5, 2] = -1
        return draws

    def check_factors(self, factors: ArrayLike) -> NDArray[np.int64]:
        return np.asarray(factors)


@pytest.mark.parametrize(("data", "what"), [(NoFactors(), "none"), (MissingFactors(), "factors with missing values")])
def test_data_whose_factors_are_not_known_is_refused_by_this_method_alone(data: DataSet, what: str) -> None:
    with pytest.raises(InvalidInputError, match=f"factors are all known; got {what}; train another method"):
        Trainer([quick()], TrainingData(data))
    other = find_method("vae")
    config = other.preset("smoke").changed({"architecture": "small-fc", "n_steps": 3})
    configs = [config, dataclasses.replace(config, seed=1)]
    assert all(np.isfinite(h["loss"]).all() for h in train_to_end(Trainer(configs, TrainingData(data))))
