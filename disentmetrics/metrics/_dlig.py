"""Dependency-aware latent information gap."""

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
    paper="Watcharasupat (2021), Controllable Music: Supervised Learning of Disentangled Representations for Music "
    "Generation",
    known_failure="A perfect code with a rotated copy of it appended scores 1.",
    needs=Needs(factors=2, rows=20),
    invariant_to=all_except("repeated rows", "rotation"),
    detects={"rotated", "packed", "missing factor", "blurred"},
    protocols={
        "default": Protocol(
            source="disentmetrics: rank spacings at finite resolution, "
            "most informative latent of each factor, clipped to [0, 1]",
            precision=RESOLUTION_PRECISION,
            unsettled={"repeated rows"},
        ),
    },
)
def dlig(
    representation: Representation,
    *,
    estimator: InformationEstimator = "finite-resolution",
    n_bins: int = 20,
    owners: Sequence[int] | None = None,
) -> RawScore:
    """Dependency-aware latent information gap: gap of each latent between its own and the next factor.

    ``mean over k of [I(z_k; v_k) - I(z_k; v_r)] / H(v_k | v_r)``, where z_k is the latent of factor k and v_r the
    other factor that it is most informative about; the denominator is the largest possible gap.

    Parameters
    ----------
    representation : Representation
        At least two factors that vary. Rows without a label for a factor are ignored for that factor; continuous
        factors are discretised into 10 equal-frequency bins; circular factors keep their discrete values.
    estimator : {"finite-resolution", "rank-spacing", "equal-width", "quantile", "adjusted", "posterior"}
        Estimator of I(z_j; v_k), as in ``mig``.
    n_bins : int
        Number of bins per latent; ignored by estimators without bins.
    owners : sequence of int, optional
        Index of the latent trained for each factor, -1 for none. By default the most informative latent of the
        factor, which may also be that of another factor.

    Returns
    -------
    RawScore
        In [0, 1]; 1 if the latent of each factor determines it, and carries no more information about other factors
        than the factor itself does. 0 for a factor without a latent, or whose latent carries more information about
        another factor. Details: ``mutual_information`` (n_codes, n_factors) and ``conditional_entropy`` (n_factors,)
        in nats, ``owner`` (n_factors,).

    Raises
    ------
    UndefinedScoreError
        If fewer than two factors vary, or each is a function of another.

    Notes
    -----
    The counterpart of ``dmig`` with latents and factors exchanged, and of ``mig_sup`` for dependent factors. Mutual
    informations are compared in nats, as by the authors, so that a factor with few values is rarely the runner-up.
    Entropies are those of the labels, and H(v_k | v_r) is corrected for chance; the authors' code uses a
    nearest-neighbour estimate of I(v_k; v_k) as entropy, which grows with the number of rows, and does not clip the
    ratio. A factor that is a function of v_r is undefined. Dead latents have zero mutual information.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> first = rng.integers(4, size=5000)
    >>> factors = np.stack([first, np.where(rng.random(5000) < 0.7, first, rng.integers(4, size=5000))], axis=1)
    >>> round(dlig(factors.astype(float), factors).value, 6)
    1.0
    """
    information = normalized_mutual_information(representation, estimator, n_bins)
    owner = assign_codes(information.shares, owners, one_to_one=False)
    owned = owner >= 0
    k = np.arange(representation.n_factors)
    mi = np.where(owned[:, None], information.nats[owner], 0.0)  # row k: I(z_k; v_l) for all factors l
    own = mi[k, k].copy()
    mi[k, k] = -1.0  # the runner-up is another factor that varies
    mi[:, ~information.defined] = -1.0
    r = np.argmax(mi, axis=1)
    runner_up = mi[k, r]
    # H(v_k | v_r) = H(v_k) - I(v_k; v_r); H(v_k) if the latent carries no information about any other factor
    between = representation.cached(information_between_factors)[r, k]
    conditional_entropy = np.maximum(information.entropies - np.where(runner_up > 0, between, 0.0), 0.0)
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
        settings={**information.settings, "owners": "declared" if owners is not None else "best"},
    )
