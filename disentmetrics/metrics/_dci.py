"""Disentanglement, completeness and informativeness."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.random import generator
from disentmetrics._utils.typing import Floats, Seed
from disentmetrics.errors import DisentmetricsError, UndefinedScoreError
from disentmetrics.estimators.activity import constant, well_scaled
from disentmetrics.estimators.forest import Forest
from disentmetrics.estimators.importance import completeness, disentanglement
from disentmetrics.estimators.lasso_path import cross_validated_lasso
from disentmetrics.estimators.permutation_importance import forest_importance
from disentmetrics.estimators.rank_correlation import standardise, standardised_ranks
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, metric
from disentmetrics.representation import Representation
from disentmetrics.representation.resampling import fold_of_each_row, train_and_test_rows
from disentmetrics.statistics.probes import N_FOLDS
from disentmetrics.statistics.targets import Target, target

Predictor = Literal["forest", "boosting", "lasso", "impurity forest"]


@dataclass(frozen=True)
class _Task:
    """One factor to be predicted: codes and target of rows to learn from and of rows held out."""

    train: NDArray[np.int64]
    test: NDArray[np.int64]
    known: NDArray[Any]
    wanted: NDArray[Any]
    n_trees: int
    seed: Seed

    @property
    def state(self) -> int:
        return int(generator(self.seed, "dci model").integers(2**31))


@dataclass(frozen=True)
class _Found:
    """How important each live code is for one factor, where that is clear, and how well all of them predict it."""

    importance: Floats
    clear: NDArray[np.bool_]
    informativeness: float


@metric(
    family="predictor",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    paper="Eastwood & Williams (2018), A Framework for the Quantitative Evaluation of Disentangled "
    "Representations, section 2",
    known_failure="Perfect codes beside a rotated copy of them score 1: predictors ignore the copy.",
    needs=Needs(rows=40),
    randomised=True,
    parts={"completeness": (0.0, 1.0), "informativeness": (0.0, 1.0)},
    invariant_to=all_except("relabelled factors", "repeated rows", "rotation"),
    detects={"rotated", "packed", "synergy lost"},
    costly=True,
    protocols={
        "default": Protocol(
            source="disentmetrics: random forest on ranked codes, permutation importance on held-out rows, gated",
        ),
        "locatello2019": Protocol(
            source="disentanglement_lib 1.5: scikit-learn's gradient boosting of classes as it comes, 10,000 and "
            "5,000 rows, accuracy",
            options={"predictor": "boosting", "n_train": 10_000, "n_test": 5_000},
            invariant_to=all_except("noise code", "duplicated code", "repeated rows", "rotation"),
            detects={"rotated", "packed", "blurred"},
            slow=True,
        ),
        "eastwood2018": Protocol(
            source="Eastwood & Williams (2018): Lasso, penalty by cross-validation and the one-standard-error rule",
            options={"predictor": "lasso", "n_train": 10_000, "n_test": 5_000},
            invariant_to=all_except("monotone warp", "outlier", "duplicated code", "relabelled factors", "rotation"),
            detects={"rotated", "packed"},
            slow=True,
        ),
        "eastwood2018_forest": Protocol(
            source="Eastwood & Williams (2018): random forest of 10 trees of depth 12, impurity importance",
            options={"predictor": "impurity forest", "n_train": 10_000, "n_test": 5_000, "n_trees": 10},
            invariant_to=all_except("relabelled factors", "rotation"),
            detects={"rotated", "packed", "missing factor", "blurred", "synergy lost"},
        ),
    },
)
def dci(
    representation: Representation,
    *,
    seed: Seed = 0,
    predictor: Predictor = "forest",
    n_train: int = 2_000,
    n_test: int = 2_000,
    n_trees: int = 15,
) -> RawScore:
    """How far each code serves one factor only (D); how far each factor needs one code only (C); and how well (I).

    With R_jk the importance of code j for predicting factor k, ``D = sum over j of rho_j [1 - H(R_j. / sum_k R_jk)
    / log K]``, rho_j being the share of code j in all importance; C is the same over the columns of R, to base
    log d; I is the held-out score, averaged over factors.

    Parameters
    ----------
    representation : Representation
        Rows without a label for a factor are ignored for that factor.
    seed : int or tuple of int
        Decides rows, trees and permutations.
    predictor : {"forest", "boosting", "lasso", "impurity forest"}
        ``forest``: random forest, R_jk = rise of the held-out squared error when code j is permuted, in units
        of the factor's variance (of indicators, for categories). All R of a code are 0 where none exceeds three
        of its standard errors, and all of a factor whose forest does not beat the mean by as much; of the others
        only those of less than 1.5 standard errors. ``boosting``: classes of
        every factor, impurity importance. ``lasso``: absolute coefficients of standardised columns.
        ``impurity forest``: impurity importance of regression.
    n_train, n_test : int
        Most rows to learn from and to score on; fewer rows are split in this ratio. Rows of one group are never split
        between the two.
    n_trees : int
        Of either forest.

    Returns
    -------
    RawScore
        D in [0, 1]; parts ``completeness`` and ``informativeness``. I is R² (chance-corrected accuracy for
        categories) for ``forest``, accuracy for ``boosting``, and 1 - NRMSE otherwise, at least 0. ``per_factor`` is
        the mean D of the codes by their importance for that factor. Details: ``importance`` (n_codes, n_factors),
        ``code_disentanglement`` (n_codes,), ``completeness`` and ``informativeness`` (n_factors,).

    Raises
    ------
    UndefinedScoreError
        If no factor varies on the rows to learn from, or the Lasso does not converge.

    Notes
    -----
    The importance decides the score: impurity charges noise in a code as entanglement, and the Lasso sees lines
    only and gives the whole importance to one of two equal codes, so that completeness stays 1 where it should be
    ``1 - log 2 / log 2d``. Without the gates pure noise scores up to 0.5; with them it scores 0, and a note says so.
    On few rows a forest learns weak relations less well, and D and C come out too high: .92 and .94 on 300 rows, .88
    and .89 on 1,000 where many rows give .85. Intervals show part of that; compare encoders on equal rows. A cell
    that noise put above the lower gate costs a perfect but blurred code up to .01.
    Ordinal and continuous factors are regressed, circular ones by cosine and sine together, categories classified;
    ``boosting`` takes the values of every factor, and 10 bins of a continuous one, for classes.
    A factor that nothing predicts has weight 0 in C, and counts in I. With one factor D is 1 for a code that matters.
    The authors average over factors in C; weights by importance follow disentanglement_lib. 1 - NRMSE is our scale
    for their error (RMSE over that of the mean). Dead codes have importance 0 and change nothing.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
    >>> score = dci(factors.astype(float), factors)
    >>> score.value, score.parts["completeness"].value, round(score.parts["informativeness"].value, 2)
    (1.0, 1.0, 1.0)
    """
    importance = np.zeros((representation.n_codes, representation.n_factors))
    informativeness = np.full(representation.n_factors, np.nan)
    clear = np.zeros(importance.shape, dtype=bool)
    alive = ~representation.cached_by_codes(constant)
    for position in range(representation.n_factors):
        aim = representation.cached(target, position, classes=predictor == "boosting")
        task = _task(representation, aim, n_train, n_test, n_trees, seed)
        if task is None:
            continue
        informativeness[position] = 0.0
        if alive.any():
            found = _PREDICTORS[predictor](representation, alive, task)
            importance[alive, position], clear[alive, position] = found.importance, found.clear
            informativeness[position] = found.informativeness
    importance[~clear.any(axis=1)] = 0.0  # weak relations are believed of codes that have a strong one
    defined = ~np.isnan(informativeness)
    if not defined.any():
        raise UndefinedScoreError("dci needs a factor that varies on the rows to learn from; every factor is constant")
    by_code, weights = disentanglement(importance[:, defined])
    complete, factor_weights = completeness(importance[:, defined])
    by_factor = np.full(representation.n_factors, np.nan)
    mass = importance[:, defined].sum(axis=0)
    by_factor[defined] = (by_code @ importance[:, defined]) / np.where(mass > 0, mass, 1.0)
    by_factor_complete = np.full(representation.n_factors, np.nan)
    by_factor_complete[defined] = complete
    return RawScore(
        value=float(by_code @ weights),
        per_factor=by_factor,
        details={
            "importance": importance,
            "code_disentanglement": by_code,
            "completeness": by_factor_complete,
            "informativeness": informativeness,
        },
        parts={
            "completeness": float(complete @ factor_weights),
            "informativeness": float(informativeness[defined].mean()),
        },
        notes=() if mass.any() else ("no code predicts a factor better than chance, so D and C are 0",),
    )


def _task(
    representation: Representation, aim: Target, n_train: int, n_test: int, n_trees: int, seed: Seed
) -> _Task | None:
    """Split the rows of a factor; None if it does not vary on the rows to learn from or no row is left to score."""
    if not aim.varies:
        return None
    train, test = train_and_test_rows(representation, aim.rows, n_train, n_test, seed)
    where = np.full(len(representation), -1)
    where[aim.rows] = np.arange(len(aim.rows))
    known, wanted = aim.values[where[train]], aim.values[where[test]]
    if not len(test) or not len(train) or not np.ptp(known, axis=0).any():
        return None
    return _Task(train, test, known, wanted, n_trees, seed)


def _forest(representation: Representation, alive: NDArray[np.bool_], task: _Task) -> _Found:
    ranks = representation.cached_by_codes(standardised_ranks)[:, alive]  # no warp, scale or outlier moves them
    found = forest_importance(
        ranks[task.train],
        task.known,
        ranks[task.test],
        task.wanted,
        rng=generator(task.seed, "dci forest"),
        n_trees=task.n_trees,
        clusters=None if representation.groups is None else representation.groups[task.test],
    )
    return _Found(
        found.importance * found.beats_null, found.clear & found.beats_null, max(found.score, 0.0) * found.beats_null
    )


def _boosting(representation: Representation, alive: NDArray[np.bool_], task: _Task) -> _Found:
    from sklearn.ensemble import GradientBoostingClassifier  # slow to import

    codes = well_scaled(representation.codes[:, alive])
    model = GradientBoostingClassifier(random_state=task.state).fit(codes[task.train], task.known)
    accuracy = float((model.predict(codes[task.test]) == task.wanted).mean())
    return _ungated(model.feature_importances_, accuracy)


def _lasso(representation: Representation, alive: NDArray[np.bool_], task: _Task) -> _Found:
    codes = well_scaled(representation.codes[:, alive]).astype(np.float64)
    fold = representation.cached(fold_of_each_row, N_FOLDS, task.seed)[task.train]
    columns, new = _columns(task)
    inputs = standardise(codes[task.train])
    try:
        coefficients, _ = cross_validated_lasso(inputs, standardise(columns), fold)
    except UndefinedScoreError:
        raise
    except DisentmetricsError as error:
        raise UndefinedScoreError(str(error)) from error
    centre, spread = codes[task.train].mean(axis=0), codes[task.train].std(axis=0)
    ready = (codes[task.test] - centre) / np.where(constant(codes[task.train]), np.inf, spread)
    guess = columns.mean(axis=0) + (ready @ coefficients) * columns.std(axis=0)
    return _ungated(np.abs(coefficients).mean(axis=1), _one_minus_nrmse(guess, new, columns))


def _impurity_forest(representation: Representation, alive: NDArray[np.bool_], task: _Task) -> _Found:
    codes = well_scaled(representation.codes[:, alive])
    columns, new = _columns(task)
    forest = Forest.fit(codes[task.train], columns, n_trees=task.n_trees, state=task.state, max_depth=12)
    guess = forest.predict(codes[task.test])
    return _ungated(forest.importance, _one_minus_nrmse(guess, new, columns))


def _ungated(importance: Floats, informativeness: float) -> _Found:
    return _Found(importance, np.ones(len(importance), dtype=bool), informativeness)


def _columns(task: _Task) -> tuple[Floats, Floats]:
    """Return what is known and what is wanted as columns of numbers: indicators, for classes."""
    if task.known.ndim == 2:  # numbers already
        return task.known, task.wanted
    indicators = np.eye(int(max(task.known.max(), task.wanted.max())) + 1)
    return indicators[task.known], indicators[task.wanted]


def _one_minus_nrmse(guess: Floats, wanted: Floats, known: Floats) -> float:
    baseline = ((wanted - known.mean(axis=0)) ** 2).sum()
    if baseline <= 0:
        return 0.0
    return float(max(0.0, 1 - np.sqrt(((guess - wanted) ** 2).sum() / baseline)))


_PREDICTORS: dict[str, Callable[[Representation, NDArray[np.bool_], _Task], _Found]] = {
    "forest": _forest,
    "boosting": _boosting,
    "lasso": _lasso,
    "impurity forest": _impurity_forest,
}
