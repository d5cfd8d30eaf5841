"""Downscaling of images by area averaging, reproducible to the byte on every machine."""

import math

import numpy as np
from numpy.typing import NDArray

from disentmetrics.errors import InvalidInputError

_CHUNK = 64  # images resized at a time, so that temporary arrays fit into the CPU cache


def resized(images: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Downscale images: each new pixel is the mean of the area that it covers.

    Sums are over integers below 2**53, hence exact, and are rounded once, half up. Unlike those of imaging libraries,
    results do not depend on the version or the processor.

    Parameters
    ----------
    images : (n, height, width, channels) uint8
        The images.
    shape : (int, int)
        New height and width, at most the current ones.

    Returns
    -------
    (n, new height, new width, channels) uint8

    Raises
    ------
    InvalidInputError
        If the new size is larger than the current one.

    Examples
    --------
    >>> resized(np.array([[0, 30, 60], [90, 120, 150], [180, 210, 240]], np.uint8)[None, ..., None], (2, 2))[0, ..., 0]
    array([[ 40,  80],
           [160, 200]], dtype=uint8)
    """
    n, height, width, channels = images.shape
    if not (0 < shape[0] <= height and 0 < shape[1] <= width):
        raise InvalidInputError(
            f"the new size of images must be at most {height} x {width}; got {shape[0]} x {shape[1]}"
        )
    rows, columns = _weights(height, shape[0]), _weights(width, shape[1])
    area = rows[0].sum() * columns[0].sum()
    small = np.empty((n, *shape, channels), np.uint8)
    for start in range(0, n, _CHUNK):
        planes = np.moveaxis(images[start : start + _CHUNK].astype(np.float64), 3, 1)
        sums = rows @ planes @ columns.T
        small[start : start + _CHUNK] = np.moveaxis(np.floor((2 * sums + area) / (2 * area)), 1, 3)
    return small


def _weights(old: int, new: int) -> NDArray[np.float64]:
    """Return the overlap of each new with each old pixel, (new, old), as integer multiples of a common unit length."""
    common = math.gcd(old, new)
    units_per_old, units_per_new = new // common, old // common
    weights = np.zeros((new, old))
    units = np.arange(old * units_per_old)
    np.add.at(weights, (units // units_per_new, units // units_per_old), 1)
    return weights
