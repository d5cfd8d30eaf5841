"""The interventional robustness score."""

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from disentmetrics.errors import UndefinedScoreError
from disentmetrics.estimators.activity import constant, well_scaled
from disentmetrics.estimators.mutual_information import equal_width_bins
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, metric
from disentmetrics.representation import FACTOR_BINS, Representation
from disentmetrics.statistics.factor_groups import (
    MIN_ROWS,
    Conditioning,
    how_conditioned,
    is_continuous,
    nearest_rows,
    varied_factors,
)

Deviation = Literal["quantile", "maximum"]
_N_CENTRES = 100


@metric(
    family="intervention",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    least={"quantile": 0, "n_neighbours": 2},
    paper="Suter, Miladinović, Schölkopf & Bauer (2019), Robustly Disentangled Causal Mechanisms, section 4",
    known_failure="A factor that no code follows costs nothing if no code is left over, since it is a mean over codes.",
    needs=Needs(rows=20),
    invariant_to=all_except("monotone warp", "noise code", "duplicated code", "repeated rows", "rotation"),
    detects={"rotated", "packed", "rotated copy", "missing factor", "blurred"},
    protocols={
        "default": Protocol(
            source="disentmetrics: 0.9 quantile of deviations from medians, over that of all rows; equal weights",
        ),
        "suter2019": Protocol(
            source="Suter et al. (2019): largest deviations (quantile 1), codes weighted by them",
            options={"deviation": "maximum", "quantile": 1.0},
            invariant_to=all_except("scale", "monotone warp", "outlier", "noise code", "duplicated code", "rotation"),
            perfect=math.nan,  # 1, and noise is no constant: it falls with the number of rows
            noise=math.nan,
        ),
        "locatello2019": Protocol(
            source="disentanglement_lib 1.5: quantile 0.99, factors in 20 bins of equal width",
            options={"deviation": "maximum", "quantile": 0.99, "factor_bins": 20},
            invariant_to=all_except(
                "scale", "monotone warp", "outlier", "noise code", "duplicated code", "repeated rows", "rotation"
            ),
            perfect=math.nan,
            noise=math.nan,
        ),
    },
)
def irs(
    representation: Representation,
    *,
    deviation: Deviation = "quantile",
    quantile: float = 0.9,
    factor_bins: int = 0,
    conditioning: Conditioning = "bins",
    n_neighbours: int = 30,
) -> RawScore:
    """How little a code moves when other factors than its own change.

    ``mean over j of max over k of 1 - mean over v of q_v |z_j - E[z_j | v_k = v]| / D_j``, with q_v
    a quantile over the rows where v_k = v, and D_j the largest deviation that code j can have.

    Parameters
    ----------
    representation : Representation
        Rows without a label for a factor are ignored for that factor; constant codes are left out.
    deviation : {"quantile", "maximum"}
        ``maximum`` is the published form: D_j is the largest |z_j - E z_j|, and codes are weighted by
        it. ``quantile`` takes the same quantile of |z_j - E z_j| for D_j (the largest where that is 0),
        medians for E, and weights codes alike; values of a factor with fewer than 10 rows are left out.
    quantile : float
        In (0, 1]; 1 is the maximum.
    factor_bins : int
        Cut ordinal factors into so many bins of equal width; 0 leaves them.
    conditioning : {"bins", "neighbours"}
        Which rows agree in a continuous factor: those of one of 10 bins of equal frequency, or the nearest to each of
        100 rows, evenly spread. The signature records the choice.
    n_neighbours : int
        How many the nearest are, the row itself among them; rows of equal values are all taken.

    Returns
    -------
    RawScore
        In [0, 1]: 1 where each code is fixed by one factor, whatever the others do. ``per_factor`` is
        the largest robustness that any code has to all factors but this one, which is no part of the
        published score. Details: ``robustness`` (n_codes, n_factors), 0 for constant codes.

    Raises
    ------
    UndefinedScoreError
        If no factor takes two values on enough rows, or the quantile is out of range.

    Notes
    -----
    The published form gives codes of noise 0.3 to 0.6, more on fewer rows, since a quantile of few rows falls short
    of the largest deviation of all; one outlier raises it to 1; and a code counts as much as it is wide. None of that
    holds for the default. If every latent is constant the score is 0. The library's ``num_active_dims`` is a sum of
    codes, not a number of codes, and is not given here.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
    >>> round(irs(factors.astype(float), factors).value, 6), irs(factors @ [[1.0], [1.0]], factors).value < 0.5
    (1.0, True)
    """
    if not 0 < quantile <= 1:
        raise UndefinedScoreError(f"irs takes a quantile above 0 and of at most 1; got {quantile}")
    robust = deviation == "quantile"
    alive = ~representation.cached_by_codes(constant)
    codes = well_scaled(np.ascontiguousarray(representation.codes[:, alive])).astype(np.float64)
    robustness = np.full((representation.n_codes, representation.n_factors), np.nan)
    reach = _deviation(codes.T.copy(), quantile if robust else 1.0, robust=robust)
    sparse = reach == 0  # nearly all rows share one value: their quantile is 0, and says nothing
    reach[sparse] = _deviation(codes.T[sparse], 1.0, robust=robust)
    varied = np.flatnonzero(representation.cached(varied_factors)).tolist()
    near = n_neighbours if conditioning == "neighbours" else None
    for position in varied:
        labels = representation.labels(position)
        if factor_bins:
            labels, present = np.full_like(labels, -1), labels[labels >= 0]
            labels[representation.labels(position) >= 0] = equal_width_bins(present.astype(np.float64), factor_bins)
        if near and is_continuous(representation, position):
            groups = nearest_rows(representation, position, None, near).some(_N_CENTRES)
        else:
            groups = _rows_of_values(labels, MIN_ROWS if robust else 1)
        if len(groups) > 1:
            moved = np.mean([_deviation(codes[rows].T.copy(), quantile, robust=robust) for rows in groups], axis=0)
            if sparse.any():
                rest = codes[:, sparse]
                moved[sparse] = np.mean(
                    [_deviation(rest[rows].T.copy(), 1.0, robust=robust) for rows in groups], axis=0
                )
            robustness[:, position] = 0.0
            robustness[alive, position] = np.maximum(1 - moved / reach, 0.0)
    defined = ~np.isnan(robustness[0])
    if not defined.any():
        raise UndefinedScoreError(
            f"irs needs a factor with two values that {MIN_ROWS} rows share"
            f"{f', or {near} of a continuous one' if near else ''}"
        )
    best = robustness[:, defined].max(axis=1)
    weights = reach if deviation == "maximum" else np.ones(len(reach))
    return RawScore(
        value=float(np.average(best[alive], weights=weights)) if alive.any() else 0.0,
        per_factor=robustness.max(axis=0),
        details={"robustness": robustness},
        settings=how_conditioned(representation, varied, near, min(FACTOR_BINS, factor_bins or FACTOR_BINS)),
    )


def _rows_of_values(labels: NDArray[np.int64], min_rows: int) -> list[NDArray[np.int64]]:
    """Rows of each value that enough rows share."""
    order = np.argsort(labels, kind="stable")
    ends = np.cumsum(np.bincount(labels + 1))
    groups = np.split(order, ends[:-1])[1:]  # the first have no label
    return [rows for rows in groups if len(rows) >= min_rows]


def _deviation(values: NDArray[np.float64], quantile: float, *, robust: bool) -> NDArray[np.float64]:
    """Quantile of the deviations of each row from its mean or median; overwrites its argument."""
    if not values.size:
        return np.zeros(len(values))
    values -= _quantile(values, 0.5)[:, None] if robust else values.mean(axis=1, keepdims=True)
    np.abs(values, out=values)
    return _quantile(values, quantile)


def _quantile(values: NDArray[np.float64], quantile: float) -> NDArray[np.float64]:
    """Quantile of each row, interpolated between the two nearest values; numpy's own has ten times the overhead."""
    place = quantile * (values.shape[1] - 1)
    low = int(place)
    high = min(low + 1, values.shape[1] - 1)
    values.partition((low, high), axis=1)
    return np.asarray(values[:, low] + (place - low) * (values[:, high] - values[:, low]))
