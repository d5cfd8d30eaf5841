"""dSprites before a picture: crops of a painting, inverted where the sprite is.

The original takes its crops from a photograph of *The Scream*. Here the painting is computed:
strokes along a flow that swirls, in the colours of an evening. Sums, products, quotients and
square roots alone are used, so every machine paints the same bytes.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from disentmetrics.datasets.base import DataSetInfo
from disentmetrics.datasets.catalog._painted_sprites import DSpritesVariant, variant_info
from disentmetrics.datasets.catalog.dsprites import SIDE
from disentmetrics.datasets.nuisance import choice, splitmix64, uniform
from disentmetrics.datasets.options import no_target

HEIGHT, WIDTH = 320, 256

_SWIRLS = ((96, 75.0), (44, 26.0), (19, 6.0))  # cell of a layer of noise in pixels, its height
_BRISTLE, _STROKE = 2, 14  # width and half the length of a stroke in pixels
_EVENING = np.array([
    (150, 28, 18), (226, 82, 24), (246, 150, 44), (250, 208, 108), (214, 96, 40), (244, 178, 84), (178, 176, 130),
    (70, 120, 128), (22, 58, 104), (44, 96, 112), (20, 34, 66), (72, 92, 62), (120, 92, 42), (40, 30, 34),
], np.float64)  # fmt: skip

_Field = NDArray[np.float64]


def _grain(row: NDArray[np.int64], column: NDArray[np.int64], stream: int) -> _Field:
    """Return uniform noise at these points of a lattice, each independent of the others."""
    points = splitmix64(row.astype(np.uint64)) ^ column.astype(np.uint64)
    return uniform(points.ravel(), 1, stream=stream).reshape(points.shape)


def _clouds(y: _Field, x: _Field, cell: int, stream: int) -> _Field:
    """Return noise in 0..1 that is smooth over ``cell`` pixels: value noise (Perlin's fade)."""
    top, left = np.floor(y / cell), np.floor(x / cell)
    down, right = y / cell - top, x / cell - left
    down, right = (t * t * t * (t * (t * 6 - 15) + 10) for t in (down, right))
    row, column = top.astype(np.int64), left.astype(np.int64)
    above, below = (
        _grain(row + k, column, stream) * (1 - right) + _grain(row + k, column + 1, stream) * right for k in (0, 1)
    )
    return above * (1 - down) + below * down


def _strokes(along_y: _Field, along_x: _Field) -> _Field:
    """Smear noise along a flow of unit speed (line integral convolution), to a mean of 0.5."""
    height, width = along_y.shape
    start_y, start_x = (axis.astype(np.float64) for axis in np.indices((height, width)))
    bristles = _clouds(start_y, start_x, _BRISTLE, stream=len(_SWIRLS))
    total = bristles.copy()
    for sign in (1, -1):
        row, column = np.indices((height, width))
        y, x = start_y, start_x
        for _ in range(_STROKE):
            y, x = y + sign * along_y[row, column], x + sign * along_x[row, column]
            row = np.floor(y + 0.5).astype(np.int64).clip(0, height - 1)
            column = np.floor(x + 0.5).astype(np.int64).clip(0, width - 1)
            total += bristles[row, column]
    return total / (2 * _STROKE + 1)


@cache
def painting() -> NDArray[np.uint8]:
    """Return the painting (320, 256, 3), read-only."""
    margin = _STROKE + 1  # no stroke of the painting ends at its edge, and slopes need a neighbour
    y, x = (axis.astype(np.float64) for axis in np.indices((HEIGHT + 2 * margin, WIDTH + 2 * margin)))
    stream_lines = 0.62 * y
    for layer, (cell, height) in enumerate(_SWIRLS):
        stream_lines = stream_lines + height * _clouds(y, x, cell, layer)
    # The flow runs along the lines on which the field is constant.
    along_x = (stream_lines[2:] - stream_lines[:-2])[:, 1:-1]
    along_y = (stream_lines[:, :-2] - stream_lines[:, 2:])[1:-1]
    speed = np.sqrt(along_x * along_x + along_y * along_y) + 1e-9
    inside = (slice(margin - 1, margin - 1 + HEIGHT), slice(margin - 1, margin - 1 + WIDTH))
    strokes = _strokes(along_y / speed, along_x / speed)[inside]

    lines = stream_lines[1:-1, 1:-1][inside]
    lowest, highest = lines.min(), lines.max()
    place = (lines - lowest) / (highest - lowest) * 0.9 + 0.05 + 0.55 * (strokes - 0.5)
    place = place.clip(0, 1) * (len(_EVENING) - 1.000001)
    stop = np.floor(place).astype(np.int64)
    blend = (place - stop)[..., None]
    colours = _EVENING[stop] * (1 - blend) + _EVENING[stop + 1] * blend
    light = 1 + 1.5 * (strokes - 0.5)
    picture: NDArray[np.uint8] = np.floor((colours * light[..., None]).clip(0, 255) + 0.5).astype(np.uint8)
    picture.flags.writeable = False
    return picture


class ScreamDSprites(DSpritesVariant):
    """The mean of a crop of the painting and one colour, inverted where the sprite is.

    As in disentanglement_lib, whose ``ScreamDSprites`` draws a new crop and colour at each call,
    takes the crops from a photograph of *The Scream* and returns real numbers. Here crop and
    colour are functions of the nuisance, levels are bytes, halves are rounded down, and the
    painting is :func:`painting`: figures on this set cannot be compared with those of the original.

    Examples
    --------
    >>> image = ScreamDSprites().observations([[2, 5, 0, 16, 16]], [7])[0]
    >>> image.shape, image[0, 0]
    ((64, 64, 3), array([183, 143, 137], dtype=uint8))
    """

    name = "dsprites-scream"
    fingerprint = "dsprites-scream-1"
    nuisances = ("part of the painting", "colour over the painting")

    def paint(
        self, sprites: NDArray[np.uint8], factors: NDArray[np.int64], nuisance: NDArray[np.uint64]
    ) -> NDArray[np.uint8]:
        """Return the sprites before the parts of the painting that their nuisance chooses."""
        channels = self.observation_shape[-1]
        lines = np.lib.stride_tricks.sliding_window_view(painting().reshape(HEIGHT, -1), SIDE * channels, axis=1)
        top = choice(nuisance, HEIGHT - SIDE + 1)
        left = choice(nuisance, WIDTH - SIDE + 1, stream=1)
        crops = lines[top[:, None] + np.arange(SIDE), channels * left[:, None]]
        colours = (256 * uniform(nuisance, channels, stream=2)).astype(np.uint8)
        colour_lines = np.tile(colours, (1, SIDE))[:, None]
        means = (crops & colour_lines) + ((crops ^ colour_lines) >> 1)  # of two bytes, without a ninth bit
        images: NDArray[np.uint8] = (
            means.reshape(sprites.shape) ^ sprites
        )  # 255 - mean is the mean with all bits flipped
        return images


def info() -> DataSetInfo:
    """Describe the data set, with licence and citation of dSprites."""
    return variant_info(
        ScreamDSprites,
        "dSprites inverted out of crops of a computed painting, each under a random colour",
        "the painting is not The Scream: figures cannot be compared with those of the original",
    )


def load(target: str = "") -> ScreamDSprites:
    """Return dSprites before a picture.

    Parameters
    ----------
    target : str
        Must be empty.

    Returns
    -------
    ScreamDSprites

    Raises
    ------
    InvalidInputError
        If a path is given.
    """
    no_target(ScreamDSprites.name, target)
    return ScreamDSprites()
