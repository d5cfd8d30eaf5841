"""Rooms: a solid in a coloured room, modelled on 3D Shapes (Burgess, Kim, 2018), ray-traced here.

Factors: floor, wall and object hue (10 each), scale (8), shape (4) and orientation (15).

The 480 views (scale, shape, orientation) are ray-traced once into material weights, and the 1000
combinations of hues only recolour them, so any of the 480,000 images is available immediately.
"""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from disentmetrics.datasets.base import DataSet, DataSetInfo
from disentmetrics.datasets.options import no_target, one_of
from disentmetrics.datasets.rendering.ray_tracing import LIGHT, MATERIALS, SKY, SOLIDS, Camera, trace
from disentmetrics.datasets.rendering.views import Views
from disentmetrics.factors import Factor, FactorSpace

SIZES = ("32", "64", "128")
SHAPES = ("cube", "cylinder", "sphere", "capsule")
SCALES = tuple(0.75 + 0.5 * k / 7 for k in range(8))
ORIENTATIONS = tuple(-30 + 60 * k / 14 for k in range(15))
HUES = tuple(k / 10 for k in range(10))
SPACE = FactorSpace((
    Factor("floor_hue", 10, "circular", HUES, 1.0),
    Factor("wall_hue", 10, "circular", HUES, 1.0),
    Factor("object_hue", 10, "circular", HUES, 1.0),
    Factor("scale", 8, "ordinal", SCALES),
    Factor("shape", 4, "categorical", SHAPES),
    Factor("orientation", 15, "ordinal", ORIENTATIONS),
))  # fmt: skip
CITATION = (
    "Rendered by disentmetrics, modelled on the design of 3D Shapes: "
    "Burgess & Kim (2018), 3D Shapes Dataset, https://github.com/google-deepmind/3d-shapes"
)
BIBTEX = """@misc{3dshapes18,
  title = {3D Shapes Dataset},
  author = {Burgess, Chris and Kim, Hyunjik},
  howpublished = {https://github.com/google-deepmind/3d-shapes},
  year = {2018}
}"""

_MIN_CHANNEL = 26  # the smallest of red, green and blue in a hue; 0 would be full saturation


def hue_colours() -> NDArray[np.uint8]:
    """Return the RGB values (10, 3) of ten hues, evenly spaced around the colour wheel from red.

    Examples
    --------
    >>> hue_colours()[[0, 5]]
    array([[255,  26,  26],
           [ 26, 255, 255]], dtype=uint8)
    """
    colours = []
    for hue in range(10):
        sector, rest = divmod(6 * hue, 10)
        rising = _MIN_CHANNEL + ((255 - _MIN_CHANNEL) * rest + 5) // 10
        falling = 255 + _MIN_CHANNEL - rising
        colours.append((
            (255, rising, _MIN_CHANNEL), (falling, 255, _MIN_CHANNEL), (_MIN_CHANNEL, 255, rising),
            (_MIN_CHANNEL, falling, 255), (rising, _MIN_CHANNEL, 255), (255, _MIN_CHANNEL, falling),
        )[sector])  # fmt: skip
    return np.array(colours, np.uint8)


def _trace(view: int, size: int) -> NDArray[np.uint8]:
    orientation, shape, scale = np.unravel_index(view, (len(ORIENTATIONS), len(SHAPES), len(SCALES)))
    return trace(SOLIDS[SHAPES[shape]], SCALES[scale], 0.0, Camera(ORIENTATIONS[orientation]), size)


class Rooms(DataSet):
    """The full grid of rooms: 480,000 distinct RGB images of a solid in a room.

    The factors are those of 3D Shapes in its order: hues of floor, wall and object (tenths of
    the colour wheel from red), scale of the object, its shape, and the azimuth of the camera, which
    orbits the object from 30 degrees left to 30 degrees right. Floor tiles, the corners of the room
    and the cast shadow make the orientation visible for every shape.

    The images are not those of 3D Shapes: the proportions of the solids, the lighting, the tiles
    and the skirting boards differ, and the hues are slightly less saturated.

    A view is ray-traced on first use (about 15 ms) and kept in memory; all 480 take 10 MB at 64
    pixels. ``prepare`` stores them in the cache folder.

    Parameters
    ----------
    size : {64, 32, 128}
        Height and width of the images in pixels; the time grows with the number of pixels.

    References
    ----------
    Burgess & Kim (2018), *3D Shapes Dataset*; Kim & Mnih (2018), *Disentangling by
    Factorising*, ICML.

    Examples
    --------
    >>> data = Rooms()
    >>> red_floor_cyan_wall_blue_sphere = [[0, 5, 6, 7, 2, 7]]
    >>> image = data.observations(red_floor_cyan_wall_blue_sphere)[0]
    >>> image.shape, len(data), data.space.sizes
    ((64, 64, 3), 480000, (10, 10, 10, 8, 4, 15))
    """

    name = "rooms"
    space = SPACE

    def __init__(self, size: int = 64) -> None:
        self.size = size
        self.fingerprint = "rooms-1" if size == 64 else f"rooms-1-{size}"
        self.observation_shape = (size, size, 3)
        n_views = len(SCALES) * len(SHAPES) * len(ORIENTATIONS)
        self._views = Views(self.fingerprint, n_views, len(MATERIALS), size * size, partial(_trace, size=size))

    def __reduce__(self) -> tuple[type["Rooms"], tuple[int]]:
        return type(self), (self.size,)  # another process traces its own views or opens the cache

    def make(self, factors: NDArray[np.int64], nuisance: NDArray[np.uint64]) -> NDArray[np.uint8]:
        """Return the images (n, size, size, 3) with these factors."""
        *hues, scale, shape, orientation = factors.T
        views = (orientation * len(SHAPES) + shape) * len(SCALES) + scale
        colours = np.empty((len(factors), len(MATERIALS), 3), np.uint8)
        colours[:, :3] = hue_colours()[np.stack(hues, axis=1)]
        colours[:, 3:] = SKY, LIGHT
        return self._views.images(views, colours).reshape(-1, *self.observation_shape)

    def prepare(self, *, progress: bool = False) -> None:
        """Trace all views into the cache folder (10 MB at 64 pixels), unless a complete cache exists.

        Parameters
        ----------
        progress : bool
            Show a progress bar.

        Raises
        ------
        StorageError
            If the cache folder cannot be written; views are then still traced on demand.
        """
        self._views.prepare(progress=progress)


def info() -> DataSetInfo:
    """Describe the data set."""
    return DataSetInfo(
        name="rooms",
        summary="a solid in a coloured room from 15 viewpoints, with the factors of 3D Shapes; rendered here",
        space=SPACE,
        offline=True,
        licence="Apache-2.0",
        citation=CITATION,
        bibtex=BIBTEX,
        remarks=("not the images of 3D Shapes, only its factors: scores are not comparable with those on 3D Shapes",),
    )


def load(target: str = "", *, size: str | int = 64) -> DataSet:
    """Return the rooms.

    Parameters
    ----------
    target : str
        Must be empty: there is no file.
    size : {64, 32, 128}
        Height and width of the images in pixels.

    Returns
    -------
    DataSet

    Raises
    ------
    InvalidInputError
        If a path or an unsupported size is given.
    """
    no_target("rooms", target)
    return Rooms(int(one_of("size", str(size), SIZES)))
