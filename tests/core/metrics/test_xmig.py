import numpy as np
import pytest

import disentmetrics as dm

M = dm.metrics


def test_xmig_compares_with_unassigned_latents_only() -> None:
    factors = np.random.default_rng(0).integers(5, size=(3_000, 2))
    leaky = np.c_[factors[:, 0] * 5 + factors[:, 1], factors[:, 1]].astype(float)
    assert M.xmig(leaky, factors, estimator="rank-spacing").value > 0.99
    assert M.xmig(leaky, factors).value > 0.95
    assert M.dmig(leaky, factors, estimator="rank-spacing").value == pytest.approx(0.5, abs=0.05)
    assert M.dmig(leaky, factors).value < 0.7
    spare = np.c_[factors, factors[:, 0]].astype(float)
    assert M.xmig(spare, factors).value == pytest.approx(0.5, abs=0.01)
