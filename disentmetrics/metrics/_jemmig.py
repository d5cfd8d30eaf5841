"""Joint entropy minus mutual information gap."""

from typing import Literal

import numpy as np

from disentmetrics._utils.typing import Floats
from disentmetrics.errors import UndefinedScoreError
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, mean_over_factors, metric
from disentmetrics.representation import Representation
from disentmetrics.statistics.information_scores import with_binned_factors
from disentmetrics.statistics.latent_entropies import code_entropies, information_at_resolution
from disentmetrics.statistics.mutual_information import factor_entropies, information_matrix
from disentmetrics.statistics.significance import active_codes
from disentmetrics.statistics.soft_information import soft_information
from disentmetrics.statistics.targets import varied_factors


@metric(
    family="information",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    least={"factor_bins": 2},
    paper="Do & Tran (2020), Theory and Evaluation Metrics for Learning Disentangled Representations, section 3",
    known_failure="Duplicating every latent of a perfect code still scores one half.",
    needs=Needs(codes=2, rows=20),
    invariant_to=all_except("duplicated code", "repeated rows", "rotation", "dependent factors"),
    detects={"rotated", "packed", "rotated copy", "missing factor", "blurred"},
    protocols={
        "default": Protocol(
            source="disentmetrics: as many bins as the factor has values, chance-corrected, collapsed latents excluded",
        ),
        "do2020": Protocol(
            source="Do & Tran (2020): posteriors at the centres of 100 bins from -4 to 4, 1 minus their score",
            options={"cut": "posterior", "n_bins": 100},
            needs=Needs(codes=2, rows=2, log_variance=True),
            invariant_to=all_except(
                "scale", "shift", "monotone warp", "duplicated code", "rotation", "dependent factors"
            ),
            detects={"rotated", "packed", "missing factor", "blurred", "synergy lost"},
            # A perfect code does not fill 100 bins uniformly; the suite's packed and synergy codes are out of range.
            perfect=0.89,
            noise=0.08,
            costly=True,
        ),
        "carbonneau2022": Protocol(
            source="Carbonneau et al. (2022): codes and factors in 10 bins of equal width",
            options={"cut": "equal-width", "n_bins": 10, "factor_bins": 10},
            needs=Needs(codes=2, rows=2),
            invariant_to=all_except("monotone warp", "outlier", "duplicated code", "rotation", "dependent factors"),
            noise=0.13,  # equal-width bins are not filled uniformly
        ),
    },
)
def jemmig(
    representation: Representation,
    *,
    cut: Literal["as factor", "equal-width", "posterior"] = "as factor",
    n_bins: int = 20,
    factor_bins: int | None = None,
) -> RawScore:
    """Joint entropy minus mutual information gap: one-to-one correspondence of each factor with a single latent.

    ``mean over k of 1 - [H(z_(1), v_k) - I(z_(1); v_k) + I(z_(2); v_k)] /
    H_max``, with the mutual informations sorted over latents. ``H(z, v) - I(z; v) = H(z | v) + H(v | z)``:
    information in the latent beyond the factor is penalised too.

    Parameters
    ----------
    representation : Representation
        At least two latents. Rows without a label for a factor are ignored for that factor; continuous factors are
        discretised into 10 equal-frequency bins unless ``factor_bins`` is given; circular factors keep their discrete
        values.
    cut : {"as factor", "equal-width", "posterior"}
        ``as factor`` discretises each latent into as many equal-frequency bins as the factor has values, keeps the
        values of a latent that has no more, corrects the mutual information for chance, and uses
        ``H_max = H(z_(1)) + H(v_k)``. ``equal-width`` uses plug-in estimates from ``n_bins`` bins; ``posterior`` uses
        bins from -4 to 4 to which each row contributes its posterior mass; both with
        ``H_max = log(n_bins) + H(v_k)``.
    n_bins : int
        Number of bins per latent; ignored for ``as factor``.
    factor_bins : int, optional
        If given, factors are first discretised into this many equal-width bins.

    Returns
    -------
    RawScore
        In [0, 1]; 1 if each factor and one latent determine each other and no other latent is informative. Details:
        ``mutual_information`` and ``code_entropy`` (n_codes, n_factors) in nats.

    Raises
    ------
    UndefinedScoreError
        If every factor is constant.

    Notes
    -----
    A latent with a finer resolution than the factor has residual entropy, so that a perfect continuous code scores
    below 1 with more bins than the factor has values (.87 for 20 bins and 10 values), and pure noise scores .11 to
    .16 because equal-width bins are not filled uniformly. At the resolution of the factor a perfect code scores 1,
    and with the joint entropy of independent variables as the denominator, noise and dead latents score 0; the price
    is that information below the resolution of the factor is not detected. The authors' score is 1 minus this one,
    lower being better. Equal-width bins credit a constant latent with log(n_bins).

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
    >>> jemmig(factors.astype(float), factors).value, jemmig(factors[:, [0, 0]].astype(float), factors).value
    (1.0, 0.25)
    """
    table = representation if factor_bins is None else representation.cached(with_binned_factors, factor_bins)
    defined = table.cached(varied_factors)
    if not defined.any():
        raise UndefinedScoreError("jemmig needs a factor with at least two values; every factor is constant")
    h_v = table.cached(factor_entropies)
    mi, h_z, settings = _MATRICES[cut](table, n_bins)
    k = np.arange(table.n_factors)
    ranked = np.argsort(-mi, axis=0, kind="stable")
    best, second = mi[ranked[0], k], mi[ranked[1], k]
    h_best = h_z[ranked[0], k]
    h_max = h_v + (h_best if cut == "as factor" else np.log(n_bins))
    # H(z, v) - I(z; v) = H(z) + H(v) - 2 I(z; v)
    gap = h_best + h_v - 2 * best + second
    scores = np.clip(1 - gap / np.where(h_max > 0, h_max, 1.0), 0.0, 1.0)
    per_factor = np.where(defined, scores, np.nan)
    return RawScore(
        value=mean_over_factors(per_factor),
        per_factor=per_factor,
        details={"mutual_information": mi, "code_entropy": h_z},
        settings=settings,
    )


def _as_factor(representation: Representation, _: int) -> tuple[Floats, Floats, dict[str, str]]:
    mi, h_z = representation.cached(information_at_resolution)
    kept, settings = active_codes(representation)
    return np.where(kept[:, None], mi, 0.0), h_z, dict(settings)


def _equal_width(representation: Representation, n_bins: int) -> tuple[Floats, Floats, dict[str, str]]:
    mi = representation.cached(information_matrix, "equal-width", n_bins)
    return mi, representation.cached(code_entropies, "equal-width", n_bins), {}


def _posterior(representation: Representation, n_bins: int) -> tuple[Floats, Floats, dict[str, str]]:
    information = representation.cached(soft_information, n_bins, 4.0, "centres")
    h_v = representation.cached(factor_entropies)
    # H(z) = H(z, v) + I(z; v) - H(v)
    h_z = np.maximum(information.joint + information.nats - h_v, 0.0)
    return information.nats, h_z, {"code": "mean+logvar"}


_MATRICES = {"as factor": _as_factor, "equal-width": _equal_width, "posterior": _posterior}
