"""Conversion of raw label columns to factors: kind, values and indices, with the reason for the kind."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from disentmetrics.errors import InvalidInputError, did_you_mean
from disentmetrics.factors import KINDS, Factor, Kind

MAX_ORDINAL_VALUES = 100
"""Numbers with more distinct values than this are continuous."""

MIN_ROWS_PER_WHOLE_NUMBER = 2
"""Mean rows per distinct value from which integers count as recurring (a small grid has few)."""

MIN_ROWS_PER_NUMBER = 5
"""The same for other numbers: rounded measurements recur by chance."""


@dataclass(frozen=True, eq=False)
class CategoricalColumn:
    """A column of labels, with each distinct label stored once.

    Parameters
    ----------
    indices : (n_rows,) integer
        Position of each row's label in ``categories``; -1 where missing.
    categories : tuple of str, bool, int or float
        The distinct labels.
    ordered : bool
        Whether the order of the categories is meaningful.
    """

    indices: NDArray[np.integer]
    categories: tuple[Any, ...]
    ordered: bool = False

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Whether each row lacks a label, (n_rows,)."""
        return self.indices < 0

    @property
    def family(self) -> str:
        """Type of the labels: text, booleans or numbers."""
        return _family_of(self.categories[0]) if self.categories else "text"


@dataclass(frozen=True, eq=False)
class _NumberColumn:
    values: NDArray[Any]
    missing: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True, eq=False)
class EncodedFactor:
    """A factor and the index of its value in each row.

    Attributes
    ----------
    factor : Factor
        Its ``values`` are the meaning of each index: names, sorted or in their declared
        order, or numbers in ascending order.
    indices : (n_rows,) int64 or float64
        Discrete: 0 .. size - 1, -1 where missing. Continuous: the numbers, NaN where missing.
    reason : str
        Which kind was chosen and why, in one sentence.
    n_missing : int
        Number of rows without a label.
    """

    factor: Factor
    indices: NDArray[np.int64] | NDArray[np.float64]
    reason: str
    n_missing: int


def encode_factor(name: str, values: Any, *, kind: Kind | None = None) -> EncodedFactor:
    """Convert one column of raw labels to a factor and its indices.

    Text, booleans and categories are categorical. Numbers are ordinal if they have at most
    100 distinct values and recur: on average twice for whole numbers, five times for others.
    All other numbers are continuous. Circular factors cannot be distinguished from ordinal ones and must be
    declared by ``kind``.

    Parameters
    ----------
    name : str
        Name of the factor.
    values : (n_rows,) sequence, array, masked array or series of any data frame
        Missing labels are None, NaN, null or masked.
    kind : {"categorical", "ordinal", "circular", "continuous"}, optional
        Overrides the inferred kind.

    Returns
    -------
    EncodedFactor
        Factor, indices, reason and number of missing labels.

    Raises
    ------
    InvalidInputError
        If every label is missing, one is infinite, types are mixed or unusable (dates), or
        the labels cannot be of this kind: text is never continuous, and has no order
        unless one was declared.

    Examples
    --------
    >>> encoded = encode_factor("shape", ["square", None, "heart", "square"])
    >>> encoded.factor.values, encoded.indices
    (('heart', 'square'), array([ 1, -1,  0,  1]))
    >>> encoded.reason
    'shape is categorical because its values are names (2 distinct); 1 of 4 rows without a label'
    >>> encode_factor("angle", [0, 90, 0, 90], kind="circular").reason
    'angle is circular as specified (2 distinct values)'
    """
    if kind is not None and kind not in KINDS:
        raise InvalidInputError(
            f"factor {name!r}: kind must be one of {', '.join(KINDS)}; got {kind!r}{did_you_mean(str(kind), KINDS)}"
        )
    column = _read(name, values)
    n_missing = int(np.count_nonzero(column.missing))
    if n_missing == len(column):
        raise InvalidInputError(
            f"factor {name!r} must have a label in at least one row; got {_count(n_missing, 'row')}, "
            "none with a label; leave it out"
        )
    if isinstance(column, CategoricalColumn) and kind == "continuous" and column.family == "numbers":
        column = _as_numbers(name, column)
    factor, indices, why = (
        _encode_categories(name, column, kind)
        if isinstance(column, CategoricalColumn)
        else _encode_numbers(name, column, kind)
    )
    if kind is not None:
        why = "as specified" if factor.size is None else f"as specified ({_count(factor.size, 'distinct value')})"
    reason = f"{name} is {factor.kind} {why}"
    if n_missing:
        reason += f"; {n_missing:,} of {_count(len(column), 'row')} without a label"
    return EncodedFactor(factor, indices, reason, n_missing)


