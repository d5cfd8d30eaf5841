"""Faces like those of the 3D Faces data set, which may not be passed on: azimuth, elevation, lighting.

3D Faces are renders of the Basel face model: 50 people seen from 21 azimuths and 11 elevations
under 11 lights. These are heads of our own, in the same design.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.cache import cache_folder, locked
from disentmetrics._utils.progress import tracked
from disentmetrics.datasets.base import DataSet, DataSetInfo
from disentmetrics.datasets.nuisance import choice
from disentmetrics.datasets.published.packed import open_packed, write_packed
from disentmetrics.datasets.rendering.heads import N_HEADS, head
from disentmetrics.datasets.rendering.point_clouds import N_BYTES, SIDE, lit, shade, view
from disentmetrics.errors import InvalidInputError
from disentmetrics.factors import Factor, FactorSpace

AZIMUTHS = tuple(float(degrees) for degrees in range(-90, 91, 9))
ELEVATIONS = tuple(float(degrees) for degrees in range(-30, 31, 6))
LIGHTS = tuple(float(degrees) for degrees in range(-75, 76, 15))
IDENTITY = Factor("identity", N_HEADS, "categorical")
SPACE = FactorSpace((
    Factor("azimuth", len(AZIMUTHS), "ordinal", AZIMUTHS),
    Factor("elevation", len(ELEVATIONS), "ordinal", ELEVATIONS),
    Factor("lighting", len(LIGHTS), "ordinal", LIGHTS),
))  # fmt: skip
NUISANCES = ("identity",)

_BIBTEX = """\
@inproceedings{chen2018isolating,
  title = {Isolating Sources of Disentanglement in Variational Autoencoders},
  author = {Chen, Ricky T. Q. and Li, Xuechen and Grosse, Roger and Duvenaud, David},
  booktitle = {Advances in Neural Information Processing Systems},
  volume = {31},
  year = {2018}
}"""

_VIEWS = (N_HEADS, len(AZIMUTHS), len(ELEVATIONS))
_LIGHT_FROM_ABOVE = 25.0
_WORTH_OPENING = 100  # views are drawn about as fast as the whole cache is verified
_MOST_WORKERS = 8  # each holds the temporaries of one view, and what they make is written in turn


class FacesLike(DataSet):
    """Heads under 21 azimuths, 11 elevations and 11 lights.

    Azimuth turns the face from the viewer's left (-90 degrees) to the right (90), elevation
    raises the camera from below (-30) to above (30), and light moves from the left (-75) to the
    right (75). There are 50 people, who differ in 21 traits of shape and colour; which one is
    shown is a nuisance or the first factor. Views are drawn when they are first asked for and
    kept in memory (142 MB for all); ``prepare`` keeps all of them in the cache folder.

    Parameters
    ----------
    identity_is_factor : bool
        Whether identity is a factor rather than a nuisance.

    References
    ----------
    Chen, Li, Grosse, Duvenaud (2018), *Isolating Sources of Disentanglement in VAEs*, on renders
    of Paysan, Knothe, Amberg, Romdhani, Vetter (2009), *A 3D Face Model for Pose and Illumination
    Invariant Face Recognition*. Those have the same numbers of values, and identity as what is
    left over; their angles are not published. Light here casts no shadows on other parts.

    Examples
    --------
    >>> data = FacesLike()
    >>> facing_us_lit_from_the_left = [[10, 5, 0]]
    >>> image = data.observations(facing_us_lit_from_the_left)[0, ..., 0].astype(int)
    >>> image.shape, bool(image[:, :32].sum() > 1.2 * image[:, 32:].sum())
    ((64, 64), True)
    """

    name = "faces-like"
    observation_shape = (SIDE, SIDE, 1)

    def __init__(self, *, identity_is_factor: bool = False) -> None:
        self._identity_is_factor = identity_is_factor
        self.space = FactorSpace((IDENTITY, *SPACE)) if identity_is_factor else SPACE
        self.fingerprint = "faces-like-identity-1" if identity_is_factor else "faces-like-1"
        self.nuisances = () if identity_is_factor else NUISANCES
        self._views = np.zeros((prod(_VIEWS), N_BYTES), np.uint8)  # takes memory only where it is written
        self._is_drawn = np.zeros(prod(_VIEWS), bool)
        self._n_drawn = 0

    def __reduce__(self) -> tuple[Callable[[], "FacesLike"], tuple[()]]:
        # Another process draws or opens the cache by itself.
        return partial(type(self), identity_is_factor=self._identity_is_factor), ()

    def make(self, factors: NDArray[np.int64], nuisance: NDArray[np.uint64]) -> NDArray[np.uint8]:
        """Return the images (n, 64, 64, 1) with these factors, of the people whom the nuisance picks."""
        identity = factors[:, 0] if self._identity_is_factor else choice(nuisance, _VIEWS[0])
        azimuth, elevation, lighting = factors[:, -3:].T
        views = np.ravel_multi_index((identity, azimuth, elevation), _VIEWS)
        self._draw(np.unique(views[~self._is_drawn[views]]))
        return lit(self._views, views, _shades(), lighting)

    def prepare(self, *, progress: bool = False) -> None:
        """Draw all views into the cache folder (142 MB), unless they lie there whole.

        Parameters
        ----------
        progress : bool
            Show a bar.

        Raises
        ------
        StorageError
            If the cache folder cannot be written; images are then drawn on demand as before.
        """
        if isinstance(self._views, np.memmap) or self._open():
            return
        with locked(_path()):
            if not self._open():  # another process may have been at it
                write_packed(_path(), _all_views(progress=progress))
                self._open()

    def _draw(self, views: NDArray[np.int64]) -> None:
        self._n_drawn += len(views)
        if self._n_drawn >= _WORTH_OPENING:
            self._n_drawn = 0
            if self._open():
                return
        for number in views:
            self._views[number] = _view(number)
            self._is_drawn[number] = True

    def _open(self) -> bool:
        cached = open_packed(_path(), prod(_VIEWS), N_BYTES)
        if cached is not None:
            self._views, self._is_drawn = cached, np.ones(prod(_VIEWS), bool)
        return cached is not None


def _path() -> Path:
    return cache_folder() / "datasets" / "faces-like-1.views"  # of either fingerprint


def _view(number: int) -> NDArray[np.uint8]:
    identity, azimuth, elevation = np.unravel_index(number, _VIEWS)
    return view(head(int(identity)), AZIMUTHS[azimuth], ELEVATIONS[elevation])


def _all_views(*, progress: bool) -> Iterator[NDArray[np.uint8]]:
    with ThreadPoolExecutor(min(os.cpu_count() or 1, _MOST_WORKERS)) as workers:
        blocks = workers.map(_views_of, range(_VIEWS[0]))
        yield from tracked(blocks, _VIEWS[0], "rendering faces-like", shown=progress)


def _views_of(identity: int) -> NDArray[np.uint8]:
    n_each = prod(_VIEWS[1:])
    return np.stack([_view(number) for number in range(identity * n_each, (identity + 1) * n_each)])


@cache
def _shades() -> NDArray[np.uint8]:
    return np.stack([shade(azimuth, _LIGHT_FROM_ABOVE) for azimuth in LIGHTS])


def info() -> DataSetInfo:
    """Describe the data set."""
    return DataSetInfo(
        name=FacesLike.name,
        summary="3-D heads in the design of 3D Faces, 64x64 grey; ?identity=factor makes identity a factor",
        space=SPACE,
        offline=True,
        licence="Apache-2.0",
        citation=(
            "Rendered by disentmetrics in the design of 3D Faces: R. T. Q. Chen, X. Li, R. Grosse, D. Duvenaud (2018). "
            "Isolating Sources of Disentanglement in Variational Autoencoders. NeurIPS 31."
        ),
        bibtex=_BIBTEX,
        remarks=(
            "Not 3D Faces: these heads are sculpted from formulas, and scores on them compare with none published.",
            "The angles of 3D Faces are not published; ours are listed with the factors.",
        ),
        nuisances=NUISANCES,
    )


def load(target: str = "", *, identity: str = "nuisance") -> FacesLike:
    """Return the heads.

    Parameters
    ----------
    target : str
        Must be empty: they are rendered, not read.
    identity : {"nuisance", "factor"}
        Whether the 50 people are left to the nuisance, or are the first factor (127,050 images).

    Returns
    -------
    FacesLike

    Raises
    ------
    InvalidInputError
        If there is a target, or identity is neither.

    Examples
    --------
    >>> len(load()), len(load(identity="factor"))
    (2541, 127050)
    """
    if target:
        raise InvalidInputError(f"faces-like is rendered and reads no file; got the path {target}, so leave it out")
    if identity not in {"nuisance", "factor"}:
        raise InvalidInputError(f"option identity must be nuisance or factor; got {identity!r}")
    return FacesLike(identity_is_factor=identity == "factor")
