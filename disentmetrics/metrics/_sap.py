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
    known_failure="Two factors packed without loss into one code score 1.",
    needs=Needs(rows=20),
    randomised=True,
    invariant_to=all_except("duplicated code", "relabelled factors", "rotation", "dependent factors"),
    detects={"rotated", "rotated copy", "missing factor", "blurred"},
    protocols={
        "default": Protocol(
            source="disentmetrics: chance-corrected correlation ratio of a step function of one code",
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
            source="Kumar et al. (2018): linear classifier on one code, balanced accuracy",
            options={"predictability": "svm balanced accuracy"},
            invariant_to=all_except(
                "scale", "shift", "monotone warp", "duplicated code", "rotation", "dependent factors"
            ),
            detects={"rotated", "packed", "rotated copy", "blurred"},
            perfect=float("nan"),
            costly=True,
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
    """Mean gap between the two codes that predict each factor best.

    ``mean over k of S_(1)k - S_(2)k``, the predictabilities S_jk of factor k from code j alone sorted over codes.

    Parameters
    ----------
    representation : Representation
        Rows without a label for a factor are ignored for that factor.
    seed : int or tuple of int
        Decides the rows of the support vector machines; nothing else is drawn.
    predictability : {"steps", "linear", "svm accuracy", "svm balanced accuracy"}
        ``steps``: share of the factor's variance predicted by a step function of the code over ``n_bins`` bins of
        equal frequency, corrected for chance, at least 0. ``linear``: squared correlation. The others train a
        linear support vector machine (C = 0.01, balanced class weights) on the code and count held-out rows, or
        average over classes.
    n_bins : int
        Only for ``steps``.
    n_train, n_test : int
        Only for the support vector machines; fewer rows are split in this ratio, groups staying whole.

    Returns
    -------
    RawScore
        In [0, 1]: 1 where one code predicts all of each factor and no other code any. Details:
        ``predictability`` (n_codes, n_factors).

    Raises
    ------
    UndefinedScoreError
        If every factor is constant.

    Notes
    -----
    These are different metrics under one name: of perfect codes the squared correlation scores 1, the support
    vector machine under 0.5, for one cut a class cannot hold a class between two others. The squared correlation
    falls under a monotone warp; the default does not, sees any function of one code, and is 0 on average for noise.
    Categories count by the share of their Gini impurity (``steps``) or their multiple correlation (``linear``), where
    the authors correlate label numbers; circular factors by cosine and sine together; the support vector machines
    take values, and 10 bins of a continuous factor, for classes. With one code the gap is S itself. Every code
    twice scores 0, by design. A dead code predicts 0, or what the most frequent prediction gives.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
    >>> sap(factors.astype(float), factors).value, sap(factors[:, [0, 0]].astype(float), factors).value
    (1.0, 0.0)
    """
    varied = representation.cached(varied_factors)
    if not varied.any():
        raise UndefinedScoreError("sap needs a factor that takes two values; every factor is constant")
    if predictability == "steps":
        matrix = np.clip(representation.cached(step_prediction, n_bins), 0.0, 1.0)
    elif predictability == "linear":
        matrix = representation.cached(correlation_matrix, "pearson") ** 2
    else:
        balanced = predictability == "svm balanced accuracy"
        matrix = _svm_matrix(representation, n_train, n_test, seed, balanced=balanced)
    best, second = best_and_second(matrix)
    gaps = np.where(varied, best - second, np.nan)
    return RawScore(value=mean_over_factors(gaps), per_factor=gaps, details={"predictability": matrix})


def _svm_matrix(
    representation: Representation, n_train: int, n_test: int, seed: Seed, *, balanced: bool
) -> NDArray[np.float64]:
    found = np.full((representation.n_codes, representation.n_factors), np.nan)
    alive = ~representation.cached_by_codes(constant)
    codes = np.zeros((len(representation), representation.n_codes))
    codes[:, alive] = well_scaled(representation.codes[:, alive])
    for position in range(representation.n_factors):
        aim = representation.cached(target, position, classes=True)
        train, test = train_and_test_rows(representation, aim.rows, n_train, n_test, seed)
        if not aim.varies or not len(train) or not len(test):
            continue
        labels = aim.values
        known, wanted = labels[train], labels[test]
        for code in range(representation.n_codes):
            right = _svm_prediction(codes[train, code], known, codes[test, code]) == wanted
            if balanced:
                asked = np.bincount(wanted)
                found[code, position] = (np.bincount(wanted, right)[asked > 0] / asked[asked > 0]).mean()
            else:
                found[code, position] = right.mean()
    return found


def _svm_prediction(code: NDArray[np.float64], known: NDArray[np.int64], new: NDArray[np.float64]) -> NDArray[np.int64]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.svm import LinearSVC  # slow to import

    if not np.ptp(known):
        return np.full(len(new), known[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 1,000 iterations are part of the protocol
        model = LinearSVC(C=0.01, class_weight="balanced", dual=False).fit(code[:, None], known)
    return np.asarray(model.predict(new[:, None]))
