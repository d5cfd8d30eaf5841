"""Every method in the registry: trained by name, scored as an encoder, interrupted and resumed."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from disentmetrics_reference_models.training import train as train_module
from disentmetrics_reference_models.training.config import Config
from disentmetrics_reference_models.training.data import TrainingData
from disentmetrics_reference_models.training.device import choose_device
from disentmetrics_reference_models.training.history import Recorder
from disentmetrics_reference_models.training.registry import find_method, find_methods
from disentmetrics_reference_models.training.run_folder import load_run
from disentmetrics_reference_models.training.train import train
from disentmetrics_reference_models.training.trainer import Trainer, train_to_end, with_seeds
from typer.testing import CliRunner

import disentmetrics as dm
from disentmetrics.cli import app
from disentmetrics.datasets.base import DataSet
from disentmetrics.errors import InvalidInputError

METHODS = sorted(find_methods())
DATA = "blobs?size=16&width=1&positions=8"


def smoke(name: str, data: DataSet, **changes: Any) -> Config:
    return find_method(name).preset("smoke", data).changed({"n_steps": 30, "batch_size": 16, **changes})


@pytest.mark.parametrize("name", METHODS)
def test_the_smoke_preset_trains_and_is_scored_from_the_command_line(name: str, tmp_path: Path) -> None:
    run = str(tmp_path / "run")
    few = ["--set", "n_steps=30", "--set", "batch_size=16", "--device", "cpu", "--quiet"]
    trained = CliRunner().invoke(app, ["train", name, "--data", DATA, "--preset", "smoke", *few, "--out", run])
    assert trained.exit_code == 0, trained.exception or trained.output
    card = ["--metrics", "factorvae,active_units", "--interval", "none", "--no-null", "--json", "--quiet"]
    scored = CliRunner().invoke(app, ["score", f"reference:{run}", "--data", DATA, "--samples", "all", *card])
    if scored.exit_code:  # a method without encoder says so
        assert f"{name} cannot encode images" in str(scored.exception)
        return
    assert "factorvae" in scored.stdout
    picture = tmp_path / "traversal.png"
    shown = CliRunner().invoke(app, ["traverse", run, "--data", DATA, "--samples", "4", "-o", str(picture), "--quiet"])
    if shown.exit_code:  # a method without decoder says so
        assert f"{name} cannot decode features" in str(shown.exception)
    else:
        assert picture.stat().st_size > 1000
    with pytest.raises(InvalidInputError, match="device 'cuda:99' is not available"):
        dm.load_encoder(f"reference:{run}?device=cuda:99")


@pytest.mark.parametrize("name", METHODS)
def test_an_interrupted_run_resumes_to_identical_weights(
    name: str, spots: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, out = smoke(name, spots), tmp_path / "run"
    with monkeypatch.context() as patched:
        patched.setattr(train_module, "Recorder", _stops_at(17))
        with pytest.raises(RuntimeError, match="power cut"):
            train(config, spots, out=out, device="cpu", checkpoint_seconds=0.0)
    assert not (out / "weights.safetensors").exists()
    resumed = train(config, spots, out=out, resume=True, device="cpu")
    assert resumed.fingerprint == train(config, spots, device="cpu").fingerprint
    assert resumed.fingerprint == load_run(out).fingerprint


def _stops_at(step: int) -> type[Recorder]:
    class Stopping(Recorder):
        seen = 0

        def add(self, terms: dict[str, torch.Tensor]) -> None:
            super().add(terms)
            self.seen += 1
            if self.seen == step:
                raise RuntimeError("power cut")

    return Stopping


@pytest.mark.parametrize("name", METHODS)
def test_vectors_train_or_are_refused_in_a_sentence(name: str, tmp_path: Path) -> None:
    data = dm.load_dataset("linear-gaussian")
    try:
        run = train(smoke(name, data, n_steps=5), data, out=tmp_path / "run", device="cpu")
    except InvalidInputError as error:
        assert re.search("needs (images|a full grid)", str(error))  # noqa: PT017 - most methods train
        assert not (tmp_path / "run").exists()
        return
    if name == "factor_bottleneck":  # it has no encoder
        return
    representation = dm.encode(f"reference:{tmp_path / 'run'}", data, n_samples=20)
    assert np.isfinite(representation.codes).all()
    assert run.decode(representation.codes[:3]).shape == (3, *data.observation_shape)
    assert run.sample(2).shape == (2, *data.observation_shape)


@pytest.mark.skipif(choose_device().type == "cpu", reason="no device other than the CPU")
@pytest.mark.parametrize("name", METHODS)
def test_losses_on_the_device_are_those_of_the_cpu_alone_and_in_stacks(name: str, spots: DataSet) -> None:
    configs = with_seeds(smoke(name, spots, n_steps=200), range(10))
    data = TrainingData(spots)
    (expected,) = train_to_end(Trainer(configs[:1], data), record_every=20)
    (alone,) = train_to_end(Trainer(configs[:1], data, choose_device()), record_every=20)
    stacked, *_ = train_to_end(Trainer(configs, data, choose_device()), record_every=20)
    for history in (alone, stacked):
        assert history["loss"][:3] == pytest.approx(expected["loss"][:3], rel=2e-3)
        assert history["loss"][-1] == pytest.approx(expected["loss"][-1], rel=0.1)
