"""The data set of a folder, by its spec and its options."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import disentmetrics as dm
from disentmetrics.errors import InvalidInputError


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


def test_columns_are_selected_in_the_spec(folder: Path) -> None:
    (folder / "labels.csv").rename(folder / "table.csv")
    data = dm.load_dataset(f"folder:{folder}?table=table.csv&image=image&factors=angle&groups=person&size=3x4")
    assert isinstance(data, dm.CustomDataSet)
    assert data.space.names == ("angle",)
    assert data.full_grid().groups is not None
    assert data.full_grid().groups.tolist() == [0, 0, 1, 1]  # type: ignore[union-attr] # just asserted
    assert data.observation_shape == (3, 4, 3)


def test_invalid_folders_are_refused(folder: Path) -> None:
    with pytest.raises(InvalidInputError, match="there is none at"):
        dm.load_dataset(f"folder:{folder / 'none'}")
    with pytest.raises(InvalidInputError, match="needs the path of a folder"):
        dm.load_dataset("folder")
    (folder / "labels.tsv").write_text("image\na.png\n", encoding="utf-8")
    with pytest.raises(InvalidInputError, match="labels.csv, labels.tsv; name one"):
        dm.CustomDataSet.from_folder(folder)
    (folder / "empty").mkdir()
    with pytest.raises(InvalidInputError, match="it contains none"):
        dm.CustomDataSet.from_folder(folder / "empty")
    with pytest.raises(InvalidInputError, match="name columns of a table"):
        dm.CustomDataSet.from_folder(folder / "empty", image_column="image")


def test_kinds_and_marks_of_missing_labels_are_given_in_the_spec(folder: Path) -> None:
    (folder / "labels.csv").rename(folder / "table.csv")
    spec = f"folder:{folder}?table=table.csv&image=image&factors=angle,person&kinds=angle:circular:360&missing=90"
    data = dm.load_dataset(spec)
    assert (data.space["angle"].kind, data.space["angle"].period) == ("circular", 360)
    assert data.notes == ("factor angle: read as missing labels: '90' in 2 rows",)
    assert data.spec == spec
    codes = dm.encode(lambda rows: rows[:, 0, 0, :1].astype(float), data, full_grid=True)
    assert codes.notes == data.notes
    with pytest.raises(InvalidInputError, match="kinds must have the form factor:kind,factor:kind; got 'angle'"):
        dm.load_dataset(f"folder:{folder}?table=table.csv&image=image&kinds=angle")
