"""The training loop: reproducible, resumable, and equal for single models and stacks."""

import dataclasses
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from disentmetrics_reference_models.training.config import Config
from disentmetrics_reference_models.training.data import TrainingData
from disentmetrics_reference_models.training.device import choose_device
from disentmetrics_reference_models.training.device_store import DeviceStore
from disentmetrics_reference_models.training.evidence import evidence
from disentmetrics_reference_models.training.history import History, Recorder
from disentmetrics_reference_models.training.method import method
from disentmetrics_reference_models.training.registry import find_method, find_methods
from disentmetrics_reference_models.training.trainer import Trainer, steps_per_chunk, train_to_end, with_seeds

from disentmetrics.datasets.base import DataSet
from disentmetrics.errors import InvalidInputError, TrainingError

METHODS = sorted(find_methods())


def tiny(name: str, **changes: Any) -> Config:
    config = find_method(name).preset("smoke")
    return dataclasses.replace(config, architecture="small-fc", batch_size=16, n_steps=40, **changes)


def trainer_of(configs: list[Config], data: DataSet, *, vectorised: bool | None = None) -> Trainer:
    return Trainer(configs, TrainingData(data), vectorised=vectorised)


@pytest.mark.parametrize("name", METHODS)
def test_the_same_seed_gives_the_same_weights_and_another_seed_others(name: str, spots: DataSet) -> None:
    def weights(seed: int) -> torch.Tensor:
        trainer = trainer_of([tiny(name, seed=seed)], spots)
        train_to_end(trainer)
        return torch.cat([p.detach().flatten() for p in trainer.parameters.values()])

    first = weights(0)
    assert torch.isfinite(first).all()
    assert torch.equal(first, weights(0))
    assert not torch.equal(first, weights(1))


@pytest.fixture(scope="module")
def history_alone(spots: DataSet) -> Callable[[Config], History]:
    """Return the history of a single model, which is trained once per configuration."""
    return cache(lambda config: train_to_end(trainer_of([config], spots), record_every=10)[0])


@pytest.mark.parametrize("vectorised", [True, False])
@pytest.mark.parametrize("name", METHODS)
def test_each_model_of_a_stack_learns_what_it_learns_alone(
    name: str, vectorised: bool, spots: DataSet, history_alone: Callable[[Config], History]
) -> None:
    first = tiny(name)
    vectorised = vectorised and first.method.can_vectorise(first)
    weights: dict[str, Any] = {key: value * 1.5 for key, value in first.weights.items() if key != "n_growing"}
    configs = [first, dataclasses.replace(first, seed=1), dataclasses.replace(first, seed=2, **weights)]
    together = train_to_end(trainer_of(configs, spots, vectorised=vectorised), record_every=10)
    for config, history in zip(configs, together, strict=True):
        alone = history_alone(config)
        assert alone.names == history.names
        for term in set(alone.names) - {"seconds", "steps_per_second"}:
            # Batch normalisation amplifies rounding from step to step.
            kept = slice(None) if first.method.can_vectorise(first) else slice(1)
            assert history[term][kept] == pytest.approx(alone[term][kept], rel=2e-3, abs=2e-3), term


@pytest.mark.parametrize("name", METHODS)
def test_a_restored_trainer_reaches_identical_weights(name: str, spots: DataSet) -> None:
    config = dataclasses.replace(tiny(name), n_steps=250)
    unbroken = trainer_of([config], spots)
    train_to_end(unbroken, until=120)
    broken = trainer_of([config], spots)
    within_a_chunk = steps_per_chunk(config) // 2 + 1
    train_to_end(broken, until=7)
    train_to_end(broken, until=within_a_chunk)
    fresh = trainer_of([config], spots)
    fresh.restore(broken.state())
    assert fresh.step == within_a_chunk
    train_to_end(fresh, until=120)
    for key, parameter in unbroken.parameters.items():
        assert torch.equal(parameter, fresh.parameters[key]), key


@dataclasses.dataclass(frozen=True, kw_only=True)
class PartlyFrozenConfig(Config):
    """A method with a frozen part and one that no loss uses."""


