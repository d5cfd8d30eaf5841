import numpy as np
import pytest

import disentmetrics as dm

SIZES = (3, 6, 10, 12)
M = dm.metrics


def test_dead_and_noise_latents_dominate_published_modularity_and_not_the_default() -> None:
    factors = np.random.default_rng(0).integers(SIZES, size=(5_000, 4))
    perfect, dead = factors.astype(float), np.zeros((5_000, 4))
    noise = np.random.default_rng(1).normal(size=(5_000, 4))
    assert M.modularity(np.hstack([perfect, dead]), factors, protocol="locatello2019").value == pytest.approx(
        0.5, abs=1e-3
    )
    assert M.modularity(np.hstack([perfect, dead]), factors, protocol="ridgeway2018").value == pytest.approx(
        1, abs=1e-3
    )
    assert M.modularity(noise, factors, protocol="ridgeway2018").value > 0.4
    assert M.modularity(noise, factors).value == 0.0
    assert M.modularity(np.hstack([perfect, dead, noise]), factors).value > 0.999


def test_modularity_weights_latents_by_information() -> None:
    rng = np.random.default_rng(0)
    factors = rng.integers(8, size=(20_000, 2))
    faint = 0.1 * factors.sum(axis=1, keepdims=True) + rng.normal(size=(20_000, 1))
    score = M.modularity(np.hstack([factors, faint]), factors)
    assert score.details["modularity_of_code"][2] < 0.3
    assert score.value > 0.97


def test_a_rotation_keeps_a_high_modularity_which_is_its_known_failure() -> None:
    """Measured for four uniform factors: .90 for the published form."""
    rng = np.random.default_rng(0)
    factors = rng.random((6_000, 4))
    rotation = np.linalg.qr(np.random.default_rng(2).normal(size=(4, 4)))[0]
    assert M.modularity(factors @ rotation, factors, protocol="ridgeway2018").value > 0.75
    assert M.dcimig(factors @ rotation, factors).value < 0.35
