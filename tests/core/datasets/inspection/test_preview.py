"""The contact sheet that shows the effect of each factor."""

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import disentmetrics as dm
from disentmetrics._utils.installation import install_command
from disentmetrics.datasets.arrays.custom import CustomDataSet
from disentmetrics.datasets.base import DataSet
from disentmetrics.datasets.inspection.preview import contact_sheet, label_of, save_preview, sheet_rows, title_of
from disentmetrics.datasets.nuisance import choice
from disentmetrics.errors import InvalidInputError, MissingExtraError, StorageError
from disentmetrics.factors import Factor, FactorSpace

PAGE = 236


class Patches(DataSet):
    """Each image has a single colour, with red and green as factors and blue as nuisance."""

    name = "patches"
    fingerprint = "patches-1"
    space = FactorSpace([Factor("red", 5, "ordinal"), Factor("green", 30, "circular")])
    nuisances: tuple[str, ...] = ("blue",)

    def __init__(self, side: int = 8, n_channels: int = 3) -> None:
        self.observation_shape = (side, side, n_channels)

    def make(self, factors: NDArray[Any], nuisance: NDArray[np.uint64]) -> NDArray[np.uint8]:
        colours = np.column_stack([10 * factors[:, 0] + 1, 5 * factors[:, 1] + 1, choice(nuisance, 100) + 1])
        colours = colours[:, : self.observation_shape[2]]
        return np.broadcast_to(colours[:, None, None], (len(factors), *self.observation_shape)).astype(np.uint8)


