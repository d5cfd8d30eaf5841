"""Scream-dSprites: random crops of a painting, inverted where the sprite is (Locatello et al., 2019).

The factors are those of dSprites; position of the crop and colour are nuisances.

The original crops a photograph of *The Scream*. Here the painting is procedural: brush strokes
along a swirling flow field, coloured by a palette. Only sums, products, quotients and square roots
are used, so every machine renders the same bytes.
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

_OCTAVES = ((96, 75.0), (44, 26.0), (19, 6.0))  # cell size in pixels and amplitude of each octave of noise
_STROKE_WIDTH, _STROKE_HALF_LENGTH = 2, 14  # pixels
_PALETTE = np.array([
    (150, 28, 18), (226, 82, 24), (246, 150, 44), (250, 208, 108), (214, 96, 40), (244, 178, 84), (178, 176, 130),
    (70, 120, 128), (22, 58, 104), (44, 96, 112), (20, 34, 66), (72, 92, 62), (120, 92, 42), (40, 30, 34),
], np.float64)  # fmt: skip

_Field = NDArray[np.float64]


def _lattice_noise(row: NDArray[np.int64], column: NDArray[np.int64], stream: int) -> _Field:
    """Return independent uniform noise at these lattice points."""
    points = splitmix64(row.astype(np.uint64)) ^ column.astype(np.uint64)
    return uniform(points.ravel(), 1, stream=stream).reshape(points.shape)


def _value_noise(y: _Field, x: _Field, cell: int, stream: int) -> _Field:
    """Return value noise in 0..1 on a lattice of ``cell`` pixels, interpolated by Perlin's fade curve."""
    top, left = np.floor(y / cell), np.floor(x / cell)
    down, right = y / cell - top, x / cell - left
    down, right = (t * t * t * (t * (t * 6 - 15) + 10) for t in (down, right))
    row, column = top.astype(np.int64), left.astype(np.int64)
    above, below = (
        _lattice_noise(row + k, column, stream) * (1 - right) + _lattice_noise(row + k, column + 1, stream) * right
        for k in (0, 1)
    )
    return above * (1 - down) + below * down


def _strokes(flow_y: _Field, flow_x: _Field) -> _Field:
    """Return noise averaged along a unit-speed flow (line integral convolution), with mean 0.5."""
    height, width = flow_y.shape
    start_y, start_x = (axis.astype(np.float64) for axis in np.indices((height, width)))
    noise = _value_noise(start_y, start_x, _STROKE_WIDTH, stream=len(_OCTAVES))
    total = noise.copy()
    for sign in (1, -1):  # downstream, then upstream
        row, column = np.indices((height, width))
        y, x = start_y, start_x
        for _ in range(_STROKE_HALF_LENGTH):
            y, x = y + sign * flow_y[row, column], x + sign * flow_x[row, column]
            row = np.floor(y + 0.5).astype(np.int64).clip(0, height - 1)
            column = np.floor(x + 0.5).astype(np.int64).clip(0, width - 1)
            total += noise[row, column]
    return total / (2 * _STROKE_HALF_LENGTH + 1)


@cache
def painting() -> NDArray[np.uint8]:
    """Return the painting (320, 256, 3), read-only."""
    margin = _STROKE_HALF_LENGTH + 1  # so that no stroke is cut at the edge, and slopes have both neighbours
    y, x = (axis.astype(np.float64) for axis in np.indices((HEIGHT + 2 * margin, WIDTH + 2 * margin)))
    stream_function = 0.62 * y
    for stream, (cell, amplitude) in enumerate(_OCTAVES):
        stream_function = stream_function + amplitude * _value_noise(y, x, cell, stream)
    # The flow runs along the contour lines of the stream function: its gradient rotated by 90 degrees.
    flow_x = (stream_function[2:] - stream_function[:-2])[:, 1:-1]
    flow_y = (stream_function[:, :-2] - stream_function[:, 2:])[1:-1]
    speed = np.sqrt(flow_x * flow_x + flow_y * flow_y) + 1e-9
    inside = (slice(margin - 1, margin - 1 + HEIGHT), slice(margin - 1, margin - 1 + WIDTH))
    strokes = _strokes(flow_y / speed, flow_x / speed)[inside]

    # The hue follows the stream function, perturbed by the strokes, through a palette with linear interpolation.
    height_map = stream_function[1:-1, 1:-1][inside]
    lowest, highest = height_map.min(), height_map.max()
    palette_position = (height_map - lowest) / (highest - lowest) * 0.9 + 0.05 + 0.55 * (strokes - 0.5)
    palette_position = palette_position.clip(0, 1) * (len(_PALETTE) - 1.000001)
    stop = np.floor(palette_position).astype(np.int64)
    fraction = (palette_position - stop)[..., None]
    colours = _PALETTE[stop] * (1 - fraction) + _PALETTE[stop + 1] * fraction
    shading = 1 + 1.5 * (strokes - 0.5)
    image: NDArray[np.uint8] = np.floor((colours * shading[..., None]).clip(0, 255) + 0.5).astype(np.uint8)
    image.flags.writeable = False
    return image


class ScreamDSprites(DSpritesVariant):
    """The mean of a crop of the painting and one colour, inverted where the sprite is.

    As ``ScreamDSprites`` of disentanglement_lib, which draws a new crop and colour at each call, crops
    a photograph of *The Scream* and returns floating-point images. Here crop and colour are functions
    of the nuisance, intensities are bytes with halves rounded down, and the painting is
    :func:`painting`: scores are not comparable with those on the original.

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
        """Return the sprites on the crops of the painting given by the nuisance."""
        channels = self.observation_shape[-1]
        lines = np.lib.stride_tricks.sliding_window_view(painting().reshape(HEIGHT, -1), SIDE * channels, axis=1)
        top = choice(nuisance, HEIGHT - SIDE + 1)
        left = choice(nuisance, WIDTH - SIDE + 1, stream=1)
        crops = lines[top[:, None] + np.arange(SIDE), channels * left[:, None]]
        colours = (256 * uniform(nuisance, channels, stream=2)).astype(np.uint8)
        colour_lines = np.tile(colours, (1, SIDE))[:, None]
        means = (crops & colour_lines) + ((crops ^ colour_lines) >> 1)  # of two bytes, without overflow
        # 255 - mean is the mean with all bits flipped.
        images: NDArray[np.uint8] = means.reshape(sprites.shape) ^ sprites
        return images


def info() -> DataSetInfo:
    """Describe the data set, with licence and citation of dSprites."""
    return variant_info(
        ScreamDSprites,
        "dSprites inverted against random crops of a procedural painting, each blended with a random colour",
        "the painting is not The Scream: scores are not comparable with those on the original",
    )


def load(target: str = "") -> ScreamDSprites:
    """Return dSprites on crops of a painting.

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
