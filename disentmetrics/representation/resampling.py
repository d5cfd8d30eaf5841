"""Rows split into folds or halves, resampled, subsampled and shuffled; rows of one group stay together.

Rows are divided by *units*: an integer for each row, equal for rows that must not be separated, or None where each
row is a unit (:func:`resampling_units`).
"""

from typing import TYPE_CHECKING

import numpy as np

from disentmetrics._utils.random import derived_seed, generator
from disentmetrics._utils.typing import Integers, Seed

if TYPE_CHECKING:
    from disentmetrics.representation._representation import Representation

N_REPLICATES = 20
FEWEST_SHUFFLED_GROUPS = 10
"""Fewer groups have too few orders: the identity would recur among the permutations."""
ENOUGH_GROUPS = 20
"""Sequential rows of fewer groups are resampled in blocks."""
N_BLOCKS = 40

Split = tuple[Integers, Integers]
"""Rows to train on and rows to test on."""


def resampling_units(groups: Integers | None, n_rows: int, *, sequential: bool) -> Integers | None:
    """Return the unit of each row, numbered from 0; None where each row is a unit.

    The groups; for sequential rows of fewer than 20 groups, 40 blocks of consecutive rows, none of which spans two
    groups.
    """
    n_groups = 1 if groups is None else int(groups.max()) + 1
    if not sequential or n_groups >= ENOUGH_GROUPS:
        return groups
    rank = np.arange(n_rows) if groups is None else np.argsort(np.argsort(groups, kind="stable"), kind="stable")
    block = rank * min(N_BLOCKS, n_rows) // n_rows
    unit = block if groups is None else block * n_groups + groups  # a block never spans two groups
    return np.asarray(np.unique(unit, return_inverse=True)[1], dtype=np.int64).ravel()


def number_of_units(representation: "Representation", rows: Integers | None = None) -> int:
    """Return how many units these rows belong to, of all rows by default; rows that are not grouped are units."""
    units = representation.resampling_units
    if units is None:
        return len(representation) if rows is None else len(rows)
    return len(np.unique(units if rows is None else units[rows]))


def deal(units: Integers | None, n_rows: int, n_parts: int, rng: np.random.Generator) -> Integers:
    """Deal units at random into parts of nearly equally many units; return the part of each row, from 0."""
    if units is None:
        return rng.permutation(n_rows) % n_parts
    return (rng.permutation(int(units.max()) + 1) % n_parts)[units]


def _dealt_rows(representation: "Representation", n_parts: int, rng: np.random.Generator) -> Integers:
    return deal(representation.resampling_units, len(representation), n_parts, rng)


def jackknife_rows(representation: "Representation", rng: np.random.Generator) -> list[Integers]:
    """Return the rows that remain when each of 20 sets of units is deleted in turn.

    With fewer than 20 units each is deleted separately. No set where all rows are one unit.
    """
    part = _dealt_rows(representation, N_REPLICATES, rng)
    n_parts = int(part.max()) + 1
    return [np.flatnonzero(part != deleted) for deleted in range(n_parts)] if n_parts > 1 else []


def half_sample_rows(representation: "Representation", rng: np.random.Generator) -> list[Integers]:
    """Return 20 random halves of the rows, in units; none where all rows are one unit."""
    parts = (_dealt_rows(representation, 2, rng) for _ in range(N_REPLICATES))
    return [np.flatnonzero(part == 0) for part in parts if part.max() > 0]


