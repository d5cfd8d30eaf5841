"""How the command starts and ends: commands of other packages, errors, interruption."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from disentmetrics import cli
from disentmetrics.cli import scoring

Run = Callable[..., Any]
FEW = ("--data", "dsprites", "--samples", "300")


def test_an_unexpected_error_is_not_hidden(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], table: Path
) -> None:
    monkeypatch.setattr(sys, "argv", ["disentmetrics", "score", "--codes", str(table)])
    monkeypatch.setattr(scoring, "score_representation", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cli.main()


def test_interrupted_work_exits_with_130(run: Run, table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(scoring, "score_representation", interrupt)
    ran = run("score", "--codes", table, "--out", "card.json")
    assert ran.code == 130
    assert ran.sentence == "error: interrupted; nothing half-written was left behind"


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "disentmetrics", *arguments]


def test_control_c_leaves_nothing_half_written_and_the_next_run_resumes(tmp_path: Path) -> None:
    (tmp_path / "blocked.py").write_text(
        "import os, time\n"
        "def encode(images):\n"
        "    with open('calls', 'a') as calls: calls.write('x')\n"
        "    while os.path.getsize('calls') == 12 and not os.path.exists('unblocked'):\n"
        "        open('blocked', 'w').close()\n"
        "        time.sleep(0.01)\n"
        "    return images.reshape(len(images), -1)[:, ::500] / 255.0\n"
    )
    results = tmp_path / "results"
    results.mkdir()
    command = _command(
        "encode", "python:blocked.py:encode?fingerprint=blocked", *FEW, "--batch-size", "3", "--out", "results/codes.h5"
    )
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    calls = tmp_path / "calls"
    deadline = time.monotonic() + 300
    while not (tmp_path / "blocked").exists():  # the encoder then blocks in its call until it is interrupted
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 130
    assert out == ""
    assert err.splitlines()[-1] == "error: interrupted; nothing half-written was left behind"
    assert not list(results.iterdir())
    assert calls.stat().st_size == 12  # the first batch is encoded twice, so 10 batches are complete
    (tmp_path / "unblocked").touch()
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=True)
    assert "resuming an interrupted run at row 30 of 300" in again.stderr
    assert calls.stat().st_size == 100 + 2 + 1  # 100 batches, the first of each run again, the interrupted one
    assert [path.name for path in results.iterdir()] == ["codes.h5"]


@pytest.fixture
def extensions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Warnings of the command line next to an installed package with two good and two broken command modules."""
    site = tmp_path / "site"
    package = site / "other_tools"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    command = (
        "from disentmetrics.cli.base import app\n@app.command()\ndef {0}():\n    'Print a word.'\n    print('{0}')\n"
    )
    (package / "first.py").write_text(command.format("first"))
    (package / "last.py").write_text(command.format("last"))
    (package / "lacking.py").write_text("import a_package_that_is_lost\n")
    (package / "raising.py").write_text("raise ValueError('two\\nlines')\n")
    info = site / "other_tools-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other-tools\nVersion: 1\n")
    lines = [f"{name} = other_tools.{name}" for name in ("first", "lacking", "last", "raising")]
    (info / "entry_points.txt").write_text("\n".join(["[disentmetrics.commands]", *lines]))
    monkeypatch.syspath_prepend(site)
    monkeypatch.setattr(cli.app, "registered_commands", cli.app.registered_commands[:])
    warnings = cli._import_extensions()
    monkeypatch.setattr(cli, "_extension_warnings", warnings)
    yield warnings
    for name in [name for name in sys.modules if name.partition(".")[0] == "other_tools"]:
        del sys.modules[name]


def test_a_broken_command_of_another_package_affects_no_other(run: Run, extensions: list[str]) -> None:
    prefix = "warning: the commands of the package 'other-tools' cannot be imported"
    assert extensions == [
        f"{prefix}: ModuleNotFoundError: No module named 'a_package_that_is_lost'",
        f"{prefix}: ValueError: two lines",
    ]
    for name in ("first", "last"):
        assert run(name) == (0, f"{name}\n", "".join(f"{warning}\n" for warning in extensions))
    ran = run("adapters", "list", "--json")
    assert ran.code == 0
    assert ran.err.splitlines() == extensions


@pytest.mark.usefixtures("extensions")
def test_completion_prints_no_warnings(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_DISENTMETRICS_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "disentmetrics fir")
    monkeypatch.setenv("COMP_CWORD", "1")
    ran = run()
    assert (ran.out.split(), ran.err) == (["first"], "")
