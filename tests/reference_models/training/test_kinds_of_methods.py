"""Methods of every kind are trained alone and in stacks, resumed, saved, scored and sampled by the same core."""

import dataclasses
import logging
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from disentmetrics_reference_models.nn.adversarial import gradient_penalty
from disentmetrics_reference_models.training import registry
from disentmetrics_reference_models.training.config import Config, as_dict
from disentmetrics_reference_models.training.data import TrainingData
from disentmetrics_reference_models.training.method import Method
from disentmetrics_reference_models.training.registry import find_method
from disentmetrics_reference_models.training.run_folder import load_run
from disentmetrics_reference_models.training.train import train, train_many
from disentmetrics_reference_models.training.trainer import Trainer, train_to_end
from typer.testing import CliRunner

import disentmetrics as dm
from disentmetrics.cli import app
from disentmetrics.datasets.arrays.custom import CustomDataSet
from disentmetrics.datasets.base import DataSet
from disentmetrics.errors import InvalidInputError, TrainingError

sys.path.insert(0, str(Path(__file__).parent))

import toys  # type: ignore[import-not-found]

TOYS: dict[str, Method] = {
    m.name: m for m in (toys.toy_gan, toys.toy_symbols, toys.toy_features, toys.toy_boltzmann, toys.toy_clamped)
}
ALONE = [name for name in TOYS if name != "toy_features"]
TINY: dict[str, Any] = {"architecture": "small-fc", "batch_size": 16, "n_steps": 30, "learning_rate": 2e-3}


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, declared in TOYS.items():
        monkeypatch.setitem(registry._registry().methods, name, declared)


def toy(name: str, **changes: Any) -> Config:
    return TOYS[name].config().changed({**TINY, **({"n_codes": 6} if name != "toy_clamped" else {}), **changes})


def brightness(images: Any) -> float:
    return float(np.asarray(images, np.float64).mean() / 255)


def test_a_gan_learns_to_generate_and_to_recognise_its_codes(spots: DataSet, tmp_path: Path) -> None:
    config = toy("toy_gan", n_steps=1_500, batch_size=32, learning_rate=1e-3)
    run = train(config, spots, out=tmp_path / "gan", device="cpu")
    assert run.history["distance"][-1] < 0.3 * run.history["distance"][:5].max()
    assert run.history["unexplained"][-20:].mean() < 0.7 * run.history["unexplained"][:3].mean()
    assert brightness(run.sample(200)) < 0.15  # 0.06 in the data, 0.5 before training
    assert np.array_equal(run.sample(5, seed=1), run.sample(5, seed=1))
    assert run.decode(np.array([[0.0, 0.5, 2.0]])).shape == (1, 16, 16, 1)
    representation = dm.encode(f"reference:{tmp_path / 'gan'}", spots, full_grid=True)
    assert representation.log_variance is None
    assert representation.categorical_codes.tolist() == [False, False, True]
    assert set(np.unique(representation.codes[:, 2])) <= {0.0, 1.0, 2.0}
    again = dm.encode(f"reference:{tmp_path / 'gan'}", spots, full_grid=True)  # from the cache
    assert again.categorical_codes.tolist() == [False, False, True]


def test_each_group_has_its_optimiser_and_is_updated_in_its_period(spots: DataSet) -> None:
    trainer = Trainer([toy("toy_gan", n_critic=3)], TrainingData(spots))
    kinds = {name: type(optimizer).__name__ for name, (_, optimizer) in trainer.parameter_groups.items()}
    assert kinds == {"critic": "Adam", "trunk": "RMSprop", "": "Adam"}
    assert trainer.parameter_groups["critic"][1].defaults["betas"] == (0.5, 0.9)
    changed = []
    for _ in range(6):
        before = {n: p.detach().clone() for n, p in trainer.parameters.items()}
        train_to_end(trainer, until=trainer.step + 1)
        moved = {n.partition(".")[0] for n, p in trainer.parameters.items() if not torch.equal(p, before[n])}
        changed.append("generator" in moved)
        assert {"critic", "trunk"} <= moved
    assert changed == [False, False, True] * 2


def test_a_record_without_a_term_of_a_group_that_was_not_updated_is_completed(spots: DataSet) -> None:
    history = train_to_end(Trainer([toy("toy_gan")], TrainingData(spots)), record_every=1, until=6)[0]
    assert np.isnan(history["loss"]).tolist() == [True, False] * 3
    assert np.isfinite(history["critic_loss"]).all()


@pytest.mark.parametrize("vectorised", [True, False])
@pytest.mark.parametrize("name", ALONE)
def test_each_kind_learns_in_a_stack_what_it_learns_alone(name: str, vectorised: bool, spots: DataSet) -> None:
    configs = [toy(name, seed=seed) for seed in (0, 1)]
    data = TrainingData(spots)
    together = train_to_end(Trainer(configs, data, vectorised=vectorised), record_every=10)
    for config, history in zip(configs, together, strict=True):
        alone = train_to_end(Trainer([config], data), record_every=10)[0]
        for term in set(alone.names) - {"seconds", "steps_per_second"}:
            assert history[term] == pytest.approx(alone[term], rel=5e-3, abs=5e-3), term


