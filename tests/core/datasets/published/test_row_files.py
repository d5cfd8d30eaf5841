import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from numpy.typing import NDArray

from disentmetrics._utils import cache as cache_module
from disentmetrics.datasets.arrays.row_sources import ArrayRows, Observations
from disentmetrics.datasets.published import row_files
from disentmetrics.datasets.published.packed import open_packed, unpack, write_packed
from disentmetrics.datasets.published.row_files import (
    FileRows,
    JoinedRows,
    PackedRows,
    UnpackedRows,
    cached_rows,
    write_unpacked,
)
from disentmetrics.errors import CorruptFileError, StorageError

ROWS = np.random.default_rng(0).integers(0, 256, (40, 3, 5), dtype=np.uint8)
BITS = np.random.default_rng(1).integers(0, 256, (40, 2), dtype=np.uint8)


def in_file(folder: Path) -> Observations:
    (folder / "x").write_bytes(b"head" + ROWS.tobytes() + b"tail")
    return FileRows(folder / "x", ROWS.shape, 4)


def in_unpacked_file(folder: Path) -> Observations:
    write_unpacked(folder / "x.raw", ROWS.shape, [(0, ROWS[:11]), (11, ROWS[11:])])
    return UnpackedRows(folder / "x.raw", ROWS.shape)


def joined(folder: Path) -> Observations:
    (folder / "y").write_bytes(ROWS[17:].tobytes())
    return JoinedRows([ArrayRows(ROWS[:17]), FileRows(folder / "y", ROWS[17:].shape)])


STORES: dict[str, Callable[[Path], Observations]] = {"file": in_file, "unpacked": in_unpacked_file, "joined": joined}


@pytest.mark.parametrize("kind", STORES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.integers(0, 39), max_size=60))
def test_rows_come_as_asked_for(kind: str, rows: list[int], tmp_path: Path) -> None:
    store = STORES[kind](tmp_path)
    asked = np.array(rows, np.int64)
    assert store.shape == ROWS.shape
    assert store.dtype == np.uint8
    for held in (store, pickle.loads(pickle.dumps(store))):
        assert np.array_equal(held.take(asked), ROWS[asked])


@pytest.mark.parametrize("kind", STORES)
def test_a_file_truncated_meanwhile_is_reported(kind: str, tmp_path: Path) -> None:
    store = STORES[kind](tmp_path)
    for path in tmp_path.iterdir():
        os.truncate(path, 100)
    with pytest.raises(CorruptFileError, match="(changed|truncated) meanwhile"):
        store.take(np.arange(40))


def test_a_file_changed_meanwhile_is_rejected(tmp_path: Path) -> None:
    store = in_file(tmp_path)
    sent = pickle.dumps(store)
    content = (tmp_path / "x").read_bytes()
    (tmp_path / "x").write_bytes(content[::-1])
    os.utime(tmp_path / "x", ns=(0, 1))
    for held in (store, pickle.loads(sent)):
        with pytest.raises(CorruptFileError, match="changed meanwhile"):
            held.take(np.array([0]))


def test_a_deleted_file_is_reported(tmp_path: Path) -> None:
    store = in_file(tmp_path)
    (tmp_path / "x").unlink()
    with pytest.raises(CorruptFileError, match="must be readable; No such file"):
        store.take(np.array([0]))


def test_rows_may_be_written_in_any_order(tmp_path: Path) -> None:
    order = np.random.default_rng(2).permutation(40)
    write_unpacked(tmp_path / "x.raw", ROWS.shape, [(int(row), ROWS[row][None]) for row in order])
    assert np.array_equal(UnpackedRows(tmp_path / "x.raw", ROWS.shape).take(np.arange(40)), ROWS)


@pytest.mark.parametrize(
    "given_blocks",
    [[(0, ROWS[:-1])], [(1, ROWS)], [(0, ROWS), (3, ROWS[3:4])], [(0, ROWS[:-1]), (3, ROWS[3:4])]],
)
def test_each_row_must_come_once_or_there_is_no_file(
    given_blocks: list[tuple[int, NDArray[np.uint8]]], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="rows must be written"):
        write_unpacked(tmp_path / "x.raw", ROWS.shape, given_blocks)
    assert not list(tmp_path.iterdir())


