"""Separated attribute predictability."""

import warnings
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.typing import Seed
from disentmetrics.errors import UndefinedScoreError
from disentmetrics.estimators.activity import constant, well_scaled
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, mean_over_factors, metric
from disentmetrics.representation import Representation
from disentmetrics.representation.resampling import train_and_test_rows
from disentmetrics.statistics.association import best_and_second, correlation_matrix
from disentmetrics.statistics.probes import step_prediction
from disentmetrics.statistics.targets import target, varied_factors

Predictability = Literal["steps", "linear", "svm accuracy", "svm balanced accuracy"]


@metric(
    family="predictor",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    paper="Kumar, Sattigeri & Balakrishnan (2018), Variational Inference of Disentangled Latent Concepts from "
    "Unlabeled Observations, section 3",
    known_failure="Two factors packed losslessly into one latent score 1.",
    needs=Needs(rows=20),
    randomised=True,
    invariant_to=all_except("duplicated code", "relabelled factors", "rotation", "dependent factors"),
    detects={"rotated", "rotated copy", "missing factor", "blurred"},
    protocols={
        "default": Protocol(
            source="disentmetrics: chance-corrected correlation ratio of a step function of one latent",
        ),
        "kumar2018": Protocol(
            source="Kumar et al. (2018): squared correlation",
            options={"predictability": "linear"},
            invariant_to=all_except(
                "monotone warp", "outlier", "duplicated code", "relabelled factors", "rotation", "dependent factors"
            ),
            detects={"rotated", "packed", "rotated copy", "missing factor", "blurred"},
        ),
        "kumar2018_classification": Protocol(
            source="Kumar et al. (2018): linear classifier on one latent, balanced accuracy",
            options={"predictability": "svm balanced accuracy"},
            invariant_to=all_except(
                "scale", "shift", "monotone warp", "duplicated code", "rotation", "dependent factors"
            ),
            detects={"rotated", "packed", "rotated copy", "blurred"},
            perfect=float("nan"),
            costly=True,
            needs=Needs(rows=20, groups=2),
        ),
        "locatello2019": Protocol(
            source="disentanglement_lib 1.5: LinearSVC(C=0.01, class_weight='balanced'), 10,000 and 5,000 rows",
            options={"predictability": "svm accuracy"},
            invariant_to=all_except(
                "scale", "shift", "monotone warp", "duplicated code", "rotation", "dependent factors"
            ),
            detects={"rotated", "packed", "rotated copy", "blurred"},
            perfect=float("nan"),
            costly=True,
            needs=Needs(rows=20, groups=2),
        ),
    },
)
def sap(
    representation: Representation,
    *,
    seed: Seed = 0,
    predictability: Predictability = "steps",
    n_bins: int = 50,
    n_train: int = 10_000,
    n_test: int = 5_000,
) -> RawScore:
    """Separated attribute predictability: gap between the two latents that are most predictive of each factor.

    ``mean over k of S_(1)k - S_(2)k``, with S_jk the predictability of factor k from latent j alone, sorted over
    latents.

    Parameters
    ----------
    representation : Representation
        Rows without a label for a factor are ignored for that factor.
    seed : int or tuple of int
        Random seed for the rows of the support vector machines; nothing else is random.
    predictability : {"steps", "linear", "svm accuracy", "svm balanced accuracy"}
        ``steps``: share of the factor's variance predicted by a step function of the latent over ``n_bins``
        equal-frequency bins, corrected for chance and clipped at 0. ``linear``: squared correlation. The others train
        a linear support vector machine (C = 0.01, balanced class weights) on the latent and use its held-out
        accuracy, or the mean of the accuracies of classes.
    n_bins : int
        Number of bins; only for ``steps``.
    n_train, n_test : int
        Maximum numbers of training and test rows, only for the support vector machines; fewer rows are split in this
        ratio, without splitting groups.

    Returns
    -------
    RawScore
        In [0, 1]; 1 if each factor is perfectly predicted by one latent and unpredictable from all others. Details:
        ``predictability`` (n_codes, n_factors).

    Raises
    ------
    UndefinedScoreError
        If every factor is constant.

    Notes
    -----
    These are different metrics under one name: a perfect code scores 1 with squared correlations, but below 0.5 with
    support vector machines, because a single threshold cannot separate a class between two others. Squared
    correlation decreases under a monotone warp; the default does not, detects any function of a single latent, and is
    0 on average for noise. For categorical factors S is the explained share of Gini impurity (``steps``) or the
    squared multiple correlation (``linear``), whereas the authors correlate label numbers; circular factors are
    predicted via cosine and sine jointly; the support vector machines classify values, and 10 bins of a continuous
    factor. With a single latent the gap is S itself. By design, duplicating every latent gives 0. A dead latent has S
    = 0, or the accuracy of a constant prediction. With ``steps``, labels further from the quartiles than three
    interquartile ranges (Tukey's outer fences) count as being there.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
    >>> sap(factors.astype(float), factors).value, sap(factors[:, [0, 0]].astype(float), factors).value
    (1.0, 0.0)
    """
    varied = representation.cached(varied_factors)
    if not varied.any():
        raise UndefinedScoreError("sap needs a factor with at least two values; every factor is constant")
    if predictability == "steps":
        s = np.clip(representation.cached(step_prediction, n_bins), 0.0, 1.0)
    elif predictability == "linear":
        s = representation.cached(correlation_matrix, "pearson") ** 2
    else:
        balanced = predictability == "svm balanced accuracy"
        s = _svm_accuracies(representation, n_train, n_test, seed, balanced=balanced)
    best, second = best_and_second(s)
    gap = np.where(varied, best - second, np.nan)
    return RawScore(value=mean_over_factors(gap), per_factor=gap, details={"predictability": s})


def _svm_accuracies(
    representation: Representation, n_train: int, n_test: int, seed: Seed, *, balanced: bool
) -> NDArray[np.float64]:
    accuracy = np.full((representation.n_codes, representation.n_factors), np.nan)
    alive = ~representation.cached_by_codes(constant)
    codes = np.zeros((len(representation), representation.n_codes))
    codes[:, alive] = well_scaled(representation.codes[:, alive])
    for position in range(representation.n_factors):
        factor = representation.cached(target, position, classes=True)
        train, test = train_and_test_rows(representation, factor.rows, n_train, n_test, seed)
        if not factor.varies or not len(train) or not len(test):
            continue
        labels = factor.values
        y_train, y_test = labels[train], labels[test]
        for code in range(representation.n_codes):
            correct = _svm_prediction(codes[train, code], y_train, codes[test, code]) == y_test
            if balanced:
                n_rows = np.bincount(y_test)
                accuracy[code, position] = (np.bincount(y_test, correct)[n_rows > 0] / n_rows[n_rows > 0]).mean()
            else:
                accuracy[code, position] = correct.mean()
    return accuracy


def _svm_prediction(
    z_train: NDArray[np.float64], y_train: NDArray[np.int64], z_test: NDArray[np.float64]
) -> NDArray[np.int64]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.svm import LinearSVC  # slow to import

    if not np.ptp(y_train):
        return np.full(len(z_test), y_train[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 1,000 iterations are part of the protocol
        model = LinearSVC(C=0.01, class_weight="balanced", dual=False).fit(z_train[:, None], y_train)
    return np.asarray(model.predict(z_test[:, None]))
