"""Scenes: an object in a room, described by symbols, modelled on SCAN (Higgins et al., 2018); rendered here.

Factors: wall, floor and object colour and object identity, all categorical. Camera and rotation of the
object are nuisances.
"""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from disentmetrics.datasets.base import DataSet, DataSetInfo
from disentmetrics.datasets.nuisance import choice
from disentmetrics.datasets.options import no_target, one_of, whole_number
from disentmetrics.datasets.rendering.ray_tracing import LIGHT, MATERIALS, SKY, SOLIDS, Camera, trace
from disentmetrics.datasets.rendering.views import Views
from disentmetrics.factors import Factor, FactorSpace

COLOURS = {
    "red": (228, 26, 28),
    "green": (20, 165, 50),
    "blue": (30, 80, 240),
    "yellow": (250, 230, 30),
    "purple": (135, 30, 170),
    "orange": (252, 130, 10),
    "cyan": (20, 220, 220),
    "pink": (255, 130, 200),
    "white": (246, 246, 246),
    "black": (30, 30, 30),
    "brown": (120, 66, 22),
    "lime": (160, 250, 40),
    "grey": (128, 128, 128),
    "navy": (12, 16, 110),
    "teal": (0, 115, 115),
    "beige": (236, 208, 160),
}
"""Colours by name; a data set with n colours has the first n."""

IDENTITIES = ("cube", "sphere", "cone", "torus", "cylinder", "pyramid", "capsule", "octahedron")
"""Objects by name; a data set with n identities has the first n."""

SIZES = ("32", "64", "128")
CAMERAS = tuple(Camera(-30 + 7.5 * k, height) for k in range(9) for height in (1.15, 1.5, 1.85))
NUISANCES = ("camera", "rotation of the object")
CITATION = (
    "Rendered by disentmetrics, modelled on the design of Higgins et al. (2018), "
    "SCAN: Learning Hierarchical Compositional Visual Concepts, ICLR"
)
BIBTEX = """@inproceedings{higgins2018scan,
  title = {{SCAN}: Learning Hierarchical Compositional Visual Concepts},
  author = {Higgins, Irina and Sonnerat, Nicolas and Matthey, Loic and Pal, Arka and Burgess, Christopher P. and
            Bosnjak, Matko and Shanahan, Murray and Botvinick, Matthew and Hassabis, Demis and Lerchner, Alexander},
  booktitle = {International Conference on Learning Representations},
  year = {2018}
}"""

_N_ROTATIONS = 6
_CAMERA_STREAM, _ROTATION_STREAM = range(2)  # streams of the nuisance


def make_space(n_colours: int, n_identities: int) -> FactorSpace:
    """Return the factor space: wall, floor and object colour and object identity, all categorical.

    Examples
    --------
    >>> make_space(16, 3).sizes
    (16, 16, 16, 3)
    """
    names = tuple(COLOURS)[:n_colours]
    return FactorSpace((
        Factor("wall_colour", n_colours, "categorical", names),
        Factor("floor_colour", n_colours, "categorical", names),
        Factor("object_colour", n_colours, "categorical", names),
        Factor("object_identity", n_identities, "categorical", IDENTITIES[:n_identities]),
    ))  # fmt: skip


def _poses(n_identities: int) -> list[tuple[str, float]]:
    """Return each identity with each of its distinguishable rotations in degrees."""
    poses = []
    for name in IDENTITIES[:n_identities]:
        period = SOLIDS[name].period
        poses += [(name, period * k / _N_ROTATIONS) for k in range(_N_ROTATIONS if period else 1)]
    return poses


def _trace(view: int, size: int, poses: list[tuple[str, float]]) -> NDArray[np.uint8]:
    camera, pose = divmod(view, len(poses))
    name, rotation = poses[pose]
    return trace(SOLIDS[name], 1.0, rotation, CAMERAS[camera], size)


