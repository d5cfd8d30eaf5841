"""Sufficiency: whether some code tells all of each factor."""

from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, mean_over_factors, metric
from disentmetrics.representation import Representation
from disentmetrics.statistics.information_scores import normalized_mutual_information
from disentmetrics.statistics.mutual_information import InformationEstimator


@metric(
    family="information",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    paper="Almudévar & Ortega (2024), Defining and Measuring Disentanglement for Non-Independent Factors of Variation",
    known_failure="Two factors packed without loss into one code score 1.",
    needs=Needs(rows=20),
    invariant_to=all_except("repeated rows", "rotation"),
    detects={"rotated", "missing factor", "blurred"},
    protocols={
        "default": Protocol(
            source="disentmetrics: rank spacings of the mean code, collapsed codes left out",
        ),
        "almudevar2024": Protocol(
            source="Almudévar & Ortega (2024): mean code in 15 bins of equal width",
            options={"estimator": "equal-width", "n_bins": 15},
            needs=Needs(rows=2),
            invariant_to=all_except("monotone warp", "outlier", "rotation"),
        ),
    },
)
def sufficiency(
    representation: Representation, *, estimator: InformationEstimator = "rank-spacing", n_bins: int = 20
) -> RawScore:
    """Share of each factor that the best single code tells.

    ``mean over k of max_j I(z_j; v_k) / H(v_k)``.

    Parameters
    ----------
    representation : Representation
        Rows without a label for a factor are ignored for that factor; continuous factors are discretised into 10
        equal-frequency bins; circular factors keep their discrete values.
    estimator : {"rank-spacing", "equal-width", "quantile", "adjusted", "posterior"}
        Estimator of I(z_j; v_k), as in ``mig``.
    n_bins : int
        Number of bins per latent; ignored by estimators without bins.

    Returns
    -------
    RawScore
        In [0, 1]: 1 where some code tells all of each factor. Details: ``mutual_information``
        (n_codes, n_factors) in nats.

    Raises
    ------
    UndefinedScoreError
        If every factor is constant.

    Notes
    -----
    Meant for dependent factors, where a perfect code keeps 1, and to be read beside ``minimality``. Plugged in from
    15 bins, pure noise scores .38 on 100 rows; the default's normalized_mutual_information have mean 0 for unrelated
    codes. The default is that of ``average_maximal_mi``, which is the same formula. Dead latents have zero mutual
    information and do not count.

    Examples
    --------
    >>> import numpy as np
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
    >>> round(sufficiency(factors.astype(float), factors).value, 6)
    1.0
    """
    known = normalized_mutual_information(representation, estimator, n_bins)
    per_factor = known.per_factor(known.shares.max(axis=0))
    return RawScore(
        value=mean_over_factors(per_factor),
        per_factor=per_factor,
        details={"mutual_information": known.nats},
        settings=known.settings,
    )
