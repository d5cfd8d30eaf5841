"""Accuracy of classifiers that learn factors from few or many codes."""

import math

import numpy as np

from disentmetrics._utils.typing import Seed
from disentmetrics.errors import UndefinedScoreError
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, mean_over_factors, metric
from disentmetrics.representation import Representation
from disentmetrics.statistics.learning_curves import MOST_CLASSES, Classifier, FittedProbe, fit_probe_at_each_size
from disentmetrics.statistics.probes import N_FOLDS

_SIZES = (10, 100, 1_000, 10_000)


@metric(
    family="downstream",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    paper="Locatello et al. (2019), Challenging Common Assumptions, section 5.4 and appendix",
    known_failure="Rotated codes score as well as perfect ones: a classifier reads all codes together.",
    needs=Needs(rows=20),
    randomised=True,
    parts={f"rows_{size}": (0.0, 1.0) for size in _SIZES},
    invariant_to=all_except("monotone warp"),
    detects={"packed", "missing factor", "blurred"},
    noise=math.nan,  # the share of the most frequent value, which depends on the data
    costly=True,
    slow=True,
    protocols={
        "default": Protocol(
            source="disentmetrics: logistic regression out of fold, penalty chosen by log loss, 10 classes a factor",
        ),
        "boosting": Protocol(
            source="disentmetrics: histogram gradient boosting out of fold, 10 classes a factor",
            options={"classifier": "boosting", "n_tested": 1},
            invariant_to=frozenset(),
            detects=frozenset(),
        ),
        "locatello2019": Protocol(
            source="disentanglement_lib 1.5: logistic regression, ten penalties, 5 folds, every value a class",
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
    """Held-out accuracy of classifiers that learn each factor from all codes.

    ``mean over k of the share of unseen rows whose value of factor k is named rightly``, after learning
    from 10, 100, 1,000 and 10,000 rows.

    Parameters
    ----------
    representation : Representation
        Rows without a label for a factor are ignored for that factor.
    seed : int or tuple of int
        Decides folds, rows to learn from and the classifier's own draws.
    classifier : {"logistic", "boosting", "logistic-cv", "gradient-boosting"}
        Multinomial logistic regression; histogram gradient boosting; and the two of disentanglement_lib.
    all_values : bool
        Whether each value is a class. Otherwise neighbouring values of ordinal, circular and
        continuous factors are merged into 10 classes of nearly equal frequency where there are more values.
    n_tested : int
        Number of the five folds that are tested; fewer if these already contain 3,000 rows.

    Returns
    -------
    RawScore
        In [0, 1], at the largest number of rows that a fold has, at most 10,000; its chance level, the share of
        the most frequent classes, comes with it. Parts: the accuracy at each number of rows, NaN where there are
        fewer. Details: ``accuracy`` and ``baseline`` (4 numbers of rows, n_factors).

    Raises
    ------
    UndefinedScoreError
        If every factor is constant, or all rows belong to one group.

    Notes
    -----
    The literature makes every value of a factor a class. To miss the x position by one of 32
    pixels then counts as much as to miss it by 20, and boosting takes minutes; merging keeps most of these
    borders out. Groups are never split. The
    authors draw 5,000 fresh rows to test, and give ``gradient-boosting`` beside logistic regression.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
    >>> score = downstream_accuracy(factors.astype(float), factors)
    >>> score.value, score.parts["rows_1000"].undefined
    (1.0, 'it has no value on these rows')
    """
    most = None if all_values else MOST_CLASSES
    found = fit_probe_at_each_size(representation, _SIZES, classifier, seed, most, n_tested)
    accuracy = np.array([[math.nan if one is None else one.accuracy for one in row] for row in found])
    baseline = np.array([[math.nan if one is None else one.baseline for one in row] for row in found])
    if np.isnan(accuracy[-1]).all():
        raise UndefinedScoreError("downstream_accuracy needs a factor that varies, and rows of two groups or more")
    parts = {f"rows_{size}": _mean_if_enough(row, size) for size, row in zip(_SIZES, found, strict=True)}
    return RawScore(
        value=mean_over_factors(accuracy[-1]),
        per_factor=accuracy[-1],
        details={"accuracy": accuracy, "baseline": baseline},
        settings={"classes": "values" if all_values else f"<={MOST_CLASSES}"},
        chance=mean_over_factors(baseline[-1]),
        parts=parts,
    )


def _mean_if_enough(row: list[FittedProbe | None], size: int) -> float:
    enough = [one.accuracy for one in row if one is not None and one.n_train >= size]
    complete = len(enough) == sum(one is not None for one in row)
    return float(np.mean(enough)) if enough and complete else math.nan
