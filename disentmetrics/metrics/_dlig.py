"""The dependency-aware latent information gap."""

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
    paper="Watcharasupat (2021), Controllable Music: Supervised Learning of Disentangled Representations for Music "
    "Generation",
    known_failure="A perfect code beside a rotated copy of itself scores 1.",
    needs=Needs(factors=2, rows=20),
    invariant_to=all_except("repeated rows", "rotation"),
    detects={"rotated", "packed", "missing factor", "blurred"},
    protocols={
        "default": Protocol(
            source="disentmetrics: rank spacings, the code that tells most of each factor, limited to [0, 1]",
        ),
    },
)
def dlig(
    representation: Representation,
    *,
    estimator: InformationEstimator = "rank-spacing",
    n_bins: int = 20,
    owners: Sequence[int] | None = None,
) -> RawScore:
    """Mean gap of each factor's code between its own factor and the next, relative to what the gap can be at most.

    ``mean over k of [I(z_k; v_k) - I(z_k; v_r)] / H(v_k | v_r)``, where z_k is the code of factor k and v_r the other
    factor of which it tells most.

    Parameters
    ----------
    representation : Representation
        At least two factors that vary. Rows without a label for a factor are ignored for that factor; continuous
        factors are discretised into 10 equal-frequency bins; circular factors keep their discrete values.
    estimator : {"rank-spacing", "equal-width", "quantile", "adjusted", "posterior"}
        Estimator of I(z_j; v_k), as in ``mig``.
    n_bins : int
        Number of bins per latent; ignored by estimators without bins.
    owners : sequence of int, optional
        Index of the latent trained for each factor, -1 for none. By default the code that tells most of the factor,
        which may be that of another factor too.

    Returns
    -------
    RawScore
        In [0, 1]: 1 where each factor's code tells all of it, and of others no more than the factor does. 0 for a
        factor without a code, and where its code tells more of another. Details: ``mutual_information``
        (n_codes, n_factors) and ``conditional_entropy`` (n_factors,) in nats, ``owner`` (n_factors,).

    Raises
    ------
    UndefinedScoreError
        If fewer than two factors vary, or each is decided by another.

    Notes
    -----
    The counterpart of ``dmig`` with codes and factors exchanged, and of ``mig_sup`` for dependent factors. Mutual
    informations are compared in nats, as by the authors, so that a factor of few values can hardly be the next one.
    Entropies are those of the labels, and H(v_k | v_r) is corrected for chance; the authors' code uses a
    nearest-neighbour estimate of I(v_k; v_k) as entropy, which grows with the number of rows, and does not limit the
    ratio. A factor that is a function of v_r is undefined. Dead latents have zero mutual information.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> first = rng.integers(4, size=5000)
    >>> factors = np.stack([first, np.where(rng.random(5000) < 0.7, first, rng.integers(4, size=5000))], axis=1)
    >>> round(dlig(factors.astype(float), factors).value, 6)
    1.0
    """
    known = normalized_mutual_information(representation, estimator, n_bins)
    owner = assign_codes(known.shares, owners, one_to_one=False)
    owned = owner >= 0
    factor = np.arange(representation.n_factors)
    told = np.where(owned[:, None], known.nats[owner], 0.0)  # row k: what the code of factor k tells
    own = told[factor, factor].copy()
    told[factor, factor] = -1.0
    told[:, ~known.defined] = -1.0
    rival = np.argmax(told, axis=1)
    next_told = told[factor, rival]
    between = representation.cached(information_between_factors)[rival, factor]
    most = np.maximum(known.entropies - np.where(next_told > 0, between, 0.0), 0.0)
    decided = most <= 1e-9 * known.entropies
    gaps = np.clip((own - next_told) / np.where(decided, 1.0, most), 0.0, 1.0)
    per_factor = known.per_factor(np.where(decided, np.nan, np.where(owned, gaps, 0.0)))
    return RawScore(
        value=mean_over_factors(per_factor),
        per_factor=per_factor,
        details={"mutual_information": known.nats, "conditional_entropy": most, "owner": owner},
        settings={**known.settings, "owners": "declared" if owners is not None else "best"},
    )
