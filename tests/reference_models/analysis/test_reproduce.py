"""Reproduction of published tables: published values are exact, and no model is trained twice."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from disentmetrics_reference_models.analysis import reproduce
from disentmetrics_reference_models.analysis.reproduce import HIGGINS_ROWS, PLANS, Line, higgins_table
from disentmetrics_reference_models.cli.training import reproduce as command
from disentmetrics_reference_models.training.registry import find_method
from disentmetrics_reference_models.training.run import Run
from disentmetrics_reference_models.training.run_folder import load_run
from disentmetrics_reference_models.training.train import train

from disentmetrics.datasets import load_dataset
from disentmetrics.errors import InvalidInputError

DC_IGN = {"architecture": "small-fc", "n_steps": 2}
ACCURACIES = {"factors": 1.0, "pixels": 0.4, "pca": 0.7, "ica": 0.5}


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Make every plan tiny and every score a known number; return how many models each call trains."""
    tiny = dataclasses.replace(
        PLANS["smoke"], settings={"architecture": "small-fc", "n_steps": 3}, n_seeds=3, others={"dc_ign": DC_IGN}
    )
    monkeypatch.setattr(reproduce, "PLANS", {"smoke": tiny})

    def known_accuracy(encoder: Run | str, *arguments: Any) -> float:
        seed = arguments[-1]
        if isinstance(encoder, str):
            return ACCURACIES[encoder.removeprefix("baseline:")]
        assert encoder.config.seed == seed
        if encoder.method.name == "dc_ign":
            return 0.97
        accuracy = 0.5 + 0.1 * encoder.config.weights["beta"] if encoder.n_steps else 0.3
        return accuracy + 0.01 * float(seed)

    monkeypatch.setattr(reproduce, "_accuracy", known_accuracy)
    calls: list[int] = []

    def counted(config: Any, *arguments: Any, **options: Any) -> Run:
        calls.append(1)
        return train(config, *arguments, **options)

    monkeypatch.setattr(reproduce, "train", counted)
    return calls


def test_published_figures_are_those_of_the_paper() -> None:
    published = {row.label: (row.published, row.published_deviation) for row in HIGGINS_ROWS}
    assert published == {
        "ground truth": (100.0, None),
        "raw pixels": (45.75, 0.8),
        "PCA": (84.9, 0.4),
        "ICA": (42.03, 10.6),
        "DC-IGN": (99.3, 0.1),
        "InfoGAN": (73.5, 0.9),
        "untrained VAE": (44.14, 2.5),
        "VAE": (61.58, 0.5),
        "beta-VAE": (99.23, 0.1),
    }


def test_a_table_contains_means_intervals_and_its_preset(trained: list[int], tmp_path: Path) -> None:
    table = higgins_table("smoke", tmp_path / "table", device="cpu")
    ours = {line.row.label: line for line in table.lines}
    assert ours["VAE"].values == pytest.approx((0.6, 0.61, 0.62))
    assert ours["beta-VAE"].mean == pytest.approx(0.91)
    assert ours["VAE"].standard_deviation == pytest.approx(0.01)
    interval = ours["VAE"].interval
    assert interval is not None
    assert interval.high - 0.61 == pytest.approx(4.3027 * 0.01 / 3**0.5, rel=1e-3)  # t of 2 degrees
    assert table.in_order
    assert table.cells()[7] == ("VAE", "3", "61.0", "58.5 .. 63.5", "1.0", "3", "61.58 ± 0.5")
    assert table.cells()[4] == ("DC-IGN", "2", "97.0", "97.0 .. 97.0", "0.0", "3", "99.3 ± 0.1")
    assert table.cells()[5] == ("InfoGAN", "", "not run", "", "", "", "73.5 ± 0.9")
    assert "preset smoke" in " ".join(table.headings)
    notes = " ".join(table.notes())
    assert "mini-sprites" in notes
    assert "is reproduced" in notes
    worse = dataclasses.replace(table, lines=tuple(Line(line.row, (0.5, 0.5)) for line in table.lines))
    assert "is not reproduced" in " ".join(worse.notes())
    assert json.loads(json.dumps(table.as_dict()))["lines"][8]["published"] == 99.23
    lines = [Line(line.row, (0.2, 0.2)) if line.row.label == "untrained VAE" else line for line in table.lines]
    unlearned = dataclasses.replace(table, lines=tuple(lines))
    assert not unlearned.in_order
    assert "at 20 or 80 %, as a classifier that learned nothing" in " ".join(unlearned.notes())
    other = dataclasses.replace(table, config=table.config.changed({"beta": 8.0}))
    assert other.cells()[8][0] == "beta-VAE (β = 8 instead of 4)"


