"""Data sets restricted to some values of their factors."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from disentmetrics.datasets.base import DataSet, Draws, Symmetry
from disentmetrics.datasets.distribution import FactorDistribution
from disentmetrics.datasets.transforms.values import FactorValues, format_values, value_indices
from disentmetrics.datasets.transforms.wrapped import GridWrapped, Wrapped
from disentmetrics.errors import InvalidInputError
from disentmetrics.factors import Factor, FactorSpace, as_table, check_count


def select(base: DataSet, factors: FactorValues) -> "Selected | SelectedRows":
    """Return the subset of a data set in which factors take the given values; see ``DataSet.select``."""
    return Selected(base, factors) if base.has_distribution else SelectedRows(base, factors)


class _Selection:
    """Maps between the factors of a data set and those of a subset with selected values."""

    def __init__(self, base: DataSet, selected: Mapping[str, int | tuple[int, ...]]) -> None:
        space = base.space
        self.base_space = space
        self.selected = dict(selected)
        closed = {
            s.factor for s in base.symmetries if not s.given and {0, (space[s.factor].size or 0) - 1} <= set(s.same)
        }
        self.kept_columns = [k for k, name in enumerate(space.names) if not isinstance(selected.get(name), int)]
        self.space = FactorSpace([
            _restricted(factor, selected[name], closed=name in closed) if name in selected else factor
            for name, factor in zip(space.names, space, strict=True)
            if not isinstance(selected.get(name), int)
        ])  # fmt: skip

    def to_base(self, factors: NDArray[Any]) -> NDArray[Any]:
        """Convert factors of the subset to those of the base; a missing label (-1) stays missing."""
        base_factors = np.empty((len(factors), len(self.base_space)), factors.dtype)
        base_factors[:, self.kept_columns] = factors
        for name, values in self.selected.items():
            column = self.base_space.position(name)
            if isinstance(values, int):
                base_factors[:, column] = values
            else:
                index = base_factors[:, column].astype(np.int64)
                base_factors[:, column] = np.where(index < 0, -1, np.array(values)[np.maximum(index, 0)])
        return base_factors

    def from_base(self, base_factors: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Return the factors of the rows that belong to the subset, and the indices of these rows."""
        kept = np.ones(len(base_factors), bool)
        factors = base_factors.copy()
        for name, values in self.selected.items():
            column = self.base_space.position(name)
            allowed = np.array(values if isinstance(values, tuple) else (values,))
            kept &= np.isin(base_factors[:, column], allowed)
            factors[kept, column] = np.searchsorted(allowed, base_factors[kept, column])
        rows = np.flatnonzero(kept)
        return factors[rows][:, self.kept_columns], rows

    def symmetries(self, base_symmetries: Sequence[Symmetry]) -> tuple[Symmetry, ...]:
        """Return the symmetries among the selected values."""
        remaining = []
        for symmetry in base_symmetries:
            same = self._new_indices(symmetry.factor, symmetry.same)
            given = {name: self._new_indices(name, indices) for name, indices in symmetry.given.items()}
            if symmetry.factor not in self.space.names or len(same) < 2 or not all(given.values()):
                continue
            given = {name: indices for name, indices in given.items() if name in self.space.names}
            remaining.append(Symmetry(symmetry.factor, same, given))
        return tuple(remaining)

    def _new_indices(self, name: str, indices: Sequence[int]) -> tuple[int, ...]:
        values = self.selected.get(name)
        if values is None:
            return tuple(indices)
        allowed = values if isinstance(values, tuple) else (values,)
        return tuple(allowed.index(index) for index in indices if index in allowed)


def _restricted(factor: Factor, kept: int | tuple[int, ...], *, closed: bool) -> Factor:
    """Return the factor with only some of its values; a circular factor with unequal gaps becomes ordinal.

    A circular factor is ``closed`` if its last value gives the same observation as its first, so that a full turn has
    one value less.
    """
    indices = kept if isinstance(kept, tuple) else (kept,)
    size = factor.size or 1
    period = size - closed if size > 1 else 1
    gaps = {(b - a) % period for a, b in zip(indices, (*indices[1:], indices[0]), strict=True)}
    is_broken = factor.kind == "circular" and len(gaps) > 1 and len(indices) < size
    # a period is in the units of the values, which are the indices where there are no others
    named: Any = factor.values or (() if factor.period is None else range(size))
    values = tuple(named[index] for index in indices) if named else ()
    if is_broken:
        return Factor(factor.name, len(indices), "ordinal", values)
    return Factor(factor.name, len(indices), factor.kind, values, factor.period)


