"""How well a latent indicates the rows of one class, for every class of a factor at once.

A target is one class against all others (a one-hot column). Each estimator takes codes (n, d) and
classes (n,) numbered from 0, and returns a score for each pair of latent and class; a class without
rows, or with all of them, has NaN. A latent is sorted once for all classes: time grows with
the number of rows, not with rows times classes.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from disentmetrics.estimators.activity import constant
from disentmetrics.estimators.mutual_information import contingency, equal_width_bins
from disentmetrics.estimators.rank_correlation import standardised_ranks

TargetScore = Literal["smi", "spn", "bmmi", "asc"]


def target_scores(
    codes: NDArray[np.floating], classes: NDArray[np.int64], n_classes: int, score: TargetScore, *, n_bins: int = 10
) -> NDArray[np.float64]:
    """Score every latent against every class.

    Parameters
    ----------
    codes : (n, d) float
    classes : (n,) int
        From 0 to ``n_classes - 1``.
    n_classes : int
    score : {"smi", "spn", "bmmi", "asc"}
        ``smi``: mutual information of the latent in ``n_bins`` bins of equal width with the target, divided
        by the target's entropy. ``spn``: share of the class's rows whose right neighbour, when sorted by
        the latent, is of the same class, minus the share expected at random, rescaled so that 1 stays 1.
        ``bmmi``: mutual information of the best single threshold, divided by the entropy. ``asc``:
        absolute Spearman correlation of latent and target.
    n_bins : int
        Only for ``smi``.

    Returns
    -------
    (d, n_classes) float
        In [0, 1]; 0 for constant latents.

    Examples
    --------
    >>> codes, classes = np.array([[0.1], [0.2], [0.5], [0.6], [0.8], [0.9]]), np.array([0, 0, 1, 1, 2, 2])
    >>> target_scores(codes, classes, 3, "bmmi").round(3)
    array([[1.   , 0.274, 1.   ]])
    >>> target_scores(codes, classes, 3, "spn")
    array([[1., 1., 1.]])
    """
    scores = np.zeros((codes.shape[1], n_classes))
    sizes = np.bincount(classes, minlength=n_classes)
    alive = np.flatnonzero(~constant(codes)) if len(codes) else np.array([], dtype=np.int64)
    if score == "asc":
        scores[alive] = _rank_correlations(codes[:, alive], classes, sizes)
    else:
        for code in alive:
            values = np.ascontiguousarray(codes[:, code])
            if score == "smi":
                scores[code] = _binned_information(values, classes, sizes, n_bins)
            else:
                cells = _cells(values, classes, n_classes)
                scores[code] = (_neighbours if score == "spn" else _best_threshold)(cells, sizes)
    scores[:, (sizes == 0) | (sizes == len(classes))] = np.nan
    if score == "spn":
        scores[:, sizes == 1] = np.nan  # a single row has no neighbour of its class
    return scores


def _rank_correlations(
    codes: NDArray[np.floating], classes: NDArray[np.int64], sizes: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Correlation of ranks with an indicator: distance of the class's mean rank from the centre."""
    from scipy.sparse import csr_array  # slow to import

    n = len(classes)
    member = csr_array((np.ones(n), classes, np.arange(n + 1)), shape=(n, len(sizes)))
    share = sizes / n
    spread = np.sqrt(share * (1 - share))
    covariance = (member.T @ standardised_ranks(codes)).T / n
    return np.asarray(np.minimum(np.abs(covariance) / np.where(spread > 0, spread, 1.0), 1.0))


def _binned_information(
    code: NDArray[np.floating], classes: NDArray[np.int64], sizes: NDArray[np.int64], n_bins: int
) -> NDArray[np.float64]:
    inside = contingency(equal_width_bins(code, n_bins), classes, n_bins, len(sizes))
    in_bin = inside.sum(axis=1, keepdims=True)
    conditional = (_x_log_x(in_bin) - _x_log_x(inside) - _x_log_x(in_bin - inside)).sum(axis=0)
    return _explained(conditional, sizes)


