"""The commands train and traverse."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from disentmetrics_reference_models.cli import _run_data, training
from disentmetrics_reference_models.training.registry import find_method
from disentmetrics_reference_models.training.run_folder import load_run, save_run
from disentmetrics_reference_models.training.train import train
from PIL import Image
from typer.testing import CliRunner

import disentmetrics as dm
from disentmetrics import cli
from disentmetrics.comparison.verify import verify
from disentmetrics.datasets.base import DataSet

BLOBS = "blobs?size=16&width=1&positions=8"


@pytest.mark.parametrize(("limit", "n_rows"), [(50, 50), (64, 64), (10_000, 64)])
def test_a_trained_model_is_scored_without_loading_run_or_data_again(
    limit: int, n_rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []

    def load_dataset(spec: str) -> DataSet:
        loaded.append(spec)
        return dm.load_dataset(spec)

    monkeypatch.setattr(training, "load_dataset", load_dataset)
    monkeypatch.setattr(training, "_SCORED_ROWS", limit)
    settings = ["--preset", "smoke", "--set", "n_steps=5", "--set", "architecture=small-fc", "--device", "cpu"]
    out = tmp_path / "run"
    result = CliRunner().invoke(cli.app, ["train", "vae", "--data", BLOBS, *settings, "--out", str(out), "--score"])
    assert result.exit_code == 0, result.output
    assert loaded == [BLOBS]
    card = dm.ScoreCard.from_json(out / "card.json")
    assert card.about["encoder"] == load_run(out).fingerprint
    assert card.about["data_spec"] == BLOBS
    assert card.about["rows"] == n_rows
    assert verify(card, f"reference:{out}").passed


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, spots: DataSet) -> Callable[..., object]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_run_data, "load_dataset", lambda _: spots)

    def run(*arguments: str) -> object:
        monkeypatch.setattr(sys, "argv", ["disentmetrics", "traverse", *arguments])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        return stopped.value.code

    return run


def test_traversals_of_a_run_are_plotted(
    spots: DataSet, tmp_path: Path, command: Callable[..., object], capsys: pytest.CaptureFixture[str]
) -> None:
    config = find_method("vae").preset("smoke").changed({"architecture": "small-fc", "batch_size": 4, "n_steps": 2})
    save_run(train(config, spots, device="cpu"), tmp_path / "run")
    assert command("run", "--data", "spots", "--tuning", "column, row", "-o", "sheet.png") == 0
    first = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert command("reference:run", "--data", "spots", "-o", "again.png", "--values", "5", "--quiet") == 0
    assert np.asarray(Image.open(tmp_path / "again.png")).shape[0] < first.shape[0]
    capsys.readouterr()
    assert command("run", "-o", "sheet.png") == 2
    assert "trained on spots-1, which cannot be loaded automatically" in capsys.readouterr().err
    assert command("run", "--data", "spots", "--tuning", "row", "-o", "sheet.png") == 2
    assert "--tuning needs two factors" in capsys.readouterr().err
    assert command("nowhere", "--data", "spots", "-o", "sheet.png") == 2
    assert "a run must be a folder" in capsys.readouterr().err


def test_the_training_data_of_a_run_are_found() -> None:
    assert _run_data.data_for("blobs-1").name == "blobs"
    assert not _run_data.other_data_note("blobs-1", dm.load_dataset("blobs"))
