"""Tests of independence of two discrete variables, exact enough for sparse tables."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincc


def independence_p_value(counts: NDArray[np.integer]) -> float:
    """P-value of the chi-squared statistic under random pairing of rows.

    Pearson's statistic has a known mean and variance over all tables with the same margins, also
    where most cells are empty; a gamma distribution with these two moments gives the probability. With fewer
    than one row per cell, a nominal probability of .01 may be as large as .015.

    Parameters
    ----------
    counts : (n_first, n_second) integer
        Contingency table; empty rows and columns are ignored.

    Returns
    -------
    float
        In [0, 1]; 1 where one of the variables is constant or there are fewer than 4 rows.

    References
    ----------
    Haldane (1940), *The Mean and Variance of chi² When Used as a Test of Homogeneity, When
    Expectations Are Small*.

    Examples
    --------
    >>> independence_p_value(np.array([[30, 0], [0, 30]])) < 1e-9
    True
    >>> independence_p_value(np.array([[15, 15], [15, 15]]))
    1.0
    """
    rows, columns = counts.sum(axis=1), counts.sum(axis=0)
    rows, columns = rows[rows > 0].astype(np.float64), columns[columns > 0].astype(np.float64)
    n, r, c = rows.sum(), len(rows), len(columns)
    if min(r, c) < 2 or n < 4:
        return 1.0
    mean = n / (n - 1) * (r - 1) * (c - 1)
    v_rows, v_columns = ((k - 1) * (n - k) / (n - 1) for k in (r, c))
    w_rows, w_columns = ((n * np.sum(1 / margin) - k**2) / (n - 2) for margin, k in ((rows, r), (columns, c)))
    variance = 2 * n / (n - 3) * (v_rows - w_rows) * (v_columns - w_columns) + n**2 / (n - 1) * w_rows * w_columns
    return gamma_p_value(chi_squared(counts), float(mean), float(variance))


def chi_squared(counts: NDArray[np.integer]) -> float:
    """Return Pearson's statistic of a contingency table; empty rows and columns are ignored."""
    rows, columns = counts.sum(axis=1), counts.sum(axis=0)
    table = counts[np.ix_(rows > 0, columns > 0)]
    expected = np.outer(rows[rows > 0].astype(np.float64), columns[columns > 0])
    return max(0.0, float(counts.sum() * (np.sum(table**2 / expected) - 1)))


def gamma_p_value(statistic: float, mean: float, variance: float) -> float:
    """Return the upper tail of the gamma distribution with this mean and variance; 1 where it is a point."""
    if variance <= 1e-12 * mean**2:  # every row has a distinct value: all tables are alike
        return 1.0
    return float(gammaincc(mean**2 / variance, statistic * mean / variance))


def false_discovery_gate(p_values: NDArray[np.float64], level: float) -> NDArray[np.bool_]:
    """Return which hypotheses are rejected at this false discovery rate (Benjamini & Hochberg 1995).

    Examples
    --------
    >>> false_discovery_gate(np.array([[0.001, 0.02], [0.03, 0.9]]), 0.05)
    array([[ True,  True],
           [ True, False]])
    """
    ordered = np.sort(p_values, axis=None)
    passing = np.flatnonzero(ordered <= level * np.arange(1, len(ordered) + 1) / len(ordered))
    return np.asarray(p_values <= ordered[passing[-1]] if len(passing) else np.zeros(p_values.shape, dtype=bool))
