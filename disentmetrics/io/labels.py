"""Conversion of raw label columns to factors: kind, values and indices, with the reason for the kind.

The same rules hold for text files, workbooks, data frames and Python objects. Marks of missing values
(:data:`MISSING`, :data:`MISSING_OR_NAME` and those that the caller adds) are read first; then numbers that other labels
interrupt are refused, numbers equal up to rounding are merged, and what was merged or looks mistaken becomes a note.
"""

import math
import unicodedata
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.arrays import as_array
from disentmetrics.errors import InvalidInputError
from disentmetrics.factors import FULL_TURN, Factor, Kind, parse_kind

MISSING = ("", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NAN", "null", "NULL")
"""Text that marks a missing value in every column; blanks around it are ignored."""

MISSING_OR_NAME = ("None", "?", "-", ".", "missing")
"""Text that marks a missing value among numbers, and among names where at least two other names occur.

It is a name where a factor is declared categorical, and where hardly anything else occurs, as in ``+`` and ``-``.
"""

MAX_ORDINAL_VALUES = 100
"""Numbers with more distinct values than this are continuous."""

MIN_ROWS_PER_WHOLE_NUMBER = 2
"""Mean rows per distinct value from which integers count as recurring (a small grid has few)."""

MIN_ROWS_PER_NUMBER = 5
"""The same for other numbers: rounded measurements recur by chance."""

MAX_EXACT = 2**53
"""From here on double precision does not hold every integer."""

_DOUBLE_ROUNDING = 2.0**-46  # a few units in the last place, as 0.1 + 0.2 and 0.3 differ
_SINGLE_ROUNDING = 2.0**-22
_CLEAR_GAP = 64.0  # how many times wider the gaps between merged values are than these values' own differences
_FEW = 3


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
    as_written : bool
        Whether the labels are the text of a file without types, in which numbers are text too.
    """

    indices: NDArray[np.integer]
    categories: tuple[Any, ...]
    ordered: bool = False
    as_written: bool = False

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Whether each row lacks a label, (n_rows,)."""
        return self.indices < 0

    @property
    def counts(self) -> NDArray[np.int64]:
        """Number of rows of each category."""
        return np.bincount(self.indices[~self.missing], minlength=len(self.categories)).astype(np.int64)

    @property
    def family(self) -> str:
        """Type of the labels: text, booleans or numbers."""
        return _family_of(self.categories[0]) if self.categories else "text"


@dataclass(frozen=True, eq=False)
class MarkedNumbers:
    """A column of numbers in which marks such as ``?`` were read as missing.

    Parameters
    ----------
    values : (n_rows,) float
        NaN where missing.
    marks : mapping of str to int
        Number of rows of each mark.
    """

    values: NDArray[np.float64]
    marks: Mapping[str, int]

    def __len__(self) -> int:
        return len(self.values)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:  # noqa: FBT001 # numpy's protocol
        return np.array(self.values, dtype=dtype, copy=copy)


@dataclass(frozen=True, eq=False)
class _NumberColumn:
    values: NDArray[Any]
    missing: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.values)


_Column = CategoricalColumn | _NumberColumn


@dataclass(frozen=True, eq=False)
class EncodedFactor:
    """A factor and the index of its value in each row.

    Attributes
    ----------
    factor : Factor
        Its ``values`` are the meaning of each index: names, sorted or in their declared
        order, or numbers in ascending order.
    indices : (n_rows,) int64 or float64
        Discrete: 0 .. size - 1, -1 where missing. Real values: the numbers, NaN where missing.
    reason : str
        Which kind was chosen and why, in one sentence.
    n_missing : int
        Number of rows without a label.
    notes : tuple of str
        What was changed in the labels, or looks like a mistake in them, one sentence each.
    """

    factor: Factor
    indices: NDArray[np.int64] | NDArray[np.float64]
    reason: str
    n_missing: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Encoded:
    factor: Factor
    indices: NDArray[np.int64] | NDArray[np.float64]
    why: str
    notes: tuple[str, ...] = ()


