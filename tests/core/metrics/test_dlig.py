import numpy as np
import pytest

import disentmetrics as dm

M = dm.metrics


def dependent(n: int = 5_000) -> np.ndarray:
    rng = np.random.default_rng(0)
    first = rng.integers(6, size=n)
    return np.stack([first, np.where(rng.random(n) < 0.6, first, rng.integers(6, size=n)), rng.integers(4, size=n)], 1)


def test_dmig_dlig_and_sufficiency_keep_one_for_perfect_codes_of_dependent_factors() -> None:
    factors = dependent()
    codes = factors.astype(float)
    assert M.mig(codes, factors).value < 0.9
    for name in ("dmig", "xmig", "dlig", "sufficiency"):
        assert M.find_metric(name)[0](codes, factors).value == pytest.approx(1.0, abs=1e-9)
