"""Ground-truth factors of variation, and the space they span."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from disentmetrics.errors import InvalidInputError

Kind = Literal["categorical", "ordinal", "circular", "continuous"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Factor:
    """One generative factor of variation, a column of the factors.

    Parameters
    ----------
    name : str
        Name as printed in tables; unique within a space.
    size : int or None
        Number of values; None if and only if the factor is continuous.
    kind : {"categorical", "ordinal", "circular", "continuous"}
        Circular factors are ordinal with the last value next to the first.
    values : tuple of str or float, optional
        Meaning of each index: the name of a category, or the physical value.

    Raises
    ------
    InvalidInputError
        If kind and size contradict each other, or the number of values differs from size.

    Examples
    --------
    >>> Factor("shape", 3, "categorical", ("square", "ellipse", "heart")).values[1]
    'ellipse'
    """

    name: str
    size: int | None
    kind: Kind
    values: tuple[str, ...] | tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InvalidInputError(f"factor {self.name!r}: kind must be one of {', '.join(KINDS)}; got {self.kind!r}")
        if (self.size is None) != (self.kind == "continuous"):
            raise InvalidInputError(
                f"factor {self.name!r}: size must be None if and only if the kind is continuous; "
                f"got size {self.size} and kind {self.kind!r}"
            )
        if self.size is not None and self.size < 1:
            raise InvalidInputError(f"factor {self.name!r}: size must be at least 1; got {self.size}")
        if self.values and len(self.values) != self.size:
            raise InvalidInputError(
                f"factor {self.name!r}: the number of values must equal size; "
                f"got {len(self.values)} values for size {self.size}"
            )


@dataclass(frozen=True)
class FactorSpace:
    """Ordered factors; as a grid, a mixed-radix number system over their values.

    Parameters
    ----------
    factors : sequence of Factor
        The last factor varies fastest. There may be none, for data without known factors.

    Raises
    ------
    InvalidInputError
        If two factors have the same name.

    Examples
    --------
    >>> space = FactorSpace((Factor("shape", 3, "categorical"), Factor("x", 32, "ordinal")))
    >>> space.n_combinations, space.rows_of([[2, 31]]), space.indices_of([95])
    (96, array([95]), array([[ 2, 31]]))
    """

    factors: tuple[Factor, ...]

    def __init__(self, factors: Sequence[Factor]) -> None:
        object.__setattr__(self, "factors", tuple(factors))
        if len(set(self.names)) != len(self.factors):
            raise InvalidInputError(f"factor names must be unique; got {', '.join(self.names)}")

    def __len__(self) -> int:
        return len(self.factors)

    def __iter__(self) -> Iterator[Factor]:
        return iter(self.factors)

    def __getitem__(self, name: str) -> Factor:
        """Return the factor with this name."""
        return self.factors[self.position(name)]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the factors, in order."""
        return tuple(factor.name for factor in self.factors)

    @property
    def is_grid(self) -> bool:
        """Whether every factor has finitely many values, so that combinations can be enumerated."""
        return all(factor.size is not None for factor in self.factors)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of values of each factor; defined for a grid only."""
        if not self.is_grid:
            continuous = ", ".join(factor.name for factor in self.factors if factor.size is None)
            raise InvalidInputError(f"only a grid of discrete factors has sizes; these are continuous: {continuous}")
        return tuple(factor.size for factor in self.factors if factor.size is not None)

    @property
    def n_combinations(self) -> int:
        """Number of points of the grid."""
        return math.prod(self.sizes)

    def position(self, name: str) -> int:
        """Return the column of the factor with this name."""
        if name not in self.names:
            raise InvalidInputError(f"no factor is named {name!r}; the factors are {', '.join(self.names)}")
        return self.names.index(name)

    def rows_of(self, indices: ArrayLike) -> NDArray[np.int64]:
        """Return the row of each combination in the full grid.

        Parameters
        ----------
        indices : (n, n_factors) integer
            Index of each factor's value.

        Returns
        -------
        (n,) int64
            Rows, with the last factor varying fastest.
        """
        checked = self.check_indices(indices)
        if not self.factors:
            return np.zeros(len(checked), np.int64)
        return np.asarray(np.ravel_multi_index(tuple(checked.T), self.sizes), dtype=np.int64)

    def indices_of(self, rows: ArrayLike) -> NDArray[np.int64]:
        """Return the combination in each row of the full grid.

        Parameters
        ----------
        rows : (n,) integer
            Rows in 0 .. n_combinations - 1.

        Returns
        -------
        (n, n_factors) int64
        """
        checked = np.asarray(rows)
        if checked.ndim != 1 or not np.issubdtype(checked.dtype, np.integer):
            raise InvalidInputError(
                f"rows must be a flat array of integers; got shape {checked.shape}, dtype {checked.dtype}"
            )
        if checked.size and (checked.min() < 0 or checked.max() >= self.n_combinations):
            raise InvalidInputError(
                f"rows must lie in 0 .. {self.n_combinations - 1}; got {checked.min()} .. {checked.max()}"
            )
        if not self.factors:
            return np.empty((len(checked), 0), np.int64)
        return np.stack(np.unravel_index(checked, self.sizes), axis=1).astype(np.int64)

    def check_indices(self, indices: ArrayLike) -> NDArray[np.int64]:
        """Validate the shape, type and range of factor indices; return them as int64."""
        checked = as_table(indices)
        if checked.ndim != 2 or checked.shape[1] != len(self):
            raise InvalidInputError(
                f"indices must have shape (n, {len(self)}), one column for each of "
                f"{', '.join(self.names)}; got {checked.shape}"
            )
        if not np.issubdtype(checked.dtype, np.integer):
            raise InvalidInputError(f"indices must be integers; got dtype {checked.dtype}")
        for column, (factor, size) in enumerate(zip(self.factors, self.sizes, strict=True)):
            values = checked[:, column]
            if values.size and (values.min() < 0 or values.max() >= size):
                raise InvalidInputError(
                    f"indices of factor {factor.name!r} must lie in 0 .. {size - 1}; "
                    f"got {values.min()} .. {values.max()}"
                )
        return checked.astype(np.int64, copy=False)

    def check_values(self, values: ArrayLike) -> NDArray[np.float64]:
        """Validate factors, finite values or indices; return them as float64."""
        checked = as_table(values)
        if checked.ndim != 2 or checked.shape[1] != len(self) or checked.dtype.kind not in "iuf":
            raise InvalidInputError(
                f"factors must be numbers of shape (n, {len(self)}), one column for each of "
                f"{', '.join(self.names)}; got {checked.dtype} of shape {checked.shape}"
            )
        if not np.isfinite(checked).all():
            raise InvalidInputError("factors must be finite; got NaN or infinity")
        for factor, column in zip(self.factors, checked.T, strict=True):
            if factor.size is not None and len(column):
                integers = np.array_equal(column, np.rint(column))
                if not integers or column.min() < 0 or column.max() >= factor.size:
                    raise InvalidInputError(
                        f"indices of factor {factor.name!r} must be whole and lie in 0 .. {factor.size - 1}; "
                        f"got {column.min()} .. {column.max()}"
                    )
        return checked.astype(np.float64, copy=False)

    def sample(self, n: int, rng: np.random.Generator, *, replace: bool = True) -> NDArray[np.int64]:
        """Draw combinations uniformly from the grid.

        Parameters
        ----------
        n : int
            Number of combinations.
        rng : numpy.random.Generator
            Source of randomness.
        replace : bool
            Whether a combination may be drawn more than once.

        Returns
        -------
        (n, n_factors) int64
            Indices of the factors' values.

        Raises
        ------
        InvalidInputError
            If ``n`` is not an integer of at least 0, or exceeds the number of distinct combinations.
        """
        check_count(n)
        if replace:
            return rng.integers(self.sizes, size=(n, len(self)))
        if n > self.n_combinations:
            raise InvalidInputError(
                f"at most {self.n_combinations} distinct combinations can be drawn; got n = {n}; "
                "use the full grid instead"
            )
        rows = rng.choice(self.n_combinations, size=n, replace=False, shuffle=False)
        return self.indices_of(rows)


def as_table(values: ArrayLike) -> NDArray[Any]:
    """Return values as an array; rows must have equal length."""
    try:
        return np.asarray(values)
    except ValueError:
        raise InvalidInputError(
            "factors must be a table of one value for each factor in every row; got rows of different lengths"
        ) from None


def check_count(n: int) -> None:
    """Raise InvalidInputError unless a number of draws is an integer of at least 0."""
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 0:
        raise InvalidInputError(f"the number of draws must be a whole number from 0; got {n!r}")
