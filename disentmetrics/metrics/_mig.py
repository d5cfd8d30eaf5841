"""Mutual information gap."""

import numpy as np
from numpy.typing import NDArray

from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, mean_over_factors, metric
from disentmetrics.representation import Representation
from disentmetrics.statistics.association import best_and_second
from disentmetrics.statistics.information_scores import normalized_mutual_information
from disentmetrics.statistics.mutual_information import InformationEstimator
from disentmetrics.statistics.resolution import RESOLUTION_PRECISION


@metric(
    family="information",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    paper="Chen, Li, Grosse & Duvenaud (2018), Isolating Sources of Disentanglement in VAEs, section 4",
    known_failure="Two factors packed into one latent score almost 1.",
    needs=Needs(codes=2, rows=20),
    invariant_to=all_except("duplicated code", "repeated rows", "rotation", "dependent factors"),
    detects={"rotated", "rotated copy", "missing factor", "blurred"},
    protocols={
        "default": Protocol(
            source="disentmetrics: rank spacings at finite resolution",
            precision=RESOLUTION_PRECISION,
            detects={"rotated", "packed", "rotated copy", "missing factor", "blurred"},
            unsettled={"repeated rows"},
        ),
        "spacing": Protocol(
            source="disentmetrics: rank spacings of the mean code at unlimited resolution, collapsed latents excluded",
            options={"estimator": "rank-spacing"},
            precision=1e-9,
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
    representation: Representation, *, estimator: InformationEstimator = "finite-resolution", n_bins: int = 20
) -> RawScore:
    """Mutual information gap: difference between the two largest mutual informations of each factor with latents.

    ``mean over k of [I(z_(1); v_k) - I(z_(2); v_k)] / H(v_k)``, with the mutual informations sorted over latents: the
    gap is normalised by the entropy of the factor.

    Parameters
    ----------
    representation : Representation
        At least two latents. Rows without a label for a factor are ignored for that factor; continuous factors are
        discretised into 10 equal-frequency bins.
    estimator : {"finite-resolution", "rank-spacing", "equal-width", "quantile", "adjusted", "posterior"}
        Estimator of I(z_j; v_k). ``finite-resolution`` reads one sample of the posterior per row where posterior
        variances are known, and otherwise codes blurred by a tenth of their own step, and estimates their information
        from rank spacings; ``rank-spacing`` does so from the codes as they are. Both have no bins and are unbiased
        for unrelated latents. ``equal-width`` and ``quantile`` are plug-in estimates from ``n_bins`` bins per latent;
        ``adjusted`` corrects the latter for chance; ``posterior`` integrates the aggregate posteriors q(z_j) and
        q(z_j | v_k).
    n_bins : int
        Number of bins per latent; ignored by estimators without bins.

    Returns
    -------
    RawScore
        In [0, 1]; 1 if each factor is determined by one latent and all other latents are independent of it. Details:
        ``mutual_information`` (n_codes, n_factors) in nats and ``average_maximal_information``, the mean over factors
        of I(z_(1); v_k) / H(v_k).

    Raises
    ------
    UndefinedScoreError
        If every factor is constant.

    Notes
    -----
    A noiseless real number has infinite information: perfect codes plus a millionth of another factor score 0 under
    ``rank-spacing``. The resolution (``resolution`` in the signature) is therefore limited to that of the posterior,
    or to a tenth of the step between the codes of neighbouring values of the factor that a latent follows, see
    :func:`disentmetrics.estimators.resolution.step_blur`. A trace of another factor that is smaller than that is
    ignored, and the score depends on it continuously; so it does on rounding. Where a resolution three times finer or
    coarser would change the score by more than 0.05, a note gives both values.

    With posterior variances, ``rank-spacing`` and ``adjusted`` exclude latents whose mean KL to N(0, 1) is at most
    0.01 nats (``mask`` in the signature), because the mean of a collapsed latent can still contain a clean trace of a
    factor. The authors' code draws 10,000 samples, divides by log of the number of values (equal to H(v_k) on a full
    grid) and omits the shape factor of dSprites: to compare, average ``per_factor`` without it.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
    >>> mig(factors.astype(float), factors).value, mig(factors[:, [0, 0]].astype(float), factors).value
    (1.0, 0.0)
    """
    information = normalized_mutual_information(representation, estimator, n_bins)
    mi, h, defined = information.estimates, information.entropies, information.defined
    best, second = best_and_second(np.maximum(mi, 0.0))  # unbiased estimates may be negative
    gap = np.full(representation.n_factors, np.nan)
    gap[defined] = (best - second)[defined] / h[defined]
    average_maximal = (best[defined] / h[defined]).mean()
    return RawScore(
        value=mean_over_factors(gap),
        per_factor=gap,
        details={"mutual_information": mi, "average_maximal_information": np.array([average_maximal])},
        settings=information.settings,
        notes=_packing_note(representation, mi, h, defined),
    )


def _packing_note(
    representation: Representation,
    mi: NDArray[np.float64],
    h: NDArray[np.float64],
    defined: NDArray[np.bool_],
) -> tuple[str, ...]:
    names = np.array(representation.space.names)
    share = mi / np.where(defined, h, np.inf)
    best = np.argmax(mi, axis=0)
    notes = []
    for code in np.unique(best[defined & (share.max(axis=0) > 0.5)]):
        packed = defined & (best == code) & (share[code] > 0.5)
        if packed.sum() > 1:
            notes.append(
                f"{representation.code_names[code]} carries most of the entropy of {' and '.join(names[packed])}: "
                "this metric does not penalise packing two factors into one latent"
            )
    return tuple(notes)
