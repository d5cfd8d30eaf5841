"""``check``."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest

import disentmetrics as dm

Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def outside_workflows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)


@pytest.fixture
def cards(tmp_path: Path, rng: np.random.Generator) -> tuple[Path, Path]:
    """Return a good and a bad card of the same rows."""
    factors = rng.integers((3, 4), size=(200, 2))
    paths = (tmp_path / "good.json", tmp_path / "bad [/b].json")
    for path, noise in zip(paths, (0.1, 1.0), strict=True):
        codes = factors + noise * rng.normal(size=factors.shape)
        dm.score(dm.Representation(codes, factors), ["mig"], null=False).to_json(path)
    return paths


def test_a_regression_exits_with_1_and_a_reason(run: Run, cards: tuple[Path, Path]) -> None:
    good, bad = cards
    ran = run("check", bad, "--baseline", good)
    assert (ran.code, ran.err) == (1, "")
    assert "mig regressed: " in ran.out
    assert "; fell most for factor_" in ran.out.replace("\n", " ")
    assert "failed: 1 regressed (tolerance interval)" in ran.out
    assert "::error" not in ran.out
    assert run("check", good, "--baseline", bad).code == 0
    assert run("check", bad, "--baseline", good, "--tolerance", "100%").code == 0


def test_a_baseline_is_written_checked_and_replaced(run: Run, cards: tuple[Path, Path]) -> None:
    good, bad = cards
    ran = run("check", good, "--baseline", "baselines/model.json", "--update")
    assert (ran.code, ran.out) == (0, "")
    assert "baseline written to baselines/model.json: mig" in ran.err
    before = Path("baselines/model.json").read_text(encoding="utf-8")
    assert run("check", good, "--baseline", "baselines/model.json").code == 0
    assert run("check", bad, "--baseline", "baselines/model.json").code == 1
    assert Path("baselines/model.json").read_text(encoding="utf-8") == before
    ran = run("check", bad, "--baseline", "baselines/model.json", "--update")
    assert ran.code == 0
    assert "mig regressed" in ran.out
    assert run("check", bad, "--baseline", "baselines/model.json").code == 0
    accepted, card = (dm.ScoreCard.from_json(path) for path in ("baselines/model.json", bad))
    assert accepted["mig"].value == card["mig"].value


def test_junit_is_written_whether_it_passes_or_not(run: Run, cards: tuple[Path, Path]) -> None:
    for (card, baseline), failures in ((cards, "0"), (cards[::-1], "1")):
        run("check", card, "--baseline", baseline, "--junit", "reports/scores.xml")
        root = ET.parse("reports/scores.xml").getroot()
        assert root.attrib["failures"] == failures
        assert [case.attrib["classname"] for case in root.iter("testcase")] == [f"disentmetrics.{card.stem}"]


def test_failures_are_annotated_in_workflows_alone(
    run: Run, cards: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    lines = run("check", cards[1], "--baseline", cards[0]).out.splitlines()
    (annotation,) = [line for line in lines if line.startswith("::")]
    assert annotation.startswith("::error title=mig regressed::0.")
    assert "95 %25 interval" in annotation


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--baseline", "none.json"), "there is no such file; --update writes it"),
        (("--baseline", "broken.json"), "must be a complete score card"),
        (("--baseline", "broken.json", "--update"), "must be a complete score card"),
        (("--baseline", "good.json", "--tolerance", "much"), "a tolerance must be interval, a number"),
        (("--baseline", "good.json", "--junit", "."), "--junit must name a file"),
        (("--baseline", "old.json"), "its format is 'disentmetrics-baseline-1'; score again; to replace the baseline"),
        (("--baseline", "old.json", "--update"), "delete old.json and write it again with --update"),
        ((), "Missing option '--baseline'"),
    ],
)
def test_wrong_input_exits_with_2(run: Run, cards: tuple[Path, Path], options: tuple[str, ...], message: str) -> None:
    Path("broken.json").write_text(cards[0].read_text(encoding="utf-8")[:-40], encoding="utf-8")
    Path("old.json").write_text('{"format": "disentmetrics-baseline-1"}', encoding="utf-8")
    before = {path: path.read_bytes() for path in Path().glob("*.json")}
    ran = run("check", cards[0], *options)
    assert ran.code == 2
    assert message in ran.err
    assert "Traceback" not in ran.err
    assert before == {path: path.read_bytes() for path in Path().glob("*.json")}
