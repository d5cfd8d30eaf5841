"""Nonlinear R² of factors from codes, and of codes from factors, by gradient boosting."""

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
    known_failure="An invertible mixture of all factors scores 1: the score ignores axis alignment.",
    needs=Needs(rows=60, groups=2),
    randomised=True,
    parts={"codes_from_factors": (0.0, 1.0)},
    invariant_to=all_except("relabelled factors", "repeated rows"),
    detects={"missing factor", "blurred", "synergy lost"},
    costly=True,
    slow=True,
    protocols={
        "default": Protocol(
            source="disentmetrics: three-fold cross-fitted histogram gradient boosting",
        ),
    },
)
def nonlinear_r2(representation: Representation, *, seed: Seed, n_folds: int = 3, n_rows: int = 5_000) -> RawScore:
    """Nonlinear R²: share of the factors' variance predicted on held-out rows by boosted trees on all latents.

    ``mean over k of max(0, 1 - sum (v_k - f_k(z))² / sum (v_k - mean v_k)²)``, with sums over held-out rows, and
    trees and mean from the training rows. For categorical factors R² is replaced by ``(accuracy - a) / (1 - a)`` with
    a the share of the most frequent class.

    Parameters
    ----------
    representation : Representation
        Rows without a label for a factor are ignored for that factor; rows of one group stay in one fold. Circular
        factors are represented by cosine and sine.
    seed : int or tuple of int
        Random seed for the assignment of rows to folds.
    n_folds : int
        Number of cross-validation folds.
    n_rows : int
        Maximum number of rows; a random subset is used if there are more.

    Returns
    -------
    RawScore
        In [0, 1]; 1 if the latents jointly determine every factor, 0 if the trees do not improve upon the mean. Part
        ``codes_from_factors``: mean over varying latents of the R² of a latent from all factors; 1 if the codes are
        functions of the factors. Details: ``codes_from_factors`` (n_codes,).

    Raises
    ------
    UndefinedScoreError
        If every factor is constant.

    Notes
    -----
    Trees that overfit noise predict worse than the mean, by a quarter of the variance on a thousand rows: R² is
    clipped at 0 for each factor and each latent. The authors use kernel ridge regression and a separate test set. The
    difference from :data:`disentmetrics.metrics.linear_r2` is due to non-linear relations, except that trees need
    many rows to approximate a rotation, so that with few rows this score can be the lower one. Rows with a missing
    label are excluded from ``codes_from_factors``. Dead latents are excluded; if all latents are dead the score is 0.
    Labels further from the quartiles than three interquartile ranges (Tukey's outer fences) count as being there:
    otherwise one label of 1000 among 500 from 0 to 99 lowers the score of a perfect code to 0.3.

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
