"""A metric is one new file in the folder, or an entry point of another package; a broken package costs itself alone."""

import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

import disentmetrics as dm
from disentmetrics import metrics
from disentmetrics.errors import InvalidInputError
from disentmetrics.metrics import registered_metrics, registry
from disentmetrics.metrics.base import REGISTERED
from disentmetrics.testing import check_metric

TABLE = dm.Representation(
    np.random.default_rng(0).normal(size=(60, 2)), np.indices((2, 3)).reshape(2, -1).T.repeat(10, 0)
)
TINY = '''
"""The number of latents."""

from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, metric


@metric(
    family="unsupervised",
    bounds=(0.0, float("inf")),
    higher_is_better=True,
    paper="none",
    known_failure="It counts.",
    needs=Needs(factors=0),
    invariant_to=all_except("dead code", "noise code", "duplicated code"),
    detects={"synergy lost"},
    perfect=3.0,
    noise=5.0,
    protocols={"default": Protocol(source="an example")},
)
def tiny(representation, *, scale: float = 1.0):
    """Number of latents.

    Parameters
    ----------
    representation : Representation
    scale : float
        Factor.

    Returns
    -------
    RawScore
        A count.
    """
    return RawScore(scale * representation.n_codes)
'''


@pytest.fixture(autouse=True)
def _fresh_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(registry, "_ENTRY_POINTS", registry._EntryPoints())
    for module in ("disentmetrics.metrics._tiny", "tiny_package"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    with patch.dict(REGISTERED):
        yield
    sys.modules.pop("disentmetrics.metrics._tiny", None)
    sys.modules.pop("tiny_package", None)


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, content: str, entry_points: str) -> None:
    """Make a package ``tiny-package`` look installed."""
    (folder / "tiny_package.py").write_text(content)
    metadata = folder / "tiny_package-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-package\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[disentmetrics.metrics]\n{entry_points}\n")
    monkeypatch.syspath_prepend(str(folder))


def assert_tiny_is_a_metric() -> None:
    assert dm.metrics.tiny(TABLE).value == 2
    assert dm.score(TABLE, ["tiny", "mig"])["tiny"].value == 2
    assert "tiny" in registered_metrics()
    assert "tiny" in dir(dm.metrics)


def test_a_new_file_in_the_folder_is_a_metric(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "_tiny.py").write_text(TINY)
    monkeypatch.setattr(metrics, "__path__", [*metrics.__path__, str(tmp_path)])
    metrics._import_modules()
    assert_tiny_is_a_metric()
    assert all(finding.holds for finding in check_metric(dm.metrics.tiny) if finding.claimed)


@pytest.mark.parametrize("value", ["tiny_package", "tiny_package:tiny"], ids=["a module", "a metric"])
def test_an_installed_package_adds_a_metric(value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, TINY, f"any_name = {value}")
    assert_tiny_is_a_metric()
    assert dm.metrics.tiny.__module__ == "tiny_package"


def test_the_metric_of_a_package_is_found_by_name_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, TINY, "tiny = tiny_package")
    assert dm.score(TABLE, ["tiny"])["tiny"].value == 2


def test_metrics_of_this_package_need_no_entry_points(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, TINY, "tiny = tiny_package")
    assert dm.metrics.mig(TABLE).value >= 0
    assert "tiny_package" not in sys.modules


BROKEN = {
    "cannot be imported": ("import a_module_that_is_missing", "tiny = tiny_package", "ModuleNotFoundError: No module"),
    "raises after it registered": (f"{TINY}\n1 / 0\n", "tiny = tiny_package", "ZeroDivisionError: division by zero"),
    "leaves": ("raise SystemExit('two\\nlines')", "tiny = tiny_package", "(SystemExit: two lines)"),
    "is no metric": ("tiny = 3", "tiny = tiny_package:tiny", "must be a module or a Metric; it is of type int"),
    "takes the name of another": (
        TINY.replace("def tiny(", "def mig("),
        "tiny = tiny_package",
        "the name 'mig' is taken by a metric of disentmetrics.metrics._mig; choose another name",
    ),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_package_costs_itself_alone(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    content, entry_points, reason = BROKEN[fault]
    before = {name for name in registered_metrics() if name != "tiny"}
    monkeypatch.setattr(registry, "_ENTRY_POINTS", registry._EntryPoints())
    install(tmp_path, monkeypatch, content, entry_points)
    with caplog.at_level(logging.WARNING, "disentmetrics"):
        assert set(registered_metrics()) == before
        registered_metrics()
    (warning,) = caplog.messages
    assert warning.startswith("the entry point 'tiny' of the package 'tiny-package' registers no metric (")
    assert reason in warning
    assert warning.endswith("fix or uninstall the package")
    assert dm.score(TABLE, ["mig"])["mig"].value == dm.metrics.mig(TABLE).value
    assert dm.metrics.mig.__module__ == "disentmetrics.metrics._mig"
    with pytest.raises(InvalidInputError) as refused:
        dm.score(TABLE, ["tiny"])
    assert str(refused.value) == warning
    with pytest.raises(InvalidInputError, match=r"no metric is named 'tinny'.*; the entry point 'tiny' of the package"):
        metrics.find_metric("tinny")


def test_a_package_may_list_metrics_while_it_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listing = "from disentmetrics.metrics import registered_metrics\nKNOWN = set(registered_metrics())\n"
    install(tmp_path, monkeypatch, TINY + listing, "tiny = tiny_package")
    assert_tiny_is_a_metric()


def test_importing_the_package_reads_no_entry_points() -> None:
    code = (
        "import importlib.metadata as m\n"
        "read = []\n"
        "original = m.entry_points\n"
        "m.entry_points = lambda **k: read.append(k.get('group')) or original(**k)\n"
        "import disentmetrics\n"
        "assert 'disentmetrics.metrics' not in read, read\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
