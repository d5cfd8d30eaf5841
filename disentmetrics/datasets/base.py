"""Data sets with ground-truth factors: observations on demand and a fingerprint of the exact content.

An observation is a deterministic function of its factors and its nuisance: ``x = g(factors, nuisance)``. The nuisance
is a single integer that determines everything the factors leave open, such as the colour of a sprite or which
photograph of a person is used. Observations can therefore be generated in any order and in any process, and are
always identical.
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
    """Values of a factor whose observations are identical.

    Attributes
    ----------
    factor : str
        Name of the factor.
    same : tuple of int
        Indices of the values that give equal observations, all other factors being equal.
    given : mapping of str to tuple of int
        Values of other factors (their indices) under which this applies; always, if empty.
    """

    factor: str
    same: tuple[int, ...]
    given: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class DataSetInfo:
    """Metadata of a data set, available without loading it.

    Attributes
    ----------
    name : str
        Name of the data set, as given to :func:`disentmetrics.load_dataset`.
    summary : str
        One-line description.
    space : FactorSpace
        The factors; empty if there are none or they are known only after loading.
    offline : bool
        Whether the data set is available without a download.
    licence, citation : str
        Licence of the data, and the publication to cite.
    remarks : tuple of str
        Notes for users, such as a missing checksum.
    bibtex : str
        BibTeX entry of the citation.
    nuisances : tuple of str
        Sources of variation other than the factors.
    symmetries : tuple of Symmetry
        Factor values that give identical observations.
    n_observations : int or None
        Number of observations. If None, a grid of factors has one observation per combination; any other data set
        has infinitely many, or a number that is known only after loading.
    homepage : str
        Web page of the publisher; empty for rendered data.
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
        """Number of observations; None if it is infinite or unknown before loading."""
        if self.n_observations is not None:
            return self.n_observations
        return self.space.n_combinations if len(self.space) and self.space.is_grid else None


@dataclass(frozen=True)
class Draws:
    """A sample of a data set: the factors and the nuisance of each observation.

    Attributes
    ----------
    factors : (n, n_factors) int64 or float64
        Index of each factor's value, -1 where the label is missing; real values if any factor is continuous.
    nuisance : (n,) uint64
        Integer that determines everything the factors leave open, see ``DataSet.observations``.
    groups : (n,) int64 or None
        Cluster of each row, such as the donor, if rows are not independent; else None.
    """

    factors: NDArray[Any]
    nuisance: NDArray[np.uint64]
    groups: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.nuisance)

    def __getitem__(self, rows: slice | NDArray[np.integer]) -> "Draws":
        """Return a subset of the rows."""
        groups = None if self.groups is None else self.groups[rows]
        return Draws(self.factors[rows], self.nuisance[rows], groups)


