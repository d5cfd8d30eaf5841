"""Data sets whose observations are transformed."""

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
        Any.
    transform : callable
        From a batch of observations (n, ...) to as many, each a function of its own observation alone. A
        function of a module can be sent to other processes; a lambda or a function within another cannot.
    name : str
        Which says exactly what the transform does, for the fingerprint.

    Raises
    ------
    InvalidInputError
        If the name is empty or has characters other than letters, digits and ``.,=/ -``, or the transform
        returns no array of one observation for each.
    """

    def __init__(self, base: DataSet, transform: Callable[[NDArray[Any]], NDArray[Any]], name: str) -> None:
        if not isinstance(name, str) or not _STEP_NAME.fullmatch(name) or not callable(transform):
            raise InvalidInputError(
                "map takes a function and a name that says what it does, of letters, digits and '.,=/ -'; "
                f"got {transform!r} and {name!r}"
            )
        super().__init__(base, f"map({name})")
        self._transform = transform
        first = base.sample(1, np.random.default_rng(0), replace=True)
        probe = self._transformed(base.observations(first.factors, first.nuisance))
        self.observation_shape = probe.shape[1:]
        self._dtype = probe.dtype

    def _transformed(self, observations: NDArray[Any]) -> NDArray[Any]:
        made = self._transform(observations.copy())
        if not isinstance(made, np.ndarray) or made.shape[:1] != observations.shape[:1] or made.dtype.kind not in "uf":
            said = f"{made.dtype} of shape {made.shape}" if isinstance(made, np.ndarray) else type(made).__name__
            raise InvalidInputError(
                f"{self.fingerprint}: the transform must return an array of {len(observations)} observations, "
                f"uint8 or real; got {said}"
            )
        return made

    def make(self, factors: NDArray[Any], nuisance: NDArray[np.uint64]) -> NDArray[Any]:
        """Return the transformed observations of the base."""
        if not len(factors):
            return np.empty((0, *self.observation_shape), self._dtype)
        shown = self.base.make(factors, nuisance)
        self.base.check_observations(shown, len(factors))
        made = self._transformed(shown)
        if made.shape[1:] != self.observation_shape or made.dtype != self._dtype:
            raise InvalidInputError(
                f"{self.fingerprint}: the transform must always return observations of shape "
                f"{self.observation_shape}, {self._dtype}; got {made.shape[1:]}, {made.dtype}"
            )
        return made

    def check_observations(self, made: NDArray[Any], n: int) -> None:
        """Refuse nothing: ``make`` has checked what the transform returned, which may be images of floats."""

    def base_factors(self, factors: NDArray[Any], nuisance: NDArray[np.uint64]) -> NDArray[Any]:
        """Return the factors as they are."""
        return factors

    @property
    def has_distribution(self) -> bool:
        """Whether the base has one."""
        return self.base.has_distribution

    @property
    def distribution(self) -> FactorDistribution:
        """What combinations of factors are drawn from, in the base."""
        return self.base.distribution

    def sample(self, n: int, rng: np.random.Generator, *, replace: bool = False) -> Draws:
        """Draw observations as the base does."""
        return self.base.sample(n, rng, replace=replace)

    def sample_factors(self, n: int, rng: np.random.Generator) -> NDArray[Any]:
        """Draw factors as the base does."""
        return self.base.sample_factors(n, rng)

    def sample_nuisance(self, factors: NDArray[Any], rng: np.random.Generator) -> NDArray[np.uint64]:
        """Draw nuisances as the base does."""
        return self.base.sample_nuisance(factors, rng)

    def full_grid(self) -> Draws:
        """Return what the base has."""
        return self.base.full_grid()

    def draws(self, factors: ArrayLike) -> Draws:
        """Return the draws of these factors, as the base does."""
        return self.base.draws(factors)

    def default_nuisance(self, factors: NDArray[Any]) -> NDArray[np.uint64]:
        """Return the nuisance that the base has for each combination of factors."""
        return self.base.default_nuisance(factors)

    def check_factors(self, factors: ArrayLike) -> NDArray[Any]:
        """Return factors after the checks of the base."""
        return self.base.check_factors(factors)

    def __len__(self) -> int:
        """Return the number of observations of the base."""
        return len(self.base)
