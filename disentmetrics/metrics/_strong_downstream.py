"""Strong generalisation of classifiers to unseen values of another factor."""

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
    known_failure="A rotated code scores as high as a perfect one: the classifier uses all latents jointly.",
    needs=Needs(factors=2, rows=40, groups=2),
    randomised=True,
    parts={"accuracy": (0.0, 1.0), "usual_accuracy": (0.0, 1.0), "generalisation_gap": (-math.inf, 1.0)},
    lower_is_better=("generalisation_gap",),
    invariant_to=all_except("monotone warp", "outlier", "dependent factors"),
    # moderate dependence on a full grid is harmless, strong dependence and values that never occur together are not
    unsettled={"dependent factors"},
    detects={"packed", "missing factor", "blurred"},
    costly=True,
    protocols={
        "default": Protocol(
            source="disentmetrics: half of the values of another factor unseen, logistic regression on 1,000 rows, "
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
    """Strong generalisation: chance-corrected accuracy of classifiers under unseen values of another factor.

    ``mean over factors k and other factors c of (a - b) / (1 - b)``, with a the accuracy for factor k on rows whose
    value of c does not occur among the training rows, and b that of the most frequent class.

    Parameters
    ----------
    representation : Representation
        At least two factors.
    seed : int or tuple of int
        Random seed for the held-out values, the folds and the classifiers.
    classifier : {"logistic", "boosting", "logistic-cv", "gradient-boosting"}
        As for ``downstream_accuracy``; trained on at most 1,000 rows.
    all_values : bool
        Whether each value is a class, as for ``downstream_accuracy``.
    seen : {"half", "one value"}
        Whether classifiers are trained under each of two random halves of the other factor's values, or under one
        random value.

    Returns
    -------
    RawScore
        At most 1; 0 for uninformative codes, negative if predictions under unseen values are worse than the most
        frequent class. ``per_factor`` is the mean for the classified factor. Parts: ``accuracy``, uncorrected;
        ``usual_accuracy``, on rows with seen values of c; ``generalisation_gap``, ``1 - accuracy / usual_accuracy``.
        Details: ``accuracy`` (n_factors classified, n_factors held out).

    Raises
    ------
    UndefinedScoreError
        If fewer than two factors vary, or no training rows are left.

    Notes
    -----
    The authors intervene in a simulator; here rows are selected. They compare with a classifier trained under all
    values; here the same classifier is compared on other rows with seen values, so that the gap is due to the values
    only. Rows of one group are never split between the two. If factors depend on each other, the unseen values of one
    factor come with rare values of another: a perfect code scores 0.96 at a correlation of 0.9.

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
            "strong_downstream needs two factors that vary, and training rows under some of their values"
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
    factor = representation.cached(class_target, position, most)
    values = representation.labels(context)
    present = np.unique(values[values >= 0])
    if not factor.varies or len(present) < 2:
        return np.full(3, np.nan)
    labels = factor.values
    codes = representation.cached(standardised_codes)
    rng = generator(seed, "held out")
    drawn = rng.permutation(present)
    training_values = [drawn[:1]] if seen == "one value" else [drawn[: len(drawn) // 2], drawn[len(drawn) // 2 :]]
    tested = representation.cached(fold_of_each_row, 5, seed) == 0
    inner = inner_fold_of_each_row(representation, 3, seed)
    order = rng.permutation(len(representation))
    order = order[(labels[order] >= 0) & (values[order] >= 0)]
    sums = np.zeros(3)
    n_unseen = n_usual = 0
    for part in training_values:
        is_seen = np.isin(values[order], part)
        train = order[is_seen & ~tested[order]][:_N_TRAIN]
        # Rows of a training group are not tested, whatever their value.
        unseen = order[~is_seen & (tested[order] if representation.groups is not None else True)]
        usual = order[is_seen & tested[order]]
        if not len(train) or not len(unseen) or not len(usual):
            continue
        test = np.concatenate([unseen, usual])
        # A latent that is constant among the training rows must have no effect: not centred, it is an intercept.
        centre = codes[train].mean(axis=0)
        probability = class_probabilities(
            classifier,
            codes[train] - centre,
            labels[train],
            codes[test] - centre,
            factor.n_classes,
            inner=inner[train],
            state=int(generator(seed, "strong downstream").integers(2**31)),
        )
        correct = probability.argmax(axis=1) == labels[test]
        frequent = np.bincount(labels[train]).argmax()
        sums += [correct[: len(unseen)].sum(), (labels[unseen] == frequent).sum(), 0.0]
        sums[2] += correct[len(unseen) :].sum()
        n_unseen, n_usual = n_unseen + len(unseen), n_usual + len(usual)
    if not n_unseen:
        return np.full(3, np.nan)
    return np.asarray(sums / [n_unseen, n_unseen, n_usual])
