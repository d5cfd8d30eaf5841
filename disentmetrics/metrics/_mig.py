"""The mutual information gap."""

import numpy as np
from numpy.typing import NDArray

from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, mean_over_factors, metric
from disentmetrics.representation import Representation
from disentmetrics.statistics.association import best_and_second
from disentmetrics.statistics.information_scores import normalized_mutual_information
from disentmetrics.statistics.mutual_information import InformationEstimator


@metric(
    family="information",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    paper="Chen, Li, Grosse & Duvenaud (2018), Isolating Sources of Disentanglement in VAEs, section 4",
    known_failure="Two factors packed without loss into one code score 1.",
    needs=Needs(codes=2, rows=20),
    invariant_to=all_except("duplicated code", "repeated rows", "rotation", "dependent factors"),
    detects={"rotated", "rotated copy", "missing factor", "blurred"},
    protocols={
        "default": Protocol(
            source="disentmetrics: rank spacings of the mean code, collapsed codes left out",
        ),
        "chen2018": Protocol(
            source="Chen et al. (2018): aggregate posteriors, integrated exactly instead of sampled",
            options={"estimator": "posterior"},
            needs=Needs(codes=2, rows=2, log_variance=True),
            invariant_to=all_except("duplicated code", "rotation", "dependent factors"),
            precision=1e-3,
            costly=True,
        ),
        "locatello2019": Protocol(
            source="disentanglement_lib 1.5: mean code in 20 bins of equal width",
            options={"estimator": "equal-width"},
            invariant_to=all_except("monotone warp", "duplicated code", "outlier", "rotation", "dependent factors"),
        ),
    },
)
def mig(
    representation: Representation, *, estimator: InformationEstimator = "rank-spacing", n_bins: int = 20
) -> RawScore:
    """Mean gap between the two codes that tell most about each factor.

    ``mean over k of [I(z_(1); v_k) - I(z_(2); v_k)] / H(v_k)``, with the mutual informations sorted over latents.

    Parameters
    ----------
    representation : Representation
        At least two latents. Rows without a label for a factor are ignored for that factor; continuous factors are
        discretised into 10 equal-frequency bins.
    estimator : {"rank-spacing", "equal-width", "quantile", "adjusted", "posterior"}
        How I(z_j; v_k) is estimated, in nats. ``rank-spacing`` has no bins and is unbiased for
        unrelated codes; ``equal-width`` and ``quantile`` cut each code into ``n_bins`` and plug in;
        ``adjusted`` corrects the latter for chance; ``posterior`` integrates the aggregate posterior
        q(z_j) and q(z_j | v_k).
    n_bins : int
        Number of bins per latent; ignored by estimators without bins.

    Returns
    -------
    RawScore
        In [0, 1]: 1 where one code tells all of each factor and no other code tells any. Details:
        ``mutual_information`` (n_codes, n_factors) in nats and ``average_maximal_information``,
        the mean over factors of I(z_(1); v_k) / H(v_k).

    Raises
    ------
    UndefinedScoreError
        If every factor is constant.

    Notes
    -----
    With posterior variances, ``rank-spacing`` and ``adjusted`` leave out latents whose mean KL to N(0, 1) is at
    most 0.01 nats (``mask`` in the signature): a collapsed code still carries a clean trace of a
    factor in its mean. The authors' code draws 10,000 samples, divides by log |V_k| (equal to
    H(v_k) on a full grid) and leaves the shape of dSprites out: average ``per_factor``
    without it to compare. An encoder whose mean code is a lookup table of few values is
    scored by the chance-corrected information of those values.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
    >>> mig(factors.astype(float), factors).value, mig(factors[:, [0, 0]].astype(float), factors).value
    (1.0, 0.0)
    """
    information = normalized_mutual_information(representation, estimator, n_bins)
    nats, entropies, defined = information.estimates, information.entropies, information.defined
    best, second = best_and_second(np.maximum(nats, 0.0))
    gaps = np.full(representation.n_factors, np.nan)
    gaps[defined] = (best - second)[defined] / entropies[defined]
    most = (best[defined] / entropies[defined]).mean()
    return RawScore(
        value=mean_over_factors(gaps),
        per_factor=gaps,
        details={"mutual_information": nats, "average_maximal_information": np.array([most])},
        settings=information.settings,
        notes=_packing_note(representation, nats, entropies, defined),
    )


def _packing_note(
    representation: Representation,
    nats: NDArray[np.float64],
    entropies: NDArray[np.float64],
    defined: NDArray[np.bool_],
) -> tuple[str, ...]:
    names = np.array(representation.space.names)
    share = nats / np.where(defined, entropies, np.inf)
    best = np.argmax(nats, axis=0)
    notes = []
    for code in np.unique(best[defined & (share.max(axis=0) > 0.5)]):
        packed = defined & (best == code) & (share[code] > 0.5)
        if packed.sum() > 1:
            notes.append(
                f"code {representation.code_names[code]} tells most of {' and '.join(names[packed])}: "
                "this score does not punish packing two factors into one code"
            )
    return tuple(notes)
