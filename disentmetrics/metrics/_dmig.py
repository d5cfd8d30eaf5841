"""The dependency-aware mutual information gap."""

from collections.abc import Sequence

import numpy as np

from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, mean_over_factors, metric
from disentmetrics.representation import Representation
from disentmetrics.statistics.information_scores import (
    assign_codes,
    information_between_factors,
    normalized_mutual_information,
)
from disentmetrics.statistics.mutual_information import InformationEstimator


@metric(
    family="information",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    paper="Watcharasupat & Lerch (2021), Evaluation of Latent Space Disentanglement in the Presence of "
    "Interdependent Attributes",
    known_failure="A blurred code scores 1 where its factor is nearly decided by a factor that no code tells.",
    needs=Needs(codes=2, rows=20),
    invariant_to=all_except("duplicated code", "repeated rows", "rotation"),
    detects={"rotated", "packed", "rotated copy", "missing factor", "blurred"},
    protocols={
        "default": Protocol(
            source="disentmetrics: rank spacings of the mean code, codes matched to factors, limited to [0, 1]",
        ),
    },
)
def dmig(
    representation: Representation,
    *,
    estimator: InformationEstimator = "rank-spacing",
    n_bins: int = 20,
    owners: Sequence[int] | None = None,
) -> RawScore:
    """Mean gap between each factor's own code and the next, relative to what the gap can be at most.

    ``mean over k of [I(z_k; v_k) - I(z_r; v_k)] / H(v_k | v_r)``, where z_k is the code of factor k, z_r tells most
    of v_k among the other codes, and v_r is the factor whose code z_r is; ``H(v_k)`` if it is no factor's code.

    Parameters
    ----------
    representation : Representation
        At least two latents. Rows without a label for a factor are ignored for that factor; continuous factors are
        discretised into 10 equal-frequency bins; circular factors keep their discrete values.
    estimator : {"rank-spacing", "equal-width", "quantile", "adjusted", "posterior"}
        Estimator of I(z_j; v_k), as in ``mig``.
    n_bins : int
        Number of bins per latent; ignored by estimators without bins.
    owners : sequence of int, optional
        Index of the latent trained for each factor, -1 for none. By default the one-to-one assignment that maximises
        the sum of I(z_j; v_k) / H(v_k).

    Returns
    -------
    RawScore
        In [0, 1]: 1 where each factor's code tells all of it, and others no more than their own factors do. 0 for a
        factor without a code, and where another code tells more. Details: ``mutual_information``
        (n_codes, n_factors) and ``conditional_entropy`` (n_factors,) in nats, ``owner`` (n_factors,).

    Raises
    ------
    UndefinedScoreError
        If no factor takes two values, or each is decided by another.

    Notes
    -----
    Unlike MIG it is 1 for a perfect code of dependent factors. Entropies are those of the labels, and H(v_k | v_r) is
    corrected for chance; the authors' code uses a nearest-neighbour estimate of I(v_k; v_k) as entropy, which grows
    with the number of rows, and does not limit the ratio, which exceeds 1 where the next code tells less of v_k than
    its factor does. A factor that is a function of v_r is undefined. Dead latents have zero mutual information.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> first = rng.integers(4, size=5000)
    >>> factors = np.stack([first, np.where(rng.random(5000) < 0.7, first, rng.integers(4, size=5000))], axis=1)
    >>> round(dmig(factors.astype(float), factors).value, 6)
    1.0
    """
    known = normalized_mutual_information(representation, estimator, n_bins)
    owner = assign_codes(known.shares, owners)
    owned = owner >= 0
    factor = np.arange(representation.n_factors)
    own = np.where(owned, known.nats[owner, factor], 0.0)
    others = known.nats.copy()
    others[owner[owned], factor[owned]] = -1.0
    next_code = np.argmax(others, axis=0)
    next_told = others[next_code, factor]
    factor_of = np.full(representation.n_codes, -1)
    factor_of[owner[owned]] = factor[owned]
    rival = np.where(next_told > 0, factor_of[next_code], -1)
    shared = np.where(rival >= 0, representation.cached(information_between_factors)[factor, rival], 0.0)
    most = np.maximum(known.entropies - shared, 0.0)
    decided = most <= 1e-9 * known.entropies
    gaps = np.clip((own - next_told) / np.where(decided, 1.0, most), 0.0, 1.0)
    per_factor = known.per_factor(np.where(decided, np.nan, np.where(owned, gaps, 0.0)))
    return RawScore(
        value=mean_over_factors(per_factor),
        per_factor=per_factor,
        details={"mutual_information": known.nats, "conditional_entropy": most, "owner": owner},
        settings={**known.settings, "owners": "declared" if owners is not None else "matched"},
    )
