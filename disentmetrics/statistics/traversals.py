"""Rows of a table that agree in all factors but one, and traversals of that one factor.

Metrics that change a single factor are defined with a simulator. A full grid contains the same
observations; a random sample of a large grid does not, and the metric is then undefined.
"""

from dataclasses import dataclass

import numpy as np

from disentmetrics._utils.typing import Integers
from disentmetrics.errors import UndefinedScoreError
from disentmetrics.representation import FACTOR_BINS, Representation
from disentmetrics.representation.resampling import sorted_subset
from disentmetrics.statistics.factor_groups import RowGroups
from disentmetrics.statistics.targets import varied_factors

ENOUGH_LINES = 64
"""Number of traversals from which the mean over all is known to about 0.01 (Michlo)."""
_LARGEST_KEY = 2**40


@dataclass(frozen=True)
class Cells:
    """Rows grouped by the values of all factors but one, and within a group by the value of that one.

    ``rows`` are sorted by cell, then by value. A run is the rows of one cell that share the value.

    Attributes
    ----------
    rows : (n_rows,) int
        Rows that miss a label are left out.
    cell : (n_rows,) int
        Cell of each of ``rows``, from 0.
    run : (n_rows,) int
        Run of each of ``rows``, from 0.
    run_cell, run_value : (n_runs,) int
        Cell and value of each run.
    n_values : int
        Number of values that the factor takes in the table.
    """

    rows: Integers
    cell: Integers
    run: Integers
    run_cell: Integers
    run_value: Integers
    n_values: int

    @property
    def runs_in_cell(self) -> Integers:
        """Number of values of the factor in each cell, as (n_cells,)."""
        return np.bincount(self.run_cell)

    @property
    def share_that_varies(self) -> float:
        """Share of rows in cells where the factor takes more than one value."""
        if not len(self.rows):
            return 0.0
        return float((self.runs_in_cell > 1)[self.cell].mean())

    def groups(self) -> RowGroups:
        """Return the cells in which the factor takes more than one value, to draw rows from."""
        count = np.bincount(self.cell)
        varies = self.runs_in_cell > 1
        start = np.cumsum(count) - count
        return RowGroups(self.rows, start[varies], count[varies], int((~varies).sum()))


