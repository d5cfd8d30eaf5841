"""Lasso regression of many targets on few inputs, from their covariances."""

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.typing import Floats
from disentmetrics.errors import DisentmetricsError

TOLERANCE = 1e-10  # largest violation of the optimality conditions, in units of the covariances
SWEEPS = 50  # over the coordinates, between two checks of these conditions
MAX_ROUNDS = 10
MAX_STEPS = 1000


def lasso_coefficients(gram: Floats, covariance: Floats, alpha: float) -> Floats:
    """Minimise ``w G w / 2 - c w + alpha |w|_1`` for every column c of the covariances.

    With ``G = X'X / n`` and ``c = X'y / n`` of centred columns this is the objective
    ``|y - Xw|^2 / (2 n) + alpha |w|_1`` of scikit-learn's Lasso, without another pass over the rows.

    Parameters
    ----------
    gram : (n_inputs, n_inputs) float
        Mean products of the inputs, symmetric and positive semidefinite. An input that is 0
        everywhere gets coefficient 0.
    covariance : (n_inputs, n_targets) float
        Mean products of inputs and targets.
    alpha : float
        Weight of the penalty, positive.

    Returns
    -------
    (n_inputs, n_targets) float
        Coefficients. Of equal inputs, the first has the entire coefficient.

    Raises
    ------
    DisentmetricsError
        If the optimality conditions cannot be met within 1e-10.

    References
    ----------
    Friedman, Hastie & Tibshirani (2010), *Regularization Paths for Generalized Linear Models via
    Coordinate Descent*, for the sweeps; Lee et al. (2006), *Efficient Sparse Coding Algorithms*, for
    the steps between them.

    Examples
    --------
    >>> lasso_coefficients(np.eye(2), np.array([[1.0, 0.05], [-0.5, 0.0]]), alpha=0.1)
    array([[ 0.9,  0. ],
           [-0.4,  0. ]])
    """
    solution = np.zeros_like(covariance)
    unsolved = np.arange(covariance.shape[1])
    for _ in range(MAX_ROUNDS):
        _sweep(gram, covariance, solution, unsolved, alpha)
        wrong = _violation(gram, covariance[:, unsolved], solution[:, unsolved], alpha) > TOLERANCE
        unsolved = unsolved[wrong]
        if not len(unsolved):
            return solution
    for target in unsolved:
        solution[:, target] = _active_set(gram, covariance[:, target], solution[:, target], alpha)
    return solution


def _sweep(gram: Floats, covariance: Floats, solution: Floats, targets: NDArray[np.int64], alpha: float) -> None:
    """Minimise over one coordinate after another, in place, for these targets jointly."""
    current, products = solution[:, targets], covariance[:, targets]
    inputs = np.flatnonzero(gram.diagonal() > 0)
    for _ in range(SWEEPS):
        for a in inputs:
            rest = products[a] - gram[a] @ current + gram[a, a] * current[a]
            current[a] = np.sign(rest) * np.maximum(np.abs(rest) - alpha, 0.0) / gram[a, a]
    solution[:, targets] = current


def _violation(gram: Floats, covariance: Floats, solution: Floats, alpha: float) -> Floats:
    """Violation of optimality of each column: the largest distance of a subgradient to zero."""
    gradient = covariance - gram @ solution
    missed = np.where(solution != 0, np.abs(gradient - alpha * np.sign(solution)), np.abs(gradient) - alpha)
    return np.asarray(missed.max(axis=0, initial=0.0))


def _active_set(gram: Floats, covariance: Floats, solution: Floats, alpha: float) -> Floats:
    """Finish one target exactly: solve for the nonzero coefficients, drop and add one at a time.

    Where inputs are nearly equal, sweeps take very long; this takes a few steps.
    """
    solution = solution.copy()
    sign = np.sign(solution)
    for _ in range(MAX_STEPS):
        active = np.flatnonzero(sign)
        optimum = np.zeros_like(solution)
        right_side = covariance[active] - alpha * sign[active]
        optimum[active] = np.linalg.lstsq(gram[np.ix_(active, active)], right_side, rcond=None)[0]
        crossing = active[np.sign(optimum[active]) != sign[active]]
        if len(crossing):
            reach = solution[crossing] / (solution[crossing] - optimum[crossing])
            solution += reach.min() * (optimum - solution)
            sign[crossing[reach == reach.min()]] = 0.0
            solution[sign == 0] = 0.0
            continue
        solution = optimum
        gradient = covariance - gram @ solution
        gradient[active] = 0.0
        largest = np.argmax(np.abs(gradient))
        if np.abs(gradient[largest]) <= alpha + TOLERANCE:
            return solution
        sign[largest] = np.sign(gradient[largest])
    raise DisentmetricsError(
        f"the Lasso must converge to {TOLERANCE} within {MAX_ROUNDS * SWEEPS} sweeps and {MAX_STEPS} exact "
        "steps, and did not; leave out latents that nearly duplicate others"
    )
