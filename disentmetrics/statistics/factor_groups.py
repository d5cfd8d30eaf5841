"""Rows drawn from a table so that they share the value of a factor.

Metrics that "fix one factor" are defined with a simulator. On a table the same draws are
made from the available rows, grouped by factor value: exact on a full grid, and the
conditional distribution given that value on any other table.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from disentmetrics._utils.typing import Integers
from disentmetrics.errors import UndefinedScoreError
from disentmetrics.representation import FACTOR_BINS, Representation
from disentmetrics.representation.resampling import halves
from disentmetrics.statistics.targets import varied_factors

Conditioning = Literal["bins", "neighbours"]
"""How rows share the value of a continuous factor: by one of 10 bins of equal frequency, or as nearest neighbours."""

MIN_ROWS = 10
"""Values of a factor that fewer rows share are not drawn: the variance of so few rows cannot be estimated."""


@dataclass(frozen=True)
class RowGroups:
    """Rows grouped by the value of one factor.

    ``rows[start[g] : start[g] + count[g]]`` share one value. Groups too small to draw from are left out;
    ``n_left_out`` is their number.
    """

    rows: Integers
    start: Integers
    count: Integers
    n_left_out: int

    @property
    def usable(self) -> bool:
        """Whether at least one value has enough rows."""
        return len(self.count) > 0

    def draw(self, n: int, size: int, rng: np.random.Generator) -> Integers:
        """Draw ``n`` times ``size`` rows that share a value, as (n, size).

        Values are drawn in proportion to their frequency, rows with replacement.
        """
        group = np.searchsorted(np.cumsum(self.count), rng.integers(self.count.sum(), size=n), side="right")
        within = rng.integers(self.count[group, None], size=(n, size))
        return np.asarray(self.rows[self.start[group, None] + within])

    def draw_pairs(self, n: int, rng: np.random.Generator) -> tuple[Integers, Integers]:
        """Draw ``n`` pairs of different rows that share a value, as two (n,) arrays."""
        position = rng.integers(self.count.sum(), size=n)
        ends = np.cumsum(self.count)
        group = np.repeat(np.arange(len(ends)), self.count)[position]
        first = position - (ends - self.count)[group]
        second = rng.integers(self.count[group] - 1)
        second += second >= first
        return self.rows[self.start[group] + first], self.rows[self.start[group] + second]


@dataclass(frozen=True)
class Neighbourhoods:
    """For each row that has a value of a continuous factor, the rows whose values are nearest to it.

    ``rows`` are ordered by value; ``rows[start[i] : start[i] + count[i]]`` are the nearest to ``rows[i]``, including
    itself. Equal values are all included or all excluded, so that with few distinct values a neighbourhood contains
    the rows of one value.
    """

    rows: Integers
    start: Integers
    count: Integers

    def evenly_spaced(self, n: int) -> list[Integers]:
        """Return the neighbourhoods of ``n`` rows evenly spaced in the order of values, or of all rows if fewer."""
        centres = np.linspace(0, len(self.rows) - 1, min(n, len(self.rows))).round().astype(np.int64)
        return [
            self.rows[first : first + size]
            for first, size in zip(self.start[centres], self.count[centres], strict=True)
        ]

    @property
    def usable(self) -> bool:
        """Whether there are enough rows for one neighbourhood."""
        return len(self.count) > 0

    def draw(self, n: int, size: int, rng: np.random.Generator) -> Integers:
        """Draw ``n`` times ``size`` neighbours of a random row, with replacement, as (n, size)."""
        centre = rng.integers(len(self.rows), size=n)
        within = rng.integers(self.count[centre, None], size=(n, size))
        return np.asarray(self.rows[self.start[centre, None] + within])

    def draw_pairs(self, n: int, rng: np.random.Generator) -> tuple[Integers, Integers]:
        """Draw ``n`` random rows and another neighbour of each, as two (n,) arrays."""
        centre = rng.integers(len(self.rows), size=n)
        first = centre - self.start[centre]
        second = rng.integers(self.count[centre] - 1)
        second += second >= first
        return self.rows[centre], self.rows[self.start[centre] + second]


Drawable = RowGroups | Neighbourhoods


def rows_by_value(
    representation: Representation,
    position: int,
    rows: Integers | None = None,
    *,
    min_rows: int = MIN_ROWS,
) -> RowGroups:
    """Group rows by the value of the factor at ``position``; missing labels are left out."""
    labels = representation.labels(position)
    n_values = int(labels.max()) + 1
    narrow = (labels + 1).astype(np.uint8 if n_values < 255 else np.uint16 if n_values < 65535 else np.int64)
    narrow = narrow if rows is None else narrow[rows]
    order = np.argsort(narrow, kind="stable")
    count = np.bincount(narrow, minlength=n_values + 1)
    start = np.cumsum(count) - count
    present = (count > 0) & (np.arange(len(count)) > 0)
    kept = present & (count >= min_rows)
    return RowGroups(order if rows is None else rows[order], start[kept], count[kept], int((present & ~kept).sum()))


def nearest_rows(
    representation: Representation, position: int, rows: Integers | None, n_neighbours: int
) -> Neighbourhoods:
    """Return the ``n_neighbours`` rows nearest to each row in the value of a continuous factor.

    Rows without a label are left out. With fewer rows than ``n_neighbours`` there is no neighbourhood.
    """
    rows = np.arange(len(representation)) if rows is None else rows
    values = representation.factors[rows, position]
    order = np.argsort(values, kind="stable")[: int((~np.isnan(values)).sum())]  # NaN is sorted to the end
    values, rows = values[order], rows[order]
    if len(rows) < max(n_neighbours, 2):
        empty = np.zeros(0, dtype=np.int64)
        return Neighbourhoods(empty, empty, empty)
    centre = np.arange(len(rows))
    low, high = np.maximum(centre - n_neighbours + 1, 0), np.minimum(centre, len(rows) - n_neighbours)
    while (low < high).any():  # the window moves up while the row it gains is nearer than the one it loses
        middle = (low + high) // 2
        up = (low < high) & (values[centre] - values[middle] > values[(middle + n_neighbours) % len(rows)] - values)
        low, high = np.where(up, middle + 1, low), np.where(up, high, np.minimum(middle, high))
    start = np.searchsorted(values, values[low], side="left")
    stop = np.searchsorted(values, values[low + n_neighbours - 1], side="right")
    return Neighbourhoods(rows, start, stop - start)


@dataclass(frozen=True)
class FixableFactors:
    """The factors that can be fixed by drawing, with groups of rows for training and for testing.

    ``settings`` records for the signature how continuous factors, if there are any, were fixed.
    """

    positions: list[int]
    train: list[Drawable]
    test: list[Drawable]
    settings: dict[str, str]


def fixable_factors(
    representation: Representation,
    rng: np.random.Generator,
    *,
    disjoint: bool,
    conditioning: Conditioning = "bins",
    n_neighbours: int = 20,
) -> FixableFactors:
    """Group rows by the value of each factor, for training and for testing.

    Parameters
    ----------
    disjoint : bool
        Whether training and test rows are two random halves of the rows, or both are all rows.
    conditioning : {"bins", "neighbours"}
        How rows share the value of a continuous factor.
    n_neighbours : int
        Size of a neighbourhood; ties may add rows.

    Raises
    ------
    UndefinedScoreError
        If fewer than two factors have a value with enough rows.
    """
    first, second = halves(representation, rng) if disjoint else (None, None)
    near = n_neighbours if conditioning == "neighbours" else None
    train = drawable_factors(representation, first, near)
    test = drawable_factors(representation, second, near)
    positions = [position for position in train if position in test]
    if len(positions) < 2:
        raise UndefinedScoreError(
            f"two factors must have a value that at least {MIN_ROWS} rows share"
            f"{f', or be continuous with at least {near} rows' if near else ''}"
            f"{' in each half of the rows' if disjoint else ''}; got {len(positions)}"
        )
    how = how_conditioned(representation, positions, near)
    return FixableFactors(positions, [train[k] for k in positions], [test[k] for k in positions], how)


def is_continuous(representation: Representation, position: int) -> bool:
    """Return whether the factor at ``position`` is continuous, so that no two rows need share its value."""
    return representation.space.factors[position].kind == "continuous"


def how_conditioned(
    representation: Representation, positions: Iterable[int], n_neighbours: int | None, n_bins: int = FACTOR_BINS
) -> dict[str, str]:
    """Return the signature fields about continuous factors, if there are any among those at ``positions``."""
    if not any(is_continuous(representation, position) for position in positions):
        return {}
    return {"conditioning": f"{n_neighbours} neighbours" if n_neighbours else f"{n_bins} bins"}


def drawable_factors(
    representation: Representation, rows: Integers | None = None, n_neighbours: int | None = None
) -> dict[int, Drawable]:
    """Return the row groups of every factor that can be fixed by drawing, by position.

    Factors of one value, and factors without a value that has enough rows, are left out. With ``n_neighbours``
    the groups of continuous factors are the neighbourhoods of each row.
    """

    def groups_of(position: int) -> Drawable:
        if n_neighbours and is_continuous(representation, position):
            return nearest_rows(representation, position, rows, n_neighbours)
        return rows_by_value(representation, position, rows)

    varied = representation.cached(varied_factors)
    groups = {int(k): groups_of(int(k)) for k in np.flatnonzero(varied)}
    return {k: group for k, group in groups.items() if group.usable}
