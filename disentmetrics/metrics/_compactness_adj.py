"""Chance-corrected compactness."""

import numpy as np

from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, metric
from disentmetrics.representation import Representation
from disentmetrics.statistics.resolution import RESOLUTION_PRECISION
from disentmetrics.statistics.significance import above_chance, significant_information

_TRACE = 0.05
"""Share of a factor's entropy below which a latent does not count fully."""


@metric(
    family="information",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    paper="disentmetrics; after Carbonneau et al. (2022) and Hsu et al. (2023), who use neither gate nor weights",
    known_failure="Two factors packed losslessly into one latent score 1.",
    needs=Needs(rows=20),
    invariant_to=all_except("duplicated code", "repeated rows", "rotation", "dependent factors"),
    detects={"rotated", "rotated copy"},
    protocols={
        "default": Protocol(
            source="disentmetrics: rank spacings at finite resolution, "
            "gate at a false discovery rate of 1 %, weighted by information",
            precision=RESOLUTION_PRECISION,
        ),
    },
)
def compactness_adj(representation: Representation) -> RawScore:
    """Chance-corrected compactness: share of the information about each factor that its best latent carries.

    ``C = (c - 1 / d) / (1 - 1 / d)`` with ``c = sum_k max_j w_j A_jk / sum_jk w_j A_jk`` and ``d = sum_j w_j``, where
    ``A_jk = I(z_j; v_k) / H(v_k)``, 0 for latents and factors without any significant association. A latent counts with
    ``w_j = min(1, max_k A_jk / 0.05)^2``: fully if it carries 5 % of the entropy of a factor, and hardly if it carries
    a trace, so that neither a collapsed latent nor the last bit of significance decides how many latents there are.

    Parameters
    ----------
    representation : Representation
        Factors of any kind (continuous ones are discretised into 10 equal-frequency bins); missing labels are
        allowed.

    Returns
    -------
    RawScore
        In [0, 1]; 1 if no factor is encoded in a second latent, 0 if all d latents carry equal information, and 0 if
        no latent is informative. ``per_factor`` is NaN for a factor that no latent is informative about. Details:
        ``share`` (n_codes, n_factors), the matrix A, and ``weight`` (n_codes,).

    Raises
    ------
    UndefinedScoreError
        If every factor is constant.

    Notes
    -----
    A single informative latent is maximally compact and scores 1. Noise latents and dead latents do not change the
    score, because d does not count them.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
    >>> copied = np.hstack([factors, factors]).astype(float)
    >>> compactness_adj(factors.astype(float), factors).value, round(compactness_adj(copied, factors).value, 1)
    (1.0, 0.3)
    """
    gated = representation.cached(significant_information)
    weight = np.clip(gated.share.max(axis=1) / _TRACE, 0.0, 1.0) ** 2
    share, d = weight[:, None] * gated.share, float(weight.sum())
    per_factor = np.full(representation.n_factors, np.nan)
    encoded = (share > 0).any(axis=0)
    total, best = share.sum(axis=0), share.max(axis=0)
    per_factor[encoded] = above_chance(best[encoded] / total[encoded], d)
    # summed before dividing: each factor is weighted by the information carried about it
    value = float(above_chance(best.sum() / total.sum(), d)) if encoded.any() else 0.0
    return RawScore(
        value=min(max(value, 0.0), 1.0),
        per_factor=np.clip(per_factor, 0.0, 1.0),
        details={"share": gated.share, "weight": weight},
        settings=gated.settings,
        notes=gated.notes,
    )
