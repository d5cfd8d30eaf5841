"""Spearman correlation between many latents, each ranked once."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from disentmetrics.estimators.activity import constant
from disentmetrics.estimators.ranks import mid_ranks


def standardise(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Shift and scale each column to mean 0 and mean square 1; a constant column becomes 0.

    The mean product of two such columns is their Pearson correlation, and 0, not NaN, where one
    is constant.

    Examples
    --------
    >>> standardise(np.array([[1.0, 0.1], [3.0, 0.1]]))
    array([[-1.,  0.],
           [ 1.,  0.]])
    """
    values = np.ascontiguousarray(values)  # otherwise the rounding of sums would depend on the memory layout
    flat = constant(values)
    centred = np.asarray(values - values.mean(axis=0, dtype=np.float64), dtype=np.float64)
    centred[:, flat] = 0.0
    centred /= np.where(flat, 1.0, np.abs(centred).max(axis=0))  # otherwise squares of extreme scales overflow
    centred /= np.where(flat, 1.0, np.sqrt(np.mean(np.square(centred), axis=0)))
    return centred


def standardised_ranks(codes: NDArray[np.floating]) -> NDArray[np.float64]:
    """Rank each column, equal values sharing their mean rank, and standardise the ranks.

    Parameters
    ----------
    codes : (n_samples, n_codes) float
        Finite.

    Returns
    -------
    (n_samples, n_codes) float
        0 in the columns of constant latents.
    """
    ranks = standardise(mid_ranks(codes))
    ranks[:, constant(codes)] = 0.0
    return ranks


def rank_correlation(first: ArrayLike, second: ArrayLike) -> NDArray[np.float64]:
    """Absolute Spearman correlation of every latent of one set with every latent of another.

    Parameters
    ----------
    first, second : (n_samples, n_codes) float
        Codes of the same rows; the sets may have different sizes.

    Returns
    -------
    (n_codes of first, n_codes of second) float
        In [0, 1]; 0 for a latent that is constant up to rounding.

    References
    ----------
    Spearman (1904), *The Proof and Measurement of Association between Two Things*.

    Examples
    --------
    >>> codes = np.indices((4, 5)).reshape(2, -1).T
    >>> rank_correlation(codes, np.exp(-codes[:, ::-1])).round(6)
    array([[0., 1.],
           [1., 0.]])
    """
    arrays = (np.asarray(codes) for codes in (first, second))
    one, other = (standardised_ranks(a.astype(np.result_type(a, np.float32))) for a in arrays)
    return np.minimum(np.abs(one.T @ other) / len(one), 1.0)
