"""``plot``."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import disentmetrics as dm
from disentmetrics.plots import kinds

pytest.importorskip("matplotlib", reason="figures need the extra plots")

Run = Callable[..., Any]


@pytest.fixture
def card(tmp_path: Path) -> Path:
    factors = np.indices((5, 6)).reshape(2, -1).T.repeat(10, axis=0)
    path = tmp_path / "a card ü.json"
    dm.score(dm.Representation(factors * 1.0, factors), ["mig"], interval=None, null=False).to_json(path)
    return path


@pytest.mark.parametrize("name", ["fig.pdf", "new folder/fig.SVG", "fig.png"])
def test_a_figure_is_written_at_the_requested_path(run: Run, card: Path, tmp_path: Path, name: str) -> None:
    ran = run("plot", card, "--kind", "mi-matrix", "-o", tmp_path / name)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.strip() == str(tmp_path / name)
    start = {"p": b"%PDF", "S": b"<?xml", "n": b"\x89PNG"}[name.rpartition(".")[2][0 if "png" not in name else 1]]
    assert (tmp_path / name).read_bytes().startswith(start)


def test_several_cards_are_named_by_their_files(run: Run, card: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / card.name
    other.parent.mkdir()
    other.write_text(card.read_text())
    assert run("plot", card, other, "-o", tmp_path / "a.svg").code == 0
    assert run("plot", card, tmp_path / card.name, "-o", "a.svg").sentence.endswith("given once; got a card twice")


def test_wrong_kinds_files_and_cards_are_refused_before_anything_is_written(
    run: Run, card: Path, tmp_path: Path
) -> None:
    before = sorted(tmp_path.rglob("*"))
    assert "did you mean 'mi-matrix'" in run("plot", card, "--kind", "mi_matrix", "-o", "a.pdf").sentence
    assert "must end in .pdf, .svg, .png; got 'a.jpg'" in run("plot", card, "-o", "a.jpg").sentence
    assert "is a folder" in run("plot", card, "-o", tmp_path).sentence
    assert "score with --metrics dci" in run("plot", card, "-k", "dci-matrix", "-o", "a.pdf").sentence
    assert "there is no such file" in run("plot", "none.json", "-o", "a.pdf").sentence
    assert sorted(tmp_path.rglob("*")) == before


def test_help_lists_every_kind(run: Run) -> None:
    said = " ".join(run("plot", "--help").out.replace("│", " ").split())
    assert all(kind in said for kind in kinds())