class Scenes(DataSet):
    """An object in a room, with symbols for the colours of wall, floor and object and for its identity.

    The camera (nine azimuths from 30 degrees left to 30 degrees right, three heights) and the
    rotation of the object (six steps within its period of rotational symmetry; none for solids of
    revolution) are nuisances, drawn uniformly.

    SCAN used images of a game engine with three objects; these images are rendered here and have
    the same factors. ``colours=16&identities=3`` has the 51 symbols of the paper.

    A view is ray-traced on first use (about 15 ms) and kept in memory, 20 kB each; there are 216
    with 3 identities and 756 with all 8. ``prepare`` stores them in the cache folder.

    Parameters
    ----------
    n_colours : int
        Number of colours of each of wall, floor and object, 2 to 16.
    n_identities : int
        Number of different objects, 2 to 8.
    size : {64, 32, 128}
        Height and width of the images in pixels.

    References
    ----------
    Higgins et al. (2018), *SCAN: Learning Hierarchical Compositional Visual Concepts*, ICLR;
    Higgins et al. (2017), *DARLA: Improving Zero-Shot Transfer in Reinforcement Learning*, ICML.

    Examples
    --------
    >>> data = Scenes()
    >>> red_wall_green_floor_yellow_cone = [[0, 1, 3, 2]]
    >>> data.observations(red_wall_green_floor_yellow_cone, [7]).shape
    (1, 64, 64, 3)
    >>> attributes = data.attributes(red_wall_green_floor_yellow_cone)[0]
    >>> [name for name, is_present in zip(data.attribute_names, attributes) if is_present]
    ['wall red', 'floor green', 'object yellow', 'object cone']
    """

    name = "scenes"
    nuisances = NUISANCES

    def __init__(self, n_colours: int = 4, n_identities: int = 3, size: int = 64) -> None:
        self._arguments = (n_colours, n_identities, size)
        self.space = make_space(n_colours, n_identities)
        self.fingerprint = "scenes-1"
        if self._arguments != (4, 3, 64):
            self.fingerprint += f"-{n_colours}-{n_identities}-{size}"
        self.observation_shape = (size, size, 3)
        poses = _poses(n_identities)
        names = [name for name, _ in poses]
        self._n_poses = len(poses)
        self._first_pose = np.array([names.index(name) for name in IDENTITIES[:n_identities]])
        self._n_rotations = np.array([names.count(name) for name in IDENTITIES[:n_identities]])
        self._views = Views(
            f"scenes-1-views-{n_identities}-{size}",
            len(CAMERAS) * len(poses),
            len(MATERIALS),
            size * size,
            partial(_trace, size=size, poses=poses),
        )

    def __reduce__(self) -> tuple[type["Scenes"], tuple[int, int, int]]:
        return type(self), self._arguments  # another process traces its own views or opens the cache

    @property
    def attribute_names(self) -> tuple[str, ...]:
        """The symbols, such as ``wall red``."""
        return tuple(f"{factor.name.split('_')[0]} {value}" for factor in self.space for value in factor.values)

    def attributes(self, factors: ArrayLike) -> NDArray[np.uint8]:
        """Return the symbols that describe observations with these factors, in k-hot encoding.

        Parameters
        ----------
        factors : (n, 4) integer
            Index of each factor's value.

        Returns
        -------
        (n, n_attributes) uint8
            1 for the four attributes present in each row and 0 elsewhere, in the order of
            ``attribute_names``.

        Raises
        ------
        InvalidInputError
            If the factors have a wrong shape, type or range.
        """
        checked = self.check_factors(factors)
        columns = checked + np.cumsum((0, *self.space.sizes[:-1]))
        attributes = np.zeros((len(checked), sum(self.space.sizes)), np.uint8)
        np.put_along_axis(attributes, columns, 1, axis=1)
        return attributes

    def make(self, factors: NDArray[Any], nuisance: NDArray[np.uint64]) -> NDArray[np.uint8]:
        """Return the images (n, size, size, 3) with these factors, from the view given by the nuisance."""
        wall, floor, solid, identity = factors.T
        rotation = choice(nuisance, _N_ROTATIONS, stream=_ROTATION_STREAM) % self._n_rotations[identity]
        pose = self._first_pose[identity] + rotation
        views = choice(nuisance, len(CAMERAS), stream=_CAMERA_STREAM) * self._n_poses + pose
        colours = np.empty((len(factors), len(MATERIALS), 3), np.uint8)
        colours[:, :3] = np.array(list(COLOURS.values()), np.uint8)[np.stack([floor, wall, solid], axis=1)]
        colours[:, 3:] = SKY, LIGHT
        return self._views.images(views, colours).reshape(-1, *self.observation_shape)

    def prepare(self, *, progress: bool = False) -> None:
        """Trace all views into the cache folder (20 kB each at 64 pixels), unless a complete cache exists.

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
    """Describe the data set with its default options."""
    return DataSetInfo(
        name="scenes",
        summary="an object in a room, with symbols for colours and object; camera and rotation are nuisances",
        space=make_space(4, 3),
        offline=True,
        licence="Apache-2.0",
        citation=CITATION,
        bibtex=BIBTEX,
        nuisances=NUISANCES,
        remarks=(
            f"?colours= accepts 2 to {len(COLOURS)} and ?identities= 2 to {len(IDENTITIES)}",
            "colours=16 and identities=3 correspond to SCAN",
        ),
    )


def load(target: str = "", *, colours: str | int = 4, identities: str | int = 3, size: str | int = 64) -> DataSet:
    """Return the scenes.

    Parameters
    ----------
    target : str
        Must be empty: there is no file.
    colours : int
        Number of colours of each of wall, floor and object, 2 to 16.
    identities : int
        Number of different objects, 2 to 8.
    size : {64, 32, 128}
        Height and width of the images in pixels.

    Returns
    -------
    DataSet

    Raises
    ------
    InvalidInputError
        If a path is given or an option is out of range.
    """
    no_target("scenes", target)
    return Scenes(
        whole_number("colours", colours, 2, len(COLOURS)),
        whole_number("identities", identities, 2, len(IDENTITIES)),
        int(one_of("size", str(size), SIZES)),
    )
