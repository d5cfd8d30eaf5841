"""Views of a scene as material weights, and their composition with colours into images."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.cache import cache_folder, locked
from disentmetrics._utils.progress import progress_bar
from disentmetrics.datasets.published.packed import open_packed, write_packed

_BATCH_PIXELS = 65_536  # few enough that the temporaries fit into the CPU cache


def blend(weights: NDArray[np.uint8], views: NDArray[np.int64], colours: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Colour views exactly: full weight gives exactly the colour, and every machine gives the same bytes.

    A value is the sum of weight times colour, plus 255, divided by 256 and rounded down. It is
    computed in float32, where integers of this size, and multiples of 1/256, are exact.

    Parameters
    ----------
    weights : (n_views, n_materials, n_pixels) uint8
        Material weights; those of a pixel sum to at most 255.
    views : (n,) int64
        Index of the view of each image.
    colours : (n, n_materials, 3) uint8
        Red, green and blue of the materials of each image.

    Returns
    -------
    (n, n_pixels, 3) uint8

    Examples
    --------
    >>> half_and_half = np.array([[[255, 127, 0], [0, 128, 255]]], np.uint8)
    >>> blend(half_and_half, np.array([0]), np.array([[[255, 0, 0], [0, 20, 200]]], np.uint8))[0]
    array([[255,   0,   0],
           [127,  10, 100],
           [  0,  20, 200]], dtype=uint8)
    """
    _, n_materials, n_pixels = weights.shape
    batch_size = max(1, _BATCH_PIXELS // n_pixels)
    images = np.empty((len(views), n_pixels, 3), np.uint8)
    # An additional material of weight 1 everywhere adds the constant 255 / 256.
    extended_weights = np.ones((batch_size, n_materials + 1, n_pixels), np.float32)
    scaled_colours = np.full((len(views), n_materials + 1, 3), 255 / 256, np.float32)
    scaled_colours[:, :-1] = colours
    scaled_colours[:, :-1] /= 256
    for start in range(0, len(views), batch_size):
        batch = views[start : start + batch_size]
        extended_weights[: len(batch), :-1] = weights[batch]
        images[start : start + batch_size] = np.matmul(
            extended_weights[: len(batch)].transpose(0, 2, 1), scaled_colours[start : start + batch_size]
        )
    return images


class Views:
    """Lazily traced views: each is traced on first use, and all are kept in memory.

    Parameters
    ----------
    name : str
        Unique name of this content, and of its file in the cache folder.
    n_views, n_materials, n_pixels : int
        Number of views, and shape of the weights of one.
    trace : callable
        Function from the index of a view to its weights, (n_materials, n_pixels) uint8.
    """

    def __init__(
        self, name: str, n_views: int, n_materials: int, n_pixels: int, trace: Callable[[int], NDArray[np.uint8]]
    ) -> None:
        self._name = name
        self._shape = (n_views, n_materials, n_pixels)
        self._trace = trace
        self._weights = np.empty((0, n_materials, n_pixels), np.uint8)
        self._is_traced = np.zeros(n_views, bool)

    def images(self, views: NDArray[np.int64], colours: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return coloured views, (n, n_pixels, 3) uint8; see ``blend``."""
        if not len(self._weights) and not self._open():
            self._weights = np.empty(self._shape, np.uint8)
        for view in np.unique(views[~self._is_traced[views]]).tolist():
            self._weights[view] = self._trace(view)
            self._is_traced[view] = True
        return blend(self._weights, views, colours)

    def prepare(self, *, progress: bool) -> None:
        """Trace all views into the cache folder, unless a complete cache exists; see ``DataSet.prepare``.

        Raises
        ------
        StorageError
            If the cache folder cannot be written; views are then still traced on demand.
        """
        if self._open():
            return
        with locked(self._path):
            if not self._open():  # another process may have written it meanwhile
                write_packed(self._path, self._all(progress=progress))
                self._open()

    @property
    def _path(self) -> Path:
        return cache_folder() / "datasets" / f"{self._name}.views"

    def _open(self) -> bool:
        n_views, n_materials, n_pixels = self._shape
        cached = open_packed(self._path, n_views, n_materials * n_pixels)
        if cached is None:
            return False
        self._weights = cached.reshape(self._shape)
        self._is_traced[:] = True
        return True

    def _all(self, *, progress: bool) -> Iterator[NDArray[np.uint8]]:
        n_views = self._shape[0]
        with progress_bar(shown=progress) as bar:
            task = bar.add_task("ray-tracing views", total=n_views)
            for view in range(n_views):
                yield self._weights[view] if self._is_traced[view] else self._trace(view)
                bar.advance(task)
