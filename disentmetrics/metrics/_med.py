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
from disentmetrics.statistics.significance import significant_information


@metric(
    family="information",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    paper="Cao, Nai, Yang, Huang & Gao (2022), An Empirical Study on Disentanglement of Negative-Free Contrastive "
    "Learning, section 3",
    known_failure="Dependent factors lower the score of a perfect code, whose codes then tell of several factors.",
    needs=Needs(factors=2, rows=20),
    parts={"completeness": (0.0, 1.0)},
    invariant_to=all_except("duplicated code", "repeated rows", "rotation", "dependent factors"),
    detects={"rotated", "packed", "rotated copy"},
    protocols={
        "default": Protocol(
            source="disentmetrics: rank spacings, pairs that are related beyond chance, divided by H(v_k)",
        ),
        "cao2022": Protocol(
            source="Cao et al. (2022): mean code in 20 bins of equal width, each factor's normalized_mutual_information divided by "
            "their sum over codes",
            options={"estimator": "equal-width", "gated": False, "normalise": "sum"},
            needs=Needs(factors=2, rows=2),
            invariant_to=all_except("monotone warp", "outlier", "duplicated code", "rotation", "dependent factors"),
            detects={"rotated", "packed", "rotated copy", "missing factor", "blurred"},
            perfect=0.975,  # on 3,000 rows: normalized_mutual_information of noise are above 0
        ),
    },
)
def med(
    representation: Representation,
    *,
    estimator: InformationEstimator = "rank-spacing",
    n_bins: int = 20,
    gated: bool = True,
    normalise: Literal["entropy", "sum"] = "entropy",
    top: int | None = None,
) -> RawScore:
    """Tell how far each code's information is about one factor, by the entropy of its shares.

    ``sum over j of w_j [1 - H_K(R_j. / sum_k R_jk)]`` as for DCI, with normalised normalized_mutual_information R_jk in place of a
    predictor's importances and w_j the share of code j in their sum; the entropy is to base K.

    Parameters
    ----------
    representation : Representation
        At least two factors that vary. Rows without a label for a factor are ignored for that factor; continuous
        factors are discretised into 10 equal-frequency bins; circular factors keep their discrete values.
    estimator : {"rank-spacing", "equal-width", "quantile", "adjusted", "posterior"}
        Estimator of I(z_j; v_k), as in ``mig``.
    n_bins : int
        Number of bins per latent; ignored by estimators without bins.
    gated : bool
        Whether pairs without a significant association count as 0.
    normalise : {"entropy", "sum"}
        Divide the normalized_mutual_information of factor k by H(v_k), or by their sum over codes.
    top : int, optional
        Keep for each factor no more codes than this: of those that tell most of it, the most disentangled.

    Returns
    -------
    RawScore
        In [0, 1]: 1 where no code tells anything of a second factor, 0 where each tells equally much of all, and
        where no code tells anything. Part ``completeness``, the same over factors: 1 where no factor is told by a
        second code. ``per_factor`` is the mean over the latents whose most informative factor it is, NaN where there
        is none. Details: ``normalised_information`` (n_codes, n_factors), ``disentanglement`` (n_codes,),
        ``completeness`` (n_factors,).

    Raises
    ------
    UndefinedScoreError
        If fewer than two factors vary.

    Notes
    -----
    Plugged-in normalized_mutual_information are never 0, so that noise adds entropy: without the gate a perfect code scores .04 on 100
    rows and .92 on 10,000. Divided by its sum, a factor of which no code tells anything weighs as much as any
    other, and its noise is scored; divided by H(v_k), it weighs nothing. Dead codes do not count, but are
    counted in the base of completeness, as by the authors.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
    >>> score = med(factors.astype(float), factors)
    >>> score.value, score.parts["completeness"].value
    (1.0, 1.0)
    """
    known = normalized_mutual_information(representation, estimator, n_bins)
    nats = known.nats[:, known.defined]
    if gated:
        nats = np.where(representation.cached(significant_information).share[:, known.defined] > 0, nats, 0.0)
    total = nats.sum(axis=0) if normalise == "sum" else known.entropies[known.defined]
    matrix = nats / np.where(total > 0, total, 1.0)
    used = np.ones(len(matrix), dtype=bool) if top is None else _most_disentangled(matrix, top)
    of_code, weights = disentanglement(np.where(used[:, None], matrix, 0.0))
    of_factor, factor_weights = completeness(matrix[used])
    full = np.zeros_like(known.nats)
    full[:, known.defined] = matrix
    completeness_of_factor = np.full(representation.n_factors, np.nan)
    completeness_of_factor[known.defined] = of_factor
    return RawScore(
        value=float(of_code @ weights),
        per_factor=mean_by_best_factor(of_code, weights, full),
        details={
            "normalised_information": full,
            "disentanglement": np.where(weights > 0, of_code, np.nan),
            "completeness": completeness_of_factor,
        },
        settings=known.settings,
        notes=missing_factor_note(representation, known.shares, known.defined),
        parts={"completeness": float(of_factor @ factor_weights)},
    )


def _most_disentangled(matrix: Floats, top: int) -> NDArray[np.bool_]:
    """Return for each factor its ``top`` most disentangled codes, of those that tell most of it."""
    of_code, weights = disentanglement(matrix)
    best = np.argmax(matrix, axis=1)
    used = np.zeros(len(matrix), dtype=bool)
    for factor in range(matrix.shape[1]):
        own = np.flatnonzero((best == factor) & (weights > 0))
        used[own[np.argsort(-of_code[own], kind="stable")[:top]]] = True
    return used
