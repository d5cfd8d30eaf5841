"""Linear R² of factors from codes, and of codes from factors."""

import math
from collections.abc import Iterator

import numpy as np

from disentmetrics._utils.typing import Seed
from disentmetrics.estimators.rank_correlation import standardise
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, mean_over_factors, metric
from disentmetrics.representation import Representation
from disentmetrics.statistics.factor_regression import codes_from_factors, orthogonality_error
from disentmetrics.statistics.probes import N_FOLDS, held_out_score
from disentmetrics.statistics.targets import varied_factors

GOOD = 0.9
"""Lowest score of a factor from which a note on heavy tails is omitted."""
EXTREME, HALF = 0.01, 0.5
"""A latent has heavy tails if this share of the rows has more than this share of its variance."""
MOST_NAMES = 8


@metric(
    family="predictor",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    paper="Hyvärinen & Morioka (2016) and Roeder, Metz & Kingma (2021), On Linear Identifiability of Learned "
    "Representations, for identifiability up to an affine map; scores of predictors as in Eastwood & Williams (2018)",
    known_failure="An invertible linear mixture of all factors scores 1: the score ignores axis alignment.",
    needs=Needs(rows=20, groups=2),
    randomised=True,
    parts={"codes_from_factors": (0.0, 1.0)},
    invariant_to=all_except("monotone warp", "outlier", "relabelled factors"),
    detects={"packed", "missing factor", "blurred"},
    protocols={
        "default": Protocol(
            source="disentmetrics: five-fold cross-fitted least squares with intercept",
        ),
    },
)
def linear_r2(representation: Representation, *, seed: Seed, n_folds: int = N_FOLDS) -> RawScore:
    """Linear R²: share of the factors' variance predicted on held-out rows by an affine map of all latents.

    ``mean over k of max(0, 1 - sum (v_k - f_k(z))² / sum (v_k - mean v_k)²)``, with sums over held-out rows, and map
    and mean from the training rows. For categorical factors f is logistic regression, and R² is replaced by
    ``(accuracy - a) / (1 - a)`` with a the share of the most frequent class.

    Parameters
    ----------
    representation : Representation
        Rows without a label for a factor are ignored for that factor; rows of one group stay in one fold. Circular
        factors are represented by cosine and sine, ordinal factors by numbers.
    seed : int or tuple of int
        Random seed for the assignment of rows to folds.
    n_folds : int
        Number of cross-validation folds.

    Returns
    -------
    RawScore
        In [0, 1]; 1 if an affine map of the codes gives every factor, 0 if the map does not improve upon the mean.
        Part ``codes_from_factors``: mean over varying latents of the R² of a latent from all factors; 1 if the codes
        are affine functions of the factors. Details: ``held_out`` (n_factors,), R² before it is clipped at 0;
        ``codes_from_factors`` (n_codes,); ``orthogonality_error`` (1,), the deviation of the map from whitened factors
        to codes from a scaled rotation, 0 for a rotation and at most ``sqrt(K - 1)`` for K columns of factors. A note
        names latents whose extreme values the map follows.

    Raises
    ------
    UndefinedScoreError
        If every factor is constant.

    Notes
    -----
    Unlike implementations that fit and score on the same rows, where noise reaches d / n, or that fit no intercept,
    so that shifted codes score 0, the score is held out and invariant to shifts. A map that generalises worse than
    the mean has a negative R², which has no bound where a code has heavy tails (-20,000 with a single outlying code
    in 5,000 rows): as in :data:`disentmetrics.metrics.nonlinear_r2`, R² is clipped at 0 for each factor and each
    latent, so that one factor cannot hide the others. Rows with a missing label are
    excluded from ``codes_from_factors``. Dead latents are excluded; if all latents are dead the score is 0.

    Examples
    --------
    >>> factors = np.indices((6, 8)).reshape(2, -1).T.repeat(5, axis=0)
    >>> score = linear_r2(factors @ [[1, 1], [1, -1]] + 3, factors)
    >>> round(score.value, 6), round(score.parts["codes_from_factors"].value, 6)
    (1.0, 1.0)
    """
    held_out = np.array(
        [held_out_score(representation, k, "linear", seed, n_folds=n_folds) for k in range(representation.n_factors)]
    )
    per_factor = np.where(representation.cached(varied_factors), np.maximum(held_out, 0.0), np.nan)
    codes = np.maximum(codes_from_factors(representation, "linear", seed, n_folds=n_folds), 0.0)
    return RawScore(
        value=mean_over_factors(per_factor),
        per_factor=per_factor,
        parts={"codes_from_factors": float(codes[~np.isnan(codes)].mean()) if not np.isnan(codes).all() else math.nan},
        details={
            "held_out": held_out,
            "codes_from_factors": codes,
            "orthogonality_error": np.array([orthogonality_error(representation)]),
        },
        notes=tuple(_heavy_tails(representation)) if np.nanmin(per_factor, initial=1.0) < GOOD else (),
    )


def _heavy_tails(representation: Representation) -> Iterator[str]:
    """Yield a note on latents whose variance lies in few rows, which least squares then follows."""
    squares = np.square(standardise(representation.codes))
    n_extreme = max(1, round(EXTREME * len(squares)))
    share = np.partition(squares, -n_extreme, axis=0)[-n_extreme:].sum(axis=0) / len(squares)
    heavy = [str(representation.code_names[j]) for j in np.flatnonzero(share > HALF)]
    if heavy:
        listed = ", ".join(heavy[:MOST_NAMES]) + (
            f" and {len(heavy) - MOST_NAMES} more" if len(heavy) > MOST_NAMES else ""
        )
        yield (
            f"{n_extreme} of {len(squares)} rows have more than half of the variance of {listed}, so that least "
            "squares follows these rows and can miss a factor that the ranks of the codes determine; see nonlinear_r2"
        )
