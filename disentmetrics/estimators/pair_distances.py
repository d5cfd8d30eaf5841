"""Distances between all pairs of short messages, and their rank correlation."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.typing import Integers


def hamming_distances(messages: Integers) -> Integers:
    """Return the Hamming distance of each pair of rows, as (n (n - 1) / 2,).

    Examples
    --------
    >>> hamming_distances(np.array([[1, 2], [1, 3], [4, 5]]))
    array([1, 2, 2])
    """
    total = np.zeros((len(messages), len(messages)), dtype=np.int32)
    for column in messages.T:
        total += column[:, None] != column
    return total[_above_diagonal(len(messages))].astype(np.int64)


@lru_cache(maxsize=2)
def _above_diagonal(n: int) -> NDArray[np.bool_]:
    return ~np.tri(n, dtype=bool)


def edit_distances(messages: Integers) -> Integers:
    """Return the Levenshtein distance of each pair of rows, as (n (n - 1) / 2,).

    Examples
    --------
    >>> edit_distances(np.array([[1, 2, 3], [2, 3, 4]]))
    array([2])
    """
    first, second = np.nonzero(_above_diagonal(len(messages)))
    length = messages.shape[1]
    above = np.tile(np.arange(length + 1, dtype=np.int16)[:, None], (1, len(first)))
    for i in range(length):
        symbol = messages[first, i]
        row = np.empty_like(above)
        row[0] = i + 1
        for j in range(length):
            changed = above[j] + (symbol != messages[second, j])
            row[j + 1] = np.minimum(np.minimum(above[j + 1], row[j]) + 1, changed)
        above = row
    return above[length].astype(np.int64)


def rank_correlation_of_counts(first: Integers, second: Integers) -> float:
    """Return Spearman's correlation of small integers, ties sharing their mean rank; NaN if one is constant.

    Examples
    --------
    >>> rank_correlation_of_counts(np.array([0, 1, 2, 3]), np.array([0, 0, 5, 7])).__round__(3)
    0.949
    """
    table = np.bincount(
        first * (int(second.max()) + 1) + second, minlength=(int(first.max()) + 1) * (int(second.max()) + 1)
    )
    table = table.reshape(int(first.max()) + 1, -1).astype(np.float64)
    n = table.sum()
    ranks = []
    for margin in (table.sum(axis=1), table.sum(axis=0)):
        middle = np.cumsum(margin) - margin / 2 - n / 2  # mean rank, less the mean of all ranks
        spread = float(np.sqrt(margin @ middle**2))
        if spread == 0:
            return float("nan")
        ranks.append(middle / spread)
    return float(np.clip(ranks[0] @ table @ ranks[1], -1.0, 1.0))
