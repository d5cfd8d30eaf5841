"""Sufficiency."""

from disentmetrics.metrics._average_maximal_mi import average_maximal_mi
from disentmetrics.metrics.base import Needs, Protocol, alias, all_except


@alias(
    of=average_maximal_mi,
    paper="Almudévar & Ortega (2024), Defining and Measuring Disentanglement for Non-Independent Factors of Variation",
    known_failure="Two factors packed losslessly into one latent score 1.",
    protocols={
        "almudevar2024": Protocol(
            source="Almudévar & Ortega (2024): mean code in 15 bins of equal width",
            options={"estimator": "equal-width", "n_bins": 15},
            needs=Needs(rows=2),
            invariant_to=all_except("monotone warp", "outlier", "rotation"),
            # packed factors differ by less than the width of a bin, unlike at the resolution of the default
            detects={"rotated", "missing factor", "blurred"},
        ),
    },
)
def sufficiency() -> None:
    """Sufficiency: share of each factor's entropy carried by its most informative latent.

    ``mean over k of max_j I(z_j; v_k) / H(v_k)``.

    Notes
    -----
    Defined for dependent factors, for which a perfect code still scores 1; read it together with ``minimality``. With
    the plug-in estimate in 15 bins, pure noise scores 0.38 on 100 rows; the default estimate has mean 0 for unrelated
    latents. Dead latents have zero mutual information and do not count. ``average_maximal_mi`` is the same formula
    under another name and other published settings.

    Examples
    --------
    >>> import numpy as np
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
    >>> round(sufficiency(factors.astype(float), factors).value, 6)
    1.0
    """
