"""Rows that are read from arrays and files when they are needed."""

import pickle
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

import disentmetrics as dm
from disentmetrics.errors import CorruptFileError, InvalidInputError


def images(n: int) -> NDArray[np.uint8]:
    """Images that all differ."""
    found = np.zeros((n, 4, 5, 3), np.uint8)
    found[:, 0, 0, 0], found[:, 0, 0, 1] = np.arange(n) % 256, np.arange(n) // 256
    return found


def rows_of(data: dm.CustomDataSet, draws: Any) -> list[int]:
    made = data.observations(draws.factors, draws.nuisance)
    return [int(low) + 256 * int(high) for low, high in made[:, 0, 0, :2]]


class Recorded:
    """Rows that are generated when read, and record each read."""

    shape = (50, 4, 5, 3)
    dtype = np.dtype(np.uint8)

    def __init__(self) -> None:
        self.taken: list[int] = []

    def take(self, rows: NDArray[np.int64], /) -> NDArray[np.uint8]:
        self.taken += rows.tolist()
        return images(50)[rows]


def test_rows_are_read_only_when_they_are_needed() -> None:
    source = Recorded()
    data = dm.CustomDataSet(source, np.arange(50) % 5)
    assert source.taken == []
    data.observations([[3]], [2])
    assert source.taken == [13]


def test_all_sources_give_the_same_rows_and_the_same_name(tmp_path: Path) -> None:
    held = images(40)
    np.save(tmp_path / "images.npy", held)
    with h5py.File(tmp_path / "images.h5", "w") as file:
        file.create_dataset("train/images", data=held, chunks=(7, 4, 5, 3))
    labels = {"a": np.arange(40) % 4}
    with h5py.File(tmp_path / "images.h5", "r") as file:
        sources = [held, held.tolist(), np.load(tmp_path / "images.npy", mmap_mode="r"), file["train/images"]]
        made = [dm.CustomDataSet(np.asarray(s, np.uint8) if isinstance(s, list) else s, labels) for s in sources]
        again = [pickle.loads(pickle.dumps(data)) for data in made]
        assert len({data.fingerprint for data in [*made, *again]}) == 1
        draws = made[0].sample(17, np.random.default_rng(3), replace=True)
        shuffled = draws[np.random.default_rng(0).permutation(17)]
        for data in [*made, *again]:
            assert rows_of(data, shuffled) == rows_of(made[0], shuffled)
            assert rows_of(data, data.full_grid()) == list(range(40))
    assert len(pickle.dumps(made[2])) < len(pickle.dumps(made[0]))  # the name of the file, not its content


def test_part_of_a_memory_map_stays_that_part(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", images(20))
    part = dm.CustomDataSet(np.load(tmp_path / "images.npy", mmap_mode="r")[5:9])
    assert rows_of(pickle.loads(pickle.dumps(part)), part.full_grid()) == [5, 6, 7, 8]


def test_a_source_that_returns_other_rows_is_caught() -> None:
    class Short(Recorded):
        def take(self, rows: NDArray[np.int64], /) -> NDArray[np.uint8]:
            return super().take(rows)[:-1]

    with pytest.raises(InvalidInputError, match=r"take must return the requested rows, uint8 of shape \(1, 4, 5, 3\)"):
        dm.CustomDataSet(Short()).observations(np.empty((1, 0), int))


def test_a_closed_file_is_reported(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "images.h5", "w") as file:
        file["images"] = images(4)
    with h5py.File(tmp_path / "images.h5", "r") as file:
        data = dm.CustomDataSet(file["images"])
    with pytest.raises(CorruptFileError, match="must be readable"):
        data.observations(np.empty((1, 0), int))
