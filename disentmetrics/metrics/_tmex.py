"""T-MEX: tests of measurement exclusivity by conditional independence."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc

from disentmetrics._utils.typing import Seed
from disentmetrics.errors import InvalidInputError, UndefinedScoreError
from disentmetrics.estimators.activity import constant
from disentmetrics.estimators.assignment import one_to_one_assignment
from disentmetrics.estimators.rank_correlation import standardise
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, mean_over_factors, metric
from disentmetrics.representation import Representation
from disentmetrics.representation.resampling import folds, some_rows
from disentmetrics.statistics.factor_regression import true_factors
from disentmetrics.statistics.probes import Probe, predict

FEW_ROWS = 500
_MIN_ROWS = 20
_MIN_UNEXPLAINED = 1e-6
"""Smallest unexplained share of a variance; smaller residuals are numerical noise and count as independent."""


@metric(
    family="predictor",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    paper="Yao, Huang, Cadei, Zhang & Locatello (2025), The Third Pillar of Causal Analysis? A Measurement Perspective "
    "on Causal Representations; Shah & Peters (2020), The Hardness of Conditional Independence Testing, for the test",
    known_failure="With few rows a mixed code can score 1: an undetected dependence counts as exclusive.",
    needs=Needs(rows=_MIN_ROWS, groups=2),
    randomised=True,
    parts={"found": (0.0, 1.0), "exclusive": (0.0, 1.0)},
    # With five latents of noise and three factors, one cell in five is expected to be dependent and is not. A single
    # decision is 0.08 of the score, and a test close to its level can change with the order of rows. Further latents
    # add cells that agree.
    invariant_to=all_except(
        "row order",
        "outlier",
        "dead code",
        "noise code",
        "duplicated code",
        "relabelled factors",
        "repeated rows",
        "rotation",
    ),
    detects={"rotated", "packed", "rotated copy", "missing factor"},
    noise=0.8,
    costly=True,
    slow=True,
    protocols={
        "default": Protocol(
            source="disentmetrics: generalised covariance measure with cross-fitted gradient boosting, level 0.05",
        ),
        "linear": Protocol(
            source="disentmetrics: generalised covariance measure with cross-fitted least squares, level 0.05",
            options={"probe": "linear"},
            invariant_to=all_except(
                "row order",
                "dead code",
                "noise code",
                "duplicated code",
                "relabelled factors",
                "repeated rows",
                "rotation",
            ),
            costly=False,
            slow=False,
        ),
    },
)
def tmex(
    representation: Representation,
    *,
    seed: Seed,
    expected: ArrayLike | None = None,
    probe: Probe = "boosting",
    alpha: float = 0.05,
    n_folds: int = 3,
    n_rows: int = 5_000,
) -> RawScore:
    """T-MEX: share of latent-factor pairs whose tested conditional dependence agrees with the expected pattern.

    ``mean over j and k of [W_jk = M_jk]``, with W_jk whether the hypothesis
    ``z_j independent of v_k given the other factors`` is rejected at level alpha, and M the expected pattern. A
    latent measures factor k exclusively if it depends on v_k given the other factors, and on no other factor given
    the rest.

    Parameters
    ----------
    representation : Representation
        Rows with a missing label are excluded.
    seed : int or tuple of int
        Random seed for the assignment of rows to folds.
    expected : (n_codes, n_factors) of 0 and 1, optional
        The matrix M. By default factors are matched one-to-one with latents so that the sum of partial correlations
        is maximal; with fewer latents than factors, latents that depend on no factor are added.
    probe : {"boosting", "linear"}
        Predictor of latents and factors from the other factors.
    alpha : float
        Significance level of each test; for matched pairs divided by the number of latents, because each match is a
        maximum over latents.
    n_folds : int
        Number of cross-fitting folds.
    n_rows : int
        Maximum number of rows; a random subset is used if there are more.

    Returns
    -------
    RawScore
        In [0, 1]; 1 if all test decisions are as expected. ``per_factor``: the share for the factor's pairs. Part
        ``found``: share of the expected dependences that are detected; part ``exclusive``: share of the other pairs
        that are not rejected. Details: ``p_values``, ``partial_correlation`` and ``expected``, each
        (n_codes, n_factors).

    Raises
    ------
    InvalidInputError
        If ``expected`` has a different shape or entries other than 0 and 1, or ``alpha`` is not between 0 and 1.
    UndefinedScoreError
        If fewer than 20 rows have all labels, or every factor is a function of the others.

    Notes
    -----
    The generalised covariance measure uses the cross-fitted residuals of latent and factor given the other factors:
    the squared sum of their products divided by its variance is chi-squared, with as many degrees of freedom as the
    factor has columns. It detects dependence of conditional means only. The authors count wrong cells instead (0 is
    best), and use the projected covariance measure, which also detects dependences that cancel in the mean;
    identifiability-guard counts matched rejections only. For unrelated codes most cells agree, because most are
    expected to be independent: see ``found``. At level 0.05 one in twenty exclusive cells is rejected by chance (one
    in nine with boosting on 700 rows of dependent factors, where the fit is poor), and decisions close to the level
    depend on the folds. Power depends on the number of rows: compare only at equal numbers. Rows are assumed to be
    independent. Dead latents depend on no factor.

    Examples
    --------
    >>> factors = np.indices((6, 8)).reshape(2, -1).T.repeat(12, axis=0)
    >>> tmex(factors[:, ::-1], factors, protocol="linear").value
    1.0
    """
    if not 0 < alpha < 1:
        raise InvalidInputError(f"alpha must be between 0 and 1; got {alpha!r}")
    statistic, degrees, n = representation.cached(_statistics, probe, seed, n_folds, n_rows)
    tested = degrees > 0
    if not tested.any():
        raise UndefinedScoreError(
            "tmex needs a factor that is not a function of the other factors; no factor can be tested"
        )
    p_values = np.where(tested, chdtrc(np.maximum(degrees, 1), np.maximum(statistic, 0.0)), np.nan)
    strength = np.sqrt(statistic / (statistic + n))
    m = _pattern(expected, strength, tested)
    level = np.full(p_values.shape, alpha)
    if expected is None:
        level[m[: len(level)]] /= representation.n_codes  # Bonferroni: each match is a maximum over latents
    w = np.zeros(m.shape, dtype=bool)
    w[: len(p_values)] = np.where(tested, p_values < level, False)
    agree = w == m
    per_factor = np.where(tested, agree.mean(axis=0), np.nan)
    cells = np.broadcast_to(tested, m.shape)
    shares = [float(agree[part & cells].mean()) if (part & cells).any() else math.nan for part in (m, ~m)]
    notes = []
    if n < FEW_ROWS:
        notes.append(f"with {n} rows these tests have little power: undetected dependences count as exclusive")
    if not tested.all():
        names = ", ".join(np.array(representation.space.names)[~tested])
        notes.append(f"not tested, because constant or functions of the other factors: {names}")
    return RawScore(
        value=mean_over_factors(per_factor),
        per_factor=per_factor,
        parts=dict(zip(("found", "exclusive"), shares, strict=True)),
        details={
            "p_values": p_values,
            "partial_correlation": strength,
            "expected": m[: representation.n_codes].astype(float),
        },
        settings={"tested": str(n)},
        notes=tuple(notes),
    )


def _pattern(expected: ArrayLike | None, strength: NDArray[np.float64], tested: NDArray[np.bool_]) -> NDArray[np.bool_]:
    if expected is not None:
        given = np.asarray(expected)
        if given.shape != strength.shape or not np.isin(given, (0, 1)).all():
            raise InvalidInputError(
                f"expected must contain 0 or 1 for {strength.shape[0]} latents and {strength.shape[1]} factors; "
                f"got shape {given.shape}"
            )
        return given.astype(bool)
    n_absent = max(0, int(tested.sum()) - len(strength))
    padded = np.vstack([strength, np.zeros((n_absent, len(tested)))])
    codes, positions = one_to_one_assignment(padded[:, tested])
    pattern = np.zeros(padded.shape, dtype=bool)
    pattern[codes, np.flatnonzero(tested)[positions]] = True
    return pattern


def _statistics(
    representation: Representation, probe: Probe, seed: Seed, n_folds: int, n_rows: int
) -> tuple[NDArray[np.float64], NDArray[np.int64], int]:
    """Return chi-squared statistics (n_codes, n_factors), degrees of freedom (n_factors,) and the number of rows.

    Degrees of freedom are 0 for factors that cannot be tested.
    """
    truth = representation.cached(true_factors)
    rows = some_rows(truth.rows, n_rows, seed)
    splits = folds(representation, rows, n_folds, seed)
    if len(rows) < _MIN_ROWS or len(splits) < 2:
        raise UndefinedScoreError(
            f"tmex needs at least {_MIN_ROWS} rows with labels of all factors, in two folds; got {len(rows)}"
        )
    alive = np.flatnonzero(~constant(representation.codes[rows]))
    codes = np.zeros((len(representation), len(alive)))
    codes[rows] = standardise(representation.codes[rows][:, alive])
    statistic = np.zeros((representation.n_codes, representation.n_factors))
    degrees = np.zeros(representation.n_factors, dtype=np.int64)
    for position, own in enumerate(truth.of_factor):
        rest = np.setdiff1d(np.arange(truth.columns.shape[1]), own)
        residuals = []
        for train, test in splits:
            y_train, y_test = (np.hstack([truth.columns[split][:, list(own)], codes[split]]) for split in (train, test))
            if len(rest):
                x_train, x_test = truth.columns[train][:, rest], truth.columns[test][:, rest]
                y_pred = predict(probe, x_train, y_train, x_test, is_class=False, seed=seed)
            else:
                y_pred = y_train.mean(axis=0)
            residuals.append(y_test - y_pred)
        residual = np.concatenate(residuals)
        of_factor, of_codes = residual[:, : len(own)], residual[:, len(own) :]
        of_factor = of_factor[:, np.mean(of_factor**2, axis=0) > _MIN_UNEXPLAINED]
        if not of_factor.shape[1]:
            continue
        degrees[position] = of_factor.shape[1]
        for code, of_code in zip(alive, of_codes.T, strict=True):
            if np.mean(of_code**2) > _MIN_UNEXPLAINED:
                statistic[code, position] = _wald(of_factor * of_code[:, None])
    return statistic, degrees, len(rows)


def _wald(products: NDArray[np.float64]) -> float:
    """Return the Wald statistic of the hypothesis that the columns of products have mean 0."""
    mean = products.mean(axis=0)
    variance = np.atleast_2d(np.cov(products, rowvar=False)) / len(products)
    return float(max(0.0, mean @ np.linalg.pinv(variance, hermitian=True) @ mean))
