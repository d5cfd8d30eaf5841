"""The Lasso with its penalty chosen by cross-validation, from products of columns."""

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.typing import Floats
from disentmetrics.estimators.lasso import lasso_coefficients

PENALTIES = np.geomspace(1.0, 1e-4, 9)
"""Weights of the penalty that are tried, in units of standardised columns."""


def cross_validated_lasso(inputs: Floats, targets: Floats, fold: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Fit each target by the Lasso, with the largest penalty that predicts held-out folds about as well as the best.

    It is the largest penalty whose error is within one standard error, over folds, of the smallest: the penalty with
    the smallest error varies strongly between samples, because the curve is flat.

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
        Coefficients of the fit to all rows. Of equal inputs, the first has the entire coefficient.
    penalties : (n_targets,) float
        Chosen penalties.

    References
    ----------
    Breiman, Friedman, Olshen & Stone (1984), *Classification and Regression Trees*, section 3.4.3, for the rule.

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
    error = np.zeros((len(parts), len(PENALTIES), targets.shape[1]))
    for f, (part, (its_gram, its_covariance, its_squares)) in enumerate(zip(parts, products, strict=True)):
        rest = n - len(part)
        if not rest:
            continue
        for index, penalty in enumerate(PENALTIES):
            weights = lasso_coefficients((gram - its_gram) / rest, (covariance - its_covariance) / rest, float(penalty))
            residual = its_squares - (weights * (2 * its_covariance - its_gram @ weights)).sum(axis=0)
            error[f, index] = residual / len(part)
    mean, spread = error.mean(axis=0), error.std(axis=0, ddof=1 if len(parts) > 1 else 0) / np.sqrt(len(parts))
    least = mean.argmin(axis=0)[None]
    allowed = np.take_along_axis(mean, least, 0) + np.take_along_axis(spread, least, 0)
    best = (mean <= allowed).argmax(axis=0)  # penalties fall
    coefficients = np.zeros_like(covariance)
    for index in np.unique(best):
        mine = best == index
        coefficients[:, mine] = lasso_coefficients(gram / n, covariance[:, mine] / n, float(PENALTIES[index]))
    return coefficients, PENALTIES[best]
