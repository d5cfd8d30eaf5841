"""Speed of reading images from published files, compared with plain indexing: ``python benchmarks/bench_stores.py``.

Files of 20,000 images of 64 x 64 RGB are generated in the layouts of 3D Shapes and MPI3D. The baseline
indexes the file one image at a time, with h5py or a memory map.
"""

import os
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from timing import clock

from disentmetrics.datasets.published.dataset import PublishedDataSet, load_published
from disentmetrics.datasets.published.manifest import Manifest, read_manifest
from disentmetrics.factors import Factor, FactorSpace

SIZES = {"shapes3d": (10, 10, 10, 1, 4, 5), "mpi3d-toy": (5, 5, 2, 1, 1, 20, 20)}
BATCH = 256
N_ONE_BY_ONE = 20
STORAGE: dict[str, dict[str, Any]] = {
    "hdf5, contiguous": {},
    "hdf5, one image per chunk, gzip": {"chunks": (1, 64, 64, 3), "compression": "gzip", "compression_opts": 4},
    "hdf5, chunks of 5,000 images, gzip": {"chunks": (5000, 4, 4, 1), "compression": "gzip", "compression_opts": 4},
}


def made_up_images() -> NDArray[np.uint8]:
    """Return flat areas of colour, which compress about as well as renderings do."""
    rng = np.random.default_rng(0)
    images = np.repeat(np.repeat(rng.integers(0, 256, (20_000, 4, 4, 3), dtype=np.uint8), 16, axis=1), 16, axis=2)
    images += rng.integers(0, 2, images.shape, dtype=np.uint8)
    return images


def small(name: str) -> Manifest:
    whole = read_manifest(name)
    factors = [Factor(f.name, n, f.kind) for f, n in zip(whole.space, SIZES[name], strict=True)]
    return replace(whole, space=FactorSpace(factors))


def report(what: str, manifest: Manifest, path: Path, read_one: Callable[[int], Any]) -> None:
    opening, _, data = clock(partial(load_published, manifest, str(path), verify=False))
    grid = data.full_grid().factors
    order = np.random.default_rng(1).permutation(len(grid))
    rates = [rate(data, grid[order]), rate(data, grid[order]), rate(data, grid)]
    few = order[:N_ONE_BY_ONE]
    seconds, _, _ = clock(lambda: [read_one(int(row)) for row in few])
    figures = "".join(f"{figure:>14,.0f}" for figure in (*rates, len(few) / seconds))
    print(f"{what:<38}{opening:>9.2f} s{figures}")


def rate(data: PublishedDataSet, factors: NDArray[np.int64]) -> float:
    def go_through() -> None:
        for start in range(0, len(factors), BATCH):
            data.observations(factors[start : start + BATCH])

    return len(factors) / clock(go_through)[0]


def main(folder: Path) -> None:
    images = made_up_images()
    shapes, mpi3d = small("shapes3d"), small("mpi3d-toy")
    labels = shapes.space.indices_of(np.arange(len(images))).astype(float)
    headings = ("opening", *(f"{heading:>13}" for heading in ("random", "again", "in order", "one by one")))
    print(f"{f'images per second, batches of {BATCH}':<40}{' '.join(headings)}")
    for what, options in STORAGE.items():
        path = folder / "shapes.h5"
        with h5py.File(path, "w") as file:
            file.create_dataset("images", data=images, **options)
            file["labels"] = labels
        with h5py.File(path) as file:
            report(what, shapes, path, file["images"].__getitem__)
    path = folder / "mpi3d.npz"
    np.save(folder / "plain.npy", images)
    mapped = np.load(folder / "plain.npy", mmap_mode="r")
    for what, save in (("npz, stored", np.savez), ("npz, compressed", np.savez_compressed)):
        save(path, images=images)
        report(what, mpi3d, path, lambda row: np.array(mapped[row]))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        os.environ["DISENTMETRICS_CACHE"] = str(Path(name) / "cache")
        main(Path(name))
