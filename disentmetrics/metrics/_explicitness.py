"""Explicitness of Ridgeway and Mozer."""

import warnings
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.typing import Floats, Seed
from disentmetrics.errors import UndefinedScoreError
from disentmetrics.estimators.activity import constant, well_scaled
from disentmetrics.estimators.rank_correlation import standardise
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, mean_over_factors, metric
from disentmetrics.representation import Representation
from disentmetrics.representation.resampling import folds, some_rows, train_and_test_rows
from disentmetrics.statistics.targets import Target, target

Rows = Literal["out of fold", "in sample", "train and test"]
Classifier = Literal["multinomial", "one-vs-rest"]
Scale = Literal["standardised", "unit range", "as is"]
_CUT = 0.5  # area of a classifier that guesses


@metric(
    family="predictor",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    paper="Ridgeway & Mozer (2018), Learning Deep Disentangled Embeddings With the F-Statistic Loss, section 3",
    known_failure="A rotation of perfect codes scores as high as the codes themselves.",
    needs=Needs(rows=20),
    randomised=True,
    invariant_to=all_except("monotone warp"),
    detects={"packed", "missing factor", "blurred"},
    costly=True,
    protocols={
        "default": Protocol(
            source="disentmetrics: multinomial logistic regression on standardised codes, out of fold, 2 AUC - 1",
        ),
        "ridgeway2018": Protocol(
            source="Ridgeway & Mozer (2018): mean area under the curve on the rows learned from",
            options={"rows": "in sample", "scale": "as is", "inverse_penalty": 1.0, "rescaled": False},
            invariant_to=all_except("scale", "monotone warp"),
            noise=_CUT,
        ),
        "locatello2019": Protocol(
            source="disentanglement_lib 1.5: logistic regression as it comes, 10,000 and 5,000 rows, area as it is",
            options={"rows": "train and test", "scale": "as is", "inverse_penalty": 1.0, "rescaled": False},
            invariant_to=all_except("scale", "monotone warp"),
            noise=_CUT,
        ),
        "carbonneau2022": Protocol(
            source="Carbonneau et al. (2022): one-vs-rest logistic regressions on the rows learned from, 2 AUC - 1",
            options={"rows": "in sample", "scale": "unit range", "inverse_penalty": 1.0, "classifier": "one-vs-rest"},
            invariant_to=all_except("monotone warp", "outlier", "repeated rows", "rotation", "dependent factors"),
            # One cut a class cannot hold a class between two others; noise scores above 0 on few rows.
            perfect=float("nan"),
            noise=float("nan"),
        ),
    },
)
def explicitness(
    representation: Representation,
    *,
    seed: Seed = 0,
    rows: Rows = "out of fold",
    classifier: Classifier = "multinomial",
    scale: Scale = "standardised",
    rescaled: bool = True,
    inverse_penalty: float = 1e4,
    n_rows: int = 5_000,
    n_train: int = 10_000,
    n_test: int = 5_000,
) -> RawScore:
    """How well logistic regression on all codes tells each value of each factor from the others.

    ``mean over k, and over values c of v_k, of 2 AUC(p(v_k = c | z), [v_k = c]) - 1``.

    Parameters
    ----------
    representation : Representation
        Rows without a label for a factor are ignored for that factor. Values of a factor are classes; continuous
        factors are discretised into 10 equal-frequency bins.
    seed : int or tuple of int
        Decides which rows stand in which part.
    rows : {"out of fold", "in sample", "train and test"}
        Which rows are scored: each half of at most ``n_rows`` rows by the other half's fit; the rows learned from, all
        of them; or ``n_test`` others than the ``n_train`` learned from (fewer are split in this ratio). Groups stay
        whole.
    classifier : {"multinomial", "one-vs-rest"}
        One model; or one a class, with classes of balanced weight and probabilities made to sum to 1.
    scale : {"standardised", "unit range", "as is"}
        To what scale codes are brought first.
    rescaled : bool
        Whether 0 rather than 0.5 stands for guessing; areas below that then count 0, factor by factor.
    inverse_penalty : float
        scikit-learn's C, which must be above 0: the larger, the weaker the pull of the coefficients to 0.
    n_rows, n_train, n_test : int
        As above.

    Returns
    -------
    RawScore
        In [0, 1]. ``per_factor`` averages over the classes that occur among scored rows, but not in all of them.
        Details: ``area_under_curve`` (n_factors, most classes), NaN where there is no such class.

    Raises
    ------
    UndefinedScoreError
        If no factor has two classes among the rows learned from and among those scored.

    Notes
    -----
    Linear in the logits: a code that follows a factor by a strong warp scores less, and a circular factor is told by
    cosine and sine together but not by its angle. In sample, noise scores above chance, the more so the more codes
    and classes. The published settings keep scikit-learn's penalty, under which a perfect code of 40 values scores
    0.9 and results depend on the scale of the codes; the default standardises and all but frees the coefficients. It
    leaves out a class that one half lacks. Every class weighs the same, however rare. Dead latents do not change the
    score.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
    >>> round(explicitness(factors.astype(float), factors).value, 2)
    1.0
    """
    codes = well_scaled(representation.codes[:, ~representation.cached_by_codes(constant)]).astype(np.float64)
    if scale == "standardised":
        codes = standardise(codes)
    elif scale == "unit range":
        codes = (codes - codes.min(axis=0)) / np.ptp(codes, axis=0)
    areas = []
    for position in range(representation.n_factors):
        aim = representation.cached(target, position, classes=True)
        parts = _parts(representation, aim, rows, seed, n_rows, n_train, n_test) if aim.varies else []
        areas.append(_areas(codes, aim, parts, classifier, inverse_penalty))
    table = np.full((len(areas), max(map(len, areas))), np.nan)
    for position, found in enumerate(areas):
        table[position, : len(found)] = found
    scored = ~np.isnan(table)
    means = np.where(scored, table, 0.0).sum(axis=1) / np.where(scored.any(axis=1), scored.sum(axis=1), np.nan)
    if rescaled:
        means = np.clip(2 * means - 1, 0.0, 1.0)
    if not scored.any():
        raise UndefinedScoreError("explicitness needs a factor with two classes among the rows that are scored")
    return RawScore(value=mean_over_factors(means), per_factor=means, details={"area_under_curve": table})


