"""Handwritten digits under known affine maps: scanned images with known factors.

The source is scikit-learn's set of 1,797 digits of 8 x 8 pixels (Alpaydin, Kaynak, 1998). Each is
resampled through a known affine map, so label, rotation, scale, x and y are ground-truth factors of
a scanned image; which digit of the label is shown is a nuisance.
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
SCALES = (1.2, 1.35, 1.5, 1.65, 1.8)  # pixels of the image per pixel of the scan
SHIFTS = tuple(float(k) for k in range(-3, 4))  # pixels
SPACE = FactorSpace((
    Factor("label", 10, "categorical", tuple("0123456789")),
    Factor("rotation", len(ROTATIONS), "ordinal", ROTATIONS),
    Factor("scale", len(SCALES), "ordinal", SCALES),
    Factor("x", len(SHIFTS), "ordinal", SHIFTS),
    Factor("y", len(SHIFTS), "ordinal", SHIFTS),
))  # fmt: skip

_SCAN_SIDE = 8  # height and width of a scanned digit in pixels
_SCAN_MAX = 16  # its greatest intensity
_MARGIN = len(SHIFTS) // 2
_WEIGHT_SCALE = 2**12  # weights are integer multiples of 1 / this, so sums of products are exact
_BIBTEX = """@misc{digits98,
  author = {Ethem Alpaydin and Cenk Kaynak},
  title = {Optical Recognition of Handwritten Digits},
  howpublished = {UCI Machine Learning Repository},
  year = {1998}
}"""
_SHA256 = "d8121ca7764eccfaef1df6bc4589c6527c58fcbab0cb1b079e79f97f8cb8219a"


@cache
def _digits() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the scans (1797, 64), sorted by label, and the first row of each label (11,)."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    content = np.column_stack([labels, images]).astype(np.uint8)
    if hashlib.sha256(content.tobytes()).hexdigest() != _SHA256:
        raise CorruptFileError(
            "sklearn.datasets.load_digits must return the published 1,797 digits; the installed ones differ: "
            "reinstall scikit-learn"
        )
    order = np.argsort(labels, kind="stable")
    return images[order].astype(np.float32), np.searchsorted(labels[order], np.arange(11))


def _cubic_kernel(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the interpolation weight at a distance in pixels: Keys' cubic convolution with a = -1/2."""
    t = np.abs(distance)
    near = (1.5 * t - 2.5) * t * t + 1
    far = ((-0.5 * t + 2.5) * t - 4) * t + 2
    return np.where(t < 1, near, np.where(t < 2, far, 0.0))


@cache
def _resampling_weights() -> NDArray[np.float32]:
    """Return the weight of each pixel of the scan in each pixel of the image: integers (9, 5, 64, 32 * 32)."""
    centres = np.arange(SIDE) + 0.5 - SIDE / 2
    y, x = centres[:, None], centres
    scan_centres = np.arange(_SCAN_SIDE) + 0.5 - _SCAN_SIDE / 2
    weights = np.empty((len(ROTATIONS), len(SCALES), _SCAN_SIDE**2, SIDE**2), np.float32)
    for k, angle in enumerate(np.deg2rad(ROTATIONS)):
        # Rounded, so that the weights do not depend on the mathematics library.
        cos, sin = np.round(np.cos(angle), 12), np.round(np.sin(angle), 12)
        for m, scale in enumerate(SCALES):
            # The inverse map: the point of the scan that is shown at each pixel of the image.
            column, row = (x * cos - y * sin) / scale, (y * cos + x * sin) / scale
            column_weights = _cubic_kernel(column.ravel() - scan_centres[:, None])
            row_weights = _cubic_kernel(row.ravel() - scan_centres[:, None])
            product = (row_weights[:, None] * column_weights[None, :]).reshape(_SCAN_SIDE**2, SIDE**2)
            weights[k, m] = np.floor(product * _WEIGHT_SCALE + 0.5)
    return weights


class DigitsAffine(DataSet):
    """A handwritten digit under a known rotation, scale and translation; 22,050 combinations, white on black.

    Rotation is counter-clockwise in degrees from -40 to 40, scale is 1.2 to 1.8 pixels of the image
    per pixel of the scan, x and y translate by whole pixels from -3 to 3 to the right and down. The
    digit is resampled by cubic convolution in integer arithmetic, clipped to 0 .. 255, and never
    leaves the frame. The nuisance selects one of the 174 to 183 digits of the label, which differ in
    handwriting, slant, stroke thickness and position in the scan.

    References
    ----------
    Digits: Alpaydin, Kaynak (1998), *Optical Recognition of Handwritten Digits*, UCI Machine
    Learning Repository (the subset shipped with scikit-learn). Interpolation: Keys (1981), *Cubic
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
        digits, first_row = _digits()
        label, rotation, scale, x, y = factors.T
        n_of_label = first_row[label + 1] - first_row[label]
        digit = first_row[label] + (uniform(nuisance, 1)[:, 0] * n_of_label).astype(np.int64)
        padded = np.zeros((len(factors), SIDE + 2 * _MARGIN, SIDE + 2 * _MARGIN), np.uint8)
        centred = padded[:, _MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
        maps = rotation * len(SCALES) + scale
        for affine_map in np.unique(maps):
            rows = np.flatnonzero(maps == affine_map)
            ink = digits[digit[rows]] @ _resampling_weights()[divmod(int(affine_map), len(SCALES))]
            levels = np.floor(ink * np.float32(255 / _SCAN_MAX) / np.float32(_WEIGHT_SCALE) + np.float32(0.5))
            centred[rows] = levels.clip(0, 255).reshape(-1, SIDE, SIDE).astype(np.uint8)
        # A translation by whole pixels is another window of the padded image.
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
        remarks=("rotation, scale, x and y are relative to the scan, in which slant, size and position already vary",),
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