def encode_factor(
    name: str, values: Any, *, kind: str | None = None, missing: Collection[str | float] | str | float = ()
) -> EncodedFactor:
    """Convert one column of raw labels to a factor and its indices.

    Text, booleans and categories are categorical. Numbers are ordinal if they have at most
    100 distinct values and recur: on average twice for whole numbers, five times for others.
    All other numbers are continuous. Circular factors cannot be distinguished from ordinal ones and must be
    declared by ``kind``.

    Discrete numbers that differ only by rounding, in single or in double precision, become one value, with a note.
    Names that differ only in blanks or capitals stay apart, with a note.

    Parameters
    ----------
    name : str
        Name of the factor.
    values : (n_rows,) sequence, array, masked array or series of any data frame
        Missing labels are None, NaN, null, masked, or text such as NA (:data:`MISSING`, :data:`MISSING_OR_NAME`).
    kind : {"categorical", "ordinal", "circular", "circular:PERIOD", "continuous"}, optional
        Overrides the inferred kind. Values of a circular factor are reduced to [0, PERIOD), so that 0 and PERIOD are
        one value. Without a period, whole numbers must be 0 .. n - 1, which divide the circle evenly, and other
        numbers must be radians, from -2 pi to 2 pi.
    missing : str or number, or a collection of them
        Further marks of missing labels. A number also marks equal numbers.

    Returns
    -------
    EncodedFactor
        Factor, indices, reason, number of missing labels and notes.

    Raises
    ------
    InvalidInputError
        If every label is missing, one is infinite, types are mixed or unusable (dates), the period is unknown, or
        the labels cannot be of this kind: names are never continuous, and have no order unless one was declared.

    Examples
    --------
    >>> encoded = encode_factor("shape", ["square", None, "heart", "square"])
    >>> encoded.factor.values, encoded.indices
    (('heart', 'square'), array([ 1, -1,  0,  1]))
    >>> encoded.reason
    'shape is categorical because its values are names (2 distinct); 1 of 4 rows without a label'
    >>> encode_factor("angle", [0, 90, 360, 450], kind="circular:360").factor.values
    (0, 90)
    """
    declared, period = (None, None) if kind is None else _parsed_kind(name, kind)
    column, is_typed = _read(name, values)
    n_unmarked = np.count_nonzero(~column.missing)
    column, marks = _without_marks(column, _marks_of(missing), declared)
    if isinstance(values, MarkedNumbers):
        marks = {**values.marks, **marks}
    n_missing = int(np.count_nonzero(column.missing))
    if n_missing == len(column):
        raise InvalidInputError(
            f"factor {name!r} must have a label in at least one row; got {_count(n_missing, 'row')}, "
            "none with a label; leave it out"
        )
    if isinstance(column, CategoricalColumn):
        is_marked = bool(np.count_nonzero(~column.missing) < n_unmarked)
        column = _of_one_type(name, column, declared, is_typed=is_typed, is_marked=is_marked)
    if isinstance(column, CategoricalColumn):
        encoded = _encode_categories(name, column, declared, period)
    elif declared == "circular":
        encoded = _encode_circular(name, column, period)
    else:
        encoded = _encode_numbers(name, column, declared)
    factor, why = encoded.factor, encoded.why
    if declared is not None and declared != "circular":
        why = "as specified" if factor.size is None else f"as specified ({_count(factor.size, 'distinct value')})"
    reason = f"{name} is {factor.kind} {why}"
    if n_missing:
        reason += f"; {n_missing:,} of {_count(len(column), 'row')} without a label"
    notes = [f"factor {name}: read as missing labels: {_listed(marks)}"] if marks else []
    return EncodedFactor(factor, encoded.indices, reason, n_missing, (*notes, *encoded.notes))


def notes_on_groups(encoded: EncodedFactor) -> tuple[str, ...]:
    """Return the notes of a column that numbers the groups of rows and is no factor."""
    return tuple(f"groups: {note.partition(': ')[2]}" for note in encoded.notes)


def _parsed_kind(name: str, kind: str) -> tuple[Kind, float | None]:
    try:
        return parse_kind(kind)
    except InvalidInputError as error:
        raise InvalidInputError(f"factor {name!r}: {error}") from None


# Marks of missing labels.


@dataclass(frozen=True)
class _Marks:
    """Marks of missing labels that the caller added."""

    texts: frozenset[str]
    numbers: frozenset[float]

    def holds(self, label: Any) -> bool:
        if isinstance(label, str):
            return bool(self.texts) and (
                label in self.texts or label.strip() in self.texts or _number_in(label) in self.numbers
            )
        is_number = bool(self.numbers) and _family_of(label) == "numbers"
        return is_number and float(label) in self.numbers