def _parts(
    representation: Representation, aim: Target, rows: Rows, seed: Seed, n_rows: int, n_train: int, n_test: int
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    if rows == "in sample":
        return [(aim.rows, aim.rows)]
    if rows == "train and test":
        return [train_and_test_rows(representation, aim.rows, n_train, n_test, seed)]
    halves = folds(representation, some_rows(aim.rows, n_rows, seed), 2, seed)
    return halves if len(halves) > 1 else []


def _areas(
    codes: Floats,
    aim: Target,
    parts: list[tuple[NDArray[np.int64], NDArray[np.int64]]],
    classifier: Classifier,
    inverse_penalty: float,
) -> Floats:
    """Average each class's area under the curve over parts, weighted by how many of its rows are scored."""
    total, weight = np.zeros(aim.n_classes), np.zeros(aim.n_classes)
    labels = np.full(len(codes), -1)
    labels[aim.rows] = aim.values
    for train, test in parts:
        known = np.unique(labels[train])
        asked = np.bincount(labels[test], minlength=aim.n_classes)[known]
        told = (asked > 0) & (asked < len(test))
        if len(known) < 2:  # nothing to tell apart
            continue
        score = _probability(codes[train], labels[train], codes[test], classifier, inverse_penalty)
        total[known[told]] += asked[told] * _area(score[:, told], labels[test][:, None] == known[told])
        weight[known[told]] += asked[told]
    return np.asarray(total / np.where(weight > 0, weight, np.nan))


def _area(score: Floats, positive: NDArray[np.bool_]) -> Floats:
    """Area under the receiver operating characteristic of each column, from ranks."""
    from scipy.stats import rankdata  # slow to import

    n_positive = positive.sum(axis=0)
    ranks = np.where(positive, rankdata(score, axis=0), 0.0).sum(axis=0)
    return np.asarray((ranks - n_positive * (n_positive + 1) / 2) / (n_positive * (len(score) - n_positive)))


def _probability(
    codes: Floats, labels: NDArray[np.int64], new: Floats, classifier: Classifier, inverse_penalty: float
) -> Floats:
    """Fit and return probabilities of the classes that occur, in ascending order, as (n_new, n_classes)."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression  # slow to import

    if not codes.shape[1]:
        return np.zeros((len(new), len(np.unique(labels))))
    classes = np.unique(labels)
    model = LogisticRegression(C=inverse_penalty, max_iter=100 if inverse_penalty <= 1 else 200)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the ranks of the scores resolve_config long before
        if classifier == "multinomial":
            return np.asarray(model.fit(codes, labels).predict_proba(new))
        model.set_params(class_weight="balanced")
        each = [model.fit(codes, labels == c).predict_proba(new)[:, 1] for c in classes]
    found = np.stack(each, axis=1)
    return np.asarray(found / found.sum(axis=1, keepdims=True))
