"""Wasserstein distance of the codes to independent codes, as if they were Gaussian."""

import math

import numpy as np

from disentmetrics.errors import UndefinedScoreError
from disentmetrics.estimators.activity import constant
from disentmetrics.estimators.gaussian_dependence import copula_correlation, gaussian_wasserstein_correlation
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, metric
from disentmetrics.representation import Representation

_LARGEST = 1e70  # fourth powers of larger codes overflow


@metric(
    family="unsupervised",
    bounds=(0.0, math.inf),
    higher_is_better=False,
    paper="Locatello et al. (2019), On the Fairness of Disentangled Representations; disentanglement_lib, "
    "unsupervised_metrics",
    known_failure="Codes of pure noise score 0, the best value: independent codes need not tell any factor.",
    needs=Needs(factors=0, rows=3),
    parts={"normalised": (0.0, 2.0)},
    invariant_to=all_except("duplicated code", "rotation", "dependent factors"),
    detects={"rotated copy"},
    perfect=0.0,
    protocols={
        "default": Protocol(
            source="disentmetrics: Gaussian copula by Spearman's correlations, all codes of variance 1",
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
    """Squared 2-Wasserstein distance from a Gaussian with the codes' covariance to the product of its margins.

    ``2 tr S - 2 tr (D^1/2 S D^1/2)^1/2``, with S the covariance of the codes and D its diagonal.

    Parameters
    ----------
    representation : Representation
        Factors are ignored. Constant latents are excluded.
    ranks : bool
        Whether S holds the correlations of a Gaussian copula, ``2 sin(pi r / 6)`` of Spearman's r: then neither
        scale, outliers nor monotone maps of a code count.

    Returns
    -------
    RawScore
        In squared units of the codes, from 0; lower is better. Part ``normalised``: divided by tr S. Without
        ranks wide codes weigh more in both.

    Raises
    ------
    UndefinedScoreError
        If codes are so wide that their variances overflow.

    Notes
    -----
    Finite for copies of a code, unlike the total correlation: d copies with variance 1 have 2 d - 2 sqrt(d). If every
    latent is constant the score is 0.

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
        if np.abs(codes).max() > _LARGEST:
            raise UndefinedScoreError(f"this form takes codes up to {_LARGEST:g}; got {np.abs(codes).max():g}")
        covariance = np.atleast_2d(np.cov(codes, rowvar=False))
    value = gaussian_wasserstein_correlation(covariance)
    trace = float(np.trace(covariance))
    return RawScore(value=value, parts={"normalised": value / trace if trace > 0 else 0.0})
