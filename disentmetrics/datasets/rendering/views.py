"""Views of a scene as weights of materials, and images made of them by colouring."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.cache import cache_folder, locked
from disentmetrics._utils.progress import progress_bar
from disentmetrics.datasets.published.packed import open_packed, write_packed

_PIXELS_AT_ONCE = 65_536  # few enough that the temporaries stay in the processor's cache


def blend(weights: NDArray[np.uint8], views: NDArray[np.int64], colours: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Colour views exactly: full weight gives the very colour, and all machines give the same bytes.

    A value is the sum of weight times colour, plus 255, divided by 256 and rounded down. It is
    computed in float32, where whole numbers this small, and their 256ths, are exact.

    Parameters
    ----------
    weights : (n_views, n_materials, n_pixels) uint8
        Of which each pixel's sum to at most 255.
    views : (n,) int64
        Which view each image shows.
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
    n_at_once = max(1, _PIXELS_AT_ONCE // n_pixels)
    images = np.empty((len(views), n_pixels, 3), np.uint8)
    shares = np.ones((n_at_once, n_materials + 1, n_pixels), np.float32)
    scaled = np.full((len(views), n_materials + 1, 3), 255 / 256, np.float32)
    scaled[:, :-1] = colours
    scaled[:, :-1] /= 256
    for start in range(0, len(views), n_at_once):
        part = views[start : start + n_at_once]
        shares[: len(part), :-1] = weights[part]
        images[start : start + n_at_once] = np.matmul(
            shares[: len(part)].transpose(0, 2, 1), scaled[start : start + n_at_once]
        )
    return images


class Views:
    """Views by number: each is traced when it is first asked for, all are kept in memory.

    Parameters
    ----------
    name : str
        Of exactly this content; names its file in the cache folder.
    n_views, n_materials, n_pixels : int
        How many, and the shape of one.
    trace : callable
        From the number of a view to its weights, (n_materials, n_pixels) uint8.
    """

    def __init__(
        self, name: str, n_views: int, n_materials: int, n_pixels: int, trace: Callable[[int], NDArray[np.uint8]]
    ) -> None:
        self._name = name
        self._shape = (n_views, n_materials, n_pixels)
        self._trace = trace
        self._weights = np.empty((0, n_materials, n_pixels), np.uint8)
        self._is_known = np.zeros(n_views, bool)

    def images(self, views: NDArray[np.int64], colours: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return coloured views, (n, n_pixels, 3) uint8; see ``blend``."""
        if not len(self._weights) and not self._open():
            self._weights = np.empty(self._shape, np.uint8)
        for view in np.unique(views[~self._is_known[views]]).tolist():
            self._weights[view] = self._trace(view)
            self._is_known[view] = True
        return blend(self._weights, views, colours)

    def prepare(self, *, progress: bool) -> None:
        """Trace all views into the cache folder, unless they lie there whole; see ``DataSet.prepare``.

        Raises
        ------
        StorageError
            If the cache folder cannot be written; views are then traced when they are asked for.
        """
        if self._open():
            return
        with locked(self._path):
            if not self._open():  # another process may have been at it
                write_packed(self._path, self._all(progress=progress))
                self._open()

    @property
    def _path(self) -> Path:
        return cache_folder() / "datasets" / f"{self._name}.views"

    def _open(self) -> bool:
        n_views, n_materials, n_pixels = self._shape
        found = open_packed(self._path, n_views, n_materials * n_pixels)
        if found is None:
            return False
        self._weights = found.reshape(self._shape)
        self._is_known[:] = True
        return True

    def _all(self, *, progress: bool) -> Iterator[NDArray[np.uint8]]:
        n_views = self._shape[0]
        with progress_bar(shown=progress) as bar:
            task = bar.add_task("ray-tracing views", total=n_views)
            for view in range(n_views):
                yield self._weights[view] if self._is_known[view] else self._trace(view)
                bar.advance(task)
