"""The core works without any framework, and starts quickly because it imports little."""

import subprocess
import sys

import pytest

FRAMEWORKS = ("torch", "jax", "tensorflow", "keras", "onnx", "onnxruntime", "skops", "polars", "matplotlib")
SLOW = ("sklearn", "pandas", "scipy.stats", "scipy.optimize", "pooch", "requests")
WORK = """
import numpy as np, disentmetrics as dm
data = dm.load_dataset("dsprites")
representation = dm.encode("baseline:pca?n_codes=3&n_fit=60", data, n_samples=60)
card = dm.score(representation, "core,linear_r2,infomec,active_units", interval=None, null=False)
assert card["mig"].value >= 0
dm.udr([representation, representation])
dm.compare(card, card)
str(card), card.to_json()
"""


def imported_by(program: str, modules: tuple[str, ...]) -> list[str]:
    program += f"\nimport sys; print(*(name for name in {modules!r} if name in sys.modules))"
    run = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    return run.stdout.split()


def test_scoring_imports_no_framework() -> None:
    assert imported_by(WORK, FRAMEWORKS) == []


def test_the_command_line_imports_nothing_slow_before_it_is_needed() -> None:
    assert imported_by("import disentmetrics.cli", SLOW) == []


@pytest.mark.parametrize("name", ["polars", "scipy.stats"])
def test_the_probe_sees_what_is_imported(name: str) -> None:
    pytest.importorskip(name)
    assert imported_by(f"import disentmetrics, {name}", (*FRAMEWORKS, *SLOW)).count(name) == 1
