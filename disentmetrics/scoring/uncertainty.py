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


def bias_corrected(value: float, replicates: Sequence[float], method: IntervalMethod) -> float:
    """Full-sample value minus its bias of order 1 / n.

    Each replicate of the jackknife has (G - 1) / G of the rows (Quenouille 1956), and each half has
    half of them, and so twice the bias.

    Examples
    --------
    >>> x = np.array([1.0, 2.0, 4.0, 9.0])  # the plug-in variance is biased by (n - 1) / n
    >>> left_out = [np.var(np.delete(x, i)) for i in range(4)]
    >>> bool(np.isclose(bias_corrected(np.var(x), left_out, "jackknife"), np.var(x, ddof=1)))
    True
    """
    weight = len(replicates) - 1 if method == "jackknife" else 1
    return float(value + weight * (value - np.mean(replicates)))


def t_interval(
    value: float, error: float, degrees: int, bounds: tuple[float, float], method: str, *, bias: float = 0.0
) -> Interval:
    """Interval value ± sqrt((t * error)^2 + bias^2), clipped to the bounds."""
    reach = math.hypot(float(stdtrit(degrees, (1 + LEVEL) / 2)) * error, bias)
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
    """Share of permutations, including the identity, that score at least as well."""
    defined = [score for score in permuted if not math.isnan(score)]
    return (1 + sum(score >= value for score in defined)) / (1 + len(defined))
