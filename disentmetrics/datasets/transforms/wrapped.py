"""Data sets made from another: what they have in common, and those that are drawn otherwise.

Reached by methods of every data set (``data.select(...)``). Each keeps its base and adds one
step to the fingerprint, such as ``dsprites-1+select(shape=2)+correlate(x,y,0.8)``.
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
    """A data set made from another one, ``base``."""

    def __init__(self, base: DataSet, step: str) -> None:
        self.base = base
        self.name = base.name
        self.fingerprint = f"{base.fingerprint}+{step}"
        self.space = base.space
        self.observation_shape = base.observation_shape
        self.nuisances = base.nuisances
        self.symmetries = base.symmetries
        self.is_observed = base.is_observed

    def prepare(self, *, progress: bool = False) -> None:
        """Prepare the base."""
        self.base.prepare(progress=progress)

    @property
    def sampling(self) -> str:
        """How ``sample`` draws: as the base does, unless the factors have a distribution."""
        return super().sampling if self.has_distribution else self.base.sampling

    @abstractmethod
    def base_factors(self, factors: NDArray[Any], nuisance: NDArray[np.uint64]) -> NDArray[Any]:
        """Return the factors (n, n_factors of the base) whose observations are meant."""

    def make(self, factors: NDArray[Any], nuisance: NDArray[np.uint64]) -> NDArray[Any]:
        """Return the observations of the base that are meant."""
        return self.base.make(self.base_factors(factors, nuisance), nuisance)

    def check_observations(self, made: NDArray[Any], n: int) -> None:
        """Refuse what the base refuses."""
        self.base.check_observations(made, n)


class GridWrapped(Wrapped):
    """A data set whose factors form a grid and have a known distribution."""

    def __init__(self, base: DataSet, step: str, distribution: FactorDistribution) -> None:
        super().__init__(base, step)
        self._distribution = distribution
        self.space = distribution.space

    @property
    def has_distribution(self) -> bool:
        """Always."""
        return True

    @property
    def distribution(self) -> FactorDistribution:
        """What combinations of factors are drawn from."""
        return self._distribution

    def default_nuisance(self, factors: NDArray[Any]) -> NDArray[np.uint64]:
        """Return the nuisance that the base has for each combination of factors."""
        return self.base.default_nuisance(self.base_factors(factors, np.zeros(len(factors), np.uint64)))

    def sample(self, n: int, rng: np.random.Generator, *, replace: bool = False) -> Draws:
        """Draw observations at random.

        Distinct ones, in the order of the grid, if all combinations that can occur are equally likely and
        there is no nuisance; otherwise independent ones, so that one may come again.

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
        if self.nuisances or replace or not self.distribution.is_uniform:
            factors = self.sample_factors(n, rng)
            return Draws(factors, self.sample_nuisance(factors, rng))
        if n > len(self):
            raise InvalidInputError(
                f"at most {len(self)} distinct combinations can be drawn from {self.fingerprint}; got n = {n}; "
                "ask for all of them instead (whole, or --samples all)"
            )
        factors = self.distribution.support(rng.choice(len(self), size=n, replace=False, shuffle=False))
        return self.draws(factors[np.argsort(self.space.rows_of(factors))])

    def sample_factors(self, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Draw ``n`` combinations of factors independently, as (n, n_factors) indices."""
        return self.distribution.sample(n, rng)

    def full_grid(self) -> Draws:
        """Return every combination of factors that can occur once, in the order of the grid.

        Raises
        ------
        InvalidInputError
            If some are likelier than others, so that once each is not how they are distributed.
        """
        if not self.distribution.is_uniform:
            raise InvalidInputError(
                f"{self.fingerprint} has no full grid, as some combinations of factors are likelier than others; "
                "draw a number of samples instead"
            )
        return self.draws(self.distribution.support())

    def __len__(self) -> int:
        """Return the number of combinations that can occur."""
        return self.distribution.support_size


class Reweighted(GridWrapped):
    """The observations of a data set, drawn from another distribution of its factors.

    Observations of combinations that are never drawn can still be asked for.

    Parameters
    ----------
    base : DataSet
        With a grid of factors of known distribution.
    distribution : FactorDistribution
        Multiplied with that of the base, and renormalised.

    Raises
    ------
    InvalidInputError
        If the distribution of the base is not known, is of other factors, or nothing is left.
    """

    def __init__(self, base: DataSet, distribution: FactorDistribution) -> None:
        super().__init__(base, distribution.name, base.distribution * distribution)

    def base_factors(self, factors: NDArray[Any], nuisance: NDArray[np.uint64]) -> NDArray[Any]:
        """Return the factors as they are."""
        return factors

    def sample_nuisance(self, factors: NDArray[Any], rng: np.random.Generator) -> NDArray[np.uint64]:
        """Draw a nuisance for each of these factors, as the base does."""
        return self.base.sample_nuisance(factors, rng)
