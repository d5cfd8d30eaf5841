"""Probability distributions over a grid of factors, with exact marginal and conditional sampling."""

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from disentmetrics.errors import InvalidInputError
from disentmetrics.factors import FactorSpace, check_count

MOST_CELLS = 10_000_000
"""Maximum number of entries of a joint table (80 MB)."""

_CACHE_SIZE = 4
_DIGITS = 12  # cumulative probabilities are rounded, so that draws do not depend on a library's last bit

# Keys are tuples of names; typed as Any because the key type of a mapping is invariant.
Tables = Mapping[Any, ArrayLike] | Iterable[tuple[tuple[str, ...], ArrayLike]]


@dataclass(frozen=True, eq=False)
class Block:
    """Joint probability table of a group of factors that is independent of all other factors.

    Attributes
    ----------
    columns : tuple of int
        Columns of the factors, ascending.
    table : (size of each factor) float64
        Probabilities; they sum to 1.
    """

    columns: tuple[int, ...]
    table: NDArray[np.float64]
    _cache: dict[tuple[tuple[int, ...], tuple[int, ...]], NDArray[np.float64]] = field(default_factory=dict, repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        return Block, (self.columns, self.table)

    def marginal(self, columns: Sequence[int]) -> NDArray[np.float64]:
        """Return the marginal table of some of the factors, with axes in the order of ``columns``."""
        axes = [self.columns.index(column) for column in columns]
        summed = self.table.sum(axis=tuple(axis for axis in range(self.table.ndim) if axis not in axes))
        return np.asarray(summed.transpose(np.argsort(np.argsort(axes))))

    def quantiles(
        self, free: tuple[int, ...], factors: NDArray[np.int64], given: tuple[int, ...], u: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        """Return conditional quantiles: the first cell of p(free | given) whose cumulative probability exceeds ``u``.

        Applied to uniform random numbers, this samples from the conditional distribution (inverse transform sampling).

        Parameters
        ----------
        free, given : tuple of int
            Columns of this block; all others are marginalised out.
        factors : (n, n_factors) int64
            Values of the factors, of which only the given columns are read.
        u : (n,) float64 in [0, 1)
            Probability levels.

        Returns
        -------
        (n, n_free) int64

        Raises
        ------
        InvalidInputError
            If the given values have probability 0.
        """
        cumulative = self._cumulative(free, given)
        cells = self._cells(factors, given)
        sizes = [self.table.shape[self.columns.index(column)] for column in free]
        if not (cumulative[cells, -1] > 0).all():
            raise InvalidInputError("given factor values must have positive joint probability; some have probability 0")
        # Row k of the cumulative table is shifted by k, so that a single sorted search covers all rows.
        offsets = np.arange(len(cumulative), dtype=np.float64)[:, None]
        levels = np.minimum(cells + u, np.nextafter(cells + 1.0, 0))
        position = np.searchsorted((cumulative + offsets).ravel(), levels, side="right") - cells * cumulative.shape[1]
        return np.stack(np.unravel_index(position, sizes), axis=1).astype(np.int64)

    def possible(self, factors: NDArray[np.int64], given: tuple[int, ...]) -> NDArray[np.bool_]:
        """Return whether the values of the given columns have positive probability, as (n,) booleans."""
        return np.asarray(self.marginal(given).ravel()[self._cells(factors, given)] > 0)

    def _cells(self, factors: NDArray[np.int64], given: tuple[int, ...]) -> NDArray[np.int64]:
        if not given:
            return np.zeros(len(factors), np.int64)
        sizes = [self.table.shape[self.columns.index(column)] for column in given]
        return np.asarray(np.ravel_multi_index(tuple(factors[:, list(given)].T), sizes), np.int64)

    def _cumulative(self, free: tuple[int, ...], given: tuple[int, ...]) -> NDArray[np.float64]:
        """Return cumulative conditional probabilities (given cells, free cells); rows end at 1, or 0 if impossible."""
        if (free, given) not in self._cache:
            sizes = [self.table.shape[self.columns.index(column)] for column in given]
            sums = self.marginal((*given, *free)).reshape(math.prod(sizes), -1).cumsum(axis=1)
            total = sums[:, -1:]
            if len(self._cache) >= _CACHE_SIZE:
                self._cache.clear()
            self._cache[free, given] = np.round(
                np.divide(sums, total, out=np.zeros_like(sums), where=total > 0), _DIGITS
            )
        return self._cache[free, given]


class FactorDistribution:
    """Probability distribution over a grid of factors, given as a product of tables.

    Each table gives the (joint) weights of one or several factors; factors in no table are uniform and independent.

    Parameters
    ----------
    space : FactorSpace
        A grid of discrete factors.
    tables : mapping of names to array, or iterable of (names, array)
        Non-negative weights of one factor, or jointly of several, with one axis per name; they need not sum to 1.
        Tables that share a factor are multiplied into one joint table of at most 10 million entries.
    name : str
        Name used in fingerprints, such as ``correlate(x,y,0.8)``; by default derived from the tables.

    Raises
    ------
    InvalidInputError
        If the space is not a grid, a factor does not exist, a table has the wrong shape, is negative, not finite or
        too large, or all combinations have weight 0.

    Examples
    --------
    >>> from disentmetrics import Factor
    >>> space = FactorSpace([Factor("a", 2, "ordinal"), Factor("b", 3, "ordinal")])
    >>> uneven = FactorDistribution(space, {("a",): [1, 3]})
    >>> uneven.probability([[1, 2]]), uneven.marginal("a"), uneven.support_size
    (array([0.25]), array([0.25, 0.75]), 6)
    >>> uneven.sample(4, np.random.default_rng(0), fixed={"b": 2})[:, 1]
    array([2, 2, 2, 2])
    """

    def __init__(self, space: FactorSpace, tables: Tables = (), *, name: str = "") -> None:
        if not space.is_grid:
            raise InvalidInputError(
                "a distribution of factors needs a grid; these factors are continuous: "
                f"{', '.join(factor.name for factor in space if factor.size is None)}"
            )
        pairs = list(tables.items()) if isinstance(tables, Mapping) else list(tables)
        checked = [_checked_table(space, names, table) for names, table in pairs]
        self.space = space
        self.blocks = _blocks(space, checked)
        self.name = name or _name_of(space, self.blocks)

    def __repr__(self) -> str:
        return f"FactorDistribution({self.name}: {self.support_size} of {self.space.n_combinations} combinations)"

    def __mul__(self, other: "FactorDistribution") -> "FactorDistribution":
        """Return the renormalised product of two distributions over the same space."""
        if self.space != other.space:
            raise InvalidInputError(
                "distributions must be over the same factors to be multiplied; "
                f"got {', '.join(self.space.names)} and {', '.join(other.space.names)}"
            )
        named = [factor.name for factor in (self, other) if factor.blocks]
        return FactorDistribution(self.space, [*self.tables, *other.tables], name="+".join(named))

    @property
    def tables(self) -> tuple[tuple[tuple[str, ...], NDArray[np.float64]], ...]:
        """Names and joint probabilities of each block of dependent factors; all other factors are uniform."""
        return tuple((tuple(self.space.names[c] for c in block.columns), block.table) for block in self.blocks)

    @property
    def is_uniform(self) -> bool:
        """Whether the distribution is uniform on its support."""
        positive = [block.table[block.table > 0] for block in self.blocks]
        return all(table.max() - table.min() <= 1e-9 * table.max() for table in positive)

    @property
    def support_size(self) -> int:
        """Number of combinations with positive probability."""
        return math.prod(len(unit) for unit in self._units()[1])

    def support(self, positions: ArrayLike | None = None) -> NDArray[np.int64]:
        """Return the combinations with positive probability.

        Parameters
        ----------
        positions : (n,) integer, optional
            Positions of the combinations to return, in 0 .. ``support_size`` - 1; by default all, in grid order.

        Returns
        -------
        (n, n_factors) int64
        """
        columns, units = self._units()
        flat = np.arange(self.support_size) if positions is None else np.asarray(positions)
        combinations = np.empty((len(flat), len(self.space)), np.int64)
        if units:
            positions_in_units = np.unravel_index(flat, [len(unit) for unit in units])
            for unit_columns, unit, position in zip(columns, units, positions_in_units, strict=True):
                combinations[:, list(unit_columns)] = unit[position]
        return combinations if positions is not None else combinations[np.argsort(self.space.rows_of(combinations))]

    def _units(self) -> tuple[list[tuple[int, ...]], list[NDArray[np.int64]]]:
        """Return the columns of each independent group of factors, and the support of each."""
        columns = [block.columns for block in self.blocks]
        units = [np.argwhere(block.table > 0).astype(np.int64) for block in self.blocks]
        for column in self._free_columns():
            columns.append((column,))
            units.append(np.arange(self.space.sizes[column])[:, None])
        return columns, units

    def _free_columns(self) -> list[int]:
        """Return the columns of factors that are uniform and independent."""
        in_blocks = {column for block in self.blocks for column in block.columns}
        return [column for column in range(len(self.space)) if column not in in_blocks]

    def sample(
        self, n: int, rng: np.random.Generator, *, fixed: Mapping[str, int | ArrayLike] | None = None
    ) -> NDArray[np.int64]:
        """Draw independent samples, optionally conditional on the values of some factors.

        Parameters
        ----------
        n : int
            Sample size.
        rng : numpy.random.Generator
            Random number generator.
        fixed : mapping of str to int or (n,) integer, optional
            Index of the value at which a factor is fixed, one for all draws or one per draw.

        Returns
        -------
        (n, n_factors) int64
            Drawn from the conditional distribution of the other factors given the fixed ones.

        Raises
        ------
        InvalidInputError
            If ``n`` is not a non-negative integer, a fixed factor or value does not exist, or the fixed values have
            probability 0.
        """
        check_count(n)
        given = {} if fixed is None else self._checked_values(fixed, n)
        factors = np.empty((n, len(self.space)), np.int64)
        for column, values in given.items():
            factors[:, column] = values
        free = [column for column in self._free_columns() if column not in given]
        factors[:, free] = rng.integers(np.array(self.space.sizes, np.int64)[free], size=(n, len(free)))
        for block in self.blocks:
            conditioned = tuple(column for column in block.columns if column in given)
            drawn = tuple(column for column in block.columns if column not in given)
            if drawn:
                factors[:, list(drawn)] = block.quantiles(drawn, factors, conditioned, rng.random(n))
            elif not block.possible(factors, conditioned).all():
                raise InvalidInputError(
                    "fixed factor values must have positive joint probability; some have probability 0"
                )
        return factors

    def _checked_values(self, fixed: Mapping[str, int | ArrayLike], n: int) -> dict[int, NDArray[np.int64]]:
        given = {}
        for name, values in fixed.items():
            column, array = self.space.position(name), np.asarray(values)
            size = self.space.sizes[column]
            if array.dtype.kind not in "ui" or array.shape not in {(), (n,)}:
                raise InvalidInputError(
                    f"{name!r} must be fixed by a single index or by {n} indices, one per draw; "
                    f"got {array.dtype} of shape {array.shape}"
                )
            if array.size and (array.min() < 0 or array.max() >= size):
                raise InvalidInputError(
                    f"{name!r} must be fixed to 0 .. {size - 1}; got {array.min()} .. {array.max()}"
                )
            given[column] = np.broadcast_to(array, n).astype(np.int64)
        return given

    def probability(self, indices: ArrayLike) -> NDArray[np.float64]:
        """Return the probability of each combination.

        Parameters
        ----------
        indices : (n, n_factors) integer

        Returns
        -------
        (n,) float64 in [0, 1]
        """
        factors = self.space.check_indices(indices)
        free = math.prod(self.space.sizes[column] for column in self._free_columns())
        probability = np.full(len(factors), 1.0 / free)
        for block in self.blocks:
            probability *= block.table[tuple(factors[:, list(block.columns)].T)]
        return probability

    def marginal(self, *names: str) -> NDArray[np.float64]:
        """Return the (joint) marginal distribution of some factors.

        Parameters
        ----------
        *names : str
            At least one factor.

        Returns
        -------
        (size of each named factor) float64
            Probabilities, with one axis per name in the order given; they sum to 1.

        Raises
        ------
        InvalidInputError
            If a factor does not exist or is named twice, or the table would have more than 10 million entries.
        """
        order = joint_positions(self.space, names)
        joint, columns = np.ones(()), list[int]()
        for block in self.blocks:
            in_block = [column for column in order if column in block.columns]
            if in_block:
                joint = np.multiply.outer(joint, block.marginal(in_block))
                columns += in_block
        for column in self._free_columns():
            if column in order:
                joint = np.multiply.outer(joint, np.full(self.space.sizes[column], 1 / self.space.sizes[column]))
                columns.append(column)
        return np.asarray(joint.transpose([columns.index(column) for column in order]))

    def conditional(self, given: Mapping[str, int | Sequence[int]]) -> "FactorDistribution":
        """Return the distribution conditional on factors taking one of the given values.

        Parameters
        ----------
        given : mapping of str to int or sequence of int
            Indices of the allowed values of each factor.

        Returns
        -------
        FactorDistribution
            Over the same space; other values have probability 0.

        Raises
        ------
        InvalidInputError
            If a factor or value does not exist, or the condition has probability 0.

        Examples
        --------
        >>> from disentmetrics import Factor
        >>> space = FactorSpace([Factor("a", 4, "ordinal"), Factor("b", 3, "ordinal")])
        >>> FactorDistribution(space).conditional({"a": [0, 3]}).marginal("a")
        array([0.5, 0. , 0. , 0.5])
        """
        tables = []
        for name, values in given.items():
            size = self.space.sizes[self.space.position(name)]
            allowed = np.zeros(size)
            kept = np.atleast_1d(np.asarray(values))
            if kept.dtype.kind not in "ui" or not kept.size or kept.min() < 0 or kept.max() >= size:
                raise InvalidInputError(f"values of {name!r} must be indices in 0 .. {size - 1}; got {values!r}")
            allowed[kept] = 1
            tables.append(((name,), allowed))
        return FactorDistribution(self.space, [*self.tables, *tables])


def joint_positions(space: FactorSpace, names: Sequence[str]) -> list[int]:
    """Return the columns of factors that are to be tabulated jointly.

    Raises
    ------
    InvalidInputError
        If no factor is named, one does not exist or is named twice, or the table would exceed 10 million entries.
    """
    positions = [space.position(name) for name in names]
    if not positions or len(set(positions)) < len(positions):
        raise InvalidInputError(f"at least one factor must be named, each once; got {', '.join(names) or 'none'}")
    _check_size(space, positions)
    return positions


def _check_size(space: FactorSpace, columns: Sequence[int]) -> None:
    n_cells = math.prod(space.sizes[column] for column in columns)
    if n_cells > MOST_CELLS:
        raise InvalidInputError(
            f"a joint table may have at most {MOST_CELLS:,} entries; {', '.join(space.names[c] for c in columns)} "
            f"have {n_cells:,} combinations: make fewer factors depend on each other"
        )


def _checked_table(
    space: FactorSpace, names: tuple[str, ...], table: ArrayLike
) -> tuple[tuple[int, ...], NDArray[np.float64]]:
    """Return the columns in ascending order, and the table with its axes in that order."""
    positions = joint_positions(space, names)
    weights = np.asarray(table, np.float64)
    expected = tuple(space.sizes[position] for position in positions)
    if weights.shape != expected:
        raise InvalidInputError(f"the table of {', '.join(names)} must have shape {expected}; got {weights.shape}")
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise InvalidInputError(
            f"the table of {', '.join(names)} must contain finite, non-negative weights; it does not"
        )
    return tuple(sorted(positions)), weights.transpose(np.argsort(positions))


def _blocks(space: FactorSpace, tables: Iterable[tuple[tuple[int, ...], NDArray[np.float64]]]) -> tuple[Block, ...]:
    """Multiply tables that share a factor into one block; drop constant tables."""
    joint: list[tuple[tuple[int, ...], NDArray[np.float64]]] = []
    for columns, table in tables:
        overlapping = [other for other in joint if set(other[0]) & set(columns)]
        joint = [other for other in joint if not set(other[0]) & set(columns)]
        union = tuple(sorted(set(columns).union(*(other[0] for other in overlapping))))
        _check_size(space, union)
        product = np.ones([space.sizes[column] for column in union])
        for factor_columns, weights in [*overlapping, (columns, table)]:
            largest = weights.max()  # weights are scaled to at most 1, so that no product overflows
            shape = [space.sizes[column] if column in factor_columns else 1 for column in union]
            product *= (weights / (largest or 1.0)).reshape(shape)
        if not product.any():
            raise InvalidInputError(
                "a distribution must give at least one combination positive weight; all combinations of "
                f"{', '.join(space.names[column] for column in union)} have weight 0"
            )
        joint.append((union, product))
    return tuple(Block(columns, table / table.sum()) for columns, table in sorted(joint) if table.min() < table.max())


def _name_of(space: FactorSpace, blocks: Sequence[Block]) -> str:
    if not blocks:
        return "uniform"
    digest = hashlib.sha256()
    for block in blocks:
        digest.update(repr(block.columns).encode() + (np.round(block.table, 12) + 0.0).astype("<f8").tobytes())
    names = ",".join(space.names[column] for block in blocks for column in block.columns)
    return f"weighted({names},{digest.hexdigest()[:8]})"
