from typing import Any

import numpy as np
import pytest

import disentmetrics as dm
from disentmetrics import Factor, FactorSpace, Representation

SPACE = FactorSpace([Factor("shape", 3, "categorical"), Factor("a", 5, "ordinal"), Factor("b", 8, "ordinal")])


def draw(n: int = 1_500) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    factors = rng.integers((3, 5, 8), size=(n, 3))
    return factors, (factors - factors.mean(0)) / factors.std(0), rng.normal(size=(n, 3))


def score(codes: np.ndarray, factors: np.ndarray, **options: Any) -> dm.Score:
    return dm.metrics.unique_information.score(Representation(codes, factors, space=SPACE), **options)


def test_perfect_codes_score_one_noise_zero_and_copies_zero() -> None:
    factors, ideal, noise = draw()
    perfect = score(np.hstack([ideal, noise]), factors)
    assert perfect.value > 0.97
    assert perfect.parts["upper_bound"].value > 0.97
    assert score(noise, factors).value < 0.01
    twice = score(np.hstack([ideal, ideal]), factors)
    assert (twice.value, twice.parts["upper_bound"].value) == (0.0, 0.0)


def test_perfect_codes_with_a_rotated_copy_score_zero() -> None:
    """The defect that all metrics of single latents and importances miss."""
    factors, ideal, _ = draw()
    rotation = np.eye(3) - 2 / 3  # a reflection that mixes every factor into every code
    assert score(np.hstack([ideal, ideal @ rotation]), factors).value < 0.02


def test_synergy_shows_in_the_upper_bound_alone() -> None:
    """Both latents are needed, neither has unique information: z_0 = v + u, z_1 = u."""
    rng = np.random.default_rng(0)
    factors = rng.integers(8, size=(2_000, 1))
    key = rng.normal(size=2_000) * 2
    space = FactorSpace([Factor("v", 8, "ordinal")])
    result = dm.metrics.unique_information.score(Representation(np.c_[factors[:, 0] + key, key], factors, space=space))
    alone = factors.var() / (factors.var() + 4)
    assert result.value == pytest.approx(alone, abs=0.06)
    assert result.parts["upper_bound"].value == pytest.approx(alone, abs=0.06)
    assert result.details["unique"][0, 0] == result.value


def test_information_shared_by_two_latents_is_not_unique() -> None:
    """Two equally blurred views of one factor carry the same information."""
    factors, ideal, noise = draw()
    views = np.c_[ideal[:, 2] + noise[:, 0], ideal[:, 2] + noise[:, 1], ideal[:, :2]]
    result = score(views, factors)
    assert result.per_factor["b"] < 0.05
    assert min(result.per_factor["shape"], result.per_factor["a"]) > 0.96
    assert 0.1 < score(views[:, [0, 2, 3]], factors).per_factor["b"] < 0.7


def test_pruning_evaluates_the_given_number_of_candidates_and_loses_nothing_here() -> None:
    factors, ideal, noise = draw(800)
    codes = np.hstack([noise, ideal + 0.5 * noise, ideal @ np.ones((3, 20)) + np.tile(noise[:, :1], 20)])
    few, many = score(codes, factors, n_candidates=1), score(codes, factors, n_candidates=5)
    assert np.isfinite(few.details["unique"]).sum(axis=0).max() == 1
    assert np.isfinite(many.details["unique"]).sum(axis=0).max() <= 5
    assert many.value >= few.value


def test_constant_factors_dead_latents_one_latent_and_missing_labels() -> None:
    factors, ideal, _ = draw(600)
    holes = np.c_[np.where(np.arange(600) % 3, factors[:, 0], -1), factors[:, 1], np.zeros(600, int)]
    result = score(np.c_[np.ones(600), ideal], holes)
    assert result.value > 0.98
    assert np.isnan(result.per_factor["b"])
    assert score(ideal[:, :1], factors).per_factor["shape"] == 1.0
    together = Representation(ideal, factors, space=SPACE, groups=np.zeros(600))
    assert "2 or more groups of rows" in str(dm.metrics.unique_information.score(together).undefined)
