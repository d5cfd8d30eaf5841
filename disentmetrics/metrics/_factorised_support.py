"""Distance of the support of the codes from a product of the supports of the latents."""

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
from disentmetrics.representation.resampling import random_subset

Scale = Literal["ranks", "sd", "none"]
_MAX_CODE = 1e150  # squares of larger codes overflow


@metric(
    family="unsupervised",
    bounds=(0.0, math.inf),
    higher_is_better=False,
    paper="Roth, Ibrahim, Akata, Vincent & Bouchacourt (2023), Disentanglement of Correlated Factors via Hausdorff "
    "Factorized Support, section 4",
    known_failure="Pure noise scores as well as a perfect code: its support is a product too.",
    needs=Needs(codes=2, factors=0, rows=2),
    randomised=True,
    least={"n_rows": 2},
    # A noise latent adds pairs of average distance; on the examples, within the spread of the draws.
    invariant_to=all_except("duplicated code", "rotation", "dependent factors"),
    detects={"rotated", "packed", "rotated copy", "blurred", "synergy lost"},
    perfect=math.nan,
    noise=math.nan,
    costly=True,
    protocols={
        "default": Protocol(
            source="disentmetrics: standardised ranks of the codes, mean distance over pairs, four samples of 128 rows",
        ),
        "roth2023": Protocol(
            source="Roth et al. (2023): unscaled codes, squared distances summed over pairs, four samples of 128 rows",
            options={"scale": "none", "squared_sum": True},
            # Dominated by outliers and the sample: the spread of the draws is of the order of the score.
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
    """Pairwise Hausdorff distance between the product of the latents' supports and their joint support.

    ``max over (r, s) of min over t of sqrt((z_ri - z_ti)² + (z_sj - z_tj)²)`` for latents i and j and rows r, s, t of
    a sample, averaged over pairs of latents and over samples; lower is better.

    Parameters
    ----------
    representation : Representation
        At least two latents; factors are ignored. Constant latents are excluded.
    rng : numpy.random.Generator
        Random number generator for the samples.
    scale : {"ranks", "sd", "none"}
        ``ranks`` replaces each latent by its ranks, scaled to variance 1, because monotone maps do not change whether
        the support is a product; ``sd`` scales the latents themselves to variance 1; ``none`` leaves them unscaled.
    squared_sum : bool
        Whether to sum the squared distances over pairs, as the authors do.
    n_rows, n_draws : int
        Number of rows per sample, drawn without replacement, and number of samples. If there are no more rows, all of
        them are a single sample.

    Returns
    -------
    RawScore
        Non-negative; lower is better. Details: ``distance`` (n_codes, n_codes), the mean distance of each pair. With
        fewer than two varying latents the score is 0.

    Raises
    ------
    UndefinedScoreError
        If unscaled codes exceed 1e150.

    Notes
    -----
    The distance decreases with the sample size: a finite sample of independent continuous latents leaves gaps, about
    0.5 for 128 ranks. Compare only scores with equal ``n_rows``. Correlated latents whose support is a product score
    well, which is the authors' motivation. Missing labels are ignored.

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
        sample = codes[random_subset(len(codes), size, rng)] if size < len(codes) else codes
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
        if largest > _MAX_CODE:
            raise UndefinedScoreError(f"unscaled codes must not exceed {_MAX_CODE:g}; got {largest:g}")
        return np.asarray(representation.codes, dtype=np.float64)
    return representation.cached_by_codes(standardised_ranks if scale == "ranks" else standardise)


def _squared_distance(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Return the largest squared distance from a point of the grid of both latents' values to its nearest row."""
    across = np.square(np.unique(first)[:, None] - first)
    along = np.square(second[:, None] - np.unique(second))
    nearest = np.full((len(across), along.shape[1]), np.inf)
    for row in range(len(first)):
        np.minimum(nearest, across[:, row, None] + along[row], out=nearest)
    return float(nearest.max())
