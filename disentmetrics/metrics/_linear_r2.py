"""Linear identifiability: R² of factors from codes, and of codes from factors."""

import math

import numpy as np

from disentmetrics._utils.typing import Seed
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, mean_over_factors, metric
from disentmetrics.representation import Representation
from disentmetrics.statistics.factor_groups import varied_factors
from disentmetrics.statistics.factor_regression import codes_from_factors, orthogonality_error
from disentmetrics.statistics.probes import N_FOLDS, held_out_score


@metric(
    family="predictor",
    bounds=(-math.inf, 1.0),
    higher_is_better=True,
    paper="Hyvärinen & Morioka (2016) and Roeder, Metz & Kingma (2021), On Linear Identifiability of FittedProbe "
    "Representations, for identifiability up to an affine map; scores of predictors as in Eastwood & Williams (2018)",
    known_failure="Codes that mix all factors linearly score 1: it measures what is linearly there, not where.",
    needs=Needs(rows=20),
    randomised=True,
    parts={"codes_from_factors": (-math.inf, 1.0)},
    invariant_to=all_except("monotone warp", "outlier", "relabelled factors"),
    detects={"packed", "missing factor", "blurred"},
    protocols={
        "default": Protocol(
            source="disentmetrics: least squares with intercept on five folds, measured on the rows left out",
        ),
    },
)
def linear_r2(representation: Representation, *, seed: Seed, n_folds: int = N_FOLDS) -> RawScore:
    """Share of the factors' variance that an affine map of all codes predicts on unseen rows.

    ``mean over k of [1 - sum (v_k - f_k(z))² / sum (v_k - mean v_k)²]``, sums over held-out rows, map and
    mean from training rows. For categories f is logistic regression and the share is
    ``(accuracy - a) / (1 - a)`` with a the share of the most frequent class.

    Parameters
    ----------
    representation : Representation
        Rows without a label for a factor are ignored for that factor; rows of one group stay in one fold. A circular
        factor is its cosine and sine, ordinal factors are numbers.
    seed : int or tuple of int
        Random seed for the assignment of rows to folds.
    n_folds : int

    Returns
    -------
    RawScore
        At most 1, where an affine map of the codes gives every factor; 0 on average for unrelated codes,
        below it for maps that mislead, which outliers can make very bad. Part ``codes_from_factors``: mean
        over codes that vary of the R² of a code from all factors; 1 where codes hold nothing but factors,
        linearly. Details: ``codes_from_factors`` (n_codes,); ``orthogonality_error`` (1,), how far the map
        from whitened factors to codes is from a rotation of one scale, 0 for a rotation and at most
        ``sqrt(K - 1)`` for K columns of factors.

    Raises
    ------
    UndefinedScoreError
        If every factor is constant.

    Notes
    -----
    Fitted and scored on the same rows, codes of noise reach d / n; a fit without intercept scores shifted codes 0.
    Neither can happen here. Rows with a missing label are excluded from ``codes_from_factors``. Dead codes are left
    out; codes that are all dead score 0.

    Examples
    --------
    >>> factors = np.indices((6, 8)).reshape(2, -1).T.repeat(5, axis=0)
    >>> score = linear_r2(factors @ [[1, 1], [1, -1]] + 3, factors)
    >>> round(score.value, 6), round(score.parts["codes_from_factors"].value, 6)
    (1.0, 1.0)
    """
    factors = [
        held_out_score(representation, k, "linear", seed, n_folds=n_folds) for k in range(representation.n_factors)
    ]
    per_factor = np.where(representation.cached(varied_factors), factors, np.nan)
    codes = codes_from_factors(representation, "linear", seed, n_folds=n_folds)
    return RawScore(
        value=mean_over_factors(per_factor),
        per_factor=per_factor,
        parts={"codes_from_factors": float(codes[~np.isnan(codes)].mean()) if not np.isnan(codes).all() else math.nan},
        details={
            "codes_from_factors": codes,
            "orthogonality_error": np.array([orthogonality_error(representation)]),
        },
    )
