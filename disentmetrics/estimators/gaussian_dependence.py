"""Dependence of Gaussian variables from their covariance, in closed form."""

import numpy as np
from numpy.typing import NDArray

from disentmetrics.errors import UndefinedScoreError
from disentmetrics.estimators.rank_correlation import standardised_ranks

SMALLEST_EIGENVALUE = 1e-10
"""Eigenvalue of a correlation matrix below which one variable is a linear function of the others up to rounding."""


def copula_correlation(codes: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the correlation matrix of the Gaussian variables of which the latents are monotone functions.

    ``2 sin(pi r / 6)`` of Spearman's correlation r, which an outlier hardly affects; the matrix may have small negative
    eigenvalues. 0 for a constant latent.

    References
    ----------
    Liu, Han, Yuan, Lafferty & Wasserman (2012), *High-Dimensional Semiparametric Gaussian Copula Graphical
    Models*, section 4.

    Examples
    --------
    >>> codes = np.array([[1.0, 2.0, 1000.0], [1.0, 3.0, 2.0]]).T
    >>> copula_correlation(codes).round(6)
    array([[1.      , 0.517638],
           [0.517638, 1.      ]])
    """
    ranks = standardised_ranks(codes)
    return np.asarray(2 * np.sin(np.pi / 6 * np.clip(ranks.T @ ranks / len(ranks), -1.0, 1.0)))


def gaussian_total_correlation(covariance: NDArray[np.float64]) -> float:
    """Return the total correlation in nats of a Gaussian, ``(sum of log S_jj - log det S) / 2``.

    Parameters
    ----------
    covariance : (n, n) float
        Covariance of variables none of which is constant.

    Raises
    ------
    UndefinedScoreError
        If a variable is a linear function of the others, since the total correlation is then infinite.

    Examples
    --------
    >>> tc = gaussian_total_correlation(np.array([[4.0, 1.2], [1.2, 1.0]]))
    >>> bool(np.isclose(tc, -np.log(1 - 0.6**2) / 2))
    True
    """
    scale = np.sqrt(np.diag(covariance))
    eigenvalues = np.linalg.eigvalsh(covariance / np.outer(scale, scale))
    if eigenvalues.min(initial=1.0) < SMALLEST_EIGENVALUE:
        raise UndefinedScoreError(
            "the total correlation is infinite: a latent is a linear function of the others, or there are fewer rows "
            "than codes"
        )
    return max(0.0, float(-0.5 * np.log(eigenvalues).sum()))


def gaussian_wasserstein_correlation(covariance: NDArray[np.float64]) -> float:
    """Return the squared 2-Wasserstein distance of a Gaussian to the product of its margins.

    ``2 tr S - 2 tr (D^1/2 S D^1/2)^1/2`` with D the diagonal of S.

    Examples
    --------
    >>> bool(np.isclose(gaussian_wasserstein_correlation(np.ones((2, 2))), 4 - 2 * np.sqrt(2)))
    True
    """
    scale = np.sqrt(np.diag(covariance))
    eigenvalues = np.linalg.eigvalsh(covariance * np.outer(scale, scale))
    root = np.sqrt(np.maximum(eigenvalues, 0.0)).sum()
    return max(0.0, float(2 * np.trace(covariance) - 2 * root))
