"""``adapters``."""

import json
from collections.abc import Callable
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from disentmetrics.encoders import registry

Run = Callable[..., Any]


def test_one_scheme_is_explained(run: Run) -> None:
    assert "weights : file, or none" in run("adapters", "info", "torch").out


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_broken_scheme_is_a_warning_and_the_others_are_listed(
    run: Run, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    broken = EntryPoint("mine", "no_such_package_x:load", registry.GROUP)
    bundled = EntryPoint("bundled", "disentmetrics_adapters.encoders", registry.GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda **_: (broken, bundled))
    ran = run("adapters", "list", *options)
    assert ran.code == 0
    schemes = [entry["scheme"] for entry in json.loads(ran.out)] if options else ran.out
    assert "baseline" in schemes
    assert "mine" not in schemes
    assert ran.err == (
        "warning: the adapter 'mine' of the package 'no_such_package_x' cannot be imported: No module named "
        "'no_such_package_x'\n"
    )
