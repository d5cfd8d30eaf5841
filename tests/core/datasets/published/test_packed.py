from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st
from numpy.typing import NDArray

from disentmetrics.datasets.published.packed import open_packed, unpack, write_packed

BITS = np.random.default_rng(0).integers(0, 256, (300, 8), dtype=np.uint8)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "300.bits"
    write_packed(path, (BITS[:100], BITS[100:]))
    return path


def opened(path: Path) -> NDArray[np.uint8]:
    bits = open_packed(path, 300, 8)
    assert bits is not None
    return bits


def test_written_images_are_read_back(path: Path) -> None:
    assert np.array_equal(opened(path), BITS)


def test_images_are_read_only(path: Path) -> None:
    with pytest.raises(ValueError, match="read-only"):
        opened(path)[0] = 0


@pytest.mark.parametrize("place", [0, 1234, -33, -1])
def test_a_file_with_one_altered_byte_is_as_good_as_none(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    assert open_packed(path, 300, 8) is None


@pytest.mark.parametrize("n_bytes", [0, 31, 2400, 2431])
def test_a_truncated_file_is_as_good_as_none(path: Path, n_bytes: int) -> None:
    path.write_bytes(path.read_bytes()[:n_bytes])
    assert open_packed(path, 300, 8) is None


def test_a_file_of_another_size_is_as_good_as_none(path: Path) -> None:
    assert open_packed(path, 299, 8) is None


def test_no_file_is_none(tmp_path: Path) -> None:
    assert open_packed(tmp_path / "none", 300, 8) is None
    assert open_packed(tmp_path, 300, 8) is None


def test_nothing_is_left_if_the_blocks_fail_half_way(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        write_packed(tmp_path / "x.bits", (BITS[: 1 // k] for k in (1, 0)))
    assert list(tmp_path.iterdir()) == []


@given(st.lists(st.integers(0, 299), max_size=50))
def test_unpacking_agrees_with_arithmetic(rows: list[int]) -> None:
    images = unpack(BITS, np.array(rows, np.int64), (4, 16, 1))
    expected = [255 * (int(byte) >> shift & 1) for row in rows for byte in BITS[row] for shift in range(7, -1, -1)]
    assert images.dtype == np.uint8
    assert images.ravel().tolist() == expected


def test_more_images_than_are_unpacked_at_once() -> None:
    rows = np.arange(5000) % 300
    assert np.array_equal(unpack(BITS, rows, (64,)), unpack(BITS, np.arange(300), (64,))[rows])
