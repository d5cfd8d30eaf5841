"""Rows grouped by the values of two factors, and the metrics computed from such groups."""

import numpy as np
import pytest

import disentmetrics as dm

CCGP, PARALLELISM, SHATTERING = dm.metrics.ccgp, dm.metrics.parallelism, dm.metrics.shattering_dimension


def grid(*sizes: int, repeats: int = 40) -> np.ndarray:
    return np.indices(sizes).reshape(len(sizes), -1).T.repeat(repeats, axis=0)


def test_invertible_linear_maps_of_the_code_do_not_change_the_scores() -> None:
    factors = grid(3, 4, 5, repeats=20)
    rng = np.random.default_rng(1)
    codes = np.sin(factors + 0.3 * rng.normal(size=factors.shape)) + factors
    mapped = codes @ rng.normal(size=(3, 3)) + [1.0, -5.0, 100.0]
    for metric in (CCGP, PARALLELISM, SHATTERING):
        assert metric(mapped, factors).value == pytest.approx(metric(codes, factors).value, abs=1e-4)
        assert metric(np.hstack([codes, mapped]), factors).value == pytest.approx(
            metric(codes, factors).value, abs=1e-3
        )


def test_noise_is_at_chance_and_one_factor_is_refused() -> None:
    rng = np.random.default_rng(5)
    factors = rng.integers((3, 4), size=(2_000, 2))
    codes = rng.normal(size=(2_000, 4))
    assert CCGP(codes, factors).value == pytest.approx(0.5, abs=0.03)
    assert SHATTERING(codes, factors).value == pytest.approx(0.5, abs=0.03)
    assert PARALLELISM(codes, factors).value == 0.0
    for metric in (CCGP, PARALLELISM, SHATTERING):
        assert "2 or more factors" in (metric(codes, factors[:, :1]).undefined or "")
