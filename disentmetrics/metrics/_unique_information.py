"""What one code knows of a factor and all others together do not."""

import numpy as np

from disentmetrics._utils.typing import Seed
from disentmetrics.errors import UndefinedScoreError
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, mean_over_factors, metric
from disentmetrics.representation import Representation
from disentmetrics.statistics.probes import best_held_out_score, step_prediction
from disentmetrics.statistics.targets import target

_NOTHING = 0.02
"""A code that predicts less of a factor alone is not tried."""


@metric(
    family="predictor",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    paper="Tokui & Sato (2022), Disentanglement Analysis with Partial Information Decomposition, section 4",
    known_failure="Two factors packed without loss into one code score 1.",
    needs=Needs(rows=40),
    randomised=True,
    parts={"upper_bound": (0.0, 1.0)},
    invariant_to=all_except("duplicated code", "relabelled factors", "repeated rows", "rotation", "dependent factors"),
    detects={"rotated", "rotated copy", "missing factor", "blurred"},
    costly=True,
    slow=True,
    protocols={
        "default": Protocol(
            source="disentmetrics: better of linear and boosted probes, held-out score in place of information",
        ),
    },
)
def unique_information(
    representation: Representation, *, seed: Seed = 0, n_candidates: int = 5, n_rows: int = 4_000
) -> RawScore:
    """How much of each factor one code knows beyond all other codes together.

    ``mean over k of max over j of [s_k(z_j) - s_k(all codes but z_j)]``, a lower bound, at least 0.

    Parameters
    ----------
    representation : Representation
        Rows without a label for a factor are ignored for that factor.
    seed : int or tuple of int
        Random seed for the choice of rows, the folds and the probes.
    n_candidates : int
        How many codes a factor are tried: those that predict it best alone.
    n_rows : int
        Maximum number of rows; a random subset is used if there are more.

    Returns
    -------
    RawScore
        In [0, 1]. Part ``upper_bound``: the smaller of s_k(z_j) and s_k(all codes) - s_k(all but z_j), of the
        same code j. Details: ``unique`` (n_codes, n_factors), NaN where a code cannot be the best and was not tried.

    Raises
    ------
    UndefinedScoreError
        If no factor varies within rows of at least two groups.

    Notes
    -----
    s is the better held-out score of linear and boosted probes (R² or chance-corrected accuracy, at least 0); of one
    code and a factor that is no category, the chance-corrected correlation ratio, which all others together count for
    at least as much as any one of them. Codes that alone predict less than 0.02 of a factor are not tried. The
    authors bound information in nats by discretised codes and the decoder's own posterior; their estimator is
    another one, this is its form: with I in place of s the value bounds the unique information of partial information
    decomposition from below, the part from above. Codes are tried by falling prediction alone, and no further than
    any could win. The one score here that sees perfect codes beside a rotated copy. With dependent factors a
    perfect code scores under 1, for other codes then know of its factor.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
    >>> codes = factors.astype(float)
    >>> round(unique_information(codes, factors).value, 2)
    1.0
    >>> round(unique_information(np.hstack([codes, codes @ [[1, 1], [1, -1]]]), factors).value, 2)
    0.0
    """
    alone = np.clip(representation.cached(step_prediction), 0.0, 1.0)
    unique = np.full((representation.n_codes, representation.n_factors), np.nan)
    lower, upper = np.full((2, representation.n_factors), np.nan)
    everything = tuple(range(representation.n_codes))
    for position in range(representation.n_factors):
        aim = representation.cached(target, position)
        if not aim.varies or np.isnan(best_held_out_score(representation, position, seed, codes=(), n_rows=n_rows)):
            continue
        lower[position] = upper[position] = 0.0
        for code in map(int, np.argsort(-alone[:, position], kind="stable")[:n_candidates]):
            if alone[code, position] <= max(lower[position], _NOTHING):
                break
            own = alone[code, position]
            if aim.is_class:
                own = best_held_out_score(representation, position, seed, codes=(code,), n_rows=n_rows)
            others = tuple(j for j in everything if j != code)
            rest = best_held_out_score(representation, position, seed, codes=others, n_rows=n_rows, enough=own)
            if not aim.is_class:
                rest = max(rest, alone[list(others), position].max(initial=0.0))
            unique[code, position] = max(0.0, own - rest)
            if unique[code, position] > lower[position]:
                lower[position] = unique[code, position]
                together = best_held_out_score(representation, position, seed, codes=everything, n_rows=n_rows)
                upper[position] = max(lower[position], min(own, together - rest))
    if np.isnan(lower).all():
        raise UndefinedScoreError("unique_information needs a factor of two values, on rows of two groups or more")
    return RawScore(
        value=mean_over_factors(lower),
        per_factor=lower,
        details={"unique": unique},
        parts={"upper_bound": mean_over_factors(upper)},
    )
