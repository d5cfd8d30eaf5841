"""Factors as classes, columns of numbers and values."""

from typing import Any

import numpy as np
import pytest

import disentmetrics as dm
from disentmetrics.factors import Factor, FactorSpace, Kind
from disentmetrics.representation import Representation
from disentmetrics.statistics.targets import bounded_target, class_target, factor_columns, target

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


def space(*kinds: Kind, size: int = 5) -> FactorSpace:
    return FactorSpace([Factor(f"v{k}", None if kind == "continuous" else size, kind) for k, kind in enumerate(kinds)])


def test_targets_are_classes_numbers_or_points_of_the_circle() -> None:
    representation = mixed()
    assert [target(representation, k).is_class for k in range(4)] == [True, False, False, False]
    assert [target(representation, k).n_classes for k in range(4)] == [3, 0, 0, 0]
    assert [target(representation, k, classes=True).n_classes for k in range(4)] == [3, 4, 8, 10]
    angle = target(representation, 2).values
    assert angle.shape == (400, 2)
    assert (angle**2).sum(axis=1) == pytest.approx(np.ones(400))


def test_a_target_marks_missing_rows_and_numbers_the_classes_that_occur() -> None:
    space = FactorSpace([Factor("shape", 5, "categorical"), Factor("size", 4, "ordinal")])
    factors = np.array([[4, -1], [-1, 3], [1, 0], [4, 3]])
    representation = Representation(np.zeros(4), factors, space=space)
    shape, size = target(representation, 0), target(representation, 1)
    assert (shape.rows.tolist(), shape.values.tolist()) == ([0, 2, 3], [1, -1, 0, 1])
    assert (size.rows.tolist(), size.values[size.rows].tolist()) == ([1, 2, 3], [[3.0], [0.0], [3.0]])
    assert np.isnan(size.values[0]).all()


@pytest.mark.parametrize(("labels", "varies"), [([-1, -1], False), ([1, 1], False), ([1, -1], False), ([0, 1], True)])
def test_a_target_reports_whether_there_is_anything_to_predict(labels: list[int], varies: bool) -> None:
    space = FactorSpace([Factor("shape", 2, "categorical"), Factor("size", 2, "ordinal")])
    representation = Representation(np.zeros(2), np.c_[labels, labels], space=space)
    assert [target(representation, k).varies for k in range(2)] == [varies, varies]


def test_factors_as_columns() -> None:
    labels = np.array([0, 1, 2, 3, 4, -1])
    codes = np.zeros(6)
    ordinal = Representation(codes, labels, space=space("ordinal"))
    np.testing.assert_array_equal(factor_columns(ordinal, 0)[:, 0], [0, 1, 2, 3, 4, np.nan])
    scaled = FactorSpace([Factor("scale", 5, "ordinal", (0.5, 0.6, 0.8, 1.0, 2.0))])
    columns = factor_columns(Representation(codes, labels, space=scaled), 0)
    np.testing.assert_array_equal(columns[:, 0], [0.5, 0.6, 0.8, 1.0, 2.0, np.nan])
    worded = FactorSpace([Factor("size", 5, "ordinal", tuple("abcde"))])
    np.testing.assert_array_equal(factor_columns(Representation(codes, labels, space=worded), 0)[:5, 0], np.arange(5))
    circular = factor_columns(Representation(codes, labels, space=space("circular")), 0)
    distance = np.linalg.norm(circular[:5] - circular[[1, 2, 3, 4, 0]], axis=1)
    np.testing.assert_allclose(distance, distance[0])  # the last value is a neighbour of the first
    categorical = factor_columns(Representation(codes, labels, space=space("categorical")), 0)
    np.testing.assert_array_equal(categorical[:5], np.eye(5)[:, 1:])
    assert np.isnan(categorical[5]).all()
    real = Representation(codes, np.array([-1.5, 0, 1, 2, 3, np.nan]), space=space("continuous"))
    np.testing.assert_array_equal(factor_columns(real, 0)[:, 0], [-1.5, 0, 1, 2, 3, np.nan])  # below 0 is no hole


def test_neighbouring_values_are_merged_and_categories_are_not() -> None:
    values = np.arange(40).repeat(10)
    table = dm.Representation(
        np.zeros((400, 1)),
        np.stack([values, values], axis=1),
        space=FactorSpace([Factor("x", 40, "ordinal"), Factor("name", 40, "categorical")]),
    )
    merged, kept = class_target(table, 0), class_target(table, 1)
    assert merged.n_classes == 10
    assert (np.diff(merged.values) >= 0).all()
    assert np.bincount(merged.values).tolist() == [40] * 10
    assert kept.n_classes == class_target(table, 0, None).n_classes == 40


def test_outlying_numbers_are_moved_to_the_outer_fences() -> None:
    labels = np.arange(100) / 1.0
    labels[[3, 7]] = [1e6, np.nan]
    present = labels[~np.isnan(labels)]
    low, high = np.quantile(present, [0.25, 0.75])
    bounded = bounded_target(Representation(np.zeros(100), {"a": labels}, kinds={"a": "continuous"}), 0).values[:, 0]
    expected = labels.copy()
    expected[3] = high + 3 * (high - low)
    np.testing.assert_array_equal(bounded, expected)


@pytest.mark.parametrize(
    "labels",
    [
        np.arange(100.0),
        np.random.default_rng(0).normal(size=5_000),
        np.where(np.arange(100) < 80, 0.0, np.arange(100)),  # most labels are equal
        np.array(["a", "b"])[np.arange(100) % 2],
    ],
)
def test_labels_without_outliers_are_the_target_itself(labels: Any) -> None:
    table = Representation(np.zeros(len(labels)), {"a": labels})
    assert bounded_target(table, 0) is table.cached(target, 0)
