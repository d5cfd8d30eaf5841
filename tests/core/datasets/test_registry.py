import logging
import pkgutil
import sys
import textwrap
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import disentmetrics as dm
from disentmetrics.datasets import DataSetInfo, catalog, list_datasets, load_dataset
from disentmetrics.datasets.catalog.dsprites import DSprites
from disentmetrics.datasets.published import manifest
from disentmetrics.datasets.registry import DataSetSpec, check_options, find_dataset
from disentmetrics.errors import InvalidInputError


@pytest.mark.parametrize(
    ("spec", "name", "target", "options"),
    [
        ("dsprites", "dsprites", "", {}),
        ("dsprites?source=original&verify=false", "dsprites", "", {"source": "original", "verify": "false"}),
        ("dsprites:a/b c/größe.npz", "dsprites", "a/b c/größe.npz", {}),
        ("dsprites:C:\\data\\x.npz?verify=false", "dsprites", "C:\\data\\x.npz", {"verify": "false"}),
        ("dsprites:a=b+c&d.npz", "dsprites", "a=b+c&d.npz", {}),
        ("dsprites:what?.npz", "dsprites", "what?.npz", {}),
        ("dsprites:what?.npz?layout=npz", "dsprites", "what?.npz", {"layout": "npz"}),
        ("my.data-set_2", "my.data-set_2", "", {}),
        (
            "folder:a?table=a+b.csv&image=x%26y%3Dz%20%2B&size=",
            "folder",
            "a",
            {"table": "a+b.csv", "image": "x&y=z +", "size": ""},
        ),
    ],
)
def test_a_spec_is_name_path_and_options(spec: str, name: str, target: str, options: dict[str, str]) -> None:
    assert DataSetSpec.parse(spec) == DataSetSpec(name, target, options)


@pytest.mark.parametrize("spec", ["", ":path", "dsprites:", "?a=b", "a/b.npz", "dsprites?", "dsprites?x"])
def test_malformed_specs_are_rejected(spec: str) -> None:
    with pytest.raises(InvalidInputError, match="NAME"):
        load_dataset(spec)


def test_the_error_for_an_unknown_name_suggests_the_closest() -> None:
    with pytest.raises(InvalidInputError, match=r"did you mean 'dsprites'\?; available: .*dsprites"):
        load_dataset("dsprite")


def test_modules_outside_the_catalog_are_not_data_sets() -> None:
    with pytest.raises(InvalidInputError, match="no data set is named 'packed'"):
        load_dataset("packed")