def _encode_numbers(
    name: str, column: _NumberColumn, kind: Kind | None
) -> tuple[Factor, NDArray[np.int64] | NDArray[np.float64], str]:
    present = column.values[~column.missing]
    _refuse_infinity(name, present)
    distinct = np.unique(present)
    integers = bool((distinct == np.floor(distinct)).all())
    what = "whole numbers" if integers else "numbers"
    needed = MIN_ROWS_PER_WHOLE_NUMBER if integers else MIN_ROWS_PER_NUMBER
    counts = f"{len(distinct):,} distinct in {_count(len(present), 'row')}"
    inferred: Kind = "continuous"
    if len(distinct) > MAX_ORDINAL_VALUES:
        why = f"because its values are {what}, more than {MAX_ORDINAL_VALUES} distinct ({counts})"
    elif len(present) < needed * len(distinct):
        why = f"because its values are {what} that rarely recur ({counts}, fewer than {needed} rows per value)"
    else:
        inferred, why = "ordinal", f"because its values are {what} that recur ({counts})"
    kind = kind or inferred
    if kind == "continuous":
        reals = column.values.astype(np.float64)
        reals[column.missing] = np.nan
        return Factor(name, None, kind), reals, why
    indices = np.full(len(column), -1, dtype=np.int64)
    indices[~column.missing] = np.searchsorted(distinct, present)
    values = tuple(int(value) if integers else float(value) for value in distinct)
    return Factor(name, len(values), kind, values), indices, why


def _encode_categories(
    name: str, column: CategoricalColumn, kind: Kind | None
) -> tuple[Factor, NDArray[np.int64], str]:
    family = column.family
    unordered = family == "text" and not column.ordered
    if kind == "continuous" or (kind in {"ordinal", "circular"} and unordered):
        raise InvalidInputError(
            f"factor {name!r} must contain numbers{'' if kind == 'continuous' else ' or ordered categories'} "
            f"to be {kind}; got {family} such as {column.categories[0]!r}; write it as numbers"
        )
    occurring = np.flatnonzero(np.bincount(column.indices[~column.missing])).tolist()
    order = occurring if column.ordered else sorted(occurring, key=column.categories.__getitem__)
    labels = [column.categories[i] for i in order]
    values = tuple(map(_number, labels)) if family == "numbers" else tuple(map(str, labels))
    if family == "numbers":
        _refuse_infinity(name, np.array(values, dtype=np.float64))
    position = np.full(len(column.categories) + 1, -1, dtype=np.int64)  # the last entry is for index -1
    position[order] = np.arange(len(labels))
    if family == "booleans":
        why = "because its values are true or false"
    elif column.ordered:
        why = f"because its values are {len(values):,} categories in their declared order"
    elif len(values) == np.count_nonzero(~column.missing) > 1:
        why = f"because its values are names (all {len(values):,} differ, as in an identifier)"
    else:
        why = f"because its values are names ({len(values):,} distinct)"
    return Factor(name, len(values), kind or "categorical", values), position[column.indices], why


def _refuse_infinity(name: str, labels: NDArray[Any]) -> None:
    if n_infinite := int(np.count_nonzero(np.isinf(labels))):
        raise InvalidInputError(
            f"factor {name!r} must be finite; got {_count(n_infinite, 'infinite label')}; "
            "mark such rows as missing or leave them out"
        )


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def _number(label: Any) -> float:
    return int(label) if isinstance(label, Integral) else float(label)


def _read(name: str, values: Any) -> CategoricalColumn | _NumberColumn:
    if isinstance(values, CategoricalColumn):
        return _checked(name, values)
    series = nw.from_native(values, series_only=True, pass_through=True)
    if isinstance(series, nw.Series):
        return _read_series(name, series)
    try:
        array = np.ma.asanyarray(values)
        if array.dtype.kind == "S":
            array = np.ma.MaskedArray(np.char.decode(array.data, "utf-8"), array.mask)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InvalidInputError(f"factor {name!r} must be one column of labels; {error}") from error
    if array.ndim != 1:
        raise InvalidInputError(f"factor {name!r} must be one column of shape (n_rows,); got shape {array.shape}")
    if array.dtype.kind in "iuf":
        return _numbers(array.data, np.ma.getmaskarray(array))
    if array.dtype.kind not in "bOTU":
        raise _unusable(name, f"dtype {array.dtype}", array.tolist())
    # numpy silently converts ["a", nan] and ["a", 1] to text, so sequences are read without it
    return _read_objects(name, array.tolist() if isinstance(values, np.ndarray) else list(values))


