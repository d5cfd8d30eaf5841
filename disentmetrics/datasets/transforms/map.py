"""Data sets with transformed observations."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from disentmetrics.datasets.base import DataSet, Draws
from disentmetrics.datasets.distribution import FactorDistribution
from disentmetrics.datasets.transforms.wrapped import Wrapped
from disentmetrics.errors import InvalidInputError

_STEP_NAME = re.compile(r"[\w.,=/ -]+")


class Mapped(Wrapped):
    """A data set whose observations are transformed.

    Parameters
    ----------
    base : DataSet
        The data set whose observations are transformed.
    transform : callable
        Maps a batch of observations (n, ...) to n transformed observations, each of which depends only on its own
        input. Module-level functions can be sent to other processes; lambdas and nested functions cannot.
    name : str
        Describes the transform unambiguously, for the fingerprint.

    Raises
    ------
    InvalidInputError
        If the name is empty or contains characters other than letters, digits and ``.,=/ -``, or the transform does
        not return an array with one row per observation.
    """

    def __init__(self, base: DataSet, transform: Callable[[NDArray[Any]], NDArray[Any]], name: str) -> None:
        if not isinstance(name, str) or not _STEP_NAME.fullmatch(name) or not callable(transform):
            raise InvalidInputError(
                "map needs a function and a name that describes it, of letters, digits and '.,=/ -'; "
                f"got {transform!r} and {name!r}"
            )
        super().__init__(base, f"map({name})")
        self._transform = transform
        first = base.sample(1, np.random.default_rng(0), replace=True)
        probe = self._transformed(base.observations(first.factors, first.nuisance))
        self.observation_shape = probe.shape[1:]
        self._dtype = probe.dtype

    def _transformed(self, observations: NDArray[Any]) -> NDArray[Any]:
        result = self._transform(observations.copy())
        is_array = isinstance(result, np.ndarray)
        if not is_array or result.shape[:1] != observations.shape[:1] or result.dtype.kind not in "uf":
            got = f"{result.dtype} of shape {result.shape}" if is_array else type(result).__name__
            raise InvalidInputError(
                f"{self.fingerprint}: the transform must return an array of {len(observations)} observations, "
                f"uint8 or float; got {got}"
            )
        return result

    def make(self, factors: NDArray[Any], nuisance: NDArray[np.uint64]) -> NDArray[Any]:
        """Return the transformed observations of the base."""
        if not len(factors):
            return np.empty((0, *self.observation_shape), self._dtype)
        observations = self.base.make(factors, nuisance)
        self.base.check_observations(observations, len(factors))
        result = self._transformed(observations)
        if result.shape[1:] != self.observation_shape or result.dtype != self._dtype:
            raise InvalidInputError(
                f"{self.fingerprint}: the transform must always return observations of shape "
                f"{self.observation_shape}, {self._dtype}; got {result.shape[1:]}, {result.dtype}"
            )
        return result

    def check_observations(self, observations: NDArray[Any], n: int) -> None:
        """Do nothing: ``make`` has checked the result of the transform, which may be floating-point images."""

    def base_factors(self, factors: NDArray[Any], nuisance: NDArray[np.uint64]) -> NDArray[Any]:
        """Return the factors unchanged."""
        return factors

    @property
    def has_distribution(self) -> bool:
        """Whether the distribution of the base is known."""
        return self.base.has_distribution

    @property
    def distribution(self) -> FactorDistribution:
        """Distribution of the factors of the base."""
        return self.base.distribution

    def sample(self, n: int, rng: np.random.Generator, *, replace: bool = False) -> Draws:
        """Draw a random sample of observations as the base does."""
        return self.base.sample(n, rng, replace=replace)

    def sample_factors(self, n: int, rng: np.random.Generator) -> NDArray[Any]:
        """Draw factors as the base does."""
        return self.base.sample_factors(n, rng)

    def sample_nuisance(self, factors: NDArray[Any], rng: np.random.Generator) -> NDArray[np.uint64]:
        """Draw nuisances as the base does."""
        return self.base.sample_nuisance(factors, rng)

    def full_grid(self) -> Draws:
        """Return the full grid of the base."""
        return self.base.full_grid()

    def draws(self, factors: ArrayLike) -> Draws:
        """Return these combinations of factors with the default nuisance of the base."""
        return self.base.draws(factors)

    def default_nuisance(self, factors: NDArray[Any]) -> NDArray[np.uint64]:
        """Return the default nuisance of the base for each combination of factors."""
        return self.base.default_nuisance(factors)

    def check_factors(self, factors: ArrayLike) -> NDArray[Any]:
        """Check factors as the base does and return them."""
        return self.base.check_factors(factors)

    def __len__(self) -> int:
        """Return the number of observations of the base."""
        return len(self.base)
