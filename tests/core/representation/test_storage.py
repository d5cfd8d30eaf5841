"""Representations in files."""

import errno
import hashlib
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import disentmetrics as dm
from disentmetrics.errors import CorruptFileError, InvalidInputError, StorageError
from disentmetrics.representation import Provenance


def table(n: int = 40, **options: Any) -> dm.Representation:
    rng = np.random.default_rng(0)
    factors = {"shape": rng.choice(["square", "heart"], size=n), "x": rng.integers(4, size=n)}
    return dm.Representation(rng.normal(size=(n, 3)), factors, **options)


@settings(max_examples=15)
@given(st.booleans(), st.booleans(), st.booleans(), st.sampled_from([np.float32, np.float64]))
def test_a_saved_file_contains_everything(
    tmp_path_factory: pytest.TempPathFactory, posterior: bool, grouped: bool, weighted: bool, dtype: type
) -> None:
    rng = np.random.default_rng(0)
    n = 30
    original = dm.Representation(
        rng.normal(size=(n, 2)).astype(dtype),
        {"cell": rng.choice(["a", "b", "c"], size=n), "t": rng.normal(size=n)},
        log_variance=rng.normal(size=(n, 2)) if posterior else None,
        groups=rng.integers(5, size=n) if grouped else None,
        weights=rng.uniform(1, 2, size=n) if weighted else None,
        provenance=Provenance("d-1", "e", "grid", population=True),
        code_names=["left", "right"],
    )
    path = tmp_path_factory.mktemp("r") / "codes with ünïcode.h5"
    original.save(path)
    read = dm.Representation.load(path)
    for name in ("codes", "factors", "log_variance", "groups", "weights"):
        ours, theirs = getattr(original, name), getattr(read, name)
        assert (ours is None) == (theirs is None)
        if ours is not None:
            assert np.array_equal(ours, theirs, equal_nan=True)
            assert ours.dtype == theirs.dtype
    assert (read.space, read.provenance, read.code_names) == (original.space, original.provenance, ("left", "right"))
    assert read.row_key == original.row_key


def test_a_loaded_file_is_mapped_and_cannot_be_written(tmp_path: Path) -> None:
    table().save(tmp_path / "r.h5")
    read = dm.Representation.load(tmp_path / "r.h5")
    assert isinstance(read.codes.base, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        read.codes[0, 0] = 1.0


@pytest.mark.parametrize("damage", ["truncated", "altered", "empty", "text", "foreign", "about"])
def test_a_damaged_file_is_refused(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "r.h5"
    table(2_000).save(path)
    content = bytearray(path.read_bytes())
    if damage == "truncated":
        content = content[: len(content) // 2]
    elif damage == "altered":
        with h5py.File(path) as file:
            content[file["codes"].id.get_offset() + 77] ^= 1
    elif damage == "empty":
        content = bytearray()
    elif damage == "text":
        content = bytearray(b"this is no HDF5")
    path.write_bytes(content)
    if damage == "about":
        with h5py.File(path, "r+") as file:
            file.attrs["about"] = '{"factors": 1, "provenance": {"who": 1}}'
    if damage == "foreign":
        with h5py.File(path, "w") as file:
            file["codes"] = [1.0]
    with pytest.raises(CorruptFileError, match=r"r\.h5"):
        dm.Representation.load(path)


def test_a_file_written_before_rows_could_be_sequential_is_read(tmp_path: Path) -> None:
    about = {
        "factors": [["x", 2, "ordinal", []]],
        "code_names": ["z0"],
        "categorical_codes": [False],
        "provenance": {"data": "table", "encoder": "unknown", "rows": "table", "population": False},
        "inference": [],
    }
    arrays = {"codes": np.array([[0.5], [1.5]]), "factors": np.array([[0], [1]])}
    with h5py.File(tmp_path / "r.h5", "w") as file:
        file.attrs["format"] = "disentmetrics-representation-1"
        file.attrs["about"] = json.dumps(about)
        for name, array in arrays.items():
            file.create_dataset(name, data=array).attrs["sha256"] = hashlib.sha256(array.tobytes()).hexdigest()
    read = dm.Representation.load(tmp_path / "r.h5")
    assert not read.sequential
    assert read.codes.tolist() == [[0.5], [1.5]]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="there is no such file"):
        dm.Representation.load(tmp_path / "none.h5")


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "r.h5"
    path.write_text("before")

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("disentmetrics.representation._storage.h5py.File", full)
    with pytest.raises(StorageError, match="No space left on device"):
        table().save(path)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_periods_and_notes_are_saved_and_older_files_without_them_are_read(tmp_path: Path) -> None:
    original = dm.Representation(
        np.zeros((6, 1)),
        {"hour": [0, 6, 24, 0, 6, 12], "t": [0.5, -1.0, 2.0, 3.0, 0.1, 0.2], "name": ["a", "A", "?", "b", "c", "d"]},
        kinds={"hour": "circular:24", "t": "circular"},
    )
    assert [factor.period for factor in original.space] == [24, 2 * np.pi, None]
    assert len(original.notes) == 3
    path = tmp_path / "r.h5"
    original.save(path)
    read = dm.Representation.load(path)
    assert (read.space, read.notes) == (original.space, original.notes)
    with h5py.File(path, "a") as file:
        about = json.loads(file.attrs["about"])
        del about["notes"]
        about["factors"] = [["hour", 3, "circular", [0, 6, 12]], ["t", None, "continuous", []], about["factors"][2]]
        file.attrs["about"] = json.dumps(about)
    older = dm.Representation.load(path)
    assert (older.space["hour"].period, older.notes) == (None, ())
