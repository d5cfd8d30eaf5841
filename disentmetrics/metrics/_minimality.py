"""Minimality of the latents with respect to single factors."""

from typing import Literal

import numpy as np

from disentmetrics.errors import UndefinedScoreError
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, metric
from disentmetrics.representation import Representation
from disentmetrics.statistics.information_scores import mean_by_best_factor
from disentmetrics.statistics.latent_entropies import share_of_code
from disentmetrics.statistics.mutual_information import Bins
from disentmetrics.statistics.significance import active_codes


@metric(
    family="information",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    paper="Almudévar & Ortega (2024), Defining and Measuring Disentanglement for Non-Independent Factors of Variation",
    known_failure="Latents that all encode the same single factor score 1, although all other factors are missing.",
    needs=Needs(rows=20),
    invariant_to=all_except("noise code", "duplicated code", "repeated rows", "rotation"),
    detects={"rotated", "packed", "rotated copy", "missing factor", "blurred"},
    precision=0.002,  # a row on the edge of a bin changes sides when the sign of the latent changes
    protocols={
        "default": Protocol(
            reads="mean",  # the entropy of a sample in ten bins would be that of its noise
            source="disentmetrics: 10 equal-frequency bins per latent, chance-corrected, collapsed latents excluded",
            precision=1e-2,
            unsettled={"duplicated code", "repeated rows"},
        ),
        "almudevar2024": Protocol(
            source="Almudévar & Ortega (2024): mean code in 15 equal-width bins",
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
    """Minimality: share of each latent's entropy explained by its most informative factor.

    ``mean over j of max_k I(z_j; v_k) / H(z_j)``.

    Parameters
    ----------
    representation : Representation
        Rows without a label for a factor are ignored for that factor; continuous factors are discretised into 10
        equal-frequency bins; circular factors keep their discrete values.
    bins : {"quantile", "equal-width"}
        Discretisation of the latents; with ``quantile``, a latent with at most ``n_bins`` distinct values keeps them.
    n_bins : int
        Number of bins per latent. The default equals that of continuous factors, so that a perfect continuous code
        scores 1.
    correction : {"chance", "none"}
        ``chance`` uses ``(I - E) / (H(z_j) - E)``, with E the expectation of I under random pairing of rows.

    Returns
    -------
    RawScore
        In [0, 1]; 1 if every varying latent is a function of one factor, 0 if none is informative. ``per_factor`` is
        the mean over the latents whose most informative factor it is, NaN where there is none. Details: ``explained``
        (n_codes, n_factors), NaN for constant latents.

    Raises
    ------
    UndefinedScoreError
        If every latent is constant or excluded.

    Notes
    -----
    By design, noise within a latent lowers the score, as do latents of pure noise. Constant latents have no entropy
    and are excluded; the authors' code divides 0 by 0. With posterior variances, the default also excludes latents
    whose mean KL to the prior is at most 0.01 nats. Interpret the score together with ``sufficiency``.

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
        raise UndefinedScoreError("minimality needs a latent that varies and is not collapsed; there is none")
    shares = np.where(counted[:, None], np.nan_to_num(explained), 0.0)
    best = shares.max(axis=1)
    return RawScore(
        value=float(best[counted].mean()),
        per_factor=mean_by_best_factor(best, (counted & (best > 0)).astype(np.float64), shares),
        details={"explained": explained},
        settings=settings,
    )
