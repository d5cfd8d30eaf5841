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
        metric = M.find_metric(name)[0]
        assert metric(codes, factors, estimator="rank-spacing").value == pytest.approx(1.0, abs=1e-9)
        assert metric(codes, factors).value == pytest.approx(1.0, abs=0.005)


@pytest.mark.parametrize("n", [500, 2_000])
@pytest.mark.parametrize("function", ["half", "binary", "square"])
def test_a_factor_that_another_one_determines_does_not_lower_a_perfect_code(function: str, n: int) -> None:
    """Both latents carry all its entropy, and none of it remains given the other factor: 0 / 0 up to estimation."""
    rng = np.random.default_rng(0)
    first = rng.integers(9, size=n)
    second = {"half": first // 2, "binary": first // 5, "square": (first - 4) ** 2}[function]
    factors = np.stack([first, np.unique(second, return_inverse=True)[1], rng.integers(6, size=n)], axis=1)
    for name in ("dlig", "dmig"):
        score = M.find_metric(name)[0](factors.astype(float), factors)
        assert score.value == pytest.approx(1.0, abs=0.03)
    assert np.isnan(M.dlig(factors.astype(float), factors).per_factor["factor_1"])
