"""Rows dealt into folds, split, resampled and shuffled."""

from typing import Any

import numpy as np
import pytest

import disentmetrics as dm
from disentmetrics import Factor, FactorSpace, Representation
from disentmetrics.representation.resampling import (
    deal,
    first_in_order,
    folds,
    folds_of_units,
    some_rows,
    sorted_subset,
    train_and_test_rows,
    training_order,
    without_units_of,
)

KINDS = FactorSpace(
    [
        Factor("shape", 3, "categorical"),
        Factor("size", 4, "ordinal"),
        Factor("angle", 8, "circular"),
        Factor("speed", None, "continuous"),
    ]
)


def mixed(n: int = 400, seed: int = 0, **kwargs: Any) -> Representation:
    rng = np.random.default_rng(seed)
    factors = np.c_[rng.integers((3, 4, 8), size=(n, 3)), rng.random(n)]
    return Representation(factors + 0.0, factors, space=KINDS, **kwargs)


def table(n: int = 40, **options: Any) -> dm.Representation:
    rng = np.random.default_rng(0)
    factors = {"shape": rng.choice(["square", "heart"], size=n), "x": rng.integers(4, size=n)}
    return dm.Representation(rng.normal(size=(n, 3)), factors, **options)


def test_folds_test_each_row_once_and_keep_groups_together() -> None:
    groups = np.arange(100) // 7
    representation = mixed(100, groups=groups)
    rows = np.arange(3, 100)
    parts = folds(representation, rows, 5, 0)
    assert np.sort(np.concatenate([test for _, test in parts])).tolist() == rows.tolist()
    for train, test in parts:
        assert not set(train) & set(test)
        assert not set(groups[train]) & set(groups[test])
        assert len(train) + len(test) == len(rows)


def test_a_row_is_in_the_same_fold_whichever_other_rows_are_used() -> None:
    representation = mixed(60)
    whole = folds(representation, np.arange(60), 3, 7)
    part = folds(representation, np.arange(0, 60, 2), 3, 7)
    assert all(set(few[1]) <= set(many[1]) for few, many in zip(part, whole, strict=True))
    assert any((a[1] != b[1]).any() for a, b in zip(whole, folds(representation, np.arange(60), 3, 8), strict=True))


@pytest.mark.parametrize(("n", "expected"), [(300, (100, 50)), (90, (60, 30)), (2, (1, 1)), (1, (1, 0))])
def test_training_and_test_rows_are_disjoint_and_of_the_requested_number(n: int, expected: tuple[int, int]) -> None:
    train, test = train_and_test_rows(mixed(n), np.arange(n), 100, 50, 0)
    assert (len(train), len(test)) == expected
    assert not set(train) & set(test)


def test_rows_of_one_group_are_never_in_training_and_test_set() -> None:
    groups = np.random.default_rng(0).integers(9, size=200)
    representation = mixed(200, groups=groups)
    rows = np.flatnonzero(groups != 4)
    for seed in range(10):
        train, test = train_and_test_rows(representation, rows, 60, 30, seed)
        assert not set(groups[train]) & set(groups[test])
        assert set(train) | set(test) <= set(rows)
        assert len(train) == 60
        assert 10 <= len(test) <= 30
    alone = mixed(20, groups=np.zeros(20, dtype=int))
    assert [len(side) for side in train_and_test_rows(alone, np.arange(20), 60, 30, 0)] == [0, 20]


def test_some_rows_are_drawn_without_replacement() -> None:
    rows = np.arange(10, 30)
    assert some_rows(rows, 20, 0) is rows
    drawn = some_rows(rows, 7, 0)
    assert len(set(drawn)) == 7
    assert set(drawn) <= set(rows)