class Selected(GridWrapped):
    """The subset of a data set with a grid of factors in which factors take the given values.

    Parameters
    ----------
    base : DataSet
        A data set with a known distribution of its factors.
    factors : mapping of str to value or values
        See ``DataSet.select``.
    """

    def __init__(self, base: DataSet, factors: FactorValues) -> None:
        selected = value_indices(base.space, factors)
        self._selection = _Selection(base, selected)
        conditional = base.distribution.conditional(dict(selected))
        tables = []
        for names, table in conditional.tables:
            subtable = table
            for axis, name in reversed(list(enumerate(names))):
                if name in selected:
                    values = selected[name]
                    subtable = subtable.take(values if isinstance(values, int) else list(values), axis=axis)
            remaining = tuple(name for name in names if name in self._selection.space.names)
            if remaining:
                tables.append((remaining, subtable))
        distribution = FactorDistribution(self._selection.space, tables)
        super().__init__(base, f"select({format_values(selected)})", distribution)
        self.symmetries = self._selection.symmetries(base.symmetries)

    def base_factors(self, factors: NDArray[Any], nuisance: NDArray[np.uint64]) -> NDArray[Any]:
        """Return the corresponding indices in the base."""
        return self._selection.to_base(factors)

    def sample_nuisance(self, factors: NDArray[Any], rng: np.random.Generator) -> NDArray[np.uint64]:
        """Draw a nuisance for each row of factors as the base does."""
        return self.base.sample_nuisance(self._selection.to_base(factors), rng)


class SelectedRows(Wrapped):
    """The rows of a table in which factors take the given values.

    Parameters
    ----------
    base : DataSet
        A data set whose ``full_grid`` returns its rows.
    factors : mapping of str to value or values
        See ``DataSet.select``; rows with a missing label in one of these factors are excluded.

    Raises
    ------
    InvalidInputError
        If a selected factor is continuous, the number of observations is infinite, or no row remains.
    """

    def __init__(self, base: DataSet, factors: FactorValues) -> None:
        selected = value_indices(base.space, factors)
        super().__init__(base, f"select({format_values(selected)})")
        self._selection = _Selection(base, selected)
        if type(base).full_grid is DataSet.full_grid and not base.space.is_grid:
            raise InvalidInputError(
                f"select needs a grid of factors or a table of rows; {base.name} has no full grid because it has "
                "continuous factors, and no table of rows"
            )
        all_rows = base.full_grid()
        kept_factors, rows = self._selection.from_base(all_rows.factors)
        if not len(rows):
            raise InvalidInputError(f"at least one row must have the selected values; no row of {base.name} does")
        self._rows = replace(all_rows[rows], factors=kept_factors)
        self.space = self._selection.space
        self.symmetries = self._selection.symmetries(base.symmetries)

    def base_factors(self, factors: NDArray[Any], nuisance: NDArray[np.uint64]) -> NDArray[Any]:
        """Return the corresponding indices in the base."""
        return self._selection.to_base(factors)

    def full_grid(self) -> Draws:
        """Return all selected rows."""
        return self._rows

    def sample(self, n: int, rng: np.random.Generator, *, replace: bool = False) -> Draws:
        """Draw a random sample of rows, in ascending order; rows are distinct unless ``replace`` is set.

        Raises
        ------
        InvalidInputError
            If ``n`` is not a non-negative integer or exceeds the number of distinct rows.
        """
        check_count(n)
        if not replace and n > len(self):
            raise InvalidInputError(
                f"at most {len(self)} distinct rows can be drawn from {self.fingerprint}; got n = {n}; "
                "use all of them instead"
            )
        return self._rows[np.sort(rng.choice(len(self), size=n, replace=replace))]

    def sample_factors(self, n: int, rng: np.random.Generator) -> NDArray[Any]:
        """Draw the factors of ``n`` rows with replacement."""
        return np.asarray(self._rows.factors[rng.integers(len(self), size=n)])

    def default_nuisance(self, factors: NDArray[Any]) -> NDArray[np.uint64]:
        """Return the default nuisance of the base for each combination of factors."""
        return self.base.default_nuisance(self._selection.to_base(factors))

    def check_factors(self, factors: ArrayLike) -> NDArray[Any]:
        """Check factors against the selection and the base, and return them."""
        array = as_table(factors)
        if array.ndim != 2 or array.shape[1] != len(self.space) or array.dtype.kind not in "iuf":
            raise InvalidInputError(
                f"factors must be numbers of shape (n, {len(self.space)}), with one column for each of "
                f"{', '.join(self.space.names)}; got {array.dtype} of shape {array.shape}"
            )
        array = array.astype(np.int64 if array.dtype.kind in "iu" else np.float64)
        for factor, column in zip(self.space, array.T, strict=True):
            lowest = 0 if factor.name in self._selection.selected else -1  # missing labels were not selected
            if factor.size is None or not len(column):
                continue
            is_whole = np.array_equal(column, np.rint(column))
            if not is_whole or not lowest <= column.min() <= column.max() < factor.size:
                raise InvalidInputError(
                    f"indices of factor {factor.name!r} must {'' if is_whole else 'be integers and '}lie in "
                    f"{lowest} .. {factor.size - 1}; got {column.min()} .. {column.max()}"
                )
        base_factors = self.base.check_factors(self._selection.to_base(array))
        return array.astype(base_factors.dtype, copy=False)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._rows)
