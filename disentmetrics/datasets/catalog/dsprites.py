"""dSprites (Matthey, Higgins, Hassabis, Lerchner, 2017), re-rendered from a closed form: no file, no download.

Factors: shape (3), scale (6), orientation (40), x (32) and y (32).

The 737,280 binary images were rasterised by a graphics card: polygon vertices are rounded to
1/256 pixel, and a pixel is white if its centre lies inside. This module reproduces that in integer
arithmetic after a single rounding, so every machine renders the same pixels. All 401 images of the
original that were available for comparison are reproduced exactly. The full grid has 128,328,864
white pixels where the published mean implies 128,328,862, so a few pixels may differ from the
original: report these images as re-rendered, and load the original file where exact bytes matter.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.cache import cache_folder, locked
from disentmetrics._utils.progress import progress_bar
from disentmetrics.datasets.base import DataSet, DataSetInfo, Symmetry
from disentmetrics.datasets.published.dataset import load_published
from disentmetrics.datasets.published.manifest import read_manifest
from disentmetrics.datasets.published.packed import open_packed, unpack, write_packed
from disentmetrics.errors import InvalidInputError
from disentmetrics.factors import Factor, FactorSpace

SIDE = 64
SCALES = np.linspace(0.5, 1, 6)
ORIENTATIONS = np.linspace(0, 2 * np.pi, 40)
POSITIONS = np.linspace(0, 1, 32)
SPACE = FactorSpace((
    Factor("shape", 3, "categorical", ("square", "ellipse", "heart")),
    Factor("scale", 6, "ordinal", tuple(SCALES.tolist())),
    Factor("orientation", 40, "circular", tuple(ORIENTATIONS.tolist()), 2 * np.pi),
    Factor("x", 32, "ordinal", tuple(POSITIONS.tolist())),
    Factor("y", 32, "ordinal", tuple(POSITIONS.tolist())),
))  # fmt: skip
SYMMETRIES = (Symmetry("orientation", (0, 39)),)

_N_BYTES = SIDE * SIDE // 8
_SUBPIXELS = 256
_CENTRES = _SUBPIXELS * (SIDE / 4 + SIDE / 2 * POSITIONS)
_BATCH_SIZE = 4096  # images rendered per batch, few enough that the temporaries stay small
_OPEN_CACHE_AFTER = 100_000  # rendering so many images takes about as long as verifying the complete cache


def outlines() -> tuple[NDArray[np.float64], ...]:
    """Return the vertices (n_vertices, 2) of square, ellipse and heart.

    In pixels around the sprite's centre at scale 1 and orientation 0; x points right, y down.
    """
    square = 9.6 * np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])
    t = 2 * np.pi * np.arange(100) / 100
    ellipse = np.stack([9.6 * 1.33 * np.cos(t), 9.6 / 1.33 * np.sin(t)], axis=1)
    t = 2 * np.pi * np.arange(150) / 150
    height = (13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)) / 29 + 0.075
    heart = 19.2 * np.stack([np.sin(t) ** 3 / 2, -height], axis=1)
    return square, ellipse, heart


@cache
def _polygons() -> tuple[NDArray[np.float64], ...]:
    """Return, for each shape, the coordinates (x or y, scale, orientation, vertex) in subpixels from its centre."""
    cos, sin = np.cos(ORIENTATIONS)[:, None], np.sin(ORIENTATIONS)[:, None]
    rotated = (np.stack([x * cos + y * sin, y * cos - x * sin]) for x, y in (o.T for o in outlines()))
    return tuple(_SUBPIXELS * SCALES[:, None, None] * polygons[:, None] for polygons in rotated)


def _vertices(shape: int, indices: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return x and y (n, n_vertices) in subpixels from the centre of the top left pixel.

    Rounded as a graphics card does. No vertex of the grid is closer than 2.8e-7 to a tie, ten
    thousand times the error of the sine in any mathematics library, so the rounding is the same on
    every machine.
    """
    x, y = _polygons()[shape][:, indices[:, 1], indices[:, 2]]
    half = _SUBPIXELS // 2
    x = np.rint(x + _CENTRES[indices[:, 3], None]) - half
    y = np.rint(y + _CENTRES[indices[:, 4], None]) - half
    return x.astype(np.int32), y.astype(np.int32)


