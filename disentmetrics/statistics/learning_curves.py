"""Factor values told apart by classifiers that learn from few or many rows: shared by the downstream metrics."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.random import generator
from disentmetrics._utils.typing import Seed
from disentmetrics.estimators.activity import well_scaled
from disentmetrics.estimators.softmax_regression import SoftmaxRegression, fit_softmax
from disentmetrics.representation import Representation
from disentmetrics.representation.resampling import first_in_order, folds, inner_fold_of_each_row, training_order
from disentmetrics.statistics.probes import BOOSTING, N_FOLDS, one_boosting_at_a_time, standardised_codes
from disentmetrics.statistics.targets import MOST_CLASSES, class_target

Classifier = Literal["logistic", "boosting", "logistic-cv", "gradient-boosting"]
MOST_ROWS = 10_000
"""Classifiers learn from no more rows."""
ENOUGH_TEST_ROWS = 3_000
VARIANCES = (1e-2, 1.0, 1e2, 1e4)
_ROWS_TO_CHOOSE = 1_000
_INNER_FOLDS = 3
_ROWS_FOR_ONE_SPLIT = 300


@dataclass(frozen=True, eq=False)
class FittedProbe:
    """What a classifier that learnt from ``n_train`` rows makes of rows that it has not seen.

    Attributes
    ----------
    rows : (n,) int
        Rows scored.
    y_true, y_pred : (n,) int
        Classes of these rows and the predicted ones.
    n_train : int
        Rows learnt from, in the fold that has fewest.
    accuracy : float
    baseline : float
        Accuracy of the most frequent class of the rows learnt from.
    loss, baseline_loss : float
        Mean log loss in nats, of the classifier and of the frequencies of the classes.
    """

    rows: NDArray[np.int64]
    y_true: NDArray[np.int64]
    y_pred: NDArray[np.int64]
    n_train: int
    accuracy: float
    baseline: float
    loss: float
    baseline_loss: float

    @property
    def above_chance(self) -> float:
        """Share of what the most frequent class gets wrong that the classifier gets right."""
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
    """Let a classifier learn a factor from ``n_train`` rows and score it on other rows.

    Parameters
    ----------
    representation : Representation
    position : int
        Of the factor.
    n_train : int
        Rows to learn from; the rows of a smaller number are among those of a larger one. At most
        10,000, and all that a fold has if it has fewer.
    classifier : {"logistic", "boosting", "logistic-cv", "gradient-boosting"}
        See :func:`class_probabilities`.
    seed : int or tuple of int
    codes : tuple of int, optional
        Only these codes.
    most : int, optional
        See :func:`class_target`.
    n_tested : int
        How many of five folds are tested; fewer if they have 3,000 rows together.

    Returns
    -------
    FittedProbe or None
        None where the factor does not vary or all rows are of one group. Probabilities are mixed with
        uniform ones as if one row had been seen that is of all classes alike, so that no loss is infinite.
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
    """Learn every factor from each of these numbers of rows, in ascending order; a list of factors for each."""
    found: list[list[FittedProbe | None]] = []
    for size in sizes:
        before = found[-1] if found else [None] * representation.n_factors
        found.append(
            [
                one  # all rows took part already
                if one is not None and one.n_train < sizes[len(found) - 1]
                else representation.cached(fit_probe, k, size, classifier, seed, most=most, n_tested=n_tested)
                for k, one in enumerate(before)
            ]
        )
    return found


def smoothed(probabilities: NDArray[np.float64], n_train: int) -> NDArray[np.float64]:
    """Mix probabilities with uniform ones, as one row of no class beside ``n_train`` rows would."""
    return np.asarray((n_train * probabilities + 1 / probabilities.shape[-1]) / (n_train + 1))


def _choices(
    _: Representation, _position: int, _seed: Seed, _codes: tuple[int, ...] | None, _most: int | None
) -> dict[int, "_Choice"]:
    return {}  # the penalty of each fold, chosen once for all numbers of rows from 1,000 on


def _some_codes(representation: Representation, codes: tuple[int, ...]) -> NDArray[np.float64]:
    from disentmetrics.estimators.rank_correlation import standardise

    return standardise(representation.codes[:, list(codes)])


