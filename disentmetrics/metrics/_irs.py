"""Interventional robustness score."""

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from disentmetrics.errors import UndefinedScoreError
from disentmetrics.estimators.activity import constant, well_scaled
from disentmetrics.estimators.mutual_information import equal_width_bins
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, metric
from disentmetrics.representation import FACTOR_BINS, Representation
from disentmetrics.statistics.factor_groups import MIN_ROWS, Conditioning, how_conditioned, is_continuous, nearest_rows
from disentmetrics.statistics.targets import varied_factors

Deviation = Literal["quantile", "maximum"]
_N_CENTRES = 100


@metric(
    family="intervention",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    least={"quantile": 0, "n_neighbours": 2},
    paper="Suter, Miladinović, Schölkopf & Bauer (2019), Robustly Disentangled Causal Mechanisms, section 4",
    known_failure="A missing factor is not penalised unless a latent is left unused: the score is a mean over latents.",
    needs=Needs(rows=20),
    invariant_to=all_except("monotone warp", "noise code", "duplicated code", "repeated rows", "rotation"),
    detects={"rotated", "packed", "rotated copy", "missing factor", "blurred"},
    protocols={
        "default": Protocol(
            source="disentmetrics: 0.9 quantile of deviations from medians, relative to all rows; equal weights",
        ),
        "suter2019": Protocol(
            source="Suter et al. (2019): maximum deviations (quantile 1), latents weighted by them",
            options={"deviation": "maximum", "quantile": 1.0},
            invariant_to=all_except("scale", "monotone warp", "outlier", "noise code", "duplicated code", "rotation"),
            perfect=math.nan,  # 1; the score of noise decreases with the number of rows
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
    """Interventional robustness score: invariance of each latent to changes of all factors but its own.

    ``mean over j of max over k of 1 - mean over v of q_v |z_j - E[z_j | v_k = v]| / D_j``, with q_v a quantile over
    the rows where v_k = v, and D_j the largest deviation of latent j.

    Parameters
    ----------
    representation : Representation
        Rows without a label for a factor are ignored for that factor; constant latents are excluded.
    deviation : {"quantile", "maximum"}
        ``maximum`` is the published form: D_j is the largest ``|z_j - E z_j|``, and latents are weighted by it.
        ``quantile`` uses the same quantile of the deviations as D_j (the largest where it is 0), medians in place of
        E, and equal weights; values of a factor with fewer than 10 rows are excluded.
    quantile : float
        In (0, 1]; 1 is the maximum.
    factor_bins : int
        If positive, factors are first discretised into this many equal-width bins.
    conditioning : {"bins", "neighbours"}
        Definition of agreement in a continuous factor: rows of one of 10 equal-frequency bins, or the nearest
        neighbours of each of 100 evenly spaced rows. The signature records the choice.
    n_neighbours : int
        Number of nearest neighbours, including the row itself; all rows with tied values are included.

    Returns
    -------
    RawScore
        In [0, 1]; 1 if each latent is determined by one factor, irrespective of the others. ``per_factor`` is the
        largest robustness of any latent to all factors but this one, which is not part of the published score.
        Details: ``robustness`` (n_codes, n_factors), 0 for constant latents.

    Raises
    ------
    UndefinedScoreError
        If no factor has two values with enough rows, or the quantile is out of range.

    Notes
    -----
    The published form assigns 0.3 to 0.6 to noise latents, more on fewer rows, because a quantile of few rows is
    below the largest deviation of all rows; a single outlier raises the score to 1; and latents are weighted by their
    width. None of this applies to the default. If every latent is constant the score is 0. ``num_active_dims`` of
    disentanglement_lib sums values of latents instead of counting latents, and is not reported here.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
    >>> round(irs(factors.astype(float), factors).value, 6), irs(factors @ [[1.0], [1.0]], factors).value < 0.5
    (1.0, True)
    """
    if not 0 < quantile <= 1:
        raise UndefinedScoreError(f"quantile must be in (0, 1]; got {quantile}")
    robust = deviation == "quantile"
    alive = ~representation.cached_by_codes(constant)
    codes = well_scaled(np.ascontiguousarray(representation.codes[:, alive])).astype(np.float64)
    robustness = np.full((representation.n_codes, representation.n_factors), np.nan)
    reach = _deviation(codes.T.copy(), quantile if robust else 1.0, robust=robust)
    degenerate = reach == 0  # nearly all rows share one value: the quantile is 0, so the maximum is used
    reach[degenerate] = _deviation(codes.T[degenerate], 1.0, robust=robust)
    varied = np.flatnonzero(representation.cached(varied_factors)).tolist()
    near = n_neighbours if conditioning == "neighbours" else None
    for position in varied:
        labels = representation.labels(position)
        if factor_bins:
            labels, present = np.full_like(labels, -1), labels[labels >= 0]
            labels[representation.labels(position) >= 0] = equal_width_bins(present.astype(np.float64), factor_bins)
        if near and is_continuous(representation, position):
            groups = nearest_rows(representation, position, None, near).evenly_spaced(_N_CENTRES)
        else:
            groups = _rows_of_values(labels, MIN_ROWS if robust else 1)
        if len(groups) > 1:
            residual = np.mean([_deviation(codes[rows].T.copy(), quantile, robust=robust) for rows in groups], axis=0)
            if degenerate.any():
                rest = codes[:, degenerate]
                residual[degenerate] = np.mean(
                    [_deviation(rest[rows].T.copy(), 1.0, robust=robust) for rows in groups], axis=0
                )
            robustness[:, position] = 0.0
            robustness[alive, position] = np.maximum(1 - residual / reach, 0.0)
    defined = ~np.isnan(robustness[0])
    if not defined.any():
        raise UndefinedScoreError(
            f"irs needs a factor with two values of at least {MIN_ROWS} rows each"
            f"{f', or a continuous factor with at least {near} rows' if near else ''}"
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
    """Return the rows of each value that has enough rows."""
    order = np.argsort(labels, kind="stable")
    ends = np.cumsum(np.bincount(labels + 1))
    groups = np.split(order, ends[:-1])[1:]  # the first group has no label
    return [rows for rows in groups if len(rows) >= min_rows]


def _deviation(values: NDArray[np.float64], quantile: float, *, robust: bool) -> NDArray[np.float64]:
    """Return the quantile of the deviations of each row from its mean or median; overwrites its argument."""
    if not values.size:
        return np.zeros(len(values))
    values -= _quantile(values, 0.5)[:, None] if robust else values.mean(axis=1, keepdims=True)
    np.abs(values, out=values)
    return _quantile(values, quantile)


def _quantile(values: NDArray[np.float64], quantile: float) -> NDArray[np.float64]:
    """Return the linearly interpolated quantile of each row; np.quantile has ten times the overhead."""
    place = quantile * (values.shape[1] - 1)
    low = int(place)
    high = min(low + 1, values.shape[1] - 1)
    values.partition((low, high), axis=1)
    return np.asarray(values[:, low] + (place - low) * (values[:, high] - values[:, low]))