def test_an_altered_row_is_noticed_when_it_is_read_and_no_other_is(tmp_path: Path) -> None:
    store = in_unpacked_file(tmp_path)
    path = tmp_path / "x.raw"
    content = bytearray(path.read_bytes())
    content[15 * 7 + 3] ^= 1
    path.write_bytes(content)
    others = np.delete(np.arange(40), 7)
    assert np.array_equal(store.take(others), ROWS[others])
    with pytest.raises(CorruptFileError, match=r"row 7 of .* was altered, so the file was deleted; load .* again"):
        store.take(np.array([3, 7]))
    assert not path.exists()


@pytest.mark.parametrize("place", [-1, -40, -32 - 16 * 40])
def test_altered_checksums_are_noticed_at_once(place: int, tmp_path: Path) -> None:
    in_unpacked_file(tmp_path)
    path = tmp_path / "x.raw"
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(CorruptFileError, match="must contain 40 rows and their checksums"):
        UnpackedRows(path, ROWS.shape)


def blocks(content: NDArray[np.uint8] = ROWS) -> row_files.Blocks:
    yield 0, content[:20]
    yield 20, content[20:]


def test_rows_are_unpacked_once(cache: Path) -> None:
    assert np.array_equal(cached_rows("key", ROWS.shape, blocks).take(np.arange(40)), ROWS)
    assert (cache / "datasets" / "key.raw").is_file()
    again = cached_rows("key", ROWS.shape, lambda: blocks(255 - ROWS))
    assert np.array_equal(again.take(np.arange(40)), ROWS)


def test_a_damaged_file_in_the_cache_is_recreated(cache: Path) -> None:
    cached_rows("key", ROWS.shape, blocks)
    os.truncate(cache / "datasets" / "key.raw", 700)
    assert np.array_equal(cached_rows("key", ROWS.shape, blocks).take(np.arange(40)), ROWS)


def test_few_rows_are_kept_in_memory_if_the_cache_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("DISENTMETRICS_CACHE", str(tmp_path / "file" / "cache"))
    assert np.array_equal(cached_rows("key", ROWS.shape, blocks).take(np.arange(40)), ROWS)
    assert "kept in memory" in caplog.text
    monkeypatch.setattr(row_files, "_MAX_MEMORY_BYTES", 100)
    with pytest.raises(StorageError, match="DISENTMETRICS_CACHE"):
        cached_rows("key", ROWS.shape, blocks)


def test_disk_space_is_reserved_before_unpacking(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def full(_: int, n_bytes: int) -> None:
        asked.append(n_bytes)
        raise OSError(28, "No space left on device")

    def never() -> Any:
        pytest.fail("unpacked though there is no room")
        yield

    monkeypatch.setattr(cache_module, "_reserve", full)
    monkeypatch.setattr(row_files, "_MAX_MEMORY_BYTES", 100)
    with pytest.raises(StorageError, match="No space left on device"):
        cached_rows("key", ROWS.shape, never)
    assert asked == [40 * 15 + 40 * 16 + 32]
    assert not list(cache.rglob("*.raw"))


@pytest.mark.parametrize("mapped", [False, True])
def test_packed_images_travel_without_their_file(mapped: bool, tmp_path: Path) -> None:
    bits: NDArray[np.uint8] | None = BITS
    if mapped:
        write_packed(tmp_path / "x.bits", [BITS])
        bits = open_packed(tmp_path / "x.bits", 40, 2)
    assert bits is not None
    store = PackedRows(bits, (4, 4, 1))
    sent = pickle.dumps(store)
    rows = np.array([39, 0, 0])
    assert store.shape == (40, 4, 4, 1)
    assert np.array_equal(pickle.loads(sent).take(rows), unpack(BITS, rows, (4, 4, 1)))
    if mapped:
        shutil.move(tmp_path / "x.bits", tmp_path / "moved")
        with pytest.raises(FileNotFoundError):
            pickle.loads(sent)
