"""Parallelism: whether a factor moves the codes the same way whatever the other factors are."""

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
    known_failure="Every invertible linear mixture of perfect codes scores 1: parallel is not axis-aligned.",
    needs=Needs(factors=2, rows=40),
    invariant_to=all_except("monotone warp", "outlier", "repeated rows"),
    detects={"missing factor"},
    precision=5e-3,  # what the correction leaves
    protocols={
        "default": Protocol(
            source="disentmetrics: cosines of decorrelated codes, weighted by length and corrected for the "
            "noise of means",
            unsettled={"outlier"},
        ),
        "bernardi2020": Protocol(
            source="Bernardi et al. (2020): mean cosine of coding directions, codes standardised one by one",
            options={"corrected": False},
            invariant_to=all_except(
                "monotone warp", "outlier", "noise code", "duplicated code", "rotation", "dependent factors"
            ),
            detects={"packed", "missing factor"},
            perfect=math.nan,  # noise in means bends directions
            precision=1e-9,
        ),
    },
)
def parallelism(representation: Representation, *, corrected: bool = True) -> RawScore:
    """Mean cosine of the directions in which a factor moves the codes, between values of other factors.

    With ``d_c = E[z | v_k = b, v_l = c] - E[z | v_k = a, v_l = c]``, the mean over factors k, other factors l, pairs of
    values (a, b) of k and pairs of values c != c' of l of ``cos(d_c, d_c')``.

    Parameters
    ----------
    representation : Representation
        At least two factors. Ordinal, circular and continuous factors with more than 10 values are merged into 10
        classes of neighbouring values with equal frequency.
    corrected : bool
        Whether ``sum d_c . d_c'`` over all pairs is divided by the sum of ``|d_c|^2``, less what the noise of
        means adds to it, rather than each product by its own lengths; and whether codes are made
        uncorrelated with variance 1 rather than each standardised.

    Returns
    -------
    RawScore
        In [-1, 1]: 1 where directions are parallel, 0 where they are unrelated, or where no direction is told from
        noise. ``per_factor`` is the mean of each factor when it moves. Details: ``cosine`` (n_factors that
        move, n_factors as context), NaN on the diagonal and where undefined.

    Raises
    ------
    UndefinedScoreError
        If no two factors have two values each in all combinations.

    Notes
    -----
    The mean cosine as published falls with the noise in the means: on 1,200 rows perfect codes of three factors
    do not reach 1. Corrected, the score is the share of a factor's effect on the codes that does not depend on
    another factor, as in an analysis of variance, and no linear map of the codes changes it. The authors take the
    best of all ways to pair conditions; here rows of one context are paired, which a disentangled code must pass.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
    >>> turning = np.stack([factors[:, 0] * (factors[:, 1] - 2.0), factors[:, 1]], axis=1)
    >>> parallelism(factors.astype(float), factors).value
    1.0
    >>> parallelism(turning, factors).per_factor["factor_0"] < 0.1
    True
    """
    n = representation.n_factors
    cosine = np.full((n, n), np.nan)
    codes = representation.cached_by_codes(white_codes if corrected else standardise)
    measure = _corrected if corrected else _mean_cosine
    for moving in range(n):
        for context in range(n):
            if moving == context:
                continue
            found = representation.cached(conditions, moving, context)
            if (found.present.sum(axis=0) > 1).sum() > 1 and codes.shape[1]:
                cells = moments(codes[found.rows], found.first, found.second, found.present.shape)
                cosine[moving, context] = measure(cells, found.present)
            elif (found.present.sum(axis=0) > 1).sum() > 1:
                cosine[moving, context] = 0.0  # no code varies
    if np.isnan(cosine).all():
        raise UndefinedScoreError("parallelism needs two factors with two values each, in all combinations")
    per_factor = np.array([row[~np.isnan(row)].mean() if (~np.isnan(row)).any() else np.nan for row in cosine])
    return RawScore(value=mean_over_factors(per_factor), per_factor=per_factor, details={"cosine": cosine})


def _pairs(present: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    low, high = np.triu_indices(len(present), 1)
    return low, high, present[low] & present[high]


def _corrected(cells: Moments, present: NDArray[np.bool_]) -> float:
    present = present & (cells.count > 1)  # the spread of a single row is unknown
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
    # Cells of few rows borrow the spread of all.
    spread = (within * count / (count - 1) * present).sum() / present.sum()
    noise = np.where(both, spread / count[low] + spread / count[high], 0.0)
    length = (square.sum(axis=1) - noise.sum(axis=1)) / n_contexts
    least = 3 * math.sqrt(2.0 / (cells.mean.shape[2] * max(int(present.sum()) - 1, 1)))
    if length.sum() <= least * (noise.sum(axis=1) / n_contexts).sum() or length.sum() <= 1e-12:
        return 0.0
    return float(np.clip(products.sum() / length.sum(), -1.0, 1.0))


def _mean_cosine(cells: Moments, present: NDArray[np.bool_]) -> float:
    low, high, both = _pairs(present)
    direction = np.where(both[:, :, None], cells.mean[high] - cells.mean[low], 0.0)
    length = np.sqrt((direction**2).sum(axis=2, keepdims=True))
    unit = direction / np.where(length > 1e-12, length, 1.0)
    n_pairs = (both.sum(axis=1) * (both.sum(axis=1) - 1)).sum()
    if not n_pairs:
        return math.nan
    return float(((unit.sum(axis=1) ** 2).sum() - (unit**2).sum()) / n_pairs)
