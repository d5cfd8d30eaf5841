"""Metrics of emergent languages."""

from itertools import combinations

import numpy as np
import pytest
from scipy.spatial.distance import cosine
from scipy.stats import entropy, spearmanr
from sklearn.metrics import mutual_info_score

import disentmetrics as dm
from disentmetrics.estimators.pair_distances import edit_distances, hamming_distances, rank_correlation_of_counts

M = dm.metrics
GRID = np.indices((4, 5)).reshape(2, -1).T.repeat(6, axis=0)


def babble(n: int = 400, length: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Messages that depend on factors, with symbols shared between positions."""
    rng = np.random.default_rng(seed)
    factors = rng.integers((4, 5, 3), size=(n, 3))
    said = factors[:, rng.integers(3, size=length)]
    return np.where(rng.random(said.shape) < 0.6, said, rng.integers(5, size=said.shape)), factors


def gap_by_code_entropy(columns: np.ndarray, factors: np.ndarray) -> float:
    gaps = []
    for column in columns.T:
        h = entropy(np.unique(column, return_counts=True)[1])
        if h > 0:
            first, second = sorted((mutual_info_score(column, v) for v in factors.T), reverse=True)[:2]
            gaps.append((first - second) / h)
    return float(np.mean(gaps))


def test_chaabouni2020_positions_and_bags_are_gaps_over_the_entropy_of_symbols() -> None:
    messages, factors = babble()
    messages = np.c_[messages, np.full(len(messages), 3)]
    assert M.posdis(messages, factors, protocol="chaabouni2020").value == pytest.approx(
        gap_by_code_entropy(messages, factors)
    )
    bags = np.stack([(messages == symbol).sum(axis=1) for symbol in range(1, 5)], axis=1)
    assert M.bosdis(messages, factors, protocol="chaabouni2020").value == pytest.approx(
        gap_by_code_entropy(bags, factors)
    )


def test_a_language_is_perfect_by_position_by_bag_or_by_both() -> None:
    own_symbols, shared = GRID + np.array([0, 4]), GRID
    assert M.posdis(own_symbols, GRID).value == pytest.approx(1.0)
    assert M.bosdis(own_symbols, GRID).value == pytest.approx(1.0)
    assert M.posdis(shared, GRID).value == pytest.approx(1.0)
    assert M.bosdis(shared, GRID).value < 0.5
    free_order = np.take_along_axis(own_symbols, np.random.default_rng(0).random(GRID.shape).argsort(axis=1), axis=1)
    assert M.bosdis(free_order, GRID).value == pytest.approx(1.0)
    assert M.posdis(free_order, GRID).value < 0.3


def test_meaningless_symbols_score_zero_by_default_and_more_with_plug_in_estimates() -> None:
    rng = np.random.default_rng(0)
    messages, factors = rng.integers(20, size=(200, 3)), rng.integers((4, 9), size=(200, 2))
    for name in ("posdis", "bosdis"):
        metric = M.find_metric(name)[0]
        assert metric(messages, factors).value < 0.03
        assert metric(messages, factors, protocol="chaabouni2020").value > metric(messages, factors).value
    assert M.posdis(messages, factors, protocol="chaabouni2020").value > 0.08


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


def test_distances_and_rank_correlation_by_hand() -> None:
    messages = np.array([[1, 2, 3], [2, 3, 1], [1, 2, 3]])
    assert hamming_distances(messages).tolist() == [3, 0, 3]
    assert edit_distances(messages).tolist() == [2, 0, 2]
    assert np.isnan(rank_correlation_of_counts(np.zeros(3, int), np.arange(3)))
    rng = np.random.default_rng(0)
    a, b = rng.integers(4, size=100), rng.integers(6, size=100)
    assert rank_correlation_of_counts(a, b) == pytest.approx(spearmanr(a, b).statistic)


def test_rows_of_topsim_are_drawn_by_the_seed() -> None:
    messages, factors = babble(3_000)
    first, again, other = (M.topsim(messages, factors, seed=seed, n_rows=200) for seed in (1, 1, 2))
    assert first.value == again.value
    assert first.value != other.value
    assert "paired:200" in first.signature
    assert M.topsim(messages, factors).value == pytest.approx(other.value, abs=0.1)


@pytest.mark.parametrize("name", ["posdis", "bosdis", "topsim"])
@pytest.mark.parametrize("what", ["fractions", "serial numbers", "huge numbers"])
def test_codes_that_are_not_symbols_are_refused_with_a_reason(name: str, what: str) -> None:
    factors = np.random.default_rng(0).integers(3, size=(100, 2))
    codes = {
        "fractions": factors + 0.5,
        "serial numbers": np.c_[np.arange(100), factors[:, 0]],
        "huge numbers": factors * 1e12,
    }[what].astype(float)
    score = M.find_metric(name)[0](codes, factors)
    assert score.undefined == f"{name} needs codes that are symbols: whole numbers, each of which recurs"


def test_degenerate_messages_have_a_decided_outcome() -> None:
    silent = np.zeros((len(GRID), 2))
    assert "every symbol is constant" in (M.posdis(silent, GRID).undefined or "")
    assert "every message has the same symbols" in (M.bosdis(silent, GRID).undefined or "")
    assert "there is none" in (M.bosdis(silent, GRID, end=0).undefined or "")
    assert "all pairs have equal distances" in (M.topsim(silent, GRID).undefined or "")
    holes = np.where(np.arange(len(GRID))[:, None] % 2, GRID, np.nan)
    few = np.array([[0, 1], [1, np.nan], [np.nan, 0], [1, 0]])
    assert "at least 3 rows with all labels; got 2" in (M.topsim(np.array([1, 1, 2, 2]), few).undefined or "")
    assert M.topsim(GRID, holes).value == pytest.approx(1.0)
    assert M.posdis(GRID, GRID[:, 0]).value == pytest.approx(0.5)
