"""The OMES metric of Dapueto et al."""

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
    known_failure="Among many codes or factors a single wrong one weighs little: each penalty is a mean over them.",
    needs=Needs(codes=2, factors=2, rows=20),
    parts={"overlap": (0.0, 1.0), "multiple_encoding": (0.0, 1.0)},
    invariant_to=all_except(
        "monotone warp", "outlier", "noise code", "duplicated code", "rotation", "dependent factors"
    ),
    detects={"rotated", "packed", "missing factor", "blurred"},
    protocols={
        "default": Protocol(
            source="disentmetrics: share of variance that a factor alone makes; means over the other codes and factors",
        ),
        "dapueto2024": Protocol(
            source="Dapueto et al. (2024): correlation over pairs that differ in one factor, all pairs not a draw; "
            "codes with standard deviation below 0.05 left out",
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
    """Overlap and multiple encoding, from how much each code changes when one factor alone changes.

    With A_jk in [0, 1] how much code j changes with factor k alone, the overlap score of the pair is
    ``A_jk (1 - mean over l != k of A_jl)``, its multiple-encoding score ``A_jk (1 - mean over i != j of
    A_ik)``. Each is pooled over codes, and the score of factor k is alpha times the first plus 1 - alpha
    times the second.

    Parameters
    ----------
    representation : Representation
        At least two latents. Half of its rows must have a partner that differs in factor k alone, as on a full grid;
        a factor without such rows is excluded. Constant latents are excluded.
    change : {"variance", "correlation"}
        ``variance``: A_jk is the mean variance of code j among rows that agree in all factors but k, divided by
        its variance over all rows, each combination of factors counted once. ``correlation``, the published
        form: A_jk is 1 - |correlation| of the code between the two rows of a pair that differs in factor k
        alone; the means run over all factors and all codes, with 1 - A_jk for the pair itself.
    pooling : {"max", "average"}
        The best code, or the mean over codes weighted by A_jk.
    alpha : float
        Weight of the overlap score, in [0, 1].
    n_bins : int
        Bins of equal frequency that continuous factors are cut into; more leave too few rows that agree.

    Returns
    -------
    RawScore
        In [0, 1]. Parts: ``overlap`` (one code, one factor) and ``multiple_encoding`` (one factor, one code),
        the means over factors before they are weighted. Details: ``change`` (n_codes, n_factors).

    Raises
    ------
    UndefinedScoreError
        If fewer than two factors change alone for half of the rows.

    Notes
    -----
    The published form is below 1 for a perfect code, the more so the fewer values a factor has: the two rows of
    a pair never share the value, so their codes correlate by -1 / (n - 1), and the sign is dropped. A perfect
    code of a factor with two values scores 0, and codes of noise get (1 / K + 1 / d) / 2. The authors round A to
    four decimals.

    The variance form is the total-effect Sobol index, and gives 1 and 0. On a grid with one row a combination, noise
    cannot be told from an effect of every factor, and A_jk is 1 - 1 / n for n values; it then scores up to 0.2. If
    every latent is constant the score is 0.

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
    moved = np.stack([measure(codes, one) for one in usable.values()], axis=1)

    overlap, multiple = _penalised(moved, own=change == "correlation")
    found = np.full((2, representation.n_factors), np.nan)
    found[:, positions] = [_pool(overlap * moved, moved, pooling), _pool(multiple * moved, moved, pooling)]
    table = np.full((representation.n_codes, representation.n_factors), np.nan)
    table[:, positions] = 0.0
    table[np.ix_(np.flatnonzero(kept), positions)] = moved
    per_factor = alpha * found[0] + (1 - alpha) * found[1]
    return RawScore(
        value=mean_over_factors(per_factor),
        per_factor=per_factor,
        details={"change": table},
        settings={"prune": "constant" if change == "variance" else "sd<0.05"},
        notes=left_out(representation, usable),
        parts={"overlap": mean_over_factors(found[0]), "multiple_encoding": mean_over_factors(found[1])},
    )


def _variance(codes: NDArray[np.float64], cells: Cells) -> NDArray[np.float64]:
    """Variance within cells over the variance of all, each combination of factors counted once."""
    ordered = codes[cells.rows]
    in_run, in_cell = np.bincount(cells.run), cells.runs_in_cell
    mean = np.add.reduceat(ordered, np.cumsum(in_run) - in_run) / in_run[:, None]
    square = np.add.reduceat(np.square(ordered), np.cumsum(in_run) - in_run) / in_run[:, None]
    blur = np.maximum(square - mean**2, 0.0).mean(axis=0)  # rows with the same factors
    total = mean.var(axis=0) + blur
    of_cell = np.add.reduceat(mean, np.cumsum(in_cell) - in_cell) / in_cell[:, None]
    varies = in_cell > 1
    count = in_cell[varies]
    # The variance of some of the n values has the expectation of that of all, once corrected for how many there are.
    correction = count / (count - 1) * (1 - 1 / cells.n_values)
    weight = np.zeros(len(in_cell))
    weight[varies] = correction / count.sum()
    within = (np.square(mean - of_cell[cells.run_cell]) * weight[cells.run_cell, None]).sum(axis=0)
    return np.asarray(np.clip(np.divide(within + blur, total, out=np.zeros_like(total), where=total > 0), 0.0, 1.0))


def _correlation(codes: NDArray[np.float64], cells: Cells) -> NDArray[np.float64]:
    """1 - |correlation| between a row and the rows of its cell with another value, all such pairs together."""
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
    second = (of_cell - of_run)[paired] / others  # the mean over the partners of a row
    second_squares = (squares_of_cell - squares_of_run)[paired] / others
    mean = first.mean(axis=0), second.mean(axis=0)
    covariance = (first * second).mean(axis=0) - mean[0] * mean[1]
    variances = (np.square(first).mean(axis=0) - mean[0] ** 2) * (second_squares.mean(axis=0) - mean[1] ** 2)
    spread = np.sqrt(np.maximum(variances, 0.0))
    correlation = np.divide(covariance, spread, out=np.zeros_like(spread), where=spread > 1e-12)
    return np.asarray(1 - np.minimum(np.abs(correlation), 1.0))


def _penalised(moved: NDArray[np.float64], *, own: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return 1 less the mean change by other factors, and 1 less the mean change of other codes."""
    n_codes, n_factors = moved.shape
    lack = 1 - moved if own else np.zeros_like(moved)
    by_others = moved.sum(axis=1, keepdims=True) - moved + lack
    of_others = moved.sum(axis=0, keepdims=True) - moved + lack
    size = 0 if own else 1
    return 1 - by_others / max(1, n_factors - size), 1 - of_others / max(1, n_codes - size)


def _pool(scores: NDArray[np.float64], moved: NDArray[np.float64], pooling: Pooling) -> NDArray[np.float64]:
    if not len(scores):
        return np.zeros(scores.shape[1])
    if pooling == "max":
        return np.asarray(np.clip(scores.max(axis=0), 0.0, 1.0))
    mass = moved.sum(axis=0)
    mean = np.divide((scores * moved).sum(axis=0), mass, out=np.zeros_like(mass), where=mass > 0)
    return np.asarray(np.clip(mean, 0.0, 1.0))
