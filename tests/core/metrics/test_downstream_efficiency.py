import numpy as np

import disentmetrics as dm

EFFICIENCY = dm.metrics.downstream_efficiency


def factors_of(n: int, *sizes: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(sizes, size=(n, len(sizes)))


def test_noise_is_fully_efficient_unless_chance_is_subtracted() -> None:
    factors = factors_of(1_500, 3, 4)
    codes = np.random.default_rng(8).normal(size=(1_500, 3))
    assert EFFICIENCY(codes, factors).value == 0.0
    assert EFFICIENCY(codes, factors, above_chance=False).value > 0.9
    assert EFFICIENCY(factors.astype(float), factors).value > 0.95
    assert "130 or more rows" in (EFFICIENCY(codes[:100], factors[:100]).undefined or "")