def test_existing_models_are_reused(trained: list[int], tmp_path: Path) -> None:
    first = higgins_table("smoke", tmp_path, device="cpu")
    assert sum(trained) == 12
    assert load_run(tmp_path / "untrained-vae-seed-1").n_steps == 0
    assert load_run(tmp_path / "vae-seed-2").config.weights["beta"] == 1.0
    assert load_run(tmp_path / "beta-vae-seed-2").config.weights["beta"] == 4.0
    for path in (tmp_path / "vae-seed-1").iterdir():
        path.unlink()
    (tmp_path / "vae-seed-2" / "weights.safetensors").unlink()  # as after an interruption
    assert higgins_table("smoke", tmp_path, device="cpu") == first
    assert sum(trained) == 14


def test_models_with_other_settings_raise_an_error(
    trained: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    higgins_table("smoke", tmp_path, device="cpu")
    other = dataclasses.replace(
        reproduce.PLANS["smoke"], settings={"architecture": "small-fc", "n_steps": 4}, others={}
    )
    monkeypatch.setattr(reproduce, "PLANS", {"smoke": other})
    with pytest.raises(InvalidInputError, match="trained with other settings; specify another folder"):
        higgins_table("smoke", tmp_path, device="cpu")


def test_models_are_stacked_on_devices_other_than_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    config = find_method("beta_vae").preset("smoke")
    missing = {("VAE", 0): config, ("beta-VAE", 0): config, ("untrained VAE", 0): config.changed({"n_steps": 0})}
    assert reproduce._stacks(missing, "cpu") == [[key] for key in missing]
    monkeypatch.setattr(reproduce, "choose_device", torch.device)
    assert reproduce._stacks(missing, "meta") == [[("VAE", 0), ("beta-VAE", 0)], [("untrained VAE", 0)]]


def test_the_ground_truth_factors_have_accuracy_one() -> None:
    assert reproduce._accuracy("baseline:factors", load_dataset("mini-sprites"), 2_000, 0) == 1.0


def test_the_command_prints_the_table_or_json(
    trained: list[int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command("higgins-table", preset="smoke", out_folder=tmp_path, device="cpu")
    shown = capsys.readouterr().out
    assert "99.23 ± 0.1" in shown
    command("higgins-table", preset="smoke", out_folder=tmp_path, device="cpu", as_json=True)
    assert json.loads(capsys.readouterr().out)["preset"] == "smoke"
    with pytest.raises(InvalidInputError, match="did you mean 'higgins-table'"):
        command("higginstable", preset="smoke", out_folder=tmp_path)
    with pytest.raises(InvalidInputError, match="did you mean 'smoke'"):
        higgins_table("smok", tmp_path)


def test_a_model_whose_configuration_was_completed_from_the_data_is_recognised(tmp_path: Path) -> None:
    config = find_method("info_gan").preset("smoke").changed({"n_steps": 1, "batch_size": 4})
    data = load_dataset("mini-sprites")
    run = train(config, data, out=tmp_path / "run", device="cpu")
    assert run.config != config
    assert reproduce._loaded(tmp_path / "run", config, data).fingerprint == run.fingerprint
