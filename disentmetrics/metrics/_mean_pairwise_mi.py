"""Mean pairwise mutual information of the latents."""

import math

import numpy as np
from numpy.typing import NDArray

from disentmetrics.estimators.activity import constant
from disentmetrics.estimators.mutual_information import (
    contingency,
    entropy,
    expected_information,
    plug_in_information,
)
from disentmetrics.estimators.ranks import mid_ranks
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, metric
from disentmetrics.representation import Representation
from disentmetrics.statistics.mutual_information import Bins, code_bins


@metric(
    family="unsupervised",
    bounds=(0.0, math.inf),
    higher_is_better=False,
    paper="Locatello et al. (2019), Challenging Common Assumptions; disentanglement_lib, unsupervised_metrics",
    known_failure="Pure noise scores 0, the best value: independent latents need not be informative.",
    needs=Needs(codes=2, factors=0, rows=20),
    invariant_to=all_except("noise code", "duplicated code", "repeated rows", "rotation", "dependent factors"),
    detects={"rotated", "rotated copy"},
    perfect=0.0,
    protocols={
        "default": Protocol(
            source="disentmetrics: 15 equal-frequency bins, corrected for chance, constant latents excluded",
        ),
        "locatello2019": Protocol(
            source="disentanglement_lib 1.5: 20 equal-width bins, plug-in estimate, all latents",
            options={"bins": "equal-width", "n_bins": 20, "adjusted": False},
            invariant_to=all_except(
                "monotone warp",
                "outlier",
                "dead code",
                "noise code",
                "duplicated code",
                "rotation",
                "dependent factors",
            ),
            perfect=math.nan,
            noise=math.nan,
        ),
    },
)
def mean_pairwise_mi(
    representation: Representation, *, bins: Bins = "quantile", n_bins: int = 15, adjusted: bool = True
) -> RawScore:
    """Mean pairwise mutual information of the latents, in nats.

    ``mean over i != j of I(z_i; z_j)``.

    Parameters
    ----------
    representation : Representation
        At least two latents; factors are ignored.
    bins : {"quantile", "equal-width"}
        Discretisation of the latents; with ``quantile``, a latent with at most ``n_bins`` distinct values keeps them.
    n_bins : int
        Number of bins per latent. With ``quantile``, an odd number makes the bins of a latent and its negative mirror
        images.
    adjusted : bool
        Whether each mutual information I is replaced by ``H (I - E) / (H - E)``, with E its expectation under random
        pairing of rows and H the smaller of the two entropies, and constant latents are excluded from the mean.

    Returns
    -------
    RawScore
        In nats, from 0 to log ``n_bins``; lower is better. Details: ``mutual_information`` (n_codes, n_codes), 0 on
        the diagonal and for constant latents.

    Raises
    ------
    UndefinedScoreError
        If there are fewer than two latents, or too few rows.

    Notes
    -----
    Without the correction independent latents score about (bins - 1)² / 2n. An outlier squeezes a latent into few
    equal-width bins, which lowers the score. With fewer than two varying latents it is 0. Missing labels are ignored.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(2, axis=0)
    >>> mean_pairwise_mi(factors.astype(float), factors).value
    0.0
    >>> twice = mean_pairwise_mi(factors[:, [0, 0]].astype(float), factors).value
    >>> round(twice, 6), round(float(np.log(4)), 6)
    (1.386294, 1.386294)
    """
    if bins == "equal-width":
        cut = code_bins(representation, bins, n_bins)
    else:
        cut = representation.cached_by_codes(_mirrored_bins, n_bins)
    n_codes = len(cut)
    mi = np.zeros((n_codes, n_codes))
    for i, first in enumerate(cut):
        for j, second in enumerate(cut[:i]):
            if first is not None and second is not None:
                table = contingency(first, second, int(first.max()) + 1, int(second.max()) + 1)
                mi[i, j] = mi[j, i] = _adjusted(table) if adjusted else plug_in_information(table)
    n_used = int((~representation.cached_by_codes(constant)).sum()) if adjusted else n_codes
    mean = float(mi.sum()) / (n_used * (n_used - 1)) if n_used > 1 else 0.0
    return RawScore(value=max(0.0, mean), details={"mutual_information": mi})


def _mirrored_bins(codes: NDArray[np.floating], n_bins: int) -> list[NDArray[np.int64] | None]:
    """Return equal-frequency bins of the latents, mirrored for the negative of a latent if ``n_bins`` is odd."""
    bins: list[NDArray[np.int64] | None] = []
    for column, dead in zip(codes.T, constant(codes), strict=True):
        distinct, index = np.unique(column, return_inverse=True)
        if len(distinct) > n_bins:
            share = (mid_ranks(column) - 0.5) / len(column)
            outward = np.floor(n_bins * np.minimum(share, 1 - share))
            index = np.where(share < 0.5, outward, n_bins - 1 - outward)
        bins.append(None if dead else np.asarray(index, dtype=np.int64).ravel())
    return bins


def _adjusted(counts: NDArray[np.int64]) -> float:
    """Return the chance-corrected mutual information ``H (I - E) / (H - E)`` of a contingency table."""
    margins = counts.sum(axis=1), counts.sum(axis=0)
    h = min(entropy(margin) for margin in margins)
    expected = expected_information(*margins)
    if h - expected <= 1e-12 * max(h, 1.0):  # every pairing of rows gives the same information
        return 0.0
    return h * (plug_in_information(counts) - expected) / (h - expected)