@pytest.mark.parametrize("name", ALONE)
def test_each_kind_resumes_to_identical_weights(name: str, spots: DataSet) -> None:
    config, data = toy(name), TrainingData(spots)
    unbroken, broken, fresh = (Trainer([config], data) for _ in range(3))
    train_to_end(unbroken)
    train_to_end(broken, until=13)
    fresh.restore(broken.state())
    train_to_end(fresh)
    for key, value in (unbroken.parameters | unbroken.buffers).items():
        assert torch.equal(value, (fresh.parameters | fresh.buffers)[key]), key


def test_symbols_come_with_their_images(spots: DataSet) -> None:
    history = train_to_end(Trainer([toy("toy_symbols", n_steps=1_000)], TrainingData(spots)), record_every=50)[0]
    assert history["symbols"][-1] < 0.3 * history["symbols"][0]


def test_batches_are_those_that_a_method_designs(spots: DataSet) -> None:
    config = toy("toy_clamped", n_steps=1_500, learning_rate=5e-3)
    run = train(config, spots, device="cpu")
    assert run.history["n_varied"].max() == 1
    codes = np.asarray(run.posterior(spots.observations(spots.full_grid().factors)).mean).reshape(6, 6, 2)
    of_rows, of_columns = codes.mean(1).var(0) / codes.var((0, 1)), codes.mean(0).var(0) / codes.var((0, 1))
    assert min(of_rows[0], of_columns[1]) > 0.9  # each latent follows its own factor
    assert max(of_rows[1], of_columns[0]) < 0.1


def test_persistent_chains_are_part_of_the_state(spots: DataSet) -> None:
    trainer = Trainer([toy("toy_boltzmann", n_steps=300, learning_rate=1e-2)], TrainingData(spots))
    train_to_end(trainer)
    (model,) = trainer.models()
    assert 0 < float(model.chains.mean()) < 0.5
    images = torch.from_numpy(spots.observations(spots.full_grid().factors)).flatten(1).float() / 255
    noise = torch.from_numpy(np.random.default_rng(0).permuted(images.numpy(), axis=1))
    assert float((model.free_energy(noise) - model.free_energy(images)).mean()) > 5


def test_a_method_builds_on_a_trained_model_whose_weights_it_keeps(spots: DataSet, tmp_path: Path) -> None:
    first = train(find_method("vae").preset("smoke").changed(TINY), spots, out=tmp_path / "first", device="cpu")
    config = toy("toy_features", vision=str(tmp_path / "first"))
    run = train(config, spots, out=tmp_path / "second", device="cpu")
    assert as_dict(run.config)["vision"] == first.fingerprint
    for name, value in first.model.state_dict().items():
        assert torch.equal(run.model.stages["vision"].model.state_dict()[name], value)
    third_config = toy("toy_features", vision=str(tmp_path / "second"), n_steps=3)
    third = train(third_config, spots, out=tmp_path / "3", device="cpu")
    for folder in ("first", "second"):
        shutil.rmtree(tmp_path / folder)
    back = load_run(tmp_path / "3")
    assert back.fingerprint == third.fingerprint
    assert back.stages["vision"].stages["vision"].fingerprint == first.fingerprint
    images = spots.observations(spots.full_grid().factors)
    assert np.array_equal(back.posterior(images).mean, third.posterior(images).mean)


def test_a_stage_must_be_given_and_be_the_same_when_resuming(spots: DataSet, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"toy_features builds on a trained model; specify .*vision=RUN_DIR"):
        train(toy("toy_features"), spots, device="cpu")
    for seed in (0, 1):
        vision = find_method("vae").preset("smoke").changed({**TINY, "seed": seed, "n_steps": 2})
        train(vision, spots, out=tmp_path / f"vision{seed}", device="cpu")
    config = toy("toy_features", n_steps=4, vision=str(tmp_path / "vision0"))
    with pytest.raises(InvalidInputError, match="snapshots"):
        train(config, spots, out=tmp_path / "run", device="cpu", snapshots=(9,))
    train(config, spots, out=tmp_path / "run", device="cpu")
    (tmp_path / "run" / "weights.safetensors").unlink()
    with pytest.raises(InvalidInputError, match="its own settings; .*config.vision is reference-"):
        train(config.changed({"vision": str(tmp_path / "vision1")}), spots, out=tmp_path / "run", resume=True)
    many = train_many([config, dataclasses.replace(config, seed=3)], spots, device="cpu")
    assert len({run.fingerprint for run in many}) == 2


