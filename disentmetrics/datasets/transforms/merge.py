"""Data sets with several factors merged into one."""

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from disentmetrics.datasets.base import DataSet, Symmetry
from disentmetrics.datasets.distribution import FactorDistribution, joint_positions
from disentmetrics.datasets.transforms.values import factor_named
from disentmetrics.datasets.transforms.wrapped import GridWrapped
from disentmetrics.errors import InvalidInputError
from disentmetrics.factors import Factor, FactorSpace

_NAME = re.compile(r"[\w .-]*")  # other characters are separators in specs and fingerprints
_MOST_NAMED_VALUES = 10_000  # beyond this number, names of categories would only consume memory and disk space


class Merged(GridWrapped):
    """A data set with several factors merged into one categorical factor, whose categories are their combinations.

    Parameters
    ----------
    base : DataSet
        A data set with a known distribution of its factors.
    names : sequence of str
        At least two factors, of which the last varies fastest.
    name : str
        Name of the merged factor, which takes the position of the first of them; by default the names joined by
        ``_``.

    Raises
    ------
    InvalidInputError
        If fewer than two factors are named, one does not exist, or the name is already in use or contains characters
        other than letters, digits, spaces and ``_.-``.
    """

    def __init__(self, base: DataSet, names: Sequence[str], name: str = "") -> None:
        base_distribution = base.distribution
        if not _NAME.fullmatch(name):
            raise InvalidInputError(
                f"the name of a merged factor must consist of letters, digits, spaces and '_.-'; got {name!r}"
            )
        self._name = name or "_".join(names)
        self._factors = [factor_named(base.space, n) for n in names]
        joint_positions(base.space, names)
        others = [factor.name for factor in base.space if factor.name not in names]
        if len(names) < 2 or self._name in others:
            raise InvalidInputError(
                "merge needs at least two factors and a name that no other factor has; "
                f"got {', '.join(names)} as {self._name!r}"
            )
        self._sizes = tuple(factor.size or 0 for factor in self._factors)
        self._columns = [base.space.position(n) for n in names]
        self._others = [base.space.position(n) for n in others]
        first = min(self._columns)
        self._position = sum(column < first for column in self._others)
        values: Any = ()
        if all(factor.values for factor in self._factors) and math.prod(self._sizes) <= _MOST_NAMED_VALUES:
            values = tuple(",".join(map(str, v)) for v in product(*(factor.values for factor in self._factors)))
        merged = Factor(self._name, math.prod(self._sizes), "categorical", values)
        factors = [base.space.factors[column] for column in self._others]
        factors.insert(self._position, merged)
        distribution = FactorDistribution(FactorSpace(factors), self._tables(base_distribution))
        super().__init__(base, f"merge({self._name}={','.join(names)})", distribution)
        self.symmetries = tuple(s for symmetry in base.symmetries for s in self._translated(symmetry))

    def _tables(self, distribution: FactorDistribution) -> list[tuple[tuple[str, ...], NDArray[np.float64]]]:
        """Return the tables of the distribution with the axes of merged factors flattened into one."""
        merged = {factor.name for factor in self._factors}
        affected = [names for names, _ in distribution.tables if merged & set(names)]
        tables = [(names, table) for names, table in distribution.tables if names not in affected]
        if affected:
            others = tuple(name for names in affected for name in names if name not in merged)
            joint = distribution.marginal(*others, *(factor.name for factor in self._factors))
            tables.append(((*others, self._name), joint.reshape(*joint.shape[: len(others)], -1)))
        return tables

    def _translated(self, symmetry: Symmetry) -> list[Symmetry]:
        """Express a symmetry of the base in terms of the merged factor."""
        names = [factor.name for factor in self._factors]
        allowed = [symmetry.given.get(name, range(size)) for name, size in zip(names, self._sizes, strict=True)]
        given = {name: indices for name, indices in symmetry.given.items() if name not in names}
        if symmetry.factor in names:
            axis = names.index(symmetry.factor)
            contexts = product(*(indices for k, indices in enumerate(allowed) if k != axis))
            return [
                Symmetry(self._name, tuple(self._row((*c[:axis], i, *c[axis:])) for i in symmetry.same), given)
                for c in contexts
            ]
        if set(names) & set(symmetry.given):
            given[self._name] = tuple(self._row(combination) for combination in product(*allowed))
        return [replace(symmetry, given=given)]

    def _row(self, combination: Sequence[int]) -> int:
        return int(np.ravel_multi_index(tuple(combination), self._sizes))

    def base_factors(self, factors: NDArray[Any], nuisance: NDArray[np.uint64]) -> NDArray[Any]:
        """Return the factors with the merged one split into its components."""
        base_factors = np.empty((len(factors), len(self.base.space)), np.int64)
        base_factors[:, self._others] = np.delete(factors, self._position, axis=1)
        base_factors[:, self._columns] = np.stack(np.unravel_index(factors[:, self._position], self._sizes), axis=1)
        return base_factors

    def sample_nuisance(self, factors: NDArray[Any], rng: np.random.Generator) -> NDArray[np.uint64]:
        """Draw a nuisance for each row of factors as the base does."""
        return self.base.sample_nuisance(self.base_factors(factors, np.zeros(len(factors), np.uint64)), rng)
