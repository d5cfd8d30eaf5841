"""Noise that gives a code a finite resolution.

The mutual information of a noiseless real number is infinite: a trace of one millionth of a second factor can be
read off its last digits, although nothing that uses the code would. Information is therefore estimated at a stated
resolution. Where an encoder has a posterior, that is the posterior's standard deviation. Otherwise the code has to
supply its own scale, the step by which it answers to the factor that it follows best: each row is blurred by a
tenth of the distance between the codes of neighbouring values of that factor.

Noise is assigned by rank: the r-th smallest of n values receives the r-th entry of a fixed sequence that is
antisymmetric in r. Neither the order of rows and latents nor the sign, scale or offset of a code changes the result.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.typing import Floats, Integers
from disentmetrics.estimators.rank_spacing import sorted_rows

SHARE_OF_STEP = 0.1
"""Standard deviation of the blur, as a share of the distance to the nearest distinct level."""
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_NEGLIGIBLE = 1e-3
_DISTINCT = 3.0
"""Standard errors by which the medians of two levels must differ to be distinct."""


def noise_by_rank(code: NDArray[np.floating], seed: int = 0) -> Floats:
    """Return standard normal noise (n,) that depends on the ranks of a code only, equal values in order of rows.

    Examples
    --------
    >>> code = np.array([3.0, 1.0, 2.0, 7.0])
    >>> noise = noise_by_rank(code)
    >>> bool((noise_by_rank(code[::-1]) == noise[::-1]).all()), bool((noise_by_rank(-5 * code) == -noise).all())
    (True, True)
    """
    order = sorted_rows(code)
    ordered = code[order]
    start = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    n_equal = np.diff(np.r_[start, len(code)])
    # Rows of equal values are in their own order, whichever the sign of the code: that of one orientation decides.
    unequal = np.flatnonzero(n_equal != n_equal[::-1])
    if len(unequal) and n_equal[unequal[0]] > n_equal[::-1][unequal[0]]:
        return -noise_by_rank(-code, seed)
    noise = np.empty(len(code))
    noise[order] = _antisymmetric(len(code), seed)
    return noise


@lru_cache(maxsize=32)
def _antisymmetric(n: int, seed: int) -> Floats:
    first = np.random.default_rng([20_181_102, seed]).normal(size=n // 2)
    sequence = np.concatenate([first, np.zeros(n % 2), -first[::-1]])
    sequence.flags.writeable = False
    return sequence


def seed_of_values(code: NDArray[np.floating]) -> int:
    """Return a seed that depends on the values of a code, but neither on their order nor on their sign."""
    ordered = np.sort(code.astype(np.float64)) + 0.0  # -0 becomes 0
    return min(zlib.crc32(ordered.tobytes()), zlib.crc32((-ordered[::-1] + 0.0).tobytes()))


@dataclass(frozen=True, eq=False)
class Levels:
    """The values of a factor that a code can follow.

    Attributes
    ----------
    of_rows : (n_samples,) int
        Level of each row from 0, -1 where the label is missing.
    n : int
        Number of levels.
    """

    of_rows: Integers
    n: int


def step_blur(code: NDArray[np.floating], factors: Sequence[Levels]) -> Floats:
    """Return the standard deviation (n,) of the noise that blurs each row of a code by a tenth of its local step.

    At each of five quantiles of the code on the rows of one level of a factor, the step is the harmonic mean of the
    distances to the nearest distinct levels below and above,

        1 / step(Q_q(l)) = 1/2 [ 1 / |Q_q(l) - Q_q(l-)| + 1 / |Q_q(l) - Q_q(l+)| ],

    which is at most twice the smaller distance, and unchanged to first order by a warp. An outermost level has one
    neighbour, and the distances are continued beyond it as a geometric series. The step at the code of a row is
    interpolated between these, so that the blur depends on the label of a row through its code only.

    The steps of several factors are averaged geometrically, weighted by the square of the share of the variance of the
    code's ranks that each explains, so that the factor that the code follows decides and a rotation of two factors
    changes the resolution continuously. Levels are distinct if the medians of their ranks differ by more than 3
    standard errors: those of a factor that the code does not follow, or that it maps to the same value, such as an
    angle and its negative to a cosine, have no step. The standard deviation is 0, and the code not blurred, where no
    two levels of any factor are distinct.

    Parameters
    ----------
    code : (n,) float
    factors : sequence of Levels
        Of all factors.

    Examples
    --------
    >>> values = np.repeat([0, 1, 2, 3], 50)
    >>> step_blur(2.0 * values, [Levels(values, 4)])[[0, 50, 100, 150]].round(3)
    array([0.2, 0.2, 0.2, 0.2])
    """
    ranks = _ranks(code)
    explained = np.array([max(0.0, _explained(ranks, factor)) for factor in factors])
    weights = explained**2
    mean_log, total = np.zeros(len(code)), 0.0
    for factor, weight in zip(factors, weights, strict=True):
        if weight <= _NEGLIGIBLE * weights.max():
            continue
        at, log_step = _log_steps(code, ranks, factor)
        if len(at):
            mean_log += weight * np.interp(code, at, log_step)
            total += weight
    return SHARE_OF_STEP * np.exp(mean_log / total) if total > 0 else np.zeros(len(code))


def _ranks(code: NDArray[np.floating]) -> Floats:
    """Return the ranks of a code, in which values that differ by rounding are equal."""
    order = sorted_rows(code)
    ordered = code[order].astype(np.float64)
    scale = np.abs(ordered) + np.median(np.abs(ordered))
    apart = np.diff(ordered) > 8 * np.finfo(code.dtype).eps * np.maximum(scale[1:], scale[:-1])
    start = np.flatnonzero(np.r_[True, apart])
    count = np.diff(np.r_[start, len(code)])
    ranks = np.empty(len(code))
    ranks[order] = np.repeat(start + (count + 1) / 2, count)
    return ranks


def _log_steps(code: NDArray[np.floating], ranks: Floats, factor: Levels) -> tuple[Floats, Floats]:
    """Return codes in ascending order, and the logarithm of the step of the code at each; both empty without a step."""
    rows = np.flatnonzero(factor.of_rows >= 0)
    rows = rows[np.lexsort((code[rows], factor.of_rows[rows]))]
    start = np.flatnonzero(np.r_[True, np.diff(factor.of_rows[rows]) > 0])
    count = np.diff(np.r_[start, len(rows)])
    low, median, high = (_quantile(ranks[rows], start, count, share) for share in (0.25, 0.5, 0.75))
    # sd sqrt(pi / 2 n) for the median of a normal variable, with sd = 0.741 times the interquartile range
    error = 0.929 * (high - low) / np.sqrt(count)
    above = median[:, None] - median  # how far level l (row) is above level l' (column)
    distinct = np.abs(above) > _DISTINCT * np.hypot(error[:, None], error)
    values = code[rows].astype(np.float64)
    quantiles = np.stack([_quantile(values, start, count, share) for share in _QUANTILES])
    below, beyond_below = _distances(quantiles, np.where(distinct & (above > 0), above, np.inf))
    over, beyond_over = _distances(quantiles, np.where(distinct & (above < 0), -above, np.inf))
    # An outermost level has one neighbour. The other would lie where the distances continue as a geometric series.
    sides = np.stack([np.where(below > 0, below, beyond_over), np.where(over > 0, over, beyond_below)])
    with np.errstate(divide="ignore"):
        step = 2 / np.sum(1 / np.where(sides > 0, sides, sides[::-1]), axis=0)
    at, same = np.unique(quantiles[step > 0], return_inverse=True)
    return at, np.bincount(same.ravel(), np.log(step[step > 0])) / np.bincount(same.ravel())


def _distances(quantiles: Floats, how_far: Floats) -> tuple[Floats, Floats]:
    """Return the distances (n_quantiles, n_levels) to the nearest distinct level on one side, and beyond the other.

    ``how_far`` (n_levels, n_levels) is infinite for levels that are not on this side. 0 where there is no such level.
    """
    nearest = how_far.argmin(axis=1)
    exists = np.isfinite(how_far.min(axis=1))
    distance = np.where(exists, np.abs(quantiles - quantiles[:, nearest]), 0.0)
    next_one = distance[:, nearest]
    return distance, np.where(next_one > 0, distance**2 / np.where(next_one > 0, next_one, 1.0), distance)


def _explained(ranks: Floats, factor: Levels) -> float:
    """Share of the variance of ranks between levels, less what is expected by chance (omega squared)."""
    present = factor.of_rows >= 0
    levels, ranks = (factor.of_rows, ranks) if present.all() else (factor.of_rows[present], ranks[present])
    if not len(levels):
        return 0.0
    count = np.bincount(levels, minlength=factor.n)
    count, total = count[count > 0], np.bincount(levels, ranks - ranks.mean(), minlength=factor.n)[count > 0]
    degrees = len(ranks) - len(count)
    if len(count) < 2 or degrees < 1:
        return 0.0
    all_of_it = float(np.var(ranks) * len(ranks))
    between = float(np.sum(total**2 / count))
    within = max(all_of_it - between, 0.0) / degrees
    return (between - (len(count) - 1) * within) / (all_of_it + within) if all_of_it > 0 else 0.0


def _quantile(values: Floats, start: Integers, count: Integers, share: float) -> Floats:
    """Return a quantile of each run of sorted values."""
    position = start + (count - 1) * share
    low = np.floor(position).astype(np.int64)
    weight = position - low
    high = np.minimum(low + 1, start + count - 1)
    return np.asarray(values[low] * (1 - weight) + values[high] * weight)
