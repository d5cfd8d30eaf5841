"""Gaussian total correlation of the codes."""

import math

import numpy as np

from disentmetrics.estimators.activity import constant, well_scaled
from disentmetrics.estimators.gaussian_dependence import (
    copula_correlation,
    gaussian_total_correlation as closed_form,
)
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, metric
from disentmetrics.representation import Representation


@metric(
    family="unsupervised",
    bounds=(0.0, math.inf),
    higher_is_better=False,
    paper="Watanabe (1960), Information Theoretical Analysis of Multivariate Correlation; as a score of codes: "
    "Locatello et al. (2019), Challenging Common Assumptions, section 5.3",
    known_failure="Pure noise scores 0, the best value: independent latents need not be informative.",
    needs=Needs(factors=0, rows=3),
    invariant_to=all_except("duplicated code", "rotation", "dependent factors"),
    detects={"rotated copy"},
    perfect=0.0,
    protocols={
        "default": Protocol(
            source="disentmetrics: Gaussian copula from Spearman's correlations, independent of the marginals",
        ),
        "locatello2019": Protocol(
            source="disentanglement_lib 1.5: covariance of the mean codes",
            options={"ranks": False},
            invariant_to=all_except("monotone warp", "outlier", "duplicated code", "rotation", "dependent factors"),
        ),
    },
)
def gaussian_total_correlation(representation: Representation, *, ranks: bool = True) -> RawScore:
    """Gaussian total correlation of the latents, in nats.

    ``TC = (sum over j of log S_jj - log det S) / 2``, with S the covariance matrix of the codes; 0 if the latents are
    uncorrelated.

    Parameters
    ----------
    representation : Representation
        More rows than latents; factors are ignored. Constant latents are excluded.
    ranks : bool
        Whether S is the correlation matrix of a Gaussian copula, ``2 sin(pi r / 6)`` with Spearman's r, which is
        invariant to monotone maps of a latent and robust to outliers.

    Returns
    -------
    RawScore
        Non-negative, in nats; lower is better. Details: ``correlation`` (n_codes, n_codes), 0 for constant latents.

    Raises
    ------
    UndefinedScoreError
        If it is infinite: a latent is a linear function of the others, such as a copy.

    Notes
    -----
    With d latents and n rows, independent latents have about d (d - 1) / 4n nats by chance. Non-linear dependence is
    not detected. The total correlation of sampled codes, a term of the beta-TCVAE objective, is a different quantity:
    posterior noise lowers it.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T
    >>> gaussian_total_correlation(factors.astype(float), factors).value
    0.0
    """
    alive = ~representation.cached_by_codes(constant)
    if ranks:
        covariance = representation.cached_by_codes(copula_correlation)[np.ix_(alive, alive)]
    else:
        codes = well_scaled(representation.codes[:, alive]).astype(np.float64)
        covariance = np.atleast_2d(np.cov(codes, rowvar=False)) if alive.any() else np.zeros((0, 0))
    value = closed_form(covariance)
    scale = np.sqrt(np.diag(covariance))
    correlation = np.zeros((representation.n_codes, representation.n_codes))
    correlation[np.ix_(alive, alive)] = covariance / np.outer(scale, scale)
    return RawScore(value=value, details={"correlation": correlation})
