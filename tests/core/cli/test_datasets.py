"""The command ``datasets``."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import disentmetrics as dm
from disentmetrics.cli import datasets
from disentmetrics.datasets.base import DataSet, DataSetInfo, Symmetry
from disentmetrics.datasets.inspection.preview import contact_sheet
from disentmetrics.datasets.registry import Entry
from disentmetrics.factors import Factor, FactorSpace

Run = Callable[..., Any]
INFO = DataSetInfo(
    "made",
    "synthetic data of a test",
    FactorSpace([Factor("shape", 2, "categorical", ("cup", "[b]ball")), Factor("turn", 4, "circular")]),
    offline=True,
    licence="CC-BY-4.0",
    citation="Someone (2020), Something",
    remarks=("there is a remark",),
    bibtex="@misc{someone,\n  title = {Something},\n}\n",
    nuisances=("the light", "the camera"),
    symmetries=(Symmetry("turn", (0, 2), {"shape": (0, 1)}),),
)


class Synthetic(DataSet):
    """A rotation that is visible modulo 2, and a shape that is visible or not."""

    name, space, nuisances, symmetries = INFO.name, INFO.space, INFO.nuisances, INFO.symmetries
    fingerprint = "made-1"
    observation_shape = (4, 4, 1)
    is_visible = True

    def make(self, factors: NDArray[Any], nuisance: NDArray[np.uint64]) -> NDArray[np.uint8]:
        images = np.zeros((len(factors), 4, 4, 1), np.uint8)
        images[:, 0, 0, 0] = 100 * (factors[:, -1] % 2)
        images[:, 1, 1, 0] = 100 * factors[:, 0] * self.is_visible
        return images


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Synthetic:
    data = Synthetic()
    entry = Entry(lambda: INFO, lambda _: data)
    monkeypatch.setattr(datasets, "list_datasets", lambda: [INFO])
    monkeypatch.setattr(datasets, "find_dataset", lambda _: entry)
    monkeypatch.setattr(datasets, "load_dataset", lambda _: data)
    return data


def test_info_describes_one_data_set(run: Run) -> None:
    about = run("datasets", "info", "dsprites").out
    assert re.search(r"orientation +40 +circular", about)
    assert "square, ellipse, heart" in about
    assert "observations: 737,280" in about
    assert "symmetry: orientation 0, 39" in about
    assert "licence: Apache-2.0" in about
    assert re.search(
        r"\.hdf5 \(hdf5, 28,024,106 bytes\)\n  sha256 729fa22e[0-9a-f]{56}\n  md5 b331c[0-9a-f]{27}\n", about
    )
    assert "homepage: https://github.com/" in about
    assert run("datasets", "info", "dsprites?source=original").out == about
    plain = json.loads(run("datasets", "info", "dsprites", "--json").out)
    assert plain["size"] == 737_280
    assert plain["files"][1]["n_bytes"] == 28_024_106


def test_info_prints_the_cache_folder(run: Run, own_cache: Path) -> None:
    assert f"cache folder: {own_cache / 'datasets'}" in run("datasets", "info", "dsprites").out


@pytest.mark.usefixtures("made")
def test_nuisances_and_symmetries_are_listed_and_brackets_are_not_markup(run: Run) -> None:
    about = run("datasets", "info", "made").out
    assert "nuisance: the light\nnuisance: the camera" in about
    assert "symmetry: turn 0, 2 where shape is cup or [b]ball" in about
    assert re.search(r"shape +2 +categorical +cup, \[b\]ball", about)
    assert "note: there is a remark" in about


def test_all_data_sets_are_listed_with_size_and_factors(run: Run) -> None:
    listed = run("datasets").out
    assert re.search(
        r"^dsprites +737,280 +shape 3, scale 6, orientation 40 and 2 more +yes +Apache", listed, re.MULTILINE
    )
    assert re.search(r"^folder +any +– +yes +yours", listed, re.MULTILINE)
    plain = {entry["name"]: entry for entry in json.loads(run("datasets", "list", "--json").out)}
    assert plain["dsprites"]["symmetries"] == [{"factor": "orientation", "same": [0, 39], "given": {}}]
    assert plain["dsprites"]["space"][0]["values"] == ["square", "ellipse", "heart"]
    assert plain["folder"]["size"] is None


def test_further_factors_are_counted(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    space = FactorSpace([Factor(f"f{i}", 2, "categorical") for i in range(40)])
    info = DataSetInfo("faces", "many", space, False, "none", "none", n_observations=202_599)
    monkeypatch.setattr(datasets, "list_datasets", lambda: [info])
    assert re.search(r"^faces +202,599 +f0 2, f1 2, f2 2 and 37 more +no", run("datasets").out, re.MULTILINE)


@pytest.mark.usefixtures("made")
def test_a_citation_is_printed(run: Run) -> None:
    expected = "Someone (2020), Something\n\n@misc{someone,\n  title = {Something},\n}\n\nLicence: CC-BY-4.0\n"
    assert run("datasets", "cite", "made") == (0, expected, "")


def test_a_data_set_is_prepared(run: Run) -> None:
    ran = run("datasets", "fetch", "mini-sprites")
    assert (ran.code, ran.out) == (0, "")
    assert re.fullmatch(r"mini-sprites \(mini-sprites-\S+\) is ready\n", ran.err)
    assert run("datasets", "fetch", "mini-sprites", "-q") == (0, "", "")


def test_the_preview_is_written(run: Run) -> None:
    ran = run("datasets", "preview", "dsprites", "-o", "sheets/größe.png", "--samples", 3, "--seed", 5)
    assert (ran.code, ran.out) == (0, "")
    assert ran.err == "preview of dsprites written to sheets/größe.png\n"
    with Image.open("sheets/größe.png") as sheet:
        assert np.array_equal(np.asarray(sheet), contact_sheet(dm.load_dataset("dsprites"), seed=5, n_samples=3))
    assert run("datasets", "preview", "dsprites", "-o", "a.png", "-q") == (0, "", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("preview", "dsprites", "-o", "sheet.jpg"), "such as sheet.png; got sheet.jpg"),
        (("preview", "dsprites", "-o", "file/sheet.png"), "file is a file"),
        (("preview", "dsprites"), "Missing option '--out'"),
        (("preview", "dsprite", "-o", "sheet.png"), "did you mean 'dsprites'?"),
        (("cite", "dsprite"), "did you mean 'dsprites'?"),
        (("info", "dsprite"), "did you mean 'dsprites'?"),
        (("cite", "rooms?bogus=1"), "rooms has no option 'bogus'"),
        (("info", "shapes3d?bogus=1"), "shapes3d has no option 'bogus'"),
        (("info", "dsprites:nowhere"), "there is none at nowhere"),
        (("info", "mini-sprites?select=colour:0"), "no factor is named 'colour'"),
        (("check", "dsprite"), "did you mean 'dsprites'?"),
        (("check", "dsprites", "--contexts", "0"), "--contexts"),
    ],
    ids=" ".join,
)
def test_wrong_input_exits_with_2_and_one_sentence(run: Run, arguments: tuple[str, ...], message: str) -> None:
    Path("file").touch()
    ran = run("datasets", *arguments)
    assert ran.code == 2
    assert message in ran.sentence
    assert not Path("sheet.png").exists()


def test_a_check_reports_bits_and_identical_observations(run: Run) -> None:
    ran = run("datasets", "check", "dsprites", "--contexts", 20)
    assert (ran.code, ran.err) == (0, "")
    assert re.search(r"^x +5\.000 +5\.000 +\d\.\d+ +0\.\d\d%", ran.out, re.MULTILINE)
    assert "• identical observations, as declared: orientation 0, 39\n" in ran.out
    undeclared = re.findall(
        r"• identical observations, undeclared: orientation [\d, ]+ in \d+ of 20 contexts, such as (.*)", ran.out
    )
    assert undeclared
    assert all(re.fullmatch(r"shape (square|ellipse), scale \d, x \d+, y \d+", example) for example in undeclared)


def test_an_invisible_factor_fails_the_check(run: Run, made: Synthetic) -> None:
    fine = run("datasets", "check", "made")
    assert fine.code == 0
    assert "• identical observations, undeclared: turn 1, 3 in 64 of 64 contexts" in fine.out
    made.is_visible = False
    ran = run("datasets", "check", "made")
    assert (ran.code, ran.err) == (1, "")
    assert re.search(r"^shape +0\.000 +1\.000 +0 +0\.00%", ran.out, re.MULTILINE)
    assert "• shape: does not affect any observation" in ran.out
    plain = run("datasets", "check", "made", "--json")
    assert plain.code == 1
    assert [factor["is_defect"] for factor in json.loads(plain.out)] == [True, False]


def test_a_contradicted_symmetry_fails_the_check(run: Run, made: Synthetic) -> None:
    made.symmetries = (Symmetry("turn", (0, 1)),)
    ran = run("datasets", "check", "made")
    assert ran.code == 1
    assert "• turn: declared symmetry does not hold: turn 0, 1" in ran.out


def write_folder() -> None:
    rng = np.random.default_rng(0)
    for label in ("cup", "ball"):
        folder = Path("images") / label
        folder.mkdir(parents=True)
        for number in range(3):
            Image.fromarray(rng.integers(256, size=(16, 16, 3), dtype=np.uint8)).save(folder / f"{number}.png")


def test_a_folder_is_previewed_and_its_bits_are_unknown(run: Run) -> None:
    write_folder()
    assert run("datasets", "preview", "folder:images", "-o", "own.png").code == 0
    assert Path("own.png").exists()
    ran = run("datasets", "check", "folder:images")
    assert ran.code == 0
    assert "• unknown: label, because no two observations differ in that factor alone" in ran.out
    (plain,) = json.loads(run("datasets", "check", "folder:images", "--json").out)
    assert plain["bits"] is None


def test_a_lone_factor_is_checked_without_an_example(run: Run, made: Synthetic) -> None:
    made.space, made.symmetries = FactorSpace([Factor("turn", 4, "circular")]), ()
    made.is_visible = False
    assert "turn 1, 3 in 64 of 64 contexts\n" in run("datasets", "check", "made").out


def test_options_are_listed(run: Run) -> None:
    about = run("datasets", "info", "rooms").out
    assert "\noptions: size=64\n" in about
    assert re.search(r"^options of every data set: correlate, .*nuisance$", about, re.MULTILINE)
    assert "\noptions: source, layout, verify=true\n" in run("datasets", "info", "dsprites").out
    assert "\noptions: none\n" in run("datasets", "info", "digits-affine").out
    assert json.loads(run("datasets", "info", "rooms", "--json").out)["options"] == {"size": "64"}


def test_info_describes_the_loaded_data_set(run: Run) -> None:
    write_folder()
    about = run("datasets", "info", "folder:images").out
    assert re.search(r"^label +2 +categorical +ball, cup$", about, re.MULTILINE)
    assert "inferred: label is categorical because its values are names" in about
    assert "observations: 6" in about
    selected = run("datasets", "info", "folder:images?select=label:cup").out
    assert "observations: 3" in selected
    assert "inferred: label" in selected
    plain = json.loads(run("datasets", "info", "mini-sprites?select=shape:heart,x:0-1", "--json").out)
    assert [factor["name"] for factor in plain["space"]] == ["scale", "orientation", "x", "y"]
    assert plain["size"] == 3 * 12 * 2 * 7
    assert "observations: any number" in run("datasets", "info", "pinwheel?n_arms=5").out
    assert run("datasets", "info", "shapes3d?select=shape:0").code == 0  # without a download


def test_manual_steps_and_unknown_properties_are_marked(run: Run) -> None:
    about = run("datasets", "info", "celeba").out
    assert "by hand: " in about
    assert "unknown: no published size of dsprites" in run("datasets", "info", "dsprites").out


def test_user_data_need_no_citation(run: Run) -> None:
    assert run("datasets", "cite", "folder").out == "folder: your own data, nothing to cite\n"


def test_a_design_with_a_hidden_factor_is_previewed_and_checked(run: Run) -> None:
    spec = "mini-sprites?only=x:0-2,y:0-2&nuisance=x"
    assert run("datasets", "preview", spec, "-o", "hidden.png").code == 0
    assert re.search(r"^y +1.585 +1.585 ", run("datasets", "check", spec, "--contexts", 8).out, re.MULTILINE)


def test_the_bits_of_selected_photographs_are_unknown_too(run: Run) -> None:
    write_folder()
    spec = "folder:images?select=label:0-1"
    assert "• unknown: label" in run("datasets", "check", spec).out


def test_the_homepage_of_a_manual_download_is_printed(run: Run) -> None:
    sentence = run("datasets", "fetch", "celeba").sentence
    assert "Homepage: https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html" in sentence
    assert "homepage: https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html" in run("datasets", "info", "celeba").out
