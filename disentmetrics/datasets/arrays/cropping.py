"""Images cut to their middle and made smaller as they are read."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from disentmetrics.datasets.arrays.resize import resized
from disentmetrics.datasets.arrays.row_sources import Observations
from disentmetrics.datasets.options import whole_number


def crop_and_size(shape: tuple[int, int], crop: str | int, size: str | int) -> tuple[int, int]:
    """Return both as numbers; ask before files are read.

    Raises
    ------
    InvalidInputError
        If one is larger than there is.
    """
    side = whole_number("crop", crop, 0, min(shape))
    return side, whole_number("size", size, 0, side or min(shape))


class CroppedRows:
    """The middle of images, made smaller by averaging areas.

    Parameters
    ----------
    rows : Observations
        Images.
    crop : str or int
        Height and width of the square that is kept, if not 0. Where the middle lies between two pixels, it is
        the upper and the left one.
    size : str or int
        New height and width, if not 0.

    Raises
    ------
    InvalidInputError
        If one is larger than there is.
    """

    def __init__(self, rows: Observations, crop: str | int = 0, size: str | int = 0) -> None:
        self._rows = rows
        _, height, width, channels = rows.shape
        self._side, self._new = crop_and_size((height, width), crop, size)
        kept = (self._side, self._side) if self._side else (height, width)
        self.dtype: np.dtype[Any] = rows.dtype
        self.shape = (rows.shape[0], *((self._new, self._new) if self._new else kept), channels)

    @property
    def options(self) -> list[str]:
        """What changes the content, for a fingerprint."""
        return [f"crop{self._side}"] * bool(self._side) + [str(self._new)] * bool(self._new)

    def take(self, rows: NDArray[np.int64], /) -> NDArray[np.uint8]:
        """Return these images."""
        images = self._rows.take(rows)
        if self._side:
            top, left = ((length - self._side) // 2 for length in images.shape[1:3])
            images = images[:, top : top + self._side, left : left + self._side]
        return resized(images, (self._new, self._new)) if self._new else images
