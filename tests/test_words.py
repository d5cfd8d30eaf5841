"""The check of words that ``make check`` runs."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs" / "hooks"))  # as mkdocs does

import words  # noqa: E402 - it lies in that folder


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("# the code tells the shape\n", ["tells"]),
        ("aim = 1\n", ["aim"]),
        ("y_wanted = aims_of(x)\n", ["wanted", "aims"]),
        ('"""Fitted once a file, one a metric."""\n', ["once a file", "one a metric"]),
        ("claims = {'indoor': intelligent}\n", []),
    ],
)
def test_words_are_found_in_comments_strings_and_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, found: list[str]
) -> None:
    path = tmp_path / "module.py"
    path.write_text(text, encoding="utf-8")
    monkeypatch.setattr(words, "ROOT", tmp_path)
    lines = list(words.faults([path]))
    assert [line.split("'")[1] for line in lines] == found


def test_phrases_of_the_allow_list_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "page.md"
    path.write_text("Tell me a guess.\nThe guess.\n", encoding="utf-8")
    monkeypatch.setattr(words, "ROOT", tmp_path)
    monkeypatch.setattr(words, "ALLOWED", ("page.md: Tell me a guess.",))
    assert list(words.faults([path])) == ["page.md:2: 'guess' → prediction, y_pred, estimate"]


def test_every_pattern_has_an_advice() -> None:
    assert all(words.advice(word) for word in ("told", "mends", "doors", "aim", "anew", "bit by bit"))
