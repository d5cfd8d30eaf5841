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
from disentmetrics.estimators.permutation_importance import MIN_GROUPS, forest_importance
from disentmetrics.estimators.rank_correlation import standardise, standardised_ranks
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, metric
from disentmetrics.representation import Representation
from disentmetrics.representation.resampling import fold_of_each_row
from disentmetrics.statistics.probes import N_FOLDS, single_split, without_split
from disentmetrics.statistics.targets import label_bounds, target

Predictor = Literal["forest", "boosting", "lasso", "impurity forest"]


@dataclass(frozen=True)
class _Task:
    """Prediction of one factor: training and test rows with their targets."""

    train: NDArray[np.int64]
    test: NDArray[np.int64]
    y_train: NDArray[Any]
    y_test: NDArray[Any]
    n_trees: int
    seed: Seed

    @property
    def state(self) -> int:
        return int(generator(self.seed, "dci model").integers(2**31))


@dataclass(frozen=True)
class _Importance:
    """Importance of each live latent for one factor, its significance, and the joint held-out score."""

    importance: Floats
    significant: NDArray[np.bool_]
    informativeness: float


@metric(
    family="predictor",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    paper="Eastwood & Williams (2018), A Framework for the Quantitative Evaluation of Disentangled "
    "Representations, section 2",
    known_failure="A perfect code with a rotated copy of it appended scores 1: predictors ignore the copy.",
    needs=Needs(rows=40, groups=2),
    randomised=True,
    parts={"completeness": (0.0, 1.0), "informativeness": (0.0, 1.0)},
    invariant_to=all_except("relabelled factors", "repeated rows", "rotation", "determined factors"),
    detects={"rotated", "packed", "synergy lost"},
    costly=True,
    enough_rows=4_000,
    protocols={
        "default": Protocol(
            source="disentmetrics: random forest on ranked codes, permutation importance on held-out rows, gated",
            needs=Needs(rows=40, groups=MIN_GROUPS),
        ),
        "locatello2019": Protocol(
            source="disentanglement_lib 1.5: scikit-learn's gradient boosting classifier with default settings, "
            "10,000 training and 5,000 test rows, accuracy",
            options={"predictor": "boosting", "n_train": 10_000, "n_test": 5_000},
            invariant_to=all_except("noise code", "duplicated code", "repeated rows", "rotation", "determined factors"),
            detects={"rotated", "packed", "blurred"},
            slow=True,
            enough_rows=15_000,
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
            invariant_to=all_except("relabelled factors", "rotation", "determined factors"),
            detects={"rotated", "packed", "missing factor", "blurred", "synergy lost"},
            enough_rows=15_000,
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
    """Disentanglement, completeness and informativeness from the importance of each latent for each factor.

    ``D = sum over j of rho_j [1 - H(R_j. / sum_k R_jk) / log K]`` with R_jk the importance of latent j for the
    prediction of factor k, and rho_j the share of latent j in the total importance. Completeness C is the same for
    the columns of R, with ``log d`` in place of ``log K``; informativeness I is the mean held-out score over factors.

    Parameters
    ----------
    representation : Representation
        Rows without a label for a factor are ignored for that factor.
    seed : int or tuple of int
        Random seed for the choice of rows, the trees and the permutations.
    predictor : {"forest", "boosting", "lasso", "impurity forest"}
        ``forest``: random forest, R_jk = increase of the held-out squared error when latent j is permuted, in units
        of the factor's variance (of its indicators, for categorical factors). All R of a latent are 0 if none exceeds
        three standard errors, as are all R of a factor whose forest does not outperform the mean by as much; of the
        remaining entries only those below 1.5 standard errors are set to 0. ``boosting``: classification of every
        factor, impurity importance. ``lasso``: absolute coefficients of standardised columns. ``impurity forest``:
        impurity importance of a regression forest.
    n_train, n_test : int
        Maximum numbers of training and test rows; fewer rows are split in this ratio. Rows of one group are never
        split between the two.
    n_trees : int
        Number of trees of either forest.

    Returns
    -------
    RawScore
        D in [0, 1]; parts ``completeness`` and ``informativeness``. I is R² (chance-corrected accuracy for
        categorical factors) for ``forest``, accuracy for ``boosting``, and 1 - NRMSE otherwise, clipped at 0.
        ``per_factor`` is the mean D of the latents, weighted by their importance for that factor. Details:
        ``importance`` (n_codes, n_factors), ``code_disentanglement`` (n_codes,), ``completeness`` and
        ``informativeness`` (n_factors,).

    Raises
    ------
    UndefinedScoreError
        If no factor varies among the training rows, if rows are of fewer than four groups (two, for all predictors
        but ``forest``), or if the Lasso does not converge.

    Notes
    -----
    The score depends on the importance measure: impurity importance counts noise in a latent as entanglement; the
    Lasso detects only linear relations and attributes the entire importance to one of two equal latents, so that
    completeness stays 1 where it should be ``1 - log 2 / log 2d``. Without the significance gates pure noise scores
    up to 0.5; with them it scores 0, which a note reports. An entry that exceeds the lower gate by chance costs a
    perfect but blurred code up to .01.

    With few rows a forest underestimates weak relations, and D and C are biased upwards: .92 and .94 on 300 rows, .88
    and .89 on 1,000, where 4,000 rows and more give .84 and .85. Intervals allow for this bias, and below 1,000 rows
    there are none; compare encoders on the same number of rows.

    A factor that is determined by another is predicted equally well from the latents of both: a perfect code of three
    factors scores 0.75 where one factor of ten values determines a second of five values, and 0.71 where it determines
    one of two. A dependence with exceptions does not matter (1.00 at a correlation of 0.99).

    Ordinal and continuous factors are regressed, circular ones via cosine and sine jointly, and categorical factors
    are classified; ``boosting`` classifies the values of every factor, and 10 bins of a continuous one. A factor that
    cannot be predicted has weight 0 in C, but counts in I. With a single factor D is 1 for any latent with non-zero
    importance. The authors average C over factors; the weights by importance follow disentanglement_lib. 1 - NRMSE
    rescales their error (RMSE relative to that of the mean). Dead latents have importance 0 and do not change the
    score.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
    >>> score = dci(factors.astype(float), factors)
    >>> score.value, score.parts["completeness"].value, round(score.parts["informativeness"].value, 2)
    (1.0, 1.0, 1.0)
    """
    importance = np.zeros((representation.n_codes, representation.n_factors))
    informativeness = np.full(representation.n_factors, np.nan)
    significant = np.zeros(importance.shape, dtype=bool)
    alive = ~representation.cached_by_codes(constant)
    min_groups = MIN_GROUPS if predictor == "forest" else 2
    for position in range(representation.n_factors):
        factor = representation.cached(target, position, classes=predictor == "boosting")
        split = single_split(representation, factor, n_train, n_test, seed, min_groups=min_groups)
        if split is None:
            continue
        train, test = split
        task = _Task(train, test, factor.values[train], factor.values[test], n_trees, seed)
        informativeness[position] = 0.0
        if alive.any():
            result = _PREDICTORS[predictor](representation, alive, task)
            importance[alive, position], significant[alive, position] = result.importance, result.significant
            informativeness[position] = result.informativeness
    importance[~significant.any(axis=1)] = 0.0  # weak relations count only for latents that also have a strong one
    defined = ~np.isnan(informativeness)
    excluded = without_split(representation, defined, min_groups=min_groups)
    if not defined.any():
        raise UndefinedScoreError(f"dci cannot score any factor: {'; '.join(excluded)}")
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
        notes=(
            *(() if mass.any() else ("no latent predicts a factor better than chance: D and C are 0",)),
            *excluded,
        ),
    )


def _forest(representation: Representation, alive: NDArray[np.bool_], task: _Task) -> _Importance:
    # ranks are invariant to monotone maps and robust to outliers
    ranks = representation.cached_by_codes(standardised_ranks)[:, alive]
    y_train, y_test = task.y_train, task.y_test
    if y_train.ndim == 2 and y_train.shape[1] == 1:  # an outlying number would dominate the squared error
        bounds = label_bounds(y_train)
        y_train, y_test = np.clip(y_train, *bounds), np.clip(y_test, *bounds)
    fit = forest_importance(
        ranks[task.train],
        y_train,
        ranks[task.test],
        y_test,
        rng=generator(task.seed, "dci forest"),
        n_trees=task.n_trees,
        clusters=None if representation.resampling_units is None else representation.resampling_units[task.test],
    )
    return _Importance(fit.importance, fit.clear, max(fit.score, 0.0))


def _boosting(representation: Representation, alive: NDArray[np.bool_], task: _Task) -> _Importance:
    from sklearn.ensemble import GradientBoostingClassifier  # slow to import

    codes = well_scaled(representation.codes[:, alive])
    model = GradientBoostingClassifier(random_state=task.state).fit(codes[task.train], task.y_train)
    accuracy = float((model.predict(codes[task.test]) == task.y_test).mean())
    return _ungated(model.feature_importances_, accuracy)


def _lasso(representation: Representation, alive: NDArray[np.bool_], task: _Task) -> _Importance:
    codes = well_scaled(representation.codes[:, alive]).astype(np.float64)
    fold = representation.cached(fold_of_each_row, N_FOLDS, task.seed)[task.train]
    y_train, y_test = _target_columns(task)
    inputs = standardise(codes[task.train])
    try:
        coefficients, _ = cross_validated_lasso(inputs, standardise(y_train), fold)
    except UndefinedScoreError:
        raise
    except DisentmetricsError as error:
        raise UndefinedScoreError(str(error)) from error
    centre, spread = codes[task.train].mean(axis=0), codes[task.train].std(axis=0)
    # a latent that is constant among the training rows is ignored
    test_inputs = (codes[task.test] - centre) / np.where(constant(codes[task.train]), np.inf, spread)
    y_pred = y_train.mean(axis=0) + (test_inputs @ coefficients) * y_train.std(axis=0)
    return _ungated(np.abs(coefficients).mean(axis=1), _one_minus_nrmse(y_pred, y_test, y_train))


def _impurity_forest(representation: Representation, alive: NDArray[np.bool_], task: _Task) -> _Importance:
    codes = well_scaled(representation.codes[:, alive])
    y_train, y_test = _target_columns(task)
    forest = Forest.fit(codes[task.train], y_train, n_trees=task.n_trees, state=task.state, max_depth=12)
    y_pred = forest.predict(codes[task.test])
    return _ungated(forest.importance, _one_minus_nrmse(y_pred, y_test, y_train))


def _ungated(importance: Floats, informativeness: float) -> _Importance:
    return _Importance(importance, np.ones(len(importance), dtype=bool), informativeness)


def _target_columns(task: _Task) -> tuple[Floats, Floats]:
    """Return training and test targets as numeric columns; classes become indicators."""
    if task.y_train.ndim == 2:  # already numeric
        return task.y_train, task.y_test
    indicators = np.eye(int(max(task.y_train.max(), task.y_test.max())) + 1)
    return indicators[task.y_train], indicators[task.y_test]


def _one_minus_nrmse(y_pred: Floats, y_test: Floats, y_train: Floats) -> float:
    baseline = ((y_test - y_train.mean(axis=0)) ** 2).sum()
    if baseline <= 0:
        return 0.0
    return float(max(0.0, 1 - np.sqrt(((y_pred - y_test) ** 2).sum() / baseline)))


_PREDICTORS: dict[str, Callable[[Representation, NDArray[np.bool_], _Task], _Importance]] = {
    "forest": _forest,
    "boosting": _boosting,
    "lasso": _lasso,
    "impurity forest": _impurity_forest,
}