def tiles(sheet: NDArray[np.uint8]) -> list[list[tuple[NDArray[np.uint8], int, int]]]:
    """Return the patches of a sheet by row, with their colour, left edge and width."""
    is_tile = (sheet.astype(int) < 210).any(axis=2) & (np.ptp(sheet.astype(int), axis=2) > 0)
    tall = np.diff(np.flatnonzero(np.diff(np.r_[0, is_tile.sum(axis=1) > 50, 0])).reshape(-1, 2))[:, 0]
    tops = np.flatnonzero(np.diff(np.r_[0, is_tile.sum(axis=1) > 50]) == 1)
    rows = []
    for top, height in zip(tops, tall, strict=True):
        line = is_tile[top + height // 2]
        edges = np.flatnonzero(np.diff(np.r_[0, line, 0])).reshape(-1, 2)
        rows.append([(sheet[top + height // 2, left], int(left), int(right - left)) for left, right in edges])
    return rows


def test_each_row_varies_one_factor_and_the_spacing_is_even() -> None:
    samples, red, green, blue = tiles(contact_sheet(Patches(), n_samples=12))
    assert [len(row) for row in (samples, red, green)] == [12, 5, 12]
    assert [int(colour[0]) for colour, *_ in red] == [1, 11, 21, 31, 41]
    greens = [int(colour[1]) for colour, *_ in green]
    assert (greens[0], greens[-1]) == (1, 146)
    assert set(np.diff(greens)) <= {10, 15}
    assert len({colour[1] for colour, *_ in red}) == len({colour[0] for colour, *_ in green}) == 1
    assert len({colour[2] for colour, *_ in red + green}) == 1
    assert len({tuple(colour[:2]) for colour, *_ in blue}) == 1
    assert len({colour[2] for colour, *_ in blue}) == len(blue) > 5
    for row in (red, green, blue):
        assert [left for _, left, _ in row] == [left for _, left, _ in samples][: len(row)]
    lefts = [left for _, left, _ in samples]
    assert len(set(np.diff(lefts))) == 1
    assert {width for *_, width in samples + red + green + blue} == {96}  # 8 pixels, 12 times enlarged


@pytest.mark.parametrize(("side", "shown"), [(1, 96), (28, 112), (64, 128), (96, 96), (192, 192), (256, 128)])
def test_images_are_enlarged_and_reduced_by_integer_factors(side: int, shown: int) -> None:
    assert tiles(contact_sheet(Patches(side), n_samples=1))[0][0][2] == shown


def test_images_are_enlarged_without_interpolation() -> None:
    data = dm.load_dataset("dsprites")
    sheet = contact_sheet(data, n_samples=1, seed=3)
    assert {0, 255, PAGE} <= set(np.unique(sheet).tolist())
    sample = sheet_rows(data, np.random.default_rng(3), 1)[0].draws
    tile = data.observations(sample.factors)[0].repeat(2, axis=0).repeat(2, axis=1)
    top = int(np.flatnonzero((sheet[:, 150:, 0] != PAGE).any(axis=1))[0])
    left = int(np.flatnonzero(sheet[top + 1, :, 0] != PAGE)[0])
    left += int(np.flatnonzero(sheet[top + 100, left:, 0] == 0)[0])
    assert np.array_equal(sheet[top : top + 128, left : left + 128], tile.repeat(3, axis=2))


def test_the_seed_determines_the_sheet() -> None:
    assert np.array_equal(contact_sheet(Patches(), seed=1), contact_sheet(Patches(), seed=1))
    assert not np.array_equal(contact_sheet(Patches(), seed=1), contact_sheet(Patches(), seed=2))


def test_small_data_sets_are_shown_completely() -> None:
    grid = np.indices((2, 3)).reshape(2, -1).T
    data = CustomDataSet(np.zeros((6, 4, 4, 1), np.uint8), grid, factor_names=["a", "b"])
    assert len(sheet_rows(data, np.random.default_rng(0), 100)[0].draws) == 6


def test_the_nearest_photographs_are_shown_and_further_factors_are_listed(rng: np.random.Generator) -> None:
    labels = rng.integers(2, size=(80, 15))
    images = np.broadcast_to(100 * labels[:, :1, None, None], (80, 16, 16, 3)).astype(np.uint8)
    data = CustomDataSet(images, labels, factor_names=[f"attribute {i}" for i in range(15)])
    rows = sheet_rows(data, rng, 12)
    assert [row.name for row in rows] == ["samples", *(f"attribute {i}" for i in range(12))]
    assert "nearest rows" in rows[1].about
    assert rows[1].labels == ("0",) * 6 + ("1",) * 6
    assert data.observations(rows[1].draws.factors, rows[1].draws.nuisance)[:, 0, 0, 0].tolist() == [0] * 6 + [100] * 6
    few = CustomDataSet(images, labels[:, :12], factor_names=[f"attribute {i}" for i in range(12)])
    longer = contact_sheet(data).shape[0] - contact_sheet(few).shape[0]
    assert 10 < longer < 60  # the line that lists three more factors


def test_data_without_factors_show_only_samples() -> None:
    data = CustomDataSet(np.zeros((30, 4, 4, 1), np.uint8))
    assert [row.name for row in sheet_rows(data, np.random.default_rng(0), 20)] == ["samples", ""]
    assert contact_sheet(data).dtype == np.uint8


@pytest.mark.parametrize(
    ("factor", "value", "label"),
    [
        (Factor("a", 2, "categorical", ("cup", "größe")), 1, "größe"),
        (Factor("a", 3, "ordinal", (0.0, 1 / 3, 2 / 3)), 1, "0.333"),
        (Factor("a", 3, "ordinal"), 2, "2"),
        (Factor("a", 2, "ordinal", (-0.0, 1.0)), 0, "0"),
        (Factor("a", None, "continuous"), -0.123456, "-0.123"),
    ],
)
def test_values_are_labelled_by_name_value_or_index(factor: Factor, value: float, label: str) -> None:
    assert label_of(factor, value) == label


def test_long_and_non_ascii_names_do_not_break_the_layout() -> None:
    values = ("größe " * 30, "大きい", "")
    space = FactorSpace([Factor("ein sehr langer Name " * 5, 3, "categorical", values)])

    class Foreign(Patches):
        name = "データ"
        nuisances = ("a word " * 60, "w" * 200)

        def make(self, factors: NDArray[Any], nuisance: NDArray[np.uint64]) -> NDArray[np.uint8]:
            return super().make(np.column_stack([factors, factors]), nuisance)

    data = Foreign()
    data.space = space
    sheet = contact_sheet(data, n_samples=12)
    assert len({len({left for _, left, _ in row}) for row in tiles(sheet)[:1]}) == 1
    assert sheet.shape[1] < 1600


def test_the_file_is_written_atomically(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "new" / "größe.png"
    save_preview(Patches(), path, seed=4, n_samples=5)
    with Image.open(path) as read:
        assert np.array_equal(np.asarray(read), contact_sheet(Patches(), seed=4, n_samples=5))
    assert [p.name for p in path.parent.iterdir()] == ["größe.png"]
    before = path.read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(StorageError, match="No space left"):
        save_preview(Patches(), path)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["größe.png"]


def test_unsupported_files_and_observations_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="such as sheet.png; got .*sheet.jpg"):
        save_preview(Patches(), tmp_path / "sheet.jpg")
    with pytest.raises(InvalidInputError, match=r"observations of patches have shape \(8, 8, 2\)"):
        contact_sheet(Patches(8, 2))


class Vectors(Patches):
    name = "vectors"
    space = FactorSpace([
        Factor("kind", 3, "categorical", ("a", "b", "c")),
        Factor("angle", 24, "circular"),
        Factor("t", None, "continuous"),
    ])  # fmt: skip

    def __init__(self, n_dimensions: int) -> None:
        self.observation_shape = (n_dimensions,)

    def make(self, factors: NDArray[Any], nuisance: NDArray[np.uint64]) -> NDArray[Any]:
        return np.resize(factors.T, (self.observation_shape[0], len(factors))).T

    def sample_factors(self, n: int, rng: np.random.Generator) -> NDArray[Any]:
        return np.column_stack([rng.integers(3, size=n), rng.integers(24, size=n), rng.normal(size=n)])


def test_vectors_are_plotted_with_one_row_per_factor() -> None:
    pytest.importorskip("matplotlib")
    one, two = (contact_sheet(Vectors(n), n_samples=2) for n in (1, 2))
    assert one.shape == two.shape
    assert one.dtype == np.uint8
    assert not np.array_equal(one, two)
    assert np.array_equal(two, contact_sheet(Vectors(2), n_samples=2))


def test_a_table_of_vectors_without_labels_is_plotted(rng: np.random.Generator) -> None:
    pytest.importorskip("matplotlib")
    assert contact_sheet(CustomDataSet(rng.normal(size=(40, 2)))).ndim == 3


def test_without_matplotlib_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=re.escape(install_command("plots"))):
        contact_sheet(Vectors(2))


def test_values_excluded_by_a_design_are_not_shown() -> None:
    rng = np.random.default_rng(0)
    hidden = sheet_rows(dm.load_dataset("mini-sprites?only=x:0-2,y:0-2&nuisance=x"), rng, 4)
    assert {row.name: len(row.labels) for row in hidden}["y"] == 3
    without = sheet_rows(dm.load_dataset("mini-sprites?without=shape:heart"), rng, 4)
    assert {row.name: row.labels for row in without}["shape"] == ("square", "ellipse")


def test_the_title_includes_options_and_transforms() -> None:
    assert title_of(dm.load_dataset("mini-sprites")) == "mini-sprites"
    assert title_of(dm.load_dataset("mini-sprites?size=32")) == "mini-sprites-1-32"
    own = CustomDataSet(np.zeros((6, 4, 4, 1), np.uint8), [[0], [1]] * 3, factor_names=["a"], fingerprint="own-7b")
    assert title_of(own) == "custom"
    assert title_of(own.select({"a": [0, 1]})) == "own-7b+select(a=0-1)"
    short, long = (contact_sheet(own.map(np.copy, name=n), n_samples=2) for n in ("a", "a" * 500))
    assert short.shape == long.shape
    assert (long[:, -20:] == PAGE).all(), "the title ends within the page"
