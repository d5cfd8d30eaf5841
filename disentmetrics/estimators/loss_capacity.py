"""How soon a probe of growing capacity reaches its best score: loss-capacity curves, and random features to draw them.

Eastwood, Nicolicioiu, von Kügelgen, Kekić, Träuble, Dittadi & Schölkopf (2023), *DCI-ES: An Extended
Disentanglement Framework with Connections to Identifiability*, section 4.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from disentmetrics._utils.typing import Floats

_PENALTIES = np.geomspace(1e-6, 1.0, 7)  # a row, in units of standardised features


def explicitness_above_minimum(
    capacity: ArrayLike, loss: ArrayLike, *, widest: float | None = None, baseline: float = 1.0
) -> float:
    """Explicitness of a loss-capacity curve, as published.

    ``1 - 2 * area / (baseline * (widest - first capacity))`` with the area between the running minimum of the
    loss and its final value.

    Parameters
    ----------
    capacity, loss : (n,) float
        Capacities ascending.
    widest : float, optional
        The largest capacity of all curves that are compared; this one is extended flat to it.
    baseline : float
        Loss of a constant prediction.

    Returns
    -------
    float
        At most 1. A probe that never learns scores 1: the curve is then its own minimum.

    Examples
    --------
    >>> explicitness_above_minimum([1, 2, 4, 8], [0.5, 0.5, 0.5, 0.5])
    1.0
    >>> round(explicitness_above_minimum([1, 2, 4, 8], [1.0, 0.0, 0.0, 0.0], widest=16), 5)
    0.93333
    """
    where = np.asarray(capacity, dtype=np.float64)
    lowest = np.minimum.accumulate(np.asarray(loss, dtype=np.float64))
    span = (where[-1] if widest is None else max(widest, where[-1])) - where[0]
    if span <= 0:
        return 1.0
    return float(1 - 2 * _area(where, lowest - lowest[-1]) / (baseline * span))


def share_of_best_score(capacity: ArrayLike, score: ArrayLike) -> float:
    """Mean over log capacity of the best score up to that capacity, relative to the best score of all.

    Parameters
    ----------
    capacity, score : (n,) float
        Capacities ascending, above 0; scores at most 1, 0 for a constant prediction.

    Returns
    -------
    float
        In [0, 1]: 1 if the smallest probe is as good as any; 0 if none learns.

    Examples
    --------
    >>> share_of_best_score([1, 2, 4], [0.8, 0.8, 0.7]), share_of_best_score([1, 2, 4], [-0.1, 0.0, -0.2])
    (1.0, 0.0)
    >>> share_of_best_score([1, 2, 4], [0.0, 0.0, 0.5])
    0.25
    """
    where = np.log(np.asarray(capacity, dtype=np.float64))
    highest = np.maximum.accumulate(np.maximum(np.asarray(score, dtype=np.float64), 0.0))
    if highest[-1] <= 0:
        return 0.0
    if where[-1] <= where[0]:
        return 1.0
    return float(min(1.0, _area(where, highest / highest[-1]) / (where[-1] - where[0])))


def _area(where: Floats, height: Floats) -> float:
    return float(((height[1:] + height[:-1]) / 2 * np.diff(where)).sum())


def random_feature_predictions(
    inputs: Floats, target: Floats, new_inputs: Floats, widths: Sequence[int], rng: np.random.Generator
) -> list[Floats]:
    """Ridge regression on the inputs and on the first ``width`` of many random cosine features, for each width.

    Parameters
    ----------
    inputs, new_inputs : (n, n_inputs) and (n_new, n_inputs) float
        Training and held-out rows, on one scale.
    target : (n, width) float
    widths : sequence of int
        Numbers of cosines, ascending.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    list of (n_new, width) float
        Predictions, one per width. The penalty is chosen on the training rows.

    References
    ----------
    Rahimi & Recht (2007), *Random Features for Large-Scale Kernel Machines*; Golub, Heath & Wahba (1979),
    *Generalized Cross-Validation*, for the penalty.
    """
    n_inputs = inputs.shape[1]
    directions = rng.normal(size=(n_inputs, max(widths))) / np.sqrt(max(1, n_inputs))
    phases = rng.uniform(0, 2 * np.pi, size=max(widths))
    features = np.hstack([inputs, np.cos(inputs @ directions + phases)])
    new = np.hstack([new_inputs, np.cos(new_inputs @ directions + phases)])
    centre, spread = features.mean(axis=0), features.std(axis=0)
    features, new = ((x - centre) / np.where(spread > 0, spread, 1.0) for x in (features, new))
    mean = target.mean(axis=0)
    gram, covariance = features.T @ features, features.T @ (target - mean)
    squares = float(((target - mean) ** 2).sum())
    predictions = []
    for width in widths:
        p = n_inputs + width
        weights = _ridge(gram[:p, :p], covariance[:p], squares, len(inputs))
        predictions.append(new[:, :p] @ weights + mean)
    return predictions


def _ridge(gram: Floats, covariance: Floats, squares: float, n: int) -> Floats:
    """Coefficients at the penalty with the smallest generalised cross-validation error."""
    values, vectors = np.linalg.eigh(gram)
    values = np.maximum(values, 0.0)
    rotated = vectors.T @ covariance
    size = (rotated**2).sum(axis=1)
    shrunk = values[:, None] + n * _PENALTIES
    residual = squares - (size[:, None] * (2 / shrunk - values[:, None] / shrunk**2)).sum(axis=0)
    free = np.maximum(n - 1 - (values[:, None] / shrunk).sum(axis=0), 1e-9 * n)
    best = int(np.argmin(np.maximum(residual, 0.0) / free**2))
    return np.asarray(vectors @ (rotated / shrunk[:, best, None]))
