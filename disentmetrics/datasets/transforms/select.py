"""Data sets with some of the values of factors."""

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
    """Return the part of a data set whose factors have some of their values; see ``DataSet.select``."""
    return Selected(base, factors) if base.has_distribution else SelectedRows(base, factors)


class _Selection:
    """Which values of which factors are kept, and what the factors are then."""

    def __init__(self, base: DataSet, chosen: Mapping[str, int | tuple[int, ...]]) -> None:
        space = base.space
        self.of = space
        self.chosen = dict(chosen)
        closed = {
            s.factor for s in base.symmetries if not s.given and {0, (space[s.factor].size or 0) - 1} <= set(s.same)
        }
        self.kept_columns = [k for k, name in enumerate(space.names) if not isinstance(chosen.get(name), int)]
        self.space = FactorSpace([
            _with_values(factor, chosen[factor.name], closed=factor.name in closed) if factor.name in chosen else factor
            for factor in space
            if not isinstance(chosen.get(factor.name), int)
        ])  # fmt: skip

    def lifted(self, factors: NDArray[Any]) -> NDArray[Any]:
        """Return factors of the whole space; a missing value (-1) stays missing."""
        whole = np.empty((len(factors), len(self.of)), factors.dtype)
        whole[:, self.kept_columns] = factors
        for name, values in self.chosen.items():
            column = self.of.position(name)
            if isinstance(values, int):
                whole[:, column] = values
            else:
                index = whole[:, column].astype(np.int64)
                whole[:, column] = np.where(index < 0, -1, np.array(values)[np.maximum(index, 0)])
        return whole

    def lowered(self, whole: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Return the factors of those rows that are kept, and which rows these are."""
        kept = np.ones(len(whole), bool)
        factors = whole.copy()
        for name, values in self.chosen.items():
            column = self.of.position(name)
            listed = np.array(values if isinstance(values, tuple) else (values,))
            kept &= np.isin(whole[:, column], listed)
            factors[kept, column] = np.searchsorted(listed, whole[kept, column])
        rows = np.flatnonzero(kept)
        return factors[rows][:, self.kept_columns], rows

    def symmetries(self, old: Sequence[Symmetry]) -> tuple[Symmetry, ...]:
        """Return which symmetries hold among the values that are kept."""
        found = []
        for symmetry in old:
            same = self._new_indices(symmetry.factor, symmetry.same)
            given = {name: self._new_indices(name, indices) for name, indices in symmetry.given.items()}
            if symmetry.factor not in self.space.names or len(same) < 2 or not all(given.values()):
                continue
            found.append(Symmetry(symmetry.factor, same, {n: i for n, i in given.items() if n in self.space.names}))
        return tuple(found)

    def _new_indices(self, name: str, indices: Sequence[int]) -> tuple[int, ...]:
        values = self.chosen.get(name)
        if values is None:
            return tuple(indices)
        listed = values if isinstance(values, tuple) else (values,)
        return tuple(listed.index(index) for index in indices if index in listed)


def _with_values(factor: Factor, kept: int | tuple[int, ...], *, closed: bool) -> Factor:
    """Return the factor with fewer values; a circle with a gap in it is no circle any more.

    A circle is ``closed`` if its last value looks like its first, so that one turn has a value less.
    """
    indices = kept if isinstance(kept, tuple) else (kept,)
    size = factor.size or 1
    turn = size - closed if size > 1 else 1
    steps = {(b - a) % turn for a, b in zip(indices, (*indices[1:], indices[0]), strict=True)}
    broken = factor.kind == "circular" and len(steps) > 1 and len(indices) < size
    values: Any = tuple(factor.values[index] for index in indices) if factor.values else ()
    return Factor(factor.name, len(indices), "ordinal" if broken else factor.kind, values)


class Selected(GridWrapped):
    """The part of a data set whose factors have some of their values.

    Parameters
    ----------
    base : DataSet
        With a grid of factors of known distribution.
    factors : mapping of str to value or values
        See ``DataSet.select``.
    """

    def __init__(self, base: DataSet, factors: FactorValues) -> None:
        chosen = value_indices(base.space, factors)
        self._selection = _Selection(base, chosen)
        given = base.distribution.conditional(dict(chosen))
        tables = []
        for names, table in given.tables:
            part = table
            for axis, name in reversed(list(enumerate(names))):
                if name in chosen:
                    values = chosen[name]
                    part = part.take(values if isinstance(values, int) else list(values), axis=axis)
            left = tuple(name for name in names if name in self._selection.space.names)
            if left:
                tables.append((left, part))
        distribution = FactorDistribution(self._selection.space, tables)
        super().__init__(base, f"select({format_values(chosen)})", distribution)
        self.symmetries = self._selection.symmetries(base.symmetries)

    def base_factors(self, factors: NDArray[Any], nuisance: NDArray[np.uint64]) -> NDArray[Any]:
        """Return the indices that the values have in the base."""
        return self._selection.lifted(factors)

    def sample_nuisance(self, factors: NDArray[Any], rng: np.random.Generator) -> NDArray[np.uint64]:
        """Draw a nuisance for each of these factors, as the base does."""
        return self.base.sample_nuisance(self._selection.lifted(factors), rng)


class SelectedRows(Wrapped):
    """The rows of a data set that is a table of rows whose factors have some of their values.

    Parameters
    ----------
    base : DataSet
        Which lists its rows by ``whole``.
    factors : mapping of str to value or values
        See ``DataSet.select``; rows in which a label is missing are left out.

    Raises
    ------
    InvalidInputError
        If a factor is continuous, there is no end to observations, or no row is left.
    """

    def __init__(self, base: DataSet, factors: FactorValues) -> None:
        chosen = value_indices(base.space, factors)
        super().__init__(base, f"select({format_values(chosen)})")
        self._selection = _Selection(base, chosen)
        if type(base).full_grid is DataSet.full_grid and not base.space.is_grid:
            raise InvalidInputError(
                f"values can be selected of a grid of factors or of rows of a table; {base.name} has no full grid, as "
                "it has continuous factors, and no rows"
            )
        every = base.full_grid()
        lowered, rows = self._selection.lowered(every.factors)
        if not len(rows):
            raise InvalidInputError(f"values must be selected that some row has; no row of {base.name} is left")
        self._rows = replace(every[rows], factors=lowered)
        self.space = self._selection.space
        self.symmetries = self._selection.symmetries(base.symmetries)

    def base_factors(self, factors: NDArray[Any], nuisance: NDArray[np.uint64]) -> NDArray[Any]:
        """Return the indices that the values have in the base."""
        return self._selection.lifted(factors)

    def full_grid(self) -> Draws:
        """Return all rows that are kept."""
        return self._rows

    def sample(self, n: int, rng: np.random.Generator, *, replace: bool = False) -> Draws:
        """Draw rows at random; distinct ones, in their order, unless they may come again.

        Raises
        ------
        InvalidInputError
            If ``n`` is no whole number from 0, or more distinct rows are asked for than there are.
        """
        check_count(n)
        if not replace and n > len(self):
            raise InvalidInputError(
                f"at most {len(self)} distinct rows can be drawn from {self.fingerprint}; got n = {n}; "
                "ask for all instead"
            )
        return self._rows[np.sort(rng.choice(len(self), size=n, replace=replace))]

    def sample_factors(self, n: int, rng: np.random.Generator) -> NDArray[Any]:
        """Draw the factors of ``n`` rows independently."""
        return np.asarray(self._rows.factors[rng.integers(len(self), size=n)])

    def default_nuisance(self, factors: NDArray[Any]) -> NDArray[np.uint64]:
        """Return the nuisance that the base has for each combination of factors."""
        return self.base.default_nuisance(self._selection.lifted(factors))

    def check_factors(self, factors: ArrayLike) -> NDArray[Any]:
        """Return factors after the checks of their space and of the base."""
        array = as_table(factors)
        if array.ndim != 2 or array.shape[1] != len(self.space) or array.dtype.kind not in "iuf":
            raise InvalidInputError(
                f"factors must be numbers of shape (n, {len(self.space)}), one column for each of "
                f"{', '.join(self.space.names)}; got {array.dtype} of shape {array.shape}"
            )
        array = array.astype(np.int64 if array.dtype.kind in "iu" else np.float64)
        for factor, column in zip(self.space, array.T, strict=True):
            lowest = 0 if factor.name in self._selection.chosen else -1  # a missing label was not selected
            if factor.size is None or not len(column):
                continue
            is_whole = np.array_equal(column, np.rint(column))
            if not is_whole or not lowest <= column.min() <= column.max() < factor.size:
                raise InvalidInputError(
                    f"indices of factor {factor.name!r} must {'' if is_whole else 'be whole and '}lie in "
                    f"{lowest} .. {factor.size - 1}; got {column.min()} .. {column.max()}"
                )
        lifted = self.base.check_factors(self._selection.lifted(array))
        return array.astype(lifted.dtype, copy=False)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._rows)
