"""Explicitness of Ridgeway & Mozer."""

import warnings
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.typing import Floats, Seed
from disentmetrics.errors import UndefinedScoreError
from disentmetrics.estimators.activity import constant, well_scaled
from disentmetrics.estimators.rank_correlation import standardise
from disentmetrics.estimators.ranks import mid_ranks
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, mean_over_factors, metric
from disentmetrics.representation import Representation
from disentmetrics.representation.resampling import folds, some_rows, train_and_test_rows
from disentmetrics.statistics.targets import Target, target

Rows = Literal["out of fold", "in sample", "train and test"]
Classifier = Literal["multinomial", "one-vs-rest"]
Scale = Literal["standardised", "unit range", "as is"]
_CHANCE = 0.5  # area under the ROC curve of an uninformative classifier


@metric(
    family="predictor",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    paper="Ridgeway & Mozer (2018), Learning Deep Disentangled Embeddings With the F-Statistic Loss, section 3",
    known_failure="A rotation of a perfect code scores as high as the code itself.",
    needs=Needs(rows=20),
    randomised=True,
    invariant_to=all_except("monotone warp"),
    detects={"packed", "missing factor", "blurred"},
    costly=True,
    protocols={
        "default": Protocol(
            source="disentmetrics: cross-fitted multinomial logistic regression on standardised codes, 2 AUC - 1",
            needs=Needs(rows=20, groups=2),
        ),
        "ridgeway2018": Protocol(
            source="Ridgeway & Mozer (2018): mean area under the ROC curve on the training rows",
            options={"rows": "in sample", "scale": "as is", "inverse_penalty": 1.0, "rescaled": False},
            invariant_to=all_except("scale", "monotone warp"),
            noise=_CHANCE,
        ),
        "locatello2019": Protocol(
            source="disentanglement_lib 1.5: default logistic regression, 10,000 training and 5,000 test rows, AUC",
            options={"rows": "train and test", "scale": "as is", "inverse_penalty": 1.0, "rescaled": False},
            invariant_to=all_except("scale", "monotone warp"),
            noise=_CHANCE,
            needs=Needs(rows=20, groups=2),
        ),
        "carbonneau2022": Protocol(
            source="Carbonneau et al. (2022): one-vs-rest logistic regressions, scored on the training rows, 2 AUC - 1",
            options={"rows": "in sample", "scale": "unit range", "inverse_penalty": 1.0, "classifier": "one-vs-rest"},
            invariant_to=all_except("monotone warp", "outlier", "repeated rows", "rotation", "dependent factors"),
            unsettled={"determined factors"},
            # A single threshold cannot separate a class between two others; noise scores above 0 on few rows.
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
    """Explicitness: one-vs-rest area under the ROC curve of logistic regression of each factor on all latents.

    ``mean over k, and over values c of v_k, of 2 AUC(p(v_k = c | z), [v_k = c]) - 1``.

    Parameters
    ----------
    representation : Representation
        Rows without a label for a factor are ignored for that factor. Values of a factor are classes; continuous
        factors are discretised into 10 equal-frequency bins.
    seed : int or tuple of int
        Random seed for the split of the rows.
    rows : {"out of fold", "in sample", "train and test"}
        Rows that are scored. ``out of fold``: each half of at most ``n_rows`` rows with the model of the other half;
        ``in sample``: all training rows; ``train and test``: ``n_test`` rows other than the ``n_train`` training rows
        (fewer are split in this ratio). Groups are never split.
    classifier : {"multinomial", "one-vs-rest"}
        A single model, or one per class with balanced class weights and probabilities normalised to sum to 1.
    scale : {"standardised", "unit range", "as is"}
        Preprocessing of the codes.
    rescaled : bool
        Whether areas are rescaled to 2 AUC - 1, so that chance level is 0, and clipped at 0 per factor.
    inverse_penalty : float
        Inverse regularisation strength, scikit-learn's C; must be positive.
    n_rows, n_train, n_test : int
        Maximum numbers of rows, see ``rows``.

    Returns
    -------
    RawScore
        In [0, 1]. ``per_factor`` is the mean over classes that contain some, but not all, of the scored rows.
        Details: ``area_under_curve`` (n_factors, largest number of classes), NaN where there is no such class.

    Raises
    ------
    UndefinedScoreError
        If no factor has two classes among both the training rows and the scored rows.

    Notes
    -----
    The logits are linear: a strongly warped latent scores lower, and a circular factor is decodable from its cosine
    and sine, but not from its angle. In sample, noise scores above chance, increasingly so with the numbers of
    latents and classes. The published settings keep scikit-learn's default penalty, with which a perfect code of a
    factor with 40 values scores 0.9 and results depend on the scale of the codes; the default standardises the codes
    and almost removes the penalty. It excludes classes that are missing in one half. All classes have equal weight,
    however rare. Dead latents do not change the score.

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
        factor = representation.cached(target, position, classes=True)
        parts = _train_test_splits(representation, factor, rows, seed, n_rows, n_train, n_test) if factor.varies else []
        areas.append(_areas(codes, factor, parts, classifier, inverse_penalty))
    table = np.full((len(areas), max(map(len, areas))), np.nan)
    for position, auc in enumerate(areas):
        table[position, : len(auc)] = auc
    scored = ~np.isnan(table)
    means = np.where(scored, table, 0.0).sum(axis=1) / np.where(scored.any(axis=1), scored.sum(axis=1), np.nan)
    if rescaled:
        means = np.clip(2 * means - 1, 0.0, 1.0)
    if not scored.any():
        raise UndefinedScoreError("explicitness needs a factor with at least two classes among the scored rows")
    return RawScore(value=mean_over_factors(means), per_factor=means, details={"area_under_curve": table})


def _train_test_splits(
    representation: Representation, factor: Target, rows: Rows, seed: Seed, n_rows: int, n_train: int, n_test: int
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    if rows == "in sample":
        return [(factor.rows, factor.rows)]
    if rows == "train and test":
        return [train_and_test_rows(representation, factor.rows, n_train, n_test, seed)]
    halves = folds(representation, some_rows(factor.rows, n_rows, seed), 2, seed)
    return halves if len(halves) > 1 else []


def _areas(
    codes: Floats,
    factor: Target,
    parts: list[tuple[NDArray[np.int64], NDArray[np.int64]]],
    classifier: Classifier,
    inverse_penalty: float,
) -> Floats:
    """Return the area under the ROC curve of each class, averaged over splits, weighted by its number of test rows."""
    total, weight = np.zeros(factor.n_classes), np.zeros(factor.n_classes)
    labels = factor.values
    for train, test in parts:
        classes = np.unique(labels[train])
        n_positive = np.bincount(labels[test], minlength=factor.n_classes)[classes]
        scored = (n_positive > 0) & (n_positive < len(test))  # the area needs positives and negatives
        if len(classes) < 2:
            continue
        score = _probability(codes[train], labels[train], codes[test], classifier, inverse_penalty)
        auc = _area(score[:, scored], labels[test][:, None] == classes[scored])
        total[classes[scored]] += n_positive[scored] * auc
        weight[classes[scored]] += n_positive[scored]
    return np.asarray(total / np.where(weight > 0, weight, np.nan))


def _area(score: Floats, positive: NDArray[np.bool_]) -> Floats:
    """Return the area under the ROC curve of each column, by the Mann-Whitney statistic of ranks."""
    n_positive = positive.sum(axis=0)
    ranks = np.where(positive, mid_ranks(score), 0.0).sum(axis=0)
    return np.asarray((ranks - n_positive * (n_positive + 1) / 2) / (n_positive * (len(score) - n_positive)))


def _probability(
    codes: Floats, labels: NDArray[np.int64], test_codes: Floats, classifier: Classifier, inverse_penalty: float
) -> Floats:
    """Fit and return probabilities (n_test, n_classes) of the classes that occur, in ascending order."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression  # slow to import

    if not codes.shape[1]:
        return np.zeros((len(test_codes), len(np.unique(labels))))
    classes = np.unique(labels)
    model = LogisticRegression(C=inverse_penalty, max_iter=100 if inverse_penalty <= 1 else 200)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the ranks of the scores converge much earlier
        if classifier == "multinomial":
            return np.asarray(model.fit(codes, labels).predict_proba(test_codes))
        model.set_params(class_weight="balanced")
        one_vs_rest = [model.fit(codes, labels == c).predict_proba(test_codes)[:, 1] for c in classes]
    probability = np.stack(one_vs_rest, axis=1)
    return np.asarray(probability / probability.sum(axis=1, keepdims=True))
