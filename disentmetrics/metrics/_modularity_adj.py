"""Modularity, corrected for chance."""

import numpy as np

from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, metric
from disentmetrics.representation import Representation
from disentmetrics.statistics.significance import above_chance, significant_information


@metric(
    family="information",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    paper="disentmetrics; after Ridgeway & Mozer (2018) and Hsu et al. (2023), who neither gate nor weight",
    known_failure="Codes that tell a single factor and nothing else score 1, though all other factors are missing.",
    needs=Needs(factors=2, rows=20),
    invariant_to=all_except("duplicated code", "repeated rows", "rotation", "dependent factors"),
    detects={"rotated", "packed", "rotated copy"},
    protocols={
        "default": Protocol(
            source="disentmetrics: rank spacings, gate at a false discovery rate of 1 %, weighted by information",
        ),
    },
)
def modularity_adj(representation: Representation) -> RawScore:
    """Tell whether each code follows one factor, without credit for chance.

    ``M = (m - 1 / K) / (1 - 1 / K)`` with ``m = sum_j max_k A_jk / sum_jk A_jk`` and A_jk the share I(z_j; v_k) /
    H(v_k), 0 for latents and factors without any significant association.

    Parameters
    ----------
    representation : Representation
        Two factors or more; any kind (continuous ones in 10 bins of equal frequency), missing labels are allowed.

    Returns
    -------
    RawScore
        In [0, 1]: 1 where no code tells anything of a second factor, 0 where each tells equally much of all, and
        0 where no code tells anything. Details: ``share`` (n_codes, n_factors), ``modularity_of_code``
        (n_codes,), NaN for a code that tells nothing.

    Raises
    ------
    UndefinedScoreError
        If fewer than two factors vary.

    Notes
    -----
    Published modularities average over codes, so that dead codes and noise decide the score (.25 to
    .67 for pure noise); here a code weighs as much as it tells. Read it beside ``compactness_adj``
    and ``explicitness_adj``: alone it does not see missing factors.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
    >>> packed = factors[:, 0] * 5.0 + factors[:, 1]
    >>> modularity_adj(factors.astype(float), factors).value, round(modularity_adj(packed, factors).value, 3)
    (1.0, 0.0)
    """
    gated = representation.cached(significant_information)
    share, n_factors = gated.share[:, gated.defined], int(gated.defined.sum())
    related = gated.related_codes
    told, best = share.sum(axis=1), share.max(axis=1)
    of_code = np.full(len(share), np.nan)
    of_code[related] = above_chance(best[related] / told[related], n_factors)
    value = float(above_chance(best.sum() / told.sum(), n_factors)) if related.any() else 0.0
    return RawScore(
        value=min(value, 1.0),
        details={"share": gated.share, "modularity_of_code": np.minimum(of_code, 1.0)},
        settings=gated.settings,
        notes=gated.notes,
    )