def _read_series(name: str, series: nw.Series[Any]) -> CategoricalColumn | _NumberColumn:
    if series.dtype == nw.Decimal:
        series = series.cast(nw.Float64)
    if series.dtype.is_numeric():
        return _numbers(series.fill_null(0).to_numpy(), series.is_null().to_numpy())
    if not isinstance(series.dtype, nw.Categorical | nw.Enum):
        return _read_objects(name, series.to_list())
    column = _checked(name, factorise(series.to_list()))
    if not isinstance(series.dtype, nw.Enum):
        return column
    declared = tuple(series.dtype.categories)
    position = np.array([*map(declared.index, column.categories), -1])
    return CategoricalColumn(position[column.indices], declared, ordered=True)


def _read_objects(name: str, labels: Sequence[Any]) -> CategoricalColumn | _NumberColumn:
    try:
        column = factorise(labels)
    except TypeError as error:  # unhashable
        raise _unusable(name, "objects", labels) from error
    _checked(name, column)
    return _as_numbers(name, column) if column.family == "numbers" else column


def factorise(labels: Iterable[Hashable]) -> CategoricalColumn:
    """Store each distinct label once, in order of appearance; None, NaN and pandas' NA are missing.

    Examples
    --------
    >>> column = factorise(["b", None, "a", "b"])
    >>> column.indices, column.categories
    (array([ 0, -1,  1,  0]), ('b', 'a'))
    """
    seen: dict[Hashable, int] = {}
    first_seen = np.fromiter((seen.setdefault(label, len(seen)) for label in labels), dtype=np.int64)
    present = np.array([not _is_missing(label) for label in seen], dtype=bool)
    position = np.where(present, np.cumsum(present) - 1, -1)
    categories = tuple(label for label, is_present in zip(seen, present, strict=True) if is_present)
    return CategoricalColumn(position[first_seen], categories)


def _is_missing(label: Any) -> bool:
    # pandas' NA compares neither true nor false; NaN and NaT differ from themselves
    return label is None or type(label).__name__ == "NAType" or bool(label != label)  # noqa: PLR0124 # NaN


def _checked(name: str, column: CategoricalColumn) -> CategoricalColumn:
    example = {_family_of(label): label for label in reversed(column.categories)}
    for family, label in example.items():
        if family not in {"text", "booleans", "numbers"}:
            raise _unusable(name, family, [label])
    if len(example) > 1:
        types = " and ".join(f"{family} such as {label!r}" for family, label in example.items())
        raise InvalidInputError(
            f"factor {name!r} must contain labels of one type; got {types}; convert them to one type"
        )
    return column


def _family_of(label: Any) -> str:
    if isinstance(label, str):
        return "text"
    if isinstance(label, bool | np.bool_):
        return "booleans"
    return "numbers" if isinstance(label, Real | Decimal) else type(label).__name__


def _unusable(name: str, what: str, labels: Sequence[Any]) -> InvalidInputError:
    such_as = f" such as {labels[0]!r}" if labels else ""
    return InvalidInputError(
        f"factor {name!r} must contain text, booleans or real numbers; got {what}{such_as}; "
        "convert it to numbers or names first"
    )


def _as_numbers(name: str, column: CategoricalColumn) -> _NumberColumn:
    integers = all(isinstance(label, Integral) for label in column.categories)
    try:  # the last entry is for index -1
        distinct = np.array([*column.categories, 0], dtype=np.int64 if integers else np.float64)
    except OverflowError as error:
        raise InvalidInputError(f"factor {name!r} must contain 64-bit integers; {error}") from error
    return _numbers(distinct[column.indices], column.indices < 0)


def _numbers(values: NDArray[Any], missing: NDArray[np.bool_]) -> _NumberColumn:
    return _NumberColumn(values, missing | np.isnan(values))
