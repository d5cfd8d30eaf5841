"""Rows drawn from a table so that they share the value of a factor.

Metrics that "fix one factor" are defined with a simulator. On a table the same draws are
made from the rows at hand, grouped by factor value: exact on a full grid, and the
conditional distribution given that value on any other table.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from disentmetrics.errors import UndefinedScoreError
from disentmetrics.representation import Representation

MIN_ROWS = 10
"""Values of a factor that fewer rows share are not drawn: their spread cannot be told."""


@dataclass(frozen=True)
class RowGroups:
    """Rows grouped by the value of one factor.

    ``rows[start[g] : start[g] + count[g]]`` share one value; groups too small to draw from
    are left out, and ``n_left_out`` counts them.
    """

    rows: NDArray[np.int64]
    start: NDArray[np.int64]
    count: NDArray[np.int64]
    n_left_out: int

    @property
    def usable(self) -> bool:
        """Whether at least one value has rows enough."""
        return len(self.count) > 0

    def draw(self, n: int, size: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Draw ``n`` times ``size`` rows that share a value, as (n, size).

        The value is drawn as often as it occurs; rows are drawn with replacement.
        """
        group = np.searchsorted(np.cumsum(self.count), rng.integers(self.count.sum(), size=n), side="right")
        within = rng.integers(self.count[group, None], size=(n, size))
        return np.asarray(self.rows[self.start[group, None] + within])

    def draw_pairs(self, n: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Draw ``n`` pairs of different rows that share a value, as two (n,) arrays."""
        position = rng.integers(self.count.sum(), size=n)
        ends = np.cumsum(self.count)
        group = np.repeat(np.arange(len(ends)), self.count)[position]
        first = position - (ends - self.count)[group]
        second = rng.integers(self.count[group] - 1)
        second += second >= first
        return self.rows[self.start[group] + first], self.rows[self.start[group] + second]


def halves(representation: Representation, rng: np.random.Generator) -> tuple[NDArray[np.int64], ...]:
    """Split the rows at random into two halves; rows of one group stay together."""
    units = representation.units
    if units is None:
        order = rng.permutation(len(representation))
        return order[: len(order) // 2], order[len(order) // 2 :]
    n_units = int(units.max()) + 1
    first = np.zeros(n_units, dtype=bool)
    first[rng.permutation(n_units)[: n_units // 2]] = True
    in_first = first[units]
    return np.flatnonzero(in_first), np.flatnonzero(~in_first)


def rows_by_value(
    representation: Representation,
    position: int,
    rows: NDArray[np.int64] | None = None,
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


@dataclass(frozen=True)
class FixableFactors:
    """The factors that can be fixed by drawing, and the rows to learn from and to score on."""

    positions: list[int]
    train: list[RowGroups]
    test: list[RowGroups]


def fixable_factors(representation: Representation, rng: np.random.Generator, *, disjoint: bool) -> FixableFactors:
    """Group rows by the value of each factor, to learn from and to score on.

    Parameters
    ----------
    disjoint : bool
        Whether rows to learn from and rows to score on are two random halves, or both all rows.

    Raises
    ------
    UndefinedScoreError
        If fewer than two factors have a value with rows enough.
    """
    first, second = halves(representation, rng) if disjoint else (None, None)
    train = drawable_factors(representation, first)
    test = drawable_factors(representation, second)
    positions = [position for position in train if position in test]
    if len(positions) < 2:
        raise UndefinedScoreError(
            f"two factors are needed with a value that at least {MIN_ROWS} rows share"
            f"{' in each half of the rows' if disjoint else ''}; got {len(positions)}"
        )
    return FixableFactors(positions, [train[k] for k in positions], [test[k] for k in positions])


def drawable_factors(representation: Representation, rows: NDArray[np.int64] | None = None) -> dict[int, RowGroups]:
    """Return the row groups of every factor that can be fixed by drawing, by position.

    Left out are factors of one value, and factors no value of which has rows enough.
    """
    varied = representation.shared(varied_factors)
    groups = {int(k): rows_by_value(representation, int(k), rows) for k in np.flatnonzero(varied)}
    return {k: group for k, group in groups.items() if group.usable}


def varied_factors(representation: Representation) -> NDArray[np.bool_]:
    """Return which factors take at least two values on these rows, as (n_factors,) booleans."""
    varied = np.zeros(representation.n_factors, dtype=bool)
    for position in range(representation.n_factors):
        labels = representation.labels(position)
        known = labels[labels >= 0]
        varied[position] = bool(len(known)) and bool((known != known[0]).any())
    return varied