class _MustBeSet:
    """Placeholder of a required attribute; raises InvalidInputError if a data set does not set it."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: object, owner: type) -> Any:
        if instance is None:
            return self
        raise InvalidInputError(
            f"a data set must define {self._name}; {owner.__name__} does not: set it in the class or in __init__"
        )


def _must_be_set() -> Any:
    return _MustBeSet()


class DataSet(ABC):
    """Base class of data sets with ground-truth factors of variation.

    A subclass sets the attributes ``name``, ``space``, ``fingerprint`` and ``observation_shape`` and implements
    :meth:`make`, which maps factors and nuisance to observations: ``x = g(factors, nuisance)``.

    Attributes
    ----------
    name : str
        Name of the data set, as given to :func:`disentmetrics.load_dataset`.
    space : FactorSpace
        The factors, in order.
    fingerprint : str
        Name and version of the exact content, such as ``dsprites-1``: data sets with equal fingerprints return equal
        bytes for equal factors and nuisance, on every machine.
    observation_shape : tuple of int
        Shape of one observation; (height, width, channels) for images.
    nuisances : tuple of str
        Sources of variation other than the factors; if empty, the nuisance has no effect.
    symmetries : tuple of Symmetry
        Factor values that give identical observations.
    is_observed : bool
        Whether the data are a finite table of recorded rows, such as photographs, in which rows with equal labels can
        differ, rather than a complete grid or a generative process.
    spec : str or None
        Name by which :func:`disentmetrics.load_dataset` loads the data set again; None if it was not loaded by name.
    notes : tuple of str
        What was changed in recorded labels, or looks like a mistake in them; printed on score cards.
    """

    name: str = _must_be_set()
    space: FactorSpace = _must_be_set()
    fingerprint: str = _must_be_set()
    observation_shape: tuple[int, ...] = _must_be_set()
    nuisances: tuple[str, ...] = ()
    symmetries: tuple[Symmetry, ...] = ()
    is_observed: bool = False
    spec: str | None = None
    notes: tuple[str, ...] = ()

    @abstractmethod
    def make(self, factors: NDArray[Any], nuisance: NDArray[np.uint64]) -> NDArray[Any]:
        """Generate observations from factors and nuisance; implemented by subclasses.

        Called by :meth:`observations` after the arguments have been checked.

        Parameters
        ----------
        factors : (n, n_factors) int64 or float64
            Valid indices of factor values (values, if any factor is continuous).
        nuisance : (n,) uint64
            Integer that determines everything the factors leave open; ``disentmetrics.datasets.nuisance`` turns it
            into random numbers.

        Returns
        -------
        (n, *observation_shape) array
            uint8 for images, float for vectors.
        """

    def observations(self, factors: ArrayLike, nuisance: ArrayLike | None = None) -> NDArray[Any]:
        """Return the observations of given factors.

        Parameters
        ----------
        factors : (n, n_factors) integer
            Index of each factor's value, in the order of ``space``; real values if any factor is continuous.
        nuisance : (n,) uint64, optional
            One integer per observation that determines everything the factors leave open: equal factors with equal
            nuisance give equal observations. By default a fixed number for each combination of factors.

        Returns
        -------
        (n, *observation_shape) array
            uint8 for images, float for vectors.

        Raises
        ------
        InvalidInputError
            If factors or nuisance have an invalid shape, type or range, or ``make`` returns an array of the wrong
            shape or type.
        """
        factors = self.check_factors(as_table(factors))
        nuisance = self.default_nuisance(factors) if nuisance is None else _check_nuisance(nuisance, len(factors))
        observations = self.make(factors, nuisance)
        self.check_observations(observations, len(factors))
        return observations

    def check_observations(self, observations: NDArray[Any], n: int) -> None:
        """Check that ``make`` returned ``n`` observations of the declared shape and type.

        Raises
        ------
        InvalidInputError
            If the shape differs, images are not uint8 or vectors are not float.
        """
        is_image = len(self.observation_shape) == _IMAGE_DIMENSIONS
        expected = (n, *self.observation_shape)
        is_array = isinstance(observations, np.ndarray)
        has_shape = is_array and observations.shape == expected
        if not has_shape or not (observations.dtype == np.uint8 if is_image else observations.dtype.kind == "f"):
            got = f"{observations.dtype} of shape {observations.shape}" if is_array else type(observations).__name__
            raise InvalidInputError(
                f"make of {self.name} must return an array, {'uint8' if is_image else 'float'} of shape {expected}; "
                f"it returned {got}"
            )

    def prepare(self, *, progress: bool = False) -> None:  # noqa: B027 - most data sets need none
        """Do one-off work that speeds up later access, such as filling a cache; optionally show a progress bar."""

    def sample(self, n: int, rng: np.random.Generator, *, replace: bool = False) -> Draws:
        """Draw a random sample of observations.

        Sampling without replacement gives distinct combinations of factors. If the data set has nuisances,
        combinations are drawn independently and can repeat, as equal factors then give different observations.

        Parameters
        ----------
        n : int
            Sample size.
        rng : numpy.random.Generator
            Random number generator.
        replace : bool
            Whether to sample with replacement.

        Returns
        -------
        Draws

        Raises
        ------
        InvalidInputError
            If ``n`` is not a non-negative integer or exceeds the number of distinct observations.
        """
        check_count(n)
        if self.nuisances or replace or not self.space.is_grid:
            factors = self.sample_factors(n, rng)
            return Draws(factors, self.sample_nuisance(factors, rng))
        return self.draws(self.space.indices_of(np.sort(self.space.rows_of(self.space.sample(n, rng, replace=False)))))

    def sample_factors(self, n: int, rng: np.random.Generator) -> NDArray[Any]:
        """Draw ``n`` combinations of factors with replacement, as (n, n_factors) indices."""
        return self.space.sample(n, rng)

    def sample_nuisance(self, factors: NDArray[Any], rng: np.random.Generator) -> NDArray[np.uint64]:
        """Draw a nuisance for each row of factors, as (n,) uint64."""
        if self.nuisances:
            return rng.integers(2**64, size=len(factors), dtype=np.uint64)
        return self.default_nuisance(factors)

    def full_grid(self) -> Draws:
        """Return the full factorial grid: every combination of factors once, in grid order.

        A table of rows returns all its rows instead, in order.

        Raises
        ------
        InvalidInputError
            If a factor is continuous, as the grid is then infinite.
        """
        if not self.space.is_grid:
            raise InvalidInputError(
                f"{self.name} has no full grid because it has continuous factors; draw a number of samples instead"
            )
        return self.draws(self.space.indices_of(np.arange(self.space.n_combinations)))

    def draws(self, factors: ArrayLike) -> Draws:
        """Return these combinations of factors with their default nuisance."""
        checked = self.check_factors(factors)
        return Draws(checked, self.default_nuisance(checked))

    def default_nuisance(self, factors: NDArray[Any]) -> NDArray[np.uint64]:
        """Return the fixed nuisance used for each combination of factors if none is given, as (n,) uint64."""
        if self.space.is_grid:
            return self.space.rows_of(factors).astype(np.uint64)
        nuisance = np.zeros(len(factors), np.uint64)
        for column in np.ascontiguousarray(factors.T, dtype="<f8"):
            nuisance = splitmix64(nuisance ^ (column + 0.0).view(np.uint64))  # + 0.0: -0 is 0
        return nuisance

    def check_factors(self, factors: ArrayLike) -> NDArray[Any]:
        """Check shape, type and range of factors; return them as int64 (float64 if any factor is continuous)."""
        return self.space.check_indices(factors) if self.space.is_grid else self.space.check_values(factors)

    def __len__(self) -> int:
        """Return the number of observations of the full grid."""
        return self.space.n_combinations

    @property
    def has_full_grid(self) -> bool:
        """Whether :meth:`full_grid` lists all observations and all are equally likely."""
        if self.is_observed:
            return True
        return self.space.is_grid and (not self.has_distribution or self.distribution.is_uniform)

    @property
    def has_distribution(self) -> bool:
        """Whether the factors form a grid with a known distribution; False for a table of rows."""
        cls = type(self)
        default_sampling = cls.full_grid is DataSet.full_grid and cls.sample_factors is DataSet.sample_factors
        return self.space.is_grid and len(self.space) > 0 and default_sampling

    @property
    def distribution(self) -> FactorDistribution:
        """Distribution of the factors: uniform over the grid unless it was changed.

        Raises
        ------
        InvalidInputError
            If a factor is continuous, or the data set is a table of rows.
        """
        if not self.has_distribution:
            raise InvalidInputError(
                f"a distribution of factors needs a full grid; {self.name} has continuous factors, no factors, or a "
                "table of rows: use sample or full_grid"
            )
        return FactorDistribution(self.space)

    @property
    def sampling(self) -> str:
        """Sampling scheme of ``sample``, as recorded in signatures.

        ``uniform`` if combinations of factors (or rows of a table) are equally likely, ``weighted`` if they follow a
        non-uniform distribution, and ``own`` if the data set defines its own sampling, such as independent continuous
        sources.
        """
        if not self.has_distribution:
            return "own"
        return "uniform" if self.distribution.is_uniform else "weighted"

    def with_distribution(self, distribution: FactorDistribution) -> "DataSet":
        """Return this data set with a different distribution of its factors.

        Parameters
        ----------
        distribution : FactorDistribution
            For example from :func:`disentmetrics.datasets.transforms.distributions.correlated`. It is multiplied by
            the current distribution and renormalised.

        Returns
        -------
        DataSet

        Raises
        ------
        InvalidInputError
            If this data set has no grid of factors, or the distribution is over other factors.

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
        """Return the subset of this data set in which factors take the given values.

        Parameters
        ----------
        factors : mapping of str to value or sequence of values
            A sequence of values restricts the factor to these; a single value fixes the factor, which is removed
            from the factor space. A value is an index or the name of a category.

        Returns
        -------
        DataSet

        Raises
        ------
        InvalidInputError
            If a factor or value does not exist, or the subset is empty.

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
        """Return this data set with several factors merged into one categorical factor.

        Parameters
        ----------
        names : sequence of str
            At least two factors.
        name : str
            Name of the merged factor; by default the names joined by ``_``.

        Returns
        -------
        DataSet

        Raises
        ------
        InvalidInputError
            If a factor does not exist, or the name is already in use.

        Examples
        --------
        >>> from disentmetrics.datasets.catalog.dsprites import DSprites
        >>> DSprites().merge(["x", "y"], name="position").space.sizes
        (3, 6, 40, 1024)
        """
        from disentmetrics.datasets.transforms.merge import Merged

        return Merged(self, names, name)

    def with_nuisance(self, *names: str) -> "DataSet":
        """Return this data set with some factors turned into nuisances.

        Nuisances are drawn for each observation, given the remaining factors.

        Parameters
        ----------
        *names : str
            Factors to be determined by the nuisance instead.

        Returns
        -------
        DataSet

        Raises
        ------
        InvalidInputError
            If a factor does not exist, or no factor remains.

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
            Maps a batch of observations (n, ...) to n transformed observations, each of which depends only on its
            own input. Use a module-level function: lambdas and nested functions cannot be sent to other processes.
        name : str
            Describes the transform unambiguously, as it becomes part of the fingerprint.

        Returns
        -------
        DataSet

        Raises
        ------
        InvalidInputError
            If the name is not valid in a fingerprint, or the transform returns anything but such an array.

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
            f"nuisance must be {n} non-negative integers, one per row of factors; "
            f"got {checked.dtype} of shape {checked.shape}"
        )
    return checked.astype(np.uint64, copy=False)
