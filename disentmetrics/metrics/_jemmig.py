"""The joint entropy minus mutual information gap."""

from typing import Literal

import numpy as np

from disentmetrics._utils.typing import Floats
from disentmetrics.errors import UndefinedScoreError
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, mean_over_factors, metric
from disentmetrics.representation import Representation
from disentmetrics.statistics.factor_groups import varied_factors
from disentmetrics.statistics.information_scores import (
    code_entropies,
    information_at_resolution,
    soft_information,
    with_binned_factors,
)
from disentmetrics.statistics.mutual_information import factor_entropies, information_matrix
from disentmetrics.statistics.significance import active_codes


@metric(
    family="information",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    least={"factor_bins": 2},
    paper="Do & Tran (2020), Theory and Evaluation Metrics for Learning Disentangled Representations, section 3",
    known_failure="Every code twice still scores one half.",
    needs=Needs(codes=2, rows=20),
    invariant_to=all_except("duplicated code", "repeated rows", "rotation", "dependent factors"),
    detects={"rotated", "packed", "rotated copy", "missing factor", "blurred"},
    protocols={
        "default": Protocol(
            source="disentmetrics: codes cut as finely as the factor, corrected for chance, collapsed codes left out",
        ),
        "do2020": Protocol(
            source="Do & Tran (2020): posteriors at the centres of 100 bins between -4 and 4, 1 minus their score",
            options={"cut": "posterior", "n_bins": 100},
            needs=Needs(codes=2, rows=2, log_variance=True),
            invariant_to=all_except(
                "scale", "shift", "monotone warp", "duplicated code", "rotation", "dependent factors"
            ),
            detects={"rotated", "packed", "missing factor", "blurred", "synergy lost"},
            # A perfect code does not fill 100 bins evenly. The suite's codes for packing and synergy exceed the limits.
            perfect=0.89,
            noise=0.08,
            costly=True,
        ),
        "carbonneau2022": Protocol(
            source="Carbonneau et al. (2022): codes and factors in 10 bins of equal width",
            options={"cut": "equal-width", "n_bins": 10, "factor_bins": 10},
            needs=Needs(codes=2, rows=2),
            invariant_to=all_except("monotone warp", "outlier", "duplicated code", "rotation", "dependent factors"),
            noise=0.13,  # bins of equal width are not filled evenly
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
    """Tell whether one code and each factor are one and the same, and no other code tells of the factor.

    ``mean over k of 1 - [H(z_(1), v_k) - I(z_(1); v_k) + I(z_(2); v_k)] / most``, codes sorted by information.
    ``H(z, v) - I(z; v) = H(z | v) + H(v | z)``, so what the code tells beside the factor counts too.

    Parameters
    ----------
    representation : Representation
        At least two latents. Rows without a label for a factor are ignored for that factor; continuous factors are
        discretised into 10 equal-frequency bins unless ``factor_bins`` is given; circular factors keep their discrete
        values.
    cut : {"as factor", "equal-width", "posterior"}
        ``as factor`` cuts codes into as many bins of equal frequency as the factor takes values, keeps the values of
        a code that has no more, corrects the mutual information for chance, and sets ``most = H(z_(1)) + H(v_k)``.
        ``equal-width`` plugs in from ``n_bins`` bins, ``posterior`` from bins between -4 and 4 that each row fills as
        its posterior does, both with ``most = log(n_bins) + H(v_k)``.
    n_bins : int
        Of codes, not for ``as factor``.
    factor_bins : int, optional
        If given, factors are first discretised into this many equal-width bins.

    Returns
    -------
    RawScore
        In [0, 1]: 1 where one code and each factor tell all of each other and no other code tells any. Details:
        ``mutual_information`` and ``code_entropy`` (n_codes, n_factors) in nats.

    Raises
    ------
    UndefinedScoreError
        If every factor is constant.

    Notes
    -----
    A code that is finer than the factor has entropy left over, so that a perfect continuous code scores less than 1
    with more bins than the factor has values (.87 for 20 bins and 10 values), and pure noise scores .11 to .16
    because bins of equal width are not filled evenly. Cut as finely as the factor, a perfect code scores 1, and
    divided by the joint entropy that independent variables would have, noise and dead codes score 0. What
    this gives up: information within a code that is finer than the factor goes unseen. The authors' score is lower
    for better codes; theirs is 1 minus ours. Bins of equal width credit a constant code with log(n_bins).

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
    >>> jemmig(factors.astype(float), factors).value, jemmig(factors[:, [0, 0]].astype(float), factors).value
    (1.0, 0.25)
    """
    table = representation if factor_bins is None else representation.cached(with_binned_factors, factor_bins)
    defined = table.cached(varied_factors)
    if not defined.any():
        raise UndefinedScoreError("jemmig needs a factor that takes two values; every factor is constant")
    entropies = table.cached(factor_entropies)
    nats, of_code, settings = _MATRICES[cut](table, n_bins)
    factor = np.arange(table.n_factors)
    ranked = np.argsort(-nats, axis=0, kind="stable")
    best, second = nats[ranked[0], factor], nats[ranked[1], factor]
    own = of_code[ranked[0], factor]
    most = entropies + (own if cut == "as factor" else np.log(n_bins))
    left = own + entropies - 2 * best + second
    scores = np.clip(1 - left / np.where(most > 0, most, 1.0), 0.0, 1.0)
    per_factor = np.where(defined, scores, np.nan)
    return RawScore(
        value=mean_over_factors(per_factor),
        per_factor=per_factor,
        details={"mutual_information": nats, "code_entropy": of_code},
        settings=settings,
    )


def _as_factor(representation: Representation, _: int) -> tuple[Floats, Floats, dict[str, str]]:
    nats, of_code = representation.cached(information_at_resolution)
    kept, settings = active_codes(representation)
    return np.where(kept[:, None], nats, 0.0), of_code, dict(settings)


def _equal_width(representation: Representation, n_bins: int) -> tuple[Floats, Floats, dict[str, str]]:
    nats = representation.cached(information_matrix, "equal-width", n_bins)
    return nats, representation.cached(code_entropies, "equal-width", n_bins), {}


def _posterior(representation: Representation, n_bins: int) -> tuple[Floats, Floats, dict[str, str]]:
    found = representation.cached(soft_information, n_bins, 4.0, "centres")
    entropies = representation.cached(factor_entropies)
    return found.nats, np.maximum(found.joint + found.nats - entropies, 0.0), {"code": "mean+logvar"}


_MATRICES = {"as factor": _as_factor, "equal-width": _equal_width, "posterior": _posterior}
