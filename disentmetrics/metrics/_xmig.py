"""Dependency-blind mutual information gap."""

from collections.abc import Sequence

import numpy as np

from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, mean_over_factors, metric
from disentmetrics.representation import Representation
from disentmetrics.statistics.information_scores import assign_codes, normalized_mutual_information
from disentmetrics.statistics.mutual_information import InformationEstimator
from disentmetrics.statistics.resolution import RESOLUTION_PRECISION


@metric(
    family="information",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    paper="Watcharasupat (2021), Controllable Music: Supervised Learning of Disentangled Representations for Music "
    "Generation",
    known_failure="Latents that are entangled with other factors score 1 if every latent is assigned to a factor.",
    needs=Needs(rows=20),
    invariant_to=all_except("duplicated code", "repeated rows", "rotation"),
    detects={"rotated", "packed", "rotated copy", "missing factor", "blurred"},
    protocols={
        "default": Protocol(
            source="disentmetrics: rank spacings at finite resolution, latents matched to factors, clipped to [0, 1]",
            precision=RESOLUTION_PRECISION,
        ),
    },
)
def xmig(
    representation: Representation,
    *,
    estimator: InformationEstimator = "finite-resolution",
    n_bins: int = 20,
    owners: Sequence[int] | None = None,
) -> RawScore:
    """Dependency-blind mutual information gap: gap between the latent of each factor and unassigned latents.

    ``mean over k of [I(z_k; v_k) - max_r I(z_r; v_k)] / H(v_k)``, where z_k is the latent of factor k, and r runs
    over the latents that are not assigned to any factor.

    Parameters
    ----------
    representation : Representation
        Rows without a label for a factor are ignored for that factor; continuous factors are discretised into 10
        equal-frequency bins; circular factors keep their discrete values.
    estimator : {"finite-resolution", "rank-spacing", "equal-width", "quantile", "adjusted", "posterior"}
        Estimator of I(z_j; v_k), as in ``mig``.
    n_bins : int
        Number of bins per latent; ignored by estimators without bins.
    owners : sequence of int, optional
        Index of the latent trained for each factor, -1 for none. By default the one-to-one assignment that maximises
        the sum of I(z_j; v_k) / H(v_k).

    Returns
    -------
    RawScore
        In [0, 1]; 1 if each factor is determined by its latent and independent of unassigned latents. 0 for a factor
        without a latent, or if an unassigned latent is more informative. Details: ``mutual_information``
        (n_codes, n_factors) in nats, ``owner`` (n_factors,).

    Raises
    ------
    UndefinedScoreError
        If every factor is constant.

    Notes
    -----
    The score ignores dependence among factors, and entanglement among their latents. If no latent is unassigned,
    nothing is subtracted; the authors' code refuses such representations, and uses a nearest-neighbour estimate of
    I(v_k; v_k) as entropy, which grows with the number of rows. Dead latents have zero mutual information.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
    >>> codes = np.hstack([factors, factors[:, :1]]).astype(float)
    >>> round(xmig(factors.astype(float), factors).value, 6), round(xmig(codes, factors).value, 6)
    (1.0, 0.5)
    """
    information = normalized_mutual_information(representation, estimator, n_bins)
    owner = assign_codes(information.shares, owners)
    owned = owner >= 0
    unassigned = np.ones(representation.n_codes, dtype=bool)
    unassigned[owner[owned]] = False
    own = np.where(owned, information.shares[owner, np.arange(representation.n_factors)], 0.0)
    runner_up = information.shares[unassigned].max(axis=0, initial=0.0)
    per_factor = information.per_factor(np.clip(own - runner_up, 0.0, 1.0))
    return RawScore(
        value=mean_over_factors(per_factor),
        per_factor=per_factor,
        details={"mutual_information": information.nats, "owner": owner},
        settings={**information.settings, "owners": "declared" if owners is not None else "matched"},
    )
