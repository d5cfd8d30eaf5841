"""Unique information of single latents about factors."""

import numpy as np

from disentmetrics._utils.typing import Seed
from disentmetrics.errors import UndefinedScoreError
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, mean_over_factors, metric
from disentmetrics.representation import Representation
from disentmetrics.statistics.probes import best_held_out_score, step_prediction
from disentmetrics.statistics.targets import target

_MIN_SCORE = 0.02
"""Latents with a smaller score for a factor by themselves are not candidates."""


@metric(
    family="predictor",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    paper="Tokui & Sato (2022), Disentanglement Analysis with Partial Information Decomposition, section 4",
    known_failure="Two factors packed losslessly into one latent score 1.",
    needs=Needs(rows=40, groups=2),
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
    """Information about each factor unique to a single latent: its held-out score beyond all others jointly.

    ``mean over k of max over j of [s_k(z_j) - s_k(z without z_j)]``, clipped at 0: a lower bound.

    Parameters
    ----------
    representation : Representation
        Rows without a label for a factor are ignored for that factor.
    seed : int or tuple of int
        Random seed for the choice of rows, the folds and the probes.
    n_candidates : int
        Maximum number of candidate latents per factor: those with the best individual scores.
    n_rows : int
        Maximum number of rows; a random subset is used if there are more.

    Returns
    -------
    RawScore
        In [0, 1]. Part ``upper_bound``: the smaller of s_k(z_j) and s_k(z) - s_k(z without z_j), for the same latent
        j. Details: ``unique`` (n_codes, n_factors), NaN for latents that cannot be the best and were not evaluated.

    Raises
    ------
    UndefinedScoreError
        If no factor varies within rows of at least two groups.

    Notes
    -----
    s is the better held-out score of linear and boosted probes (R² or chance-corrected accuracy, clipped at 0). For a
    single latent and a non-categorical factor it is the chance-corrected correlation ratio, and the score of the
    other latents jointly is at least that of any one of them. Latents with a score below 0.02 are not candidates.
    With mutual information I in place of s, the value is a lower bound of the unique information in the sense of
    partial information decomposition, and the part an upper bound. The authors estimate these bounds in nats from
    discretised latents and the decoder's posterior; the estimator here is a different one. Candidates are evaluated
    in order of decreasing score, until none can be better. This metric detects a perfect code with a rotated copy of
    it. With dependent factors a perfect code scores below 1, because other latents are informative about its factor.
    Step functions and boosted probes bound outlying labels by Tukey's outer fences.

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
        factor = representation.cached(target, position)
        if not factor.varies or np.isnan(best_held_out_score(representation, position, seed, codes=(), n_rows=n_rows)):
            continue
        lower[position] = upper[position] = 0.0
        for code in map(int, np.argsort(-alone[:, position], kind="stable")[:n_candidates]):
            if alone[code, position] <= max(lower[position], _MIN_SCORE):
                break
            own = alone[code, position]
            if factor.is_class:
                own = best_held_out_score(representation, position, seed, codes=(code,), n_rows=n_rows)
            others = tuple(j for j in everything if j != code)
            rest = best_held_out_score(representation, position, seed, codes=others, n_rows=n_rows, enough=own)
            if not factor.is_class:
                rest = max(rest, alone[list(others), position].max(initial=0.0))
            unique[code, position] = max(0.0, own - rest)
            if unique[code, position] > lower[position]:
                lower[position] = unique[code, position]
                joint = best_held_out_score(representation, position, seed, codes=everything, n_rows=n_rows)
                upper[position] = max(lower[position], min(own, joint - rest))
    if np.isnan(lower).all():
        raise UndefinedScoreError("unique_information needs a factor that varies and rows from at least two groups")
    return RawScore(
        value=mean_over_factors(lower),
        per_factor=lower,
        details={"unique": unique},
        parts={"upper_bound": mean_over_factors(upper)},
    )
