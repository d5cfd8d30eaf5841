"""Compositional accuracy: joint accuracy on unseen combinations of factor values."""

import math

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.random import generator
from disentmetrics._utils.typing import Seed
from disentmetrics.errors import InvalidInputError, UndefinedScoreError
from disentmetrics.estimators.activity import constant
from disentmetrics.estimators.rank_correlation import standardise
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, metric
from disentmetrics.representation import Representation
from disentmetrics.representation.resampling import deal, some_rows, without_units_of
from disentmetrics.statistics.probes import Probe, predict
from disentmetrics.statistics.targets import factor_columns, label_angles, label_table, varied_factors


@metric(
    family="downstream",
    bounds=(-math.inf, 1.0),
    higher_is_better=True,
    paper="Mahon, Sha & Lukasiewicz (2024), Correcting Flaws in Common Disentanglement Metrics, section 6",
    known_failure="An invertible mixture of all factors can score 1: a strong probe unmixes it.",
    needs=Needs(rows=60, groups=2),
    randomised=True,
    # factors that determine each other leave few combinations of values to learn from
    invariant_to=all_except("relabelled factors", "repeated rows", "rotation", "determined factors"),
    detects={"rotated", "missing factor", "blurred", "synergy lost"},
    costly=True,
    slow=True,
    protocols={
        "default": Protocol(
            source="disentmetrics: gradient boosting, three-fold cross-validation over combinations",
        ),
        "linear": Protocol(
            source="disentmetrics: least squares and logistic regression, otherwise as the default",
            options={"probe": "linear"},
            invariant_to=all_except("monotone warp", "outlier", "relabelled factors"),
            detects={"packed", "missing factor", "blurred"},
            costly=False,
            slow=False,
        ),
    },
)
def compositional_accuracy(
    representation: Representation,
    *,
    seed: Seed,
    held: tuple[int, ...] | None = None,
    probe: Probe = "boosting",
    n_folds: int = 3,
    n_rows: int = 5_000,
) -> RawScore:
    """Compositional accuracy: joint accuracy on combinations of factor values absent from the training rows.

    ``(A - C) / (1 - C)``, with A the share of held-out rows on which every factor is predicted correctly, and C that
    share when each factor is predicted as its most frequent value among the training rows. Combinations of factor
    values are split into folds, and every row follows its combination; a probe for each factor is trained on the
    other folds.

    Parameters
    ----------
    representation : Representation
        Rows with a missing label of a varying factor are excluded; continuous factors are discretised into 10
        equal-frequency bins.
    seed : int or tuple of int
        Random seed for the assignment of combinations to folds.
    held : tuple of int, optional
        Indices of the factors whose combinations are held out, while values of the others may occur in both the
        training and test rows; all factors by default.
    probe : {"boosting", "linear"}
        Ordinal, continuous and circular factors are predicted as numbers and rounded to the nearest value;
        categorical factors are classified.
    n_folds : int
        Number of folds of combinations.
    n_rows : int
        Maximum number of rows; a random subset is used if there are more.

    Returns
    -------
    RawScore
        At most 1, where every factor of every row of an unseen combination is predicted correctly; 0 for
        uninformative codes, negative for misleading ones. ``per_factor``: ``(a - c) / (1 - c)`` from the factor's own
        accuracy; the value is not their mean.

    Raises
    ------
    InvalidInputError
        If ``held`` contains an index that does not exist.
    UndefinedScoreError
        If there are fewer than two combinations, or groups leave no training rows.

    Notes
    -----
    If nearly every row has a unique combination, as in a sample from many factors, the split amounts to a split of
    rows, which a note reports: restrict ``held`` to a few factors. The authors train a network for each factor and
    hold out combinations of two factors. Training rows whose group also occurs in the held-out fold are excluded.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(20, axis=0)
    >>> score = compositional_accuracy(factors @ [[1, 1], [1, -1]], factors, protocol="linear")
    >>> score.value, compositional_accuracy(factors[:, 0], factors, protocol="linear").per_factor["factor_0"]
    (1.0, 1.0)
    """
    positions = np.flatnonzero(representation.cached(varied_factors))
    if held is not None and not set(held) <= set(range(representation.n_factors)):
        raise InvalidInputError(
            f"held must contain factor indices from 0 to {representation.n_factors - 1}; got {held!r}"
        )
    labels = representation.cached(label_table)[:, positions] if len(positions) else None
    if labels is None:
        raise UndefinedScoreError(
            "compositional_accuracy needs a factor with at least two values; every factor is constant"
        )
    rows = some_rows(np.flatnonzero((labels >= 0).all(axis=1)), n_rows, seed)
    chosen = [i for i, k in enumerate(positions) if held is None or k in held]
    number = np.unique(labels[rows][:, chosen], axis=0, return_inverse=True)[1].ravel()
    n_combinations = int(number.max(initial=-1)) + 1
    if n_combinations < 2 or not chosen:
        raise UndefinedScoreError(
            f"compositional_accuracy needs at least two combinations of factor values; got {n_combinations}"
        )
    fold = deal(number, len(number), n_folds, generator(seed, "combinations"))
    alive = ~constant(representation.codes[rows])
    codes = np.zeros((len(representation), int(alive.sum())))
    codes[rows] = standardise(representation.codes[rows][:, alive])
    correct: list[NDArray[np.bool_]] = []
    frequent: list[NDArray[np.bool_]] = []
    for f in np.unique(fold):
        train, test = rows[fold != f], rows[fold == f]
        train = without_units_of(representation, train, test)
        if not len(train):
            raise UndefinedScoreError("no training rows are left: every group occurs in every fold of combinations")
        y_pred = [
            _predicted_labels(representation, int(k), labels[:, i], codes, train, test, probe, seed)
            for i, k in enumerate(positions)
        ]
        correct.append(np.stack(y_pred, axis=1) == labels[test])
        frequent.append(np.array([np.bincount(column).argmax() for column in labels[train].T]) == labels[test])
    is_correct, is_frequent = np.concatenate(correct), np.concatenate(frequent)
    chance = is_frequent.all(axis=1).mean()
    if chance == 1:
        raise UndefinedScoreError("predicting the most frequent values is always correct on these rows")
    per_factor = np.full(representation.n_factors, np.nan)
    share = is_frequent.mean(axis=0)
    # a factor that is always at its most frequent value leaves nothing to predict
    per_factor[positions] = np.where(
        share < 1, (is_correct.mean(axis=0) - share) / np.where(share < 1, 1 - share, 1), np.nan
    )
    mostly_unique = n_combinations > 0.5 * len(rows)
    return RawScore(
        value=float((is_correct.all(axis=1).mean() - chance) / (1 - chance)),
        per_factor=per_factor,
        settings={"combinations": str(n_combinations)},
        notes=(f"{len(rows)} rows have {n_combinations} distinct combinations: this is nearly a split of rows",)
        if mostly_unique
        else (),
    )


