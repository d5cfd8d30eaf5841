import numpy as np
import pytest

import disentmetrics as dm
from disentmetrics import Factor, FactorSpace, Representation

SPACE = FactorSpace([Factor("shape", 3, "categorical"), Factor("a", 5, "ordinal"), Factor("b", 8, "ordinal")])


def draw(n: int = 1_500) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.integers((3, 5, 8), size=(n, 3)), rng.normal(size=(n, 3))


def table(codes: np.ndarray, factors: np.ndarray) -> Representation:
    return Representation(codes, factors, space=SPACE)


def test_knockout_detects_a_copy_and_a_rotated_copy_and_single_neurons_do_not() -> None:
    factors, _ = draw()
    ideal = (factors - factors.mean(0)) / factors.std(0)
    rotation = np.eye(3) - 2 / 3  # a reflection that mixes every factor into every code
    for copy in (ideal, ideal @ rotation):
        beside = table(np.hstack([ideal, copy]), factors)
        assert dm.metrics.snc.score(beside).value > 0.995
        assert dm.metrics.nk.score(beside).value < 0.05


def test_knockout_is_the_difference_of_its_two_scores() -> None:
    factors, noise = draw(600)
    score = dm.metrics.nk.score(table(factors + noise, factors))
    fall = score.details["with_all_codes"] - score.details["without_its_code"]
    assert list(score.per_factor.values()) == pytest.approx(np.clip(fall, 0, 1))
    assert (score.details["with_all_codes"] < 0.9).all()


@pytest.mark.parametrize("name", ["snc", "nk"])
def test_constant_factors_dead_latents_and_missing_labels(name: str) -> None:
    factors, _ = draw(600)
    holes = np.c_[np.where(np.arange(600) % 3, factors[:, 0], -1), factors[:, 1], np.zeros(600, int)]
    score = getattr(dm.metrics, name).score(table(np.c_[np.ones(600), factors].astype(float), holes))
    assert score.value > 0.99
    assert np.isnan(score.per_factor["b"])
    together = Representation(factors + 0.0, factors, space=SPACE, groups=np.zeros(600))
    assert "2 or more groups of rows" in str(getattr(dm.metrics, name).score(together).undefined)
