"""Gaussian Wasserstein correlation of the codes."""

import math

import numpy as np

from disentmetrics.errors import UndefinedScoreError
from disentmetrics.estimators.activity import constant
from disentmetrics.estimators.gaussian_dependence import copula_correlation, gaussian_wasserstein_correlation
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, metric
from disentmetrics.representation import Representation

_MAX_CODE = 1e70  # fourth powers of larger codes overflow


@metric(
    family="unsupervised",
    bounds=(0.0, math.inf),
    higher_is_better=False,
    paper="Locatello et al. (2019), On the Fairness of Disentangled Representations; disentanglement_lib, "
    "unsupervised_metrics",
    known_failure="Pure noise scores 0, the best value: independent latents need not be informative.",
    needs=Needs(factors=0, rows=3),
    parts={"normalised": (0.0, 2.0)},
    invariant_to=all_except("duplicated code", "rotation", "dependent factors"),
    detects={"rotated copy"},
    perfect=0.0,
    protocols={
        "default": Protocol(
            source="disentmetrics: Gaussian copula from Spearman's correlations, unit variances",
        ),
        "locatello2019": Protocol(
            source="disentanglement_lib 1.5: covariance of the mean codes",
            options={"ranks": False},
            invariant_to=all_except(
                "scale", "monotone warp", "outlier", "duplicated code", "repeated rows", "rotation", "dependent factors"
            ),
        ),
    },
)
def wasserstein_correlation(representation: Representation, *, ranks: bool = True) -> RawScore:
    """Wasserstein correlation: squared 2-Wasserstein distance of a Gaussian to the product of its marginals.

    ``W = 2 tr S - 2 tr (D^1/2 S D^1/2)^1/2``, with S the covariance matrix of the codes and D its diagonal.

    Parameters
    ----------
    representation : Representation
        Factors are ignored. Constant latents are excluded.
    ranks : bool
        Whether S is the correlation matrix of a Gaussian copula, ``2 sin(pi r / 6)`` with Spearman's r, which is
        invariant to scale and monotone maps of a latent, and robust to outliers.

    Returns
    -------
    RawScore
        Non-negative, in squared units of the codes; lower is better. Part ``normalised``: W / tr S. Without ranks,
        wide latents have more weight in both.

    Raises
    ------
    UndefinedScoreError
        If codes are so large that their variances overflow.

    Notes
    -----
    Unlike the total correlation, the score is finite for duplicated latents: d copies with variance 1 score 2 d - 2
    sqrt(d). If every latent is constant the score is 0.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T
    >>> round(wasserstein_correlation(factors.astype(float), factors).value, 6)
    0.0
    >>> twice = wasserstein_correlation(factors[:, [0, 0]].astype(float), factors)
    >>> round(twice.parts["normalised"].value, 6), round(float(2 - np.sqrt(2)), 6)
    (0.585786, 0.585786)
    """
    alive = ~representation.cached_by_codes(constant)
    if not alive.any():
        return RawScore(value=0.0, parts={"normalised": 0.0})
    if ranks:
        covariance = representation.cached_by_codes(copula_correlation)[np.ix_(alive, alive)]
    else:
        codes = np.asarray(representation.codes[:, alive], dtype=np.float64)
        if np.abs(codes).max() > _MAX_CODE:
            raise UndefinedScoreError(f"codes must not exceed {_MAX_CODE:g}; got {np.abs(codes).max():g}")
        covariance = np.atleast_2d(np.cov(codes, rowvar=False))
    value = gaussian_wasserstein_correlation(covariance)
    trace = float(np.trace(covariance))
    return RawScore(value=value, parts={"normalised": value / trace if trace > 0 else 0.0})