def halves(representation: "Representation", rng: np.random.Generator) -> Split:
    """Split the rows at random into two halves, in units."""
    units = representation.resampling_units
    if units is None:
        order = rng.permutation(len(representation))
        return order[: len(order) // 2], order[len(order) // 2 :]
    n_units = int(units.max()) + 1
    first = np.zeros(n_units, dtype=bool)
    first[rng.permutation(n_units)[: n_units // 2]] = True
    in_first = first[units]
    return np.flatnonzero(in_first), np.flatnonzero(~in_first)


def folds(representation: "Representation", rows: Integers, n_folds: int, seed: Seed) -> list[Split]:
    """Split ``rows`` into pairs of training and test rows; each row is tested once.

    Rows of one unit stay together; a seed assigns a row to the same fold regardless of which other rows are used.
    """
    fold = representation.cached(fold_of_each_row, n_folds, seed)[rows]
    used = [f for f in range(n_folds) if (fold == f).any()]
    return [(rows[fold != f], rows[fold == f]) for f in used]


def fold_of_each_row(representation: "Representation", n_folds: int, seed: Seed) -> Integers:
    """Return the fold of each row, from 0; folds have nearly equally many units."""
    return _dealt_rows(representation, n_folds, generator(seed, "folds"))


def inner_fold_of_each_row(representation: "Representation", n_folds: int, seed: Seed) -> Integers:
    """Return a fold of each row, independent of :func:`fold_of_each_row`, to choose hyperparameters by."""
    return representation.cached(fold_of_each_row, n_folds, derived_seed(seed, 1))


def folds_of_units(units: Integers | None, n_rows: int, n_folds: int, seed: Seed) -> list[Split]:
    """Split the rows of arrays into pairs of training and test rows; rows of a single unit are split all the same."""
    rng = generator(seed, "folds")
    fold = deal(None, n_rows, n_folds, rng)
    if units is not None and int(units.max()) > 0:
        fold = deal(units, n_rows, n_folds, rng)
    return [(np.flatnonzero(fold != f), np.flatnonzero(fold == f)) for f in np.unique(fold)]


def train_and_test_rows(
    representation: "Representation", rows: Integers, n_train: int, n_test: int, seed: Seed
) -> Split:
    """Draw ``n_train`` of ``rows`` to train on and ``n_test`` others to test on.

    Fewer rows are split in the same ratio. Rows of one unit never occur on both sides: units, not rows, are then
    split in that ratio, and a side may have fewer rows than requested.
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
    unit = units[drawn]
    present = rng.permutation(np.unique(unit))
    trains = np.zeros(int(present.max(initial=0)) + 1, dtype=bool)
    trains[present[: min(max(1, round(len(present) * share)), len(present) - 1)]] = True
    return drawn[trains[unit]][:n_train], drawn[~trains[unit]][:n_test]


def without_units_of(representation: "Representation", rows: Integers, others: Integers) -> Integers:
    """Return those of ``rows`` that share no unit with any of ``others``; all of them where each row is a unit."""
    units = representation.resampling_units
    return rows if units is None else rows[~np.isin(units[rows], units[others])]


def training_order(representation: "Representation", seed: Seed) -> Integers:
    """Return all rows in the order in which classifiers learn from them.

    The first rows of a fold in this order are its small training set: part of every larger one.
    """
    return generator(seed, "rows to learn from").permutation(len(representation))


def first_in_order(order: Integers, rows: Integers, n_rows: int) -> Integers:
    """Return the ``n_rows`` of ``rows`` that come first in ``order``, in that order."""
    return order[np.isin(order, rows, assume_unique=True)][:n_rows]


def some_rows(rows: Integers, n_rows: int, seed: Seed) -> Integers:
    """Draw ``n_rows`` of ``rows`` without replacement; all of them if there are no more."""
    return rows if len(rows) <= n_rows else generator(seed, "some rows").permutation(rows)[:n_rows]


def sorted_subset(rows: Integers, n_rows: int, rng: np.random.Generator) -> Integers:
    """Draw ``n_rows`` of ``rows`` without replacement, in ascending order; all of them if there are no more."""
    return rows if len(rows) <= n_rows else np.sort(rng.choice(rows, size=n_rows, replace=False))


def random_subset(n_rows: int, most: int, rng: np.random.Generator) -> Integers:
    """Draw ``most`` of ``n_rows`` rows without replacement, in random order; all in order if there are no more.

    On a grid every k-th row would miss values of the factors that vary fastest.
    """
    return np.arange(n_rows) if n_rows <= most else rng.choice(n_rows, size=most, replace=False)


def shuffles_groups(groups: Integers | None) -> bool:
    """Return whether :func:`shuffled_order` moves entire groups: there must be ten."""
    return groups is not None and int(groups.max()) + 1 >= FEWEST_SHUFFLED_GROUPS


def shuffled_order(groups: Integers | None, n_rows: int, rng: np.random.Generator, *, sequential: bool) -> Integers:
    """Return a random permutation of the rows that preserves the dependence within groups.

    Sequential rows are shifted cyclically, each group by its own random distance. Ten groups or more are laid out
    one after the other in random order. Otherwise rows are shuffled individually.
    """
    if sequential:
        return _shifted_within_groups(np.zeros(n_rows, dtype=np.int64) if groups is None else groups, rng)
    if groups is not None and shuffles_groups(groups):
        return _groups_in_random_order(groups, rng)
    return rng.permutation(n_rows)


def _groups_in_random_order(groups: Integers, rng: np.random.Generator) -> Integers:
    by_group = np.argsort(groups, kind="stable")
    sizes = np.bincount(groups)
    ends = np.cumsum(sizes)
    rows_of_groups = [by_group[ends[g] - sizes[g] : ends[g]] for g in rng.permutation(len(sizes))]
    order = np.empty(len(by_group), dtype=np.int64)
    order[by_group] = np.concatenate(rows_of_groups)
    return order


def _shifted_within_groups(groups: Integers, rng: np.random.Generator) -> Integers:
    by_group = np.argsort(groups, kind="stable")
    sizes = np.bincount(groups)
    start = np.repeat(np.cumsum(sizes) - sizes, sizes)
    shift = np.repeat(rng.integers(1, np.maximum(sizes, 2)), sizes)
    order = np.empty(len(groups), dtype=np.int64)
    order[by_group] = by_group[start + (np.arange(len(groups)) - start + shift) % np.repeat(sizes, sizes)]
    return order
