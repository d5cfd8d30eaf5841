"""Dependency-aware mutual information gap."""

from collections.abc import Sequence

import numpy as np

from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, mean_over_factors, metric
from disentmetrics.representation import Representation
from disentmetrics.statistics.information_scores import DETERMINED, assign_codes, normalized_mutual_information
from disentmetrics.statistics.mutual_information import InformationEstimator, information_between_factors
from disentmetrics.statistics.resolution import RESOLUTION_PRECISION


@metric(
    family="information",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    paper="Watcharasupat & Lerch (2021), Evaluation of Latent Space Disentanglement in the Presence of "
    "Interdependent Attributes",
    known_failure="A blurred latent scores 1 if its factor is almost a function of a factor that no latent encodes.",
    needs=Needs(codes=2, rows=20),
    invariant_to=all_except("duplicated code", "repeated rows", "rotation"),
    detects={"rotated", "packed", "rotated copy", "missing factor", "blurred"},
    protocols={
        "default": Protocol(
            source="disentmetrics: rank spacings at finite resolution, latents matched to factors, clipped to [0, 1]",
            precision=RESOLUTION_PRECISION,
            unsettled={"repeated rows"},
        ),
    },
)
def dmig(
    representation: Representation,
    *,
    estimator: InformationEstimator = "finite-resolution",
    n_bins: int = 20,
    owners: Sequence[int] | None = None,
) -> RawScore:
    """Dependency-aware mutual information gap: MIG relative to the largest gap that dependent factors allow.

    ``mean over k of [I(z_k; v_k) - I(z_r; v_k)] / H(v_k | v_r)``, where z_k is the latent of factor k, z_r the most
    informative other latent about v_k, and v_r the factor of z_r; the denominator is H(v_k) if z_r has no factor.

    Parameters
    ----------
    representation : Representation
        At least two latents. Rows without a label for a factor are ignored for that factor; continuous factors are
        discretised into 10 equal-frequency bins; circular factors keep their discrete values.
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
        In [0, 1]; 1 if the latent of each factor determines it, and other latents carry no more information about it
        than their own factors do. 0 for a factor without a latent, or if another latent is more informative. Details:
        ``mutual_information`` (n_codes, n_factors) and ``conditional_entropy`` (n_factors,) in nats, ``owner``
        (n_factors,).

    Raises
    ------
    UndefinedScoreError
        If every factor is constant, or each is a function of another.

    Notes
    -----
    Unlike MIG, the score is 1 for a perfect code of dependent factors. Entropies are those of the labels, and H(v_k |
    v_r) is corrected for chance; the authors' code uses a nearest-neighbour estimate of I(v_k; v_k) as entropy, which
    grows with the number of rows, and does not clip the ratio, which exceeds 1 if the runner-up latent carries less
    information about v_k than its factor does. A factor that is a function of v_r is undefined. Dead latents have
    zero mutual information.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> first = rng.integers(4, size=5000)
    >>> factors = np.stack([first, np.where(rng.random(5000) < 0.7, first, rng.integers(4, size=5000))], axis=1)
    >>> round(dmig(factors.astype(float), factors).value, 6)
    1.0
    """
    information = normalized_mutual_information(representation, estimator, n_bins)
    owner = assign_codes(information.shares, owners)
    owned = owner >= 0
    k = np.arange(representation.n_factors)
    own = np.where(owned, information.nats[owner, k], 0.0)
    others = information.nats.copy()
    others[owner[owned], k[owned]] = -1.0  # the runner-up is another latent
    z_r = np.argmax(others, axis=0)
    runner_up = others[z_r, k]
    factor_of_latent = np.full(representation.n_codes, -1)
    factor_of_latent[owner[owned]] = k[owned]
    v_r = np.where(runner_up > 0, factor_of_latent[z_r], -1)
    # H(v_k | v_r) = H(v_k) - I(v_k; v_r); H(v_k) if no other latent is informative or z_r has no factor
    shared = np.where(v_r >= 0, representation.cached(information_between_factors)[k, v_r], 0.0)
    conditional_entropy = np.maximum(information.entropies - shared, 0.0)
    determined = conditional_entropy <= DETERMINED * information.entropies  # v_k is a function of v_r: 0 / 0
    gap = np.clip((own - runner_up) / np.where(determined, 1.0, conditional_entropy), 0.0, 1.0)
    per_factor = information.per_factor(np.where(determined, np.nan, np.where(owned, gap, 0.0)))
    return RawScore(
        value=mean_over_factors(per_factor),
        per_factor=per_factor,
        details={
            "mutual_information": information.nats,
            "conditional_entropy": conditional_entropy,
            "owner": owner,
        },
        settings={**information.settings, "owners": "declared" if owners is not None else "matched"},
    )
