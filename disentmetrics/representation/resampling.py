"""Rows that are split, resampled or shuffled; rows of one group stay together."""

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.random import generator
from disentmetrics._utils.typing import Seed
from disentmetrics.representation._representation import Representation

N_REPLICATES = 20


def jackknife_rows(representation: Representation, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """Return the rows that stay when each of 20 groups is deleted in turn.

    With ``representation.groups``, clusters are deleted whole: 20 lots of clusters, or each
    cluster by itself where there are fewer than 20. Sequential rows are deleted in blocks.
    """
    lot = _lots(representation, N_REPLICATES, rng)
    n_lots = int(lot.max()) + 1
    return [np.flatnonzero(lot != g) for g in range(n_lots)] if n_lots > 1 else []


def half_sample_rows(representation: Representation, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """Return 20 random halves of the rows; clusters stay whole."""
    lots = (_lots(representation, 2, rng) for _ in range(N_REPLICATES))
    return [np.flatnonzero(lot == 0) for lot in lots if lot.max() > 0]


def _lots(representation: Representation, n_lots: int, rng: np.random.Generator) -> NDArray[np.int64]:
    units = representation.resampling_units
    n_units = len(representation) if units is None else int(units.max()) + 1
    lot_of_unit = rng.permutation(n_units) % min(n_lots, n_units)
    return lot_of_unit if units is None else lot_of_unit[units]


def halves(representation: Representation, rng: np.random.Generator) -> tuple[NDArray[np.int64], ...]:
    """Split the rows at random into two halves; rows of one group stay together."""
    units = representation.resampling_units
    if units is None:
        order = rng.permutation(len(representation))
        return order[: len(order) // 2], order[len(order) // 2 :]
    n_units = int(units.max()) + 1
    first = np.zeros(n_units, dtype=bool)
    first[rng.permutation(n_units)[: n_units // 2]] = True
    in_first = first[units]
    return np.flatnonzero(in_first), np.flatnonzero(~in_first)


def folds(
    representation: Representation, rows: NDArray[np.int64], n_folds: int, seed: Seed
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Split ``rows`` into pairs of training and test rows, each row once in a test part.

    Rows of one group stay together; the same seed deals a row into the same fold whichever other rows
    take part.
    """
    fold = representation.cached(fold_of_each_row, n_folds, seed)[rows]
    used = [f for f in range(n_folds) if (fold == f).any()]
    return [(rows[fold != f], rows[fold == f]) for f in used]


def fold_of_each_row(representation: Representation, n_folds: int, seed: Seed) -> NDArray[np.int64]:
    """Deal rows, or groups of rows, into folds of nearly equal size."""
    rng = generator(seed, "folds")
    units = representation.resampling_units
    if units is None:
        return rng.permutation(len(representation)) % n_folds
    return (rng.permutation(int(units.max()) + 1) % n_folds)[units]


def train_and_test_rows(
    representation: Representation, rows: NDArray[np.int64], n_train: int, n_test: int, seed: Seed
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw ``n_train`` of ``rows`` to learn from and ``n_test`` others to score on.

    Fewer rows are split in the same ratio. Rows of one group never stand on both sides; groups, not rows,
    are then split in that ratio, and a side may come out smaller than asked for.
    """
    rng = generator(seed, "train and test rows")
    order = rng.permutation(len(representation))
    chosen = np.zeros(len(representation), dtype=bool)
    chosen[rows] = True
    drawn = order[chosen[order]]
    share = n_train / (n_train + n_test)
    units = representation.resampling_units
    if units is None:
        drawn = drawn[: n_train + n_test]
        n_first = round(len(drawn) * share)
        return drawn[:n_first], drawn[n_first:]
    group = units[drawn]
    present = rng.permutation(np.unique(group))
    learns = np.zeros(int(present.max(initial=0)) + 1, dtype=bool)
    learns[present[: min(max(1, round(len(present) * share)), len(present) - 1)]] = True
    return drawn[learns[group]][:n_train], drawn[~learns[group]][:n_test]


def some_rows(rows: NDArray[np.int64], n_rows: int, seed: Seed) -> NDArray[np.int64]:
    """Draw ``n_rows`` of ``rows``; all of them if there are no more."""
    return rows if len(rows) <= n_rows else generator(seed, "some rows").permutation(rows)[:n_rows]
