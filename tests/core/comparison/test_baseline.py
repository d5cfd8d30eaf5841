"""Files of baselines."""

import json
import math
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

import disentmetrics as dm
from disentmetrics.comparison.baseline import Baseline, read_baseline, update_baseline
from disentmetrics.errors import CorruptFileError, InvalidInputError, StorageError

DAY, NEXT_DAY = date(2026, 1, 2), date(2026, 1, 3)
numbers = st.floats(allow_nan=False, allow_infinity=False)


def card(value: float = 0.5, *, encoder: str = "some", name: str = "mig") -> dm.ScoreCard:
    score = dm.Score(
        name,
        value,
        str(dm.Signature(name, {"encoder": encoder})),
        interval=dm.Interval(value - 0.1, value + 0.1, 0.95, "jackknife"),
        details={"matrix": np.ones((50, 50))},
        replicates=(value, math.nan, value + 0.01),
    )
    undefined = dm.Score("dci", math.nan, "dci|seed:0", undefined="no ‘reason’")
    return dm.ScoreCard({name: score, "dci": undefined}, {"row_key": "k", "rows": 5, "data": "d", "columns": {}})


def test_a_file_holds_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "model.json"
    made = update_baseline(path, card(), today=DAY)
    found = read_baseline(path)
    assert str(found) == str(made)  # NaN is not equal to itself
    assert found.scores["mig"].interval == card()["mig"].interval
    assert found.scores["dci"].undefined == "no ‘reason’"
    assert found.directions == {"mig": True, "dci": True}
    assert found.about == {"row_key": "k", "rows": 5, "data": "d"}


@given(numbers, st.lists(numbers, max_size=3), st.text(max_size=9), st.text(max_size=9))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_number_and_name_comes_back_exactly(
    tmp_path: Path, value: float, replicates: list[float], name: str, encoder: str
) -> None:
    some = replace(card(value)["mig"], name=name, interval=None, replicates=tuple(replicates))
    path = tmp_path / "b.json"
    path.unlink(missing_ok=True)
    update_baseline(path, dm.ScoreCard({name: some}, {"encoder": encoder}), today=DAY)
    found = read_baseline(path)
    assert (found.scores[name].value, found.scores[name].replicates) == (value, tuple(replicates))
    assert found.about["encoder"] == encoder


def test_the_file_is_small_and_has_a_line_a_number(tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    update_baseline(path, card(), today=DAY)
    before = path.read_text(encoding="utf-8").splitlines()
    assert '   "value": 0.5,' in before
    assert "matrix" not in "".join(before)
    assert len(before) < 40
    update_baseline(path, card(0.6), today=NEXT_DAY)
    changed = [line for line in path.read_text(encoding="utf-8").splitlines() if line not in before]
    assert [line.strip().partition(":")[0] for line in changed if '": ' in line] == [
        '"value"', '"interval"', '"replicates"', '"date"', '"mig"'
    ]  # fmt: skip


def test_history_grows_by_what_changed(tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    update_baseline(path, card(), today=DAY)
    first = path.read_bytes()
    update_baseline(path, card(), today=NEXT_DAY)
    assert path.read_bytes() == first
    update_baseline(path, card(0.7, encoder="other"), today=NEXT_DAY)
    update_baseline(path, card(), today=NEXT_DAY)
    history = read_baseline(path).history
    assert [(entry["date"], entry["scores"]["mig"]["value"]) for entry in history] == [
        ("2026-01-02", 0.5), ("2026-01-03", 0.7), ("2026-01-03", 0.5)
    ]  # fmt: skip
    assert history[1]["scores"]["mig"]["signature"] == "mig|encoder:other"
    assert history[1]["scores"]["dci"] == {"value": None, "signature": "dci|seed:0"}


def test_a_score_card_is_a_baseline_but_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "card.json"
    before = card().to_json(path)
    assert str(read_baseline(path)) == str(Baseline.of(card()))
    with pytest.raises(InvalidInputError, match="a score card, which would be lost; name another file"):
        update_baseline(path, card(0.9), today=DAY)
    assert path.read_text(encoding="utf-8") == before + "\n"


def test_a_file_that_cannot_be_written_stays_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "b.json"
    update_baseline(path, card(), today=DAY)
    before = path.read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(StorageError, match="No space left"):
        update_baseline(path, card(0.9), today=DAY)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="no such file; --update makes one"):
        read_baseline(tmp_path / "none.json")


@given(st.integers(0, 10_000))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_a_truncated_file_is_refused_and_kept(tmp_path: Path, length: int) -> None:
    path = tmp_path / "b.json"
    path.unlink(missing_ok=True)
    update_baseline(path, card(), today=DAY)
    text = path.read_text(encoding="utf-8").rstrip()
    part = text[: length % len(text)]
    path.write_text(part, encoding="utf-8")
    with pytest.raises(CorruptFileError, match="make it again|score again"):
        read_baseline(path)
    with pytest.raises(CorruptFileError, match="make it again|score again"):
        update_baseline(path, card(), today=DAY)
    assert path.read_text(encoding="utf-8") == part


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("scores",), []),
        (("scores", "mig"), 0.5),
        (("scores", "mig", "value"), None),
        (("scores", "mig", "value"), "0.5"),
        (("scores", "mig", "value"), True),
        (("scores", "mig", "undefined"), "why"),
        (("scores", "dci", "undefined"), None),
        (("scores", "mig", "interval"), {"low": 0}),
        (("scores", "mig", "higher_is_better"), "yes"),
        (("scores", "mig", "replicates"), ["x"]),
        (("about",), None),
        (("history",), []),
        (("history",), [{}]),
    ],
)
def test_an_altered_file_is_refused(tmp_path: Path, place: tuple[str, ...], value: object) -> None:
    path = tmp_path / "b.json"
    update_baseline(path, card(), today=DAY)
    content = json.loads(path.read_text(encoding="utf-8"))
    inner = content
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(CorruptFileError, match="must be a baseline as --update writes it"):
        read_baseline(path)


def test_numbers_that_json_does_not_have_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    update_baseline(path, card(), today=DAY)
    path.write_text(path.read_text(encoding="utf-8").replace('"value": 0.5,', '"value": NaN,', 1), encoding="utf-8")
    with pytest.raises(CorruptFileError, match="must be a finite number"):
        read_baseline(path)
