"""Mini-sprites: a small data set modelled on dSprites, for tests and for training in seconds.

5,292 anti-aliased grey images of 16 x 16 or 32 x 32 pixels. Factors: shape (3), scale (3), orientation
(12), x (7) and y (7).
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from disentmetrics.datasets.base import DataSet, DataSetInfo, Symmetry
from disentmetrics.datasets.options import no_target, one_of
from disentmetrics.datasets.published.manifest import read_manifest
from disentmetrics.factors import Factor, FactorSpace

SIZES = (16, 32)
SCALES = (0.5, 0.75, 1.0)
N_ORIENTATIONS, N_POSITIONS = 12, 7
ANGLES = 2 * np.pi * np.arange(N_ORIENTATIONS) / N_ORIENTATIONS
CENTRES = np.arange(5, 5 + N_POSITIONS) / 16
SPACE = FactorSpace((
    Factor("shape", 3, "categorical", ("square", "ellipse", "heart")),
    Factor("scale", len(SCALES), "ordinal", SCALES),
    Factor("orientation", N_ORIENTATIONS, "circular", tuple(ANGLES.tolist()), 2 * np.pi),
    Factor("x", N_POSITIONS, "ordinal", tuple(CENTRES.tolist())),
    Factor("y", N_POSITIONS, "ordinal", tuple(CENTRES.tolist())),
))  # fmt: skip
SYMMETRIES = (
    *(Symmetry("orientation", (k, k + 3, k + 6, k + 9), {"shape": (0,)}) for k in range(3)),
    *(Symmetry("orientation", (k, k + 6), {"shape": (1,)}) for k in range(6)),
)

_SAMPLES = 16  # sample points along each side of a pixel; the intensity is the fraction inside the shape
_RADIUS = 5  # bound on the distance of a sprite's pixels from its centre, in sixteenths of the image

_Field = NDArray[np.float64]


def _inside(shape: str, x: _Field, y: _Field) -> NDArray[np.bool_]:
    """Return which points lie inside an upright shape at scale 1; x to the right, y down, in sixteenths."""
    if shape == "square":
        return np.asarray((np.abs(x) <= 3.25) & (np.abs(y) <= 3.25))
    if shape == "ellipse":
        return np.asarray(x * x / 21.16 + y * y / 6.76 <= 1)
    x, y = x / 3.4, 0.12 - y / 3.4
    ring = x * x + y * y - 1
    return np.asarray(ring * ring * ring <= x * x * y * y * y)


@cache
def _images(size: int) -> NDArray[np.uint8]:
    """Return all images (3, 3, 12, 7, 7, size, size)."""
    unit = size // 16
    side = 2 * _RADIUS * unit
    samples = (np.arange(side * _SAMPLES) + 0.5) / (unit * _SAMPLES) - _RADIUS
    y, x = samples[:, None], samples
    # Rounded, so that every mathematics library gives the same sines, and quarter turns are exact.
    cosines, sines = np.round(np.cos(ANGLES), 12), np.round(np.sin(ANGLES), 12)
    images = np.zeros((*SPACE.sizes, size, size), np.uint8)
    for shape, name in enumerate(("square", "ellipse", "heart")):
        for scale, length in enumerate(SCALES):
            for orientation, (cos, sin) in enumerate(zip(cosines, sines, strict=True)):
                inside = _inside(name, (x * cos - y * sin) / length, (y * cos + x * sin) / length)
                counts = inside.reshape(side, _SAMPLES, side, _SAMPLES).sum(axis=(1, 3))
                sprite = (255 * counts + _SAMPLES**2 // 2) // _SAMPLES**2
                for column in range(N_POSITIONS):
                    for row in range(N_POSITIONS):
                        top, left = row * unit, column * unit
                        image = images[shape, scale, orientation, column, row]
                        image[top : top + side, left : left + side] = sprite
    return images


class MiniSprites(DataSet):
    """Square, ellipse and heart in 3 sizes, 12 orientations and 7 x 7 positions, anti-aliased.

    Modelled on dSprites, and small enough to keep in memory, to score on the full grid in a test
    and to train on in seconds. The intensity of a pixel is its coverage, from 16 x 16 sample points.
    Orientation takes 12 equal steps of a full turn, counter-clockwise, excluding the end point.
    **A square has a period of 90 degrees, an ellipse of 180**: 3,087 images are distinct.
    At 32 x 32 pixels the same scene is rendered at twice the resolution.

    Parameters
    ----------
    size : {16, 32}
        Height and width of an image in pixels.

    References
    ----------
    Modelled on Matthey, Higgins, Hassabis, Lerchner (2017), *dSprites: Disentanglement testing
    Sprites dataset*.

    Examples
    --------
    >>> data = MiniSprites()
    >>> large_centred_square = data.observations([[0, 2, 0, 3, 3]])[0, ..., 0]
    >>> large_centred_square[8]
    array([  0,   0,   0,   0,  64, 255, 255, 255, 255, 255, 255,  64,   0,
             0,   0,   0], dtype=uint8)
    """

    name = "mini-sprites"
    space = SPACE
    symmetries = SYMMETRIES

    def __init__(self, size: int = 16) -> None:
        self.size = size
        self.fingerprint = "mini-sprites-1" if size == SIZES[0] else f"mini-sprites-1-{size}"
        self.observation_shape = (size, size, 1)

    def make(self, factors: NDArray[np.int64], nuisance: NDArray[np.uint64]) -> NDArray[np.uint8]:
        """Return the images (n, size, size, 1) with these factors, black 0 and white 255."""
        images: NDArray[np.uint8] = _images(self.size)[tuple(factors.T)][..., None]
        return images


def info() -> DataSetInfo:
    """Describe the data set."""
    return DataSetInfo(
        name=MiniSprites.name,
        summary="small anti-aliased sprites for tests and quick training; ?size=32 for 32 x 32 pixels",
        space=SPACE,
        offline=True,
        licence="Apache-2.0",
        citation="modelled on Matthey, Higgins, Hassabis, Lerchner (2017), dSprites: "
        "Disentanglement testing Sprites dataset",
        bibtex=read_manifest("dsprites").info.bibtex,
        remarks=("a square has a period of 90 degrees and an ellipse of 180: 3,087 images are distinct",),
        symmetries=SYMMETRIES,
    )


def load(target: str = "", *, size: str | int = SIZES[0]) -> MiniSprites:
    """Return small sprites.

    Parameters
    ----------
    target : str
        Must be empty.
    size : {16, 32}
        Height and width of an image in pixels.

    Returns
    -------
    MiniSprites

    Raises
    ------
    InvalidInputError
        If there is no such size, or a path is given.
    """
    no_target(MiniSprites.name, target)
    return MiniSprites(int(one_of("size", str(size), tuple(map(str, SIZES)))))