def _predicted_labels(
    representation: Representation,
    position: int,
    labels: NDArray[np.int64],
    codes: NDArray[np.float64],
    train: NDArray[np.int64],
    test: NDArray[np.int64],
    probe: Probe,
    seed: Seed,
) -> NDArray[np.int64]:
    """Predict a factor's labels on the test rows."""
    factor = representation.space.factors[position]
    if not codes.shape[1]:
        return np.full(len(test), np.bincount(labels[train]).argmax())
    if factor.kind == "categorical":
        classes, y_train = np.unique(labels[train], return_inverse=True)
        return np.asarray(classes[predict(probe, codes[train], y_train.ravel(), codes[test], is_class=True, seed=seed)])
    columns = representation.cached(factor_columns, position)
    y_pred = predict(probe, codes[train], columns[train], codes[test], is_class=False, seed=seed)
    values = np.unique(labels[labels >= 0])
    if factor.kind == "continuous":
        upper = np.array([columns[labels == value].max() for value in values])
        return np.asarray(values[np.searchsorted(upper[:-1], y_pred[:, 0])])
    # nearest value; circular factors as points on the unit circle
    if factor.kind == "circular":
        angle = representation.cached(label_angles, position)[values]
        centres = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    else:
        centres = np.stack([columns[np.argmax(labels == value)] for value in values])
    return np.asarray(values[((y_pred[:, None, :] - centres) ** 2).sum(axis=2).argmin(axis=1)])
