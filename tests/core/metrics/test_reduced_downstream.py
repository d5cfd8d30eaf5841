import numpy as np
import pytest

import disentmetrics as dm


def factors_of(n: int, *sizes: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(sizes, size=(n, len(sizes)))


def test_removing_the_latent_of_a_factor_destroys_only_it_unless_there_is_a_copy() -> None:
    factors = factors_of(2_000, 3, 4, 5)
    metric = dm.metrics.reduced_downstream
    perfect = metric(factors.astype(float), factors)
    assert perfect.value == pytest.approx(1.0, abs=0.05)
    assert perfect.parts["others"].value == pytest.approx(0.0, abs=0.01)
    assert metric(np.hstack([factors, factors]).astype(float), factors).value == pytest.approx(0.0, abs=0.02)
    both = metric(np.hstack([factors, factors]).astype(float), factors, n_dropped=2)
    assert both.value == pytest.approx(1.0, abs=0.05)
