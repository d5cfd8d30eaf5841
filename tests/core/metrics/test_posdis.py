import numpy as np
import pytest
from scipy.stats import entropy
from sklearn.metrics import mutual_info_score

import disentmetrics as dm

M = dm.metrics


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


def test_meaningless_symbols_score_zero_by_default_and_more_with_plug_in_estimates() -> None:
    rng = np.random.default_rng(0)
    messages, factors = rng.integers(20, size=(200, 3)), rng.integers((4, 9), size=(200, 2))
    for name in ("posdis", "bosdis"):
        metric = M.find_metric(name)[0]
        assert metric(messages, factors).value < 0.03
        assert metric(messages, factors, protocol="chaabouni2020").value > metric(messages, factors).value
    assert M.posdis(messages, factors, protocol="chaabouni2020").value > 0.08
