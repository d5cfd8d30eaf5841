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
    known_failure="Duplicating every latent gives 0, because the copy replaces the latent that is removed.",
    needs=Needs(rows=40, groups=2),
    randomised=True,
    invariant_to=all_except("duplicated code", "relabelled factors", "repeated rows", "rotation", "dependent factors"),
    detects={"rotated", "packed", "rotated copy", "missing factor", "blurred", "synergy lost"},
    costly=True,
    slow=True,
    protocols={
        "default": Protocol(
            source="disentmetrics: better of linear and boosted probes, decrease of the held-out score",
        ),
    },
)
def nk(representation: Representation, *, seed: Seed = 0, n_rows: int = 4_000) -> RawScore:
    """Neuron knockout: decrease of the held-out score of each factor when its aligned latent is removed.

    ``mean over k of s_k(all latents) - s_k(all but the latent aligned with k)``, where s is the better two-fold
    held-out score of linear and boosted probes: R² or chance-corrected accuracy, clipped at 0.

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
        In [0, 1]; 1 if every factor is predicted perfectly with its latent and not at all without it. A factor
        without an aligned latent contributes 0. Details: ``aligned_code`` (n_factors,), -1 if there is none,
        ``with_all_codes`` and ``without_its_code`` (n_factors,).

    Raises
    ------
    UndefinedScoreError
        If no factor varies within rows of at least two groups.

    Notes
    -----
    The one-to-one alignment maximises the total chance-corrected mutual information, so that no latent is aligned
    with two factors. The authors train neural networks and report the accuracy without the latent, lower being
    better; here the decrease is reported, so that a factor that is not encoded does not appear disentangled.
    Categorical factors are classified, circular factors predicted via cosine and sine jointly. Dead latents do not
    change the score.

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
    decrease = np.clip(complete - reduced, 0.0, 1.0)
    decrease[aligned < 0] *= 0.0  # keeps the NaN of undefined factors
    if np.isnan(decrease).all():
        raise UndefinedScoreError("nk needs a factor that varies and rows from at least two groups")
    return RawScore(
        value=mean_over_factors(decrease),
        per_factor=decrease,
        details={"aligned_code": aligned, "with_all_codes": complete, "without_its_code": reduced},
    )