def _marks_of(missing: Collection[str | float] | str | float) -> _Marks:
    texts = mark_texts(missing)
    numbers = (_number_in(text) for text in texts)
    return _Marks(texts, frozenset(number for number in numbers if number is not None))


def mark_texts(missing: Collection[str | float] | str | float) -> frozenset[str]:
    """Return marks of missing labels as text.

    Raises
    ------
    InvalidInputError
        If one is neither text nor a number.

    Examples
    --------
    >>> sorted(mark_texts(["low", -999]))
    ['-999', 'low']
    """
    given: list[Any] = [missing] if isinstance(missing, str | Real) else list(missing)  # type: ignore[arg-type] # a float is Real
    for mark in given:
        if not isinstance(mark, str | Real) or isinstance(mark, bool):
            raise InvalidInputError(f"marks of missing labels must be text or numbers; got {mark!r}")
    return frozenset(mark if isinstance(mark, str) else f"{float(mark):.17g}" for mark in given)


def _without_marks(column: _Column, given: _Marks, kind: Kind | None) -> tuple[_Column, dict[str, int]]:
    """Return the column with marked labels missing, and the rows of each mark that is not in ``MISSING``."""
    if isinstance(column, _NumberColumn):
        if not given.numbers:
            return column, {}
        marked = np.isin(column.values, [*given.numbers]) & ~column.missing
        values, counts = np.unique(column.values[marked], return_counts=True)
        rows_of_mark = {f"{value:g}": int(count) for value, count in zip(values, counts, strict=True)}
        return _NumberColumn(column.values, column.missing | marked), rows_of_mark
    labels = column.categories
    counts = column.counts.tolist()
    known = [isinstance(label, str) and label.strip() in MISSING for label in labels]
    added = [given.holds(label) for label in labels]
    unclear = [isinstance(label, str) and label.strip() in MISSING_OR_NAME for label in labels]
    others = [
        label
        for label, *flags, count in zip(labels, known, added, unclear, counts, strict=True)
        if count and not any(flags)
    ]
    if column.ordered or not _interrupted(others, kind):
        unclear = [False] * len(labels)
    kept = np.array([not (k or a or u) for k, a, u in zip(known, added, unclear, strict=True)], dtype=bool)
    if kept.all():
        return column, {}
    position = np.append(np.where(kept, np.cumsum(kept) - 1, -1), -1)  # the last entry is for index -1
    remaining = tuple(label for label, keep in zip(labels, kept, strict=True) if keep)
    found = Counter[str]()
    for label, mark, count in zip(labels, np.logical_or(added, unclear), counts, strict=True):
        if mark and count:
            found[str(label).strip()] += count
    return CategoricalColumn(position[column.indices], remaining, column.ordered, column.as_written), dict(found)


def _interrupted(others: Sequence[Any], kind: Kind | None) -> bool:
    """Whether a label such as ``?`` is more likely a missing label than a name, next to the other labels."""
    if not others:
        return False
    if all(not isinstance(label, str) or _number_in(label) is not None for label in others):
        return True
    return kind != "categorical" and len({_plain_name(label) for label in others if isinstance(label, str)}) >= 2


def _listed(counts: dict[str, int]) -> str:
    most = sorted(counts.items(), key=lambda item: -item[1])
    shown = [f"{mark!r} in {_count(n, 'row')}" for mark, n in most[:_FEW]]
    rest = len(most) - len(shown)
    return ", ".join(shown) + (f" and {rest:,} more" if rest else "")


# Text that may be numbers.


def as_floats(cells: Sequence[str]) -> NDArray[np.float64] | None:
    """Return cells as numbers; None if any is a label, such as 309_1 or an identifier of 20 digits."""
    text = "".join(cells)
    if "_" in text or not text.isascii():  # Python would accept both as parts of a number
        return None
    try:
        numbers = np.array(cells, dtype=np.float64)
    except ValueError:
        return None
    beyond_exact = np.flatnonzero(np.abs(numbers) >= MAX_EXACT)
    return None if any(_is_whole(cells[i]) for i in beyond_exact.tolist()) else numbers


def _number_in(text: str) -> float | None:
    numbers = as_floats([text])
    return None if numbers is None else float(numbers[0])


def _is_whole(text: str) -> bool:
    return text.strip().lstrip("+-").isdecimal()


