"""Folders of images: the table of labels or the names of subfolders are the factors."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import disentmetrics as dm
from disentmetrics.errors import InvalidInputError
from disentmetrics.factors import Factor


def random_image(number: int, shape: tuple[int, ...] = (6, 8, 3)) -> NDArray[np.uint8]:
    return np.random.default_rng(number).integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of four images and their labels, not in the order of the names."""
    root = tmp_path / "images of Zoë"
    (root / "more").mkdir(parents=True)
    for number, name in enumerate(("b.png", "a.png", "more/c.png", "d.bmp")):
        Image.fromarray(random_image(number)).save(root / name)
    rows = ["image,shape,angle,person", "b.png,cup,0,1", "a.png,ball,90,1", "more/c.png,,0,2", "d.bmp,cup,90,2"]
    (root / "labels.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return root


def everything(data: dm.CustomDataSet) -> NDArray[Any]:
    draws = data.full_grid()
    return data.observations(draws.factors, draws.nuisance)


def replace_label(folder: Path, old: str, new: str) -> None:
    path = folder / "labels.csv"
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")


def test_images_are_in_the_order_of_the_table(folder: Path) -> None:
    data = dm.CustomDataSet.from_folder(folder)
    assert np.array_equal(everything(data), np.stack([random_image(n) for n in range(4)]))
    assert data.space.names == ("shape", "angle", "person")
    assert data.factors.tolist() == [[1, 0, 0], [0, 1, 0], [-1, 0, 1], [1, 1, 1]]
    again = pickle.loads(pickle.dumps(data))
    assert np.array_equal(everything(again), everything(data))
    assert again.fingerprint == data.fingerprint


def test_groups_may_be_a_column_of_names(folder: Path) -> None:
    replace_label(folder, ",1\n", ",Zoë\n")
    replace_label(folder, ",2\n", ",Ana\n")
    data = dm.CustomDataSet.from_folder(folder, groups="person")
    assert data.space.names == ("shape", "angle")
    assert data.full_grid().groups is not None
    assert data.full_grid().groups.tolist() == [1, 1, 0, 0]  # type: ignore[union-attr] # just asserted
    replace_label(folder, "cup,0,Zoë\n", "cup,0,\n")
    with pytest.raises(InvalidInputError, match="every row must belong to a group; 1 of 4 rows have none"):
        dm.CustomDataSet.from_folder(folder, groups="person")


@pytest.mark.parametrize("suffix", [".tsv", ".parquet", ".xlsx"])
def test_other_table_formats_give_the_same_data(folder: Path, suffix: str) -> None:
    pd = pytest.importorskip("pandas", reason="a table is written by pandas")
    pytest.importorskip("polars", reason="the reader of such tables")
    expected = dm.CustomDataSet.from_folder(folder)
    frame = pd.read_csv(folder / "labels.csv")
    (folder / "labels.csv").unlink()
    path = folder / f"labels{suffix}"
    if suffix == ".tsv":
        frame.to_csv(path, sep="\t", index=False)
    elif suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_excel(path, index=False)
    data = dm.CustomDataSet.from_folder(folder)
    assert data.space == expected.space
    assert data.fingerprint == expected.fingerprint


def test_subfolders_are_labels_where_there_is_no_table(tmp_path: Path) -> None:
    for name in ("cat/1.png", "cat/2.png", "dog/young/1.png", ".hidden/3.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random_image(len(name), (5, 5))).save(tmp_path / name)
    data = dm.CustomDataSet.from_folder(tmp_path)
    assert data.space.names == ("label",)
    assert data.space["label"] == Factor("label", 2, "categorical", ("cat", "dog/young"))
    assert data.observation_shape == (5, 5, 1)
    assert len(data) == 3
    (tmp_path / "cat/1.png").rename(tmp_path / "1.png")
    with pytest.raises(InvalidInputError, match="1.png is next to the subfolders"):
        dm.CustomDataSet.from_folder(tmp_path)


def test_images_alone_have_no_factors(tmp_path: Path) -> None:
    Image.fromarray(random_image(0)).save(tmp_path / "a.png")
    data = dm.CustomDataSet.from_folder(tmp_path)
    assert len(data.space) == 0
    assert "no factors" in data.inference[0]


def test_images_missing_from_the_table_are_reported(folder: Path) -> None:
    Image.fromarray(random_image(9)).save(folder / "e.png")
    assert "left out: 1 image of" in dm.CustomDataSet.from_folder(folder).inference[0]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("more/c.png", "../secret.png", r"images must be in .*; '../secret.png' is outside of it"),
        ("more/c.png", "/etc/passwd", "is outside of it"),
        ("more/c.png", "link.png", "'link.png' is outside of it"),
        ("more/c.png", "none.png", "every image must be a file in .*; there is no 'none.png'"),
        ("more/c.png", "more", "there is no 'more'"),
        ("more/c.png", "", "must contain an image file in every row; row 3 below the header contains None"),
        ("image,", "picture,", "one column of labels.csv must contain the image files; found None; choose one of"),
        ("person", "path", "found image, path"),
    ],
)
def test_invalid_tables_are_refused(folder: Path, old: str, new: str, message: str) -> None:
    Image.fromarray(random_image(7)).save(folder.parent / "secret.png")
    (folder / "link.png").symlink_to(folder.parent / "secret.png")
    replace_label(folder, old, new)
    with pytest.raises(InvalidInputError, match=message) as caught:
        dm.CustomDataSet.from_folder(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"table": "none.csv"}, "there is no file at"),
        ({"table": "b.png"}, "one of these formats"),
        ({"image_column": "none"}, "there is no 'none'"),
        ({"factors": ["shap"]}, "there is no 'shap'; did you mean"),
        ({"groups": "none"}, "there is no 'none'"),
        ({"factors": ["image"]}, "'image' contains the image files: remove it"),
        ({"factors": ["shape", "image"]}, "'image' contains the image files: remove it"),
        ({"size": 0}, "size must be an integer from 1 to 4096"),
    ],
)
def test_invalid_options_are_refused(folder: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        dm.CustomDataSet.from_folder(folder, **options)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (Image.fromarray(random_image(0, (6, 9, 3))), r"\(6, 8, 3\) and d.bmp has \(6, 9, 3\)"),
        (Image.fromarray(random_image(0, (6, 8))), r"d.bmp has \(6, 8, 1\)"),
    ],
)
def test_images_of_another_size_or_mode_are_refused(folder: Path, other: Image.Image, message: str) -> None:
    other.save(folder / "d.bmp")
    data = dm.CustomDataSet.from_folder(folder)
    with pytest.raises(InvalidInputError, match=message):
        everything(data)
