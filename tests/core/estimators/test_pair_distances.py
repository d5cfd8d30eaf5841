import numpy as np
import pytest
from scipy.stats import spearmanr

from disentmetrics.estimators.pair_distances import edit_distances, hamming_distances, rank_correlation_of_counts


def test_distances_and_rank_correlation_by_hand() -> None:
    messages = np.array([[1, 2, 3], [2, 3, 1], [1, 2, 3]])
    assert hamming_distances(messages).tolist() == [3, 0, 3]
    assert edit_distances(messages).tolist() == [2, 0, 2]
    assert np.isnan(rank_correlation_of_counts(np.zeros(3, int), np.arange(3)))
    rng = np.random.default_rng(0)
    a, b = rng.integers(4, size=100), rng.integers(6, size=100)
    assert rank_correlation_of_counts(a, b) == pytest.approx(spearmanr(a, b).statistic)
