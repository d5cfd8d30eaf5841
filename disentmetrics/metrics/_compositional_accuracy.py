"""Accuracy on combinations of factors that were never seen."""

import math

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.random import generator
from disentmetrics.errors import InvalidInputError, UndefinedScoreError
from disentmetrics.estimators.activity import constant
from disentmetrics.estimators.rank_correlation import standardise
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, metric
from disentmetrics.representation import Representation
from disentmetrics.representation.resampling import Seed, some_rows
from disentmetrics.statistics.association import factor_columns
from disentmetrics.statistics.factor_groups import varied_factors
from disentmetrics.statistics.probes import Probe, predict


@metric(
    family="downstream",
    bounds=(-math.inf, 1.0),
    higher_is_better=True,
    paper="Mahon, Sha & Lukasiewicz (2024), Correcting Flaws in Common Disentanglement Metrics, section 6",
    known_failure="Codes that mix all factors invertibly can score 1: a strong probe unmixes them.",
    needs=Needs(rows=60),
    randomised=True,
    protocols={
        "default": Protocol(
            source="disentmetrics: boosting, a third of all combinations held out in turn",
            costly=True,
            invariant_to=all_except("relabelled factors", "repeated rows", "rotation"),
            detects=frozenset({"rotated", "missing factor", "blurred", "synergy lost"}),
        ),
        "linear": Protocol(
            source="disentmetrics: least squares and logistic regression, else as the default",
            options={"probe": "linear"},
            invariant_to=all_except("monotone warp", "outlier", "relabelled factors"),
            detects=frozenset({"packed", "missing factor", "blurred"}),
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
    """Accuracy of telling all factors at once, in combinations of values that no training row has.

    Combinations of factor values are dealt into folds, and every row follows its combination. A probe for
    each factor learns from the other folds; with A the share of held-out rows on which every factor is told
    right, and C the share if each factor is guessed to have the most frequent value of the training rows, the
    score is ``(A - C) / (1 - C)``.

    Parameters
    ----------
    representation : Representation
        Rows that miss a label of a factor that varies are left out; continuous factors are discretised into 10
        equal-frequency bins.
    seed : int or tuple of int
        Deals combinations into folds.
    held : tuple of int, optional
        Positions of the factors whose combinations are held out, while values of the others may occur on both
        sides; all factors by default.
    probe : {"boosting", "linear"}
        Ordinal, continuous and circular factors are predicted as numbers and set to the nearest value;
        categories are classified.
    n_folds : int
    n_rows : int
        Maximum number of rows; a random subset is used if there are more.

    Returns
    -------
    RawScore
        At most 1, where every row of an unseen combination is told right in every factor; 0 for unrelated
        codes, below it for codes that mislead. Per factor: ``(a - c) / (1 - c)`` of its own accuracy; the value
        is not their mean.

    Raises
    ------
    InvalidInputError
        If ``held`` names a factor that does not exist.
    UndefinedScoreError
        If there are fewer combinations than two, or groups leave no rows to learn from.

    Notes
    -----
    Where nearly every row has a combination of its own, as in a draw from many factors, the split is one of
    rows, and says so: name a few factors in ``held`` then. The authors train a network for each factor and hold out
    combinations of two. Training rows whose group also stands in the held-out fold are left out.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(20, axis=0)
    >>> score = compositional_accuracy(factors @ [[1, 1], [1, -1]], factors, protocol="linear")
    >>> score.value, compositional_accuracy(factors[:, 0], factors, protocol="linear").per_factor["factor_0"]
    (1.0, 1.0)
    """
    positions = np.flatnonzero(representation.cached(varied_factors))
    if held is not None and not set(held) <= set(range(representation.n_factors)):
        raise InvalidInputError(f"held must name positions 0 .. {representation.n_factors - 1}; got {held!r}")
    labels = np.stack([representation.labels(int(k)) for k in positions], axis=1) if len(positions) else None
    if labels is None:
        raise UndefinedScoreError(
            "compositional_accuracy needs a factor that takes two values; every factor is constant"
        )
    rows = some_rows(np.flatnonzero((labels >= 0).all(axis=1)), n_rows, seed)
    chosen = [i for i, k in enumerate(positions) if held is None or k in held]
    number = np.unique(labels[rows][:, chosen], axis=0, return_inverse=True)[1].ravel()
    n_combinations = int(number.max(initial=-1)) + 1
    if n_combinations < 2 or not chosen:
        raise UndefinedScoreError(f"two combinations of values must occur, to hold one out; got {n_combinations}")
    fold = (generator(seed, "combinations").permutation(n_combinations) % n_folds)[number]
    alive = ~constant(representation.codes[rows])
    codes = np.zeros((len(representation), int(alive.sum())))
    codes[rows] = standardise(representation.codes[rows][:, alive])
    right: list[NDArray[np.bool_]] = []
    frequent: list[NDArray[np.bool_]] = []
    for f in np.unique(fold):
        train, test = rows[fold != f], rows[fold == f]
        if representation.resampling_units is not None:
            train = train[~np.isin(representation.resampling_units[train], representation.resampling_units[test])]
        if not len(train):
            raise UndefinedScoreError(
                "no rows are left to learn from: every group stands in every fold of combinations"
            )
        told = [
            _told(representation, int(k), labels[:, i], codes, train, test, probe, seed)
            for i, k in enumerate(positions)
        ]
        right.append(np.stack(told, axis=1) == labels[test])
        frequent.append(np.array([np.bincount(column).argmax() for column in labels[train].T]) == labels[test])
    is_right, is_frequent = np.concatenate(right), np.concatenate(frequent)
    chance = is_frequent.all(axis=1).mean()
    if chance == 1:
        raise UndefinedScoreError("guessing the most frequent values is always right on these rows")
    per_factor = np.full(representation.n_factors, np.nan)
    share = is_frequent.mean(axis=0)
    per_factor[positions] = np.where(
        share < 1, (is_right.mean(axis=0) - share) / np.where(share < 1, 1 - share, 1), np.nan
    )
    few = n_combinations > 0.5 * len(rows)
    return RawScore(
        value=float((is_right.all(axis=1).mean() - chance) / (1 - chance)),
        per_factor=per_factor,
        settings={"combinations": str(n_combinations)},
        notes=(f"{len(rows)} rows have {n_combinations} combinations: the split is nearly one of rows",) if few else (),
    )


def _told(
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
        classes, known = np.unique(labels[train], return_inverse=True)
        return np.asarray(classes[predict(probe, codes[train], known.ravel(), codes[test], is_class=True, seed=seed)])
    columns = representation.cached(factor_columns, position)
    guess = predict(probe, codes[train], columns[train], codes[test], is_class=False, seed=seed)
    values = np.unique(labels[labels >= 0])
    if factor.kind == "continuous":
        upper = np.array([columns[labels == value].max() for value in values])
        return np.asarray(values[np.searchsorted(upper[:-1], guess[:, 0])])
    centres = np.stack([columns[np.argmax(labels == value)] for value in values])
    return np.asarray(values[((guess[:, None, :] - centres) ** 2).sum(axis=2).argmin(axis=1)])
