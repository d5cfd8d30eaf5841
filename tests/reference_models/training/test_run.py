"""Run folders: written atomically, resumed to identical weights, and validated when they are loaded."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from disentmetrics_reference_models.nn.gaussians import reparameterise
from disentmetrics_reference_models.training import train as train_module
from disentmetrics_reference_models.training.config import Config
from disentmetrics_reference_models.training.data import TrainingData
from disentmetrics_reference_models.training.registry import find_method
from disentmetrics_reference_models.training.run import Run
from disentmetrics_reference_models.training.run_folder import load_run, save_run, write_tensors
from disentmetrics_reference_models.training.train import train, train_many
from disentmetrics_reference_models.training.trainer import Trainer

import disentmetrics as dm
from disentmetrics.datasets.base import DataSet
from disentmetrics.encoders.protocol import Posterior
from disentmetrics.errors import CorruptFileError, InvalidInputError, StorageError, TrainingError


def tiny(name: str = "beta_vae", **changes: Any) -> Config:
    settings = {"architecture": "small-fc", "batch_size": 16, "n_steps": 60, **changes}
    return find_method(name).preset("smoke").changed(settings)


def same_weights(a: Run, b: Run) -> bool:
    states = [run.model.state_dict() for run in (a, b)]
    return states[0].keys() == states[1].keys() and all(torch.equal(v, states[1][n]) for n, v in states[0].items())


def test_a_run_is_saved_and_loaded(spots: DataSet, tmp_path: Path) -> None:
    run = train(tiny(), spots, out=tmp_path / "run", device="cpu")
    files = {path.name for path in (tmp_path / "run").iterdir()}
    assert files == {"config.json", "weights.safetensors", "history.parquet"}
    back = load_run(tmp_path / "run")
    assert same_weights(run, back)
    assert back.config == run.config
    assert (back.data, back.n_steps, back.shape) == ("spots-1", 60, (1, 16, 16))
    assert np.array_equal(back.history.rows, run.history.rows)
    about = json.loads((tmp_path / "run" / "config.json").read_text())
    assert set(about["versions"]) == {"disentmetrics", "torch", "numpy", "python"}


def test_a_run_is_an_encoder(spots: DataSet, tmp_path: Path) -> None:
    config = tiny("vae", n_steps=800, learning_rate=5e-3)
    run = train(config, spots, out=tmp_path / "run", device="cpu")
    representation = dm.encode(f"reference:{tmp_path}/run", spots, full_grid=True)
    assert representation.codes.shape == (36, 6)
    assert representation.log_variance is not None
    assert representation.provenance.encoder == run.fingerprint
    images = run.decode(representation.codes)
    assert images.shape == (36, 16, 16, 1)
    assert np.abs(images.astype(float) - spots.observations(representation.factors)).mean() < 10
    with pytest.raises(InvalidInputError, match="needs uint8 images of 16 x 16 x 1"):
        run(np.zeros((2, 8, 8, 1), np.uint8))


def test_models_of_a_stack_equal_models_trained_alone(spots: DataSet) -> None:
    configs = [tiny(seed=0, beta=1.0), tiny(seed=1, beta=5.0)]
    for config, run in zip(configs, train_many(configs, spots, device="cpu"), strict=True):
        alone = train(config, spots, device="cpu")
        assert run.config == config
        images = spots.observations(spots.full_grid().factors)
        assert run.posterior(images).mean == pytest.approx(alone.posterior(images).mean, abs=1e-3)


PROGRAM = """
import os, signal, sys
sys.path.insert(0, {tests!r})
import torch; torch.set_num_threads(1)
from conftest import Spots
from disentmetrics_reference_models.training import train
from disentmetrics_reference_models.training.registry import find_method
save_checkpoint = train._save_checkpoint
def save_and_die(*arguments):
    save_checkpoint(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)
train._save_checkpoint = save_and_die
config = find_method("beta_vae").preset("smoke").changed(
    {{"architecture": "small-fc", "batch_size": 16, "n_steps": {n_steps}}})
