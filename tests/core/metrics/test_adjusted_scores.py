"""Adjusted scores: limits, definitions, and cases in which published scores mislead."""

import numpy as np
import pytest

import disentmetrics as dm
from disentmetrics.statistics.significance import FALSE_DISCOVERY_RATE

MODULARITY, COMPACTNESS, EXPLICITNESS = (
    getattr(dm.metrics, f"{name}_adj") for name in ("modularity", "compactness", "explicitness")
)
EVERY = (MODULARITY, COMPACTNESS, EXPLICITNESS)


def factors_of(n: int, seed: int = 0, size: int = 8, k: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).integers(size, size=(n, k))


@pytest.mark.parametrize("n", [100, 1_000])
def test_noise_scores_zero_but_for_the_false_alarms_of_the_gate(n: int) -> None:
    alarms = 0
    for seed in range(200):
        codes = np.random.default_rng([seed, 1]).normal(size=(n, 10))
        alarms += EXPLICITNESS(codes, factors_of(n, seed)).value > 0
    assert alarms <= 4 * 200 * FALSE_DISCOVERY_RATE  # two standard deviations above 1.8 %, its rate on sparse tables


def test_sixteen_noise_latents_and_four_dead_ones_change_nothing() -> None:
    v = factors_of(5_000)
    rng = np.random.default_rng(1)
    padded = np.hstack([v, rng.normal(size=(5_000, 16)), np.zeros((5_000, 4))])
    for metric in EVERY:
        assert metric(padded, v).value == pytest.approx(1.0, abs=0.003)


def test_blur_lowers_explicitness_and_nothing_else() -> None:
    v = factors_of(6_000)
    blurred = v + v.std() * np.random.default_rng(2).normal(size=v.shape)
    assert [MODULARITY(blurred, v).value, COMPACTNESS(blurred, v).value] == pytest.approx([1, 1], abs=0.02)
    assert EXPLICITNESS(blurred, v).value < 0.4


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


def test_packing_is_seen_by_modularity_alone() -> None:
    v = factors_of(6_000, size=5, k=3)
    packed = np.stack([v[:, 0] * 5 + v[:, 1], v[:, 2]], axis=1)
    assert MODULARITY(packed, v).value == pytest.approx((2 / 3 - 1 / 3) / (2 / 3), abs=0.01)
    assert COMPACTNESS(packed, v).value == pytest.approx(1.0, abs=0.01)
    assert EXPLICITNESS(packed, v).value == pytest.approx(1.0, abs=0.01)


def test_one_informative_code_is_compact() -> None:
    v = factors_of(2_000, k=2)
    assert COMPACTNESS(v[:, :1].astype(float), v).value == 1.0


def test_a_collapsed_latent_with_a_clean_trace_is_excluded() -> None:
    v = factors_of(3_000, k=2)
    codes = np.stack([v[:, 0] * 1.0, 1e-3 * v[:, 1]], axis=1)
    log_variance = np.stack([np.full(3_000, -6.0), np.zeros(3_000)], axis=1)
    masked = EXPLICITNESS(codes, v, log_variance=log_variance)
    assert masked.value == pytest.approx(0.5, abs=0.01)
    assert "mask:kl>0.01" in masked.signature
    assert EXPLICITNESS(codes, v).value == pytest.approx(1.0, abs=0.01)


def test_missing_labels_are_left_out_factor_by_factor() -> None:
    v = factors_of(4_000).astype(float)
    rng = np.random.default_rng(5)
    holes = np.where(rng.random(v.shape) < 0.3, np.nan, v)
    for metric in EVERY:
        assert metric(v, holes).value == pytest.approx(1.0, abs=0.003)


def test_a_note_reports_that_nothing_is_related() -> None:
    v = factors_of(300)
    score = MODULARITY(np.random.default_rng(6).normal(size=(300, 3)), v)
    assert score.value == 0
    assert "no latent depends on any factor" in score.notes[0]
