"""Multinomial logistic regression, solved to convergence."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_LARGEST_HESSIAN = 700
"""Number of weights above which Newton steps cost more than they save."""
_MAX_STEPS = 100
_TOLERANCE = 1e-6  # nats that another Newton step would gain, over all rows


@dataclass(frozen=True, eq=False)
class SoftmaxRegression:
    """A fitted model.

    Attributes
    ----------
    weights : (n_codes + 1, n_classes) float
        The last row contains the intercepts.
    """

    weights: NDArray[np.float64]

    def probabilities(self, codes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probability of each class, (n, n_classes)."""
        return _softmax(codes @ self.weights[:-1] + self.weights[-1])


def fit_softmax(
    codes: NDArray[np.float64],
    labels: NDArray[np.integer],
    n_classes: int,
    variance: float,
    *,
    intercept_variance: float | None = None,
    start: SoftmaxRegression | None = None,
) -> SoftmaxRegression:
    """Minimise the log loss in nats, summed over rows, plus ``|weights|^2 / (2 variance)``.

    Parameters
    ----------
    codes : (n, n_codes) float
        Inputs of a scale near 1.
    labels : (n,) integer
        0 .. n_classes - 1.
    n_classes : int
        A class that does not occur has small probabilities, not 0.
    variance : float
        Variance of the Gaussian prior on the weights; ``C`` of scikit-learn's LogisticRegression.
    intercept_variance : float, optional
        Variance of the prior on the intercepts; ``variance`` by default.
    start : SoftmaxRegression, optional
        Initial weights, such as the model for another variance.

    Returns
    -------
    SoftmaxRegression
        The unique minimum, whatever the initial weights and the order of the rows.

    Notes
    -----
    Newton's method with step halving, as the objective is strictly convex; L-BFGS where there are more than
    700 weights.

    Examples
    --------
    >>> codes = np.array([[-1.0], [-0.8], [0.7], [1.1]])
    >>> model = fit_softmax(codes, np.array([0, 0, 1, 1]), 2, variance=1e3)
    >>> model.probabilities(codes).argmax(axis=1)
    array([0, 0, 1, 1])
    """
    features = np.hstack([codes, np.ones((len(codes), 1))])
    precision = np.full((features.shape[1], 1), 1 / variance)
    if intercept_variance is not None:
        precision[-1] = 1 / intercept_variance
    weights = np.zeros((features.shape[1], n_classes)) if start is None else start.weights
    solve = _newton if weights.size <= _LARGEST_HESSIAN else _l_bfgs
    return SoftmaxRegression(solve(features, labels, weights, precision))


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    powers, total, _ = _exponentials(logits)
    powers /= total[:, None]
    return powers


def _exponentials(
    logits: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return ``exp(logits - top)``, their sum over classes, and ``top``, the largest logit of each row."""
    top = logits.max(axis=1)
    powers = logits - top[:, None]
    np.exp(powers, out=powers)
    return powers, powers.sum(axis=1), top


def _loss(
    logits: NDArray[np.float64],
    labels: NDArray[np.integer],
    weights: NDArray[np.float64],
    precision: NDArray[np.float64],
) -> tuple[float, NDArray[np.float64]]:
    """Return the penalised loss, and the probabilities of all classes."""
    powers, total, top = _exponentials(logits)
    losses = np.log(total) + top - logits[np.arange(len(labels)), labels]
    powers /= total[:, None]
    return float(losses.sum() + (precision * weights**2).sum() / 2), powers


def _newton(
    features: NDArray[np.float64],
    labels: NDArray[np.integer],
    weights: NDArray[np.float64],
    precision: NDArray[np.float64],
) -> NDArray[np.float64]:
    n_features, n_classes = weights.shape
    truth = np.zeros((len(labels), n_classes))
    truth[np.arange(len(labels)), labels] = 1.0
    logits = features @ weights
    loss, probabilities = _loss(logits, labels, weights, precision)
    for _ in range(_MAX_STEPS):
        gradient = features.T @ (probabilities - truth) + precision * weights
        scaled = (probabilities[:, :, None] * features[:, None, :]).reshape(len(labels), -1)
        hessian = -(scaled.T @ scaled)
        blocks = (scaled.T @ features).reshape(n_classes, n_features, n_features)
        for k, block in enumerate(blocks):
            part = slice(k * n_features, (k + 1) * n_features)
            hessian[part, part] += block
        hessian.ravel()[:: len(hessian) + 1] += np.tile(precision[:, 0], n_classes)
        step = np.linalg.solve(hessian, gradient.T.ravel()).reshape(n_classes, n_features).T
        gain = float((gradient * step).sum()) / 2
        if gain < _TOLERANCE:
            return weights - step
        move, size = features @ step, 1.0
        while True:
            trial, trial_logits = weights - size * step, logits - size * move
            new, probabilities = _loss(trial_logits, labels, trial, precision)
            if new <= loss - 0.1 * size * gain or size < 1e-6:
                break
            size /= 2
        weights, logits, loss = trial, trial_logits, new
    return weights


def _l_bfgs(
    features: NDArray[np.float64],
    labels: NDArray[np.integer],
    weights: NDArray[np.float64],
    precision: NDArray[np.float64],
) -> NDArray[np.float64]:
    from scipy.optimize import minimize  # slow to import

    shape = weights.shape
    truth = np.zeros((len(labels), shape[1]))
    truth[np.arange(len(labels)), labels] = 1.0

    def objective(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        trial = flat.reshape(shape)
        logits = features @ trial
        loss, probabilities = _loss(logits, labels, trial, precision)
        gradient = features.T @ (probabilities - truth) + precision * trial
        return loss, gradient.ravel()

    result = minimize(objective, weights.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 500, "ftol": 1e-9})
    return np.asarray(result.x).reshape(shape)