def _crossings(
    x: NDArray[np.int32], y: NDArray[np.int32]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint64]]:
    """Return where polygon edges cross the centre lines of pixel rows.

    Returns
    -------
    polygon, row : (n_crossings,) int64
    column : (n_crossings,) uint64
        The first pixel of the row whose centre is not left of the crossing.
    """
    row_above = y // _SUBPIXELS  # the last row whose centre line is not below the vertex
    next_row_above = np.roll(row_above, -1, axis=1)
    polygon, start = np.nonzero(row_above != next_row_above)
    end = (start + 1) % x.shape[1]
    n_crossed = np.abs(next_row_above - row_above)[polygon, start]
    first_row = np.minimum(row_above, next_row_above)[polygon, start] + 1
    edge = np.repeat(np.arange(len(n_crossed)), n_crossed)
    row = first_row[edge] + np.arange(len(edge)) - (np.cumsum(n_crossed) - n_crossed)[edge]
    x_start, y_start = x[polygon, start], y[polygon, start]
    dx, dy = (x[polygon, end] - x_start)[edge], (y[polygon, end] - y_start)[edge]
    # Integers below 2**31 and 2**22, so the floating-point quotient is integral exactly when the true one is.
    numerator = x_start[edge] * dy + (row * _SUBPIXELS - y_start[edge]) * dx
    column = np.ceil(numerator / (_SUBPIXELS * dy))
    return polygon[edge], row, column.astype(np.uint64)


