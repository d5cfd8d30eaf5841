"""Ground-truth factors of variation, and the space they span."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from disentmetrics.errors import InvalidInputError, did_you_mean

Kind = Literal["categorical", "ordinal", "circular", "continuous"]
KINDS: tuple[Kind, ...] = get_args(Kind)

FULL_TURN = 2 * math.pi
"""Period of real values of a circular factor, if none is given: radians."""

_MULTIPLE_OF_PI = re.compile(r"(\d*\.?\d*)\s*\*?\s*(?:pi|π)")
_EVEN = 1e-6  # largest deviation of evenly spaced values, as a fraction of the mean spacing


@dataclass(frozen=True)
class Factor:
    """One generative factor of variation, a column of the factors.

    Parameters
    ----------
    name : str
        Name as printed in tables; unique within a space.
    size : int or None
        Number of values; None for real values, which continuous factors have and circular ones may have.
    kind : {"categorical", "ordinal", "circular", "continuous"}
        Circular factors are angles, hours and the like, which return to their start after one period.
    values : tuple of str or float, optional
        Meaning of each index: the name of a category, or the physical value.
    period : float, optional
        Of a circular factor, in the units of its values (of its indices, if the values are not numbers), such as 360
        or 24. By default 2 pi for real values; values of a given number divide the circle evenly.

    Raises
    ------
    InvalidInputError
        If kind and size contradict each other, the number of values differs from size, or a period is not positive,
        is given for another kind, or is missing for values that do not divide the circle evenly.

    Examples
    --------
    >>> Factor("shape", 3, "categorical", ("square", "ellipse", "heart")).values[1]
    'ellipse'
    >>> Factor("hour", 4, "circular", (0, 6, 18, 24), period=24).angles([0, 1, 2, 3]) / np.pi
    array([0. , 0.5, 1.5, 0. ])
    """

    name: str
    size: int | None
    kind: Kind
    values: tuple[str, ...] | tuple[float, ...] = ()
    period: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InvalidInputError(f"factor {self.name!r}: kind must be one of {', '.join(KINDS)}; got {self.kind!r}")
        if self.size is None and self.kind not in {"continuous", "circular"}:
            raise InvalidInputError(
                f"factor {self.name!r}: size must be the number of values if the kind is {self.kind}; got None"
            )
        if self.size is not None and self.kind == "continuous":
            raise InvalidInputError(
                f"factor {self.name!r}: size must be None if the kind is continuous; got {self.size}"
            )
        if self.size is not None and self.size < 1:
            raise InvalidInputError(f"factor {self.name!r}: size must be at least 1; got {self.size}")
        if self.values and len(self.values) != self.size:
            raise InvalidInputError(
                f"factor {self.name!r}: the number of values must equal size; "
                f"got {len(self.values)} values for size {self.size}"
            )
        self._check_period()

    def _check_period(self) -> None:
        if self.period is not None and self.kind != "circular":
            raise InvalidInputError(
                f"factor {self.name!r}: only circular factors have a period; got period {self.period} and kind "
                f"{self.kind!r}"
            )
        if self.period is not None and not (math.isfinite(self.period) and self.period > 0):
            raise InvalidInputError(
                f"factor {self.name!r}: the period must be a finite number above 0; got {self.period}"
            )
        if self.kind != "circular" or self.period is not None:
            return
        if self.size is None:
            object.__setattr__(self, "period", FULL_TURN)
        elif not _are_evenly_spaced(numbers := self._numbers()):
            raise InvalidInputError(
                f"factor {self.name!r}: values that are not evenly spaced need a period, such as period=360 for "
                f"degrees; got {', '.join(f'{value:g}' for value in numbers[:5])}{', …' if len(numbers) > 5 else ''}"
            )

    def _numbers(self) -> NDArray[np.float64]:
        """Return the physical value of each index, or the index itself where values are names, (size,)."""
        named = not self.values or isinstance(self.values[0], str)
        return np.asarray(np.arange(self.size or 0) if named else self.values, dtype=np.float64)

    def angles(self, values: ArrayLike) -> NDArray[np.float64]:
        """Return the angles of a circular factor in radians, in [0, 2 pi).

        Parameters
        ----------
        values : array of indices, or of real values if ``size`` is None
            NaN stays NaN.

        Raises
        ------
        InvalidInputError
            If the factor is not circular.
        """
        if self.kind != "circular":
            raise InvalidInputError(f"only circular factors have angles; {self.name!r} is {self.kind}")
        numbers = np.asarray(values, dtype=np.float64)
        period = float(self.size or FULL_TURN) if self.period is None else self.period
        if self.size is not None and self.period is not None:
            missing = np.isnan(numbers)
            indices = np.where(missing, 0, numbers).astype(np.int64)
            numbers = np.where(missing, np.nan, self._numbers()[indices])
        reduced = np.mod(numbers, period)
        return np.asarray(FULL_TURN * np.where(reduced == period, 0.0, reduced) / period)  # np.mod(-1e-20, 1) is 1

    @property
    def is_closed(self) -> bool:
        """Whether the values surround the circle, so that the last is a neighbour of the first."""
        if self.kind != "circular" or self.size is None or self.size == 1:
            return self.kind == "circular"
        gaps = np.diff(np.sort(self.angles(np.arange(self.size))))
        return bool(FULL_TURN - gaps.sum() <= 1.5 * gaps.max())

    @property
    def kind_spec(self) -> str:
        """The kind as text, with the period if there is one, such as ``circular:24``; see :func:`parse_kind`."""
        return self.kind if self.period is None else f"{self.kind}:{_period_text(self.period)}"

    @property
    def description(self) -> str:
        """Name, kind, number of values and period, as printed in tables.

        Examples
        --------
        >>> Factor("hour", 13, "circular", period=24).description
        'hour (circular, 13, period 24)'
        """
        period = None if self.period is None else f"period {_period_text(self.period)}"
        size = None if self.size is None else str(self.size)
        return f"{self.name} ({', '.join(filter(None, [self.kind, size, period]))})"

    def to_plain(self) -> list[Any]:
        """Return the factor as lists and scalars of JSON."""
        period = [] if self.period is None else [self.period]
        return [self.name, self.size, self.kind, list(self.values), *period]

    @classmethod
    def from_plain(cls, plain: Sequence[Any]) -> "Factor":
        """Restore what :meth:`to_plain` returned."""
        name, size, kind, values, *period = plain
        return cls(name, size, kind, tuple(values), *period)


def parse_kind(text: str) -> tuple[Kind, float | None]:
    """Parse a kind of factor and the period of a circular one: ``ordinal``, ``circular``, ``circular:24``.

    Periods may be multiples of pi, such as ``circular:2pi``.

    Raises
    ------
    InvalidInputError
        If there is no such kind, or the period is not a positive number.

    Examples
    --------
    >>> parse_kind("circular:360"), parse_kind("ordinal")
    (('circular', 360.0), ('ordinal', None))
    """
    name, colon, given = text.partition(":") if isinstance(text, str) else (text, "", "")
    if name not in KINDS:
        raise InvalidInputError(
            f"a kind must be one of {', '.join(KINDS)}, or circular:PERIOD such as circular:24; "
            f"got {text!r}{did_you_mean(str(name), KINDS)}"
        )
    if not colon:
        return name, None
    period = _period_of(given.strip())
    if name != "circular" or period is None:
        raise InvalidInputError(
            "only a circular kind has a period, a finite number above 0 such as circular:24 or circular:2pi; "
            f"got {text!r}"
        )
    return "circular", period


def _period_of(text: str) -> float | None:
    factor = 1.0
    if multiple := _MULTIPLE_OF_PI.fullmatch(text):
        text, factor = multiple[1] or "1", math.pi
    try:
        period = float(text) * factor
    except ValueError:
        return None
    return period if math.isfinite(period) and period > 0 else None


def _period_text(period: float) -> str:
    turns = period / math.pi
    if turns * math.pi == period and turns == int(turns):
        return "pi" if turns == 1 else f"{int(turns)}pi"
    return repr(float(period)).removesuffix(".0")


def _are_evenly_spaced(numbers: NDArray[np.float64]) -> bool:
    steps = np.diff(numbers)
    return len(steps) < 2 or bool(np.ptp(steps) <= _EVEN * abs(steps.mean()))


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
