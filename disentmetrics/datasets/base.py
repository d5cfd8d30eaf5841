"""What a data set is: factors, observations on demand, and a name for exactly this content.

An observation is a function of its factors and of its nuisance: ``x = g(factors, nuisance)``.
The nuisance is one whole number that decides whatever the factors leave open, such as the
colour of a sprite or which photograph of a person. Hence any observation can be had at any
time, in any order and in any process, and is the same every time.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from disentmetrics.datasets.nuisance import mixed
from disentmetrics.errors import InvalidInputError
from disentmetrics.factors import FactorSpace


@dataclass(frozen=True)
class Symmetry:
    """Values of a factor that look alike.

    Attributes
    ----------
    factor : str
        Name of the factor.
    same : tuple of int
        Indices of the values whose observations are equal, all else being equal.
    given : mapping of str to tuple of int
        Where this holds: indices of the values of other factors; everywhere if empty.
    """

    factor: str
    same: tuple[int, ...]
    given: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class DataSetInfo:
    """What is known of a data set before it is loaded.

    Attributes
    ----------
    name, summary : str
        As on the command line, and one line on what it is.
    space : FactorSpace
        The factors; empty if they are not known before loading, or there are none.
    offline : bool
        Whether it needs no download.
    licence, citation : str
        Of the data.
    remarks : tuple of str
        What one must know to use it well, such as a checksum that is missing.
    bibtex : str
        The citation as a BibTeX entry.
    nuisances : tuple of str
        What varies besides the factors, in words.
    symmetries : tuple of Symmetry
        Which different factors give equal observations.
    n_observations : int or None
        How many there are. None stands for all combinations of a grid of factors, and for
        endlessly many (or a number known only after loading) otherwise.
    """

    name: str
    summary: str
    space: FactorSpace
    offline: bool
    licence: str
    citation: str
    remarks: tuple[str, ...] = ()
    bibtex: str = ""
    nuisances: tuple[str, ...] = ()
    symmetries: tuple[Symmetry, ...] = ()
    n_observations: int | None = None

    @property
    def size(self) -> int | None:
        """Number of observations, None where there is no end to them or it is not known."""
        if self.n_observations is not None:
            return self.n_observations
        return self.space.n_combinations if len(self.space) and self.space.is_grid else None


@dataclass(frozen=True)
class Draws:
    """Which observations: their factors, and what decides the rest.

    Attributes
    ----------
    factors : (n, n_factors) int64 or float64
        Index of each factor's value, -1 where it is missing; real values if a factor is continuous.
    nuisance : (n,) uint64
        One number an observation, see ``DataSet.observations``.
    groups : (n,) int64 or None
        The cluster of each row, such as the donor, where rows are not independent.
    """

    factors: NDArray[Any]
    nuisance: NDArray[np.uint64]
    groups: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.nuisance)

    def __getitem__(self, rows: slice | NDArray[np.integer]) -> "Draws":
        """Return some of the draws."""
        groups = None if self.groups is None else self.groups[rows]
        return Draws(self.factors[rows], self.nuisance[rows], groups)


class DataSet(ABC):
    """Observations with known factors of variation; knows nothing of encoders or metrics.

    A new data set sets the attributes and writes :meth:`make`.

    Attributes
    ----------
    name : str
        As on the command line.
    space : FactorSpace
        The factors, in order.
    fingerprint : str
        Name and version of exactly this content, such as ``dsprites-1``: equal
        fingerprints mean equal bytes for equal factors and nuisance, on every machine.
    observation_shape : tuple of int
        Shape of one observation; (height, width, channels) for images.
    nuisances : tuple of str
        What varies besides the factors, in words; if empty, the nuisance is without effect.
    symmetries : tuple of Symmetry
        Which different factors give equal observations.
    """

    name: str
    space: FactorSpace
    fingerprint: str
    observation_shape: tuple[int, ...]
    nuisances: tuple[str, ...] = ()
    symmetries: tuple[Symmetry, ...] = ()

    @abstractmethod
    def make(self, factors: NDArray[Any], nuisance: NDArray[np.uint64]) -> NDArray[Any]:
        """Return the observations with these factors and this nuisance, both of which are checked.

        Parameters
        ----------
        factors : (n, n_factors) int64 or float64
            Valid indices (values, if a factor is continuous).
        nuisance : (n,) uint64
            What decides the rest; see ``disentmetrics.datasets.nuisance``.

        Returns
        -------
        (n, ...) array
            Of ``observation_shape`` each: uint8 for images, real for vectors.
        """

    def observations(self, factors: ArrayLike, nuisance: ArrayLike | None = None) -> NDArray[Any]:
        """Return the observations with these factors.

        Parameters
        ----------
        factors : (n, n_factors) integer
            Index of each factor's value, in the order of ``space``; real values if a factor is continuous.
        nuisance : (n,) uint64, optional
            One number an observation, which decides whatever the factors leave open: equal
            factors and equal nuisance give equal observations. By default a fixed number for each
            combination of factors.

        Returns
        -------
        (n, ...) array
            Of ``observation_shape`` each: uint8 for images, real for vectors.

        Raises
        ------
        InvalidInputError
            If factors or nuisance have a wrong shape, type or range.
        """
        checked = self.check_factors(factors)
        given = self.own_nuisance(checked) if nuisance is None else _check_nuisance(nuisance, len(checked))
        return self.make(checked, given)

    def prepare(self, *, progress: bool = False) -> None:  # noqa: B027 - most have nothing to prepare
        """Do once what makes later observations faster, such as filling a cache; show a bar if asked."""

    def sample(self, n: int, rng: np.random.Generator, *, replace: bool = False) -> Draws:
        """Draw observations at random.

        Without replacement, combinations of factors are distinct; if there is a nuisance, it makes
        equal combinations different observations, and combinations may come again.

        Parameters
        ----------
        n : int
            How many.
        rng : numpy.random.Generator
            Source of randomness.
        replace : bool
            Whether the same observation may be drawn twice.

        Returns
        -------
        Draws

        Raises
        ------
        InvalidInputError
            If more distinct observations are asked for than there are.
        """
        if self.nuisances or replace or not self.space.is_grid:
            factors = self.sample_factors(n, rng)
            return Draws(factors, self.sample_nuisance(factors, rng))
        return self.draws(self.space.indices_of(np.sort(self.space.rows_of(self.space.sample(n, rng, replace=False)))))

    def sample_factors(self, n: int, rng: np.random.Generator) -> NDArray[Any]:
        """Draw ``n`` combinations of factors independently, as (n, n_factors) indices."""
        return self.space.sample(n, rng)

    def sample_nuisance(self, factors: NDArray[Any], rng: np.random.Generator) -> NDArray[np.uint64]:
        """Draw a nuisance for each of these factors, as (n,) uint64."""
        if self.nuisances:
            return rng.integers(2**64, size=len(factors), dtype=np.uint64)
        return self.own_nuisance(factors)

    def whole(self) -> Draws:
        """Return every combination of factors once, in the order of the grid.

        Raises
        ------
        InvalidInputError
            If a factor is continuous, so that there is no end to them.
        """
        if not self.space.is_grid:
            raise InvalidInputError(
                f"{self.name} has no full grid, as it has continuous factors; draw a number of samples instead"
            )
        return self.draws(self.space.indices_of(np.arange(self.space.n_combinations)))

    def draws(self, factors: ArrayLike) -> Draws:
        """Return the draws of these factors, each with the nuisance of its own."""
        checked = self.check_factors(factors)
        return Draws(checked, self.own_nuisance(checked))

    def own_nuisance(self, factors: NDArray[Any]) -> NDArray[np.uint64]:
        """Return the nuisance that stands for each combination of factors, as (n,) uint64."""
        if self.space.is_grid:
            return self.space.rows_of(factors).astype(np.uint64)
        nuisance = np.zeros(len(factors), np.uint64)
        for column in np.ascontiguousarray(factors.T, dtype="<f8"):
            nuisance = mixed(nuisance ^ (column + 0.0).view(np.uint64))  # + 0.0: -0 is 0
        return nuisance

    def check_factors(self, factors: ArrayLike) -> NDArray[Any]:
        """Return factors as int64 (float64, if one is continuous) after checking shape, type and range."""
        return self.space.check_indices(factors) if self.space.is_grid else self.space.check_values(factors)

    def __len__(self) -> int:
        """Return the number of observations of the full grid."""
        return self.space.n_combinations


def _check_nuisance(nuisance: ArrayLike, n: int) -> NDArray[np.uint64]:
    checked = np.asarray(nuisance)
    if checked.shape != (n,) or checked.dtype.kind not in "ui" or (checked.dtype.kind == "i" and (checked < 0).any()):
        raise InvalidInputError(
            f"nuisance must be {n} whole numbers from 0, one for each row of factors; "
            f"got {checked.dtype} of shape {checked.shape}"
        )
    return checked.astype(np.uint64, copy=False)