@pytest.mark.parametrize("spec", ["dsprites", "dsprites?source=rendered"])
def test_dsprites_needs_no_file(spec: str) -> None:
    assert type(load_dataset(spec)) is DSprites


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("dsprites?sourse=original", "no option 'sourse'; did you mean 'source'"),
        ("dsprites?source=web", "source must be rendered"),
        ("dsprites:file.npz?source=rendered", "and the path file.npz"),
        ("dsprites:file.npz?verify=no", "verify must be true or false; got 'no'"),
    ],
)
def test_invalid_options_are_rejected(spec: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        load_dataset(spec)


def test_duplicate_options_are_rejected() -> None:
    with pytest.raises(InvalidInputError, match="source more than once"):
        load_dataset("dsprites?source=rendered", source="original")


def test_dsprites_is_listed_with_its_notes() -> None:
    (info,) = (info for info in list_datasets() if info.name == "dsprites")
    assert isinstance(info, DataSetInfo)
    assert info.offline
    assert info.licence == "Apache-2.0"
    assert "Matthey" in info.citation
    assert info.space == DSprites.space
    assert "orientation 0 and orientation 39 are the same image" in info.remarks


MANIFEST = """
name = "dots"
summary = "white or not"
licence = "CC0-1.0"
citation = "none"
observations = { shape = [8, 8, 1], white = 255 }
factors = [{ name = "white", kind = "categorical", values = ["no", "yes"] }]
files = [{ name = "dots.npz", layout = "npz", images = "x", urls = [] }]
"""


def test_a_manifest_alone_defines_a_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dots.toml").write_text(MANIFEST)
    for bundled in files("disentmetrics_data_manifests").iterdir():  # read by modules of the catalog
        if bundled.name.endswith(".toml"):
            (tmp_path / bundled.name).write_text(bundled.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr(manifest, "files", lambda _: tmp_path)
    assert {"dots", "dsprites"} <= {info.name for info in list_datasets()}
    images = np.repeat(np.array([0, 255], np.uint8), 64).reshape(2, 8, 8)
    np.savez(tmp_path / "dots.npz", x=images)
    data = load_dataset(f"dots:{tmp_path}/dots.npz?verify=false")
    assert (data.observations([[1], [0]])[..., 0] == images[::-1]).all()


TINY = """
import numpy as np

from disentmetrics.datasets import DataSet, DataSetInfo
from disentmetrics.factors import Factor, FactorSpace


class Tiny(DataSet):
    name = "tiny"
    fingerprint = "tiny-1"
    space = FactorSpace([Factor("row", 8, "ordinal"), Factor("column", 8, "ordinal")])
    observation_shape = (8, 8, 1)

    def make(self, factors, nuisance):
        images = np.zeros((len(factors), 8, 8, 1), np.uint8)
        images[np.arange(len(factors)), factors[:, 0], factors[:, 1]] = 255
        return images


def info():
    return DataSetInfo("tiny", "one white pixel", Tiny.space, offline=True, licence="CC0-1.0", citation="none")


def load(target):
    return Tiny()
"""


def test_every_public_module_of_the_catalog_defines_a_data_set() -> None:
    public = [m.name for m in pkgutil.iter_modules(catalog.__path__) if not m.name.startswith("_")]
    assert len(public) > 20
    for name in public:
        entry = find_dataset(name.replace("_", "-"))  # raises if the module lacks info() or load()
        assert isinstance(entry.info(), DataSetInfo), name
        assert callable(entry.load), name


def add_file(folder: Path, monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    """Add ``tiny.py`` to the scanned folder."""
    (folder / "tiny.py").write_text(content)
    monkeypatch.setattr(catalog, "__path__", [*catalog.__path__, str(folder)])
    monkeypatch.delitem(sys.modules, "disentmetrics.datasets.catalog.tiny", raising=False)
    monkeypatch.delattr(catalog, "tiny", raising=False)


def add_package(folder: Path, monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    """Install a package with an entry point ``tiny``."""
    (folder / "tiny_package.py").write_text(content)
    metadata = folder / "tiny_package-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-package\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[disentmetrics.datasets]\ntiny = tiny_package\n")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "tiny_package", raising=False)


def position_of_the_pixel(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    return np.stack([images.max(axis=(2, 3)).argmax(axis=1), images.max(axis=(1, 3)).argmax(axis=1)], 1).astype(float)


@pytest.mark.parametrize("add", [add_file, add_package])
def test_one_new_module_adds_a_data_set_that_can_be_listed_loaded_and_encoded(
    add: Callable[[Path, pytest.MonkeyPatch, str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(tmp_path, monkeypatch, TINY)
    assert [info.summary for info in dm.list_datasets() if info.name == "tiny"] == ["one white pixel"]
    data = dm.load_dataset("tiny")
    representation = dm.encode(position_of_the_pixel, data, n_samples=len(data))
    assert np.array_equal(representation.codes, data.full_grid().factors)
    assert dm.metrics.mig(representation.codes, representation.factors).value == pytest.approx(1)
    assert dm.load_dataset("tiny?select=row:0-3").fingerprint == "tiny-1+select(row=0-3)"


@pytest.mark.parametrize("add", [add_file, add_package])
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("import not_installed_anywhere", "ModuleNotFoundError: No module named 'not_installed_anywhere'"),
        ("def info(:", "SyntaxError"),
        ("def load(target): pass", "AttributeError: module .* has no attribute 'info'"),
        ("def info(): pass", "AttributeError: module .* has no attribute 'load'"),
    ],
)
def test_a_broken_module_affects_no_other_data_set(
    add: Callable[[Path, pytest.MonkeyPatch, str], None],
    content: str,
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = {info.name for info in list_datasets()}
    add(tmp_path, monkeypatch, content)
    assert load_dataset("mini-sprites").name == "mini-sprites"
    with caplog.at_level(logging.WARNING, "disentmetrics"):
        assert {info.name for info in list_datasets()} == before
    (warning,) = caplog.messages
    assert "tiny" in warning
    with pytest.raises(InvalidInputError, match=rf"tiny.* module with info\(\) and load\(\); it raised {reason}"):
        load_dataset("tiny")


@pytest.fixture
def third_party(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "halls_package.py").write_text(
        textwrap.dedent("""
            from dataclasses import replace
            from disentmetrics.datasets.catalog import dsprites

            def info():
                return replace(dsprites.info(), name="halls", licence="MIT")

            def load(target, *, size: int = 1, dark: bool = False):
                data = dsprites.DSprites()
                data.fingerprint = f"halls-{target}-{size}-{dark}"
                return data
        """)
    )
    metadata = tmp_path / "halls_package-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: halls-package\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[disentmetrics.datasets]\nhalls = halls_package\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "halls_package", raising=False)
    return metadata


def test_options_of_a_data_set_of_another_package_are_checked_and_converted(third_party: Path) -> None:
    assert [(i.name, i.licence) for i in list_datasets() if i.name == "halls"] == [("halls", "MIT")]
    assert load_dataset("halls:here?dark=true", size=3).fingerprint == "halls-here-3-True"
    with pytest.raises(InvalidInputError, match="its options: size, dark"):
        load_dataset("halls?colour=red")


def test_an_entry_point_cannot_redefine_a_data_set(third_party: Path) -> None:
    entry = "[disentmetrics.datasets]\ndsprites = halls_package\n"
    (third_party / "entry_points.txt").write_text(entry)
    with pytest.raises(InvalidInputError, match="'dsprites' is already in use"):
        load_dataset("dsprites")
    assert len(load_dataset("mini-sprites")) == 5_292


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        ("import not_installed_anywhere", "ModuleNotFoundError: No module named 'not_installed_anywhere'"),
        ("def info(:", "SyntaxError"),
        ("def load(target): pass", "AttributeError"),
        ("def info(): return 1 / 0", "ZeroDivisionError"),
        ("raise SystemExit('two\\nlines')", "SystemExit: two lines"),
    ],
)
def test_a_broken_package_affects_no_other_data_set(
    third_party: Path, module: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    (third_party.parent / "halls_package.py").write_text(module)
    assert load_dataset("mini-sprites").name == "mini-sprites"
    assert not caplog.records
    with caplog.at_level(logging.WARNING, "disentmetrics"):
        names = {info.name for info in list_datasets()}
    assert "dsprites" in names
    assert "halls" not in names
    (warning,) = caplog.messages
    assert "'halls' of the package 'halls-package'" in warning
    assert "\n" not in warning
    with pytest.raises(InvalidInputError, match=f"'halls' .*{reason}.*uninstall the package"):
        load_dataset("halls")


def test_a_package_is_imported_only_when_its_data_set_is_named(third_party: Path) -> None:
    load_dataset("mini-sprites")
    assert third_party.exists()
    assert "halls_package" not in sys.modules
    load_dataset("halls")
    assert "halls_package" in sys.modules


def test_options_are_checked_without_loading() -> None:
    check_options("dsprites:/nowhere?source=original&select=x:0")
    with pytest.raises(InvalidInputError, match="no option 'sourse'; did you mean 'source'"):
        check_options("dsprites:/nowhere?sourse=original")