@dataclass(frozen=True)
class _Cells:
    """Rows sorted by a latent, counted by block of equal values and class, in that order."""

    block: NDArray[np.int64]
    label: NDArray[np.int64]
    count: NDArray[np.int64]
    block_size: NDArray[np.int64]


def _cells(code: NDArray[np.floating], classes: NDArray[np.int64], n_classes: int) -> _Cells:
    order = np.argsort(code, kind="stable")
    ordered = code[order]
    new = np.r_[True, ordered[1:] != ordered[:-1]]
    label = classes[order]
    n = len(code)
    if new.all():
        return _Cells(np.arange(n), label, np.ones(n, dtype=np.int64), np.ones(n, dtype=np.int64))
    block = np.cumsum(new) - 1
    key, count = np.unique(block * n_classes + label, return_counts=True)
    return _Cells(key // n_classes, key % n_classes, count, np.bincount(block))


def _neighbours(cells: _Cells, sizes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Share of right neighbours of the same class above chance, averaged over all orders of equal values."""
    size = cells.block_size[cells.block]
    within = cells.count * (cells.count - 1) / size
    # The next cell of the same class follows in the next block, or no row of the class is a neighbour.
    by_class = np.argsort(cells.label, kind="stable")
    block, label = cells.block[by_class], cells.label[by_class]
    follows = (label[1:] == label[:-1]) & (block[1:] == block[:-1] + 1)
    share = (cells.count / size)[by_class]
    across = np.where(follows, share[1:] * share[:-1], 0.0)
    pairs = np.bincount(cells.label, within, minlength=len(sizes))
    pairs += np.bincount(label[1:], across, minlength=len(sizes))
    prevalence = sizes / sizes.sum()
    excess = pairs / np.maximum(sizes - 1, 1) - prevalence
    return np.asarray(np.clip(excess, 0.0, None) / np.where(prevalence < 1, 1 - prevalence, 1.0))


def _best_threshold(cells: _Cells, sizes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Information of the best threshold, which is just before or just after rows of the class.

    Between rows of other classes only, a threshold is best at an end (Fayyad & Irani 1992).
    """
    by_class = np.argsort(cells.label, kind="stable")
    label, count = cells.label[by_class], cells.count[by_class]
    start = np.flatnonzero(np.r_[True, label[1:] != label[:-1]])
    total = np.cumsum(count)
    below = total - np.repeat((total - count)[start], np.diff(np.r_[start, len(label)]))  # of the class, cell included
    end = np.cumsum(cells.block_size)[cells.block[by_class]]
    n, in_class = int(sizes.sum()), sizes[label]
    size = cells.block_size[cells.block[by_class]]
    conditional = np.minimum(
        _split_entropy(below, end, in_class, n), _split_entropy(below - count, end - size, in_class, n)
    )
    least = np.full(len(sizes), np.inf)
    least[label[start]] = np.minimum.reduceat(conditional, start)
    return _explained(np.where(np.isfinite(least), least, 0.0), sizes)


def _split_entropy(
    below: NDArray[np.int64], left: NDArray[np.int64], in_class: NDArray[np.int64], n: int
) -> NDArray[np.float64]:
    """Return n H(target | side) of a cut with ``left`` rows on one side, ``below`` of them in the class."""
    sides = ((left, below), (n - left, in_class - below))
    return np.asarray(sum(_x_log_x(rows) - _x_log_x(inside) - _x_log_x(rows - inside) for rows, inside in sides))


def _explained(conditional: NDArray[np.float64], sizes: NDArray[np.int64]) -> NDArray[np.float64]:
    """1 - H(target | latent) / H(target), from n H(target | latent)."""
    n = sizes.sum()
    entropy = _x_log_x(n) - _x_log_x(sizes) - _x_log_x(n - sizes)
    return np.asarray(np.clip(1 - conditional / np.where(entropy > 0, entropy, 1.0), 0.0, 1.0))


def _x_log_x(count: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.asarray(count * np.log(np.maximum(count, 1)))
