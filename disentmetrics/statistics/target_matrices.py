"""Scores of every code for every single value of every factor: factors as one-hot targets."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from disentmetrics.errors import UndefinedScoreError
from disentmetrics.estimators.target_scores import TargetScore, target_scores
from disentmetrics.representation import Representation


@dataclass(frozen=True, eq=False)
class TargetMatrix:
    """How well codes mark targets, for targets on which the score is defined.

    Attributes
    ----------
    scores : (n_codes, n_targets) float
        In [0, 1].
    factor : (n_targets,) int
        Position of the factor that the target is a value of.
    value : (n_targets,) int
        Which value.
    """

    scores: NDArray[np.float64]
    factor: NDArray[np.int64]
    value: NDArray[np.int64]

    def mean_of_each_factor(self, targets: NDArray[np.float64], n_factors: int) -> NDArray[np.float64]:
        """Average numbers of targets over the targets of each factor; NaN for a factor without any."""
        count = np.bincount(self.factor, minlength=n_factors)
        total = np.bincount(self.factor, targets, minlength=n_factors)
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def target_matrix(representation: Representation, score: TargetScore, n_bins: int = 10) -> TargetMatrix:
    """Score every code for every value of every factor.

    Rows that miss a factor's label are left out for its values; a continuous factor is cut into
    10 bins of equal frequency. Values that no row takes, or every row, are no targets.

    Raises
    ------
    UndefinedScoreError
        If no value makes a target.
    """
    blocks, factor, value = [], [], []
    for position in range(representation.n_factors):
        labels = representation.labels(position)
        present = labels >= 0
        if not present.any():
            continue
        codes = representation.codes if present.all() else representation.codes[present]
        scores = target_scores(codes, labels[present], int(labels.max()) + 1, score, n_bins=n_bins)
        defined = np.flatnonzero(~np.isnan(scores[0]))
        blocks.append(scores[:, defined])
        factor.append(np.full(len(defined), position))
        value.append(defined)
    if not sum(map(len, factor)):
        raise UndefinedScoreError("no value of a factor is taken by two rows and missed by one; there is no target")
    return TargetMatrix(np.hstack(blocks), np.concatenate(factor), np.concatenate(value))