train.train(config, Spots(), out={out!r}, device="cpu", checkpoint_seconds=0.0)
"""


def test_a_killed_run_resumes_to_identical_weights(spots: DataSet, tmp_path: Path) -> None:
    n_steps, out = 300, tmp_path / "killed"
    program = PROGRAM.format(tests=str(Path(__file__).parents[1]), out=str(out), n_steps=n_steps)
    process = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert process.returncode == -signal.SIGKILL, process.stderr
    checkpoint = out / "checkpoint.safetensors"
    assert checkpoint.exists()
    assert not (out / "weights.safetensors").exists()
    config = tiny(n_steps=n_steps)
    resumed = train(config, spots, out=out, resume=True, device="cpu")
    unbroken = train(config, spots, device="cpu")
    assert same_weights(resumed, unbroken)
    assert resumed.history["step"].tolist() == unbroken.history["step"].tolist()
    assert not checkpoint.exists()


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_signal_at_the_last_step_ends_the_program_after_the_run_is_saved(spots: DataSet, tmp_path: Path) -> None:
    out = tmp_path / "complete"
    program = SIGNALLED.format(tests=str(Path(__file__).parents[1]), out=str(out), number=int(signal.SIGTERM))
    program = program.replace('"n_steps": 120', '"n_steps": 37')
    process = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert process.returncode == -signal.SIGTERM, process.stderr
    assert same_weights(load_run(out), train(tiny(n_steps=37), spots, device="cpu"))


def test_a_snapshot_of_a_step_that_has_passed_is_refused_when_resuming(spots: DataSet, tmp_path: Path) -> None:
    trainer = Trainer([tiny(n_steps=30)], TrainingData(spots))
    recorder = train_module._start_or_resume(tmp_path / "run", trainer, resume=False)
    for _ in trainer.run(12):
        pass
    train_module._save_checkpoint(tmp_path / "run", trainer, recorder)
    with pytest.raises(InvalidInputError, match="is at step 12 and has none of step 10"):
        train(tiny(n_steps=30), spots, out=tmp_path / "run", resume=True, device="cpu", snapshots=(10, 20))
    train(tiny(n_steps=30), spots, out=tmp_path / "run", resume=True, device="cpu", snapshots=(20,))
    assert load_run(tmp_path / "run", step=20).n_steps == 20


SIGNALLED = """
import os, signal, sys
sys.path.insert(0, {tests!r})
import torch; torch.set_num_threads(1)
from conftest import Spots
from disentmetrics_reference_models.training import train
from disentmetrics_reference_models.training.registry import find_method
add = train.Recorder.add
def signal_at_step_37(recorder, terms):
    add(recorder, terms)
    recorder.n_added = getattr(recorder, "n_added", 0) + 1
    if recorder.n_added == 37:
        signal.raise_signal({number})
train.Recorder.add = signal_at_step_37
config = find_method("beta_vae").preset("smoke").changed(
    {{"architecture": "small-fc", "batch_size": 16, "n_steps": 120}})
