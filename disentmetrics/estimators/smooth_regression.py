"""Share of the variance of targets that smooth functions of a few inputs explain on held-out rows.

Cheap regressions whose training costs milliseconds: moving averages along one sorted input, means over the rows of one
label, and ridge regression on Gaussian bumps of several inputs. All are cross-validated, so that their shares have no
optimism: 0, up to noise, for unrelated inputs.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.typing import Floats, Integers
from disentmetrics.estimators.ranks import mid_ranks

SPANS = (6, 20, 60)
"""Numbers of neighbouring rows that a moving average is over."""
_BUMPS = ((0.12, 25, 60), (0.35, 10, 50))
"""Width, as a share of the range of an input times the root of their number; bumps for one input, for several."""
_PENALTIES = (1e-6, 1e-3, 1e-1)  # per row


def moving_average_shares(inputs: Floats, targets: Floats, groups: Sequence[slice], fold: Integers) -> Floats:
    """Return the share of each group of targets that moving averages along one input explain.

    Parameters
    ----------
    inputs : (n,) float
        No ties: their order decides which rows are averaged.
    targets : (n, n_targets) float
        Centred.
    groups : sequence of slice
        Columns of the targets that belong together.
    fold : (n,) int
        Rows of one fold are predicted from all others.

    Returns
    -------
    (n_groups,) float
        ``1 - sum of squared errors / sum of squares`` for the best of three spans; at least 0.
    """
    order = np.argsort(inputs, kind="stable")
    targets, fold = targets[order], fold[order]
    errors = np.zeros((len(SPANS), targets.shape[1]))
    for f in range(int(fold.max()) + 1):
        known = fold != f
        n_known = int(known.sum())
        place = np.cumsum(known)[~known]  # number of known rows before each held-out one
        sums = np.zeros((n_known + 1, targets.shape[1]))
        np.cumsum(targets[known], axis=0, out=sums[1:])
        for s, span in enumerate(SPANS):
            width = min(span, n_known)
            start = np.clip(place - width // 2, 0, n_known - width)
            mean = (sums[start + width] - sums[start]) / width
            errors[s] += np.square(targets[~known] - mean).sum(axis=0)
    return _shares(errors, np.square(targets).sum(axis=0), groups)


def smooth_shares(
    inputs: Floats, targets: Floats, groups: Sequence[slice], fold: Integers, rng: np.random.Generator
) -> Floats:
    """Return the share of each group of targets that a smooth function of all inputs explains.

    Parameters
    ----------
    inputs, targets, groups, fold
        As in :func:`smooth_fit`.
    rng : numpy Generator
        Draws the centres of the bumps.

    Returns
    -------
    (n_groups,) float
        ``1 - sum of squared errors / sum of squares``; at least 0.
    """
    return _RidgeFit(_bumps(inputs, rng), targets, fold).shares(groups)


def smooth_fit(
    inputs: Floats, targets: Floats, groups: Sequence[slice], fold: Integers, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Return the share of each group of targets that a smooth function of all inputs explains, and its residuals.

    The function is a linear one plus Gaussian bumps of two widths at random rows, fitted by ridge regression. The
    penalty is the one with the smallest error on held-out rows, for each group separately.

    Parameters
    ----------
    inputs : (n, n_inputs) float
        Scaled to ranges of about 1.
    targets : (n, n_targets) float
        Centred.
    groups : sequence of slice
        Columns of the targets that belong together.
    fold : (n,) int
        Rows of one fold are predicted from all others.
    rng : numpy Generator
        Draws the centres of the bumps.

    Returns
    -------
    shares : (n_groups,) float
        ``1 - sum of squared errors / sum of squares``; at least 0.
    residuals : (n, n_targets) float
        Targets minus predictions, of held-out rows.
    """
    fit = _RidgeFit(_bumps(inputs, rng), targets, fold)
    return fit.shares(groups), fit.residuals(groups)


