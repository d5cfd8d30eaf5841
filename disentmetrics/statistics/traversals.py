"""Rows of a table that agree in all factors but one, and walks along that one factor.

Metrics that change a single factor are defined with a simulator. A full grid holds the same
observations; a random sample of a large one does not, and is refused in a sentence.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from disentmetrics.errors import UndefinedScoreError
from disentmetrics.representation import FACTOR_BINS, Representation
from disentmetrics.representation.resampling import sorted_subset
from disentmetrics.statistics.factor_groups import RowGroups
from disentmetrics.statistics.targets import varied_factors

ENOUGH_LINES = 64
"""Traversals that tell the mean over all of them to about 0.01 (Michlo)."""
_LARGEST_KEY = 2**40


@dataclass(frozen=True)
class Cells:
    """Rows grouped by the values of all factors but one, and within a group by the value of that one.

    ``rows`` are sorted by cell, then by value. A run is the rows of one cell that share the value.

    Attributes
    ----------
    rows : (n_rows,) int
        Without rows that miss a label.
    cell : (n_rows,) int
        Cell of each of ``rows``, from 0.
    run : (n_rows,) int
        Run of each of ``rows``, from 0.
    run_cell, run_value : (n_runs,) int
        Cell and value of each run.
    n_values : int
        How many values the factor takes anywhere in the table.
    """

    rows: NDArray[np.int64]
    cell: NDArray[np.int64]
    run: NDArray[np.int64]
    run_cell: NDArray[np.int64]
    run_value: NDArray[np.int64]
    n_values: int

    @property
    def runs_in_cell(self) -> NDArray[np.int64]:
        """How many values of the factor each cell shows, as (n_cells,)."""
        return np.bincount(self.run_cell)

    @property
    def share_that_varies(self) -> float:
        """Share of rows in whose cell the factor takes another value too."""
        if not len(self.rows):
            return 0.0
        return float((self.runs_in_cell > 1)[self.cell].mean())

    def groups(self) -> RowGroups:
        """Return the cells in which the factor takes two values, to draw rows from."""
        count = np.bincount(self.cell)
        varies = self.runs_in_cell > 1
        start = np.cumsum(count) - count
        return RowGroups(self.rows, start[varies], count[varies], int((~varies).sum()))


def cells(
    representation: Representation,
    position: int,
    rows: NDArray[np.int64] | None = None,
    *,
    n_bins: int = FACTOR_BINS,
) -> Cells:
    """Group rows that agree in every factor but the one at ``position``.

    Parameters
    ----------
    representation : Representation
    position : int
        Of the factor that may vary.
    rows : (n,) int, optional
        Only these rows.
    n_bins : int
        Bins of equal frequency that a continuous factor is cut into.

    Returns
    -------
    Cells
        Without rows that miss a label.
    """
    varied = np.flatnonzero(representation.cached(varied_factors))
    columns = [representation.labels(int(k), n_bins) for k in (*varied[varied != position], position)]
    chosen = np.arange(len(representation)) if rows is None else rows
    known = np.ones(len(chosen), dtype=bool)
    for column in columns:
        known &= column[chosen] >= 0
    chosen = chosen[known]
    key, n_keys = np.zeros(len(chosen), dtype=np.int64), 1
    for column in columns:
        size = int(column.max()) + 1
        if n_keys * size > _LARGEST_KEY:
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
    """Return the cells of each factor that changes alone for at least half of the rows, by position.

    Raises
    ------
    UndefinedScoreError
        If there are fewer than ``least`` such factors.
    """
    found = {
        int(k): representation.cached(cells, int(k), n_bins=n_bins)
        for k in np.flatnonzero(representation.cached(varied_factors))
    }
    usable = {k: one for k, one in found.items() if one.share_that_varies >= 0.5}
    if len(usable) < least:
        share = max((one.share_that_varies for one in found.values()), default=0.0)
        raise UndefinedScoreError(
            f"{metric} needs rows that agree in all factors but one, for {least} or more factors; here at most "
            f"{share:.0%} of the rows have a partner that differs in one factor alone: give the full grid, or fewer "
            "and coarser factors"
        )
    return usable


@dataclass(frozen=True)
class Traversals:
    """Walks along one factor while all others stay.

    Attributes
    ----------
    rows : (n_lines, n_values) int
        In the order of the factor's values.
    n_full, n_cells : int
        How many combinations of the other factors show every value, and how many there are.
    """

    rows: NDArray[np.int64]
    n_full: int
    n_cells: int


def traversals(
    representation: Representation, position: int, n_lines: int, rng: np.random.Generator
) -> Traversals | None:
    """Draw walks along the factor at ``position``; None if the table holds too few whole ones.

    There must be 64 whole ones, or as many as half of the combinations of the other factors.
    Of rows with the same factors one is drawn.
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
    """Draw walks along every factor that the table holds whole walks of, by position.

    With ``ordered``, not along categorical factors.

    Raises
    ------
    UndefinedScoreError
        If a factor is continuous, so that no two rows agree in it, or no factor has whole walks.
    """
    continuous = [factor.name for factor in representation.space if factor.size is None]
    if continuous:
        raise UndefinedScoreError(
            f"{metric} walks along one factor while the others stay, and no two rows agree in a continuous one: "
            f"{', '.join(continuous)}"
        )
    found = {
        int(k): traversals(representation, int(k), n_lines, rng)
        for k in np.flatnonzero(representation.cached(varied_factors))
        if not (ordered and representation.space.factors[k].kind == "categorical")
    }
    whole = {k: one for k, one in found.items() if one is not None}
    if not whole:
        raise UndefinedScoreError(
            f"{metric} needs rows that show every value of {'an ordered' if ordered else 'a'} factor while all others "
            "stay, as a full grid does; this table holds too few"
        )
    return whole


def left_out(representation: Representation, used: dict[int, Traversals] | dict[int, Cells]) -> tuple[str, ...]:
    """Say in a note which factors never change alone, if any."""
    varied = np.flatnonzero(representation.cached(varied_factors))
    names = [representation.space.names[k] for k in varied if int(k) not in used]
    if not names:
        return ()
    return (f"left out, since the table does not show them change while all other factors stay: {', '.join(names)}",)