def _of_one_type(
    name: str, column: CategoricalColumn, kind: Kind | None, *, is_typed: bool, is_marked: bool
) -> _Column:
    """Return numbers or names of one type; refuse a mixture of them."""
    families = [_family_of(label) for label in column.categories]
    example = dict(zip(reversed(families), reversed(column.categories), strict=True))
    for family, label in example.items():
        if family not in {"text", "booleans", "numbers"}:
            raise _unusable(name, family, [label])
    if set(example) == {"text"}:
        return _from_text(name, column, kind, is_marked=is_marked and not is_typed)
    if len(example) > 1:
        if kind == "categorical":
            renamed = factorise(map(str, column.categories))
            return CategoricalColumn(np.append(renamed.indices, -1)[column.indices], renamed.categories)
        if set(example) == {"text", "numbers"}:
            raise _stray_labels(name, column, [family == "numbers" for family in families])
        types = " and ".join(f"{family} such as {label!r}" for family, label in example.items())
        raise InvalidInputError(
            f"factor {name!r} must contain labels of one type; got {types}; convert them to one type"
        )
    if "numbers" in example and (not is_typed or kind in {"continuous", "circular"}):
        return _as_numbers(name, column)
    return column


def _from_text(name: str, column: CategoricalColumn, kind: Kind | None, *, is_marked: bool) -> _Column:
    """Return names, or numbers where the text of a file, or a numeric kind, makes it clear that they are numbers.

    Text of other origin is refused if marks of missing labels explain why its numbers are text (``is_marked``), or if
    it contains measurements.
    """
    if kind == "categorical" or (column.ordered and kind != "continuous"):
        return column
    parsed = [_number_in(label) for label in column.categories]
    is_number = [number is not None for number in parsed]
    wants_numbers = kind is not None
    if not any(is_number) and not (wants_numbers and all(map(_is_whole, column.categories))):
        return column
    if all(is_number) and (column.as_written or wants_numbers):
        values = np.array([*parsed, np.nan], dtype=np.float64)  # the last entry is for index -1
        return _numbers(values[column.indices], column.missing)
    if any(_is_whole(label) for label, number in zip(column.categories, is_number, strict=True) if not number):
        if wants_numbers and all(map(_is_whole, column.categories)):
            return _as_numbers(name, CategoricalColumn(column.indices, tuple(map(int, column.categories))))
        return column  # identifiers, of which the short ones look like numbers
    if not all(is_number) and (wants_numbers or (column.as_written and _dominate(column, is_number))):
        raise _stray_labels(name, column, is_number)
    are_measurements = _dominate(column, is_number) and _are_measurements(column, parsed)
    if not column.as_written and all(is_number) and (is_marked or are_measurements):
        marks = ", next to marks of missing labels" if is_marked else ""
        raise InvalidInputError(
            f"factor {name!r} must not contain numbers written as text; got {column.categories[0]!r} and "
            f"{len(parsed) - 1:,} more{marks}; convert them to numbers, or declare its kind, such as continuous or "
            "categorical"
        )
    if not column.as_written and are_measurements:
        raise _stray_labels(name, column, is_number)
    return column


def _dominate(column: CategoricalColumn, is_number: Sequence[bool]) -> bool:
    """Whether numbers are the majority of the rows or of the distinct labels."""
    rows = column.counts
    return bool(2 * rows[np.array(is_number)].sum() > rows.sum() or 2 * sum(is_number) > len(is_number))


def _are_measurements(column: CategoricalColumn, parsed: Sequence[float | None]) -> bool:
    """Whether the numbers have decimals and would be continuous."""
    is_number = np.array([number is not None for number in parsed])
    numbers = [number for number in parsed if number is not None and math.isfinite(number)]
    recurs = _inferred(len(numbers), int(column.counts[is_number].sum()), integers=False)[0] == "ordinal"
    return not recurs and any(number != int(number) for number in numbers)


def _stray_labels(name: str, column: CategoricalColumn, is_number: Sequence[bool]) -> InvalidInputError:
    rows = column.counts.tolist()
    n_numbers = sum(count for count, number in zip(rows, is_number, strict=True) if number)
    stray = {
        str(label): count
        for label, count, number in zip(column.categories, rows, is_number, strict=True)
        if count and not number
    }
    first = max(stray, key=lambda label: stray[label])
    return InvalidInputError(
        f"factor {name!r} must contain either numbers or names; {n_numbers:,} of {_count(len(column), 'row')} contain "
        f"numbers and {sum(stray.values()):,} other text: {_listed(stray)}; if it marks missing labels, add it to "
        f"missing= (--missing {first!r}); if all labels are names, declare kinds={{{name!r}: 'categorical'}} "
        f"(--kind {name}=categorical)"
    )


