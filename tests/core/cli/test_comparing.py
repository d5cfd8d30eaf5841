"""``compare`` and ``udr``."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import disentmetrics as dm

Run = Callable[..., Any]


@pytest.fixture
def cards(tmp_path: Path, rng: np.random.Generator) -> tuple[Path, Path]:
    factors = rng.integers((3, 4), size=(300, 2))
    paths = (tmp_path / "first one.json", tmp_path / "second.json")
    for path, noise in zip(paths, (0.1, 1.0), strict=True):
        codes = factors + noise * rng.normal(size=factors.shape)
        dm.score(dm.Representation(codes, factors), ["mig"], null=False).to_json(path)
    return paths


def test_two_cards_are_compared(run: Run, cards: tuple[Path, Path]) -> None:
    ran = run("compare", *cards)
    assert (ran.code, ran.err) == (0, "")
    assert re.search(r"metric +first one +second\n", ran.out)
    assert re.search(r"mig ↑ +0.\d{3} \[0.\d{3}, \d.\d{3}\]\*", ran.out)
    assert re.search(r"metric +second − first +difference +95 % interval +p +p \(Holm\)", ran.out)
    assert "*: not significantly worse than the best" in ran.out
    plain = json.loads(run("compare", *cards, "--format", "json").out)
    assert plain["names"] == ["first one", "second"]
    assert plain["differences"][0]["difference"] < 0
    assert plain["scores"]["mig"]["second"]["undefined"] is None


def test_comparisons_are_printed_for_papers_and_pages(run: Run, cards: tuple[Path, Path]) -> None:
    for text_format, best in (("markdown", "| mig ↑ | **0."), ("latex", r"mig $\uparrow$ & \textbf{0.")):
        ran = run("compare", *cards, cards[0], "--format", text_format)
        assert (ran.code, ran.err) == (0, "")
        assert best in ran.out
        assert "first one (2)" in ran.out
        assert "bold: not significantly worse than the best" in ran.out


def test_cards_of_other_rows_and_damaged_cards_are_refused(
    run: Run, cards: tuple[Path, Path], tmp_path: Path, rng: np.random.Generator
) -> None:
    factors = rng.integers((3, 4), size=(200, 2))
    dm.score(dm.Representation(factors * 1.0, factors), ["mig"], null=False).to_json(tmp_path / "other.json")
    (tmp_path / "damaged.json").write_text(cards[0].read_text()[:-50])
    for other, message in (
        ("other.json", "first one and other differ in rows (300 and 200)"),
        ("damaged.json", "complete score card"),
    ):
        ran = run("compare", cards[0], tmp_path / other)
        assert ran.code == 2
        assert message in ran.sentence
    ran = run("compare", cards[0], tmp_path / "other.json", "--force", "--format", "markdown")
    assert ran.code == 0
    assert "warning: mig: first one and other differ in rows (300 and 200)" in ran.err
    assert "no test: different rows or a different seed" in ran.out


def test_models_are_ranked_without_labels(run: Run) -> None:
    rng = np.random.default_rng(0)
    factors = rng.integers((4, 5), size=(300, 2))
    for name, codes in {"one": factors, "two": -factors[:, ::-1], "mixed": factors @ [[1, 1], [1, -1]]}.items():
        dm.Representation(codes.astype(float), factors).save(f"{name}.h5")
    found = json.loads(run("udr", "one.h5", "two.h5", "mixed.h5", "--json").out)
    assert found["scores"]["one"] == found["scores"]["two"] > found["scores"]["mixed"]
    assert "lasso" in run("udr", "one.h5", "two.h5", "--variant", "lasso").out
    alone = run("udr", "one.h5")
    assert alone.code == 2
    assert "at least two" in alone.err
