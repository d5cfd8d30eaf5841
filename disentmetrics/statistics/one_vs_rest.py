"""Scores of every latent for every value of every factor, one value against the rest."""

from dataclasses import dataclass

import numpy as np

from disentmetrics._utils.typing import Floats, Integers
from disentmetrics.errors import UndefinedScoreError
from disentmetrics.estimators.target_scores import TargetScore, target_scores
from disentmetrics.representation import Representation
from disentmetrics.statistics.targets import value_target


@dataclass(frozen=True, eq=False)
class OneVsRestScores:
    """How well latents indicate binary targets, each a value of a factor, where the score is defined.

    Attributes
    ----------
    scores : (n_codes, n_targets) float
        In [0, 1].
    factor : (n_targets,) int
        Position of the factor of each target.
    value : (n_targets,) int
        The value of that factor.
    """

    scores: Floats
    factor: Integers
    value: Integers

    def mean_of_each_factor(self, targets: Floats, n_factors: int) -> Floats:
        """Average numbers of targets over the targets of each factor; NaN for a factor without targets."""
        count = np.bincount(self.factor, minlength=n_factors)
        total = np.bincount(self.factor, targets, minlength=n_factors)
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def one_vs_rest_scores(representation: Representation, score: TargetScore, n_bins: int = 10) -> OneVsRestScores:
    """Score every latent for every value of every factor.

    Rows that miss a factor's label are left out for its values; a continuous factor is discretised into
    10 bins of equal frequency. Values that occur in no row, or in every row, are not targets.

    Raises
    ------
    UndefinedScoreError
        If no value makes a target.
    """
    scores: list[Floats] = []
    factors, values = [], []
    for position in range(representation.n_factors):
        factor = representation.cached(value_target, position)
        if not factor.n_classes:
            continue
        codes, labels = factor.of(representation.codes), factor.values[factor.present]
        of_values = target_scores(codes, labels, factor.n_classes, score, n_bins=n_bins)
        defined = np.flatnonzero(~np.isnan(of_values[0]))
        scores.append(of_values[:, defined])
        factors.append(np.full(len(defined), position))
        values.append(defined)
    if not sum(map(len, factors)):
        raise UndefinedScoreError("no value of a factor occurs in two rows and is absent from one; there is no target")
    return OneVsRestScores(np.hstack(scores), np.concatenate(factors), np.concatenate(values))
