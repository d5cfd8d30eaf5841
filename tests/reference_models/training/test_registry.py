"""Methods are found in the scanned folder and in installed packages, and a faulty package only disables itself."""

import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from disentmetrics_reference_models import methods
from disentmetrics_reference_models.training import registry
from disentmetrics_reference_models.training.registry import find_method, find_methods
from disentmetrics_reference_models.training.run_folder import load_run
from typer.testing import CliRunner

from disentmetrics.cli import app
from disentmetrics.errors import InvalidInputError

METHOD = '''"""A tiny method."""

from dataclasses import dataclass

from disentmetrics_reference_models.training.config import Config
from disentmetrics_reference_models.training.evidence import evidence
from disentmetrics_reference_models.training.method import method


@dataclass(frozen=True, kw_only=True)
class TinyConfig(Config):
    """Settings of the tiny method."""

    beta: float = 2.0


@method(config=TinyConfig, paper="none")
def {name}(model, batch, weights, config):
    """Tiny objective."""
    bound = evidence(model, batch.observations, batch.noise["z"], config)
    return bound.terms((bound.reconstruction + weights["beta"] * bound.kl.sum(1)).mean())
'''

Package = Callable[[str, str, str], None]


@pytest.fixture(autouse=True)
def _fresh_registry() -> Iterator[None]:
    """Reset the registry before and after each test, and remove the modules that the test created."""
    before = set(sys.modules)
    registry._registry.cache_clear()
    yield
    registry._registry.cache_clear()
    for name in set(sys.modules) - before:
        if name.partition(".")[0].startswith("third_party") or name.startswith(f"{methods.__name__}.tiny"):
            del sys.modules[name]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Package:
    """Return a function that installs a package with one module and one entry point."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(module: str, source: str, entry_point: str) -> None:
        (tmp_path / f"{module}.py").write_text(source, encoding="utf-8")
        info = tmp_path / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n", encoding="utf-8")
        (info / "entry_points.txt").write_text(f"[{registry.GROUP}]\n{entry_point}\n", encoding="utf-8")

    return install


def trained_by_name(name: str, folder: Path) -> None:
    arguments = ["--data", "blobs?size=16&width=1&positions=8", "--device", "cpu", "--preset", "smoke", "--quiet"]
    settings = ["--set", "n_steps=3", "--set", "batch_size=4", "--set", "architecture=small-fc"]
    result = CliRunner().invoke(app, ["train", name, *arguments, *settings, "--out", str(folder)])
    assert result.exit_code == 0, result.output
    run = load_run(folder)
    assert (run.method.name, run.n_steps, run.config.weights) == (name, 3, {"beta": 2.0})
    assert np.isfinite(run.history["loss"]).all()


def listed() -> str:
    result = CliRunner().invoke(app, ["train"])
    assert result.exit_code == 0, result.output
    return result.output


def test_a_file_in_the_scanned_folder_is_a_method(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tiny_file.py").write_text(METHOD.format(name="tiny_file"), encoding="utf-8")
    monkeypatch.setattr(methods, "__path__", [*methods.__path__, str(tmp_path)])
    assert "tiny_file: Tiny objective" in listed()
    trained_by_name("tiny_file", tmp_path / "run")


@pytest.mark.parametrize("value", ["third_party", "third_party:tiny_package"])
def test_an_installed_package_adds_a_method_as_a_module_or_an_object(
    value: str, package: Package, tmp_path: Path
) -> None:
    package("third_party", METHOD.format(name="tiny_package"), f"tiny_package = {value}")
    assert "tiny_package: Tiny objective" in listed()
    trained_by_name("tiny_package", tmp_path / "run")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("raise RuntimeError('two\\nlines')", "RuntimeError: two lines"),
        ("raise SystemExit(1)", "SystemExit: 1"),
        ("vae = 3", "TypeError: it declares no method with @method"),
    ],
)
def test_a_faulty_package_disables_only_its_own_method(
    source: str, reason: str, package: Package, caplog: pytest.LogCaptureFixture
) -> None:
    package("third_party_faulty", source, "broken = third_party_faulty")
    with caplog.at_level(logging.WARNING, "disentmetrics"):
        available = set(find_methods())
    assert {"vae", "beta_vae"} <= available
    assert "broken" not in available
    (warning,) = caplog.messages
    assert reason in warning
    assert "\n" not in warning
    with pytest.raises(
        InvalidInputError, match="package 'third_party_faulty' .* fix or uninstall the package"
    ) as raised:
        find_method("broken")
    assert str(raised.value) == warning


def test_a_name_that_is_in_use_keeps_its_method(package: Package, caplog: pytest.LogCaptureFixture) -> None:
    package("third_party_vae", METHOD.format(name="vae"), "vae = third_party_vae")
    with caplog.at_level(logging.WARNING, "disentmetrics"):
        assert find_method("vae").objective.__module__ == f"{methods.__name__}.vae"
    assert "the method name 'vae'" in caplog.text
    assert "is already in use" in caplog.text


def test_unknown_methods_are_answered_with_the_nearest_name() -> None:
    with pytest.raises(InvalidInputError, match="did you mean 'beta_vae'"):
        find_method("betavae")
