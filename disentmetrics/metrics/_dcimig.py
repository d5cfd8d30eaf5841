"""DCIMIG, also known as 3CharM."""

import numpy as np

from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, metric
from disentmetrics.representation import Representation
from disentmetrics.statistics.association import best_and_second
from disentmetrics.statistics.information_scores import normalized_mutual_information
from disentmetrics.statistics.mutual_information import InformationEstimator
from disentmetrics.statistics.resolution import RESOLUTION_PRECISION


@metric(
    family="information",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    least={"factor_bins": 2},
    paper="Sepliarskaia, Kiseleva & de Rijke (2019), Evaluating Disentangled Representations",
    known_failure="A perfect code with a rotated copy of it appended scores 1.",
    needs=Needs(rows=20),
    invariant_to=all_except("repeated rows", "rotation", "dependent factors"),
    detects={"rotated", "packed", "missing factor", "blurred"},
    protocols={
        "default": Protocol(
            source="disentmetrics: rank spacings at finite resolution",
            precision=RESOLUTION_PRECISION,
            unsettled={"repeated rows"},
        ),
        "carbonneau2022": Protocol(
            source="Carbonneau et al. (2022): codes and factors in 10 bins of equal width",
            options={"estimator": "equal-width", "n_bins": 10, "factor_bins": 10},
            needs=Needs(rows=2),
            invariant_to=all_except("monotone warp", "outlier", "rotation", "dependent factors"),
        ),
    },
)
def dcimig(
    representation: Representation,
    *,
    estimator: InformationEstimator = "finite-resolution",
    n_bins: int = 20,
    factor_bins: int | None = None,
) -> RawScore:
    """DCIMIG (3CharM): share of the factors' entropy carried by latents about their own factor beyond any other.

    ``sum_k S_k / sum_k H(v_k)``, with S_k the largest gap ``I(z_j; v_(1)) - I(z_j; v_(2))`` of the latents j whose
    most informative factor v_(1) is k, 0 if there is none; mutual informations are sorted over factors.

    Parameters
    ----------
    representation : Representation
        Rows without a label for a factor are ignored for that factor; continuous factors are discretised into 10
        equal-frequency bins unless ``factor_bins`` is given; circular factors keep their discrete values.
    estimator : {"finite-resolution", "rank-spacing", "equal-width", "quantile", "adjusted", "posterior"}
        Estimator of I(z_j; v_k), as in ``mig``.
    n_bins : int
        Number of bins per latent; ignored by estimators without bins.
    factor_bins : int, optional
        If given, factors are first discretised into this many equal-width bins.

    Returns
    -------
    RawScore
        In [0, 1]; 1 if each factor is fully determined by a latent that is independent of the others. ``per_factor``
        is ``S_k / H(v_k)``; the score weights factors by entropy. Details: ``mutual_information``
        (n_codes, n_factors) and ``gap`` (n_codes,), in nats.

    Raises
    ------
    UndefinedScoreError
        If every factor is constant.

    Notes
    -----
    Dead, noise and duplicated latents do not change the score. With a single factor the gap is the mutual information
    itself. A latent with equal information about two factors has a gap of 0, whichever it is assigned to.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
    >>> packed = factors[:, 0] * 5.0 + factors[:, 1]
    >>> round(dcimig(factors.astype(float), factors).value, 6), round(dcimig(packed, factors).value, 2)
    (1.0, 0.15)
    """
    information = normalized_mutual_information(representation, estimator, n_bins, factor_bins)
    mi = information.nats[:, information.defined]
    best, second = best_and_second(mi, axis=1)
    gap = best - second
    # each latent contributes its gap to its most informative factor only
    own = np.zeros_like(mi)
    own[np.arange(len(mi)), np.argmax(mi, axis=1)] = gap
    s = np.full(representation.n_factors, np.nan)
    s[information.defined] = own.max(axis=0)
    h = information.entropies[information.defined]
    return RawScore(
        value=float(min(1.0, np.nansum(s) / h.sum())),
        per_factor=s / np.where(information.defined, information.entropies, 1.0),
        details={"mutual_information": information.nats, "gap": gap},
        settings=information.settings,
    )
