"""OMES: overlap and multiple-encoding score."""

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from disentmetrics.errors import InvalidInputError
from disentmetrics.estimators.activity import constant, standard_deviation
from disentmetrics.estimators.rank_correlation import standardise
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, mean_over_factors, metric
from disentmetrics.representation import Representation
from disentmetrics.statistics.traversals import Cells, factors_alone, left_out

Change = Literal["variance", "correlation"]
Pooling = Literal["max", "average"]


@metric(
    family="intervention",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    paper="Dapueto, Noceti & Odone (2024), Transferring disentangled representations, section 3",
    known_failure="A single entangled latent among many is hardly penalised: each penalty is a mean.",
    needs=Needs(codes=2, factors=2, rows=20),
    parts={"overlap": (0.0, 1.0), "multiple_encoding": (0.0, 1.0)},
    invariant_to=all_except(
        "monotone warp", "outlier", "noise code", "duplicated code", "rotation", "dependent factors"
    ),
    detects={"rotated", "packed", "missing factor", "blurred"},
    protocols={
        "default": Protocol(
            source="disentmetrics: share of variance due to a factor alone; means over the other latents and factors",
        ),
        "dapueto2024": Protocol(
            source="Dapueto et al. (2024): correlation over all pairs that differ in one factor, not a sample; "
            "latents with standard deviation below 0.05 excluded",
            options={"change": "correlation"},
            invariant_to=all_except(
                "scale", "monotone warp", "outlier", "noise code", "duplicated code", "rotation", "dependent factors"
            ),
            detects={"rotated", "blurred"},
            perfect=math.nan,  # the mean of 1 - 1 / (n - 1) over factors of n values
            noise=math.nan,
        ),
    },
)
def omes(
    representation: Representation,
    *,
    change: Change = "variance",
    pooling: Pooling = "max",
    alpha: float = 0.5,
    n_bins: int = 3,
) -> RawScore:
    """OMES: overlap and multiple-encoding score from the changes of latents when a single factor changes.

    ``mean over k of alpha O_k + (1 - alpha) M_k`` with the overlap score
    ``O_k = pool over j of A_jk (1 - mean over l != k of A_jl)`` and the multiple-encoding score
    ``M_k = pool over j of A_jk (1 - mean over i != j of A_ik)``, where A_jk in [0, 1] is the change of latent j when
    only factor k changes.

    Parameters
    ----------
    representation : Representation
        At least two latents. Half of its rows must have a partner that differs in factor k alone, as on a full grid;
        a factor without such rows is excluded. Constant latents are excluded.
    change : {"variance", "correlation"}
        ``variance``: A_jk is the mean variance of latent j among rows that agree in all factors but k, divided by its
        variance over all rows, with equal weight for each combination of factors. ``correlation``, the published
        form: A_jk is ``1 - |correlation|`` of the latent between the two rows of pairs that differ only in factor k;
        the means run over all factors and all latents, with 1 - A_jk for the pair itself.
    pooling : {"max", "average"}
        Maximum over latents, or mean over latents weighted by A_jk.
    alpha : float
        Weight of the overlap score, in [0, 1].
    n_bins : int
        Number of equal-frequency bins of continuous factors; with more bins too few rows agree.

    Returns
    -------
    RawScore
        In [0, 1]. Parts: ``overlap`` (each latent changes with one factor) and ``multiple_encoding`` (each factor
        changes one latent), the unweighted means over factors. Details: ``change`` (n_codes, n_factors), the matrix
        A.

    Raises
    ------
    UndefinedScoreError
        If fewer than two factors change alone in half of the rows.

    Notes
    -----
    The published form is below 1 for a perfect code, in particular for factors with few values: the two rows of a
    pair never share the value, so that the latent has correlation -1 / (n - 1), whose sign is dropped. A perfect code
    of a factor with two values scores 0, and noise scores (1 / K + 1 / d) / 2. The authors round A to four decimals.

    The variance form is the total-effect Sobol index, and gives 1 and 0 in these cases. On a grid with one row per
    combination, noise cannot be distinguished from an effect of every factor: A_jk is 1 - 1 / n for n values, and
    noise scores up to 0.2. If every latent is constant the score is 0.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T
    >>> omes(factors.astype(float), factors).value, round(omes(factors @ [[1, 1], [1, -1]], factors).value, 2)
    (1.0, 0.25)
    """
    if alpha > 1:
        raise InvalidInputError(f"alpha must be at most 1; got {alpha!r}")
    usable = factors_alone(representation, "omes", least=2, n_bins=n_bins)
    positions = np.array(list(usable))
    kept = ~representation.cached_by_codes(constant)
    if change == "correlation":
        kept &= standard_deviation(representation.codes) >= 0.05
    codes = standardise(representation.codes[:, kept])
    measure = _variance if change == "variance" else _correlation
    a = np.stack([measure(codes, factor_cells) for factor_cells in usable.values()], axis=1)

    overlap, multiple = _penalties(a, own=change == "correlation")
    pooled = np.full((2, representation.n_factors), np.nan)
    pooled[:, positions] = [_pool(overlap * a, a, pooling), _pool(multiple * a, a, pooling)]
    table = np.full((representation.n_codes, representation.n_factors), np.nan)
    table[:, positions] = 0.0
    table[np.ix_(np.flatnonzero(kept), positions)] = a
    per_factor = alpha * pooled[0] + (1 - alpha) * pooled[1]
    return RawScore(
        value=mean_over_factors(per_factor),
        per_factor=per_factor,
        details={"change": table},
        settings={"prune": "constant" if change == "variance" else "sd<0.05"},
        notes=left_out(representation, usable),
        parts={"overlap": mean_over_factors(pooled[0]), "multiple_encoding": mean_over_factors(pooled[1])},
    )


