"""Minimality: whether each code tells of one factor and of nothing else."""

from typing import Literal

import numpy as np

from disentmetrics.errors import UndefinedScoreError
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, metric
from disentmetrics.representation import Representation
from disentmetrics.statistics.information_scores import mean_by_best_factor, share_of_code
from disentmetrics.statistics.mutual_information import Bins
from disentmetrics.statistics.significance import active_codes


@metric(
    family="information",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    paper="Almudévar & Ortega (2024), Defining and Measuring Disentanglement for Non-Independent Factors of Variation",
    known_failure="Codes that each tell one and the same factor score 1, though all other factors are missing.",
    needs=Needs(rows=20),
    invariant_to=all_except("noise code", "duplicated code", "repeated rows", "rotation"),
    detects={"rotated", "packed", "rotated copy", "missing factor", "blurred"},
    precision=0.002,  # a row on the edge of a bin takes the other side when the sign changes,
    protocols={
        "default": Protocol(
            source="disentmetrics: codes in 10 bins of equal frequency, corrected for chance, collapsed codes left out",
        ),
        "almudevar2024": Protocol(
            source="Almudévar & Ortega (2024): mean code in 15 bins of equal width",
            options={"bins": "equal-width", "n_bins": 15, "correction": "none"},
            needs=Needs(rows=2),
            invariant_to=all_except("monotone warp", "outlier", "noise code", "duplicated code", "rotation"),
            precision=1e-9,
        ),
    },
)
def minimality(
    representation: Representation,
    *,
    bins: Bins = "quantile",
    n_bins: int = 10,
    correction: Literal["chance", "none"] = "chance",
) -> RawScore:
    """Share of each code that the factor it follows explains.

    ``mean over j of max_k I(z_j; v_k) / H(z_j)``.

    Parameters
    ----------
    representation : Representation
        Rows without a label for a factor are ignored for that factor; continuous factors are discretised into 10
        equal-frequency bins; circular factors keep their discrete values.
    bins : {"quantile", "equal-width"}
        How codes are cut; ``quantile`` leaves a code of at most ``n_bins`` distinct values as it is.
    n_bins : int
        Of codes. As many as a continuous factor has, so that a perfect continuous code scores 1.
    correction : {"chance", "none"}
        ``chance`` takes ``(I - E) / (H(z_j) - E)`` with E the mean of I when rows are paired at random.

    Returns
    -------
    RawScore
        In [0, 1]: 1 where every code that varies is decided by one factor, 0 where none tells anything.
        ``per_factor`` is the mean over the latents whose most informative factor it is, NaN where there is none.
        Details: ``explained`` (n_codes, n_factors), NaN for constant codes.

    Raises
    ------
    UndefinedScoreError
        If every code is constant or left out.

    Notes
    -----
    Noise within a code lowers it by design, and so do codes of pure noise. Codes that are constant have no entropy
    and are left out, where the authors' code divides 0 by 0; where posterior variances are given, the default leaves
    out codes whose mean KL to the prior is at most 0.01 nats. To be read beside ``sufficiency``.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
    >>> packed = factors[:, 0] * 5.0 + factors[:, 1]
    >>> minimality(factors.astype(float), factors).value, round(minimality(packed, factors).value, 2)
    (1.0, 0.54)
    """
    explained = share_of_code(representation, bins, n_bins, adjusted=correction == "chance")
    kept, settings = (
        active_codes(representation) if correction == "chance" else (np.ones(len(explained), dtype=bool), {})
    )
    counted = ~np.isnan(explained).all(axis=1) & kept
    if not counted.any():
        raise UndefinedScoreError("minimality needs a code that varies and is not collapsed; there is none")
    shares = np.where(counted[:, None], np.nan_to_num(explained), 0.0)
    best = shares.max(axis=1)
    return RawScore(
        value=float(best[counted].mean()),
        per_factor=mean_by_best_factor(best, (counted & (best > 0)).astype(np.float64), shares),
        details={"explained": explained},
        settings=settings,
    )
