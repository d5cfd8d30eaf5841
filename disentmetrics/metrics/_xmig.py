"""The dependency-blind mutual information gap."""

from collections.abc import Sequence

import numpy as np

from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, mean_over_factors, metric
from disentmetrics.representation import Representation
from disentmetrics.statistics.information_scores import assign_codes, normalized_mutual_information
from disentmetrics.statistics.mutual_information import InformationEstimator


@metric(
    family="information",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    paper="Watcharasupat (2021), Controllable Music: Supervised Learning of Disentangled Representations for Music "
    "Generation",
    known_failure="Codes of factors that each also tell of all other factors score 1 if no code is left over.",
    needs=Needs(rows=20),
    invariant_to=all_except("duplicated code", "repeated rows", "rotation"),
    detects={"rotated", "packed", "rotated copy", "missing factor", "blurred"},
    protocols={
        "default": Protocol(
            source="disentmetrics: rank spacings of the mean code, codes matched to factors, limited to [0, 1]",
        ),
    },
)
def xmig(
    representation: Representation,
    *,
    estimator: InformationEstimator = "rank-spacing",
    n_bins: int = 20,
    owners: Sequence[int] | None = None,
) -> RawScore:
    """Mean gap between each factor's own code and the codes that are no factor's.

    ``mean over k of [I(z_k; v_k) - max_r I(z_r; v_k)] / H(v_k)``, where z_k is the code of factor k, and r runs over
    the codes that belong to no factor.

    Parameters
    ----------
    representation : Representation
        Rows without a label for a factor are ignored for that factor; continuous factors are discretised into 10
        equal-frequency bins; circular factors keep their discrete values.
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
        In [0, 1]: 1 where each factor's code tells all of it, and codes left over tell nothing. 0 for a factor
        without a code, and where a code left over tells more. Details: ``mutual_information``
        (n_codes, n_factors) in nats, ``owner`` (n_factors,).

    Raises
    ------
    UndefinedScoreError
        If every factor is constant.

    Notes
    -----
    Dependence among factors does not matter to it, nor does entanglement among their codes. Where no code is left
    over, nothing is subtracted; the authors' code refuses such representations, and takes for an entropy a
    nearest-neighbour estimate of I(v_k; v_k), which grows with the number of rows. Dead latents have zero mutual
    information.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
    >>> codes = np.hstack([factors, factors[:, :1]]).astype(float)
    >>> round(xmig(factors.astype(float), factors).value, 6), round(xmig(codes, factors).value, 6)
    (1.0, 0.5)
    """
    known = normalized_mutual_information(representation, estimator, n_bins)
    owner = assign_codes(known.shares, owners)
    owned = owner >= 0
    left_over = np.ones(representation.n_codes, dtype=bool)
    left_over[owner[owned]] = False
    own = np.where(owned, known.shares[owner, np.arange(representation.n_factors)], 0.0)
    per_factor = known.per_factor(np.clip(own - known.shares[left_over].max(axis=0, initial=0.0), 0.0, 1.0))
    return RawScore(
        value=mean_over_factors(per_factor),
        per_factor=per_factor,
        details={"mutual_information": known.nats, "owner": owner},
        settings={**known.settings, "owners": "declared" if owners is not None else "matched"},
    )
