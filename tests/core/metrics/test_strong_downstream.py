import numpy as np
import pytest

import disentmetrics as dm


def factors_of(n: int, *sizes: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(sizes, size=(n, len(sizes)))


def test_a_latent_whose_sign_depends_on_an_unseen_value_misleads() -> None:
    factors = factors_of(2_000, 2, 2)
    turned = (factors[:, 0] - 0.5) * np.where(factors[:, 1] == 0, 1, -1)
    metric = dm.metrics.strong_downstream
    score = metric(np.column_stack([turned, factors[:, 1]]), factors)
    assert score.details["accuracy"][0, 1] == 0.0
    assert score.parts["usual_accuracy"].value == pytest.approx(1.0)
    assert score.parts["generalisation_gap"].value > 0.4
    assert metric(factors.astype(float), factors).value == 1.0
