from typing import Any

import numpy as np
import pytest

import disentmetrics as dm
from disentmetrics import Factor, FactorSpace, Representation

SPACE = FactorSpace([Factor("a", 6, "ordinal"), Factor("b", 8, "ordinal")])


def table(n: int = 1_500) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.integers((6, 8), size=(n, 2)), rng.normal(size=(n, 2))


def score(codes: np.ndarray, factors: np.ndarray, **options: Any) -> dm.Score:
    return dm.metrics.dci_es.score(Representation(codes, factors, space=SPACE), **options)


def test_perfect_codes_and_their_rotation_are_explicit_and_noise_is_not() -> None:
    factors, noise = table()
    perfect, rotated = score(factors.astype(float), factors), score(factors @ [[0.6, 0.8], [0.8, -0.6]], factors)
    assert perfect.value > 0.999
    assert rotated.value > 0.999
    nothing = score(noise, factors)
    assert nothing.value == 0.0
    assert nothing.parts["informativeness"].value < 0.01


def test_information_that_needs_a_wider_probe_is_less_explicit() -> None:
    factors, _ = table()
    folded = np.c_[np.abs(factors[:, 0] - 2.6), factors[:, 1]]
    result = score(folded, factors)
    assert result.per_factor["b"] > 0.999
    assert 0.3 < result.per_factor["a"] < 0.9
    curve = result.details["score"][:, 0]
    assert curve[0] < 0.3
    assert curve.max() > 0.6


def test_blur_leaves_explicitness_and_lowers_informativeness() -> None:
    factors, noise = table()
    result = score((factors - factors.mean(0)) / factors.std(0) + noise, factors)
    assert result.value > 0.95
    assert result.parts["informativeness"].value == pytest.approx(0.5, abs=0.08)


def test_a_missing_factor_scores_zero_by_default_and_nearly_one_in_the_published_form() -> None:
    factors, noise = table()
    codes = np.c_[factors[:, 0], noise[:, 0]]
    assert score(codes, factors).per_factor["b"] == 0.0
    published = score(codes, factors, protocol="eastwood2023", n_trees=5)
    assert published.per_factor["b"] > 0.9


def test_the_published_form_on_a_perfect_code() -> None:
    """A tree of depth t has 2 ** t leaves: 8 values are read at depth 4, from the areas before."""
    factors, _ = table()
    result = score(factors.astype(float), factors, protocol="eastwood2023", n_trees=20)
    losses = 1 - result.details["score"]
    assert losses[:2, 1] == pytest.approx([15 / 63, 3 / 63], abs=0.02)
    assert losses[2:, 1] == pytest.approx(np.zeros(5), abs=1e-9)
    area = (losses[0] + losses[1]) / 2 + losses[1]
    assert list(result.per_factor.values()) == pytest.approx(1 - 2 * area / 31, abs=1e-6)


def test_size_is_factors_over_varying_latents() -> None:
    factors, noise = table(200)
    codes = np.hstack([factors, noise, np.ones((200, 3))])
    assert score(codes, factors).parts["size"].value == 0.5
    dead = score(np.ones((200, 2)), factors)
    assert dead.value == 0.0
    assert dead.parts["size"].undefined


def test_categories_become_indicators_and_missing_labels_are_ignored() -> None:
    labels = np.random.default_rng(0).integers(3, size=(900, 1))
    space = FactorSpace([Factor("shape", 3, "categorical")])
    codes = np.eye(3)[labels[:, 0]]
    holes = np.where(np.arange(900)[:, None] % 4, labels, -1)
    for protocol in ("default", "eastwood2023"):
        result = dm.metrics.dci_es.score(Representation(codes, holes, space=space), protocol, n_trees=10)
        assert result.value > 0.97
        assert result.parts["informativeness"].value > 0.99
