"""T-MEX, tests of whether each code depends on its own factor alone, given the other factors."""

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
_EXPLAINED = 1e-6
"""Share of a variance that no probe resolves: what is left of it depends on nothing."""


@metric(
    family="predictor",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    paper="Yao, Huang, Cadei, Zhang & Locatello (2025), The Third Pillar of Causal Analysis? A Measurement Perspective "
    "on Causal Representations; Shah & Peters (2020), The Hardness of Conditional Independence Testing, for the test",
    known_failure="With few rows a code that mixes factors may score 1: what is not found counts as exclusive.",
    needs=Needs(rows=_MIN_ROWS),
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
            source="disentmetrics: generalised covariance measure with boosting fitted on other folds, level 0.05",
        ),
        "linear": Protocol(
            source="disentmetrics: generalised covariance measure with least squares fitted on other folds",
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
    """Share of pairs of code and factor whose conditional dependence is as expected.

    A code measures factor k exclusively if it depends on v_k given the other factors, and on no other
    factor given the rest. For each pair the hypothesis ``z_j independent of v_k given the other factors``
    is tested; with W the rejections at level alpha and M the expected pattern, the score is
    ``share of cells with W[j, k] = M[j, k]``.

    Parameters
    ----------
    representation : Representation
        Rows that miss any label are left out.
    seed : int or tuple of int
        Random seed for the assignment of rows to folds.
    expected : (n_codes, n_factors) of 0 and 1, optional
        Which code is to depend on which factor. By default each factor is matched with a code of its own, so
        that the sum of partial correlations is largest; with fewer codes than factors, absent codes that
        depend on nothing make up the number.
    probe : {"boosting", "linear"}
        Predicts code and factor from the other factors.
    alpha : float
        Level of each test; divided by the number of codes for a factor's own code where that is found
        by matching, as it is the best of so many.
    n_folds : int
    n_rows : int
        Maximum number of rows; a random subset is used if there are more.

    Returns
    -------
    RawScore
        In [0, 1]: 1 where all tests decide as expected. Per factor: share of its cells. Part ``found``: share
        of the expected dependences that the tests find; part ``exclusive``: share of the other pairs that
        they find independent. Details: ``p_values``, ``partial_correlation`` and ``expected``, each
        (n_codes, n_factors).

    Raises
    ------
    InvalidInputError
        If ``expected`` has another shape or other entries, or ``alpha`` does not lie between 0 and 1.
    UndefinedScoreError
        If fewer than 20 rows have all labels, or every factor is decided by the others.

    Notes
    -----
    The test: residuals of code and factor after prediction from the other factors on other folds; the sum of
    their products, squared and divided by its variance, is chi-squared with as many degrees of freedom
    as the factor has columns. It sees dependence of conditional means only. The authors count wrong cells
    instead (0 is best), and test with the projected covariance measure, which also sees dependences that
    cancel in the mean; identifiability-guard counts matched rejections alone. Of unrelated codes most
    cells agree, as most are expected to be independent: read ``found``. At level 0.05 one in twenty exclusive
    cells fails by chance (one in nine with boosting on 700 rows of dependent factors, whose fit is then
    rough), and tests near the level decide otherwise on other folds. The number of rows decides
    the power: compare at equal numbers only. Rows count as independent draws. Dead codes depend on nothing.

    Examples
    --------
    >>> factors = np.indices((6, 8)).reshape(2, -1).T.repeat(12, axis=0)
    >>> tmex(factors[:, ::-1], factors, protocol="linear").value
    1.0
    """
    if not 0 < alpha < 1:
        raise InvalidInputError(f"alpha must lie between 0 and 1; got {alpha!r}")
    statistic, degrees, n = representation.cached(_statistics, probe, seed, n_folds, n_rows)
    tested = degrees > 0
    if not tested.any():
        raise UndefinedScoreError(
            "every factor that takes two values is decided by the other factors; none can be tested"
        )
    p_values = np.where(tested, chdtrc(np.maximum(degrees, 1), np.maximum(statistic, 0.0)), np.nan)
    strength = np.sqrt(statistic / (statistic + n))
    wanted = _pattern(expected, strength, tested)
    level = np.full(p_values.shape, alpha)
    if expected is None:
        level[wanted[: len(level)]] /= representation.n_codes  # the best of so many codes
    rejected = np.zeros(wanted.shape, dtype=bool)
    rejected[: len(p_values)] = np.where(tested, p_values < level, False)
    agree = rejected == wanted
    per_factor = np.where(tested, agree.mean(axis=0), np.nan)
    cells = np.broadcast_to(tested, wanted.shape)
    shares = [float(agree[some & cells].mean()) if (some & cells).any() else math.nan for some in (wanted, ~wanted)]
    notes = []
    if n < FEW_ROWS:
        notes.append(f"{n} rows give these tests little power: a dependence that is not found counts as exclusive")
    if not tested.all():
        names = ", ".join(np.array(representation.space.names)[~tested])
        notes.append(f"factors {names} are constant or decided by the other factors and cannot be tested")
    return RawScore(
        value=mean_over_factors(per_factor),
        per_factor=per_factor,
        parts=dict(zip(("found", "exclusive"), shares, strict=True)),
        details={
            "p_values": p_values,
            "partial_correlation": strength,
            "expected": wanted[: representation.n_codes].astype(float),
        },
        settings={"tested": str(n)},
        notes=tuple(notes),
    )


def _pattern(expected: ArrayLike | None, strength: NDArray[np.float64], tested: NDArray[np.bool_]) -> NDArray[np.bool_]:
    if expected is not None:
        given = np.asarray(expected)
        if given.shape != strength.shape or not np.isin(given, (0, 1)).all():
            raise InvalidInputError(
                f"expected must hold 0 or 1 for each of {strength.shape[0]} codes and {strength.shape[1]} factors; "
                f"got shape {given.shape}"
            )
        return given.astype(bool)
    n_absent = max(0, int(tested.sum()) - len(strength))
    padded = np.vstack([strength, np.zeros((n_absent, len(tested)))])
    codes, positions = one_to_one_assignment(padded[:, tested])
    wanted = np.zeros(padded.shape, dtype=bool)
    wanted[codes, np.flatnonzero(tested)[positions]] = True
    return wanted


def _statistics(
    representation: Representation, probe: Probe, seed: Seed, n_folds: int, n_rows: int
) -> tuple[NDArray[np.float64], NDArray[np.int64], int]:
    """Return chi-squared statistics (n_codes, n_factors), degrees of freedom (n_factors,) and the number of rows.

    Degrees are 0 for factors that cannot be tested.
    """
    known = representation.cached(true_factors)
    rows = some_rows(known.rows, n_rows, seed)
    splits = folds(representation, rows, n_folds, seed)
    if len(rows) < _MIN_ROWS or len(splits) < 2:
        raise UndefinedScoreError(
            f"tmex needs {_MIN_ROWS} or more rows with labels of all factors, in two folds; got {len(rows)}"
        )
    alive = np.flatnonzero(~constant(representation.codes[rows]))
    codes = np.zeros((len(representation), len(alive)))
    codes[rows] = standardise(representation.codes[rows][:, alive])
    statistic = np.zeros((representation.n_codes, representation.n_factors))
    degrees = np.zeros(representation.n_factors, dtype=np.int64)
    for position, own in enumerate(known.of_factor):
        rest = np.setdiff1d(np.arange(known.columns.shape[1]), own)
        residuals = []
        for train, test in splits:
            before, after = (np.hstack([known.columns[some][:, list(own)], codes[some]]) for some in (train, test))
            if len(rest):
                given, new = known.columns[train][:, rest], known.columns[test][:, rest]
                guess = predict(probe, given, before, new, is_class=False, seed=seed)
            else:
                guess = before.mean(axis=0)
            residuals.append(after - guess)
        left = np.concatenate(residuals)
        factor, others = left[:, : len(own)], left[:, len(own) :]
        factor = factor[:, np.mean(factor**2, axis=0) > _EXPLAINED]
        if not factor.shape[1]:
            continue
        degrees[position] = factor.shape[1]
        for code, residual in zip(alive, others.T, strict=True):
            if np.mean(residual**2) > _EXPLAINED:
                statistic[code, position] = _wald(factor * residual[:, None])
    return statistic, degrees, len(rows)


def _wald(products: NDArray[np.float64]) -> float:
    """Return the squared mean of each row's products in units of its variance."""
    mean = products.mean(axis=0)
    variance = np.atleast_2d(np.cov(products, rowvar=False)) / len(products)
    return float(max(0.0, mean @ np.linalg.pinv(variance, hermitian=True) @ mean))
