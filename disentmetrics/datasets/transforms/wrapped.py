"""Base classes of transformed data sets, and data sets with reweighted factors.

Transforms are applied by methods of :class:`DataSet` (``data.select(...)``). A transformed data set refers to its base
and appends one step to the fingerprint, such as ``dsprites-1+select(shape=2)+correlate(x,y,0.8)``.
"""

from abc import abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from disentmetrics.datasets.base import DataSet, Draws
from disentmetrics.datasets.distribution import FactorDistribution
from disentmetrics.errors import InvalidInputError
from disentmetrics.factors import check_count


class Wrapped(DataSet):
    """A data set that obtains its observations from another data set, ``base``.

    A subclass implements :meth:`base_factors`, which maps its factors to those of the base.

    Parameters
    ----------
    base : DataSet
        The data set that is transformed.
    step : str
        Description of the transform, appended to the fingerprint.
    """

    def __init__(self, base: DataSet, step: str) -> None:
        self.base = base
        self.name = base.name
        self.fingerprint = f"{base.fingerprint}+{step}"
        self.space = base.space
        self.observation_shape = base.observation_shape
        self.nuisances = base.nuisances
        self.symmetries = base.symmetries
        self.is_observed = base.is_observed
        self.notes = base.notes

    def prepare(self, *, progress: bool = False) -> None:
        """Prepare the base data set."""
        self.base.prepare(progress=progress)

    @property
    def sampling(self) -> str:
        """Sampling scheme: that of the base, unless the factors have a known distribution."""
        return super().sampling if self.has_distribution else self.base.sampling

    @abstractmethod
    def base_factors(self, factors: NDArray[Any], nuisance: NDArray[np.uint64]) -> NDArray[Any]:
        """Return the corresponding factors of the base, (n, n_factors of the base)."""

    def make(self, factors: NDArray[Any], nuisance: NDArray[np.uint64]) -> NDArray[Any]:
        """Return the observations of the base for the corresponding factors."""
        return self.base.make(self.base_factors(factors, nuisance), nuisance)

    def check_observations(self, observations: NDArray[Any], n: int) -> None:
        """Check observations as the base does."""
        self.base.check_observations(observations, n)


class GridWrapped(Wrapped):
    """A transformed data set whose factors form a grid with a known distribution.

    Parameters
    ----------
    base : DataSet
        The data set that is transformed.
    step : str
        Description of the transform, appended to the fingerprint.
    distribution : FactorDistribution
        Distribution of the factors; its space becomes that of the data set.
    """

    def __init__(self, base: DataSet, step: str, distribution: FactorDistribution) -> None:
        super().__init__(base, step)
        self._distribution = distribution
        self.space = distribution.space

    @property
    def has_distribution(self) -> bool:
        """Always True."""
        return True

    @property
    def distribution(self) -> FactorDistribution:
        """Distribution of the factors."""
        return self._distribution

    def default_nuisance(self, factors: NDArray[Any]) -> NDArray[np.uint64]:
        """Return the default nuisance of the base for each combination of factors."""
        return self.base.default_nuisance(self.base_factors(factors, np.zeros(len(factors), np.uint64)))

    def sample(self, n: int, rng: np.random.Generator, *, replace: bool = False) -> Draws:
        """Draw a random sample of observations.

        Combinations are distinct and in grid order if the distribution is uniform on its support and the data set has
        no nuisances; otherwise they are drawn independently and can repeat.

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
        if self.nuisances or replace or not self.distribution.is_uniform:
            factors = self.sample_factors(n, rng)
            return Draws(factors, self.sample_nuisance(factors, rng))
        if n > len(self):
            raise InvalidInputError(
                f"at most {len(self)} distinct combinations can be drawn from {self.fingerprint}; got n = {n}; "
                "use all of them instead (full_grid, or --samples all)"
            )
        factors = self.distribution.support(rng.choice(len(self), size=n, replace=False, shuffle=False))
        return self.draws(factors[np.argsort(self.space.rows_of(factors))])

    def sample_factors(self, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Draw ``n`` combinations of factors with replacement, as (n, n_factors) indices."""
        return self.distribution.sample(n, rng)

    def full_grid(self) -> Draws:
        """Return every combination of factors with positive probability once, in grid order.

        Raises
        ------
        InvalidInputError
            If combinations are not equally likely, as each of them once would then misrepresent the distribution.
        """
        if not self.distribution.is_uniform:
            raise InvalidInputError(
                f"{self.fingerprint} has no full grid because some combinations of factors are likelier than others; "
                "draw a number of samples instead"
            )
        return self.draws(self.distribution.support())

    def __len__(self) -> int:
        """Return the number of combinations with positive probability."""
        return self.distribution.support_size


class Reweighted(GridWrapped):
    """A data set whose factors follow a different distribution than those of its base.

    Only sampling changes: ``observations`` still accepts combinations of probability 0.

    Parameters
    ----------
    base : DataSet
        A data set with a known distribution of its factors.
    distribution : FactorDistribution
        Multiplied by the distribution of the base and renormalised.

    Raises
    ------
    InvalidInputError
        If the distribution of the base is unknown or over other factors, or the product is 0 everywhere.
    """

    def __init__(self, base: DataSet, distribution: FactorDistribution) -> None:
        super().__init__(base, distribution.name, base.distribution * distribution)

    def base_factors(self, factors: NDArray[Any], nuisance: NDArray[np.uint64]) -> NDArray[Any]:
        """Return the factors unchanged."""
        return factors

    def sample_nuisance(self, factors: NDArray[Any], rng: np.random.Generator) -> NDArray[np.uint64]:
        """Draw a nuisance for each row of factors as the base does."""
        return self.base.sample_nuisance(factors, rng)
