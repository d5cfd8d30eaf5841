"""Intervals from resampled rows, and nulls from permuted rows.

Rows are resampled without replacement: a bootstrap duplicates rows, which adds the bias of mutual
information a second time and leaks rows from training sets to test sets.
"""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from disentmetrics.results.score import Interval

IntervalMethod = Literal["jackknife", "half-sampling"]
LEVEL = 0.95
N_SEEDS = 5
SMALLEST_P_VALUE = 0.01
"""P-values below that of 99 permutations are not extrapolated."""


def standard_error(replicates: Sequence[float] | NDArray[np.float64], method: IntervalMethod) -> float:
    """Return the standard error of the full-sample value from its replicates.

    Delete-a-group jackknife: sqrt((G - 1) / G * sum of squared deviations). Half-sampling: the
    variance over halves equals the variance of the full sample, as n / 2 rows are left out.

    References
    ----------
    Kott (2001), *The Delete-a-Group Jackknife*; Politis, Romano & Wolf (1999), *Subsampling*,
    section 2.
    """
    values = np.asarray(replicates, dtype=float)
    deviations = values - values.mean()
    n = len(values)
    factor = (n - 1) / n if method == "jackknife" else 1 / (n - 1)
    return float(np.sqrt(factor * (deviations @ deviations)))


def bias_corrected(value: float, replicates: Sequence[float], method: IntervalMethod, weight: float = 1.0) -> float:
    """Full-sample value minus its bias.

    Each replicate of the jackknife has (G - 1) / G of the rows (Quenouille 1956), and each half has
    half of them, and so twice a bias of order 1 / n. ``weight`` is the ratio of the bias to its growth from all rows to
    half of them, if this is not 1; only for half-sampling.

    Examples
    --------
    >>> x = np.array([1.0, 2.0, 4.0, 9.0])  # the plug-in variance is biased by (n - 1) / n
    >>> left_out = [np.var(np.delete(x, i)) for i in range(4)]
    >>> bool(np.isclose(bias_corrected(np.var(x), left_out, "jackknife"), np.var(x, ddof=1)))
    True
    """
    weight = len(replicates) - 1 if method == "jackknife" else weight
    return float(value + weight * (value - np.mean(replicates)))


def slow_bias_weight(n_rows: int, enough_rows: int) -> float:
    """Ratio of a bias that falls with 1 / sqrt(n), up to ``enough_rows``, to its growth on half of the rows.

    Predictors miss weak relations on few rows, and use no more than ``enough_rows``, so that the bias relative to the
    score on many rows is proportional to ``n^(-1/2) - enough_rows^(-1/2)``.

    Examples
    --------
    >>> [round(slow_bias_weight(n, 4_000), 2) for n in (40, 1_000, 3_000, 4_000, 10_000)]
    [2.17, 1.21, 0.32, 0.0, 0.0]
    """
    return max(0.0, 1 - math.sqrt(n_rows / enough_rows)) / (math.sqrt(2) - 1)


def t_interval(
    value: float,
    error: float,
    degrees: int,
    bounds: tuple[float, float],
    method: str,
    *,
    bias: float = 0.0,
    slack: float = 0.0,
) -> Interval:
    """Interval value ± (sqrt((t * error)^2 + bias^2) + slack), clipped to the bounds."""
    reach = math.hypot(float(stdtrit(degrees, (1 + LEVEL) / 2)) * error, bias) + slack
    low, high = bounds
    return Interval(min(max(value - reach, low), value), max(min(value + reach, high), value), LEVEL, method)


def null_interval(permuted: Sequence[float], bounds: tuple[float, float]) -> Interval:
    """95 % prediction interval for the score of one more permutation.

    Centred on the mean of the permuted scores, and wider the fewer they are.

    Examples
    --------
    >>> null_interval([0.1, 0.2, 0.3, 0.2], (0.0, 1.0)).high > 0.3
    True
    """
    centre = float(np.mean(permuted))
    if len(permuted) < 2:
        return Interval(centre, centre, LEVEL, "permutation")
    spread = float(np.std(permuted, ddof=1)) * math.sqrt(1 + 1 / len(permuted))
    return t_interval(centre, spread, len(permuted) - 1, bounds, "permutation")


def permutation_p_value(value: float, permuted: Sequence[float]) -> float:
    """P-value of a score from the scores of permutations.

    The share of permutations, including the identity, that score at least as well. Few permutations cannot show a
    small share: if none scores as well, the tail beyond them is extrapolated, but no further than 99 permutations would
    reach. With k of the m permuted scores above their upper quartile u, and S the sum of these excesses,
    ``p = (k + 1) / (m + 1) * (1 + (value - u) / S)^-k``, exact for an exponential tail and conservative for lighter
    ones. Where the largest scores are all equal, k is 0 and nothing is extrapolated.

    References
    ----------
    Phipson & Smyth (2010), *Permutation P-values Should Never Be Zero*; Knijnenburg et al. (2009), *Fewer
    Permutations, More Accurate P-values*, for extrapolated tails.

    Examples
    --------
    >>> permutation_p_value(0.5, [0.4, 0.6, 0.1]), permutation_p_value(0.5, [0.0] * 39)
    (0.5, 0.025)
    >>> permutation_p_value(0.5, [0.001 * k for k in range(39)])
    0.01
    """
    defined = np.sort([score for score in permuted if not math.isnan(score)])
    exact = float((1 + (defined >= value).sum()) / (1 + len(defined)))
    if not len(defined) or value <= defined[-1] or exact <= SMALLEST_P_VALUE:
        return exact
    quartile = defined[-(len(defined) // 4) - 1]
    excess = defined[defined > quartile] - quartile
    if not len(excess):
        return exact
    # the predictive distribution of one more exponential excess, given k of them
    tail = (len(excess) + 1) / (len(defined) + 1) * (1 + (value - quartile) / excess.sum()) ** -len(excess)
    return min(exact, max(float(tail), SMALLEST_P_VALUE))
