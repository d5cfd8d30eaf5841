"""Mutual information based entropy disentanglement."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.typing import Floats
from disentmetrics.estimators.importance import completeness, disentanglement
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
    paper="Cao, Nai, Yang, Huang & Gao (2022), An Empirical Study on Disentanglement of Negative-Free Contrastive "
    "Learning, section 3",
    known_failure="Dependent factors lower the score of a perfect code, whose latents are informative about several.",
    needs=Needs(factors=2, rows=20),
    parts={"completeness": (0.0, 1.0)},
    invariant_to=all_except("duplicated code", "repeated rows", "rotation", "dependent factors"),
    detects={"rotated", "packed", "rotated copy"},
    protocols={
        "default": Protocol(
            source="disentmetrics: rank spacings at finite resolution, significant associations only, over H(v_k)",
            precision=2 * RESOLUTION_PRECISION,
        ),
        "cao2022": Protocol(
            source="Cao et al. (2022): mean code in 20 equal-width bins, mutual informations of each factor "
            "divided by their sum over latents",
            options={"estimator": "equal-width", "gated": False, "normalise": "sum"},
            needs=Needs(factors=2, rows=2),
            invariant_to=all_except("monotone warp", "outlier", "duplicated code", "rotation", "dependent factors"),
            detects={"rotated", "packed", "rotated copy", "missing factor", "blurred"},
            perfect=0.975,  # on 3,000 rows: plug-in estimates are positive for noise
        ),
    },
)
def med(
    representation: Representation,
    *,
    estimator: InformationEstimator = "finite-resolution",
    n_bins: int = 20,
    gated: bool = True,
    normalise: Literal["entropy", "sum"] = "entropy",
    top: int | None = None,
) -> RawScore:
    """Mutual information based entropy disentanglement: DCI with mutual information in place of importances.

    ``sum over j of w_j [1 - H_K(R_j. / sum_k R_jk)]``, with R_jk the normalised mutual information of latent j and
    factor k, w_j the share of latent j in the sum of R, and the entropy to base K.

    Parameters
    ----------
    representation : Representation
        At least two factors that vary. Rows without a label for a factor are ignored for that factor; continuous
        factors are discretised into 10 equal-frequency bins; circular factors keep their discrete values.
    estimator : {"finite-resolution", "rank-spacing", "equal-width", "quantile", "adjusted", "posterior"}
        Estimator of I(z_j; v_k), as in ``mig``.
    n_bins : int
        Number of bins per latent; ignored by estimators without bins.
    gated : bool
        Whether pairs without a significant association count as 0.
    normalise : {"entropy", "sum"}
        Normalisation of I(z_j; v_k): by H(v_k), or by the sum over latents.
    top : int, optional
        If given, only this many latents per factor are used: the most disentangled of those whose most informative
        factor it is.

    Returns
    -------
    RawScore
        In [0, 1]; 1 if no latent is informative about a second factor, 0 if each is equally informative about all
        or none is informative. Part ``completeness``, the same for factors: 1 if no factor is encoded in a second
        latent. ``per_factor`` is the mean over the latents whose most informative factor it is, NaN where there is
        none. Details: ``normalised_information`` (n_codes, n_factors), ``disentanglement`` (n_codes,),
        ``completeness`` (n_factors,).

    Raises
    ------
    UndefinedScoreError
        If fewer than two factors vary.

    Notes
    -----
    Plug-in estimates are positive even for independent variables, so that noise adds entropy: without the gate a
    perfect code scores .04 on 100 rows and .92 on 10,000. With normalisation by the sum, a factor that is not encoded
    has the same weight as any other, and its noise is scored; with H(v_k), it has weight 0. Dead latents do not
    count, except in the base d of completeness, as by the authors.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
    >>> score = med(factors.astype(float), factors)
    >>> score.value, score.parts["completeness"].value
    (1.0, 1.0)
    """
    information = normalized_mutual_information(representation, estimator, n_bins)
    defined = information.defined
    mi = information.nats[:, defined]
    if gated:
        mi = np.where(representation.cached(significant_information).share[:, defined] > 0, mi, 0.0)
    total = mi.sum(axis=0) if normalise == "sum" else information.entropies[defined]
    r = mi / np.where(total > 0, total, 1.0)
    used = np.ones(len(r), dtype=bool) if top is None else _most_disentangled(r, top)
    of_code, weights = disentanglement(np.where(used[:, None], r, 0.0))
    of_factor, factor_weights = completeness(r[used])
    full = np.zeros_like(information.nats)
    full[:, defined] = r
    completeness_of_factor = np.full(representation.n_factors, np.nan)
    completeness_of_factor[defined] = of_factor
    return RawScore(
        value=float(of_code @ weights),
        per_factor=mean_by_best_factor(of_code, weights, full),
        details={
            "normalised_information": full,
            "disentanglement": np.where(weights > 0, of_code, np.nan),
            "completeness": completeness_of_factor,
        },
        settings=information.settings,
        notes=missing_factor_note(representation, information.shares, defined),
        parts={"completeness": float(of_factor @ factor_weights)},
    )


def _most_disentangled(matrix: Floats, top: int) -> NDArray[np.bool_]:
    """Return the ``top`` most disentangled latents per factor, among those whose most informative factor it is."""
    of_code, weights = disentanglement(matrix)
    best = np.argmax(matrix, axis=1)
    used = np.zeros(len(matrix), dtype=bool)
    for factor in range(matrix.shape[1]):
        own = np.flatnonzero((best == factor) & (weights > 0))
        used[own[np.argsort(-of_code[own], kind="stable")[:top]]] = True
    return used