train.train(config, Spots(), out={out!r}, device="cpu", checkpoint_seconds=1000.0)
"""


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_the_state_after_the_step_and_the_run_resumes_to_identical_weights(
    number: signal.Signals, spots: DataSet, tmp_path: Path
) -> None:
    out = tmp_path / "stopped"
    program = SIGNALLED.format(tests=str(Path(__file__).parents[1]), out=str(out), number=int(number))
    process = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert process.returncode == -number, process.stderr
    assert f"training stopped at step 37 of 120; its state is in {out}: train again with resume" in process.stderr
    resumed = train(tiny(n_steps=120), spots, out=out, resume=True, device="cpu")
    assert same_weights(resumed, train(tiny(n_steps=120), spots, device="cpu"))


def test_posteriors_carry_their_divergence_from_the_models_own_prior(spots: DataSet) -> None:
    images = spots.observations(spots.full_grid().factors)
    assert train(tiny("vae", n_steps=5), spots, device="cpu").posterior(images).kl is None
    settings: dict[str, tuple[dict[str, Any], float]] = {
        "anisotropic": ({"spectrum": "0,0,-1,-2,-3,-4"}, 1e-5),
        "student-t": ({}, 0.05),
    }
    for prior, (more, tolerance) in settings.items():
        run = train(tiny("decomposition_vae", n_steps=5, prior=prior, **more), spots, device="cpu")
        posterior = run.posterior(images)
        mean, log_variance = (torch.from_numpy(np.asarray(p)) for p in (posterior.mean, posterior.log_variance))
        z = reparameterise(mean, log_variance, torch.randn(4000, *mean.shape))
        sampled = run.prior.kl(mean, log_variance, z).flatten(0, -2).mean(0)
        assert np.asarray(posterior.kl).mean(axis=0) == pytest.approx(sampled.numpy(), abs=tolerance)
        alone = np.asarray(run.posterior(images[:5]).kl)
        assert np.allclose(alone, np.asarray(posterior.kl)[:5], atol=1e-5)  # independent of the batch
    assert dm.encode(run, spots, full_grid=True).kl is not None


def test_weights_of_chosen_steps_are_kept_and_are_those_of_a_shorter_run(spots: DataSet, tmp_path: Path) -> None:
    out = tmp_path / "run"
    whole = train(tiny(n_steps=30), spots, out=out, device="cpu", snapshots=(10, 20))
    early = load_run(out, step=10)
    assert early.n_steps == 10
    assert early.history["step"].max() <= 10
    assert same_weights(early, train(tiny(n_steps=10), spots, device="cpu"))
    assert not same_weights(early, whole)
    images = spots.observations(spots.full_grid().factors)
    posterior = dm.load_encoder(f"reference:{out}?step=10")(images)
    assert isinstance(posterior, Posterior)
    assert np.array_equal(posterior.mean, early.posterior(images).mean)
    with pytest.raises(InvalidInputError, match="snapshot of the run in .*; got 11; available steps: 10, 20"):
        dm.load_encoder(f"reference:{out}?step=11")
    with pytest.raises(InvalidInputError, match="step must be a whole number"):
        dm.load_encoder(f"reference:{out}?step=last")
    (out / "weights.safetensors").unlink()
    with pytest.raises(InvalidInputError, match="or choose a snapshot, such as step=20"):
        load_run(out)
    for wrong in (0, 31):
        with pytest.raises(InvalidInputError, match=f"snapshots must be steps in 1 .. 30; got {wrong}"):
            train(tiny(n_steps=30), spots, out=tmp_path / "other", snapshots=(wrong,))
    with pytest.raises(InvalidInputError, match="specify one with out"):
        train(tiny(n_steps=30), spots, snapshots=(3,))


def test_a_folder_belongs_to_one_run_and_is_resumed_with_its_settings(spots: DataSet, tmp_path: Path) -> None:
    train(tiny(), spots, out=tmp_path / "run", device="cpu")
    with pytest.raises(InvalidInputError, match="already contains a run"):
        train(tiny(), spots, out=tmp_path / "run", device="cpu")
    with pytest.raises(InvalidInputError, match="already complete"):
        train(tiny(), spots, out=tmp_path / "run", resume=True, device="cpu")
    with pytest.raises(InvalidInputError, match="config.beta is 4.0 in the folder, 9.0 requested"):
        train(tiny(beta=9.0), spots, out=tmp_path / "run", resume=True, device="cpu")
    with pytest.raises(InvalidInputError, match="no run to resume"):
        train(tiny(), spots, out=tmp_path / "none", resume=True, device="cpu")


def test_a_full_disk_leaves_the_last_checkpoint_intact_and_an_infinite_loss_stops(
    spots: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[bytes] = []
    write = write_tensors

    def full(path: Path, tensors: Any, about: Any) -> None:
        if kept:
            raise StorageError("the disk is full")
        write(path, tensors, about)
        kept.append(path.read_bytes())

    monkeypatch.setattr(train_module, "write_tensors", full)
    with pytest.raises(StorageError):
        train(tiny(n_steps=500), spots, out=tmp_path / "run", device="cpu", checkpoint_seconds=0.0)
    checkpoint = tmp_path / "run" / "checkpoint.safetensors"
    assert checkpoint.read_bytes() == kept[0]
    monkeypatch.undo()
    resumed = train(tiny(n_steps=500), spots, out=tmp_path / "run", resume=True, device="cpu")
    assert same_weights(resumed, train(tiny(n_steps=500), spots, device="cpu"))
    with pytest.raises(TrainingError):
        train(tiny(n_steps=500, learning_rate=1e9), spots, out=tmp_path / "bad", device="cpu")


def test_damaged_runs_raise_clear_errors(spots: DataSet, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    save_run(train(tiny(), spots, device="cpu"), folder)
    complete = (folder / "weights.safetensors").read_bytes()
    (folder / "weights.safetensors").write_bytes(complete[:-100])
    with pytest.raises(CorruptFileError, match="complete safetensors file"):
        load_run(folder)
    (folder / "weights.safetensors").write_bytes(complete)
    about = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**about, "config": {**about["config"], "n_codes": 3}}))
    with pytest.raises(CorruptFileError, match="do not match"):
        load_run(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(CorruptFileError, match="must be the JSON of a run"):
        load_run(folder)
    (folder / "weights.safetensors").unlink()
    with pytest.raises(InvalidInputError, match="is not complete"):
        load_run(folder)
    with pytest.raises(InvalidInputError, match="a run must be a folder"):
        load_run(tmp_path / "nowhere")


def test_models_of_equal_weights_but_other_codes_or_priors_have_other_fingerprints(spots: DataSet) -> None:
    wide, narrow = (
        train(tiny("decomposition_vae", n_steps=0, prior="student-t", degrees=degrees), spots, device="cpu")
        for degrees in (3.0, 30.0)
    )
    assert same_weights(wide, narrow)
    assert wide.fingerprint != narrow.fingerprint
    kl = [dm.encode(run, spots, full_grid=True).kl for run in (wide, narrow)]
    assert kl[0] is not None
    assert kl[1] is not None
    assert kl[0].mean() != kl[1].mean()


def test_a_run_that_fails_leaves_no_folder_that_blocks_the_next(spots: DataSet, tmp_path: Path) -> None:
    for name in ("new", "existing"):
        out = tmp_path / name
        if name == "existing":
            out.mkdir()
            (out / "notes.txt").write_text("mine")
        with pytest.raises(TrainingError):
            train(tiny(n_steps=50, learning_rate=1e9), spots, out=out, device="cpu")
        assert out.exists() == (name == "existing")
        train(tiny(n_steps=5), spots, out=out, device="cpu")


def test_a_resumed_run_with_another_setting_names_it_alone(spots: DataSet, tmp_path: Path) -> None:
    train(tiny(n_steps=5), spots, out=tmp_path / "run", device="cpu")
    with pytest.raises(InvalidInputError) as error:
        train(tiny(n_steps=5, batch_size=8), spots, out=tmp_path / "run", resume=True, device="cpu")
    assert str(error.value).endswith("differ: config.batch_size is 16 in the folder, 8 requested")


@pytest.mark.parametrize(
    ("key", "value"), [("data", None), ("stages", [1]), ("config", {"architecture": "small-fc", "n_codes": 3})]
)
def test_a_damaged_configuration_is_an_error_of_one_line(key: str, value: Any, spots: DataSet, tmp_path: Path) -> None:
    train(tiny(n_steps=2), spots, out=tmp_path / "run", device="cpu")
    about = json.loads((tmp_path / "run" / "config.json").read_text())
    if value is None:
        del about[key]
    else:
        about[key] = value
    (tmp_path / "run" / "config.json").write_text(json.dumps(about))
    with pytest.raises(CorruptFileError, match="its configuration and weights do not match") as error:
        load_run(tmp_path / "run")
    assert "\n" not in str(error.value)


def test_the_checkpoint_of_another_run_is_an_error_of_one_line(spots: DataSet, tmp_path: Path) -> None:
    for name, n_codes in (("one", 4), ("other", 5)):
        trainer = Trainer([tiny(n_steps=30, n_codes=n_codes)], TrainingData(spots))
        recorder = train_module._start_or_resume(tmp_path / name, trainer, resume=False)
        for terms in trainer.run(12):
            recorder.add(terms)
        recorder.record(12)
        train_module._save_checkpoint(tmp_path / name, trainer, recorder)
    checkpoint = tmp_path / "one" / "checkpoint.safetensors"
    checkpoint.write_bytes((tmp_path / "other" / "checkpoint.safetensors").read_bytes())
    with pytest.raises(CorruptFileError, match="must be the checkpoint of this run"):
        train(tiny(n_steps=30, n_codes=4), spots, out=tmp_path / "one", resume=True, device="cpu")


def test_codes_of_another_number_are_refused(spots: DataSet) -> None:
    run = train(tiny(n_steps=1), spots, device="cpu")
    for codes in (np.zeros(6), np.zeros((2, 5))):
        with pytest.raises(InvalidInputError, match=r"codes must have shape \(n, 6\)"):
            run.decode(codes)
    with pytest.raises(InvalidInputError, match="n must be at least 1"):
        run.sample(0)
