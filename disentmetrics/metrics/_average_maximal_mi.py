"""Average maximal mutual information."""

from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, mean_over_factors, metric
from disentmetrics.representation import Representation
from disentmetrics.statistics.information_scores import normalized_mutual_information
from disentmetrics.statistics.mutual_information import InformationEstimator
from disentmetrics.statistics.resolution import RESOLUTION_PRECISION


@metric(
    family="information",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    paper="Chen, Li, Grosse & Duvenaud (2018), Isolating Sources of Disentanglement in VAEs, section 4",
    known_failure="Duplicating every latent, or appending a rotated copy to a perfect code, leaves the score at 1.",
    needs=Needs(rows=20),
    invariant_to=all_except("repeated rows", "rotation"),
    detects={"rotated", "missing factor", "blurred"},
    protocols={
        "default": Protocol(
            source="disentmetrics: rank spacings at finite resolution",
            precision=RESOLUTION_PRECISION,
            detects={"rotated", "missing factor", "blurred", "packed"},
        ),
        "chen2018": Protocol(
            source="Chen et al. (2018): aggregate posteriors, integrated exactly instead of sampled",
            options={"estimator": "posterior"},
            needs=Needs(rows=2, log_variance=True),
            # the copy of a latent that the suite adds has a narrower posterior
            invariant_to=all_except("duplicated code", "rotation"),
            precision=1e-3,
            costly=True,
        ),
    },
)
def average_maximal_mi(
    representation: Representation, *, estimator: InformationEstimator = "finite-resolution", n_bins: int = 20
) -> RawScore:
    """Average maximal mutual information: share of each factor's entropy carried by its most informative latent.

    ``mean over k of max_j I(z_j; v_k) / H(v_k)``; the first term of the mutual information gap.

    Parameters
    ----------
    representation : Representation
        Rows without a label for a factor are ignored for that factor; continuous factors are discretised into 10
        equal-frequency bins; circular factors keep their discrete values.
    estimator : {"finite-resolution", "rank-spacing", "equal-width", "quantile", "adjusted", "posterior"}
        Estimator of I(z_j; v_k), as in ``mig``.
    n_bins : int
        Number of bins per latent; ignored by estimators without bins.

    Returns
    -------
    RawScore
        In [0, 1]; 1 if each factor is fully determined by a single latent. Details: ``mutual_information``
        (n_codes, n_factors) in nats.

    Raises
    ------
    UndefinedScoreError
        If every factor is constant.

    Notes
    -----
    The authors introduce it as the quantity that MIG improves upon: it detects neither duplicated nor entangled
    codes. Dead latents have zero mutual information and do not count. ``sufficiency`` is the same formula under
    another name and other published settings.

    Examples
    --------
    >>> import numpy as np
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
    >>> round(average_maximal_mi(factors.astype(float), factors).value, 6)
    1.0
    """
    information = normalized_mutual_information(representation, estimator, n_bins)
    per_factor = information.per_factor(information.shares.max(axis=0))
    return RawScore(
        value=mean_over_factors(per_factor),
        per_factor=per_factor,
        details={"mutual_information": information.nats},
        settings=information.settings,
    )