def _variance(codes: NDArray[np.float64], cells: Cells) -> NDArray[np.float64]:
    """Return the variance within cells relative to the total, with equal weight for each combination of factors."""
    ordered = codes[cells.rows]
    in_run, in_cell = np.bincount(cells.run), cells.runs_in_cell
    mean = np.add.reduceat(ordered, np.cumsum(in_run) - in_run) / in_run[:, None]
    square = np.add.reduceat(np.square(ordered), np.cumsum(in_run) - in_run) / in_run[:, None]
    noise = np.maximum(square - mean**2, 0.0).mean(axis=0)  # variance among rows with equal factors
    total = mean.var(axis=0) + noise
    of_cell = np.add.reduceat(mean, np.cumsum(in_cell) - in_cell) / in_cell[:, None]
    varies = in_cell > 1
    count = in_cell[varies]
    # Corrected for its degrees of freedom, the variance of a subset of the n values estimates that of all of them.
    correction = count / (count - 1) * (1 - 1 / cells.n_values)
    weight = np.zeros(len(in_cell))
    weight[varies] = correction / count.sum()
    within = (np.square(mean - of_cell[cells.run_cell]) * weight[cells.run_cell, None]).sum(axis=0)
    return np.asarray(np.clip(np.divide(within + noise, total, out=np.zeros_like(total), where=total > 0), 0.0, 1.0))


def _correlation(codes: NDArray[np.float64], cells: Cells) -> NDArray[np.float64]:
    """Return 1 - |correlation| over all pairs of rows of the same cell with different values of the factor."""
    ordered = codes[cells.rows]
    in_cell, in_run = np.bincount(cells.cell), np.bincount(cells.run)
    of_cell = np.add.reduceat(ordered, np.cumsum(in_cell) - in_cell)[cells.cell]
    of_run = np.add.reduceat(ordered, np.cumsum(in_run) - in_run)[cells.run]
    squares = np.square(ordered)
    squares_of_cell = np.add.reduceat(squares, np.cumsum(in_cell) - in_cell)[cells.cell]
    squares_of_run = np.add.reduceat(squares, np.cumsum(in_run) - in_run)[cells.run]
    others = (in_cell[cells.cell] - in_run[cells.run])[:, None]
    paired = others[:, 0] > 0
    first, others = ordered[paired], others[paired]
    second = (of_cell - of_run)[paired] / others  # mean over the partners of a row
    second_squares = (squares_of_cell - squares_of_run)[paired] / others
    mean = first.mean(axis=0), second.mean(axis=0)
    covariance = (first * second).mean(axis=0) - mean[0] * mean[1]
    variances = (np.square(first).mean(axis=0) - mean[0] ** 2) * (second_squares.mean(axis=0) - mean[1] ** 2)
    spread = np.sqrt(np.maximum(variances, 0.0))
    correlation = np.divide(covariance, spread, out=np.zeros_like(spread), where=spread > 1e-12)
    return np.asarray(1 - np.minimum(np.abs(correlation), 1.0))


def _penalties(a: NDArray[np.float64], *, own: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return 1 minus the mean change by other factors, and 1 minus the mean change of other latents."""
    n_codes, n_factors = a.shape
    own_term = 1 - a if own else np.zeros_like(a)
    by_others = a.sum(axis=1, keepdims=True) - a + own_term
    of_others = a.sum(axis=0, keepdims=True) - a + own_term
    excluded = 0 if own else 1
    return 1 - by_others / max(1, n_factors - excluded), 1 - of_others / max(1, n_codes - excluded)


def _pool(scores: NDArray[np.float64], a: NDArray[np.float64], pooling: Pooling) -> NDArray[np.float64]:
    if not len(scores):
        return np.zeros(scores.shape[1])
    if pooling == "max":
        return np.asarray(np.clip(scores.max(axis=0), 0.0, 1.0))
    mass = a.sum(axis=0)
    mean = np.divide((scores * a).sum(axis=0), mass, out=np.zeros_like(mass), where=mass > 0)
    return np.asarray(np.clip(mean, 0.0, 1.0))
