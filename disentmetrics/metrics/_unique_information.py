"""What one code knows of a factor and all others together do not."""

import numpy as np

from disentmetrics.errors import UndefinedScoreError
from disentmetrics.metric import Needs, Outcome, Protocol, mean_over_factors, metric
from disentmetrics.prediction import Probe, Seed, held_out_score, step_prediction, target
from disentmetrics.representation import Representation

N_FOLDS = 2
_PROBES: tuple[Probe, ...] = ("linear", "boosting")
_MARGIN = 0.05  # by how much a score of one code may exceed its step prediction


@metric(
    family="predictor",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    paper="Tokui & Sato (2022), Disentanglement Analysis with Partial Information Decomposition, section 4",
    known_failure="Every code twice scores 0, for a copy leaves nothing unique.",
    needs=Needs(rows=40),
    randomised=True,
    parts={"upper_bound": (0.0, 1.0)},
    protocols={
        "default": Protocol(
            source="disentmetrics: better of linear and boosted probes, held-out score in place of information",
            costly=True,
        ),
    },
)
def unique_information(
    representation: Representation, *, seed: Seed = 0, n_candidates: int = 5, n_rows: int = 4_000
) -> Outcome:
    """How much of each factor one code knows beyond all other codes together.

    ``mean over k of max over j of [s_k(z_j) - s_k(all codes but z_j)]``, a lower bound, at least 0.

    Parameters
    ----------
    representation : Representation
        Rows that miss a factor's label are left out for that factor.
    seed : int or tuple of int
        Decides rows, folds and the probes' own draws.
    n_candidates : int
        How many codes a factor are tried: those that predict it best alone.
    n_rows : int
        At most so many rows take part.

    Returns
    -------
    Outcome
        In [0, 1]. Part ``upper_bound``: the smaller of s_k(z_j) and s_k(all codes) - s_k(all but z_j), of the
        same code j. Details: ``unique`` (n_codes, n_factors), NaN where a code cannot be the best and was not tried.

    Raises
    ------
    UndefinedScoreError
        If no factor varies on rows of two groups or more.

    Notes
    -----
    s is the better held-out score of linear and boosted probes (R² or chance-corrected accuracy, at least 0). The
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
    alone = representation.shared(step_prediction)
    unique = np.full((representation.n_codes, representation.n_factors), np.nan)
    lower, upper = np.full((2, representation.n_factors), np.nan)
    everything = tuple(range(representation.n_codes))
    for position in range(representation.n_factors):
        if not representation.shared(target, position).varies:
            continue
        if np.isnan(_score(representation, position, (), seed, n_rows)):
            continue
        lower[position] = upper[position] = 0.0
        best = -1
        for code in np.argsort(-alone[:, position], kind="stable")[:n_candidates]:
            if alone[code, position] + _MARGIN <= max(lower[position], 2 * _MARGIN):
                break
            own = _score(representation, position, (int(code),), seed, n_rows)
            rest = _score(representation, position, tuple(j for j in everything if j != code), seed, n_rows)
            unique[code, position] = max(0.0, own - rest)
            if best < 0 or unique[code, position] > lower[position]:
                best, lower[position] = int(code), unique[code, position]
                gained = _score(representation, position, everything, seed, n_rows) - rest
                upper[position] = max(lower[position], min(own, max(0.0, gained)))
    if np.isnan(lower).all():
        raise UndefinedScoreError("unique_information needs a factor of two values, on rows of two groups or more")
    return Outcome(
        value=mean_over_factors(lower),
        per_factor=lower,
        details={"unique": unique},
        parts={"upper_bound": mean_over_factors(upper)},
    )


def _score(representation: Representation, position: int, codes: tuple[int, ...], seed: Seed, n_rows: int) -> float:
    """Return the better score of the probes, at least 0; the second is not asked where the first tells all."""
    best = 0.0
    for probe in _PROBES:
        score = representation.shared(
            held_out_score, position, probe, seed, codes=codes, n_folds=N_FOLDS, n_rows=n_rows
        )
        if np.isnan(score):
            return score
        best = max(best, score)
        if best > 0.999:
            break
    return best