class Parts(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.frozen = torch.nn.Linear(2, 2).requires_grad_(requires_grad=False)
        self.unused = torch.nn.Linear(2, 2)
        self.scale = torch.nn.Parameter(torch.ones(()))


def test_frozen_and_unused_parts_stay_as_they_are_and_terms_are_those_that_the_method_declares(spots: DataSet) -> None:
    def objective(model: Any, batch: Any, weights: Any, config: Any) -> dict[str, torch.Tensor]:
        brightness = batch.observations.mean(dim=(1, 2, 3))
        part = model.parts["own"]
        error = (part.frozen(brightness[:, None] * part.scale.expand(2)) - 1) ** 2
        return {"loss": error.mean(), "brightness": brightness.mean()}

    objective.__name__ = "partly_frozen"
    declared = method(
        config=PartlyFrozenConfig,
        paper="",
        parts=lambda *_: {"own": Parts()},
        reported=("loss", "brightness"),
    )(objective)
    configs: list[Config] = [
        PartlyFrozenConfig(architecture="small-fc", batch_size=8, n_steps=5, seed=seed) for seed in (0, 1)
    ]
    alone, stacked = trainer_of(configs[:1], spots), trainer_of(configs, spots, vectorised=True)
    before = {name: parameter.clone() for name, parameter in alone.parameters.items()}
    (history,), _ = train_to_end(alone), train_to_end(stacked)
    changed = {name for name, parameter in alone.parameters.items() if not torch.equal(parameter, before[name])}
    assert changed == {"parts.own.scale"}
    assert not alone.parameters["parts.own.frozen.weight"].requires_grad
    assert torch.equal(stacked.parameters["parts.own.frozen.weight"][0], before["parts.own.frozen.weight"])
    assert stacked.parameters["parts.own.scale"][0].item() == pytest.approx(alone.parameters["parts.own.scale"].item())
    assert {"loss", "brightness"} <= set(history.names)
    fresh = trainer_of(configs[:1], spots)
    fresh.restore(alone.state())
    wanting = dataclasses.replace(declared, reported=("loss", "contrast"))
    fresh.method = wanting
    with pytest.raises(TrainingError, match="must return the terms contrast, loss; contrast is missing"):
        train_to_end(fresh, until=6)


def test_the_loss_falls_and_terms_add_up(spots: DataSet) -> None:
    history = train_to_end(trainer_of([tiny("beta_vae", beta=3.0)], spots), record_every=1)[0]
    assert history["loss"][-5:].mean() < 0.8 * history["loss"][0]
    assert history["loss"] == pytest.approx(history["reconstruction"] + 3 * history["kl"], rel=1e-5)
    assert history["elbo"] == pytest.approx(-history["reconstruction"] - history["kl"], rel=1e-5)
    codes = [history[f"kl_of_code_{j}"] for j in range(6)]
    assert history["kl"] == pytest.approx(np.sum(codes, axis=0), rel=1e-4)


@pytest.mark.parametrize("optimizer", ["adam", "adagrad"])
@pytest.mark.parametrize("architecture", ["small-conv", "small-fc"])
def test_a_model_equals_one_from_a_plain_training_loop(architecture: str, optimizer: str, spots: DataSet) -> None:
    config = tiny("beta_vae", optimizer=optimizer)
    config = dataclasses.replace(config, architecture=architecture, learning_rate=1e-2, n_steps=10)
    trainer = trainer_of([config], spots)
    drawn = trainer_of([config], spots)._draw(steps_per_chunk(config))
    torch.manual_seed(config.seed)
    model = trainer.method.build(config, trainer.data.shape)
    plain: torch.optim.Optimizer = torch.optim.Adam(model.parameters(), lr=1e-2, foreach=False, fused=False)
    if optimizer == "adagrad":
        plain = torch.optim.Adagrad(model.parameters(), lr=1e-2, initial_accumulator_value=0.1, foreach=False)
    losses = []
    for step in range(10):
        images = trainer.data.at(drawn.rows[0, step], torch.device("cpu")).float() / 255
        bound = evidence(model, images, drawn.noise["z"][0, step], config)
        loss = (bound.reconstruction + 4 * bound.kl.sum(1)).mean()
        plain.zero_grad()
        loss.backward()
        plain.step()
        losses.append(loss.item())
    assert train_to_end(trainer, record_every=1)[0]["loss"] == pytest.approx(losses, rel=1e-4)
    assert losses[-1] < 0.95 * losses[0]


@pytest.mark.parametrize("architecture", ["small-conv", "small-fc"])
def test_bfloat16_learns_what_float32_learns_within_a_percent(architecture: str, spots: DataSet) -> None:
    def history(precision: str) -> Any:
        config = tiny("beta_vae").changed({"architecture": architecture, "n_steps": 200, "precision": precision})
        return train_to_end(trainer_of([config], spots), record_every=20)[0]

    fine, coarse = history("float32"), history("bfloat16")
    assert not np.array_equal(fine["loss"], coarse["loss"])
    assert coarse["loss"] == pytest.approx(fine["loss"], rel=0.01)
    assert coarse["elbo"] == pytest.approx(fine["elbo"], rel=0.01)


def test_trained_models_are_float32_for_every_training_precision(spots: DataSet) -> None:
    trainer = trainer_of([tiny("vae").changed({"precision": "bfloat16"})], spots)
    train_to_end(trainer, until=3)
    mean, _ = trainer.models()[0].encoder(trainer.data.some(4).float())
    assert all(parameter.dtype == torch.float32 for parameter in trainer.parameters.values())
    assert not torch.equal(mean, mean.bfloat16().float())


@pytest.mark.parametrize("high", [255, 254])
def test_images_stored_on_a_device_are_those_of_the_data_set(high: int) -> None:
    images = np.random.default_rng(0).choice(np.array([0, high], np.uint8), size=(9_000, 1, 3, 5))
    store = DeviceStore(lambda rows: images[rows], len(images), torch.device("cpu"))
    rows = np.random.default_rng(1).integers(len(images), size=(2, 7))
    assert np.array_equal(store.at(torch.from_numpy(rows)).numpy(), images[rows])
    assert store.n_bytes == len(images) * (2 if high == 255 else 15)


def test_devices_other_than_the_cpu_read_from_their_store(spots: DataSet) -> None:
    images, rows = TrainingData(spots), np.array([[3, 5], [0, 3]])
    elsewhere = torch.device("meta")
    images._stores[elsewhere] = DeviceStore(images._observed, len(images), torch.device("cpu"))
    assert torch.equal(images.at(rows, elsewhere), images.at(rows, torch.device("cpu")))


def test_batches_cover_the_data_evenly(spots: DataSet) -> None:
    trainer = trainer_of([tiny("vae")], spots)
    rows = np.concatenate([trainer._draw(100).rows.ravel() for _ in range(5)])
    counts = np.bincount(rows, minlength=36)
    assert ((counts - counts.mean()) ** 2 / counts.mean()).sum() < 80  # chi-squared of 35 degrees


def test_members_of_a_stack_differ_only_in_seed_and_weights(spots: DataSet) -> None:
    first = tiny("beta_vae")
    with pytest.raises(InvalidInputError, match="these differ in n_codes"):
        trainer_of([first, dataclasses.replace(first, n_codes=3)], spots)
    with pytest.raises(InvalidInputError, match="of one method"):
        trainer_of([first, tiny("vae")], spots)
    with pytest.raises(InvalidInputError, match="batch normalisation"):
        trainer_of(with_seeds(dataclasses.replace(first, architecture="chen-conv"), range(2)), spots, vectorised=True)
    with pytest.raises(InvalidInputError, match="at least one"):
        trainer_of([], spots)


def test_members_with_batch_normalisation_are_trained_one_after_the_other(spots: DataSet) -> None:
    configs = with_seeds(dataclasses.replace(tiny("vae"), architecture="chen-conv", n_steps=3), range(2))
    together, alone = trainer_of(configs, spots), trainer_of(configs[1:], spots)
    (_, second), (expected,) = train_to_end(together, record_every=1), train_to_end(alone, record_every=1)
    assert second["loss"] == pytest.approx(expected["loss"], rel=1e-3)
    mean, expected_mean = (t.models()[-1].get_buffer("encoder.body.1.running_mean") for t in (together, alone))
    torch.testing.assert_close(mean, expected_mean, rtol=0.01, atol=1e-3)
    assert together.buffers["encoder.body.1.num_batches_tracked"].tolist() == [3, 3]


def test_an_infinite_loss_stops_training(spots: DataSet) -> None:
    trainer = trainer_of([dataclasses.replace(tiny("vae"), learning_rate=1e9)], spots)
    with pytest.raises(TrainingError, match="the loss must be finite"):
        train_to_end(trainer, record_every=5)


def test_a_checkpoint_of_other_models_raises_an_error(spots: DataSet) -> None:
    state = trainer_of(with_seeds(tiny("vae"), range(2)), spots).state()
    with pytest.raises(InvalidInputError, match="of the same method, networks and number"):
        trainer_of([tiny("vae")], spots).restore(state)


def test_records_are_means_over_the_steps_since_the_last() -> None:
    recorder = Recorder(1)
    for loss in (1.0, 2.0, 6.0):
        recorder.add({"loss": torch.tensor([0.0, loss]), "kl_of_code": torch.tensor([[0.0, 0.0], [loss, 0.0]])})
    row = recorder.record(3)
    assert (row["loss"], row["kl_of_code_0"], row["active_codes"], row["step"]) == (3.0, 3.0, 1.0, 3.0)
    assert recorder.record(4) == {}
    assert recorder.history["loss"].tolist() == [3.0]


def test_unavailable_devices_raise_an_error() -> None:
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device().type in {"cpu", "cuda", "mps"}
    with pytest.raises(InvalidInputError, match="is not available"):
        choose_device("abacus")
