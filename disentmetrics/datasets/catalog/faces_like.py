"""Synthetic heads in the design of 3D Faces, whose licence forbids redistribution; rendered here.

Factors: azimuth (21), elevation (11) and lighting (11), optionally identity (50).

3D Faces consists of renderings of the Basel Face Model with the same numbers of values. The heads
rendered here are procedural: see ``rendering/heads.py``.
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
from disentmetrics.datasets.rendering.point_clouds import N_BYTES, SIDE, shaded, shading_table, view
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
_LIGHT_ELEVATION = 25.0  # degrees
_OPEN_CACHE_AFTER = 100  # rendering so many views takes about as long as verifying the complete cache
_MAX_WORKERS = 8  # each needs the temporaries of one view, and views are written in order


class FacesLike(DataSet):
    """Heads at 21 azimuths and 11 elevations under 11 light directions.

    Azimuth rotates the face from the viewer's left (-90 degrees) to the right (90), elevation
    raises the camera from below (-30) to above (30), and the light moves from the left (-75) to the
    right (75). The 50 identities differ in 21 parameters of shape and albedo; which one is shown is
    a nuisance or the first factor. Views are rendered on first use and kept in memory (142 MB for
    all); ``prepare`` stores all of them in the cache folder.

    Parameters
    ----------
    identity_is_factor : bool
        Whether identity is a factor rather than a nuisance.

    References
    ----------
    Chen, Li, Grosse, Duvenaud (2018), *Isolating Sources of Disentanglement in VAEs*, on renders
    of Paysan, Knothe, Amberg, Romdhani, Vetter (2009), *A 3D Face Model for Pose and Illumination
    Invariant Face Recognition*. Those have the same numbers of values, with identity as the
    remaining variation; their angles are not published. The shading here has no cast shadows.

    Examples
    --------
    >>> data = FacesLike()
    >>> frontal_lit_from_the_left = [[10, 5, 0]]
    >>> image = data.observations(frontal_lit_from_the_left)[0, ..., 0].astype(int)
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
        self._views = np.zeros((prod(_VIEWS), N_BYTES), np.uint8)  # pages are allocated only when written
        self._is_rendered = np.zeros(prod(_VIEWS), bool)
        self._n_rendered = 0

    def __reduce__(self) -> tuple[Callable[[], "FacesLike"], tuple[()]]:
        # Another process renders its own views or opens the cache.
        return partial(type(self), identity_is_factor=self._identity_is_factor), ()

    def make(self, factors: NDArray[np.int64], nuisance: NDArray[np.uint64]) -> NDArray[np.uint8]:
        """Return the images (n, 64, 64, 1) with these factors, of the identities given by the nuisance."""
        identity = factors[:, 0] if self._identity_is_factor else choice(nuisance, _VIEWS[0])
        azimuth, elevation, lighting = factors[:, -3:].T
        views = np.ravel_multi_index((identity, azimuth, elevation), _VIEWS)
        self._render(np.unique(views[~self._is_rendered[views]]))
        return shaded(self._views, views, _shading_tables(), lighting)

    def prepare(self, *, progress: bool = False) -> None:
        """Render all views into the cache folder (142 MB), unless a complete cache exists.

        Parameters
        ----------
        progress : bool
            Show a progress bar.

        Raises
        ------
        StorageError
            If the cache folder cannot be written; images are then still rendered on demand.
        """
        if isinstance(self._views, np.memmap) or self._open():
            return
        with locked(_path()):
            if not self._open():  # another process may have written it meanwhile
                write_packed(_path(), _all_views(progress=progress))
                self._open()

    def _render(self, views: NDArray[np.int64]) -> None:
        self._n_rendered += len(views)
        if self._n_rendered >= _OPEN_CACHE_AFTER:
            self._n_rendered = 0
            if self._open():
                return
        for number in views:
            self._views[number] = _view(number)
            self._is_rendered[number] = True

    def _open(self) -> bool:
        cached = open_packed(_path(), prod(_VIEWS), N_BYTES)
        if cached is not None:
            self._views, self._is_rendered = cached, np.ones(prod(_VIEWS), bool)
        return cached is not None


def _path() -> Path:
    return cache_folder() / "datasets" / "faces-like-1.views"  # shared by both fingerprints


def _view(number: int) -> NDArray[np.uint8]:
    identity, azimuth, elevation = np.unravel_index(number, _VIEWS)
    return view(head(int(identity)), AZIMUTHS[azimuth], ELEVATIONS[elevation])


def _all_views(*, progress: bool) -> Iterator[NDArray[np.uint8]]:
    with ThreadPoolExecutor(min(os.cpu_count() or 1, _MAX_WORKERS)) as workers:
        blocks = workers.map(_views_of, range(_VIEWS[0]))
        yield from tracked(blocks, _VIEWS[0], "rendering faces-like", shown=progress)


def _views_of(identity: int) -> NDArray[np.uint8]:
    n_views = prod(_VIEWS[1:])
    return np.stack([_view(number) for number in range(identity * n_views, (identity + 1) * n_views)])


@cache
def _shading_tables() -> NDArray[np.uint8]:
    """Return the shading of each surface direction under each light (n_lights, N_DIRECTIONS)."""
    return np.stack([shading_table(azimuth, _LIGHT_ELEVATION) for azimuth in LIGHTS])


def info() -> DataSetInfo:
    """Describe the data set."""
    return DataSetInfo(
        name=FacesLike.name,
        summary="synthetic heads in the design of 3D Faces, 64 x 64 grey; ?identity=factor makes identity a factor",
        space=SPACE,
        offline=True,
        licence="Apache-2.0",
        citation=(
            "Rendered by disentmetrics in the design of 3D Faces: R. T. Q. Chen, X. Li, R. Grosse, D. Duvenaud (2018). "
            "Isolating Sources of Disentanglement in Variational Autoencoders. NeurIPS 31."
        ),
        bibtex=_BIBTEX,
        remarks=(
            "not 3D Faces: the heads are procedural, so scores are not comparable with published ones",
            "the angles of 3D Faces are not published; those rendered here are listed with the factors",
        ),
        nuisances=NUISANCES,
    )


def load(target: str = "", *, identity: str = "nuisance") -> FacesLike:
    """Return the heads.

    Parameters
    ----------
    target : str
        Must be empty: the heads are rendered, not read.
    identity : {"nuisance", "factor"}
        Whether identity is a nuisance, or the first factor (127,050 images).

    Returns
    -------
    FacesLike

    Raises
    ------
    InvalidInputError
        If a path is given, or ``identity`` is neither of these.

    Examples
    --------
    >>> len(load()), len(load(identity="factor"))
    (2541, 127050)
    """
    if target:
        raise InvalidInputError(f"faces-like is rendered and reads no file; got the path {target}: omit it")
    if identity not in {"nuisance", "factor"}:
        raise InvalidInputError(f"option identity must be nuisance or factor; got {identity!r}")
    return FacesLike(identity_is_factor=identity == "factor")