def group_mean_shares(labels: Integers, targets: Floats, groups: Sequence[slice], fold: Integers) -> Floats:
    """Return the share of each group of targets that means over the rows of one label explain on held-out rows.

    Parameters
    ----------
    labels : (n,) int
        From 0. A label without any training row predicts the mean, 0.
    targets, groups, fold
        As in :func:`smooth_fit`.
    """
    n_folds, n_labels = int(fold.max()) + 1, int(labels.max()) + 1
    cell = fold * n_labels + labels
    counts = np.bincount(cell, minlength=n_folds * n_labels).reshape(n_folds, n_labels, 1)
    flat = np.zeros((n_folds * n_labels, targets.shape[1]))
    np.add.at(flat, cell, targets)
    sums = flat.reshape(n_folds, n_labels, -1)
    means = (sums.sum(axis=0) - sums) / np.maximum(counts.sum(axis=0) - counts, 1)
    errors = np.square(targets - means.reshape(n_folds * n_labels, -1)[cell]).sum(axis=0)
    return _shares(errors[None], np.square(targets).sum(axis=0), groups)


def linear_shares(inputs: Floats, targets: Floats, groups: Sequence[slice], fold: Integers) -> Floats:
    """Return the share of each group of targets that a linear function of all inputs explains on held-out rows."""
    return _RidgeFit(np.hstack([np.ones((len(inputs), 1)), inputs]), targets, fold).shares(groups)


def _bumps(inputs: Floats, rng: np.random.Generator) -> Floats:
    n_rows, n_inputs = inputs.shape
    blocks = [np.ones((n_rows, 1)), inputs]
    for width, of_one, of_several in _BUMPS:
        n_bumps = min(of_one if n_inputs == 1 else of_several, n_rows // 8)
        centres = np.unique(inputs[rng.permutation(n_rows)[:n_bumps]], axis=0)  # inputs may take few values
        distance = np.square(inputs).sum(axis=1)[:, None] + np.square(centres).sum(axis=1) - 2 * inputs @ centres.T
        distance /= -2 * width**2 * n_inputs
        blocks.append(np.exp(np.minimum(distance, 0.0, out=distance), out=distance))
    return np.hstack(blocks)


class _RidgeFit:
    """Ridge regression of targets on features, with the errors of held-out rows for each penalty."""

    def __init__(self, features: Floats, targets: Floats, fold: Integers) -> None:
        n_folds = int(fold.max()) + 1
        self.parts = [(features[fold == f], targets[fold == f]) for f in range(n_folds)]
        self.fold = fold
        self.total = np.square(targets).sum(axis=0)
        grams = [x.T @ x for x, _ in self.parts]
        moments = [x.T @ y for x, y in self.parts]
        gram, moment = np.sum(grams, axis=0), np.sum(moments, axis=0)
        ridge = len(features) * np.eye(len(gram))
        self.weights = [
            [np.linalg.solve(gram - grams[f] + penalty * ridge, moment - moments[f]) for f in range(n_folds)]
            for penalty in _PENALTIES
        ]
        # ||y - x w||² = y'y - 2 w'x'y + w'x'x w, so that the rows need not be predicted.
        errors = [
            sum((w * (grams[f] @ w)).sum(axis=0) - 2 * (w * moments[f]).sum(axis=0) for f, w in enumerate(of_penalty))
            for of_penalty in self.weights
        ]
        self.errors = self.total + np.array(errors)

    def shares(self, groups: Sequence[slice]) -> Floats:
        return _shares(self.errors, self.total, groups)

    def residuals(self, groups: Sequence[slice]) -> Floats:
        residuals = np.empty((len(self.fold), len(self.total)))
        for group in groups:
            best = int(self.errors[:, group].sum(axis=1).argmin())
            for f, (x, y) in enumerate(self.parts):
                residuals[self.fold == f, group] = y[:, group] - x @ self.weights[best][f][:, group]
        return residuals


def _shares(errors: Floats, total: Floats, groups: Sequence[slice]) -> Floats:
    """Return the share explained of each group, for the row of ``errors`` that is smallest."""
    shares = np.zeros(len(groups))
    for g, group in enumerate(groups):
        whole = total[group].sum()
        if whole > 0:
            shares[g] = max(0.0, 1 - errors[:, group].sum(axis=1).min() / whole)
    return shares


def mean_ranks(values: NDArray[np.floating]) -> Floats:
    """Return the ranks of each column, equal values sharing their mean, scaled to (-0.5, 0.5)."""
    return np.asarray((mid_ranks(values) - 0.5) / len(values) - 0.5)
