"""Mutual information between a continuous latent and a discrete factor, from ranks.

The rows are sorted by the latent. Around each row a window reaches to the second neighbour of
the same factor value on either side, or as far as there are any; it spans ``m`` neighbours of
that value and ``s`` ranks. If latent and factor are independent, the mean of digamma(s) is
exactly ``digamma(n + 1) - digamma(n_v + 1) + digamma(m)``, whatever the distribution of the
latent: s ranks among n uniform ones span a beta variable with mean logarithm
``digamma(s) - digamma(n + 1)``, and m among n_v likewise. The shortfall from this mean is the
information:

    I = sum_v n_v / n mean[digamma(n + 1) - digamma(n_v + 1) + digamma(m) - digamma(s)]

So the estimate has mean 0 for an independent latent, is invariant to strictly monotone
transformations, depends on an outlier no more than on any other row, and reaches its maximum exactly
when the rows of each factor value are neighbours. It has no bins. It is the spacing estimator
of entropy (Vasicek 1976) applied to ranks, which makes its bias known.

Values that more than three rows share are atoms: the atom of a row is a discrete variable,
whose information is corrected for chance, and the chain rule adds both parts.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma

from disentmetrics.estimators.mutual_information import adjusted_information, contingency, entropy

REACH = 2
"""Neighbours on each side of a window: more reduce the variance and increase the bias."""
MOST_TIED = 3
"""Values that more rows share are atoms."""


@dataclass(frozen=True)
class SortedCode:
    """One latent, sorted once and shared by all factors.

    ``order`` lists the rows without an atom, by value; ``tie_start`` and ``tie_size``
    describe the few equal values among them, or are None; ``atom`` numbers each row's atom
    from 1, with 0 for the continuous part, or is None when there is no atom.
    """

    order: NDArray[np.integer]
    tie_start: NDArray[np.integer] | None
    tie_size: NDArray[np.uint8] | None
    atom: NDArray[np.integer] | None
    n_atoms: int


def sort_code(code: NDArray[np.floating]) -> SortedCode:
    """Sort one latent (n,) and identify its atoms."""
    order = sorted_rows(code)
    ordered = code[order]
    first_of_run = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    if len(first_of_run) == len(code):
        return SortedCode(order, None, None, None, 0)
    length = np.diff(np.r_[first_of_run, len(code)])
    is_atom = length > MOST_TIED
    n_atoms = int(is_atom.sum())
    atom = None
    if n_atoms:
        number = np.where(is_atom, np.cumsum(is_atom), 0)
        atom = np.empty(len(code), dtype=np.int32)
        atom[order] = np.repeat(number, length)
        order = order[np.repeat(~is_atom, length)]
        length = length[~is_atom]
    if not (length > 1).any():
        return SortedCode(order, None, None, atom, n_atoms)
    start = (np.cumsum(length) - length).astype(order.dtype)
    return SortedCode(order, np.repeat(start, length), np.repeat(length.astype(np.uint8), length), atom, n_atoms)


def sorted_rows(code: NDArray[np.floating]) -> NDArray[np.integer]:
    """Return the rows (n,) in ascending order of their values.

    A radix sort, 16 bits at a time: numpy sorts integers of 16 bits several times faster than floats.
    """
    values = code + 0.0  # -0 becomes 0
    n_bits = 8 * values.itemsize
    keys = values.view(f"u{values.itemsize}")
    negative = keys >> (n_bits - 1) != 0
    keys = np.where(negative, ~keys, keys | 1 << (n_bits - 1))  # ordered as the numbers are
    order: NDArray[np.integer] = np.arange(len(code), dtype=np.int32 if len(code) < 2**31 else np.int64)
    for shift in range(0, n_bits, 16):
        order = order[np.argsort((keys >> shift).astype(np.uint16)[order], kind="stable")]
    return order


def rank_spacing_information(code: SortedCode, labels: NDArray[np.integer], n_values: int) -> float:
    """Estimate the mutual information in nats between a sorted latent and a factor.

    Parameters
    ----------
    code : SortedCode
        From :func:`sort_code`.
    labels : (n,) integer
        Index 0 .. n_values - 1 of the factor's value in each row.
    n_values : int
        Number of values the factor can take.

    Returns
    -------
    float
        Nats; at most the plug-in entropy of the labels, and below 0 by chance.

    References
    ----------
    Vasicek (1976), *A Test for Normality Based on Sample Entropy*; Ross (2014), *Mutual
    Information between Discrete and Continuous Data Sets*, for the nearest-neighbour
    relative. The correction by ranks is ours and is derived at the top of this file.

    Examples
    --------
    >>> labels = np.repeat([0, 1], 500)
    >>> code = sort_code(np.arange(1000.0))
    >>> round(rank_spacing_information(code, labels, 2), 6), round(float(np.log(2)), 6)
    (0.693147, 0.693147)
    """
    n = len(labels)
    narrow = labels.astype(np.uint8 if n_values <= 256 else np.uint16 if n_values <= 65536 else np.int64, copy=False)
    part = narrow[code.order]
    nats = 0.0
    if code.atom is not None:
        nats += adjusted_information(contingency(code.atom, labels, code.n_atoms + 1, n_values))
    if len(part):
        nats += len(part) / n * _continuous_part(code, part, n_values)
    return nats


def _continuous_part(code: SortedCode, labels: NDArray[np.integer], n_values: int) -> float:
    counts = np.bincount(labels, minlength=n_values)
    counts = counts[counts > 0]
    seen = counts > 1
    if not seen.any():
        return 0.0
    n = len(labels)
    by_value = np.argsort(labels, kind="stable")
    position: NDArray[Any] = by_value
    if code.tie_start is not None and code.tie_size is not None:
        position = _expected_positions(by_value, labels, code.tie_start, code.tie_size)
    gap = np.empty_like(position)
    gap[REACH:-REACH] = position[2 * REACH :] - position[: -2 * REACH]

    # Windows that begin or end with the rows of a value are shorter.
    start = np.cumsum(counts) - counts
    end = start + counts - 1
    nth = np.arange(REACH)[:, None]
    row = np.concatenate([np.minimum(start + nth, end), np.maximum(end - nth, start)])
    low, high = np.maximum(row - REACH, start), np.minimum(row + REACH, end)
    gap[row] = position[high] - position[low]

    digamma_of = _digamma_of_integers(n)
    log_gap = _digamma(gap, digamma_of)
    log_ratio = digamma(2 * REACH) - log_gap
    log_ratio[row] = digamma_of[high - low] - log_gap[row]
    log_ratio[row[high == low]] = 0.0  # the only row of a value has no neighbour and does not contribute
    totals = np.add.reduceat(log_ratio, start)
    most = digamma(n + 1) - digamma(counts[seen] + 1)
    scale = float(counts[seen] @ most)
    if scale <= 0:
        return 0.0
    nats = float(counts[seen] @ most + totals[seen].sum())
    return entropy(counts) * nats / scale


def _digamma(gap: NDArray[Any], digamma_of: NDArray[np.float64]) -> NDArray[np.float64]:
    rounded = gap.astype(np.int64, copy=False)
    result = digamma_of[rounded]
    if rounded is gap:
        return result
    between = np.flatnonzero(gap != rounded)
    result[between] = digamma(gap[between])
    return result


@lru_cache(maxsize=4)
def _digamma_of_integers(n: int) -> NDArray[np.float64]:
    return np.concatenate(([0.0], digamma(np.arange(1, n + 1))))  # the entry at 0 is never used


def _expected_positions(
    by_value: NDArray[np.int64],
    labels: NDArray[np.integer],
    tie_start: NDArray[np.integer],
    tie_size: NDArray[np.uint8],
) -> NDArray[np.float64]:
    """Return the mean rank of each row when ties are broken at random."""
    position = by_value.astype(np.float64)
    tied = np.flatnonzero(tie_size[by_value] > 1)
    rows = by_value[tied]
    start, size, value = tie_start[rows], tie_size[rows], labels[rows]
    new_cell = np.r_[True, (value[1:] != value[:-1]) | (start[1:] != start[:-1])]
    first = np.flatnonzero(new_cell)
    n_in_cell = np.diff(np.r_[first, len(rows)])
    nth = np.arange(len(rows)) - np.repeat(first, n_in_cell)
    position[tied] = start + (nth + 1) * (size + 1) / (np.repeat(n_in_cell, n_in_cell) + 1) - 1
    return position
