"""Mutual information between discrete variables, plug-in and corrected for chance; in nats."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

_LARGE_COUNT = 50.0
"""Expected counts above this use a series in the central moments instead of the exact sum."""


def contingency(
    first: NDArray[np.integer], second: NDArray[np.integer], n_first: int, n_second: int
) -> NDArray[np.int64]:
    """Count how often each pair of values occurs, as (n_first, n_second)."""
    joint = first.astype(np.int64) * n_second + second
    return np.bincount(joint, minlength=n_first * n_second).reshape(n_first, n_second)


def entropy(counts: NDArray[np.integer]) -> float:
    """Return the plug-in entropy in nats of a distribution given by counts.

    Examples
    --------
    >>> round(entropy(np.array([5, 5, 0])), 6)
    0.693147
    """
    present = counts[counts > 0] / counts.sum()
    return float(-np.sum(present * np.log(present)))


def plug_in_information(counts: NDArray[np.integer]) -> float:
    """Return the plug-in mutual information in nats of a contingency table, not negative.

    Examples
    --------
    >>> bool(np.isclose(plug_in_information(np.eye(4, dtype=int)), np.log(4)))
    True
    """
    total = counts.sum()
    rows, columns = np.nonzero(counts)
    cells = counts[rows, columns]
    independent = counts.sum(axis=1)[rows] * (counts.sum(axis=0)[columns] / total)
    return max(0.0, float(np.sum(cells * np.log(cells / independent)) / total))


def expected_information(first: NDArray[np.integer], second: NDArray[np.integer]) -> float:
    """Return the mean plug-in information in nats when the pairing of rows is random.

    Both margins are held fixed, so cell (i, j) is hypergeometric. The sum is exact where
    fewer than 50 rows are expected in a cell, and a fourth-order expansion above, whose
    error is below 1e-3 / n nats per cell. Results for margins that recur (as under permutation of
    rows) are cached.

    Parameters
    ----------
    first, second : (n_values,) integer
        Number of occurrences of each value; both sum to the number of rows.

    References
    ----------
    Vinh, Epps & Bailey (2010), *Information Theoretic Measures for Clusterings
    Comparison*, section 3.

    Examples
    --------
    >>> from sklearn.metrics.cluster import expected_mutual_information
    >>> first, second = np.array([30, 70]), np.array([20, 50, 30])
    >>> table = np.outer(first, second) // 100  # only its margins matter
    >>> theirs = expected_mutual_information(table, 100)
    >>> abs(expected_information(table.sum(1), table.sum(0)) - theirs) < 1e-9
    True
    """
    return _expected_information(
        np.sort(first[first > 0]).astype(np.int64).tobytes(), np.sort(second[second > 0]).astype(np.int64).tobytes()
    )


@lru_cache(maxsize=1024)
def _expected_information(first: bytes, second: bytes) -> float:
    sizes_a, repeats_a = np.unique(np.frombuffer(first, np.int64), return_counts=True)
    sizes_b, repeats_b = np.unique(np.frombuffer(second, np.int64), return_counts=True)
    total = int(sizes_a @ repeats_a)
    a = np.repeat(sizes_a, len(sizes_b)).astype(float)
    b = np.tile(sizes_b, len(sizes_a)).astype(float)
    weight = np.outer(repeats_a, repeats_b).ravel()
    if total < 2:
        return 0.0
    expected = a * b / total
    mean_log = np.empty_like(expected)
    large = expected > _LARGE_COUNT
    mean_log[large] = _mean_x_log_x_series(a[large], b[large], total)
    mean_log[~large] = _mean_x_log_x_exact(a[~large], b[~large], total)
    return float(weight @ (mean_log - expected * np.log(expected)) / total)


def _mean_x_log_x_series(a: NDArray[np.float64], b: NDArray[np.float64], total: int) -> NDArray[np.float64]:
    n = float(total)
    mean = a * b / n
    variance = mean * (n - a) * (n - b) / (n * (n - 1))
    third = variance * (n - 2 * a) * (n - 2 * b) / (n * (n - 2))
    fourth = variance * (3 * variance + 1)  # of the normal limit, with the Poisson correction
    return mean * np.log(mean) + variance / (2 * mean) - third / (6 * mean**2) + fourth / (12 * mean**3)


def _mean_x_log_x_exact(a: NDArray[np.float64], b: NDArray[np.float64], total: int) -> NDArray[np.float64]:
    if not len(a):
        return a
    mean = a * b / total
    reach = 14 * np.sqrt(mean) + 40
    low = np.maximum(np.maximum(1, a + b - total), np.floor(mean - reach))
    high = np.minimum(np.minimum(a, b), np.ceil(mean + reach))
    result = np.empty_like(mean)
    width = int(np.max(high - low)) + 1
    step = max(1, 4_000_000 // width)
    for start in range(0, len(a), step):
        part = slice(start, start + step)
        x = low[part, None] + np.arange(width)
        inside = x <= high[part, None]
        x = np.where(inside, x, low[part, None])
        log_p = _log_hypergeometric(x, a[part, None], b[part, None], total)
        result[part] = np.sum(np.where(inside, np.exp(log_p) * x * np.log(np.maximum(x, 1)), 0.0), axis=1)
    return result


def _log_hypergeometric(
    x: NDArray[np.float64], a: NDArray[np.float64], b: NDArray[np.float64], total: int
) -> NDArray[np.float64]:
    fixed = gammaln(a + 1) + gammaln(b + 1) + gammaln(total - a + 1) + gammaln(total - b + 1)
    varying = gammaln(x + 1) + gammaln(a - x + 1) + gammaln(b - x + 1) + gammaln(total - a - b + x + 1)
    return np.asarray(fixed - gammaln(total + 1) - varying)


def adjusted_information(counts: NDArray[np.integer]) -> float:
    """Return the chance-corrected mutual information in nats of a (codes, factor) table.

    ``H (I - E) / (H - E)`` with H the entropy of the columns and E the mean of I under
    random pairing: 0 on average for independent variables, H where the rows determine the columns.

    Examples
    --------
    >>> bool(np.isclose(adjusted_information(5 * np.eye(4, dtype=int)), np.log(4)))
    True
    >>> abs(adjusted_information(np.full((4, 4), 25))) < 0.05
    True
    """
    rows, columns = counts.sum(axis=1), counts.sum(axis=0)
    nats = entropy(columns)
    chance = expected_information(rows, columns)
    if nats - chance <= 1e-12 * max(nats, 1.0):
        return 0.0
    return nats * (plug_in_information(counts) - chance) / (nats - chance)


def equal_width_bins(values: NDArray[np.floating], n_bins: int) -> NDArray[np.int64]:
    """Return the bin of each value, for bins of equal width between the minimum and the maximum.

    Empty bins keep their number, so that 0 .. n_bins - 1 are possible.

    Examples
    --------
    >>> equal_width_bins(np.array([0.0, 0.1, 0.9, 1.0]), 2)
    array([0, 0, 1, 1])
    """
    edges = np.histogram_bin_edges(values, n_bins)
    return np.asarray(np.clip(np.digitize(values, edges[:-1]) - 1, 0, n_bins - 1), dtype=np.int64)


def quantile_bins(values: NDArray[np.floating], n_bins: int) -> NDArray[np.int64]:
    """Return the bin of each value from 0, for bins of equal frequency; equal values share a bin.

    A value belongs to the bin that contains the middle of the ranks of its rows. Bins without values have no number.
    So the bins of negated values are the same in reverse, and a value that most rows share does not absorb the
    others: it leaves the bins on either side of its ranks to them.

    Parameters
    ----------
    values : (n,) float
    n_bins : int
        Largest number of bins.

    Examples
    --------
    >>> quantile_bins(np.array([1.0, 2.0, 3.0, 1000.0]), 2)
    array([0, 0, 1, 1])
    >>> int(quantile_bins(np.repeat([0.0, 1.0], [19, 1]), 10).max())  # 1 lies in the uppermost tenth
    1
    """
    distinct, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    # In units in which n_bins bins have a width of 2 n each, so that numbers are whole:
    middle = (2 * np.cumsum(counts) - counts) * n_bins
    bins, remainder = np.divmod(middle, 2 * len(values))
    # A value on the edge of two bins goes to the one nearer to the median: the same bin if values are negated.
    on_edge = remainder == 0
    bins[on_edge & (2 * bins > n_bins)] -= 1
    for i in np.flatnonzero(on_edge & (2 * bins == n_bins)):  # at most one, in the middle
        apart = bins + (np.arange(len(bins)) > i)
        below, above = (distinct[max(i - 1, 0)], distinct[min(i + 1, len(distinct) - 1)]) - distinct[i]
        if len(np.unique(apart)) <= n_bins:
            bins = apart  # a bin of its own
        elif -below <= above:
            bins[i] -= 1
    numbered = np.cumsum(np.r_[0, np.diff(bins) > 0])
    return np.asarray(numbered[inverse.ravel()] if len(values) else inverse, dtype=np.int64)
