"""Folders of images: read unchanged, and refused with one sentence where something is wrong."""

import pickle
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import disentmetrics as dm
from disentmetrics.errors import CorruptFileError, InvalidInputError
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


def test_images_are_in_the_order_of_the_table(folder: Path) -> None:
    data = dm.CustomDataSet.from_folder(folder)
    assert np.array_equal(everything(data), np.stack([random_image(n) for n in range(4)]))
    assert data.space.names == ("shape", "angle", "person")
    assert data.factors.tolist() == [[1, 0, 0], [0, 1, 0], [-1, 0, 1], [1, 1, 1]]
    again = pickle.loads(pickle.dumps(data))
    assert np.array_equal(everything(again), everything(data))
    assert again.fingerprint == data.fingerprint


def test_columns_are_selected_in_the_spec(folder: Path) -> None:
    (folder / "labels.csv").rename(folder / "table.csv")
    data = dm.load_dataset(f"folder:{folder}?table=table.csv&image=image&factors=angle&groups=person&size=3x4")
    assert isinstance(data, dm.CustomDataSet)
    assert data.space.names == ("angle",)
    assert data.full_grid().groups is not None
    assert data.full_grid().groups.tolist() == [0, 0, 1, 1]  # type: ignore[union-attr] # just asserted
    assert data.observation_shape == (3, 4, 3)


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


def test_resizing_averages_over_pixels(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 100], [200, 100]], np.uint8).repeat(4, axis=0).repeat(4, axis=1)).save(
        tmp_path / "a.png"
    )
    assert everything(dm.CustomDataSet.from_folder(tmp_path, size=1)).ravel().tolist() == [100]
    assert everything(dm.CustomDataSet.from_folder(tmp_path, size=2)).ravel().tolist() == [0, 100, 200, 100]


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


def test_palettes_and_bitmaps_are_decoded_without_loss(tmp_path: Path) -> None:
    few = (random_image(1) // 128) * 100
    Image.fromarray(few).quantize(256).save(tmp_path / "few.png")
    assert np.array_equal(everything(dm.CustomDataSet.from_folder(tmp_path))[0], few)
    (tmp_path / "few.png").unlink()
    bits = random_image(1, (6, 8)) > 128
    Image.fromarray(bits).save(tmp_path / "bits.png")
    assert np.array_equal(everything(dm.CustomDataSet.from_folder(tmp_path))[0, ..., 0], 255 * bits)


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tiff"])
def test_images_of_several_frames_are_refused(tmp_path: Path, suffix: str) -> None:
    first, *others = [Image.fromarray(random_image(n, (6, 8))) for n in range(3)]
    path = tmp_path / f"a.{suffix}"
    first.save(path)
    single = everything(dm.CustomDataSet.from_folder(tmp_path))[0]
    assert np.abs(single.mean(axis=-1) - random_image(0, (6, 8))).max() < (100 if suffix == "webp" else 1)
    first.save(path, save_all=True, append_images=others)
    with pytest.raises(InvalidInputError, match=f"a.{suffix} contains several frames or pages; save each"):
        dm.CustomDataSet.from_folder(tmp_path)


def test_a_photograph_may_embed_a_second_image(tmp_path: Path) -> None:
    first, second = (Image.fromarray(random_image(n)) for n in range(2))
    first.save(tmp_path / "a.jpg")
    single = everything(dm.CustomDataSet.from_folder(tmp_path))
    first.save(tmp_path / "a.mpo", save_all=True, append_images=[second])
    (tmp_path / "a.mpo").replace(tmp_path / "a.jpg")
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.format == "MPO"
    assert np.array_equal(everything(dm.CustomDataSet.from_folder(tmp_path)), single)


def replace_label(folder: Path, old: str, new: str) -> None:
    path = folder / "labels.csv"
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")


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


def large_png(side: int) -> bytes:
    """Return a small file whose header declares a very large image."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    content = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", content) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [None, 64])
@pytest.mark.parametrize("side", [9_000, 10_000, 20_000, 60_000])
def test_decompression_bombs_are_not_decoded(tmp_path: Path, side: int, size: int | None) -> None:
    (tmp_path / "bomb.png").write_bytes(large_png(side))
    with pytest.raises(CorruptFileError, match=r"at most 67,108,864 pixels; bomb.png has more and was not decoded"):
        dm.CustomDataSet.from_folder(tmp_path, size=size)


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "gif", "webp", "tiff", "ppm"])
def test_truncated_images_are_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(random_image(0, (32, 32, 3))).save(path)
    complete = path.read_bytes()
    assert dm.CustomDataSet.from_folder(tmp_path).observation_shape == (32, 32, 3)
    for n in (0, 1, 10, len(complete) // 2):
        path.write_bytes(complete[:n])
        with pytest.raises(CorruptFileError, match=f"a.{suffix} must be a complete image") as caught:
            dm.CustomDataSet.from_folder(tmp_path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 5 5\n", "unknown format"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "unknown format"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "must be a complete image"),
    ],
)
def test_files_that_are_not_images_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(CorruptFileError, match=message):
        dm.CustomDataSet.from_folder(tmp_path)


def test_altered_images_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(random_image(0, (32, 32, 3))).save(path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(CorruptFileError, match="must be a complete image"):
        dm.CustomDataSet.from_folder(tmp_path)


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


@pytest.mark.parametrize("mode", ["RGBA", "LA", "I;16", "CMYK"])
def test_transparent_and_deep_images_are_refused(tmp_path: Path, mode: str) -> None:
    Image.new(mode, (4, 4)).save(tmp_path / ("a.tif" if mode == "CMYK" else "a.png"))
    with pytest.raises(InvalidInputError, match=f"grey or RGB with 8 bits per channel.*has mode {mode}"):
        dm.CustomDataSet.from_folder(tmp_path)


def test_transparent_palettes_are_refused(tmp_path: Path) -> None:
    Image.fromarray(random_image(1)).quantize(16).save(tmp_path / "a.png", transparency=3)
    with pytest.raises(InvalidInputError, match="has mode P and is transparent; convert it"):
        dm.CustomDataSet.from_folder(tmp_path)
