"""Factors classified from codes with few or many training rows: shared by the downstream metrics."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.random import generator
from disentmetrics._utils.typing import Floats, Integers, Seed
from disentmetrics.estimators.activity import well_scaled
from disentmetrics.estimators.softmax_regression import SoftmaxRegression, fit_softmax
from disentmetrics.representation import Representation
from disentmetrics.representation.resampling import first_in_order, folds, inner_fold_of_each_row, training_order
from disentmetrics.statistics.probes import BOOSTING, N_FOLDS, one_boosting_at_a_time, standardised_codes
from disentmetrics.statistics.targets import MOST_CLASSES, class_target

Classifier = Literal["logistic", "boosting", "logistic-cv", "gradient-boosting"]
MOST_ROWS = 10_000
"""Largest training set of a classifier."""
ENOUGH_TEST_ROWS = 3_000
VARIANCES = (1e-2, 1.0, 1e2, 1e4)
_ROWS_TO_CHOOSE = 1_000
_INNER_FOLDS = 3
_ROWS_FOR_ONE_SPLIT = 300


@dataclass(frozen=True, eq=False)
class FittedProbe:
    """Held-out predictions of a classifier that was trained on ``n_train`` rows.

    Attributes
    ----------
    rows : (n,) int
        Held-out rows.
    y_true, y_pred : (n,) int
        Classes of these rows and the predicted ones.
    n_train : int
        Training rows, in the fold with the fewest.
    accuracy : float
    baseline : float
        Accuracy of the most frequent class of the training rows.
    loss, baseline_loss : float
        Mean log loss in nats, of the classifier and of the class frequencies.
    """

    rows: Integers
    y_true: Integers
    y_pred: Integers
    n_train: int
    accuracy: float
    baseline: float
    loss: float
    baseline_loss: float

    @property
    def above_chance(self) -> float:
        """Accuracy rescaled so that the most frequent class has 0 and a perfect classifier 1."""
        return (self.accuracy - self.baseline) / (1 - self.baseline) if self.baseline < 1 else 0.0


def fit_probe(
    representation: Representation,
    position: int,
    n_train: int,
    classifier: Classifier,
    seed: Seed,
    *,
    codes: tuple[int, ...] | None = None,
    most: int | None = MOST_CLASSES,
    n_tested: int = N_FOLDS,
) -> FittedProbe | None:
    """Train a classifier of a factor on ``n_train`` rows and score it on held-out rows.

    Parameters
    ----------
    representation : Representation
    position : int
        Position of the factor.
    n_train : int
        Training rows; a smaller training set is a subset of a larger one. At most 10,000, and at most the
        rows of the fold.
    classifier : {"logistic", "boosting", "logistic-cv", "gradient-boosting"}
        See :func:`class_probabilities`.
    seed : int or tuple of int
    codes : tuple of int, optional
        Positions of the latents that are used; all by default.
    most : int, optional
        See :func:`~disentmetrics.statistics.targets.class_target`.
    n_tested : int
        How many of five folds are tested; fewer if these have 3,000 rows in total.

    Returns
    -------
    FittedProbe or None
        None where the factor does not vary or all rows are of one group. Probabilities are smoothed with
        one uniform pseudo-observation, so that no loss is infinite.
    """
    target = representation.cached(class_target, position, most)
    if not target.varies:
        return None
    columns = representation.cached(standardised_codes) if codes is None else _some_codes(representation, codes)
    if classifier in ("logistic-cv", "gradient-boosting") and codes is None:
        columns = np.asarray(well_scaled(representation.codes), dtype=np.float64)
    splits = folds(representation, target.rows, N_FOLDS, seed)
    if len(splits) < 2:
        return None
    order = training_order(representation, seed)
    state = int(generator(seed, f"classifier {classifier}").integers(2**31))
    inner = inner_fold_of_each_row(representation, _INNER_FOLDS, seed)
    choices = representation.cached(_choices, position, seed, codes, most)
    tested: list[tuple[NDArray[Any], ...]] = []
    fewest = MOST_ROWS
    for index, (train, test) in enumerate(splits[:n_tested]):
        drawn = first_in_order(order, train, min(n_train, MOST_ROWS))
        y_train, y_test = target.values[drawn], target.values[test]
        fewest = min(fewest, len(drawn))
        if classifier == "logistic" and len(drawn) >= _ROWS_TO_CHOOSE:
            if index not in choices:
                choices[index] = _best_variance(columns[drawn], y_train, inner[drawn])
            probabilities = _with_variance(choices[index], columns[drawn], y_train, columns[test], target.n_classes)
        else:
            probabilities = class_probabilities(
                classifier, columns[drawn], y_train, columns[test], target.n_classes, inner=inner[drawn], state=state
            )
        counts = np.bincount(y_train, minlength=target.n_classes)
        at = np.arange(len(test))
        tested.append(
            (
                test,
                y_test,
                probabilities.argmax(axis=1),
                -np.log(smoothed(probabilities, len(drawn))[at, y_test]),
                counts.argmax() == y_test,
                -np.log(smoothed(counts / len(drawn), len(drawn))[y_test]),
            )
        )
        if sum(len(part[0]) for part in tested) >= ENOUGH_TEST_ROWS:
            break
    rows, y_true, y_pred, loss, hit, prior = (np.concatenate(part) for part in zip(*tested, strict=True))
    accuracy = float((y_pred == y_true).mean())
    return FittedProbe(
        rows, y_true, y_pred, fewest, accuracy, float(hit.mean()), float(loss.mean()), float(prior.mean())
    )


def fit_probe_at_each_size(
    representation: Representation,
    sizes: tuple[int, ...],
    classifier: Classifier,
    seed: Seed,
    most: int | None = MOST_CLASSES,
    n_tested: int = N_FOLDS,
) -> list[list[FittedProbe | None]]:
    """Return the probes of all factors for each training size, in ascending order of sizes."""
    probes: list[list[FittedProbe | None]] = []
    for size in sizes:
        smaller = probes[-1] if probes else [None] * representation.n_factors
        probes.append(
            [
                probe  # the fold had no more rows, so a larger training set is the same
                if probe is not None and probe.n_train < sizes[len(probes) - 1]
                else representation.cached(fit_probe, k, size, classifier, seed, most=most, n_tested=n_tested)
                for k, probe in enumerate(smaller)
            ]
        )
    return probes


def smoothed(probabilities: Floats, n_train: int) -> Floats:
    """Smooth probabilities estimated from ``n_train`` rows with one uniform pseudo-observation."""
    return np.asarray((n_train * probabilities + 1 / probabilities.shape[-1]) / (n_train + 1))


def _choices(
    _: Representation, _position: int, _seed: Seed, _codes: tuple[int, ...] | None, _most: int | None
) -> dict[int, "_Choice"]:
    return {}  # filled by ``fit_probe``: the penalty of each fold, chosen once for all training sizes from 1,000 rows


def _some_codes(representation: Representation, codes: tuple[int, ...]) -> Floats:
    from disentmetrics.estimators.rank_correlation import standardise

    return standardise(representation.codes[:, list(codes)])


def class_probabilities(
    classifier: Classifier,
    codes: Floats,
    labels: Integers,
    new: Floats,
    n_classes: int,
    *,
    inner: Integers | None = None,
    state: int = 0,
) -> Floats:
    """Fit a classifier and return the probability of each class for ``new`` codes, (n, n_classes).

    Parameters
    ----------
    classifier : {"logistic", "boosting", "logistic-cv", "gradient-boosting"}
        ``logistic`` is multinomial; its penalty, the variance of a Gaussian prior on the weights, is chosen
        among four by the log loss on a held-out third of at most 1,000 rows (below 300 rows, on each third in
        turn) and does not depend on the number of rows beyond that.
        ``boosting`` is histogram gradient boosting; ``logistic-cv`` and ``gradient-boosting`` are those of
        disentanglement_lib: a penalty chosen among ten by accuracy over 5 folds, and 100 trees of depth 3 per class.
    codes : (n_train, n_codes) float
    labels : (n_train,) int
        0 .. n_classes - 1; classes that do not occur get probability 0.
    new : (n, n_codes) float
    n_classes : int
    inner : (n_train,) int, optional
        Fold of each row in the choice of the penalty.
    state : int
        Random seed of the classifier.
    """
    present, y_train = np.unique(labels, return_inverse=True)
    probabilities = np.zeros((len(new), n_classes))
    if len(present) == 1 or not codes.shape[1]:
        probabilities[:, present] = np.bincount(y_train) / len(y_train)
        return probabilities
    fit = _FITTERS[classifier]
    probabilities[:, present] = fit(codes, y_train.ravel(), new, len(present), inner, state)
    return probabilities


def _logistic(
    codes: Floats,
    labels: Integers,
    new: Floats,
    n_classes: int,
    inner: Integers | None,
    _: int,
) -> Floats:
    fold = np.arange(len(codes)) % _INNER_FOLDS if inner is None else inner
    return _with_variance(_best_variance(codes, labels, fold), codes, labels, new, n_classes)


@dataclass(frozen=True, eq=False)
class _Choice:
    variance: float
    start: SoftmaxRegression | None


def _with_variance(
    choice: _Choice,
    codes: Floats,
    labels: Integers,
    new: Floats,
    n_classes: int,
) -> Floats:
    start = choice.start
    if start is not None and start.weights.shape[1] != n_classes:
        start = None
    return fit_softmax(codes, labels, n_classes, choice.variance, start=start).probabilities(new)


def _best_variance(codes: Floats, labels: Integers, fold: Integers) -> _Choice:
    codes, fold = codes[:_ROWS_TO_CHOOSE], fold[:_ROWS_TO_CHOOSE]
    labels = labels[:_ROWS_TO_CHOOSE]
    n_classes = int(labels.max()) + 1
    used = np.unique(fold)
    if len(used) < 2:
        return _Choice(1.0, None)
    if len(codes) >= _ROWS_FOR_ONE_SPLIT:
        used = used[:1]
    losses = np.zeros(len(VARIANCES))
    models: list[SoftmaxRegression | None] = [None] * len(VARIANCES)
    for f in used:
        train, test = fold != f, fold == f
        model: SoftmaxRegression | None = None
        for index, variance in enumerate(VARIANCES):
            model = models[index] = fit_softmax(codes[train], labels[train], n_classes, variance, start=model)
            probabilities = smoothed(model.probabilities(codes[test]), int(train.sum()))
            losses[index] -= np.log(probabilities[np.arange(len(probabilities)), labels[test]]).sum()
    best = int(losses.argmin())
    return _Choice(VARIANCES[best], models[best])


def _logistic_cv(
    codes: Floats,
    labels: Integers,
    new: Floats,
    n_classes: int,
    _inner: Integers | None,
    _: int,
) -> Floats:
    unpenalised = 1e8
    share = 0.5 if n_classes == 2 else 1.0  # scikit-learn penalises a single weight vector for two classes
    grid = share * np.logspace(-4, 4, 10)
    hits = np.zeros(len(grid))
    fold = np.repeat(np.arange(5), [len(part) for part in np.array_split(labels, 5)])  # unshuffled, as published
    for f in np.unique(fold):
        train, test = fold != f, fold == f
        if len(np.unique(labels[train])) < 2:
            continue
        model: SoftmaxRegression | None = None
        for index, variance in enumerate(grid):
            model = fit_softmax(
                codes[train], labels[train], n_classes, variance, intercept_variance=unpenalised, start=model
            )
            hits[index] += (model.probabilities(codes[test]).argmax(axis=1) == labels[test]).mean()
    best = fit_softmax(codes, labels, n_classes, grid[int(hits.argmax())], intercept_variance=unpenalised)
    return best.probabilities(new)


def _boosting(
    codes: Floats,
    labels: Integers,
    new: Floats,
    _n: int,
    _inner: Integers | None,
    state: int,
) -> Floats:
    from sklearn.ensemble import HistGradientBoostingClassifier

    with one_boosting_at_a_time():
        model = HistGradientBoostingClassifier(random_state=state, **BOOSTING).fit(codes, labels)
    return np.asarray(model.predict_proba(new))


def _gradient_boosting(
    codes: Floats,
    labels: Integers,
    new: Floats,
    _n: int,
    _inner: Integers | None,
    state: int,
) -> Floats:
    from sklearn.ensemble import GradientBoostingClassifier

    return np.asarray(GradientBoostingClassifier(random_state=state).fit(codes, labels).predict_proba(new))


_FITTERS = {
    "logistic": _logistic,
    "boosting": _boosting,
    "logistic-cv": _logistic_cv,
    "gradient-boosting": _gradient_boosting,
}