def cells(
    representation: Representation,
    position: int,
    rows: Integers | None = None,
    *,
    n_bins: int = FACTOR_BINS,
) -> Cells:
    """Group rows that agree in every factor but the one at ``position``.

    Parameters
    ----------
    representation : Representation
    position : int
        Position of the factor that may vary.
    rows : (n,) int, optional
        Use these rows only.
    n_bins : int
        Number of bins of equal frequency into which a continuous factor is discretised.

    Returns
    -------
    Cells
        Rows that miss a label are left out.
    """
    varied = np.flatnonzero(representation.cached(varied_factors))
    columns = [representation.labels(int(k), n_bins) for k in (*varied[varied != position], position)]
    chosen = np.arange(len(representation)) if rows is None else rows
    complete = np.ones(len(chosen), dtype=bool)
    for column in columns:
        complete &= column[chosen] >= 0
    chosen = chosen[complete]
    # One number per combination of values, the factor that may vary being the last digit.
    key, n_keys = np.zeros(len(chosen), dtype=np.int64), 1
    for column in columns:
        size = int(column.max()) + 1
        if n_keys * size > _LARGEST_KEY:  # renumber the combinations that occur, or keys overflow
            key = np.unique(key, return_inverse=True)[1].ravel()
            n_keys = int(key.max(initial=0)) + 1
        key = key * size + column[chosen]
        n_keys *= size
    order = np.argsort(key, kind="stable")
    key = key[order]
    new_run = np.diff(key, prepend=-1) > 0
    size = max(1, int(columns[-1].max()) + 1)
    new_cell = np.diff(key // size, prepend=-1) > 0
    cell = np.cumsum(new_cell) - 1
    return Cells(
        rows=chosen[order],
        cell=cell,
        run=np.cumsum(new_run) - 1,
        run_cell=cell[new_run],
        run_value=key[new_run] % size,
        n_values=len(np.unique(columns[-1][columns[-1] >= 0])),
    )


def factors_alone(
    representation: Representation, metric: str, *, least: int, n_bins: int = FACTOR_BINS
) -> dict[int, Cells]:
    """Return the cells of each factor that varies alone for at least half of the rows, by position.

    Raises
    ------
    UndefinedScoreError
        If there are fewer than ``least`` such factors.
    """
    cells_of = {
        int(k): representation.cached(cells, int(k), n_bins=n_bins)
        for k in np.flatnonzero(representation.cached(varied_factors))
    }
    usable = {k: table for k, table in cells_of.items() if table.share_that_varies >= 0.5}
    if len(usable) < least:
        share = max((table.share_that_varies for table in cells_of.values()), default=0.0)
        raise UndefinedScoreError(
            f"{metric} needs rows that agree in all factors but one, for {least} or more factors; here at most "
            f"{share:.0%} of the rows have a partner that differs in one factor only: use the full grid, or fewer "
            "and coarser factors"
        )
    return usable


@dataclass(frozen=True)
class Traversals:
    """Traversals of one factor while all others are fixed.

    Attributes
    ----------
    rows : (n_lines, n_values) int
        In the order of the factor's values.
    n_full, n_cells : int
        Number of combinations of the other factors that occur with every value, and of all that occur.
    """

    rows: Integers
    n_full: int
    n_cells: int


def traversals(
    representation: Representation, position: int, n_lines: int, rng: np.random.Generator
) -> Traversals | None:
    """Draw traversals of the factor at ``position``; None if the table contains too few complete ones.

    There must be 64 complete ones, or one for half of the combinations of the other factors.
    Among rows with the same factors one is drawn at random.
    """
    table = representation.cached(cells, position)
    runs = table.runs_in_cell
    full = np.flatnonzero(runs == table.n_values)
    if not len(full) or len(full) < min(ENOUGH_LINES, len(runs) / 2):
        return None
    chosen = sorted_subset(full, n_lines, rng)
    run = (np.cumsum(runs) - runs)[chosen, None] + np.arange(table.n_values)
    count = np.bincount(table.run)
    start = np.cumsum(count) - count
    return Traversals(table.rows[start[run] + rng.integers(count[run])], len(full), len(runs))


def factor_traversals(
    representation: Representation, metric: str, n_lines: int, rng: np.random.Generator, *, ordered: bool = False
) -> dict[int, Traversals]:
    """Draw traversals of every factor that has enough complete ones in the table, by position.

    With ``ordered``, categorical factors are left out.

    Raises
    ------
    UndefinedScoreError
        If a factor is continuous, so that no two rows agree in it, or no factor has complete traversals.
    """
    continuous = [factor.name for factor in representation.space if factor.size is None]
    if continuous:
        raise UndefinedScoreError(
            f"{metric} traverses one factor while the others are fixed, but no two rows agree in a continuous factor: "
            f"{', '.join(continuous)}"
        )
    traversals_of = {
        int(k): traversals(representation, int(k), n_lines, rng)
        for k in np.flatnonzero(representation.cached(varied_factors))
        if not (ordered and representation.space.factors[k].kind == "categorical")
    }
    complete = {k: lines for k, lines in traversals_of.items() if lines is not None}
    if not complete:
        raise UndefinedScoreError(
            f"{metric} needs rows with every value of {'an ordered' if ordered else 'a'} factor while all others are "
            "fixed, as in a full grid; this table contains too few"
        )
    return complete


def left_out(representation: Representation, used: dict[int, Traversals] | dict[int, Cells]) -> tuple[str, ...]:
    """Return a note that names the factors that never vary alone, if any."""
    varied = np.flatnonzero(representation.cached(varied_factors))
    names = [representation.space.names[k] for k in varied if int(k) not in used]
    if not names:
        return ()
    return (f"left out, since no rows vary them while all other factors are fixed: {', '.join(names)}",)
