"""Accuracy under values of another factor that a classifier has not seen."""

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.random import generator
from disentmetrics._utils.typing import Seed
from disentmetrics.errors import UndefinedScoreError
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, mean_over_factors, metric
from disentmetrics.representation import Representation
from disentmetrics.representation.resampling import fold_of_each_row, inner_fold_of_each_row
from disentmetrics.statistics.learning_curves import Classifier, class_probabilities
from disentmetrics.statistics.probes import standardised_codes
from disentmetrics.statistics.targets import MOST_CLASSES, class_target

_N_TRAIN = 1_000


@metric(
    family="downstream",
    bounds=(-1.0, 1.0),
    higher_is_better=True,
    paper="Locatello et al. (2020), A Sober Look at the Unsupervised Learning of Disentangled Representations, strong "
    "generalisation; disentanglement_lib 1.5",
    known_failure="Rotated codes score as well as perfect ones: the classifier reads all codes together.",
    needs=Needs(factors=2, rows=40),
    randomised=True,
    parts={"accuracy": (0.0, 1.0), "usual_accuracy": (0.0, 1.0), "generalisation_gap": (-math.inf, 1.0)},
    lower_is_better=("generalisation_gap",),
    invariant_to=all_except("monotone warp", "outlier"),
    detects={"packed", "missing factor", "blurred"},
    costly=True,
    protocols={
        "default": Protocol(
            source="disentmetrics: half of the values of one factor unseen, logistic regression from 1,000 rows, "
            "accuracy above chance",
        ),
    },
)
def strong_downstream(
    representation: Representation,
    *,
    seed: Seed,
    classifier: Classifier = "logistic",
    all_values: bool = False,
    seen: Literal["half", "one value"] = "half",
) -> RawScore:
    """Accuracy for a factor under values of another factor that were held out when the classifier learnt.

    ``mean over factors k and other factors c of (a - b) / (1 - b)`` with a the accuracy for factor k on rows
    whose value of c did not occur among the rows learnt from, and b that of the most frequent class.

    Parameters
    ----------
    representation : Representation
        At least two factors.
    seed : int or tuple of int
        Decides which values are held out, folds, and the classifier's own draws.
    classifier : {"logistic", "boosting", "logistic-cv", "gradient-boosting"}
        As for ``downstream_accuracy``; it learns from at most 1,000 rows.
    all_values : bool
        Whether each value is a class, as for ``downstream_accuracy``.
    seen : {"half", "one value"}
        Whether classifiers learn under a random half of the other factor's values and then under the
        other half, or under one value drawn at random.

    Returns
    -------
    RawScore
        At most 1, 0 for codes that tell nothing, below it where the held-out values mislead. ``per_factor`` is
        the mean of each factor when it is learnt. Parts: ``accuracy`` as it is; ``usual_accuracy``, on rows whose
        values of c were seen; ``generalisation_gap``, ``1 - accuracy / usual_accuracy``. Details: ``accuracy``
        (n_factors learnt, n_factors held out).

    Raises
    ------
    UndefinedScoreError
        If fewer than two factors vary, or no row is left to learn from.

    Notes
    -----
    The authors intervene in the simulator; here rows are chosen. They compare with a classifier that learnt under all
    values; here with the same classifier on other rows under the values that it knows, so that the gap has no other
    cause than the values. Rows of one group are never split between the two.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
    >>> strong_downstream(factors.astype(float), factors).value
    1.0
    """
    n = representation.n_factors
    table = np.full((n, n, 3), np.nan)  # accuracy, baseline, usual accuracy
    most = None if all_values else MOST_CLASSES
    for k in range(n):
        for context in range(n):
            if k != context:
                table[k, context] = _accuracies(representation, k, context, classifier, seed, most, seen)
    defined = ~np.isnan(table).any(axis=2)
    if not defined.any():
        raise UndefinedScoreError(
            "strong_downstream needs two factors that vary, and rows to learn from under some of their values"
        )
    accuracy, baseline, usual = np.moveaxis(table, 2, 0)
    above = np.where(baseline < 1, (accuracy - baseline) / np.where(baseline < 1, 1 - baseline, 1.0), 0.0)
    per_factor = np.array([row[ok].mean() if ok.any() else np.nan for row, ok in zip(above, defined, strict=True)])
    mean, mean_usual = float(accuracy[defined].mean()), float(usual[defined].mean())
    return RawScore(
        value=max(-1.0, mean_over_factors(per_factor)),
        per_factor=per_factor,
        details={"accuracy": accuracy},
        settings={"classes": "values" if all_values else f"<={MOST_CLASSES}"},
        parts={
            "accuracy": mean,
            "usual_accuracy": mean_usual,
            "generalisation_gap": 1 - mean / mean_usual if mean_usual > 0 else math.nan,
        },
    )


def _accuracies(
    representation: Representation,
    position: int,
    context: int,
    classifier: Classifier,
    seed: Seed,
    most: int | None,
    seen: str,
) -> NDArray[np.float64]:
    aim = representation.cached(class_target, position, most)
    values = representation.labels(context)
    present = np.unique(values[values >= 0])
    if not aim.varies or len(present) < 2:
        return np.full(3, np.nan)
    truth = aim.values
    codes = representation.cached(standardised_codes)
    rng = generator(seed, "held out")
    drawn = rng.permutation(present)
    known = [drawn[:1]] if seen == "one value" else [drawn[: len(drawn) // 2], drawn[len(drawn) // 2 :]]
    tested = representation.cached(fold_of_each_row, 5, seed) == 0
    inner = inner_fold_of_each_row(representation, 3, seed)
    order = rng.permutation(len(representation))
    order = order[(truth[order] >= 0) & (values[order] >= 0)]
    sums = np.zeros(3)
    n_asked = n_usual = 0
    for part in known:
        of_known = np.isin(values[order], part)
        learns = order[of_known & ~tested[order]][:_N_TRAIN]
        # Rows of a group that was learnt from are not asked, whatever their value.
        asked = order[~of_known & (tested[order] if representation.groups is not None else True)]
        usual = order[of_known & tested[order]]
        if not len(learns) or not len(asked) or not len(usual):
            continue
        new = np.concatenate([asked, usual])
        # A code that stands still while learning must have no weight: about another centre it is an intercept.
        centre = codes[learns].mean(axis=0)
        found = class_probabilities(
            classifier,
            codes[learns] - centre,
            truth[learns],
            codes[new] - centre,
            aim.n_classes,
            inner=inner[learns],
            state=int(generator(seed, "strong downstream").integers(2**31)),
        )
        hit = found.argmax(axis=1) == truth[new]
        frequent = np.bincount(truth[learns]).argmax()
        sums += [hit[: len(asked)].sum(), (truth[asked] == frequent).sum(), 0.0]
        sums[2] += hit[len(asked) :].sum()
        n_asked, n_usual = n_asked + len(asked), n_usual + len(usual)
    if not n_asked:
        return np.full(3, np.nan)
    return np.asarray(sums / [n_asked, n_asked, n_usual])
