"""Help, version, completion and lists."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import typer

import disentmetrics as dm
from disentmetrics import cli

Run = Callable[..., Any]


COMMANDS = [
    (),
    ("score",),
    ("encode",),
    ("compare",),
    ("check",),
    ("verify",),
    ("demo",),
    *((group, *rest) for group in ("datasets", "metrics", "adapters") for rest in ((), ("list",), ("info",))),
    *(("datasets", name) for name in ("fetch", "cite", "preview", "check")),
    ("cache",),
    ("cache", "list"),
    ("cache", "clear"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(run: Run, command: tuple[str, ...]) -> None:
    for option in ("--help", "-h"):
        ran = run(*command, option)
        assert ran.code == 0
        assert ran.err == ""
        assert f"Usage: {' '.join(('disentmetrics', *command))}" in ran.out
        explanation = ran.out.partition("Usage:")[2].splitlines()[1:4]
        assert any(line.strip() for line in explanation)


@pytest.mark.parametrize("command", ["score", "encode", "compare", "check", "verify", "demo"])
def test_commands_with_arguments_show_an_example(run: Run, command: str) -> None:
    text = run(command, "--help").out
    assert re.search(rf"Examples?\s+disentmetrics {command} ", text)


@pytest.mark.parametrize("command", [command for command in COMMANDS if command], ids=" ".join)
def test_the_help_is_readable_at_80_columns(narrow: Run, command: tuple[str, ...]) -> None:
    lines = narrow(*command, "--help").out.splitlines()
    assert max(map(len, lines)) <= 80
    table = [line.rstrip("│ ") for line in lines if line.startswith("│")]
    assert "…" not in "".join(line[:40] for line in table)  # no option name is truncated
    widths = [len(line) - len(line.rpartition("  ")[0]) - 2 for line in table]
    assert max(widths, default=80) > 24  # text columns are not too narrow


def test_every_option_and_argument_is_explained() -> None:
    waiting = [("disentmetrics", typer.main.get_command(cli.app))]
    n_explained = 0
    for path, command in waiting:
        waiting += [(f"{path} {name}", sub) for name, sub in getattr(command, "commands", {}).items()]
        for parameter in command.params:
            assert len(getattr(parameter, "help", None) or "") > 10, (path, parameter.name)
            n_explained += 1
    assert n_explained > 40


def test_without_arguments_the_help_is_shown(run: Run) -> None:
    ran = run()
    assert ran.code == 2
    assert "Usage: disentmetrics" in ran.out + ran.err
    assert "Traceback" not in ran.err


def test_the_version_is_printed(run: Run) -> None:
    assert run("--version") == (0, f"disentmetrics {dm.__version__}\n", "")


def test_it_is_a_module_too() -> None:
    command = [sys.executable, "-m", "disentmetrics", "--version"]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout.startswith("disentmetrics ")


def test_shells_complete_commands(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_DISENTMETRICS_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "disentmetrics sc")
    monkeypatch.setenv("COMP_CWORD", "1")
    assert run().out.split() == ["score"]


def test_completion_is_shown_for_a_shell(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    ran = run("--show-completion", "bash")
    assert ran.code == 0
    assert "complete -o default -F _disentmetrics_completion disentmetrics" in ran.out


@pytest.mark.parametrize(
    ("group", "holds"), [("datasets", "dsprites"), ("metrics", "factorvae"), ("adapters", "baseline")]
)
def test_entries_are_listed_for_people_and_machines(run: Run, group: str, holds: str) -> None:
    ran = run(group)
    assert ran == run(group, "list")
    assert (ran.code, ran.err) == (0, "")
    assert any(line.startswith(holds) for line in ran.out.splitlines())
    plain = json.loads(run(group, "list", "--json").out)
    assert holds in [entry.get("name", entry.get("scheme")) for entry in plain]
