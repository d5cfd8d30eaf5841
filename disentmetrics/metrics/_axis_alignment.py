"""Axis alignment metric."""

import numpy as np

from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, mean_over_factors, metric
from disentmetrics.representation import Representation
from disentmetrics.statistics.information_scores import normalized_mutual_information
from disentmetrics.statistics.mutual_information import InformationEstimator
from disentmetrics.statistics.resolution import RESOLUTION_PRECISION
from disentmetrics.statistics.significance import significant_information


@metric(
    family="information",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    paper="Dubois, Kastanos, Lines & Melman (2019), Disentangling VAE (software), axis alignment metric",
    known_failure="A latent that carries almost no information scores 1 if no other latent carries any.",
    needs=Needs(rows=20),
    invariant_to=all_except("duplicated code", "repeated rows", "rotation", "dependent factors"),
    detects={"rotated", "rotated copy", "missing factor"},
    protocols={
        "default": Protocol(
            source="disentmetrics: rank spacings at finite resolution, pairs that are related beyond chance",
            precision=RESOLUTION_PRECISION,
        ),
        "dubois2019": Protocol(
            source="Dubois et al. (2019): aggregate posteriors, integrated exactly instead of sampled, all pairs",
            options={"estimator": "posterior", "gated": False},
            needs=Needs(rows=2, log_variance=True),
            # for noise, a value near zero is divided by itself: detecting a missing factor depends on the draw
            invariant_to=all_except("duplicated code", "rotation", "dependent factors"),
            detects={"rotated", "rotated copy"},
            perfect=0.99,  # on 1,200 rows
            precision=1e-3,
            costly=True,
        ),
    },
)
def axis_alignment(
    representation: Representation,
    *,
    estimator: InformationEstimator = "finite-resolution",
    n_bins: int = 20,
    gated: bool = True,
) -> RawScore:
    """Axis alignment metric: information about each factor in its best latent in excess of all other latents.

    ``mean over k of max(0, I(z_(1); v_k) - sum over j > 1 of I(z_(j); v_k)) / I(z_(1); v_k)``, with the mutual
    informations sorted over latents.

    Parameters
    ----------
    representation : Representation
        Rows without a label for a factor are ignored for that factor; continuous factors are discretised into 10
        equal-frequency bins; circular factors keep their discrete values.
    estimator : {"finite-resolution", "rank-spacing", "equal-width", "quantile", "adjusted", "posterior"}
        Estimator of I(z_j; v_k), as in ``mig``.
    n_bins : int
        Number of bins per latent; ignored by estimators without bins.
    gated : bool
        Whether pairs without a significant association count as 0.

    Returns
    -------
    RawScore
        In [0, 1]; 1 if a single latent is informative about each factor, however weakly, and no other latent is. A
        factor without an informative latent contributes 0. Details: ``mutual_information`` (n_codes, n_factors) in
        nats.

    Raises
    ------
    UndefinedScoreError
        If every factor is constant.

    Notes
    -----
    A ratio of mutual informations near 0 is arbitrary (.04 to .17 for noise in the authors' code, more with other
    seeds), and the positive bias of many noise latents is subtracted; therefore the default counts only pairs with a
    significant association. The authors' code mixes rows of different latents when it draws samples, and is correct
    only for one latent at a time. Dead latents do not count.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
    >>> axis_alignment(factors.astype(float), factors).value, axis_alignment(factors[:, [0, 0]], factors).value
    (1.0, 0.0)
    """
    information = normalized_mutual_information(representation, estimator, n_bins)
    mi = information.nats
    if gated:
        mi = np.where(representation.cached(significant_information).share > 0, mi, 0.0)
    best = mi.max(axis=0)
    excess = np.maximum(2 * best - mi.sum(axis=0), 0.0)  # best - (sum - best)
    # 0 / 0 for a factor that no latent is informative about: defined as 0
    per_factor = information.per_factor(np.where(best > 0, excess / np.where(best > 0, best, 1.0), 0.0))
    return RawScore(
        value=mean_over_factors(per_factor),
        per_factor=per_factor,
        details={"mutual_information": mi},
        settings=information.settings,
    )
