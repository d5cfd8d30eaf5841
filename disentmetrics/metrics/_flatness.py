"""Flatness: straightness of factor traversals in the latent space."""

import numpy as np
from numpy.typing import NDArray

from disentmetrics.estimators.activity import constant, well_scaled
from disentmetrics.estimators.rank_correlation import standardise
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, mean_over_factors, metric
from disentmetrics.representation import Representation
from disentmetrics.statistics.traversals import factor_traversals, left_out

_CHUNK = 1 << 20  # differences computed at once


@metric(
    family="geometry",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    paper="Michlo (2021), disent: a modular disentangled representation learning framework, metric flatness",
    known_failure="A factor encoded equally in two latents is hardly penalised: it scores 1 / sqrt(2).",
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
            source="disentmetrics: standardised codes, up to 1,000 traversals per factor",
        ),
        "michlo2021": Protocol(
            source="disent 0.8: unscaled codes, 128 traversals per factor, including categorical factors",
            options={"n_lines": 128, "standardised": False},
            # An outlier has an effect only if it is drawn: on the examples, one row in sixteen is.
            invariant_to=all_except(
                "scale", "monotone warp", "noise code", "duplicated code", "relabelled factors", "rotation"
            ),
        ),
    },
)
def flatness(
    representation: Representation, *, rng: np.random.Generator, n_lines: int = 1_000, standardised: bool = True
) -> RawScore:
    """Flatness: extent of the codes along a factor traversal relative to the length of the path.

    ``mean over k of width_k / length_k``: along a traversal of factor k with all other factors fixed, the width is
    the largest Euclidean distance between two of its n points, and the length the sum of the n - 1 steps between
    neighbouring values in the L1 norm; both are averaged over traversals.

    Parameters
    ----------
    representation : Representation
        Must contain complete traversals, as a full grid does; a factor with too few is excluded. Of rows with equal
        factor values one is drawn.
    rng : numpy.random.Generator
        Random number generator.
    n_lines : int
        Maximum number of traversals per factor.
    standardised : bool
        Whether each latent is divided by its standard deviation; categorical factors are then excluded, because their
        values have no order.

    Returns
    -------
    RawScore
        In [0, 1]; 1 if each factor changes one latent monotonically. Parts: ``l1`` and ``l2``, with both width and
        length in that norm. Details: ``width`` and ``length`` (n_factors,).

    Raises
    ------
    UndefinedScoreError
        If a factor is continuous, or the table contains too few complete traversals.

    Notes
    -----
    As in the author's code, the step from the last value to the first is one of n steps, and the longest of them is
    dropped, so that circular factors need no special case. A factor that changes no latent scores 0; the author's
    code divides 0 by 0. Constant latents do not change the score, and rows with missing labels are excluded.

    Examples
    --------
    >>> import disentmetrics as dm
    >>> factors = np.indices((4, 5)).reshape(2, -1).T
    >>> kinds = {"factor_0": "ordinal", "factor_1": "ordinal"}
    >>> grid = dm.Representation(np.c_[factors, factors[:, 1]], factors, kinds=kinds)
    >>> flatness.score(grid).per_factor
    {'factor_0': 1.0, 'factor_1': 0.707...}
    """
    traversals = factor_traversals(representation, "flatness", n_lines, rng, ordered=standardised)
    alive = ~representation.cached_by_codes(constant)
    codes = representation.codes[:, alive]
    scaled = standardise(codes) if standardised else well_scaled(np.ascontiguousarray(codes))
    points = scaled.astype(np.float64)
    width = np.full((2, representation.n_factors), np.nan)
    length = np.full((2, representation.n_factors), np.nan)
    for position, drawn in traversals.items():
        for norm in (1, 2):
            width[norm - 1, position], length[norm - 1, position] = _extent(points, drawn.rows, norm)

    def ratio(width_norm: int, length_norm: int) -> NDArray[np.float64]:
        w, s = width[width_norm - 1], length[length_norm - 1]
        share = np.divide(w, s, out=np.zeros_like(w), where=s > 0)  # 0 / 0 if no latent changes: scored 0
        return np.where(np.isnan(w), np.nan, np.minimum(share, 1.0))

    return RawScore(
        value=mean_over_factors(ratio(2, 1)),
        per_factor=ratio(2, 1),
        details={"width": width[1], "length": length[0]},
        notes=left_out(representation, traversals),
        parts={"l1": mean_over_factors(ratio(1, 1)), "l2": mean_over_factors(ratio(2, 2))},
    )


def _extent(codes: NDArray[np.float64], rows: NDArray[np.int64], norm: int) -> tuple[float, float]:
    """Return the mean width and mean length of the traversals."""
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
