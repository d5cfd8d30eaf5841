"""Parallelism score of coding directions across contexts."""

import math

import numpy as np
from numpy.typing import NDArray

from disentmetrics.errors import UndefinedScoreError
from disentmetrics.estimators.rank_correlation import standardise
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, mean_over_factors, metric
from disentmetrics.representation import Representation
from disentmetrics.statistics.conditions import Moments, conditions, moments, white_codes


@metric(
    family="geometry",
    bounds=(-1.0, 1.0),
    higher_is_better=True,
    paper="Bernardi et al. (2020), The Geometry of Abstraction in the Hippocampus and Prefrontal Cortex, "
    "parallelism score",
    known_failure="Every invertible linear mixture of a perfect code scores 1: parallel is not axis-aligned.",
    needs=Needs(factors=2, rows=40),
    invariant_to=all_except("monotone warp", "outlier", "repeated rows"),
    detects={"missing factor"},
    precision=5e-3,  # error of the noise correction
    protocols={
        "default": Protocol(
            source="disentmetrics: cosines in whitened codes, weighted by length and corrected for the noise of means",
            unsettled={"outlier"},
        ),
        "bernardi2020": Protocol(
            source="Bernardi et al. (2020): mean cosine of coding directions, each latent standardised",
            options={"corrected": False},
            invariant_to=all_except(
                "monotone warp", "outlier", "noise code", "duplicated code", "rotation", "dependent factors"
            ),
            detects={"packed", "missing factor"},
            perfect=math.nan,  # noise in the means changes directions
            precision=1e-9,
        ),
    },
)
def parallelism(representation: Representation, *, corrected: bool = True) -> RawScore:
    """Parallelism score: mean cosine between the coding directions of a factor in different contexts.

    ``mean over k, l, (a, b), c != c' of cos(d_c, d_c')`` with the coding direction
    ``d_c = E[z | v_k = b, v_l = c] - E[z | v_k = a, v_l = c]``, over factors k, other factors l, pairs of values (a,
    b) of k and pairs of values c, c' of l.

    Parameters
    ----------
    representation : Representation
        At least two factors. Ordinal, circular and continuous factors with more than 10 values are merged into 10
        classes of neighbouring values with equal frequency.
    corrected : bool
        Whether ``sum d_c . d_c'`` over all pairs is divided by the noise-corrected sum of ``|d_c|^2``, instead of
        each product by its own lengths, and codes are whitened instead of standardising each latent.

    Returns
    -------
    RawScore
        In [-1, 1]; 1 if directions are parallel, 0 if they are unrelated or not distinguishable from noise.
        ``per_factor`` is the mean over the coding directions of the factor. Details: ``cosine``
        (n_factors encoded, n_factors as context), NaN on the diagonal and where undefined.

    Raises
    ------
    UndefinedScoreError
        If no two factors have two values each that occur in all combinations.

    Notes
    -----
    The published mean cosine decreases with the noise in the means: with 1,200 rows, perfect codes of three factors
    do not reach 1. The corrected score is the share of a factor's effect on the codes that does not depend on another
    factor, as in an analysis of variance, and is invariant to invertible linear maps of the code. The authors
    maximise over all pairings of conditions; here conditions of the same context are paired, which is a stricter
    criterion.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
    >>> turning = np.stack([factors[:, 0] * (factors[:, 1] - 2.0), factors[:, 1]], axis=1)
    >>> round(parallelism(factors.astype(float), factors).value, 6)
    1.0
    >>> parallelism(turning, factors).per_factor["factor_0"] < 0.1
    True
    """
    n = representation.n_factors
    cosine = np.full((n, n), np.nan)
    codes = representation.cached_by_codes(white_codes if corrected else standardise)
    measure = _corrected if corrected else _mean_cosine
    for encoded in range(n):
        for context in range(n):
            if encoded == context:
                continue
            pairing = representation.cached(conditions, encoded, context)
            if (pairing.present.sum(axis=0) > 1).sum() > 1 and codes.shape[1]:
                cells = moments(codes[pairing.rows], pairing.first, pairing.second, pairing.present.shape)
                cosine[encoded, context] = measure(cells, pairing.present)
            elif (pairing.present.sum(axis=0) > 1).sum() > 1:
                cosine[encoded, context] = 0.0  # no latent varies
    if np.isnan(cosine).all():
        raise UndefinedScoreError("parallelism needs two factors with two values each that occur in all combinations")
    per_factor = np.array([row[~np.isnan(row)].mean() if (~np.isnan(row)).any() else np.nan for row in cosine])
    return RawScore(value=mean_over_factors(per_factor), per_factor=per_factor, details={"cosine": cosine})


def _pairs(present: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    low, high = np.triu_indices(len(present), 1)
    return low, high, present[low] & present[high]


def _corrected(cells: Moments, present: NDArray[np.bool_]) -> float:
    present = present & (cells.count > 1)  # a single row has no variance estimate
    low, high, both = _pairs(present)
    shared = both.sum(axis=1) > 1
    low, high, both = low[shared], high[shared], both[shared]
    if not len(both):
        return math.nan
    direction = np.where(both[:, :, None], cells.mean[high] - cells.mean[low], 0.0)
    n_contexts = both.sum(axis=1)
    total = direction.sum(axis=1)
    square = (direction**2).sum(axis=2)
    products = ((total**2).sum(axis=1) - square.sum(axis=1)) / (n_contexts * (n_contexts - 1))
    within = np.trace(cells.square, axis1=2, axis2=3) - (cells.mean**2).sum(axis=2)
    count = np.maximum(cells.count, 2.0)
    # Pooled variance within conditions, because cells may have few rows.
    variance = (within * count / (count - 1) * present).sum() / present.sum()
    noise = np.where(both, variance / count[low] + variance / count[high], 0.0)  # E|d|² of equal means
    squared_length = (square.sum(axis=1) - noise.sum(axis=1)) / n_contexts
    threshold = 3 * math.sqrt(2.0 / (cells.mean.shape[2] * max(int(present.sum()) - 1, 1)))
    if squared_length.sum() <= threshold * (noise.sum(axis=1) / n_contexts).sum() or squared_length.sum() <= 1e-12:
        return 0.0  # not distinguishable from noise
    return float(np.clip(products.sum() / squared_length.sum(), -1.0, 1.0))


def _mean_cosine(cells: Moments, present: NDArray[np.bool_]) -> float:
    low, high, both = _pairs(present)
    direction = np.where(both[:, :, None], cells.mean[high] - cells.mean[low], 0.0)
    length = np.sqrt((direction**2).sum(axis=2, keepdims=True))
    unit = direction / np.where(length > 1e-12, length, 1.0)
    n_pairs = (both.sum(axis=1) * (both.sum(axis=1) - 1)).sum()
    if not n_pairs:
        return math.nan
    return float(((unit.sum(axis=1) ** 2).sum() - (unit**2).sum()) / n_pairs)
