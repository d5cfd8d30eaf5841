"""MIG-sup, the latent-side counterpart of the mutual information gap."""

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
from disentmetrics.statistics.resolution import RESOLUTION_PRECISION
from disentmetrics.statistics.significance import significant_information

_ACTIVE_VARIANCE = 0.01  # variance of the posterior mean above which Li et al. call a latent active


@metric(
    family="information",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    least={"factor_bins": 2},
    paper="Li, Murkute, Gyawali & Wang (2020), Progressive Learning and Disentanglement of Hierarchical "
    "Representations, section 5",
    known_failure="Latents that all encode the same single factor score 1, although all other factors are missing.",
    needs=Needs(rows=20),
    invariant_to=all_except("duplicated code", "repeated rows", "rotation", "dependent factors"),
    detects={"rotated", "packed", "rotated copy", "blurred"},
    protocols={
        "default": Protocol(
            source="disentmetrics: rank spacings at finite resolution, mean over significantly informative latents",
            precision=RESOLUTION_PRECISION,
            unsettled={"repeated rows"},
        ),
        "li2020": Protocol(
            source="Li et al. (2020): aggregate posteriors, integrated exactly instead of sampled, mean over "
            "latents whose posterior mean has a variance above 0.01",
            options={"estimator": "posterior", "averaged": "spread"},
            needs=Needs(rows=2, log_variance=True),
            invariant_to=all_except("scale", "noise code", "duplicated code", "rotation", "dependent factors"),
            detects={"rotated", "packed", "rotated copy", "missing factor", "blurred"},
            precision=1e-3,
            costly=True,
        ),
        "carbonneau2022": Protocol(
            source="Carbonneau et al. (2022): codes and factors in 10 equal-width bins, mean over all latents",
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
    estimator: InformationEstimator = "finite-resolution",
    n_bins: int = 20,
    factor_bins: int | None = None,
    averaged: Literal["telling", "spread", "all"] = "telling",
) -> RawScore:
    """MIG-sup: gap between the two largest normalised mutual informations of each latent with single factors.

    ``mean over j of I(z_j; v_(1)) / H(v_(1)) - I(z_j; v_(2)) / H(v_(2))``, sorted over factors.

    Parameters
    ----------
    representation : Representation
        Rows without a label for a factor are ignored for that factor; continuous factors are discretised into 10
        equal-frequency bins unless ``factor_bins`` is given; circular factors keep their discrete values.
    estimator : {"finite-resolution", "rank-spacing", "equal-width", "quantile", "adjusted", "posterior"}
        Estimator of I(z_j; v_k), as in ``mig``.
    n_bins : int
        Number of bins per latent; ignored by estimators without bins.
    factor_bins : int, optional
        If given, factors are first discretised into this many equal-width bins.
    averaged : {"telling", "spread", "all"}
        Latents in the mean: those with a significant association with a factor (other pairs count as 0), those whose
        posterior mean has a variance above 0.01, or all, where dead latents count as 0.

    Returns
    -------
    RawScore
        In [0, 1]; 1 if each latent determines one factor and is independent of the others, 0 if no latent is
        informative. ``per_factor`` is the mean gap of the latents whose most informative factor it is, NaN where
        there is none. Details: ``mutual_information`` (n_codes, n_factors) in nats and ``gap`` (n_codes,), NaN for
        excluded latents.

    Raises
    ------
    UndefinedScoreError
        If every factor is constant.

    Notes
    -----
    With a mean over all latents, four dead or noise latents in addition to four perfect ones halve the score; the
    default therefore averages over informative latents. The authors' code divides by log of the number of values,
    which is H(v_k) on a full grid, and omits the shape factor of dSprites. The code of Carbonneau et al. divides by
    the entropy of the latent, which makes their MIG-sup undefined for a dead latent and lower for a fine-grained one;
    here the denominator is always H(v_k). With a single factor the gap is the normalised mutual information.
    Interpret the score together with ``mig``.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
    >>> packed = factors[:, 0] * 5.0 + factors[:, 1]
    >>> mig_sup(factors.astype(float), factors).value, round(mig_sup(packed, factors).value, 2)
    (1.0, 0.4)
    """
    information = normalized_mutual_information(representation, estimator, n_bins, factor_bins)
    defined = information.defined
    shares = information.shares[:, defined]
    counted: NDArray[np.bool_] = np.ones(representation.n_codes, dtype=bool)
    if averaged == "telling":
        passed = representation.cached(significant_information).share[:, defined] > 0
        shares = np.where(passed, shares, 0.0)
        counted = np.asarray(shares.any(axis=1))
    elif averaged == "spread":
        counted = standard_deviation(representation.codes) > math.sqrt(_ACTIVE_VARIANCE)
    best, second = best_and_second(shares, axis=1)
    gap = best - second
    full = np.zeros_like(information.nats)
    full[:, defined] = shares
    return RawScore(
        value=float(gap[counted].mean()) if counted.any() else 0.0,
        per_factor=mean_by_best_factor(gap, (counted & (best > 0)).astype(np.float64), full),
        details={"mutual_information": information.nats, "gap": np.where(counted, gap, np.nan)},
        settings={**information.settings, "averaged": str(int(counted.sum()))},
        notes=missing_factor_note(representation, full, defined),
    )
