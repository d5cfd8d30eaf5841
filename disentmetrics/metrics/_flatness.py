"""How straight the codes move along a factor."""

import numpy as np
from numpy.typing import NDArray

from disentmetrics.estimators.activity import constant, well_scaled
from disentmetrics.estimators.rank_correlation import standardise
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, mean_over_factors, metric
from disentmetrics.representation import Representation
from disentmetrics.statistics.traversals import factor_traversals, left_out

_CHUNK = 1 << 20  # differences held at once


@metric(
    family="geometry",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    paper="Michlo (2021), disent: a modular disentangled representation learning framework, metric flatness",
    known_failure="A factor that moves two codes with equal steps loses only a little: 1 / sqrt(2) in place of 1.",
    needs=Needs(rows=4),
    randomised=True,
    parts={"l1": (0.0, 1.0), "l2": (0.0, 1.0)},
    invariant_to=all_except(
        "monotone warp", "outlier", "noise code", "duplicated code", "relabelled factors", "rotation"
    ),
    detects={"rotated", "packed", "rotated copy", "missing factor", "blurred"},
    noise=float("nan"),
    protocols={
        "default": Protocol(
            source="disentmetrics: standardised codes, up to 1,000 traversals a factor",
        ),
        "michlo2021": Protocol(
            source="disent 0.8: codes as they are, 128 traversals a factor, categories and all",
            options={"n_lines": 128, "standardised": False},
            # An outlier counts only if drawn: one row in sixteen is, on the examples.
            invariant_to=all_except(
                "scale", "monotone warp", "noise code", "duplicated code", "relabelled factors", "rotation"
            ),
        ),
    },
)
def flatness(
    representation: Representation, *, rng: np.random.Generator, n_lines: int = 1_000, standardised: bool = True
) -> RawScore:
    """Width of the codes along a factor over the length of the way that they take.

    ``mean over k of width_k / length_k``: along a traversal of factor k, all others fixed, the width is the
    largest Euclidean distance of two of its n points, and the length the sum of the n - 1 steps from
    one value to the next, in the L1 norm; both are averaged over traversals.

    Parameters
    ----------
    representation : Representation
        Must hold whole traversals, as a full grid does; a factor with too few is left out. Of rows with
        the same factors one is drawn.
    rng : numpy.random.Generator
        Random number generator.
    n_lines : int
        Traversals a factor; all are used if there are no more.
    standardised : bool
        Whether each code is divided by its standard deviation; categorical factors are then left out, as
        their order means nothing.

    Returns
    -------
    RawScore
        In [0, 1]: 1 where each factor moves one code, to and fro never. Parts: ``l1`` and ``l2``, with
        both width and length in that norm. Details: ``width`` and ``length`` (n_factors,).

    Raises
    ------
    UndefinedScoreError
        If a factor is continuous, or the table holds too few whole traversals.

    Notes
    -----
    As in the author's code the step from the last value to the first is one of n, and the longest of the n is
    left out, so that circular factors need no mention. A factor that moves no code scores 0;
    the author's code divides 0 by 0. Constant codes change nothing, and missing labels leave a row out.

    Examples
    --------
    >>> import disentmetrics as dm
    >>> factors = np.indices((4, 5)).reshape(2, -1).T
    >>> kinds = {"factor_0": "ordinal", "factor_1": "ordinal"}
    >>> grid = dm.Representation(np.c_[factors, factors[:, 1]], factors, kinds=kinds)
    >>> flatness.score(grid).per_factor
    {'factor_0': 1.0, 'factor_1': 0.707...}
    """
    found = factor_traversals(representation, "flatness", n_lines, rng, ordered=standardised)
    alive = ~representation.cached_by_codes(constant)
    codes = representation.codes[:, alive]
    scaled = standardise(codes) if standardised else well_scaled(np.ascontiguousarray(codes))
    points = scaled.astype(np.float64)
    width = np.full((2, representation.n_factors), np.nan)
    length = np.full((2, representation.n_factors), np.nan)
    for position, drawn in found.items():
        for norm in (1, 2):
            width[norm - 1, position], length[norm - 1, position] = _extent(points, drawn.rows, norm)

    def ratio(of_width: int, of_length: int) -> NDArray[np.float64]:
        above, below = width[of_width - 1], length[of_length - 1]
        share = np.divide(above, below, out=np.zeros_like(above), where=below > 0)
        return np.where(np.isnan(above), np.nan, np.minimum(share, 1.0))

    return RawScore(
        value=mean_over_factors(ratio(2, 1)),
        per_factor=ratio(2, 1),
        details={"width": width[1], "length": length[0]},
        notes=left_out(representation, found),
        parts={"l1": mean_over_factors(ratio(1, 1)), "l2": mean_over_factors(ratio(2, 2))},
    )


def _extent(codes: NDArray[np.float64], rows: NDArray[np.int64], norm: int) -> tuple[float, float]:
    """Mean width and mean length of lines."""
    n_lines, n_values = rows.shape
    width = length = 0.0
    step = max(1, _CHUNK // max(1, n_values**2 * codes.shape[1]))
    for start in range(0, n_lines, step):
        line = codes[rows[start : start + step]]
        distance = _norm(line[:, :, None] - line[:, None], norm)
        width += float(distance.max(axis=(1, 2)).sum())
        steps = _norm(line - np.roll(line, -1, axis=1), norm)
        length += float((steps.sum(axis=1) - steps.max(axis=1)).sum())
    return width / n_lines, length / n_lines


def _norm(difference: NDArray[np.float64], norm: int) -> NDArray[np.float64]:
    if norm == 1:
        return np.asarray(np.abs(difference).sum(axis=-1))
    return np.asarray(np.sqrt(np.square(difference).sum(axis=-1)))
