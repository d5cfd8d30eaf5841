"""How far the support of the codes is from a product of intervals or sets."""

import math
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from disentmetrics.errors import UndefinedScoreError
from disentmetrics.estimators.activity import constant
from disentmetrics.estimators.rank_correlation import standardise, standardised_ranks
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, metric
from disentmetrics.representation import Representation

Scale = Literal["ranks", "sd", "none"]
_LARGEST = 1e150  # squares of larger codes overflow


@metric(
    family="unsupervised",
    bounds=(0.0, math.inf),
    higher_is_better=False,
    paper="Roth, Ibrahim, Akata, Vincent & Bouchacourt (2023), Disentanglement of Correlated Factors via Hausdorff "
    "Factorized Support, section 4",
    known_failure="Codes of pure noise score as well as perfect ones: their support is a product too.",
    needs=Needs(codes=2, factors=0, rows=2),
    randomised=True,
    least={"n_rows": 2},
    # A noise code adds pairs of middling distance; on the examples, within the spread of the draws.
    invariant_to=all_except("duplicated code", "rotation", "dependent factors"),
    detects={"rotated", "packed", "rotated copy", "blurred", "synergy lost"},
    perfect=math.nan,
    noise=math.nan,
    costly=True,
    protocols={
        "default": Protocol(
            source="disentmetrics: ranks of the codes, of variance 1; mean distance over pairs, four draws of 128 rows",
        ),
        "roth2023": Protocol(
            source="Roth et al. (2023): codes as they are, squared distances summed over pairs; four draws of 128 rows",
            options={"scale": "none", "squared_sum": True},
            # Outliers and the sample decide: the spread of the draws is of the order of the score.
            invariant_to=all_except(
                "scale",
                "monotone warp",
                "outlier",
                "noise code",
                "duplicated code",
                "repeated rows",
                "rotation",
                "dependent factors",
            ),
            detects={"rotated", "packed", "rotated copy", "missing factor", "blurred", "synergy lost"},
        ),
    },
)
def factorised_support(
    representation: Representation,
    *,
    rng: np.random.Generator,
    scale: Scale = "ranks",
    squared_sum: bool = False,
    n_rows: int = 128,
    n_draws: int = 4,
) -> RawScore:
    """Hausdorff distance from the product of the codes' supports to their joint support, pair by pair.

    For codes i and j and rows r, s, t of a sample: ``max over (r, s) of min over t of
    sqrt((z_ri - z_ti)² + (z_sj - z_tj)²)``, averaged over pairs of codes and over samples.

    Parameters
    ----------
    representation : Representation
        At least two latents; factors are not looked at. Constant latents are excluded.
    rng : numpy.random.Generator
        Draws the samples.
    scale : {"ranks", "sd", "none"}
        ``ranks`` replaces codes by ranks of variance 1, as no monotone map of a code changes whether the support is a
        product; ``sd`` gives the codes themselves variance 1; ``none`` takes them as they are.
    squared_sum : bool
        Whether to sum the squares of the distances over pairs, as the authors do.
    n_rows, n_draws : int
        Rows a sample, without replacement, and samples. All rows are one sample if there are no more.

    Returns
    -------
    RawScore
        From 0, lower is better. Details: ``distance`` (n_codes, n_codes), the mean distance of each pair.

    Raises
    ------
    UndefinedScoreError
        If codes as they are exceed 1e150. With fewer than two codes that vary the score is 0.

    Notes
    -----
    The distance falls as the sample grows: a finite one of independent continuous codes leaves gaps, about 0.5 in 128
    ranks. Compare scores of equal ``n_rows`` alone. Codes that are correlated over a support that is a product score
    well, which is the point of the authors. Missing labels are ignored.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T
    >>> factorised_support(factors.astype(float), factors).value
    0.0
    """
    alive = ~representation.cached_by_codes(constant)
    codes = _scaled(representation, scale)[:, alive]
    size = min(n_rows, len(codes))
    n_draws = n_draws if size < len(codes) else 1
    squares = np.zeros((n_draws, codes.shape[1], codes.shape[1]))
    for draw in range(n_draws):
        sample = codes[rng.choice(len(codes), size=size, replace=False)] if size < len(codes) else codes
        for i, j in combinations(range(codes.shape[1]), 2):
            squares[draw, i, j] = squares[draw, j, i] = _squared_distance(sample[:, i], sample[:, j])
    distance = np.zeros((representation.n_codes, representation.n_codes))
    distance[np.ix_(alive, alive)] = np.sqrt(squares).mean(axis=0)
    n_pairs = codes.shape[1] * (codes.shape[1] - 1) / 2
    if squared_sum:
        value = float(squares.sum()) / 2 / n_draws
    else:
        value = float(distance.sum()) / 2 / n_pairs if n_pairs else 0.0
    return RawScore(value=value, details={"distance": distance}, settings={"sample": str(size)})


def _scaled(representation: Representation, scale: Scale) -> NDArray[np.float64]:
    if scale == "none":
        largest = float(np.abs(representation.codes).max())
        if largest > _LARGEST:
            raise UndefinedScoreError(f"this form takes codes up to {_LARGEST:g}; got {largest:g}")
        return np.asarray(representation.codes, dtype=np.float64)
    return representation.cached_by_codes(standardised_ranks if scale == "ranks" else standardise)


def _squared_distance(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Largest squared distance of a point of the grid of both codes' values to the nearest row."""
    across = np.square(np.unique(first)[:, None] - first)
    along = np.square(second[:, None] - np.unique(second))
    nearest = np.full((len(across), along.shape[1]), np.inf)
    for row in range(len(first)):
        np.minimum(nearest, across[:, row, None] + along[row], out=nearest)
    return float(nearest.max())
