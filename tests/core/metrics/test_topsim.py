from itertools import combinations

import numpy as np
import pytest
from scipy.spatial.distance import cosine
from scipy.stats import spearmanr

import disentmetrics as dm

M = dm.metrics


def babble(n: int = 400, length: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Messages that depend on factors, with symbols shared between positions."""
    rng = np.random.default_rng(seed)
    factors = rng.integers((4, 5, 3), size=(n, 3))
    said = factors[:, rng.integers(3, size=length)]
    return np.where(rng.random(said.shape) < 0.6, said, rng.integers(5, size=said.shape)), factors


@pytest.mark.parametrize("distance", ["hamming", "edit"])
def test_topsim_is_spearmans_correlation_of_distances(distance: str) -> None:
    messages, factors = babble(60)
    one_hot = np.hstack([np.eye(size)[column] for column, size in zip(factors.T, (4, 5, 3), strict=True)])

    def levenshtein(a: tuple[int, ...], b: tuple[int, ...]) -> int:
        if not a or not b:
            return len(a) + len(b)
        if a[0] == b[0]:
            return levenshtein(a[1:], b[1:])
        return 1 + min(levenshtein(a[1:], b), levenshtein(a, b[1:]), levenshtein(a[1:], b[1:]))

    pairs = list(combinations(range(60), 2))
    apart = {
        "hamming": [int((messages[i] != messages[j]).sum()) for i, j in pairs],
        "edit": [levenshtein(tuple(messages[i]), tuple(messages[j])) for i, j in pairs],
    }[distance]
    meant = np.round([cosine(one_hot[i], one_hot[j]) for i, j in pairs], 9)
    expected = spearmanr(apart, meant).statistic
    assert M.topsim(messages, factors, distance=distance).value == pytest.approx(expected, abs=1e-12)


def test_rows_of_topsim_are_drawn_by_the_seed() -> None:
    messages, factors = babble(3_000)
    first, again, other = (M.topsim(messages, factors, seed=seed, n_rows=200) for seed in (1, 1, 2))
    assert first.value == again.value
    assert first.value != other.value
    assert "paired:200" in first.signature
    assert M.topsim(messages, factors).value == pytest.approx(other.value, abs=0.1)