def test_a_gradient_penalty_equals_that_of_double_backpropagation() -> None:
    torch.manual_seed(0)
    critic = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 5), torch.nn.Tanh(), torch.nn.Linear(5, 1))
    real, generated, mix = torch.rand(7, 3, 4), torch.rand(7, 3, 4), torch.rand(7)
    penalty = gradient_penalty(critic, real, generated, mix)
    between = (mix[:, None, None] * real + (1 - mix[:, None, None]) * generated).requires_grad_()
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    expected = ((gradient.flatten(1).norm(dim=1) - 1) ** 2).mean()
    torch.testing.assert_close(penalty, expected)
    ours, theirs = (torch.autograd.grad(p, list(critic.parameters())[:3]) for p in (penalty, expected))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


def test_a_term_that_a_group_minimises_must_be_returned(spots: DataSet) -> None:
    trainer = Trainer([toy("toy_gan")], TrainingData(spots))
    objective = trainer.method.objective

    def without(*arguments: Any) -> dict[str, torch.Tensor]:
        return {name: value for name, value in objective(*arguments).items() if name != "critic_loss"}

    trainer.method = dataclasses.replace(trainer.method, objective=without)
    with pytest.raises(TrainingError, match="must return the term critic_loss whenever critic is updated"):
        train_to_end(trainer, until=1)


def test_each_kind_is_scored_and_traversed_from_the_command_line(tmp_path: Path, caplog: Any) -> None:
    caplog.set_level(logging.ERROR, logger="disentmetrics")
    run, data = str(tmp_path / "run"), "blobs?size=16&width=1&positions=8"
    settings = [word for key, value in TINY.items() for word in ("--set", f"{key}={value}")]
    trained = CliRunner().invoke(app, ["train", "toy_gan", "--data", data, "--device", "cpu", *settings, "--out", run])
    assert trained.exit_code == 0, trained.output
    card = [
        "score",
        f"reference:{run}",
        "--data",
        data,
        "--metrics",
        "factorvae",
        "--interval",
        "none",
        "--no-null",
    ]
    scored = CliRunner().invoke(app, [*card, "--device", "cpu"])
    assert scored.exit_code == 0, scored.output
    assert "factorvae" in scored.output
    refused = CliRunner().invoke(app, [*card, "--device", "cuda:99"])
    assert "device 'cuda:99' is not available" in str(refused.exception or refused.output)
    picture = tmp_path / "traversal.png"
    shown = CliRunner().invoke(app, ["traverse", run, "--data", data, "--samples", "5", "-o", str(picture)])
    assert shown.exit_code == 0, shown.output
    assert picture.stat().st_size > 1000
    evaluated = CliRunner().invoke(app, ["evaluate", run, "--data", data])
    assert "posteriors are needed; toy_gan has codes only" in str(evaluated.exception or evaluated.output)


def test_a_stage_sees_vectors_in_its_own_units(tmp_path: Path) -> None:
    table = np.random.default_rng(0).normal(size=(80, 3)) * [1.0, 5.0, 0.1]
    labels = {"a": np.arange(80) % 3}
    first, moved = CustomDataSet(table, labels, name="first"), CustomDataSet(100 * table + 900, labels, name="moved")
    preset = find_method("vae").preset("smoke", first).changed({**TINY, "n_steps": 20})
    base = train(preset, first, out=tmp_path / "base", device="cpu")
    config = toy("toy_features", likelihood="gaussian", n_steps=2, vision=str(tmp_path / "base"))
    outer = train(config, moved, device="cpu")
    shown = 100 * table[:9] + 900
    with torch.no_grad():
        inside, _ = outer.model.stages["vision"].represent(outer.inputs(shown))
    assert inside.numpy() == pytest.approx(np.asarray(base.posterior(shown).mean), rel=1e-3, abs=1e-2)


def test_a_stage_must_take_the_same_observations(spots: DataSet, tmp_path: Path) -> None:
    blobs = dm.load_dataset("blobs?size=32&width=2&positions=8")
    vision = find_method("vae").preset("smoke").changed({**TINY, "n_steps": 1})
    train(vision, blobs, out=tmp_path / "vision", device="cpu")
    with pytest.raises(InvalidInputError, match=r"vision must be a model of observations like those of spots"):
        train(toy("toy_features", vision=str(tmp_path / "vision")), spots, device="cpu")


def test_the_period_of_a_group_is_at_least_one(spots: DataSet) -> None:
    with pytest.raises(InvalidInputError, match="period of the group of the model .* must be at least 1; got 0"):
        Trainer([toy("toy_gan", n_critic=0)], TrainingData(spots))


def test_networks_of_a_method_train_in_single_precision(spots: DataSet) -> None:
    with pytest.raises(InvalidInputError, match="toy_gan has networks of its own, which train in float32"):
        Trainer([toy("toy_gan", precision="bfloat16")], TrainingData(spots))
