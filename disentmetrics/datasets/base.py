"""What a data set is: factors, observations on demand, and a name for exactly this content.

An observation is a function of its factors and of its nuisance: ``x = g(factors, nuisance)``.
The nuisance is one whole number that decides whatever the factors leave open, such as the
colour of a sprite or which photograph of a person. Hence any observation can be had at any
time, in any order and in any process, and is the same every time.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from disentmetrics.datasets.distribution import FactorDistribution
from disentmetrics.datasets.nuisance import splitmix64
from disentmetrics.datasets.transforms.values import FactorValues
from disentmetrics.errors import InvalidInputError
from disentmetrics.factors import FactorSpace, as_table, check_count

_IMAGE_DIMENSIONS = 3


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
    homepage : str
        Where it is published; empty for what is rendered.
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
    homepage: str = ""

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


class _MustBeSet:
    """Stands for an attribute that each data set must have, and says so where one has not."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: object, owner: type) -> Any:
        if instance is None:
            return self
        raise InvalidInputError(
            f"a data set must have a {self._name}; {owner.__name__} has none: set it in the class or in __init__"
        )


def _must_be_set() -> Any:
    return _MustBeSet()


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
    is_observed : bool
        Whether observations are rows of a table, such as photographs, of which two differ in more than their labels.
    """

    name: str = _must_be_set()
    space: FactorSpace = _must_be_set()
    fingerprint: str = _must_be_set()
    observation_shape: tuple[int, ...] = _must_be_set()
    nuisances: tuple[str, ...] = ()
    symmetries: tuple[Symmetry, ...] = ()
    is_observed: bool = False

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
            Of ``observation_shape`` each: uint8 for images, float for vectors.
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
            If factors or nuisance have a wrong shape, type or range, or ``make`` returns something else than
            the data set promises.
        """
        checked = self.check_factors(as_table(factors))
        given = self.default_nuisance(checked) if nuisance is None else _check_nuisance(nuisance, len(checked))
        made = self.make(checked, given)
        self.check_observations(made, len(checked))
        return made

    def check_observations(self, made: NDArray[Any], n: int) -> None:
        """Refuse what ``make`` returned, unless it is ``n`` observations of the promised shape and type.

        Raises
        ------
        InvalidInputError
            If images are not uint8 or vectors not float, or the shape is another one.
        """
        is_image = len(self.observation_shape) == _IMAGE_DIMENSIONS
        expected = (n, *self.observation_shape)
        right = isinstance(made, np.ndarray) and made.shape == expected
        if not right or not (made.dtype == np.uint8 if is_image else made.dtype.kind == "f"):
            got = f"{made.dtype} of shape {made.shape}" if isinstance(made, np.ndarray) else type(made).__name__
            raise InvalidInputError(
                f"make of {self.name} must return an array, {'uint8' if is_image else 'float'} of shape {expected}; "
                f"it returned {got}"
            )

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
            If ``n`` is no whole number from 0, or more distinct observations are asked for than there are.
        """
        check_count(n)
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
        return self.default_nuisance(factors)

    def full_grid(self) -> Draws:
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
        return Draws(checked, self.default_nuisance(checked))

    def default_nuisance(self, factors: NDArray[Any]) -> NDArray[np.uint64]:
        """Return the nuisance that stands for each combination of factors, as (n,) uint64."""
        if self.space.is_grid:
            return self.space.rows_of(factors).astype(np.uint64)
        nuisance = np.zeros(len(factors), np.uint64)
        for column in np.ascontiguousarray(factors.T, dtype="<f8"):
            nuisance = splitmix64(nuisance ^ (column + 0.0).view(np.uint64))  # + 0.0: -0 is 0
        return nuisance

    def check_factors(self, factors: ArrayLike) -> NDArray[Any]:
        """Return factors as int64 (float64, if one is continuous) after checking shape, type and range."""
        return self.space.check_indices(factors) if self.space.is_grid else self.space.check_values(factors)

    def __len__(self) -> int:
        """Return the number of observations of the full grid."""
        return self.space.n_combinations

    @property
    def has_full_grid(self) -> bool:
        """Whether :meth:`whole` can list all observations, each as likely as any other."""
        if self.is_observed:
            return True
        return self.space.is_grid and (not self.has_distribution or self.distribution.is_uniform)

    @property
    def has_distribution(self) -> bool:
        """Whether the factors form a grid whose distribution is known; not so for a table of rows."""
        own = type(self)
        draws_as_usual = own.full_grid is DataSet.full_grid and own.sample_factors is DataSet.sample_factors
        return self.space.is_grid and len(self.space) > 0 and draws_as_usual

    @property
    def distribution(self) -> FactorDistribution:
        """What combinations of factors are drawn from: uniform over the grid.

        Raises
        ------
        InvalidInputError
            If a factor is continuous, or the data set is a table of rows.
        """
        if not self.has_distribution:
            raise InvalidInputError(
                f"the factors of {self.name} must form a full grid to be drawn from a distribution; it has continuous "
                "factors, none, or rows of its own: draw them by sample or whole"
            )
        return FactorDistribution(self.space)

    @property
    def sampling(self) -> str:
        """How ``sample`` draws, as signatures say it.

        ``uniform`` where combinations of factors, or rows of a table, are equally likely, ``weighted`` where the
        distribution says how likely each is, and ``own`` where sources have distributions of their own.
        """
        if not self.has_distribution:
            return "own"
        return "uniform" if self.distribution.is_uniform else "weighted"

    def with_distribution(self, distribution: FactorDistribution) -> "DataSet":
        """Return the same observations, drawn from another distribution of the factors.

        Parameters
        ----------
        distribution : FactorDistribution
            Such as :func:`disentmetrics.datasets.transforms.distributions.correlated` returns; multiplied by the
            present distribution.

        Returns
        -------
        DataSet

        Raises
        ------
        InvalidInputError
            If this data set has no grid of factors, or the distribution is of other factors.

        Examples
        --------
        >>> from disentmetrics.datasets.catalog.dsprites import DSprites
        >>> from disentmetrics.datasets.transforms.distributions import correlated
        >>> DSprites().with_distribution(correlated(DSprites.space, "x", "y", 0.8)).fingerprint
        'dsprites-1+correlate(x,y,0.8)'
        """
        from disentmetrics.datasets.transforms.wrapped import Reweighted

        return Reweighted(self, distribution)

    def select(self, factors: FactorValues) -> "DataSet":
        """Return the part of this data set whose factors have some of their values.

        Parameters
        ----------
        factors : mapping of str to value or sequence of values
            Several values keep the factor, with fewer values; a single one fixes the factor, which is then no
            factor any more. A value is an index, or the name of a category.

        Returns
        -------
        DataSet

        Raises
        ------
        InvalidInputError
            If a factor or value does not exist, or nothing is left.

        Examples
        --------
        >>> from disentmetrics.datasets.catalog.dsprites import DSprites
        >>> hearts = DSprites().select({"shape": "heart", "scale": [0, 5]})
        >>> hearts.space.names, hearts.space["scale"].values, len(hearts)
        (('scale', 'orientation', 'x', 'y'), (0.5, 1.0), 81920)
        """
        from disentmetrics.datasets.transforms.select import select

        return select(self, factors)

    def merge(self, names: Sequence[str], name: str = "") -> "DataSet":
        """Return this data set with several factors taken as one categorical factor.

        Parameters
        ----------
        names : sequence of str
            At least two factors.
        name : str
            Of the merged factor; by default theirs with ``_`` between.

        Returns
        -------
        DataSet

        Raises
        ------
        InvalidInputError
            If a factor does not exist, or the name is taken.

        Examples
        --------
        >>> from disentmetrics.datasets.catalog.dsprites import DSprites
        >>> DSprites().merge(["x", "y"], name="position").space.sizes
        (3, 6, 40, 1024)
        """
        from disentmetrics.datasets.transforms.merge import Merged

        return Merged(self, names, name)

    def with_nuisance(self, *names: str) -> "DataSet":
        """Return this data set with some factors as nuisances, drawn for each observation.

        Parameters
        ----------
        *names : str
            Factors, which are then decided by the nuisance number.

        Returns
        -------
        DataSet

        Raises
        ------
        InvalidInputError
            If a factor does not exist, or none is left.

        Examples
        --------
        >>> from disentmetrics.datasets.catalog.dsprites import DSprites
        >>> data = DSprites().with_nuisance("shape")
        >>> data.space.names, data.nuisances
        (('scale', 'orientation', 'x', 'y'), ('shape',))
        """
        from disentmetrics.datasets.transforms.nuisance import WithNuisance

        return WithNuisance(self, names)

    def map(self, transform: Callable[[NDArray[Any]], NDArray[Any]], *, name: str) -> "DataSet":
        """Return this data set with transformed observations.

        Parameters
        ----------
        transform : callable
            From a batch of observations (n, ...) to as many, each a function of its own observation alone. Give a
            function of a module: a lambda or a function within another cannot be sent to other processes.
        name : str
            Which says exactly what it does: it becomes part of the fingerprint.

        Returns
        -------
        DataSet

        Raises
        ------
        InvalidInputError
            If the name cannot be part of a fingerprint, or the transform returns something else.

        Examples
        --------
        >>> from disentmetrics.datasets.catalog.dsprites import DSprites
        >>> small = DSprites().map(lambda images: images[:, ::2, ::2], name="every second pixel")
        >>> small.observation_shape, small.fingerprint
        ((32, 32, 1), 'dsprites-1+map(every second pixel)')
        """
        from disentmetrics.datasets.transforms.map import Mapped

        return Mapped(self, transform, name)


def _check_nuisance(nuisance: ArrayLike, n: int) -> NDArray[np.uint64]:
    checked = np.asarray(nuisance)
    if checked.shape != (n,) or checked.dtype.kind not in "ui" or (checked.dtype.kind == "i" and (checked < 0).any()):
        raise InvalidInputError(
            f"nuisance must be {n} whole numbers from 0, one for each row of factors; "
            f"got {checked.dtype} of shape {checked.shape}"
        )
    return checked.astype(np.uint64, copy=False)
