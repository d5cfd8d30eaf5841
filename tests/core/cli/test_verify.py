"""``verify``."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
QUICK = ("--metrics", "mig", "--no-null", "--interval", "none", "-q")


@pytest.fixture
def card(run: Run) -> Path:
    ran = run("score", "baseline:random?n_codes=3", "--data", "dsprites", "--samples", 100, *QUICK, "-o", "card.json")
    assert ran.code == 0
    return Path("card.json")


def test_a_card_repeats_by_its_encoder_alone(run: Run, card: Path) -> None:
    assert json.loads(card.read_text(encoding="utf-8"))["about"]["data_spec"] == "dsprites"
    ran = run("verify", card, "baseline:random?n_codes=3", "-q")
    assert ran.code == 0
    assert ran.out.splitlines()[-1] == "1 of 1 scores repeat exactly"


def test_another_encoder_exits_with_1(run: Run, card: Path) -> None:
    ran = run("verify", card, "baseline:random?n_codes=4", "-q")
    assert ran.code == 1
    assert "the encoder of the card is baseline-random-3-seed-0, this one is baseline-random-4-seed-0" in ran.out
    assert "1 of 1 scores do not repeat: mig" in ran.out


def test_an_altered_number_exits_with_1(run: Run, card: Path) -> None:
    content = json.loads(card.read_text(encoding="utf-8"))
    content["scores"]["mig"]["value"] += 0.001
    card.write_text(json.dumps(content), encoding="utf-8")
    ran = run("verify", card, "baseline:random?n_codes=3", "-q")
    assert ran.code == 1
    assert "value, by 0.001" in ran.out


def test_a_table_repeats_with_the_columns_of_the_card(run: Run, csv: Path) -> None:
    columns = ("--code-columns", "z0", "--factor-columns", "shape,size", "--kind", "size=categorical")
    assert run("score", "--codes", csv, *columns, *QUICK, "-o", "card.json").code == 0
    ran = run("verify", "card.json", "--codes", csv)
    assert (ran.code, ran.out.splitlines()[-1]) == (0, "1 of 1 scores repeat exactly")
    moved = shutil.copy(csv, "moved.csv")
    assert run("verify", "card.json", "--codes", moved).code == 0
    text = Path(moved).read_text(encoding="utf-8").splitlines()
    Path(moved).write_text("\n".join(text[:-1]), encoding="utf-8")
    ran = run("verify", "card.json", "--codes", moved)
    assert ran.code == 1
    assert "the rows differ from those of the card; nothing was scored" in ran.out


def test_codes_that_were_kept_repeat(run: Run) -> None:
    assert run("encode", "baseline:random", "--data", "dsprites", "--samples", 100, "-q", "-o", "codes.h5").code == 0
    assert run("score", "--codes", "codes.h5", *QUICK, "-o", "card.json").code == 0
    assert run("verify", "card.json", "--codes", "codes.h5").code == 0
    assert run("verify", "card.json", "baseline:random", "--data", "dsprites", "-q").code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "got neither; see disentmetrics verify --help"),
        (("baseline:random", "--codes", "codes.csv"), "got both"),
        (("--codes", "codes.csv", "--data", "dsprites"), "--data cannot be combined with --codes"),
        (("baseline:rendom",), "did you mean 'random'"),
        (("--codes", "none.csv"), "none.csv"),
    ],
)
def test_wrong_input_exits_with_2(run: Run, card: Path, arguments: tuple[str, ...], message: str) -> None:
    ran = run("verify", card, *arguments, "-q")
    assert ran.code == 2
    assert message in ran.sentence


def test_an_encoder_that_fails_exits_with_3(run: Run, card: Path) -> None:
    Path("broken.py").write_text("def encode(images):\n    raise ValueError('broken')\n", encoding="utf-8")
    ran = run("verify", card, "python:broken.py:encode", "-q")
    assert ran.code == 3
    assert "broken" in ran.sentence
