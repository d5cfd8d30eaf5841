"""How far a covariance is from that of independent variables, in closed form."""

import numpy as np
from numpy.typing import NDArray

from disentmetrics.errors import UndefinedScoreError

SMALLEST_EIGENVALUE = 1e-10
"""Of a correlation matrix; below it, one variable is a linear function of the others but for rounding."""


def gaussian_total_correlation(covariance: NDArray[np.float64]) -> float:
    """Return the total correlation in nats of a Gaussian, ``(sum of log S_jj - log det S) / 2``.

    Parameters
    ----------
    covariance : (n, n) float
        Of variables none of which is constant.

    Raises
    ------
    UndefinedScoreError
        If a variable is a linear function of the others, so that it is infinite.

    Examples
    --------
    >>> told = gaussian_total_correlation(np.array([[4.0, 1.2], [1.2, 1.0]]))
    >>> bool(np.isclose(told, -np.log(1 - 0.6**2) / 2))
    True
    """
    scale = np.sqrt(np.diag(covariance))
    eigenvalues = np.linalg.eigvalsh(covariance / np.outer(scale, scale))
    if eigenvalues.min(initial=1.0) < SMALLEST_EIGENVALUE:
        raise UndefinedScoreError(
            "the total correlation is infinite: a code is a linear function of the others, or there are fewer rows "
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
