"""Handwritten digits, turned, scaled and moved: real images with known factors.

scikit-learn brings 1,797 digits of 8 x 8 pixels. Each is drawn anew through a known affine
map, so that label, rotation, scale and shift are true factors of an image that was once written
by hand; which of a label's digits it is remains a nuisance.
"""

import hashlib
from functools import cache

import numpy as np
from numpy.typing import NDArray

from disentmetrics.datasets.base import DataSet, DataSetInfo
from disentmetrics.datasets.nuisance import uniform
from disentmetrics.datasets.options import no_target
from disentmetrics.errors import CorruptFileError
from disentmetrics.factors import Factor, FactorSpace

SIDE = 32
ROTATIONS = tuple(10.0 * k for k in range(-4, 5))  # degrees
SCALES = (1.2, 1.35, 1.5, 1.65, 1.8)  # pixels to a pixel of the digit
SHIFTS = tuple(float(k) for k in range(-3, 4))  # pixels
SPACE = FactorSpace((
    Factor("label", 10, "categorical", tuple("0123456789")),
    Factor("rotation", len(ROTATIONS), "ordinal", ROTATIONS),
    Factor("scale", len(SCALES), "ordinal", SCALES),
    Factor("x", len(SHIFTS), "ordinal", SHIFTS),
    Factor("y", len(SHIFTS), "ordinal", SHIFTS),
))  # fmt: skip

_DIGIT = 8  # pixels along the side of a digit as it was scanned
_BLACKEST = 16  # its greatest value
_MARGIN = len(SHIFTS) // 2
_FINENESS = 2**12  # weights are whole multiples of 1 / this, so that sums of products are exact
_BIBTEX = """@misc{digits98,
  author = {Ethem Alpaydin and Cenk Kaynak},
  title = {Optical Recognition of Handwritten Digits},
  howpublished = {UCI Machine Learning Repository},
  year = {1998}
}"""
_SHA256 = "d8121ca7764eccfaef1df6bc4589c6527c58fcbab0cb1b079e79f97f8cb8219a"


@cache
def _digits() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the digits (1797, 64), sorted by label, and where each label begins (11,)."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    content = np.column_stack([labels, images]).astype(np.uint8)
    if hashlib.sha256(content.tobytes()).hexdigest() != _SHA256:
        raise CorruptFileError(
            "the digits must be the 1,797 that scikit-learn has always had; those installed differ: reinstall it"
        )
    order = np.argsort(labels, kind="stable")
    return images[order].astype(np.float32), np.searchsorted(labels[order], np.arange(11))


def _cubic(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the weight of a pixel at this distance: Keys' cubic convolution with a = -1/2."""
    t = np.abs(distance)
    near = (1.5 * t - 2.5) * t * t + 1
    far = ((-0.5 * t + 2.5) * t - 4) * t + 2
    return np.where(t < 1, near, np.where(t < 2, far, 0.0))


@cache
def _weights() -> NDArray[np.float32]:
    """Return what each pixel of a digit adds to each of the image: (9, 5, 64, 32 * 32) whole numbers."""
    centres = np.arange(SIDE) + 0.5 - SIDE / 2
    y, x = centres[:, None], centres
    pixel = np.arange(_DIGIT) + 0.5 - _DIGIT / 2
    weights = np.empty((len(ROTATIONS), len(SCALES), _DIGIT**2, SIDE**2), np.float32)
    for turn, angle in enumerate(np.deg2rad(ROTATIONS)):
        # Rounded, so that every mathematics library gives the same.
        cos, sin = np.round(np.cos(angle), 12), np.round(np.sin(angle), 12)
        for size, scale in enumerate(SCALES):
            column, row = (x * cos - y * sin) / scale, (y * cos + x * sin) / scale
            across = _cubic(column.ravel() - pixel[:, None])
            down = _cubic(row.ravel() - pixel[:, None])
            product = (down[:, None] * across[None, :]).reshape(_DIGIT**2, SIDE**2)
            weights[turn, size] = np.floor(product * _FINENESS + 0.5)
    return weights


class DigitsAffine(DataSet):
    """A handwritten digit under a known rotation, scale and shift; 22,050 combinations, white on black.

    Rotation is counter-clockwise in degrees from -40 to 40, scale is 1.2 to 1.8 pixels to a pixel
    of the scan, x and y shift by whole pixels from -3 to 3 to the right and down. The digit is
    resampled by cubic convolution in whole numbers, clipped to 0 .. 255, and never leaves the
    frame. The nuisance chooses one of the 174 to 183 digits of the label: the writer's hand,
    with its own slant, thickness and place in the scan.

    References
    ----------
    Digits: Alpaydin, Kaynak (1998), *Optical Recognition of Handwritten Digits*, UCI Machine
    Learning Repository (the part that scikit-learn brings). Interpolation: Keys (1981), *Cubic
    convolution interpolation for digital image processing*.

    Examples
    --------
    >>> data = DigitsAffine()
    >>> data.observations([[7, 4, 4, 3, 3]], [2]).shape, len(data)
    ((1, 32, 32, 1), 22050)
    """

    name = "digits-affine"
    space = SPACE
    fingerprint = "digits-affine-1"
    observation_shape = (SIDE, SIDE, 1)
    nuisances = ("which digit of that label",)

    def make(self, factors: NDArray[np.int64], nuisance: NDArray[np.uint64]) -> NDArray[np.uint8]:
        """Return the images (n, 32, 32, 1) with these factors, black 0 and white 255."""
        digits, begin = _digits()
        label, turn, size, x, y = factors.T
        n_of_label = begin[label + 1] - begin[label]
        chosen = begin[label] + (uniform(nuisance, 1)[:, 0] * n_of_label).astype(np.int64)
        padded = np.zeros((len(factors), SIDE + 2 * _MARGIN, SIDE + 2 * _MARGIN), np.uint8)
        centred = padded[:, _MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
        maps = turn * len(SCALES) + size
        for one in np.unique(maps):
            rows = np.flatnonzero(maps == one)
            ink = digits[chosen[rows]] @ _weights()[divmod(int(one), len(SCALES))]
            levels = np.floor(ink * np.float32(255 / _BLACKEST) / np.float32(_FINENESS) + np.float32(0.5))
            centred[rows] = levels.clip(0, 255).reshape(-1, SIDE, SIDE).astype(np.uint8)
        frames = np.lib.stride_tricks.sliding_window_view(padded, (SIDE, SIDE), axis=(1, 2))
        images: NDArray[np.uint8] = frames[np.arange(len(factors)), 2 * _MARGIN - y, 2 * _MARGIN - x]
        return images[..., None]


def info() -> DataSetInfo:
    """Describe the data set."""
    return DataSetInfo(
        name=DigitsAffine.name,
        summary="handwritten digits under known rotation, scale and shift; which digit of a label is a nuisance",
        space=SPACE,
        offline=True,
        licence="CC-BY-4.0",
        citation="Alpaydin, Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine Learning "
        "Repository; affine maps as in disentmetrics",
        bibtex=_BIBTEX,
        remarks=("rotation, scale and shift are added to the slant, size and place of the writer's hand",),
        nuisances=DigitsAffine.nuisances,
    )


def load(target: str = "") -> DigitsAffine:
    """Return handwritten digits under known affine maps.

    Parameters
    ----------
    target : str
        Must be empty.

    Returns
    -------
    DigitsAffine

    Raises
    ------
    InvalidInputError
        If a path is given.
    """
    no_target(DigitsAffine.name, target)
    return DigitsAffine()
