"""Rows grouped by the values of two factors, and linear decoders computed from moments of these groups.

Shared by the metrics from neuroscience: cross-condition generalisation, parallelism, shattering dimension.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.typing import Floats, Integers
from disentmetrics.estimators.rank_correlation import standardise
from disentmetrics.representation import Representation
from disentmetrics.statistics.targets import class_target

_RIDGE = 1e-6  # relative to latents of variance 1: directions without variance get no weight
_RANK = 1e-10


def white_codes(codes: NDArray[np.floating]) -> Floats:
    """Return whitened codes, (n_samples, rank): uncorrelated combinations of mean 0 and variance 1.

    Combinations without variance are left out. An invertible linear map, a shift or a copy of latents only rotates
    the result, to which a decoder with an isotropic penalty is invariant.
    """
    centred = standardise(codes)
    variance, directions = np.linalg.eigh(centred.T @ centred / len(centred))
    kept = variance > _RANK * max(variance.max(initial=0.0), 1e-300)
    if not kept.any() or variance.max() <= 0:
        return np.zeros((len(codes), 0))
    return np.asarray(centred @ (directions[:, kept] / np.sqrt(variance[kept])))


@dataclass(frozen=True, eq=False)
class Conditions:
    """Rows grouped by the classes of two factors.

    Attributes
    ----------
    rows : (n,) int
        Rows that have labels of both factors.
    first, second : (n,) int
        Classes of these rows.
    present : (n_first, n_second) bool
        Conditions that have rows.
    """

    rows: Integers
    first: Integers
    second: Integers
    present: NDArray[np.bool_]


def conditions(representation: Representation, first: int, second: int) -> Conditions:
    """Group the rows that have both labels by the classes of two factors, at most 10 each (see ``class_target``)."""
    targets = [representation.cached(class_target, position) for position in (first, second)]
    rows = np.flatnonzero(targets[0].present & targets[1].present)
    a, b = (target.values[rows] for target in targets)
    shape = (int(a.max(initial=-1)) + 1, int(b.max(initial=-1)) + 1)
    counts = np.bincount(a * shape[1] + b, minlength=shape[0] * shape[1]).reshape(shape)
    return Conditions(rows, a, b, counts > 0)


@dataclass(frozen=True, eq=False)
class Moments:
    """Number of rows, mean and mean outer product of the codes in each condition.

    Attributes
    ----------
    count : (n_first, n_second) float
    mean : (n_first, n_second, n_codes) float
    square : (n_first, n_second, n_codes, n_codes) float
    """

    count: Floats
    mean: Floats
    square: Floats


def moments(codes: Floats, first: Integers, second: Integers, shape: tuple[int, int]) -> Moments:
    """Return the moments of the codes in each condition; 0 in conditions without rows."""
    cell = first * shape[1] + second
    n_cells, d = shape[0] * shape[1], codes.shape[1]
    count = np.bincount(cell, minlength=n_cells).astype(np.float64)
    order = np.argsort(cell, kind="stable")
    sorted_codes = codes[order]
    ends = np.cumsum(count).astype(np.int64)
    mean, square = np.zeros((n_cells, d)), np.zeros((n_cells, d, d))
    for index in np.flatnonzero(count):
        part = sorted_codes[ends[index] - int(count[index]) : ends[index]]
        mean[index] = part.mean(axis=0)
        square[index] = part.T @ part / len(part)
    return Moments(count.reshape(shape), mean.reshape(*shape, d), square.reshape(*shape, d, d))


def discriminants(low: Floats, high: Floats, square: Floats) -> tuple[Floats, Floats]:
    """Return the weights and thresholds of linear discriminants between two classes of equal weight.

    Parameters
    ----------
    low, high : (n, n_codes) float
        Mean of each class.
    square : (n, n_codes, n_codes) float
        Mean outer product over both classes, each with weight one half.

    Returns
    -------
    weights : (n, n_codes) float
        ``codes @ weights > threshold`` predicts high.
    thresholds : (n,) float

    Notes
    -----
    Fisher's discriminant as least squares on the class indicator, which is defined even without variance within a
    class. Unlike a support vector machine it has no penalty, so that it is invariant to linear maps of the codes.
    """
    centre, difference = (low + high) / 2, high - low
    covariance = square - centre[:, :, None] * centre[:, None, :]
    covariance = covariance + _RIDGE * np.eye(low.shape[1])
    weights = np.linalg.solve(covariance, difference[:, :, None])[:, :, 0]
    return np.asarray(weights, dtype=np.float64), np.asarray(np.sum(weights * centre, axis=1))