# Kinds.


def _inferred(n_distinct: int, n_rows: int, *, integers: bool) -> tuple[Kind, str]:
    """Return the kind of numbers and why."""
    what = "whole numbers" if integers else "numbers"
    needed = MIN_ROWS_PER_WHOLE_NUMBER if integers else MIN_ROWS_PER_NUMBER
    counts = f"{n_distinct:,} distinct in {_count(n_rows, 'row')}"
    if n_distinct > MAX_ORDINAL_VALUES:
        return "continuous", f"because its values are {what}, more than {MAX_ORDINAL_VALUES} distinct ({counts})"
    if n_rows < needed * n_distinct:
        return (
            "continuous",
            f"because its values are {what} that rarely recur ({counts}, fewer than {needed} rows per value)",
        )
    return "ordinal", f"because its values are {what} that recur ({counts})"


def _encode_numbers(name: str, column: _NumberColumn, kind: Kind | None) -> _Encoded:
    present = column.values[~column.missing]
    _refuse_infinity(name, present)
    distinct = np.unique(present)
    integers = bool((distinct == np.floor(distinct)).all())
    group = None if integers or kind == "continuous" else _rounding_groups(distinct, _pair_tolerance(distinct))
    n_distinct = len(distinct) if group is None else int(group[-1]) + 1
    inferred, why = _inferred(n_distinct, len(present), integers=integers)
    kind = kind or inferred
    if kind == "continuous":
        reals = column.values.astype(np.float64)
        reals[column.missing] = np.nan
        return _Encoded(Factor(name, None, kind), reals, why, tuple(_rounded_integers(name, distinct)))
    indices = np.full(len(column), -1, dtype=np.int64)
    indices[~column.missing] = np.searchsorted(distinct, present)
    notes: tuple[str, ...] = ()
    if group is not None:
        notes = (_merged_note(name, distinct, group),)
        indices = np.append(group, -1)[indices]
        distinct = _representatives(distinct, group)
    return _Encoded(Factor(name, n_distinct, kind, _as_values(distinct, integers=integers)), indices, why, notes)


def _as_values(distinct: NDArray[Any], *, integers: bool) -> tuple[float, ...]:
    return tuple(int(value) if integers else float(value) for value in distinct)


def _rounded_integers(name: str, distinct: NDArray[Any]) -> Iterator[str]:
    if distinct.dtype.kind in "iu" and len(distinct) and max(abs(int(distinct[0])), abs(int(distinct[-1]))) > MAX_EXACT:
        rounded = distinct.astype(np.float64)
        with np.errstate(invalid="ignore"):  # 2^63 is no 64-bit integer
            n_changed = int(np.count_nonzero(rounded.astype(distinct.dtype) != distinct))
        if n_changed:
            n_equal = len(distinct) - len(np.unique(rounded))
            yield (
                f"factor {name}: {n_changed:,} of {len(distinct):,} whole numbers beyond 2^53 are rounded to double "
                f"precision{f', which makes {n_equal:,} equal to others' if n_equal else ''}; declare an identifier "
                "categorical"
            )


