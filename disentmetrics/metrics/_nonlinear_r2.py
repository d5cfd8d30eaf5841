"""Identifiability up to an invertible map: R² of factors from codes, and of codes from factors, by boosting."""

import math

import numpy as np

from disentmetrics._utils.typing import Seed
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, mean_over_factors, metric
from disentmetrics.representation import Representation
from disentmetrics.statistics.factor_regression import codes_from_factors
from disentmetrics.statistics.probes import held_out_score
from disentmetrics.statistics.targets import varied_factors


@metric(
    family="predictor",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    paper="von Kügelgen et al. (2021), Self-Supervised Learning with Data Augmentations Provably Isolates Content from "
    "Style, section 5",
    known_failure="Codes that mix all factors score 1: it measures what is there, not where.",
    needs=Needs(rows=60),
    randomised=True,
    parts={"codes_from_factors": (0.0, 1.0)},
    invariant_to=all_except("relabelled factors", "repeated rows"),
    detects={"missing factor", "blurred", "synergy lost"},
    costly=True,
    slow=True,
    protocols={
        "default": Protocol(
            source="disentmetrics: histogram gradient boosting on three folds, measured on the rows left out",
        ),
    },
)
def nonlinear_r2(representation: Representation, *, seed: Seed, n_folds: int = 3, n_rows: int = 5_000) -> RawScore:
    """Share of the factors' variance that boosted trees predict from all codes on unseen rows.

    ``mean over k of max(0, 1 - sum (v_k - f_k(z))² / sum (v_k - mean v_k)²)``, sums over held-out rows,
    trees and mean from training rows. For categories the share is ``(accuracy - a) / (1 - a)`` with a
    the share of the most frequent class.

    Parameters
    ----------
    representation : Representation
        Rows without a label for a factor are ignored for that factor; rows of one group stay in one fold. A circular
        factor is its cosine and sine.
    seed : int or tuple of int
        Random seed for the assignment of rows to folds.
    n_folds : int
    n_rows : int
        Maximum number of rows; a random subset is used if there are more.

    Returns
    -------
    RawScore
        In [0, 1]: 1 where the codes together decide every factor, 0 where the trees do no better than the
        mean. Part ``codes_from_factors``: mean over codes that vary of the R² of a code
        from all factors; 1 where codes hold nothing but factors. Details: ``codes_from_factors`` (n_codes,).

    Raises
    ------
    UndefinedScoreError
        If every factor is constant.

    Notes
    -----
    Trees that follow noise predict worse than the mean, by a quarter of the variance on a thousand rows: the share is
    cut off at 0 for each factor and each code. The authors fit kernel ridge regression and measure on rows of their
    own. What boosting finds beyond :data:`disentmetrics.metrics.linear_r2` is nonlinear; trees need many rows to
    follow a rotation, so that with few rows this can be the lower of the two. Rows with a missing label are excluded
    from ``codes_from_factors``. Dead codes are left out; codes that are all dead score 0.

    Examples
    --------
    >>> factors = np.indices((6, 8)).reshape(2, -1).T.repeat(5, axis=0)
    >>> score = nonlinear_r2(factors**3, factors)
    >>> round(score.value, 1), round(score.parts["codes_from_factors"].value, 1)
    (1.0, 1.0)
    """
    factors = [
        held_out_score(representation, k, "boosting", seed, n_folds=n_folds, n_rows=n_rows)
        for k in range(representation.n_factors)
    ]
    per_factor = np.where(representation.cached(varied_factors), np.maximum(factors, 0.0), np.nan)
    codes = np.maximum(codes_from_factors(representation, "boosting", seed, n_folds=n_folds, n_rows=n_rows), 0.0)
    return RawScore(
        value=mean_over_factors(per_factor),
        per_factor=per_factor,
        parts={"codes_from_factors": float(codes[~np.isnan(codes)].mean()) if not np.isnan(codes).all() else math.nan},
        details={"codes_from_factors": codes},
    )
