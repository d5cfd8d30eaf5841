"""The supplement of the mutual information gap: gaps of codes instead of factors."""

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from disentmetrics.estimators.activity import standard_deviation
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, metric
from disentmetrics.representation import Representation
from disentmetrics.statistics.association import best_and_second
from disentmetrics.statistics.information_scores import (
    mean_by_best_factor,
    missing_factor_note,
    normalized_mutual_information,
)
from disentmetrics.statistics.mutual_information import InformationEstimator
from disentmetrics.statistics.significance import significant_information

_SPREAD = 0.01  # variance of the mean code above which Li et al. call a code active


@metric(
    family="information",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    least={"factor_bins": 2},
    paper="Li, Murkute, Gyawali & Wang (2020), Progressive Learning and Disentanglement of Hierarchical "
    "Representations, section 5",
    known_failure="Codes that each tell one and the same factor score 1, though all other factors are missing.",
    needs=Needs(rows=20),
    invariant_to=all_except("duplicated code", "repeated rows", "rotation", "dependent factors"),
    detects={"rotated", "packed", "rotated copy", "blurred"},
    protocols={
        "default": Protocol(
            source="disentmetrics: rank spacings of the mean code, over the codes that tell something beyond chance",
        ),
        "li2020": Protocol(
            source="Li et al. (2020): aggregate posteriors, integrated exactly instead of sampled, over codes "
            "whose mean varies by more than 0.01",
            options={"estimator": "posterior", "averaged": "spread"},
            needs=Needs(rows=2, log_variance=True),
            invariant_to=all_except("scale", "noise code", "duplicated code", "rotation", "dependent factors"),
            detects={"rotated", "packed", "rotated copy", "missing factor", "blurred"},
            precision=1e-3,
            costly=True,
        ),
        "carbonneau2022": Protocol(
            source="Carbonneau et al. (2022): codes and factors in 10 bins of equal width, over all codes",
            options={"estimator": "equal-width", "n_bins": 10, "factor_bins": 10, "averaged": "all"},
            needs=Needs(rows=2),
            invariant_to=all_except(
                "monotone warp",
                "outlier",
                "dead code",
                "noise code",
                "duplicated code",
                "rotation",
                "dependent factors",
            ),
            detects={"rotated", "packed", "rotated copy", "missing factor", "blurred"},
        ),
    },
)
def mig_sup(
    representation: Representation,
    *,
    estimator: InformationEstimator = "rank-spacing",
    n_bins: int = 20,
    factor_bins: int | None = None,
    averaged: Literal["telling", "spread", "all"] = "telling",
) -> RawScore:
    """Mean gap between the two factors of which each code tells most.

    ``mean over j of I(z_j; v_(1)) / H(v_(1)) - I(z_j; v_(2)) / H(v_(2))``, shares sorted over factors.

    Parameters
    ----------
    representation : Representation
        Rows without a label for a factor are ignored for that factor; continuous factors are discretised into 10
        equal-frequency bins unless ``factor_bins`` is given; circular factors keep their discrete values.
    estimator : {"rank-spacing", "equal-width", "quantile", "adjusted", "posterior"}
        Estimator of I(z_j; v_k), as in ``mig``.
    n_bins : int
        Number of bins per latent; ignored by estimators without bins.
    factor_bins : int, optional
        If given, factors are first discretised into this many equal-width bins.
    averaged : {"telling", "spread", "all"}
        Over which codes: those related to a factor beyond chance (other pairs count as 0), those whose mean has a
        variance above 0.01, or all, where dead codes count 0.

    Returns
    -------
    RawScore
        In [0, 1]: 1 where each code tells all of one factor and nothing of others; 0 where no code tells anything.
        ``per_factor`` is the mean gap of the codes that tell most of this factor, NaN where there is none. Details:
        ``mutual_information`` (n_codes, n_factors) in nats and ``gap`` (n_codes,), NaN for codes left out.

    Raises
    ------
    UndefinedScoreError
        If every factor is constant.

    Notes
    -----
    Averaged over all codes, four dead or noisy codes beside four perfect ones halve the score; so the
    default takes those that tell something. The authors' code divides by log |V_k|, which is H(v_k) on a full grid, and
    leaves the shape of dSprites out. The code of Carbonneau et al. divides by the entropy of the code, which makes
    their MIG-sup undefined for a dead code and the score of a fine-grained code lower; here it is always H(v_k).
    With one factor the gap is what the code tells of it. Read it beside ``mig``.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
    >>> packed = factors[:, 0] * 5.0 + factors[:, 1]
    >>> mig_sup(factors.astype(float), factors).value, round(mig_sup(packed, factors).value, 2)
    (1.0, 0.0)
    """
    known = normalized_mutual_information(representation, estimator, n_bins, factor_bins)
    shares = known.shares[:, known.defined]
    counted: NDArray[np.bool_] = np.ones(representation.n_codes, dtype=bool)
    if averaged == "telling":
        passed = representation.cached(significant_information).share[:, known.defined] > 0
        shares = np.where(passed, shares, 0.0)
        counted = np.asarray(shares.any(axis=1))
    elif averaged == "spread":
        counted = standard_deviation(representation.codes) > math.sqrt(_SPREAD)
    best, second = best_and_second(shares, axis=1)
    gap = best - second
    full = np.zeros_like(known.nats)
    full[:, known.defined] = shares
    return RawScore(
        value=float(gap[counted].mean()) if counted.any() else 0.0,
        per_factor=mean_by_best_factor(gap, (counted & (best > 0)).astype(np.float64), full),
        details={"mutual_information": known.nats, "gap": np.where(counted, gap, np.nan)},
        settings={**known.settings, "averaged": str(int(counted.sum()))},
        notes=missing_factor_note(representation, full, known.defined),
    )