def render(indices: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Rasterise sprites at one bit per pixel.

    A row of pixels is a 64-bit word; each edge that crosses the centre line of the row flips all
    pixels to the right of the crossing (even-odd rule). Pixel centres on a left or bottom edge are
    inside, those on a right or top edge are not.

    Parameters
    ----------
    indices : (n, 5) int64
        Valid indices of shape, scale, orientation, x and y.

    Returns
    -------
    (n, 512) uint8
        Each image packed as by ``numpy.packbits``.
    """
    words = np.zeros(len(indices) * SIDE, np.uint64)
    for shape in range(len(_polygons())):
        images = np.flatnonzero(indices[:, 0] == shape)
        polygon, row, column = _crossings(*_vertices(shape, indices[images]))
        np.bitwise_xor.at(words, images[polygon] * SIDE + row, np.uint64(2**64 - 1) >> column)
    return words.astype(">u8").view(np.uint8).reshape(len(indices), _N_BYTES)


class DSprites(DataSet):
    """The full grid of dSprites, re-rendered; black is 0 and white is 255.

    Orientation runs from 0 to 2π inclusive, as in the original: **index 0 and index 39 give the
    same image**. Some other images coincide after rasterisation, which leaves 715,706 distinct ones:
    236,996 squares, 239,094 ellipses and 239,616 hearts of 245,760 each.

    Images are rendered on demand. ``prepare`` stores the full grid in the cache folder, from which
    images are read several times faster; a complete cache is used automatically.

    References
    ----------
    Matthey, Higgins, Hassabis, Lerchner (2017), *dSprites: Disentanglement testing Sprites
    dataset*. The published file contains 0 and 1 where these images contain 0 and 255.

    Examples
    --------
    >>> data = DSprites()
    >>> large_centred_heart = [[2, 5, 0, 16, 16]]
    >>> image = data.observations(large_centred_heart)
    >>> image.shape, image.dtype.name, int((image == 255).sum())
    ((1, 64, 64, 1), 'uint8', 226)
    """

    name = "dsprites"
    space = SPACE
    fingerprint = "dsprites-1"
    observation_shape = (SIDE, SIDE, 1)
    symmetries = SYMMETRIES

    def __init__(self) -> None:
        self._cached: NDArray[np.uint8] | None = None
        self._n_rendered = 0

    def __reduce__(self) -> tuple[type["DSprites"], tuple[()]]:
        return type(self), ()  # another process renders its own images or opens the cache

    def make(self, factors: NDArray[np.int64], nuisance: NDArray[np.uint64]) -> NDArray[np.uint8]:
        """Return the images (n, 64, 64, 1) with these factors, black 0 and white 255."""
        self._n_rendered += len(factors)
        if self._cached is None and self._n_rendered >= _OPEN_CACHE_AFTER:
            self._n_rendered = 0
            self._cached = self._open()
        if self._cached is not None:
            return unpack(self._cached, self.space.rows_of(factors), self.observation_shape)
        images = np.empty((len(factors), *self.observation_shape), np.uint8)
        for start in range(0, len(factors), _BATCH_SIZE):
            bits = render(factors[start : start + _BATCH_SIZE])
            images[start : start + _BATCH_SIZE] = unpack(bits, np.arange(len(bits)), self.observation_shape)
        return images

    def prepare(self, *, progress: bool = False) -> None:
        """Render the full grid into the cache folder (377 MB), unless a complete cache exists.

        Parameters
        ----------
        progress : bool
            Show a progress bar.

        Raises
        ------
        StorageError
            If the cache folder cannot be written; images are then still rendered on demand.
        """
        self._cached = self._cached if self._cached is not None else self._open()
        if self._cached is not None:
            return
        with locked(self._path):
            self._cached = self._open()  # another process may have written it meanwhile
            if self._cached is None:
                write_packed(self._path, self._all_packed(progress=progress))
                self._cached = self._open()

    @property
    def _path(self) -> Path:
        return cache_folder() / "datasets" / f"{self.fingerprint}.bits"

    def _open(self) -> NDArray[np.uint8] | None:
        return open_packed(self._path, len(self), _N_BYTES)

    def _all_packed(self, *, progress: bool) -> Iterator[NDArray[np.uint8]]:
        with progress_bar(shown=progress) as bar:
            task = bar.add_task("rendering dsprites", total=len(self))
            for start in range(0, len(self), _BATCH_SIZE):
                rows = np.arange(start, min(start + _BATCH_SIZE, len(self)))
                yield render(self.space.indices_of(rows))
                bar.advance(task, len(rows))


def info() -> DataSetInfo:
    """Describe the data set, with licence and citation of the original."""
    original = read_manifest("dsprites").info
    return replace(
        original,
        summary=f"{original.summary}; re-rendered, ?source=original reads the published file",
        space=SPACE,
        symmetries=SYMMETRIES,
        offline=True,
    )


def load(
    target: str = "", *, source: str = "", layout: str = "", verify: bool = True, progress: bool = False
) -> DataSet:
    """Return dSprites re-rendered, or the original read from the published file.

    Parameters
    ----------
    target : str
        Path of the original file; empty for the re-rendered images.
    source : {"", "rendered", "original"}
        ``original`` without a path downloads the file.
    layout, verify, progress
        Options of the original: see ``load_published``.

    Returns
    -------
    DataSet

    Raises
    ------
    InvalidInputError
        If the source is unknown, if it is ``rendered`` and a path is given, or if an option of the original is
        given for the re-rendered images.
    """
    if source not in {"", "rendered", "original"} or (source == "rendered" and target):
        raise InvalidInputError(
            "source must be rendered (without a path) or original; "
            f"got {source!r} and {f'the path {target}' if target else 'no path'}"
        )
    if source == "original" or target:
        manifest = read_manifest("dsprites")
        return load_published(manifest, target, layout=layout, verify=verify, progress=progress)
    if layout or not verify:
        raise InvalidInputError(
            f"option {'layout' if layout else 'verify'} of dsprites applies only to the published file, and the "
            "re-rendered images read none; give a path, as dsprites:/path, or source=original, or omit the option"
        )
    return DSprites()
