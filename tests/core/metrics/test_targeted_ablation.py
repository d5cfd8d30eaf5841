import numpy as np
import pytest

import disentmetrics as dm

HADAMARD = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]) / 2


def factors_of(n: int, *sizes: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(sizes, size=(n, len(sizes)))


def test_ablation_destroys_the_probe_that_uses_the_latent() -> None:
    factors = factors_of(1_500, 5, 5, 5, 5)
    metric = dm.metrics.targeted_ablation
    perfect, rotated = metric(factors.astype(float), factors), metric(factors @ HADAMARD, factors)
    assert perfect.details["drop"] == pytest.approx(np.eye(4), abs=0.05)
    assert rotated.value < 0.3
    assert rotated.parts["others"].value > 0.4
