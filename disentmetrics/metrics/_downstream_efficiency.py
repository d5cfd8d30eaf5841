"""Statistical efficiency of downstream classifiers."""

import math

import numpy as np

from disentmetrics._utils.typing import Seed
from disentmetrics.errors import UndefinedScoreError
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, mean_over_factors, metric
from disentmetrics.representation import Representation
from disentmetrics.statistics.learning_curves import Classifier, FittedProbe, fit_probe_at_each_size
from disentmetrics.statistics.probes import N_FOLDS
from disentmetrics.statistics.targets import MOST_CLASSES

_FEW, _MANY = 100, 10_000


@metric(
    family="downstream",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    paper="Locatello et al. (2019), Challenging Common Assumptions, section 5.4",
    known_failure="Weakly informative codes score high if their little information is learnt from few rows.",
    needs=Needs(rows=130, groups=2),
    randomised=True,
    invariant_to=all_except("monotone warp"),
    detects={"packed", "missing factor"},
    costly=True,
    slow=True,
    protocols={
        "default": Protocol(
            source="disentmetrics: accuracies above chance, cross-fitted logistic regression",
        ),
        "locatello2019": Protocol(
            source="disentanglement_lib 1.5: ratio of raw accuracies, logistic regression, each value a class",
            options={"classifier": "logistic-cv", "all_values": True, "n_tested": 1, "above_chance": False},
            invariant_to=frozenset(),
            detects=frozenset(),
            noise=1.0,
        ),
    },
)
def downstream_efficiency(
    representation: Representation,
    *,
    seed: Seed,
    classifier: Classifier = "logistic",
    all_values: bool = False,
    n_tested: int = N_FOLDS,
    above_chance: bool = True,
) -> RawScore:
    """Statistical efficiency: accuracy after training on 100 rows relative to that after 10,000.

    ``mean over k of a_k(100) / a_k(10,000)``, with a_k the held-out accuracy for factor k minus that of the most
    frequent class.

    Parameters
    ----------
    representation : Representation
        At least 130 rows, so that there are more than 100 training rows; with fewer than 12,500 rows all available
        training rows replace the 10,000.
    seed : int or tuple of int
        Random seed; folds and classifiers are shared with ``downstream_accuracy``.
    classifier : {"logistic", "boosting", "logistic-cv", "gradient-boosting"}
        As for ``downstream_accuracy``.
    all_values : bool
        Whether each value is a class, as for ``downstream_accuracy``.
    n_tested : int
        Number of the five folds that are tested; fewer if these already contain 3,000 rows.
    above_chance : bool
        Whether the share of the most frequent class is subtracted from both accuracies. Otherwise uninformative codes
        score about 1: nothing is learnt from 100 rows, and nothing more from 10,000.

    Returns
    -------
    RawScore
        In [0, 1]; 1 if 100 rows suffice for the accuracy of 10,000. A factor that cannot be predicted even from all
        rows (accuracy less than 3 standard errors above chance) contributes 0. Details: ``accuracy`` and ``baseline``
        (2 numbers of training rows, n_factors).

    Raises
    ------
    UndefinedScoreError
        If every factor is constant, or there are at most 100 training rows.

    Notes
    -----
    The authors train and test on new samples and divide mean accuracies; here the ratio is computed per factor and
    clipped to [0, 1] before averaging. Interpret the score together with ``downstream_accuracy``.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
    >>> downstream_efficiency(factors.astype(float), factors).value > 0.95
    True
    """
    max_classes = None if all_values else MOST_CLASSES
    few, many = fit_probe_at_each_size(representation, (_FEW, _MANY), classifier, seed, max_classes, n_tested)
    per_factor = np.array([_ratio(a, b, above_chance=above_chance) for a, b in zip(few, many, strict=True)])
    if np.isnan(per_factor).all():
        raise UndefinedScoreError(
            f"downstream_efficiency needs a factor that varies and more than {_FEW} labelled training rows"
        )
    table = [
        [(math.nan, math.nan) if probe is None else (probe.accuracy, probe.baseline) for probe in row]
        for row in (few, many)
    ]
    return RawScore(
        value=mean_over_factors(per_factor),
        per_factor=per_factor,
        details={"accuracy": np.array(table)[:, :, 0], "baseline": np.array(table)[:, :, 1]},
        settings={"classes": "values" if all_values else f"<={MOST_CLASSES}"},
    )


def _ratio(few: FittedProbe | None, many: FittedProbe | None, *, above_chance: bool) -> float:
    if few is None or many is None or few.n_train < _FEW or many.n_train <= _FEW:
        return math.nan
    if not above_chance:
        return min(1.0, few.accuracy / many.accuracy) if many.accuracy > 0 else 0.0
    standard_error = math.sqrt(many.baseline * (1 - many.baseline) / len(many.rows))
    gain = many.accuracy - many.baseline
    if gain <= 3 * standard_error:  # not learnt from all rows either: the ratio would be noise
        return 0.0
    return min(1.0, max(0.0, (few.accuracy - many.baseline) / gain))
