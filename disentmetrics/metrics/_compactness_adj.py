"""Compactness, corrected for chance."""

import numpy as np

from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, metric
from disentmetrics.representation import Representation
from disentmetrics.statistics.significance import above_chance, significant_information


@metric(
    family="information",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    paper="disentmetrics; after Carbonneau et al. (2022) and Hsu et al. (2023), who neither gate nor weight",
    known_failure="Two factors packed without loss into one code score 1.",
    needs=Needs(rows=20),
    protocols={
        "default": Protocol(
            source="disentmetrics: rank spacings, gate at a false discovery rate of 1 %, weighted by information",
            invariant_to=all_except("duplicated code", "repeated rows", "rotation", "dependent factors"),
            detects=frozenset({"rotated", "rotated copy"}),
        )
    },
)
def compactness_adj(representation: Representation) -> RawScore:
    """Tell whether each factor is told by one code, without credit for chance.

    ``C = (c - 1 / d) / (1 - 1 / d)`` with ``c = sum_k max_j A_jk / sum_jk A_jk``, A_jk the share I(z_j; v_k) /
    H(v_k), 0 for latents and factors without any significant association, and d the number of codes that are related
    to any factor.

    Parameters
    ----------
    representation : Representation
        Factors of any kind (continuous ones in 10 bins of equal frequency), missing labels are allowed.

    Returns
    -------
    RawScore
        In [0, 1]: 1 where no second code tells anything of a factor, 0 where all d codes tell equally much, and 0
        where no code tells anything. ``per_factor`` is NaN for a factor that no code tells. Details:
        ``share`` (n_codes, n_factors).

    Raises
    ------
    UndefinedScoreError
        If every factor is constant.

    Notes
    -----
    A single informative code is as compact as can be and scores 1. Codes of noise and dead codes
    change nothing, because d does not count them.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
    >>> copied = np.hstack([factors, factors]).astype(float)
    >>> compactness_adj(factors.astype(float), factors).value, round(compactness_adj(copied, factors).value, 1)
    (1.0, 0.3)
    """
    gated = representation.cached(significant_information)
    share = gated.share[gated.related_codes]
    per_factor = np.full(representation.n_factors, np.nan)
    found = share.any(axis=0)
    told, best = share.sum(axis=0), share.max(axis=0, initial=0.0)
    per_factor[found] = above_chance(best[found] / told[found], len(share))
    value = float(above_chance(best.sum() / told.sum(), len(share))) if found.any() else 0.0
    return RawScore(
        value=min(value, 1.0),
        per_factor=np.minimum(per_factor, 1.0),
        details={"share": gated.share},
        settings=gated.settings,
        notes=gated.notes,
    )
