"""Speed of data sets compared with straightforward implementations: ``python benchmarks/bench_datasets.py``.

For dSprites the baselines are implemented here: one image at a time, each edge of the polygon
tested against all 64 x 64 pixel centres; and for the cache, one packed image unpacked at a time. They are
measured on as many images as the number printed and not extrapolated into seconds. For every other
data set that needs no download, the baseline is one call for each image.
"""

import os
import tempfile
from collections import deque
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray
from timing import clock, measure

from disentmetrics.datasets import DataSet, list_datasets, load_dataset
from disentmetrics.datasets.catalog.dsprites import POSITIONS, DSprites, outlines
from disentmetrics.datasets.published.packed import open_packed

BATCH = 256


def draw_one(indices: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Draw one sprite edge by edge."""
    shape, scale, orientation, x, y = indices
    angle = 2 * np.pi * orientation / 39
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = 16 + 32 * POSITIONS[[x, y]]
    vertices = np.rint(256 * (centre + (0.5 + 0.1 * scale) * outlines()[shape] @ turn)).astype(np.int64)
    rows, columns = 256 * np.indices((64, 64)) + 128
    inside = np.zeros((64, 64), bool)
    for (x0, y0), (x1, y1) in zip(vertices, np.roll(vertices, -1, axis=0), strict=True):
        crosses = (y0 < rows) != (y1 < rows)
        side = (columns - x0) * (y1 - y0) - (x1 - x0) * (rows - y0)
        inside ^= crosses & (side * np.sign(y1 - y0) >= 0)
    return 255 * inside[..., None].astype(np.uint8)


def images_per_second(n_images: int, work: Callable[[], Iterable[object]]) -> float:
    return n_images / measure(lambda: deque(work(), maxlen=0)).seconds


def report(what: str, ours: float, baseline: float) -> None:
    print(f"{what:<44}{ours:>14,.0f}{baseline:>14,.0f}{ours / baseline:>10,.0f} x")


def every_set() -> None:
    """Print images per second and memory of each data set that needs no download."""
    columns = ("images per second", "random, 256", "random, 10,000", "streamed", "one by one", "ratio", "memory")
    print("\n" + f"{columns[0]:<20}" + "".join(f"{column:>16}" for column in columns[1:]))
    for info in list_datasets():
        if not info.offline or info.size == 0 or info.name == "folder":
            continue
        print(f"{info.name:<20}" + "".join(f"{text:>16}" for text in speeds(load_dataset(info.name))), flush=True)


def speeds(data: DataSet) -> list[str]:
    started, _, _ = clock(data.prepare)
    draws = data.sample(10_000, np.random.default_rng(0), replace=True)
    small = [draws[start : start + BATCH] for start in range(0, len(draws), BATCH)]
    in_order = data.full_grid()[:20_000] if data.space.is_grid else draws
    stream = [in_order[start : start + BATCH] for start in range(0, len(in_order), BATCH)]
    batches = images_per_second(len(draws), lambda: (data.observations(b.factors, b.nuisance) for b in small))
    at_once = images_per_second(len(draws), lambda: (data.observations(draws.factors, draws.nuisance) for _ in "1"))
    flow = measure(lambda: deque((data.observations(b.factors, b.nuisance) for b in stream), maxlen=0))
    few = [draws[start : start + 1] for start in range(300)]
    single = images_per_second(len(few), lambda: (data.observations(b.factors, b.nuisance) for b in few))
    streamed = len(in_order) / flow.seconds
    return [
        *(f"{speed:,.0f}" for speed in (batches, at_once, streamed, single)),
        f"{batches / single:,.0f} x",
        f"{flow.extra_bytes / 2**20:,.0f} MiB" + (f" +{started:.0f} s" if started > 1 else ""),
    ]


def main() -> None:
    data = DSprites()
    rng = np.random.default_rng(0)
    few = data.sample_factors(200, rng)
    many = data.sample_factors(20_000, rng)
    assert np.array_equal(data.observations(few), [draw_one(indices) for indices in few])
    one_by_one = images_per_second(len(few), lambda: (draw_one(indices) for indices in few))

    print(f"{'images per second':<44}{'ours':>14}{'baseline':>14}{'ratio':>12}")
    drawn = images_per_second(len(many), lambda: (DSprites().observations(many) for _ in range(1)))
    report("20,000 random images, drawn at once", drawn, one_by_one)
    batches = np.array_split(many, len(many) // BATCH)
    drawn = images_per_second(len(many), lambda: (DSprites().observations(batch) for batch in batches))
    report(f"the same in batches of {BATCH}", drawn, one_by_one)

    seconds, _, _ = clock(data.prepare)
    report("full grid into the cache", len(data) / seconds, one_by_one)
    opening, _, bits = clock(lambda: open_packed(data._path, len(data), 512))  # noqa: SLF001 - the baseline reads it
    assert bits is not None

    def unpack_one(row: int) -> NDArray[np.uint8]:
        return 255 * np.unpackbits(bits[row]).reshape(64, 64, 1)

    rows = data.space.rows_of(many)
    unpacked = images_per_second(len(many), lambda: (unpack_one(row) for row in rows))
    access = images_per_second(len(many), lambda: (data.observations(many) for _ in range(1)))
    report("20,000 random images from the cache", access, unpacked)
    access = images_per_second(len(many), lambda: (data.observations(batch) for batch in batches))
    report(f"the same in batches of {BATCH}", access, unpacked)
    starts = range(0, len(data), BATCH)
    stream = images_per_second(
        len(data),
        lambda: (data.observations(data.space.indices_of(np.arange(s, s + BATCH))) for s in starts),
    )
    report(f"full grid streamed in batches of {BATCH}", stream, unpacked)
    print(f"\nfull grid drawn and written in {seconds:.1f} s; cache verified and opened in {opening:.2f} s")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DISENTMETRICS_CACHE"] = folder
        main()
        every_set()
