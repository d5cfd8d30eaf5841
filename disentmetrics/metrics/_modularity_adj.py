"""Chance-corrected modularity."""

import numpy as np

from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, metric
from disentmetrics.representation import Representation
from disentmetrics.statistics.resolution import RESOLUTION_PRECISION
from disentmetrics.statistics.significance import above_chance, significant_information


@metric(
    family="information",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    paper="disentmetrics; after Ridgeway & Mozer (2018) and Hsu et al. (2023), who use neither gate nor weights",
    known_failure="A code that encodes a single factor scores 1, although all other factors are missing.",
    needs=Needs(factors=2, rows=20),
    invariant_to=all_except("duplicated code", "repeated rows", "rotation", "dependent factors"),
    detects={"rotated", "packed", "rotated copy"},
    protocols={
        "default": Protocol(
            source="disentmetrics: rank spacings at finite resolution, "
            "gate at a false discovery rate of 1 %, weighted by information",
            precision=RESOLUTION_PRECISION,
        ),
    },
)
def modularity_adj(representation: Representation) -> RawScore:
    """Chance-corrected modularity: share of the information in each latent that concerns its best factor.

    ``M = (m - 1 / K) / (1 - 1 / K)`` with ``m = sum_j max_k A_jk / sum_jk A_jk``, where
    ``A_jk = I(z_j; v_k) / H(v_k)``, 0 for latents and factors without any significant association.

    Parameters
    ----------
    representation : Representation
        At least two factors of any kind (continuous ones are discretised into 10 equal-frequency bins); missing
        labels are allowed.

    Returns
    -------
    RawScore
        In [0, 1]; 1 if no latent is informative about a second factor, 0 if each is equally informative about all,
        and 0 if no latent is informative. Details: ``share`` (n_codes, n_factors), the matrix A;
        ``modularity_of_code`` (n_codes,), NaN for an uninformative latent.

    Raises
    ------
    UndefinedScoreError
        If fewer than two factors vary.

    Notes
    -----
    Published modularities average over latents, so that dead latents and noise dominate the score (.25 to .67 for
    pure noise); here latents are weighted by their information. Interpret the score together with ``compactness_adj``
    and ``explicitness_adj``: alone it does not detect missing factors.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
    >>> packed = factors[:, 0] * 5.0 + factors[:, 1]
    >>> modularity_adj(factors.astype(float), factors).value, round(modularity_adj(packed, factors).value, 3)
    (1.0, 0.287)
    """
    gated = representation.cached(significant_information)
    share, n_factors = gated.share[:, gated.defined], int(gated.defined.sum())
    related = gated.related_codes
    total, best = share.sum(axis=1), share.max(axis=1)
    of_code = np.full(len(share), np.nan)
    of_code[related] = above_chance(best[related] / total[related], n_factors)
    # summed before dividing: each latent is weighted by its information
    value = float(above_chance(best.sum() / total.sum(), n_factors)) if related.any() else 0.0
    return RawScore(
        value=min(value, 1.0),
        details={"share": gated.share, "modularity_of_code": np.minimum(of_code, 1.0)},
        settings=gated.settings,
        notes=gated.notes,
    )