def class_probabilities(
    classifier: Classifier,
    codes: NDArray[np.float64],
    labels: NDArray[np.int64],
    new: NDArray[np.float64],
    n_classes: int,
    *,
    inner: NDArray[np.int64] | None = None,
    state: int = 0,
) -> NDArray[np.float64]:
    """Fit a classifier and return the probability of each class for ``new`` codes, (n, n_classes).

    Parameters
    ----------
    classifier : {"logistic", "boosting", "logistic-cv", "gradient-boosting"}
        ``logistic`` is multinomial, its penalty chosen among four by the log loss of a held-out third of at
        most 1,000 rows, each third in turn below 300 rows: the penalty is the variance of a prior on
        weights, which more rows do not change.
        ``boosting`` is histogram gradient boosting; ``logistic-cv`` and ``gradient-boosting`` are those of
        disentanglement_lib: ten penalties chosen by the accuracy of 5 folds, and 100 trees of depth 3 a class.
    codes : (n_train, n_codes) float
    labels : (n_train,) int
        0 .. n_classes - 1; classes that do not occur get probability 0.
    new : (n, n_codes) float
    n_classes : int
    inner : (n_train,) int, optional
        Fold of each row when the penalty is chosen.
    state : int
        Seed of the classifier's own draws.
    """
    present, known = np.unique(labels, return_inverse=True)
    found = np.zeros((len(new), n_classes))
    if len(present) == 1 or not codes.shape[1]:
        found[:, present] = np.bincount(known) / len(known)
        return found
    fit = _FITTERS[classifier]
    found[:, present] = fit(codes, known.ravel(), new, len(present), inner, state)
    return found


def _logistic(
    codes: NDArray[np.float64],
    labels: NDArray[np.int64],
    new: NDArray[np.float64],
    n_classes: int,
    inner: NDArray[np.int64] | None,
    _: int,
) -> NDArray[np.float64]:
    fold = np.arange(len(codes)) % _INNER_FOLDS if inner is None else inner
    return _with_variance(_best_variance(codes, labels, fold), codes, labels, new, n_classes)


@dataclass(frozen=True, eq=False)
class _Choice:
    variance: float
    start: SoftmaxRegression | None


def _with_variance(
    choice: _Choice,
    codes: NDArray[np.float64],
    labels: NDArray[np.int64],
    new: NDArray[np.float64],
    n_classes: int,
) -> NDArray[np.float64]:
    start = choice.start
    if start is not None and start.weights.shape[1] != n_classes:
        start = None
    return fit_softmax(codes, labels, n_classes, choice.variance, start=start).probabilities(new)


def _best_variance(codes: NDArray[np.float64], labels: NDArray[np.int64], fold: NDArray[np.int64]) -> _Choice:
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
            found = smoothed(model.probabilities(codes[test]), int(train.sum()))
            losses[index] -= np.log(found[np.arange(len(found)), labels[test]]).sum()
    best = int(losses.argmin())
    return _Choice(VARIANCES[best], models[best])


def _logistic_cv(
    codes: NDArray[np.float64],
    labels: NDArray[np.int64],
    new: NDArray[np.float64],
    n_classes: int,
    _inner: NDArray[np.int64] | None,
    _: int,
) -> NDArray[np.float64]:
    unpenalised = 1e8
    share = 0.5 if n_classes == 2 else 1.0  # scikit-learn penalises one vector of weights where there are two classes
    grid = share * np.logspace(-4, 4, 10)
    hits = np.zeros(len(grid))
    fold = np.repeat(np.arange(5), [len(part) for part in np.array_split(labels, 5)])  # unshuffled, as there
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
    codes: NDArray[np.float64],
    labels: NDArray[np.int64],
    new: NDArray[np.float64],
    _n: int,
    _inner: NDArray[np.int64] | None,
    state: int,
) -> NDArray[np.float64]:
    from sklearn.ensemble import HistGradientBoostingClassifier

    with one_boosting_at_a_time():
        model = HistGradientBoostingClassifier(random_state=state, **BOOSTING).fit(codes, labels)
    return np.asarray(model.predict_proba(new))


def _gradient_boosting(
    codes: NDArray[np.float64],
    labels: NDArray[np.int64],
    new: NDArray[np.float64],
    _n: int,
    _inner: NDArray[np.int64] | None,
    state: int,
) -> NDArray[np.float64]:
    from sklearn.ensemble import GradientBoostingClassifier

    return np.asarray(GradientBoostingClassifier(random_state=state).fit(codes, labels).predict_proba(new))


_FITTERS = {
    "logistic": _logistic,
    "boosting": _boosting,
    "logistic-cv": _logistic_cv,
    "gradient-boosting": _gradient_boosting,
}
