"""Changes of a representation."""

from collections.abc import Callable

import numpy as np
import pytest

import disentmetrics as dm
from disentmetrics.metrics.base import INVARIANCES, Invariance
from disentmetrics.testing import CHANGES, EXAMPLES


@pytest.fixture(scope="module")
def table() -> dm.Representation:
    return EXAMPLES["noisy"](400, np.random.default_rng(0), posterior=True)


def test_there_is_a_change_for_every_invariance() -> None:
    assert set(CHANGES) == set(INVARIANCES)


@pytest.mark.parametrize("change", INVARIANCES)
def test_a_change_repeats_with_its_seed_and_leaves_its_argument_unchanged(
    change: Invariance, table: dm.Representation
) -> None:
    codes, factors = table.codes.copy(), table.factors.copy()
    first, second = (CHANGES[change](table, np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(first.codes, second.codes)
    assert np.array_equal(first.factors, second.factors)
    assert np.array_equal(table.codes, codes)
    assert np.array_equal(table.factors, factors)
    assert first.log_variance is not None
    assert first.log_variance.shape == first.codes.shape


Kept = Callable[[dm.Representation], object]


def gram(table: dm.Representation) -> np.ndarray:
    return np.asarray(table.codes @ table.codes.T)


KEPT: dict[Invariance, Kept] = {
    "row order": lambda t: np.sort(t.codes, axis=0),
    "code order": lambda t: np.sort(t.codes, axis=1),
    "sign": lambda t: np.abs(t.codes),
    "scale": lambda t: t.codes / t.codes.std(axis=0),
    "shift": lambda t: t.codes - t.codes.mean(axis=0),
    "monotone warp": lambda t: t.codes.argsort(axis=0),
    "outlier": lambda t: np.median(t.codes, axis=0).round(2),
    "dead code": lambda t: t.codes[:, :4],
    "noise code": lambda t: t.codes[:, :4],
    "duplicated code": lambda t: np.unique(t.codes, axis=1),
    "relabelled factors": lambda t: np.sort([np.unique(c, return_counts=True)[1] for c in t.factors[:, :1].T]),
    "factor order": lambda t: np.sort(t.factors.sum(axis=1)),
    "repeated rows": lambda t: np.unique(t.codes, axis=0),
    "rotation": gram,
}


@pytest.mark.parametrize("change", KEPT)
def test_what_a_change_preserves(change: Invariance, table: dm.Representation) -> None:
    preserved = KEPT[change]
    changed = CHANGES[change](table, np.random.default_rng(5))
    assert np.allclose(np.asarray(preserved(changed)), np.asarray(preserved(table)), atol=1e-8)


def test_dependent_factors_are_a_subset_of_rows_with_correlated_factors(table: dm.Representation) -> None:
    changed = CHANGES["dependent factors"](table, np.random.default_rng(5))
    assert len(changed) < len(table)
    assert np.corrcoef(changed.factors[:, 0], changed.factors[:, 1])[0, 1] > 0.2


def test_determined_factors_are_a_subset_of_rows_in_which_one_factor_determines_another(
    table: dm.Representation,
) -> None:
    changed = CHANGES["determined factors"](table, np.random.default_rng(5))
    first, second = changed.factors[:, 0], changed.factors[:, 1]
    assert np.array_equal(first, second // 2)
    assert len(np.unique(first)) == 3
    assert len(np.unique(second)) == 6
