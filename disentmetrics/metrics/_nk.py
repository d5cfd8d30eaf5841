"""Neuron knockout."""

import numpy as np

from disentmetrics._utils.typing import Seed
from disentmetrics.errors import UndefinedScoreError
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, mean_over_factors, metric
from disentmetrics.representation import Representation
from disentmetrics.statistics.probes import aligned_codes, best_held_out_score
from disentmetrics.statistics.targets import target


@metric(
    family="predictor",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    paper="Mahon, Sha & Lukasiewicz (2024), Correcting Flaws in Common Disentanglement Metrics, section 4",
    known_failure="Every code twice scores 0, for the copy stands in for the code that is taken away.",
    needs=Needs(rows=40),
    randomised=True,
    invariant_to=all_except("duplicated code", "relabelled factors", "repeated rows", "rotation", "dependent factors"),
    detects={"rotated", "packed", "rotated copy", "missing factor", "blurred", "synergy lost"},
    costly=True,
    slow=True,
    protocols={
        "default": Protocol(
            source="disentmetrics: better of linear and boosted probes, fall of the held-out score",
        ),
    },
)
def nk(representation: Representation, *, seed: Seed = 0, n_rows: int = 4_000) -> RawScore:
    """How much of each factor is lost when one code of its own is taken away.

    ``mean over k of s_k(all codes) - s_k(all but the code aligned with k)``, where s is the better held-out score of
    linear and boosted probes, R² or chance-corrected accuracy over two folds, at least 0.

    Parameters
    ----------
    representation : Representation
        Rows without a label for a factor are ignored for that factor.
    seed : int or tuple of int
        Random seed for the choice of rows, the folds and the probes.
    n_rows : int
        Maximum number of rows; a random subset is used if there are more.

    Returns
    -------
    RawScore
        In [0, 1]: 1 where every factor is read perfectly with its code and not at all without it. A factor for which
        no code is left counts 0. Details: ``aligned_code`` (n_factors,), -1 where there is none, ``with_all_codes``
        and ``without_its_code`` (n_factors,).

    Raises
    ------
    UndefinedScoreError
        If no factor varies within rows of at least two groups.

    Notes
    -----
    Pairs maximise the total mutual information, corrected for chance, so that no code is taken away for two factors.
    The authors train neural networks and report the accuracy without the code, where low is good; this is the fall,
    so that a factor which no code holds does not look disentangled. Categories are classified, circular factors
    predicted by cosine and sine together. Dead latents do not change the score.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
    >>> round(nk(factors.astype(float), factors).value, 2)
    1.0
    """
    aligned = representation.cached(aligned_codes)
    complete, reduced = np.full((2, representation.n_factors), np.nan)
    for position, code in enumerate(aligned):
        if not representation.cached(target, position).varies:
            continue
        every = tuple(range(representation.n_codes))
        rest = tuple(j for j in every if j != code)
        for scores, codes in ((complete, every), (reduced, rest)):
            scores[position] = best_held_out_score(representation, position, seed, codes=codes, n_rows=n_rows)
    falls = np.clip(complete - reduced, 0.0, 1.0)
    falls[aligned < 0] *= 0.0
    if np.isnan(falls).all():
        raise UndefinedScoreError("nk needs a factor that takes two values, on rows of two groups or more")
    return RawScore(
        value=mean_over_factors(falls),
        per_factor=falls,
        details={"aligned_code": aligned, "with_all_codes": complete, "without_its_code": reduced},
    )
