"""Images made smaller by averaging areas, with equal bytes on every machine."""

import math

import numpy as np
from numpy.typing import NDArray

from disentmetrics.errors import InvalidInputError

_AT_ONCE = 64  # images: the temporaries stay in the processor's cache


def resized(images: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Return images of another size, each pixel the mean of the area that it covers.

    Sums are of whole numbers below 2**53 and therefore exact, rounded once, halves upwards: unlike
    those of imaging libraries the bytes do not depend on version or processor.

    Parameters
    ----------
    images : (n, height, width, channels) uint8
        As they are.
    shape : (int, int)
        New height and width; none larger than the old.

    Returns
    -------
    (n, new height, new width, channels) uint8

    Raises
    ------
    InvalidInputError
        If images would become larger.

    Examples
    --------
    >>> resized(np.array([[0, 30, 60], [90, 120, 150], [180, 210, 240]], np.uint8)[None, ..., None], (2, 2))[0, ..., 0]
    array([[ 40,  80],
           [160, 200]], dtype=uint8)
    """
    n, height, width, channels = images.shape
    if not (0 < shape[0] <= height and 0 < shape[1] <= width):
        raise InvalidInputError(
            f"images can be made smaller than {height} x {width} only; got the new size {shape[0]} x {shape[1]}"
        )
    rows, columns = _weights(height, shape[0]), _weights(width, shape[1])
    area = rows[0].sum() * columns[0].sum()
    small = np.empty((n, *shape, channels), np.uint8)
    for start in range(0, n, _AT_ONCE):
        planes = np.moveaxis(images[start : start + _AT_ONCE].astype(np.float64), 3, 1)
        sums = rows @ planes @ columns.T
        small[start : start + _AT_ONCE] = np.moveaxis(np.floor((2 * sums + area) / (2 * area)), 1, 3)
    return small


def _weights(old: int, new: int) -> NDArray[np.float64]:
    """Return how much of each old pixel lies in each new one, (new, old), in whole parts of a pixel."""
    common = math.gcd(old, new)
    parts, taken = new // common, old // common  # an old pixel has so many parts, a new one takes so many
    weights = np.zeros((new, old))
    units = np.arange(old * parts)
    np.add.at(weights, (units // taken, units // parts), 1)
    return weights
