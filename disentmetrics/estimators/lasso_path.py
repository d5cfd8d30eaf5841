"""The Lasso with its penalty chosen by cross-validation, from products of columns alone."""

import numpy as np
from numpy.typing import NDArray

from disentmetrics.estimators.lasso import lasso_coefficients

Floats = NDArray[np.float64]

PENALTIES = np.geomspace(1.0, 1e-4, 13)
"""Weights of the penalty that are tried, in units of standardised columns."""


def cross_validated_lasso(inputs: Floats, targets: Floats, fold: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Fit each target on the inputs with the penalty that predicts left-out folds best.

    Parameters
    ----------
    inputs : (n, n_inputs) float
        Standardised columns.
    targets : (n, n_targets) float
        Standardised columns.
    fold : (n,) int
        Fold of each row.

    Returns
    -------
    coefficients : (n_inputs, n_targets) float
        Of the fit to all rows. Of equal inputs, the first has the whole coefficient.
    penalties : (n_targets,) float
        Those chosen; the largest of equally good ones.

    Examples
    --------
    >>> inputs = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]] * 5)
    >>> cross_validated_lasso(inputs, inputs[:, :1], np.arange(20) // 4)[0].round(3)
    array([[1.],
           [0.]])
    """
    parts = [np.flatnonzero(fold == f) for f in np.unique(fold)]
    products = [(inputs[p].T @ inputs[p], inputs[p].T @ targets[p], (targets[p] ** 2).sum(axis=0)) for p in parts]
    n = len(inputs)
    gram, covariance = inputs.T @ inputs, inputs.T @ targets
    error = np.zeros((len(PENALTIES), targets.shape[1]))
    for part, (its_gram, its_covariance, its_squares) in zip(parts, products, strict=True):
        rest = n - len(part)
        if not rest:
            continue
        for index, penalty in enumerate(PENALTIES):
            found = lasso_coefficients((gram - its_gram) / rest, (covariance - its_covariance) / rest, float(penalty))
            error[index] += its_squares - (found * (2 * its_covariance - its_gram @ found)).sum(axis=0)
    best = error.argmin(axis=0)
    coefficients = np.zeros_like(covariance)
    for index in np.unique(best):
        mine = best == index
        coefficients[:, mine] = lasso_coefficients(gram / n, covariance[:, mine] / n, float(PENALTIES[index]))
    return coefficients, PENALTIES[best]
