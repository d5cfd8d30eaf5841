"""Robust mutual information gap: soft assignment of posteriors to bins with fixed limits."""

import numpy as np

from disentmetrics.errors import UndefinedScoreError
from disentmetrics.estimators.soft_bins import Assignment
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, mean_over_factors, metric
from disentmetrics.representation import Representation
from disentmetrics.statistics.association import best_and_second
from disentmetrics.statistics.mutual_information import factor_entropies
from disentmetrics.statistics.soft_information import soft_information
from disentmetrics.statistics.targets import varied_factors


@metric(
    family="information",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    paper="Do & Tran (2020), Theory and Evaluation Metrics for Learning Disentangled Representations, section 3",
    known_failure="Two factors packed losslessly into one latent score 1.",
    needs=Needs(codes=2, rows=2, log_variance=True),
    invariant_to=all_except("monotone warp", "outlier", "duplicated code", "rotation", "dependent factors"),
    detects={"rotated", "rotated copy", "missing factor", "blurred"},
    costly=True,
    protocols={
        "default": Protocol(
            source="disentmetrics: posterior mass in 100 bins within 4 standard deviations of each aggregate posterior",
        ),
        "do2020": Protocol(
            source="Do & Tran (2020): posterior density at the centres of 100 bins from -4 to 4",
            options={"limit": 4.0, "assignment": "centres"},
            # The packed latent of the examples exceeds the range of the bins.
            invariant_to=all_except(
                "scale", "shift", "monotone warp", "duplicated code", "rotation", "dependent factors"
            ),
            detects={"rotated", "packed", "rotated copy", "missing factor", "blurred"},
        ),
    },
)
def rmig(
    representation: Representation,
    *,
    n_bins: int = 100,
    limit: float | None = None,
    assignment: Assignment = "mass",
) -> RawScore:
    """Robust mutual information gap: MIG with posteriors assigned softly to bins of fixed limits.

    ``mean over k of [I(z_(1); v_k) - I(z_(2); v_k)] / H(v_k)``, with the mutual informations sorted over latents;
    each row contributes q(z_j | x) to the bins of z_j instead of a single count.

    Parameters
    ----------
    representation : Representation
        At least two latents, with ``log_variance``. Rows without a label for a factor are ignored for that factor;
        continuous factors are discretised into 10 equal-frequency bins; circular factors keep their discrete values.
    n_bins : int
        Number of equal-width bins.
    limit : float, optional
        Bins range from -limit to limit; by default within 4 standard deviations of the mean of the aggregate
        posterior of each latent. Mass beyond the limits is added to the outer bins.
    assignment : {"mass", "centres"}
        ``mass`` integrates q(z_j | x) over each bin; ``centres`` uses its density at the centre of each bin,
        normalised to sum to 1, or the bin of the posterior mean if all these densities are below 1e-5.

    Returns
    -------
    RawScore
        In [0, 1]; 1 if each factor is determined by one latent and all other latents are independent of it. Details:
        ``mutual_information`` (n_codes, n_factors) in nats.

    Raises
    ------
    UndefinedScoreError
        If every factor is constant, or a posterior variance is 0 or infinite.

    Notes
    -----
    Unlike the bins of other variants of MIG, these do not depend on the two most extreme rows, and posterior noise is
    taken into account. Limits of -4 and 4 assume latents on the scale of a standard normal prior; the default limits
    adapt to the scale. A collapsed latent has the same bin masses in every row and hence zero mutual information, so
    that it needs no mask. ``mig@chen2018`` is the limit of infinitely narrow bins.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
    >>> round(rmig(factors - 2.0, factors, log_variance=np.full(factors.shape, -8.0)).value, 6)
    1.0
    """
    defined = representation.cached(varied_factors)
    if not defined.any():
        raise UndefinedScoreError("rmig needs a factor with at least two values; every factor is constant")
    h = representation.cached(factor_entropies)
    mi = np.minimum(representation.cached(soft_information, n_bins, limit, assignment).nats, h)
    best, second = best_and_second(mi)
    per_factor = np.full(representation.n_factors, np.nan)
    per_factor[defined] = ((best - second) / np.where(defined, h, 1.0))[defined]
    return RawScore(
        value=mean_over_factors(per_factor),
        per_factor=per_factor,
        details={"mutual_information": mi},
        settings={"code": "mean+logvar"},
    )
