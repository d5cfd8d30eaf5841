import numpy as np
import pytest

import disentmetrics as dm


def grid(*sizes: int) -> np.ndarray:
    return np.indices(sizes).reshape(len(sizes), -1).T


def ordinal(codes: np.ndarray, factors: np.ndarray) -> dm.Representation:
    return dm.Representation(codes, factors, kinds={f"factor_{k}": "ordinal" for k in range(factors.shape[1])})


def published_omes(codes: np.ndarray, factors: np.ndarray, *, pool_max: bool) -> float:
    """Every pair of rows that differs in factor k alone, and the scores as the paper writes them."""
    n_codes, n_factors = codes.shape[1], factors.shape[1]
    moved = np.zeros((n_codes, n_factors))
    differ = factors[:, None] != factors[None]
    for k in range(n_factors):
        first, second = np.nonzero(differ[:, :, k] & (differ.sum(axis=2) == 1))
        for j in range(n_codes):
            moved[j, k] = 1 - abs(np.corrcoef(codes[first, j], codes[second, j])[0, 1])
    scores = []
    for k in range(n_factors):
        terms = []
        for j in range(n_codes):
            overlap = 1 - np.abs(np.eye(n_factors)[k] - moved[j]).mean()
            multiple = 1 - np.abs(np.eye(n_codes)[j] - moved[:, k]).mean()
            terms.append((overlap * moved[j, k], multiple * moved[j, k]))
        both = np.array(terms)
        pooled = both.max(axis=0) if pool_max else np.average(both, axis=0, weights=moved[:, k])
        scores.append(pooled.mean())
    return float(np.mean(scores))


@pytest.mark.parametrize("pooling", ["max", "average"])
def test_omes_as_published_is_the_limit_of_its_draws(pooling: str) -> None:
    rng = np.random.default_rng(0)
    factors = grid(4, 3, 5)
    codes = np.c_[factors, factors[:, 0] + 0.5 * factors[:, 1], rng.normal(size=60)]
    expected = published_omes(codes, factors, pool_max=pooling == "max")
    ours = dm.metrics.omes.score(ordinal(codes, factors), "dapueto2024", pooling=pooling)
    assert ours.value == pytest.approx(expected, abs=1e-9)


def test_why_a_perfect_code_falls_short_in_the_published_form() -> None:
    """Partners never share the value, so their latents have correlation -1 / (n - 1), and the sign is dropped."""
    factors = grid(4, 5)
    score = dm.metrics.omes.score(ordinal(factors.astype(float), factors), "dapueto2024")
    # per factor: A (1 - mean(1 - A, 0)) with A = 1 - 1 / (n - 1)
    assert score.value == pytest.approx(np.mean([a * (1 + a) / 2 for a in (2 / 3, 3 / 4)]), abs=1e-12)
    binary = grid(2, 2).repeat(10, axis=0)
    assert dm.metrics.omes.score(ordinal(binary.astype(float), binary), "dapueto2024").value == pytest.approx(0.0)


def test_the_change_of_omes_is_the_total_effect_of_sobol() -> None:
    """Closed form: z = a + b + a b of independent, centred factors of variance 1."""
    factors = grid(4, 5)
    a, b = ((v - v.mean()) / v.std() for v in factors.T)
    score = dm.metrics.omes.score(ordinal(np.c_[a + b + a * b, a], factors))
    assert score.details["change"] == pytest.approx(np.array([[2 / 3, 2 / 3], [1, 0]]), abs=1e-12)


def test_omes_of_an_incomplete_grid_is_that_of_the_full_grid() -> None:
    rng = np.random.default_rng(0)
    factors = grid(6, 8, 5, 4)
    codes = factors + np.c_[factors[:, 1], np.zeros((960, 3))]
    whole = dm.metrics.omes.score(ordinal(codes, factors)).value
    kept = rng.random(960) < 0.7
    assert dm.metrics.omes.score(ordinal(codes[kept], factors[kept])).value == pytest.approx(whole, abs=0.02)


def test_a_continuous_factor_is_cut_into_a_few_bins() -> None:
    rng = np.random.default_rng(0)
    factors = rng.random((3_000, 3))
    codes = 10 * factors
    assert dm.metrics.z_max_var(codes, factors).value == 1.0
    assert dm.metrics.omes(codes, factors).value > 0.75
    assert dm.metrics.omes(codes, factors, n_bins=100).undefined is not None