def _encode_circular(name: str, column: _NumberColumn, period: float | None) -> _Encoded:
    """Reduce numbers to one period; values that recur become discrete."""
    present = column.values[~column.missing]
    _refuse_infinity(name, present)
    raw = np.unique(present)
    integers = bool((raw == np.floor(raw)).all())
    if period is None:
        period, how = _default_period(name, raw, integers=integers)
    else:
        how = "as specified"
    integers = integers and period == int(period)
    # exact for integers, and close enough to one period is one period
    wrapped = np.mod(raw, int(period)) if raw.dtype.kind in "iu" and integers else np.mod(raw.astype(float), period)
    tolerance = max(_SINGLE_ROUNDING * period, _DOUBLE_ROUNDING * float(np.abs(raw).max()))
    around_zero = wrapped if integers else np.where(wrapped > period - tolerance, wrapped - period, wrapped)
    distinct, position = np.unique(around_zero, return_inverse=True)
    group = None if integers else _rounding_groups(distinct, np.full(max(len(distinct) - 1, 0), tolerance))
    if group is None:
        wrapped = np.where(wrapped >= period, 0, wrapped)  # np.mod(-1e-20, 360) is 360
        distinct, position = np.unique(wrapped, return_inverse=True)
        group = np.arange(len(distinct))
    else:
        position = group[position]
        distinct = np.maximum(_representatives(distinct, group), 0.0)
    values = distinct[position.ravel()][np.searchsorted(raw, present)]
    inferred, _ = _inferred(len(distinct), len(present), integers=integers)
    notes: tuple[str, ...] = ()
    if len(distinct) < len(raw):
        same = raw[position.ravel() == np.argmax(np.bincount(position.ravel()))]
        example = f"{same[0]:g} and {same[-1]:g}"
        fewer = f"{len(raw):,} values are {len(distinct):,} on a circle of period {period:g}"
        notes = (f"factor {name}: {fewer}, such as {example}",)
    about = f"{how}, with period {period:g}"
    if inferred == "continuous" and not integers:
        reals = np.full(len(column), np.nan)
        reals[~column.missing] = values
        return _Encoded(Factor(name, None, "circular", period=period), reals, about, notes)
    indices = np.full(len(column), -1, dtype=np.int64)
    indices[~column.missing] = np.searchsorted(distinct, values)
    factor = Factor(name, len(distinct), "circular", _as_values(distinct, integers=integers), period)
    return _Encoded(factor, indices, f"{about} ({_count(len(distinct), 'distinct value')})", notes)


def _default_period(name: str, distinct: NDArray[Any], *, integers: bool) -> tuple[float, str]:
    """Return the period of undeclared angles, where it is known, and how."""
    low, high = float(distinct[0]), float(distinct[-1])
    if integers and low == 0 and high == len(distinct) - 1:
        return float(len(distinct)), "as specified; its values 0 .. n - 1 divide the circle evenly"
    slack = 1 + 1e-6
    widest = max(abs(low), abs(high), high - low)
    if not integers and 1 < widest <= FULL_TURN * slack:
        return FULL_TURN, "as specified, in radians"
    raise InvalidInputError(
        f"factor {name!r}: the period of a circular factor must be declared unless its values are 0 .. n - 1 or "
        f"radians; got values from {low:g} to {high:g}; declare kinds={{{name!r}: 'circular:360'}} "
        f"(--kind {name}=circular:360) for degrees, circular:24 for hours, circular:2pi for radians"
    )


# Numbers that are equal up to rounding.


def _pair_tolerance(distinct: NDArray[Any]) -> NDArray[np.float64]:
    """Return how far neighbours of sorted distinct numbers may lie apart if they are one number, rounded."""
    values = distinct.astype(np.float64)
    magnitude = np.maximum(np.abs(values[:-1]), np.abs(values[1:]))
    tolerance = np.full(len(magnitude), _DOUBLE_ROUNDING * float(np.abs(values).max(initial=0.0)))
    with np.errstate(over="ignore"):
        is_single, half = values.astype(np.float32) == values, values.astype(np.float16)
    whole = values == np.floor(values)
    one_is_single = is_single[:-1] | is_single[1:]
    tolerance = np.maximum(tolerance, np.where(one_is_single, _SINGLE_ROUNDING * magnitude, 0.0))
    # half precision is so coarse that one number must be exactly the other, rounded
    one_is_half = (half[:-1] == values[1:]) | (half[1:] == values[:-1])
    tolerance = np.where(one_is_half, np.inf, tolerance)
    return np.asarray(np.where(whole[:-1] & whole[1:], -1.0, tolerance))


def _rounding_groups(distinct: NDArray[Any], tolerance: NDArray[np.float64]) -> NDArray[np.int64] | None:
    """Return the number of each sorted number's group of numbers equal up to rounding; None if all groups are single.

    Groups must be much narrower than the gaps between them: otherwise the numbers are dense, not rounded.
    """
    gaps = np.diff(distinct.astype(np.float64))
    is_same = gaps <= tolerance
    if not is_same.any() or is_same.all():
        return None
    group = np.concatenate([[0], np.cumsum(~is_same)]).astype(np.int64)
    first = np.flatnonzero(np.diff(group, prepend=-1))
    last = np.append(first[1:], len(distinct)) - 1
    width = float((distinct[last].astype(np.float64) - distinct[first].astype(np.float64)).max())
    return group if float(gaps[~is_same].min()) >= _CLEAR_GAP * width else None


