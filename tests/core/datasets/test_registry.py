import logging
import sys
import textwrap
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from disentmetrics.datasets import DataSetInfo, list_datasets, load_dataset
from disentmetrics.datasets.catalog.dsprites import DSprites
from disentmetrics.datasets.published import manifest
from disentmetrics.datasets.registry import DataSetSpec, check_options
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
def test_what_names_no_data_set_is_refused(spec: str) -> None:
    with pytest.raises(InvalidInputError, match="NAME"):
        load_dataset(spec)


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(InvalidInputError, match=r"did you mean 'dsprites'\?; there are: .*dsprites"):
        load_dataset("dsprite")


def test_a_module_that_is_no_data_set_is_not_offered() -> None:
    with pytest.raises(InvalidInputError, match="no data set is named 'packed'"):
        load_dataset("packed")


@pytest.mark.parametrize("spec", ["dsprites", "dsprites?source=rendered"])
def test_dsprites_needs_no_file(spec: str) -> None:
    assert type(load_dataset(spec)) is DSprites


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ("dsprites?sourse=original", "no option 'sourse'; did you mean 'source'"),
        ("dsprites?source=web", "source must be rendered"),
        ("dsprites:file.npz?source=rendered", "and the path file.npz"),
        ("dsprites:file.npz?verify=no", "verify must be true or false; got 'no'"),
    ],
)
def test_wrong_options_are_refused(spec: str, complaint: str) -> None:
    with pytest.raises(InvalidInputError, match=complaint):
        load_dataset(spec)


def test_an_option_given_twice_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="source came twice"):
        load_dataset("dsprites?source=rendered", source="original")


def test_dsprites_is_listed_with_what_one_must_know() -> None:
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


def test_a_manifest_alone_is_a_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dots.toml").write_text(MANIFEST)
    for bundled in files("disentmetrics_data_manifests").iterdir():  # which their own modules read
        if bundled.name.endswith(".toml"):
            (tmp_path / bundled.name).write_text(bundled.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr(manifest, "files", lambda _: tmp_path)
    assert {"dots", "dsprites"} <= {info.name for info in list_datasets()}
    images = np.repeat(np.array([0, 255], np.uint8), 64).reshape(2, 8, 8)
    np.savez(tmp_path / "dots.npz", x=images)
    data = load_dataset(f"dots:{tmp_path}/dots.npz?verify=false")
    assert (data.observations([[1], [0]])[..., 0] == images[::-1]).all()


@pytest.fixture
def third_party(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "halls_package.py").write_text(
        textwrap.dedent("""
            from dataclasses import replace
            from disentmetrics.datasets import dsprites

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


def test_another_package_adds_a_data_set(third_party: Path) -> None:
    assert [(i.name, i.licence) for i in list_datasets() if i.name == "halls"] == [("halls", "MIT")]
    assert load_dataset("halls:here?dark=true", size=3).fingerprint == "halls-here-3-True"
    with pytest.raises(InvalidInputError, match="its options: size, dark"):
        load_dataset("halls?colour=red")


def test_another_package_cannot_take_a_name(third_party: Path) -> None:
    entry = "[disentmetrics.datasets]\ndsprites = halls_package\n"
    (third_party / "entry_points.txt").write_text(entry)
    with pytest.raises(InvalidInputError, match="'dsprites' is taken"):
        load_dataset("dsprites")
    assert len(load_dataset("mini-sprites")) == 5_292


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        ("import not_installed_anywhere", "ModuleNotFoundError: No module named 'not_installed_anywhere'"),
        ("def info(:", "SyntaxError"),
        ("def load(target): pass", "AttributeError"),
        ("def info(): return 1 / 0", "ZeroDivisionError"),
    ],
)
def test_a_broken_package_stops_no_other(
    third_party: Path, module: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    (third_party.parent / "halls_package.py").write_text(module)
    assert load_dataset("mini-sprites").name == "mini-sprites"
    assert not caplog.records
    with caplog.at_level(logging.WARNING, "disentmetrics"):
        names = {info.name for info in list_datasets()}
    assert "dsprites" in names
    assert "halls" not in names
    (remark,) = caplog.messages
    assert "'halls' of the package 'halls-package'" in remark
    assert "\n" not in remark
    with pytest.raises(InvalidInputError, match=f"'halls' .*{reason}.*uninstall the package"):
        load_dataset("halls")


def test_a_package_is_imported_when_its_data_set_is_named(third_party: Path) -> None:
    load_dataset("mini-sprites")
    assert third_party.exists()
    assert "halls_package" not in sys.modules
    load_dataset("halls")
    assert "halls_package" in sys.modules


def test_options_are_checked_without_loading() -> None:
    check_options("dsprites:/nowhere?source=original&select=x:0")
    with pytest.raises(InvalidInputError, match="no option 'sourse'; did you mean 'source'"):
        check_options("dsprites:/nowhere?sourse=original")
