"""Images that are centre-cropped and downscaled on the fly."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from disentmetrics.datasets.arrays.resize import resized
from disentmetrics.datasets.arrays.row_sources import Observations
from disentmetrics.datasets.options import whole_number


def crop_and_size(shape: tuple[int, int], crop: str | int, size: str | int) -> tuple[int, int]:
    """Validate crop and size, and return both as integers; needs no file.

    Raises
    ------
    InvalidInputError
        If the crop is larger than the images, or the size is larger than the crop.
    """
    side = whole_number("crop", crop, 0, min(shape))
    return side, whole_number("size", size, 0, side or min(shape))


class CroppedRows:
    """Images that are centre-cropped and then downscaled by area averaging.

    Parameters
    ----------
    rows : Observations
        Images.
    crop : str or int
        Height and width of the central square; 0 keeps the complete image. If it cannot be centred exactly,
        it is half a pixel closer to the top and left.
    size : str or int
        New height and width; 0 keeps the size.

    Raises
    ------
    InvalidInputError
        If the crop is larger than the images, or the size is larger than the crop.
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
        """Options that change the content, for fingerprints."""
        return [f"crop{self._side}"] * bool(self._side) + [str(self._new)] * bool(self._new)

    def take(self, rows: NDArray[np.int64], /) -> NDArray[np.uint8]:
        """Return the given images."""
        images = self._rows.take(rows)
        if self._side:
            top, left = ((length - self._side) // 2 for length in images.shape[1:3])
            images = images[:, top : top + self._side, left : left + self._side]
        return resized(images, (self._new, self._new)) if self._new else images