def _representatives(distinct: NDArray[Any], group: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the number of each group that is written with the fewest digits."""
    best: dict[int, float] = {}
    for value, number in zip(distinct.astype(np.float64).tolist(), group.tolist(), strict=True):
        if number not in best or len(repr(value)) < len(repr(best[number])):
            best[number] = value
    return np.array([*best.values()])


def _merged_note(name: str, distinct: NDArray[Any], group: NDArray[np.int64]) -> str:
    pair = int(np.flatnonzero(np.diff(group) == 0)[0])
    values = distinct.astype(np.float64).tolist()
    return (
        f"factor {name}: {len(distinct):,} values are merged into {int(group[-1]) + 1:,}, because the others differ "
        f"only by rounding, such as {values[pair]!r} and {values[pair + 1]!r}"
    )


# Names.


def _encode_categories(name: str, column: CategoricalColumn, kind: Kind | None, period: float | None) -> _Encoded:
    family = column.family
    unordered = family == "text" and not column.ordered
    if kind == "continuous" or (kind in {"ordinal", "circular"} and unordered):
        raise InvalidInputError(
            f"factor {name!r} must contain numbers{'' if kind == 'continuous' else ' or ordered categories'} "
            f"to be {kind}; got {family} such as {column.categories[0]!r}; write it as numbers"
        )
    occurring = np.flatnonzero(column.counts).tolist()
    if kind == "circular" and column.ordered:
        occurring = list(range(len(column.categories)))  # a circle contains the categories that do not occur, too
    if period is not None and period != len(occurring):
        raise InvalidInputError(
            f"factor {name!r}: the period of {len(occurring)} categories is their number; got {period:g}; leave it out"
        )
    order = occurring if column.ordered else sorted(occurring, key=column.categories.__getitem__)
    labels = [column.categories[i] for i in order]
    position = np.full(len(column.categories) + 1, -1, dtype=np.int64)  # the last entry is for index -1
    position[order] = np.arange(len(labels))
    indices = position[column.indices]
    notes: tuple[str, ...] = ()
    if family == "numbers":
        _refuse_infinity(name, np.array(labels, dtype=np.float64))
        labels = [_number(label) for label in labels]
        labels, indices, notes = _merged_categories(name, labels, indices)
    else:
        labels = list(map(str, labels))
        notes = (*_similar_names(name, labels), *(_numbers_among_names(name, column) if kind is None else ()))
    if family == "booleans":
        why = "because its values are true or false"
    elif column.ordered:
        why = f"because its values are {len(labels):,} categories in their declared order"
    elif len(labels) == np.count_nonzero(~column.missing) > 1:
        why = f"because its values are names (all {len(labels):,} differ, as in an identifier)"
    else:
        why = f"because its values are names ({len(labels):,} distinct)"
    if kind == "circular":
        why = f"as specified ({_count(len(labels), 'distinct value')})"
    return _Encoded(Factor(name, len(labels), kind or "categorical", tuple(labels)), indices, why, notes)


def _merged_categories(
    name: str, labels: list[Any], indices: NDArray[np.int64]
) -> tuple[list[Any], NDArray[np.int64], tuple[str, ...]]:
    """Merge categories that are numbers and equal up to rounding."""
    if all(isinstance(label, int) for label in labels):
        return labels, indices, ()
    numbers = np.array(labels, dtype=np.float64)
    order = np.argsort(numbers)
    group = _rounding_groups(numbers[order], _pair_tolerance(numbers[order]))
    if group is None:
        return labels, indices, ()
    note = _merged_note(name, numbers[order], group)
    kept = _representatives(numbers[order], group)
    by_label = group[np.argsort(order)]  # in the order of the labels, which a declared order may change
    seen = list(dict.fromkeys(by_label.tolist()))
    position = np.append(np.argsort(seen)[by_label], -1)
    return [float(kept[number]) for number in seen], position[indices], (note,)


def _similar_names(name: str, labels: Sequence[str]) -> Iterator[str]:
    alike: dict[str, list[str]] = {}
    for label in labels:
        alike.setdefault(_plain_name(label), []).append(label)
    several = [same for same in alike.values() if len(same) > 1]
    if several:
        pairs = ", ".join(" and ".join(map(repr, same)) for same in several[:_FEW])
        rest = f", and {len(several) - _FEW:,} more groups" if len(several) > _FEW else ""
        yield (
            f"factor {name}: names that differ only in blanks or capitals are different values: {pairs}{rest}; "
            "write them alike if they are one value"
        )


def _numbers_among_names(name: str, column: CategoricalColumn) -> Iterator[str]:
    is_number = [isinstance(label, str) and _number_in(label) is not None for label in column.categories]
    if any(is_number) and not all(is_number) and not column.ordered and _dominate(column, is_number):
        rows = column.counts
        n_numbers = int(rows[np.array(is_number)].sum())
        label = column.categories[is_number.index(False)]
        yield (
            f"factor {name}: {n_numbers:,} of {_count(int(rows.sum()), 'label')} are numbers written as text, and read "
            f"as names because of others such as {label!r}; declare its kind categorical if they are names"
        )


def _plain_name(label: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", label).casefold().split())


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


# Columns of any container.


def _read(name: str, values: Any) -> tuple[_Column, bool]:
    """Return a column, and whether its type declares categories, so that numbers among them are names."""
    if isinstance(values, CategoricalColumn):
        return values, True
    if isinstance(values, MarkedNumbers):
        values = values.values
    series = nw.from_native(values, series_only=True, pass_through=True)
    if isinstance(series, nw.Series):
        return _read_series(name, series)
    if not isinstance(values, np.ndarray | list | tuple):
        values = as_array(f"factor {name!r}", values)
    try:
        array = np.ma.asanyarray(values)
        if array.dtype.kind == "S":
            array = np.ma.MaskedArray(np.char.decode(array.data, "utf-8"), array.mask)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InvalidInputError(f"factor {name!r} must be one column of labels; {error}") from error
    if array.ndim != 1:
        raise InvalidInputError(f"factor {name!r} must be one column of shape (n_rows,); got shape {array.shape}")
    if array.dtype.kind not in "biufOTU":
        raise _unusable(name, f"dtype {array.dtype}", array.tolist())
    # numpy silently converts ["a", nan] and ["a", 1] to text and [2**60 + 1, 0.5] to rounded numbers, so sequences are
    # read without it unless all of their values are numbers that it holds exactly
    if array.dtype.kind in "iuf" and (not isinstance(values, list | tuple) or _are_exact(values, array)):
        return _numbers(array.data, np.ma.getmaskarray(array)), False
    return _read_objects(name, array.tolist() if isinstance(values, np.ndarray) else list(values)), False


def _are_exact(values: Sequence[Any], array: NDArray[Any]) -> bool:
    """Whether numpy's array holds a sequence's numbers as they are: no booleans, and no large integers as floats."""
    if array.dtype.kind != "f":
        return not any(isinstance(value, bool | np.bool_) for value in values)
    is_large = bool((np.abs(np.nan_to_num(array, posinf=0.0, neginf=0.0)) >= MAX_EXACT).any())
    return not any(isinstance(v, bool | np.bool_) or (is_large and isinstance(v, Integral)) for v in values)


def _read_series(name: str, series: nw.Series[Any]) -> tuple[_Column, bool]:
    if series.dtype == nw.Decimal:
        series = series.cast(nw.Float64)
    if series.dtype.is_numeric():
        return _numbers(series.fill_null(0).to_numpy(), series.is_null().to_numpy()), False
    if not isinstance(series.dtype, nw.Categorical | nw.Enum):
        return _read_objects(name, series.to_list()), False
    column = factorise(series.to_list())
    if not isinstance(series.dtype, nw.Enum):
        return column, True
    declared = tuple(series.dtype.categories)
    position = np.array([*map(declared.index, column.categories), -1])
    return CategoricalColumn(position[column.indices], declared, ordered=True), True


def _read_objects(name: str, labels: Sequence[Any]) -> CategoricalColumn:
    try:
        return factorise(labels)
    except TypeError as error:  # unhashable
        raise _unusable(name, "objects", labels) from error


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
    inexact = [] if integers else [n for n in column.categories if isinstance(n, Integral) and int(n) != float(n)]
    if inexact:
        raise InvalidInputError(
            f"factor {name!r} must not mix fractions with whole numbers that double precision rounds; got "
            f"{inexact[0]}; convert an identifier to text"
        )
    return _numbers(distinct[column.indices], column.indices < 0)


def _numbers(values: NDArray[Any], missing: NDArray[np.bool_]) -> _NumberColumn:
    return _NumberColumn(values, missing | np.isnan(values))
