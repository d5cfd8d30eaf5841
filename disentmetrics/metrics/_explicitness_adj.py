"""Chance-corrected explicitness."""

import numpy as np

from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, mean_over_factors, metric
from disentmetrics.representation import Representation
from disentmetrics.statistics.resolution import RESOLUTION_PRECISION
from disentmetrics.statistics.significance import significant_information


@metric(
    family="information",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    paper="disentmetrics; the coverage of factors by single latents, after Almudévar & Ortega (2024), sufficiency",
    known_failure="Two factors packed losslessly into one latent score 1.",
    needs=Needs(rows=20),
    invariant_to=all_except("repeated rows", "rotation"),
    detects={"rotated", "missing factor", "blurred"},
    protocols={
        "default": Protocol(
            source="disentmetrics: rank spacings at finite resolution, gate at a false discovery rate of 1 %",
            precision=RESOLUTION_PRECISION,
            detects={"rotated", "missing factor", "blurred", "packed"},
        ),
    },
)
def explicitness_adj(representation: Representation) -> RawScore:
    """Chance-corrected explicitness: share of each factor's entropy carried by its most informative latent.

    ``E = mean_k max_j A_jk`` with ``A_jk = I(z_j; v_k) / H(v_k)``, 0 for latents and factors without any significant
    association.

    Parameters
    ----------
    representation : Representation
        Factors of any kind (continuous ones are discretised into 10 equal-frequency bins); missing labels are
        allowed.

    Returns
    -------
    RawScore
        In [0, 1]; 1 if each factor is determined by a single latent, 0 if no latent is informative. Details:
        ``share`` (n_codes, n_factors), the matrix A.

    Raises
    ------
    UndefinedScoreError
        If every factor is constant.

    Notes
    -----
    Ridgeway & Mozer's explicitness, the metric ``explicitness``, uses all latents jointly in a linear classifier and
    is therefore insensitive to rotation. A factor encoded in two latents, such as an angle by its cosine and sine,
    scores below 1 here.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
    >>> round(explicitness_adj(factors[:, 0].astype(float), factors).value, 3)
    0.5
    """
    gated = representation.cached(significant_information)
    per_factor = np.where(gated.defined, gated.share.max(axis=0), np.nan)
    return RawScore(
        value=mean_over_factors(per_factor),
        per_factor=per_factor,
        details={"share": gated.share},
        settings=gated.settings,
        notes=gated.notes,
    )
