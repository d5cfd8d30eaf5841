"""Data sets with some factors turned into nuisances."""

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
    """A data set with some factors turned into nuisances, drawn for each observation given the remaining factors.

    Parameters
    ----------
    base : DataSet
        A data set with a known distribution of its factors.
    names : sequence of str
        Factors to be determined by the nuisance.

    Raises
    ------
    InvalidInputError
        If no factor is named, one does not exist, or no factor remains.
    """

    def __init__(self, base: DataSet, names: Sequence[str]) -> None:
        self._base_distribution = base.distribution
        for name in names:
            factor_named(base.space, name)
        columns = joint_positions(base.space, names)
        self._visible = [column for column in range(len(base.space)) if column not in columns]
        if not self._visible:
            raise InvalidInputError(
                f"at least one factor must remain; all were turned into nuisances: {', '.join(names)}"
            )
        space = FactorSpace([base.space.factors[column] for column in self._visible])
        tables = []
        dependent = set[str]()
        for block_names, _ in self._base_distribution.tables:
            remaining = tuple(name for name in block_names if name not in names)
            dependent |= set(remaining) if len(remaining) < len(block_names) else set()
            if remaining:
                tables.append((remaining, self._base_distribution.marginal(*remaining)))
        super().__init__(base, f"nuisance({','.join(names)})", FactorDistribution(space, tables))
        self.nuisances = (*base.nuisances, *names)
        # A symmetry of a visible factor on which a hidden one depends is lost: equal nuisances then give different
        # values of the hidden factor.
        self.symmetries = tuple(
            s for s in base.symmetries if not {s.factor, *s.given} & set(names) and s.factor not in dependent
        )
        self._hidden = columns

    def base_factors(self, factors: NDArray[Any], nuisance: NDArray[np.uint64]) -> NDArray[Any]:
        """Return all factors of the base: the visible ones, and the hidden ones sampled from the nuisance in turn.

        Raises
        ------
        InvalidInputError
            If a combination has probability 0, so that the hidden factors have no conditional distribution.
        """
        base_factors = np.zeros((len(factors), len(self.base.space)), np.int64)
        base_factors[:, self._visible] = factors
        assigned = list(self._visible)
        for column in self._hidden:
            factor = self.base.space.factors[column]
            stream = self._stream(factor.name)
            block = next((block for block in self._base_distribution.blocks if column in block.columns), None)
            if block is None:
                base_factors[:, column] = choice(nuisance, factor.size or 1, stream=stream)
            else:
                given = tuple(k for k in block.columns if k in assigned)
                u = uniform(nuisance, 1, stream=stream)[:, 0]
                base_factors[:, column] = block.quantiles((column,), base_factors, given, u)[:, 0]
            assigned.append(column)
        return base_factors

    def _stream(self, name: str) -> int:
        n_earlier = self.base.nuisances.count(name)  # an earlier hidden factor of this name has used its own stream
        return zlib.crc32(name.encode()) | (1 + n_earlier) << 32  # above the stream numbers of any data set

    def default_nuisance(self, factors: NDArray[Any]) -> NDArray[np.uint64]:
        """Return the grid position of each combination of the visible factors."""
        return DataSet.default_nuisance(self, factors)
