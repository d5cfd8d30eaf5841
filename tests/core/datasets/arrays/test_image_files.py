"""Image files: decoded without loss, and refused with one sentence where something is wrong."""

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


def random_image(number: int, shape: tuple[int, ...] = (6, 8, 3)) -> NDArray[np.uint8]:
    return np.random.default_rng(number).integers(0, 256, shape, dtype=np.uint8)


def everything(data: dm.CustomDataSet) -> NDArray[Any]:
    draws = data.full_grid()
    return data.observations(draws.factors, draws.nuisance)


def large_png(side: int) -> bytes:
    """Return a small file whose header declares a very large image."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    content = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", content) + chunk(b"IEND", b"")


def test_resizing_averages_over_pixels(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 100], [200, 100]], np.uint8).repeat(4, axis=0).repeat(4, axis=1)).save(
        tmp_path / "a.png"
    )
    assert everything(dm.CustomDataSet.from_folder(tmp_path, size=1)).ravel().tolist() == [100]
    assert everything(dm.CustomDataSet.from_folder(tmp_path, size=2)).ravel().tolist() == [0, 100, 200, 100]


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


@pytest.mark.parametrize("mode", ["RGBA", "LA", "I;16", "CMYK"])
def test_transparent_and_deep_images_are_refused(tmp_path: Path, mode: str) -> None:
    Image.new(mode, (4, 4)).save(tmp_path / ("a.tif" if mode == "CMYK" else "a.png"))
    with pytest.raises(InvalidInputError, match=f"grey or RGB with 8 bits per channel.*has mode {mode}"):
        dm.CustomDataSet.from_folder(tmp_path)


def test_transparent_palettes_are_refused(tmp_path: Path) -> None:
    Image.fromarray(random_image(1)).quantize(16).save(tmp_path / "a.png", transparency=3)
    with pytest.raises(InvalidInputError, match="has mode P and is transparent; convert it"):
        dm.CustomDataSet.from_folder(tmp_path)
