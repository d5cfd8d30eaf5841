import re
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from disentmetrics._utils.installation import install_command
from disentmetrics.cli import app
from disentmetrics.errors import InvalidInputError
from disentmetrics.results.card import ScoreCard


@pytest.fixture(autouse=True)
def _extras() -> None:
    pytest.importorskip("jinja2", reason="reports need jinja2")
    pytest.importorskip("plotly", reason="reports need plotly")


def run(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["report", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_cards_become_one_page_named_by_their_files(card: ScoreCard, tmp_path: Path) -> None:
    for name in ("one", "two"):
        card.to_json(tmp_path / f"{name}.json")
    out = tmp_path / "report.html"
    run(str(tmp_path / "one.json"), str(tmp_path / "two.json"), "-o", str(out), "--no-explorer", "--title", "A & B")
    html = out.read_text(encoding="utf-8")
    assert "<h1>A &amp; B</h1>" in html
    assert ">one</option>" in html
    assert f"<dd>{tmp_path / 'one.json'}</dd>" in html


def test_cards_of_one_name_are_called_by_their_paths(card: ScoreCard, tmp_path: Path) -> None:
    paths = [tmp_path / folder / "card.json" for folder in ("a", "b")]
    for path in paths:
        card.to_json(path)
    out = tmp_path / "report.html"
    run(*map(str, paths), "-o", str(out), "--no-explorer", "-q")
    assert f">{paths[1]}</option>" in out.read_text(encoding="utf-8")


def test_observations_are_shown_on_demand(card: ScoreCard, tmp_path: Path) -> None:
    card.to_json(tmp_path / "card.json")
    out = tmp_path / "report.html"
    run(str(tmp_path / "card.json"), "-o", str(out), "--data", "dsprites", "--no-explorer", "-q")
    assert 'id="images"' in out.read_text(encoding="utf-8")


def test_a_model_needs_data(card: ScoreCard, tmp_path: Path) -> None:
    card.to_json(tmp_path / "card.json")
    with pytest.raises(InvalidInputError, match="--model needs --data"):
        run(str(tmp_path / "card.json"), "-o", str(tmp_path / "report.html"), "--model", "reference:run")


def test_a_page_that_cannot_be_written_is_refused_before_the_work(card: ScoreCard, tmp_path: Path) -> None:
    card.to_json(tmp_path / "card.json")
    with pytest.raises(InvalidInputError, match="is a folder"):
        run(str(tmp_path / "card.json"), "-o", str(tmp_path))


def test_nothing_is_written_where_the_extra_is_missing(
    card: ScoreCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    card.to_json(tmp_path / "card.json")
    with pytest.raises(ImportError, match=re.escape(install_command("report"))):
        run(str(tmp_path / "card.json"), "-o", str(tmp_path / "report.html"))
    assert not (tmp_path / "report.html").exists()
