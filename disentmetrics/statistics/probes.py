"""Factors predicted from codes, always out of fold, and latents assigned to factors."""

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.random import generator
from disentmetrics._utils.threads import single_threaded_blas
from disentmetrics._utils.typing import Floats, Integers, Seed
from disentmetrics.estimators.activity import constant
from disentmetrics.estimators.assignment import one_to_one_assignment
from disentmetrics.estimators.mutual_information import contingency
from disentmetrics.estimators.rank_correlation import standardise
from disentmetrics.representation import Representation
from disentmetrics.representation.resampling import Split, folds, number_of_units, some_rows, train_and_test_rows
from disentmetrics.statistics.mutual_information import code_bins, information_matrix
from disentmetrics.statistics.targets import Target, bounded_target, target, varied_factors

Probe = Literal["linear", "boosting"]
_PROBES: tuple[Probe, ...] = ("linear", "boosting")
N_FOLDS = 5
_BOOSTING_LOCK = threading.Lock()
BOOSTING: dict[str, Any] = {"max_iter": 50, "learning_rate": 0.2, "early_stopping": False}
"""As accurate as scikit-learn's default of 100 trees at rate 0.1, in half the time."""


def single_split(
    representation: Representation, factor: Target, n_train: int, n_test: int, seed: Seed, *, min_groups: int
) -> Split | None:
    """Return rows to train and to test a predictor of a factor on; None where this is not possible.

    The factor must vary among the training rows, and its rows must belong to ``min_groups`` groups, if they are
    grouped.
    """
    if not factor.varies or number_of_units(representation, factor.rows) < min_groups:
        return None
    train, test = train_and_test_rows(representation, factor.rows, n_train, n_test, seed)
    enough = len(train) and len(test) and np.ptp(factor.values[train], axis=0).any()
    return (train, test) if enough else None


def without_split(representation: Representation, scored: NDArray[np.bool_], *, min_groups: int) -> tuple[str, ...]:
    """Return a note for each factor that varies and that :func:`single_split` could not split.

    Parameters
    ----------
    representation : Representation
    scored : (n_factors,) bool
        Factors that were split.
    min_groups : int
    """
    notes = []
    for position in np.flatnonzero(representation.cached(varied_factors) & ~scored):
        name = representation.space.names[position]
        n_groups = number_of_units(representation, representation.cached(target, int(position)).rows)
        notes.append(
            f"{name} is excluded: its rows belong to {n_groups} group{'s' * (n_groups != 1)}, fewer than {min_groups}"
            if n_groups < min_groups
            else f"{name} is excluded: it takes a single value among the training rows"
        )
    return tuple(notes)


def standardised_codes(representation: Representation) -> Floats:
    """Return latents with mean 0 and mean square 1, without constant ones."""
    return standardise(representation.codes[:, ~representation.cached_by_codes(constant)])


def held_out_score(
    representation: Representation,
    position: int,
    probe: Probe,
    seed: Seed,
    *,
    codes: tuple[int, ...] | None = None,
    n_folds: int = N_FOLDS,
    n_rows: int | None = None,
) -> float:
    """Held-out score of a probe that predicts a factor from codes.

    Parameters
    ----------
    representation : Representation
    position : int
        Position of the factor.
    probe : {"linear", "boosting"}
        Least squares or logistic regression; histogram gradient boosting.
    seed : int or tuple of int
        Random seed of the folds and of the probe.
    codes : tuple of int, optional
        Positions of the latents that are used; all by default.
    n_folds : int
    n_rows : int, optional
        Largest number of rows used, drawn by ``seed``.

    Returns
    -------
    float
        R² relative to the mean of the training rows, over all columns jointly; for categorical factors
        ``(accuracy - a) / (1 - a)`` with a the accuracy of the most frequent class of the training rows.
        At most 1; 0 for uninformative codes, negative for misleading predictions; NaN if there is nothing to predict.
        For boosting, outlying labels are bounded (:func:`~disentmetrics.statistics.targets.bounded_target`).
    """
    y = representation.cached(bounded_target if probe == "boosting" else target, position)
    chosen = list(range(representation.n_codes)) if codes is None else list(codes)
    values = representation.codes[:, chosen]
    values = standardise(values[:, ~constant(values)])
    rows = y.rows if n_rows is None else some_rows(y.rows, n_rows, seed)
    splits = folds(representation, rows, n_folds, seed)
    if not y.varies or len(splits) < 2:
        return float("nan")
    if not values.shape[1]:
        return 0.0
    errors = baseline = 0.0
    for train, test in splits:
        y_train, y_test = y.values[train], y.values[test]
        y_pred = predict(probe, values[train], y_train, values[test], is_class=y.is_class, seed=seed)
        if y.is_class:
            errors += float((y_pred != y_test).sum())
            baseline += float((np.bincount(y_train).argmax() != y_test).sum())
        else:
            errors += float(((y_pred - y_test) ** 2).sum())
            baseline += float(((y_train.mean(axis=0) - y_test) ** 2).sum())
    return 1 - errors / baseline if baseline > 0 else 0.0


def predict(
    probe: Probe,
    codes: Floats,
    values: NDArray[Any],
    new: Floats,
    *,
    is_class: bool,
    seed: Seed,
) -> NDArray[Any]:
    """Fit a probe to ``codes`` and ``values`` and predict the values of ``new`` codes."""
    if is_class and len(np.unique(values)) < 2:
        return np.full(len(new), values[0])
    state = int(generator(seed, f"probe {probe}").integers(2**31))
    fit = _CLASSIFIERS[probe] if is_class else _REGRESSORS[probe]
    return np.asarray(fit(codes, values, new, state))


