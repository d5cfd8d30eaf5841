"""Adjusted scores: definitions, and tables on which published scores mislead."""

import numpy as np
import pytest

import disentmetrics as dm

MODULARITY = dm.metrics.modularity_adj
COMPACTNESS = dm.metrics.compactness_adj
EXPLICITNESS = dm.metrics.explicitness_adj
EVERY = (MODULARITY, COMPACTNESS, EXPLICITNESS)


def factors_of(n: int, seed: int = 0, size: int = 8, k: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).integers(size, size=(n, k))


def test_sixteen_noise_latents_and_four_dead_ones_change_nothing() -> None:
    v = factors_of(5_000)
    rng = np.random.default_rng(1)
    padded = np.hstack([v, rng.normal(size=(5_000, 16)), np.zeros((5_000, 4))])
    for metric in EVERY:
        assert metric(padded, v).value == pytest.approx(1.0, abs=0.003)


def test_the_values_follow_from_the_gated_matrix() -> None:
    v = factors_of(4_000)
    rng = np.random.default_rng(3)
    codes = np.stack([v[:, 0] + v[:, 1], v[:, 1] + rng.normal(size=4_000), v[:, 2], rng.normal(size=4_000)], axis=1)
    score = MODULARITY(codes, v)
    a = score.details["share"]
    assert (a[3] == 0).all()
    assert (a[:, 3] == 0).all()
    assert score.value == pytest.approx((a.max(1).sum() / a.sum() - 1 / 4) / (3 / 4))
    assert COMPACTNESS(codes, v).value == pytest.approx((a.max(0).sum() / a.sum() - 1 / 3) / (2 / 3))
    assert EXPLICITNESS(codes, v).value == pytest.approx(a.max(0).mean())
    assert np.isnan(COMPACTNESS(codes, v).per_factor["factor_3"])


def test_missing_labels_are_left_out_factor_by_factor() -> None:
    v = factors_of(4_000).astype(float)
    rng = np.random.default_rng(5)
    holes = np.where(rng.random(v.shape) < 0.3, np.nan, v)
    for metric in EVERY:
        assert metric(v, holes).value == pytest.approx(1.0, abs=0.003)
