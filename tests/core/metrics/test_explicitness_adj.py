import numpy as np
import pytest

import disentmetrics as dm
from disentmetrics.statistics.significance import FALSE_DISCOVERY_RATE

MODULARITY = dm.metrics.modularity_adj
COMPACTNESS = dm.metrics.compactness_adj
EXPLICITNESS = dm.metrics.explicitness_adj


def factors_of(n: int, seed: int = 0, size: int = 8, k: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).integers(size, size=(n, k))


@pytest.mark.parametrize("n", [100, 1_000])
def test_noise_scores_zero_but_for_the_false_alarms_of_the_gate(n: int) -> None:
    alarms = 0
    for seed in range(200):
        codes = np.random.default_rng([seed, 1]).normal(size=(n, 10))
        alarms += EXPLICITNESS(codes, factors_of(n, seed)).value > 0
    assert alarms <= 4 * 200 * FALSE_DISCOVERY_RATE  # two standard deviations above 1.8 %, its rate on sparse tables


def test_blur_lowers_explicitness_and_nothing_else() -> None:
    v = factors_of(6_000)
    blurred = v + v.std() * np.random.default_rng(2).normal(size=v.shape)
    assert [MODULARITY(blurred, v).value, COMPACTNESS(blurred, v).value] == pytest.approx([1, 1], abs=0.02)
    assert EXPLICITNESS(blurred, v).value < 0.4


def test_a_collapsed_latent_with_a_clean_trace_carries_nothing() -> None:
    v = factors_of(3_000, k=2)
    codes = np.stack([v[:, 0] * 1.0, 1e-3 * v[:, 1]], axis=1)
    log_variance = np.stack([np.full(3_000, -6.0), np.zeros(3_000)], axis=1)
    sampled = EXPLICITNESS(codes, v, log_variance=log_variance)
    assert sampled.value == pytest.approx(0.5, abs=0.01)
    assert "resolution:posterior" in sampled.signature
    assert EXPLICITNESS(codes, v).value == pytest.approx(1.0, abs=0.01)
