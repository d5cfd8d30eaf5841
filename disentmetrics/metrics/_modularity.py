"""Modularity of Ridgeway & Mozer."""

import math
from typing import Literal

import numpy as np

from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, metric
from disentmetrics.representation import Representation
from disentmetrics.statistics.information_scores import (
    mean_by_best_factor,
    missing_factor_note,
    normalized_mutual_information,
)
from disentmetrics.statistics.mutual_information import InformationEstimator
from disentmetrics.statistics.resolution import RESOLUTION_PRECISION
from disentmetrics.statistics.significance import significant_information


@metric(
    family="information",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    least={"factor_bins": 2},
    paper="Ridgeway & Mozer (2018), Learning Deep Disentangled Embeddings with the F-Statistic Loss, section 4",
    known_failure="A random rotation of a perfect code scores about .9, and a missing factor is not detected.",
    needs=Needs(factors=2, rows=20),
    # Packing two of three factors costs 0.095, just below the threshold of detection.
    invariant_to=all_except("duplicated code", "repeated rows", "rotation", "dependent factors"),
    detects={"rotated", "rotated copy"},
    protocols={
        "default": Protocol(
            source="disentmetrics: rank spacings at finite resolution, "
            "significant associations only, latents weighted by information",
            precision=RESOLUTION_PRECISION,
            detects={"rotated", "rotated copy", "packed"},
            unsettled={"repeated rows", "dependent factors"},
        ),
        "ridgeway2018": Protocol(
            source="Ridgeway & Mozer (2018): mean code in 20 equal-width bins, mean over latents that are not constant",
            options={"estimator": "equal-width", "averaged": "live"},
            needs=Needs(factors=2, rows=2),
            invariant_to=all_except(
                "monotone warp", "outlier", "noise code", "duplicated code", "rotation", "dependent factors"
            ),
            detects={"rotated", "packed", "rotated copy"},
            noise=math.nan,  # arbitrary: a ratio of two mutual informations near 0
        ),
        "locatello2019": Protocol(
            source="disentanglement_lib 1.5: mean code in 20 equal-width bins, dead latents count as 0",
            options={"estimator": "equal-width", "averaged": "all"},
            needs=Needs(factors=2, rows=2),
            invariant_to=all_except(
                "monotone warp",
                "outlier",
                "dead code",
                "noise code",
                "duplicated code",
                "rotation",
                "dependent factors",
            ),
            detects={"rotated", "packed", "rotated copy"},
            noise=math.nan,  # arbitrary: a ratio of two mutual informations near 0
        ),
        "carbonneau2022": Protocol(
            source="Carbonneau et al. (2022): codes and factors in 10 equal-width bins, dead latents excluded",
            options={"estimator": "equal-width", "n_bins": 10, "factor_bins": 10, "averaged": "live"},
            needs=Needs(factors=2, rows=2),
            invariant_to=all_except(
                "monotone warp", "outlier", "noise code", "duplicated code", "rotation", "dependent factors"
            ),
            detects={"rotated", "packed", "rotated copy"},
            noise=math.nan,  # arbitrary: a ratio of two mutual informations near 0
        ),
    },
)
def modularity(
    representation: Representation,
    *,
    estimator: InformationEstimator = "finite-resolution",
    n_bins: int = 20,
    factor_bins: int | None = None,
    averaged: Literal["told", "live", "all"] = "told",
) -> RawScore:
    """Modularity: agreement of each latent's mutual informations with a template of one informative factor.

    ``mean over j of 1 - sum over k != k* of I(z_j; v_k)^2 / [(K - 1) I(z_j; v_k*)^2]``, with k* the most informative
    factor of latent j and K the number of factors.

    Parameters
    ----------
    representation : Representation
        At least two factors that vary. Rows without a label for a factor are ignored for that factor; continuous
        factors are discretised into 10 equal-frequency bins unless ``factor_bins`` is given; circular factors keep
        their discrete values.
    estimator : {"finite-resolution", "rank-spacing", "equal-width", "quantile", "adjusted", "posterior"}
        Estimator of I(z_j; v_k), as in ``mig``.
    n_bins : int
        Number of bins per latent; ignored by estimators without bins.
    factor_bins : int, optional
        If given, factors are first discretised into this many equal-width bins.
    averaged : {"told", "live", "all"}
        ``told`` counts pairs without a significant association as 0, and weights latent j by I(z_j; v_k*) / H(v_k*);
        ``live`` is the unweighted mean over latents with positive information, ``all`` over all, dead ones counting
        as 0.

    Returns
    -------
    RawScore
        In [0, 1]; 1 if no latent is informative about a second factor, 0 if no latent is informative. ``per_factor``
        is the mean over the latents whose most informative factor it is, NaN where there is none. Details:
        ``mutual_information`` (n_codes, n_factors) in nats, ``modularity_of_code`` (n_codes,), NaN for uninformative
        latents.

    Raises
    ------
    UndefinedScoreError
        If fewer than two factors vary.

    Notes
    -----
    In the published forms, the modularity of an uninformative latent is a ratio of estimation errors: pure noise
    scores .25 to .76, possibly above a perfect code with as many dead latents (.50), and additional noise changes the
    score in either direction. Weighted by information, neither dead latents nor noise matter. The square and the mean
    over K - 1 factors make the metric lenient; ``modularity_adj`` is stricter.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
    >>> packed = factors[:, 0] * 5.0 + factors[:, 1]
    >>> modularity(factors.astype(float), factors).value, round(modularity(packed, factors).value, 2)
    (1.0, 0.59)
    """
    information = normalized_mutual_information(representation, estimator, n_bins, factor_bins)
    mi = information.nats
    if averaged == "told":
        mi = np.where(representation.cached(significant_information).share > 0, mi, 0.0)
    shares = mi / np.where(information.defined, information.entropies, np.inf)
    n_factors = int(information.defined.sum())
    best = mi.max(axis=1)
    informative = best > 0
    ratio = mi / np.where(informative, best, 1.0)[:, None]
    of_code = np.clip(1 - ((ratio**2).sum(axis=1) - 1) / max(1, n_factors - 1), 0.0, 1.0)  # minus k* itself
    weights = shares.max(axis=1) if averaged == "told" else informative.astype(np.float64)
    total = len(mi) if averaged == "all" else weights.sum()
    return RawScore(
        value=float(min(1.0, of_code @ weights / total)) if total > 0 else 0.0,
        per_factor=mean_by_best_factor(of_code, weights, mi),
        details={"mutual_information": mi, "modularity_of_code": np.where(informative, of_code, np.nan)},
        settings=information.settings,
        notes=missing_factor_note(representation, shares, information.defined),
    )
