"""How the command ends: errors of ours, interruption."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from disentmetrics import cli
from disentmetrics.cli import scoring

Run = Callable[..., Any]
FEW = ("--data", "dsprites", "--samples", "300")


def test_an_error_of_ours_is_not_hidden(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], table: Path
) -> None:
    monkeypatch.setattr(sys, "argv", ["disentmetrics", "score", "--codes", str(table)])
    monkeypatch.setattr(scoring, "score_representation", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cli.main()


def test_interrupted_work_ends_with_130(run: Run, table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(scoring, "score_representation", interrupt)
    ran = run("score", "--codes", table, "--out", "card.json")
    assert ran.code == 130
    assert ran.sentence == "error: interrupted; nothing half-written was left behind"


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "disentmetrics", *arguments]


def test_control_c_leaves_nothing_half_written_and_the_next_run_goes_on(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(
        "import time\n"
        "def encode(images):\n"
        "    with open('calls', 'a') as calls: calls.write('x')\n"
        "    time.sleep(0.06)\n"
        "    return images.reshape(len(images), -1)[:, ::500] / 255.0\n"
    )
    results = tmp_path / "results"
    results.mkdir()
    command = _command(
        "encode", "python:slow.py:encode?fingerprint=slow", *FEW, "--batch-size", "3", "--out", "results/codes.h5"
    )
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    calls = tmp_path / "calls"
    deadline = time.monotonic() + 60
    while not (calls.exists() and calls.stat().st_size > 10):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert err.splitlines()[-1] == "error: interrupted; nothing half-written was left behind"
    assert not list(results.iterdir())
    n_before = calls.stat().st_size
    assert n_before < 101
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    assert "an interrupted run left" in again.stderr
    assert calls.stat().st_size <= 100 + 2 + 1  # 100 batches, two second looks, one batch that was broken off
    assert [path.name for path in results.iterdir()] == ["codes.h5"]
