"""Linearity and axis alignment of factor traversals in the latent space."""

import numpy as np
from numpy.typing import NDArray

from disentmetrics.estimators.activity import constant, well_scaled
from disentmetrics.estimators.rank_correlation import standardise
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, metric
from disentmetrics.representation import Representation
from disentmetrics.statistics.traversals import factor_traversals, left_out


@metric(
    family="geometry",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    paper="Michlo (2021), disent: a modular disentangled representation learning framework, metric factored components",
    known_failure="Two factors that change the same latent score 1.",
    needs=Needs(codes=2, rows=4),
    randomised=True,
    parts={"linear_ratio": (0.0, 1.0), "axis_alignment": (0.0, 1.0), "axis_ratio_of_mean": (0.0, 1.0)},
    invariant_to=all_except("monotone warp", "outlier", "noise code", "duplicated code", "rotation"),
    detects={"rotated", "packed", "rotated copy", "missing factor", "blurred"},
    noise=float("nan"),
    protocols={
        "default": Protocol(
            source="disentmetrics: axis ratio of standardised codes, 1,000 traversals per factor, arithmetic mean",
        ),
        "michlo2021": Protocol(
            source="disent 0.8: unscaled codes, 128 traversals per factor, geometric mean over factors",
            options={"n_lines": 128, "standardised": False, "geometric": True},
            # An outlier has an effect only if drawn, one row in sixteen on the examples; lost synergy is just detected.
            invariant_to=all_except("scale", "monotone warp", "dead code", "noise code", "duplicated code", "rotation"),
            detects={"rotated", "packed", "rotated copy", "missing factor", "blurred", "synergy lost"},
        ),
    },
)
def linearity(
    representation: Representation,
    *,
    rng: np.random.Generator,
    n_lines: int = 1_000,
    standardised: bool = True,
    geometric: bool = False,
) -> RawScore:
    """Axis ratio: share of the variance along a factor traversal that lies in a single latent.

    ``mean over k and traversals of (max_j s_j / sum_j s_j - 1 / d) / (1 - 1 / d)``, with s_j the variance of latent j
    along a traversal of factor k with all other factors fixed, and d the number of latents.

    Parameters
    ----------
    representation : Representation
        At least two latents. Must contain complete traversals, as a full grid does; a factor with too few is
        excluded. Of rows with equal factor values one is drawn.
    rng : numpy.random.Generator
        Random number generator.
    n_lines : int
        Maximum number of traversals per factor.
    standardised : bool
        Whether each latent is divided by its standard deviation.
    geometric : bool
        Whether the mean over factors is geometric, so that a single factor that changes no latent makes the score 0.

    Returns
    -------
    RawScore
        In [0, 1]; 1 if each factor changes a single latent. Parts: ``linear_ratio``, the same formula for the
        eigenvalues of the covariance matrix along the traversal, 1 if the codes move on any straight line;
        ``axis_alignment``, axis ratio divided by linear ratio; ``axis_ratio_of_mean``, the axis ratio of variances
        averaged over traversals, 1 if the same latent changes on every traversal. Details: ``variance``
        (n_codes, n_factors), the averaged variances.

    Raises
    ------
    UndefinedScoreError
        If a factor is continuous, or the table contains too few complete traversals.

    Notes
    -----
    Here d counts only varying latents, because constant ones would raise the score; the author's code counts all. A
    traversal along which no latent changes has ratios of 0, and 0 / 0 in the author's code. The order of a factor's
    values is irrelevant, so that categorical factors are included. Rows with missing labels are excluded. With a
    single varying latent every ratio is 1, or 0 where it does not change.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T
    >>> rotated = factors / factors.std(axis=0) @ [[1, 1], [1, -1]]
    >>> score = linearity(rotated, factors)
    >>> round(score.value, 6), round(score.parts["linear_ratio"].value, 6)
    (0.0, 1.0)
    """
    traversals = factor_traversals(representation, "linearity", n_lines, rng)
    alive = ~representation.cached_by_codes(constant) if standardised else np.ones(representation.n_codes, dtype=bool)
    codes = representation.codes[:, alive]
    codes = standardise(codes) if standardised else well_scaled(codes).astype(np.float64)
    ratios = np.full((4, representation.n_factors), np.nan)
    variance = np.full((representation.n_codes, representation.n_factors), np.nan)
    for position, drawn in traversals.items():
        lines = codes[drawn.rows]
        lines -= lines.mean(axis=1, keepdims=True)
        covariance = np.swapaxes(lines, 1, 2) @ lines / max(1, lines.shape[1] - 1)
        along_axes = np.diagonal(covariance, axis1=1, axis2=2)
        axis = _ratio(along_axes)
        # the largest eigenvalue is at least the largest variance along an axis, up to rounding
        linear = np.maximum(_ratio(np.maximum(np.linalg.eigvalsh(covariance), 0.0)), axis)
        aligned = np.divide(axis, linear, out=np.zeros_like(axis), where=linear > 0)
        of_mean = _ratio(along_axes.mean(axis=0, keepdims=True))
        ratios[:, position] = axis.mean(), linear.mean(), aligned.mean(), of_mean.mean()
        variance[:, position] = 0.0
        variance[alive, position] = along_axes.mean(axis=0)
    means = [_mean(row[~np.isnan(row)], geometric=geometric) for row in ratios]
    return RawScore(
        value=means[0],
        per_factor=ratios[0],
        details={"variance": variance},
        notes=left_out(representation, traversals),
        parts=dict(zip(("linear_ratio", "axis_alignment", "axis_ratio_of_mean"), means[1:], strict=True)),
    )


def _ratio(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rescaled share of the largest value in the sum of each row; 0 if all are equal or 0."""
    n_lines, n = values.shape
    if not n:
        return np.zeros(n_lines)
    total = values.sum(axis=1)
    share = np.divide(values.max(axis=1), total, out=np.zeros(n_lines), where=total > 0)
    return share if n == 1 else np.asarray(np.clip((share - 1 / n) / (1 - 1 / n), 0.0, 1.0))


def _mean(values: NDArray[np.float64], *, geometric: bool) -> float:
    if not geometric:
        return float(values.mean())
    return float(np.exp(np.log(values).mean())) if (values > 0).all() else 0.0
