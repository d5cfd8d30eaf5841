"""Data sets of which some factors are nuisances."""

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from disentmetrics.datasets.base import DataSet
from disentmetrics.datasets.distribution import FactorDistribution, joint_positions
from disentmetrics.datasets.nuisance import choice, uniform
from disentmetrics.datasets.transforms.values import factor_named
from disentmetrics.datasets.transforms.wrapped import GridWrapped
from disentmetrics.errors import InvalidInputError
from disentmetrics.factors import FactorSpace


class WithNuisance(GridWrapped):
    """A data set of which some factors are nuisances: drawn for each observation, given the other factors.

    Parameters
    ----------
    base : DataSet
        With a grid of factors of known distribution.
    names : sequence of str
        The factors that the nuisance decides.

    Raises
    ------
    InvalidInputError
        If no factor is named, one is unknown, or none is left.
    """

    def __init__(self, base: DataSet, names: Sequence[str]) -> None:
        self._law = base.distribution
        for name in names:
            factor_named(base.space, name)
        columns = joint_positions(base.space, names)
        self._seen = [column for column in range(len(base.space)) if column not in columns]
        if not self._seen:
            raise InvalidInputError(f"at least one factor must stay; all were named as nuisances: {', '.join(names)}")
        space = FactorSpace([base.space.factors[column] for column in self._seen])
        tables = []
        depends = set[str]()
        for held, _ in self._law.tables:
            left = tuple(name for name in held if name not in names)
            depends |= set(left) if len(left) < len(held) else set()
            if left:
                tables.append((left, self._law.marginal(*left)))
        super().__init__(base, f"nuisance({','.join(names)})", FactorDistribution(space, tables))
        self.nuisances = (*base.nuisances, *names)
        # Of a hidden factor that depends on a visible one, equal nuisances are different values.
        self.symmetries = tuple(
            s for s in base.symmetries if not {s.factor, *s.given} & set(names) and s.factor not in depends
        )
        self._columns = columns

    def base_factors(self, factors: NDArray[Any], nuisance: NDArray[np.uint64]) -> NDArray[Any]:
        """Return the factors with those that the nuisance draws, one after the other.

        Raises
        ------
        InvalidInputError
            If a combination never occurs, so that there is nothing to draw the hidden factors from.
        """
        whole = np.zeros((len(factors), len(self.base.space)), np.int64)
        whole[:, self._seen] = factors
        known = list(self._seen)
        for column in self._columns:
            factor = self.base.space.factors[column]
            stream = self._stream(factor.name)
            block = next((block for block in self._law.blocks if column in block.columns), None)
            if block is None:
                whole[:, column] = choice(nuisance, factor.size or 1, stream=stream)
            else:
                given = tuple(k for k in block.columns if k in known)
                u = uniform(nuisance, 1, stream=stream)[:, 0]
                whole[:, column] = block.quantiles((column,), whole, given, u)[:, 0]
            known.append(column)
        return whole

    def _stream(self, name: str) -> int:
        earlier = self.base.nuisances.count(name)  # a name that was hidden before has had its draws
        return zlib.crc32(name.encode()) | (1 + earlier) << 32  # no data set numbers its own draws so high

    def default_nuisance(self, factors: NDArray[Any]) -> NDArray[np.uint64]:
        """Return the row of the grid at which each combination stands."""
        return DataSet.default_nuisance(self, factors)
