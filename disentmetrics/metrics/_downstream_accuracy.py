"""Downstream accuracy of classifiers of the factors."""

import math

import numpy as np

from disentmetrics._utils.typing import Seed
from disentmetrics.errors import UndefinedScoreError
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, mean_over_factors, metric
from disentmetrics.representation import Representation
from disentmetrics.statistics.learning_curves import Classifier, FittedProbe, fit_probe_at_each_size
from disentmetrics.statistics.probes import N_FOLDS
from disentmetrics.statistics.targets import MOST_CLASSES

_SIZES = (10, 100, 1_000, 10_000)


@metric(
    family="downstream",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    paper="Locatello et al. (2019), Challenging Common Assumptions, section 5.4 and appendix",
    known_failure="A rotated code scores as high as a perfect one: the classifier uses all latents jointly.",
    needs=Needs(rows=20, groups=2),
    randomised=True,
    parts={f"rows_{size}": (0.0, 1.0) for size in _SIZES},
    invariant_to=all_except("monotone warp"),
    detects={"packed", "missing factor", "blurred"},
    noise=math.nan,  # the share of the most frequent value, which depends on the data
    costly=True,
    slow=True,
    protocols={
        "default": Protocol(
            source="disentmetrics: cross-fitted logistic regression, penalty chosen by log loss, 10 classes per factor",
        ),
        "boosting": Protocol(
            source="disentmetrics: cross-fitted histogram gradient boosting, 10 classes per factor",
            options={"classifier": "boosting", "n_tested": 1},
            invariant_to=frozenset(),
            detects=frozenset(),
        ),
        "locatello2019": Protocol(
            source="disentanglement_lib 1.5: logistic regression, ten penalties, 5 folds, each value a class",
            options={"classifier": "logistic-cv", "all_values": True, "n_tested": 1},
            invariant_to=all_except("scale", "monotone warp"),
        ),
    },
)
def downstream_accuracy(
    representation: Representation,
    *,
    seed: Seed,
    classifier: Classifier = "logistic",
    all_values: bool = False,
    n_tested: int = N_FOLDS,
) -> RawScore:
    """Downstream accuracy: held-out accuracy of classifiers of each factor that use all latents.

    ``mean over k of the share of held-out rows whose value of factor k is predicted correctly``, after training on
    10, 100, 1,000 and 10,000 rows.

    Parameters
    ----------
    representation : Representation
        Rows without a label for a factor are ignored for that factor.
    seed : int or tuple of int
        Random seed for the folds, the training rows and the classifiers.
    classifier : {"logistic", "boosting", "logistic-cv", "gradient-boosting"}
        Multinomial logistic regression; histogram gradient boosting; and the two of disentanglement_lib.
    all_values : bool
        Whether each value is a class. Otherwise ordinal, circular and continuous factors with more than 10 values are
        merged into 10 classes of neighbouring values with nearly equal frequency.
    n_tested : int
        Number of the five folds that are tested; fewer if these already contain 3,000 rows.

    Returns
    -------
    RawScore
        In [0, 1], at the largest available number of training rows, at most 10,000, together with its chance level,
        the share of the most frequent classes. Parts: the accuracy at each number of training rows, NaN where fewer
        are available. Details: ``accuracy`` and ``baseline`` (4 numbers of training rows, n_factors).

    Raises
    ------
    UndefinedScoreError
        If every factor is constant, or all rows belong to one group.

    Notes
    -----
    The literature treats every value of a factor as a class. Missing the x position by one of 32 pixels then counts
    as much as missing it by 20, and boosting takes minutes; merging values removes most of these class boundaries.
    Groups are never split. The authors draw 5,000 new rows for testing, and report ``gradient-boosting`` in addition
    to logistic regression.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
    >>> score = downstream_accuracy(factors.astype(float), factors)
    >>> score.value, score.parts["rows_1000"].undefined
    (1.0, 'it has no value on these rows')
    """
    max_classes = None if all_values else MOST_CLASSES
    probes = fit_probe_at_each_size(representation, _SIZES, classifier, seed, max_classes, n_tested)
    accuracy = np.array([[math.nan if probe is None else probe.accuracy for probe in row] for row in probes])
    baseline = np.array([[math.nan if probe is None else probe.baseline for probe in row] for row in probes])
    if np.isnan(accuracy[-1]).all():
        raise UndefinedScoreError("downstream_accuracy needs a factor that varies and rows from at least two groups")
    parts = {f"rows_{size}": _mean_if_enough(row, size) for size, row in zip(_SIZES, probes, strict=True)}
    return RawScore(
        value=mean_over_factors(accuracy[-1]),
        per_factor=accuracy[-1],
        details={"accuracy": accuracy, "baseline": baseline},
        settings={"classes": "values" if all_values else f"<={MOST_CLASSES}"},
        chance=mean_over_factors(baseline[-1]),
        parts=parts,
    )


def _mean_if_enough(probes: list[FittedProbe | None], size: int) -> float:
    """Return the mean accuracy over factors; NaN if a factor has fewer training rows than ``size``."""
    enough = [probe.accuracy for probe in probes if probe is not None and probe.n_train >= size]
    complete = len(enough) == sum(probe is not None for probe in probes)
    return float(np.mean(enough)) if enough and complete else math.nan
