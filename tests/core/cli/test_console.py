"""Streams, character sets and width of what is printed."""

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import disentmetrics as dm
from disentmetrics._utils.progress import progress_bar
from disentmetrics.cli import console
from disentmetrics.scoring.presets import PRESETS

Run = Callable[..., Any]
FAST = ("--interval", "none", "--no-null", "--jobs", "1")


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "disentmetrics", *arguments]


@pytest.mark.parametrize("arguments", [("metrics", "list", "--json"), ("metrics", "info", "mig")])
def test_a_reader_that_leaves_is_not_an_error(arguments: tuple[str, ...]) -> None:
    process = subprocess.Popen(_command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(60) == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a file that is always full")
@pytest.mark.parametrize("arguments", [("metrics", "list", "--json"), ("metrics",)])
def test_an_output_that_is_full_is_reported_in_a_sentence(arguments: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(_command(*arguments), stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr == "error: the output could not be written: No space left on device\n"


@pytest.mark.parametrize("as_json", [False, True])
def test_a_terminal_without_the_letters_gets_others(
    run: Run, monkeypatch: pytest.MonkeyPatch, table: Path, as_json: bool
) -> None:
    printed = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(printed, "ascii"))
    options = ["--json"] if as_json else []
    assert run("score", "--codes", table, "--metrics", "mig", *FAST, "--quiet", *options).code == 0
    text = printed.getvalue().decode("ascii")
    if as_json:
        assert "größe" in json.loads(text)["scores"]["mig"]["per_factor"]
    else:
        assert r"gr\xf6\xdfe" in text


def test_notes_and_the_progress_bar_do_not_write_into_each_other() -> None:
    """Both use one console, which prints notes above the bar."""
    with progress_bar(shown=False) as bar:
        assert bar.console is console.err


def test_texts_are_filled_to_the_terminal_and_left_alone_in_a_pipe(
    narrow: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = narrow("metrics", "info", "mig").out
    prose = text.partition("Examples")[0].splitlines()
    assert max(map(len, prose)) <= 80
    words = [len(line.split()) for line in prose if line.startswith("    ")]
    assert np.mean(words) > 7  # no slivers
    monkeypatch.delenv("COLUMNS")
    assert dm.metrics.mig.__doc__ is not None
    longest = max(dm.metrics.mig.__doc__.splitlines(), key=len).strip()
    assert len(longest) > 80
    assert longest in narrow("metrics", "info", "mig").out


def test_tables_are_not_cut_in_a_pipe(run: Run) -> None:
    assert all(", ".join(preset.metrics) in run("metrics").out for preset in PRESETS.values())
