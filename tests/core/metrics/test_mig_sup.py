import numpy as np
import pytest

import disentmetrics as dm

M = dm.metrics


def test_dividing_by_the_entropy_of_the_latent_would_hide_that_a_factor_is_half_encoded() -> None:
    """The entropy of a latent with two values is fully explained, but it carries half of a factor with four values."""
    factors = np.indices((4, 4)).reshape(2, -1).T.repeat(20, axis=0)
    halves = (factors // 2).astype(float)
    assert M.mig_sup(halves, factors).value == pytest.approx(0.5, abs=0.01)
    assert M.mig_sup(halves, factors, protocol="carbonneau2022").value == pytest.approx(0.5)
    assert M.minimality(halves, factors).value == pytest.approx(1.0)
    dead = M.mig_sup(np.c_[halves, np.ones(len(halves))], factors, protocol="carbonneau2022")
    assert dead.value == pytest.approx(1 / 3)


def test_what_gaps_of_latents_detect_and_what_they_miss() -> None:
    rng = np.random.default_rng(0)
    factors = rng.integers(3, size=(6_000, 3))
    packed = np.stack([3.0 * factors[:, 0] + factors[:, 1], factors[:, 2], rng.normal(size=6_000)], axis=1)
    assert M.mig(packed, factors).value > 0.9
    assert M.average_maximal_mi(packed, factors).value > 0.9
    assert M.mig(packed, factors, estimator="rank-spacing").value > 0.99
    assert M.average_maximal_mi(packed, factors, estimator="rank-spacing").value > 0.99
    assert M.dcimig(packed, factors, estimator="rank-spacing").value == pytest.approx(1 / 3, abs=0.02)
    assert M.mig_sup(packed, factors, estimator="rank-spacing").value == pytest.approx(1 / 2, abs=0.02)
    assert M.minimality(packed, factors).value == pytest.approx((0.5 + 1 + 0) / 3, abs=0.02)
    assert M.med(packed, factors).value < 0.8
    one = M.mig_sup(factors[:, [0, 0]].astype(float), factors)
    assert one.value > 0.99
    assert "no latent carries 10 % of the entropy of factor_1 and factor_2" in one.notes[0]
    rotation = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))[0]
    assert M.dcimig(np.hstack([factors, factors @ rotation]), factors).value > 0.99
