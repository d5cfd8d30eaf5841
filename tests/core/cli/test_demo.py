"""The demo: every baseline scored on the same rows, cards written, encoders ranked."""

import logging
import sys
from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console, RenderableType

import disentmetrics as dm
from disentmetrics import cli
from disentmetrics.cli import _demo as demo, demo as demo_command
from disentmetrics.cli._demo import BASELINES, METRICS, Entry, leaderboard, run_demo

FEW = ("random", "factors")


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Entry]]:
    folder = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DISENTMETRICS_CACHE", str(folder / "cache"))
        patch.setattr(demo, "BASELINES", FEW)
        patch.setattr(demo, "METRICS", ("mig",))  # the others take seconds
        return folder / "cards", list(run_demo(folder / "cards", n_samples=300))


@pytest.fixture
def entries(scored: tuple[Path, list[Entry]]) -> list[Entry]:
    """With all metrics in name."""
    cards = [(entry, {name: replace(entry.card["mig"], name=name) for name in METRICS}) for entry in scored[1]]
    return [replace(entry, card=replace(entry.card, scores=scores)) for entry, scores in cards]


def printed(table: RenderableType) -> list[str]:
    buffer = StringIO()
    Console(file=buffer, width=80).print(table)
    return buffer.getvalue().splitlines()


def test_every_baseline_is_scored_and_its_card_written(scored: tuple[Path, list[Entry]]) -> None:
    folder, entries = scored
    assert [entry.encoder for entry in entries] == ["baseline:random", "baseline:factors"]
    assert sorted(path.name for path in folder.iterdir()) == ["factors.json", "random.json"]
    for name, entry in zip(FEW, entries, strict=True):
        assert dm.ScoreCard.from_json(folder / f"{name}.json").to_json() == entry.card.to_json()
        assert list(entry.card) == ["mig"]
        assert entry.seconds > 0


def test_all_cards_are_of_the_same_rows(scored: tuple[Path, list[Entry]]) -> None:
    first, second = (entry.card for entry in scored[1])
    assert first.about["row_key"] == second.about["row_key"]
    assert first.about["rows"] == 300
    assert dm.compare(first, second).differences


def test_the_ground_truth_scores_best_and_noise_at_chance(scored: tuple[Path, list[Entry]]) -> None:
    noise, truth = (entry.card for entry in scored[1])
    assert truth["mig"].value > 0.9
    assert noise["mig"].value < 0.05


def test_the_leaderboard_is_sorted_and_fits_80_columns_unbroken(entries: list[Entry]) -> None:
    lines = printed(leaderboard(entries))
    assert [line.split()[0] for line in lines] == ["encoder", "baseline:factors", "baseline:random"]
    mig = entries[1].card["mig"]
    assert mig.interval is not None
    assert lines[1].count(f"{mig.value:.2f} [{mig.interval.low:.2f}, {mig.interval.high:.2f}]") == 3
    assert printed(leaderboard(entries[::-1])) == lines


def test_the_leaderboard_takes_scores_without_interval_or_value(entries: list[Entry]) -> None:
    entry = entries[0]
    scores = dict(entry.card)
    scores["mig"] = replace(scores["mig"], interval=None)
    scores["higgins"] = replace(scores["higgins"], value=np.nan, undefined="for a reason")
    (line,) = printed(leaderboard([replace(entry, card=replace(entry.card, scores=scores))]))[1:]
    assert line.split()[2] == f"{scores['mig'].value:.2f}"
    assert line.split()[-1] == "undefined"


def test_processes_give_equal_numbers(
    scored: tuple[Path, list[Entry]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "BASELINES", FEW)
    monkeypatch.setattr(demo, "METRICS", ("mig",))
    assert sum(1 for _ in run_demo(tmp_path / "cards", n_samples=300, n_jobs=2)) == 2
    for name in FEW:
        assert (tmp_path / "cards" / f"{name}.json").read_text() == (scored[0] / f"{name}.json").read_text()


def test_the_command_prints_the_leaderboard_and_what_to_do_next(
    entries: list[Entry], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: dict[str, object] = {}

    def run(out: Path, **options: object) -> Iterator[Entry]:
        asked.update(options, out=out)
        yield from entries

    monkeypatch.setattr(demo_command, "run_demo", run)
    monkeypatch.setattr(sys, "argv", ["disentmetrics", "demo", "--out", "my cards", "--samples", "300", "--seed", "3"])
    level = logging.getLogger("disentmetrics").level
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    logging.getLogger("disentmetrics").setLevel(level)
    logging.getLogger("disentmetrics").handlers.clear()
    out, err = capsys.readouterr()
    assert stopped.value.code == 0
    assert asked == {"out": Path("my cards"), "n_samples": 300, "seed": 3, "n_jobs": -1, "progress": False}
    assert "baseline:factors" in out
    assert "disentmetrics compare" in out
    assert "scored baseline:random in" in err


def test_the_five_baselines_are_all_there_are() -> None:
    assert sorted(BASELINES) == ["factors", "ica", "pca", "pixels", "random"]
    assert all(dm.load_encoder(f"baseline:{name}") for name in ("pixels", "random"))