@contextmanager
def one_boosting_at_a_time() -> Iterator[None]:
    """Prevent other threads from boosting inside the context.

    scikit-learn's binning briefly clears the warning filters, which all threads share; a concurrent binning then emits
    spurious warnings. Boosting gains nothing from Python threads.
    """
    with (
        _BOOSTING_LOCK,
        single_threaded_blas(),
    ):  # scikit-learn may just have loaded its thread pool
        yield


def _least_squares(codes: Floats, values: Floats, new: Floats, _: int) -> Floats:
    centre, mean = codes.mean(axis=0), values.mean(axis=0)
    weights = np.linalg.lstsq(codes - centre, values - mean, rcond=None)[0]
    return np.asarray((new - centre) @ weights + mean)


def _logistic(codes: Floats, values: Integers, new: Floats, _: int) -> Integers:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # after 1,000 iterations the rest is negligible
        return np.asarray(LogisticRegression(max_iter=1000).fit(codes, values).predict(new))


def _boosted_regression(codes: Floats, values: Floats, new: Floats, state: int) -> Floats:
    from sklearn.ensemble import HistGradientBoostingRegressor

    with one_boosting_at_a_time():
        columns = [
            HistGradientBoostingRegressor(random_state=state, **BOOSTING).fit(codes, column).predict(new)
            for column in values.T
        ]
    return np.stack(columns, axis=1)


def _boosted_classification(codes: Floats, values: Integers, new: Floats, state: int) -> Integers:
    from sklearn.ensemble import HistGradientBoostingClassifier

    model = HistGradientBoostingClassifier(random_state=state, **BOOSTING)
    with one_boosting_at_a_time():
        return np.asarray(model.fit(codes, values).predict(new))


_REGRESSORS: dict[str, Callable[..., NDArray[Any]]] = {"linear": _least_squares, "boosting": _boosted_regression}
_CLASSIFIERS: dict[str, Callable[..., NDArray[Any]]] = {"linear": _logistic, "boosting": _boosted_classification}


def step_prediction(representation: Representation, n_bins: int = 50) -> Floats:
    """Share of each factor's variance explained by a step function of each latent, as (n_codes, n_factors).

    The correlation ratio of factor and binned latent, corrected for chance: 0 on average, and possibly negative, for
    independent latents; 1 where the latent determines the factor. Monotone transformations of a latent do not change
    its bins. For categorical factors it is the share of the Gini impurity, for circular factors the joint share of
    cosine and sine. 0 for constant latents and where a factor does not vary. Outlying labels are bounded
    (:func:`~disentmetrics.statistics.targets.bounded_target`).

    Parameters
    ----------
    representation : Representation
    n_bins : int
        Bins of equal frequency; at most one per 5 rows. A latent of fewer values has one bin per value.

    References
    ----------
    Kelley (1935), *An Unbiased Correlation Ratio Measure*; Goodman & Kruskal (1954), *Measures of Association
    for Cross Classifications*, section 9, for categories.
    """
    explained = np.zeros((representation.n_codes, representation.n_factors))
    for position in range(representation.n_factors):
        y = representation.cached(bounded_target, position)
        n = len(y.rows)
        if not y.varies:
            continue
        present = representation if y.is_complete else representation.take(y.rows)
        most = min(n_bins, max(2, n // 5))
        for code, bins in enumerate(code_bins(present, "quantile", most)):
            if bins is not None and n > int(bins.max()) + 1:
                n_values = int(bins.max()) + 1
                explained[code, position] = 1 - (1 - _explained(bins, n_values, y)) * (n - 1) / (n - n_values)
    return explained


def _explained(bins: Integers, n_values: int, y: Target) -> float:
    """Correlation ratio: share of the sum of squares about the mean that lies between bins."""
    count = np.maximum(np.bincount(bins, minlength=n_values), 1)
    values = y.of(y.values)
    if y.is_class:
        table = contingency(bins, values, n_values, y.n_classes)
        by_chance = float((table.sum(axis=0) ** 2).sum()) / len(bins)
        return (float(((table**2).sum(axis=1) / count).sum()) - by_chance) / (len(bins) - by_chance)
    centred = values - values.mean(axis=0)
    within = np.stack([np.bincount(bins, column, minlength=n_values) for column in centred.T])
    return float((within**2 / count).sum() / (centred**2).sum())


def aligned_codes(representation: Representation) -> Integers:
    """Return the latent matched to each factor, one to one, -1 where there are too few, as (n_factors,).

    The matching has the largest total mutual information, corrected for chance (Hungarian method).
    """
    information = representation.cached(information_matrix, "adjusted")
    codes, factors = one_to_one_assignment(np.maximum(information, 0.0))
    aligned = np.full(representation.n_factors, -1)
    aligned[factors] = codes
    return aligned


def best_held_out_score(
    representation: Representation,
    position: int,
    seed: Seed,
    *,
    codes: tuple[int, ...] | None = None,
    n_rows: int | None = None,
    enough: float = 0.999,
) -> float:
    """Return the larger of the linear and the boosted :func:`held_out_score` over two folds, at least 0.

    Boosting, which is slow, is skipped where the linear score reaches ``enough``. NaN if there is nothing to predict.
    """
    best = 0.0
    for probe in _PROBES:
        score = representation.cached(held_out_score, position, probe, seed, codes=codes, n_folds=2, n_rows=n_rows)
        if np.isnan(score):
            return score
        best = max(best, score)
        if best >= enough:
            break
    return best
