"""Positional disentanglement of messages."""

from typing import Literal

import numpy as np

from disentmetrics.errors import UndefinedScoreError
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, metric
from disentmetrics.representation import Representation
from disentmetrics.statistics.association import best_and_second
from disentmetrics.statistics.information_scores import mean_by_best_factor
from disentmetrics.statistics.latent_entropies import share_of_code


@metric(
    family="information",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    paper="Chaabouni, Kharitonov, Bouchacourt, Dupoux & Baroni (2020), Compositionality and Generalization in "
    "Emergent Languages, section 4",
    known_failure="Positions that all encode the same factor score 1, although all other factors are missing.",
    needs=Needs(rows=4, symbols=True),
    # changes that turn symbols into other numbers are refused
    invariant_to=all_except(
        "scale",
        "shift",
        "monotone warp",
        "noise code",
        "duplicated code",
        "repeated rows",
        "rotation",
        "dependent factors",
    ),
    detects={"rotated", "packed", "rotated copy", "missing factor", "blurred"},
    protocols={
        "default": Protocol(
            source="disentmetrics: corrected for chance",
        ),
        "chaabouni2020": Protocol(
            source="Chaabouni et al. (2020): plug-in estimate",
            options={"correction": "none"},
            invariant_to=all_except(
                "scale", "shift", "monotone warp", "noise code", "duplicated code", "rotation", "dependent factors"
            ),
        ),
    },
)
def posdis(representation: Representation, *, correction: Literal["chance", "none"] = "chance") -> RawScore:
    """Positional disentanglement: gap between the two factors most informative about the symbol at each position.

    ``mean over j of [I(s_j; v_(1)) - I(s_j; v_(2))] / H(s_j)`` over the positions j that vary, with the mutual
    informations sorted over factors.

    Parameters
    ----------
    representation : Representation
        ``codes`` contains the symbols of a message, one column per position: integers, each of which recurs. Rows
        without a label for a factor are ignored for that factor; continuous factors are discretised into 10
        equal-frequency bins; circular factors keep their discrete values.
    correction : {"chance", "none"}
        ``chance`` replaces each share I / H by ``(I - E) / (H - E)``, with E the expectation of I under random
        pairing of rows.

    Returns
    -------
    RawScore
        In [0, 1]; 1 if the symbol at each position is determined by one factor and independent of all others.
        ``per_factor`` is the mean gap of the positions whose most informative factor it is, NaN where there is none.
        Details: ``explained`` (n_codes, n_factors), I(s_j; v_k) / H(s_j), NaN for constant positions.

    Raises
    ------
    UndefinedScoreError
        If codes are not symbols, or no position varies.

    Notes
    -----
    The gap of MIG-sup, normalised by the entropy of the position instead of the factor: noise within a position is
    penalised, partial information about a factor is not. With plug-in estimates, rare symbols are informative by
    chance. Constant positions are excluded; positions of noise count as 0. With a single factor nothing is
    subtracted.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
    >>> posdis(factors, factors).value, round(posdis(factors[:, :1] * 5 + factors[:, 1:], factors).value, 2)
    (1.0, 0.07)
    """
    explained = share_of_code(representation, "values", 0, adjusted=correction == "chance")
    varies = ~np.isnan(explained).all(axis=1)
    if not varies.any():
        raise UndefinedScoreError("posdis needs a position that varies; every symbol is constant")
    shares = np.nan_to_num(explained)
    best, second = best_and_second(shares, axis=1)
    gap = best - second
    return RawScore(
        value=float(gap[varies].mean()),
        per_factor=mean_by_best_factor(gap, (best > 0).astype(np.float64), shares),
        details={"explained": explained},
    )
