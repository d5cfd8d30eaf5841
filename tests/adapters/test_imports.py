"""Adapters can be imported without their frameworks."""

import builtins
import pkgutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from disentmetrics_adapters import encoders, integrations

from disentmetrics._utils.installation import install_command
from disentmetrics.encoders.registry import load_encoder
from disentmetrics.errors import MissingExtraError

FRAMEWORKS = ("torch", "onnxruntime", "onnx", "skops", "safetensors", "polars")
MODULES = [
    f"{package.__name__}.{module.name}"
    for package in (encoders, integrations)
    for module in pkgutil.iter_modules(package.__path__)
]


def _frameworks_imported_by(*modules: str) -> str:
    program = (
        "import importlib, sys\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        f"print(*sorted(set({FRAMEWORKS!r}) & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=120)
    return run.stdout.strip()


def test_no_adapter_imports_a_framework() -> None:
    assert "disentmetrics_adapters.encoders.torch" in MODULES
    assert _frameworks_imported_by("disentmetrics", *MODULES) == ""


def test_the_probe_sees_a_framework() -> None:
    pytest.importorskip("skops")
    assert _frameworks_imported_by("disentmetrics", "skops") == "skops"


@pytest.mark.parametrize(
    ("package", "spec", "extra"),
    [
        ("torch", "torch:{file}:build?weights=none", "torch"),
        ("torch", "torchscript:{file}", "torch"),
        ("onnxruntime", "onnx:{file}", "onnx"),
        ("skops", "sklearn:{file}", "sklearn"),
    ],
)
def test_an_absent_package_is_named_with_the_exact_install_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, package: str, spec: str, extra: str
) -> None:
    file = tmp_path / "file.py"
    file.touch()
    real = builtins.__import__

    def without(
        name: str,
        globals: Mapping[str, object] | None = None,  # noqa: A002 - the signature of __import__
        locals: Mapping[str, object] | None = None,  # noqa: A002 - the signature of __import__
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> Any:
        if name.partition(".")[0] == package:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, globals, locals, fromlist, level)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError) as caught:
        load_encoder(spec.format(file=file))
    assert str(caught.value).endswith(install_command(extra))


def test_a_broken_package_is_not_mistaken_for_an_absent_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "onnxruntime.py").write_text("import a_part_that_is_lost\n")
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.partition(".")[0] == "onnxruntime"]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ModuleNotFoundError, match="a_part_that_is_lost"):
        load_encoder("onnx:any.onnx")


def test_the_baselines_need_no_framework() -> None:
    assert load_encoder("baseline:random?n_codes=3")(np.zeros((2, 4, 4, 1), np.uint8)).shape == (2, 3)  # type: ignore[union-attr]  # codes, no posterior
