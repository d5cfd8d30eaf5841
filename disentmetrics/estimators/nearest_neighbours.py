"""Mutual information between a continuous latent and a discrete factor, from nearest neighbours."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma

from disentmetrics.estimators.activity import standard_deviation


def jittered(codes: NDArray[np.floating], rng: np.random.Generator | np.random.RandomState) -> NDArray[np.float64]:
    """Divide each column by its standard deviation and add noise of 1e-10, which breaks ties at random.

    A constant column becomes pure noise.
    """
    spread = standard_deviation(codes)
    scaled = codes / np.where(spread > 0, spread, 1.0)
    noise = 1e-10 * np.maximum(1.0, np.mean(np.abs(scaled), axis=0))
    return np.asarray(scaled + noise * rng.standard_normal(size=scaled.shape))


def neighbour_information(code: NDArray[np.float64], labels: NDArray[np.integer], n_neighbors: int = 3) -> float:
    """Estimate the mutual information in nats of a continuous latent and a discrete factor.

    For each row the distance to its k-th nearest neighbour among the rows of the same factor value is
    computed, and the number m of all rows, itself included, that are strictly nearer:
    ``I = psi(N) + <psi(k)> - <psi(N_v)> - <psi(m)>``. Rows that are alone with their value are left out, and
    k is N_v - 1 where a value has fewer rows.

    Parameters
    ----------
    code : (n,) float
        Without ties, see :func:`jittered`.
    labels : (n,) integer
    n_neighbors : int
        k; more neighbours reduce the noise and increase the blur.

    Returns
    -------
    float
        Nats; negative estimates are returned as 0.

    Notes
    -----
    The formula is that of ``sklearn.feature_selection.mutual_info_classif``, which finds neighbours with
    trees; in one dimension sorting suffices.

    References
    ----------
    Kraskov, Stögbauer & Grassberger (2004), *Estimating Mutual Information*; Ross (2014), *Mutual
    Information between Discrete and Continuous Data Sets*.

    Examples
    --------
    >>> from sklearn.feature_selection import mutual_info_classif
    >>> rng = np.random.default_rng(0)
    >>> labels = rng.integers(3, size=500)
    >>> code = labels + rng.normal(size=500)
    >>> theirs = mutual_info_classif(code[:, None], labels, n_neighbors=10, random_state=0)[0]
    >>> bool(np.isclose(neighbour_information(code, labels, 10), theirs, atol=1e-9))
    True
    """
    order = np.lexsort((code, labels))
    value, ordered = labels[order], code[order]
    start = np.flatnonzero(np.r_[True, value[1:] != value[:-1]])
    count = np.diff(np.r_[start, len(value)])
    radius, k, n_v = np.empty(len(code)), np.empty(len(code)), np.empty(len(code))
    for first, n in zip(start, count, strict=True):
        part = slice(first, first + n)
        k[part], n_v[part] = min(n_neighbors, n - 1), n
        if n > 1:
            radius[part] = _distance_to_neighbour(ordered[part], min(n_neighbors, n - 1))
    paired = n_v > 1
    if not paired.any():
        return 0.0
    points, reach = ordered[paired], radius[paired]
    reach = reach - 4 * np.finfo(np.float64).eps * (np.abs(points) + reach)  # or rounding includes the k-th one
    everywhere = np.sort(points)
    near = np.searchsorted(everywhere, points + reach, "right") - np.searchsorted(everywhere, points - reach, "left")
    near = np.maximum(near, k[paired])  # and must not exclude a nearer one
    nats = digamma(len(points)) + np.mean(digamma(k[paired]) - digamma(n_v[paired]) - digamma(near))
    return max(0.0, float(nats))


def _distance_to_neighbour(ordered: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """Return the distance of each of these sorted points to its k-th nearest neighbour among them."""
    n = len(ordered)
    padded = np.concatenate([np.full(k, -np.inf), ordered, np.full(k, np.inf)])
    # A point and its k nearest are adjacent in sorted order: the window with the smallest reach.
    nearest = np.full(n, np.inf)
    for shift in range(k + 1):
        low, high = padded[shift : shift + n], padded[shift + k : shift + k + n]
        np.minimum(nearest, np.maximum(ordered - low, high - ordered), out=nearest)
    return nearest