@pytest.mark.parametrize("units", [None, np.arange(90) // 7])
def test_dealing_gives_each_part_nearly_as_many_units_and_separates_none(units: np.ndarray | None) -> None:
    part = deal(units, 90, 4, np.random.default_rng(0))
    each = np.arange(90) if units is None else units
    part_of_unit = {int(unit): set(part[each == unit].tolist()) for unit in np.unique(each)}
    assert all(len(parts) == 1 for parts in part_of_unit.values())
    n_units = np.bincount([parts.pop() for parts in part_of_unit.values()])
    assert len(n_units) == 4
    assert np.ptp(n_units) <= 1


def test_folds_of_arrays_keep_groups_together_and_split_a_single_group() -> None:
    groups = np.arange(60) // 5
    for train, test in folds_of_units(groups, 60, 4, 0):
        assert not set(groups[train]) & set(groups[test])
        assert sorted([*train, *test]) == list(range(60))
    assert len(folds_of_units(np.zeros(60, dtype=int), 60, 4, 0)) == 4


def test_rows_that_share_a_group_with_others_are_left_out() -> None:
    rows, others = np.arange(10), np.array([12, 15])
    grouped = mixed(20, groups=np.arange(20) % 4)
    assert without_units_of(grouped, rows, others).tolist() == [1, 2, 5, 6, 9]
    assert without_units_of(mixed(20), rows, others) is rows


def test_smaller_training_sets_are_part_of_larger_ones() -> None:
    order = training_order(mixed(50), 3)
    assert sorted(order) == list(range(50))
    rows = np.arange(0, 50, 3)
    few, many = first_in_order(order, rows, 5), first_in_order(order, rows, 12)
    assert len(few) == 5
    assert few.tolist() == many[:5].tolist()
    assert set(many) <= set(rows)


def test_a_sorted_subset_is_ascending_and_all_rows_where_there_are_no_more(rng: np.random.Generator) -> None:
    rows = np.arange(5, 40)
    drawn = sorted_subset(rows, 9, rng)
    assert len(drawn) == 9
    assert (np.diff(drawn) > 0).all()
    assert set(drawn) <= set(rows)
    assert sorted_subset(rows, 35, rng) is rows


def test_shuffling_keeps_both_margins_and_breaks_the_pairing(rng: np.random.Generator) -> None:
    original = table(500)
    shuffled = original.shuffled(rng)
    assert np.array_equal(shuffled.codes, original.codes)
    assert sorted(map(tuple, shuffled.factors)) == sorted(map(tuple, original.factors))
    assert not np.array_equal(shuffled.factors, original.factors)


def test_groups_of_one_size_are_shuffled_as_units(rng: np.random.Generator) -> None:
    groups = np.repeat(np.arange(50), 4)
    factors = np.repeat(rng.integers(9, size=50), 4)
    representation = dm.Representation(rng.normal(size=(200, 1)), {"v": factors}, groups=groups)
    labels = representation.shuffled(rng).labels(0).reshape(50, 4)
    assert (labels == labels[:, :1]).all()


def test_groups_of_different_size_are_laid_out_one_after_the_other(rng: np.random.Generator) -> None:
    groups = rng.permutation(np.repeat(np.arange(30), np.arange(1, 31)))
    representation = dm.Representation(groups.astype(float), {"v": groups}, groups=groups)
    assert representation.shuffles_groups
    labels = representation.shuffled(rng).labels(0)
    assert sorted(labels) == sorted(groups)
    in_rows = labels[np.argsort(groups, kind="stable")]
    assert np.count_nonzero(np.diff(in_rows)) == 29  # each group's labels stay together
    assert (labels != groups).mean() > 0.5


def test_sequential_rows_are_shifted_cyclically_within_each_trajectory(rng: np.random.Generator) -> None:
    trajectory = np.array([0, 0, 1, 0, 1, 1, 0, 1, 0, 1, 2])
    step = np.array([0, 1, 0, 2, 1, 2, 3, 3, 4, 4, 0])
    original = dm.Representation(
        step * 1.0, {"t": trajectory * 10 + step}, kinds={"t": "ordinal"}, groups=trajectory, sequential=True
    )
    labels = np.array(original.space["t"].values)[original.shuffled(rng).labels(0)]
    assert (labels // 10 == trajectory).all()
    for one in (0, 1):
        turned = (labels[trajectory == one] % 10).tolist()
        start = turned[0]
        assert start > 0
        assert turned == [(start + i) % 5 for i in range(5)]


def test_sequential_rows_are_resampled_in_blocks_that_never_span_two_trajectories() -> None:
    trajectory = np.arange(3_000) // 1_000
    one = dm.Representation(np.zeros(3_000), {"v": np.arange(3_000) % 5}, sequential=True)
    three = dm.Representation(np.zeros(3_000), {"v": np.arange(3_000) % 5}, groups=trajectory, sequential=True)
    for representation, trajectories in ((one, np.zeros(3_000)), (three, trajectory)):
        units = np.asarray(representation.resampling_units)
        assert units.max() + 1 >= 40
        assert np.count_nonzero(np.diff(units)) == units.max()
        assert np.unique(np.stack([units, trajectories]), axis=1).shape[1] == units.max() + 1
    many = dm.Representation(
        np.zeros(3_000), {"v": np.arange(3_000) % 5}, groups=np.arange(3_000) // 100, sequential=True
    )
    assert np.array_equal(np.asarray(many.resampling_units), np.arange(3_000) // 100)
