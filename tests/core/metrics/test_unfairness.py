import numpy as np
import pytest

import disentmetrics as dm
from disentmetrics.statistics.learning_curves import fit_probe

UNFAIRNESS = dm.metrics.unfairness


def factors_of(n: int, *sizes: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(sizes, size=(n, len(sizes)))


def test_unfairness_by_hand() -> None:
    """The code shows the target where the sensitive factor is 0, and 1 where it is 1: all of those are called 1.

    p(called 1) is 1/2 under 0, 1 under 1, and 3/4 overall, which is 1/4 from either.
    """
    factors = np.indices((2, 2)).reshape(2, -1).T.repeat(250, axis=0)
    code = np.where(factors[:, 1] == 0, factors[:, 0], 1).astype(float)
    score = UNFAIRNESS(code, factors)
    assert score.details["total_variation"][0, 1] == pytest.approx(0.25, abs=0.02)
    assert score.parts["maximum"].value == pytest.approx(0.25, abs=0.02)


def test_dependent_factors_look_unfair_unless_predictions_are_compared_at_equal_targets() -> None:
    factors = factors_of(4_000, 4, 4)
    kept = np.random.default_rng(9).random(4_000) < np.exp(-((factors[:, 0] - factors[:, 1]) ** 2) / 2)
    factors = factors[kept]
    codes = factors.astype(float)
    assert UNFAIRNESS(codes, factors).value == pytest.approx(0.0, abs=0.01)
    assert UNFAIRNESS(codes, factors, matched=False).value > 0.2


def test_total_variation_is_that_of_disentanglement_lib() -> None:
    """Reference implementation: counts of predictions by sensitive class, distance of each column to their sum."""
    factors = factors_of(1_000, 3, 4)
    codes = factors + np.random.default_rng(10).normal(size=factors.shape)
    table = dm.Representation(codes, factors)
    probe = fit_probe(table, 0, 10_000, "logistic", 0)
    assert probe is not None
    counts = np.zeros((3, 4))
    for row, y_pred in zip(probe.rows, probe.y_pred, strict=True):
        counts[y_pred, factors[row, 1]] += 1
    overall = counts.sum(axis=1) / counts.sum()
    columns = counts / counts.sum(axis=0)
    distance = np.abs(columns - overall[:, None]).sum(axis=0) / 2
    expected = (distance * counts.sum(axis=0)).sum() / counts.sum()
    score = UNFAIRNESS.score(table, matched=False)
    assert score.details["total_variation"][0, 1] == pytest.approx(expected, abs=1e-12)
