"""Bag-of-symbols disentanglement of messages."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from disentmetrics.errors import UndefinedScoreError
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, metric
from disentmetrics.representation import Representation
from disentmetrics.statistics.association import best_and_second
from disentmetrics.statistics.information_scores import mean_by_best_factor
from disentmetrics.statistics.latent_entropies import share_of_code
from disentmetrics.statistics.symbols import messages

_MAX_SYMBOLS = 10_000


@metric(
    family="information",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    least={"end": 0},
    paper="Chaabouni, Kharitonov, Bouchacourt, Dupoux & Baroni (2020), Compositionality and Generalization in "
    "Emergent Languages, section 4",
    known_failure="A perfectly compositional language scores below 1 if its positions share symbols.",
    needs=Needs(rows=4, symbols=True),
    # changes that turn symbols into other numbers are refused
    invariant_to=all_except(
        "scale",
        "shift",
        "monotone warp",
        "outlier",
        "noise code",
        "repeated rows",
        "rotation",
        "dependent factors",
    ),
    detects={"rotated", "packed", "rotated copy", "missing factor", "blurred"},
    protocols={
        "default": Protocol(
            source="disentmetrics: corrected for chance, all symbols",
        ),
        "chaabouni2020": Protocol(
            source="Chaabouni et al. (2020): plug-in estimate, without the end-of-message symbol 0",
            options={"correction": "none", "end": 0},
            invariant_to=all_except(
                "scale", "shift", "monotone warp", "outlier", "noise code", "rotation", "dependent factors"
            ),
        ),
    },
)
def bosdis(
    representation: Representation,
    *,
    correction: Literal["chance", "none"] = "chance",
    end: int | None = None,
) -> RawScore:
    """Bag-of-symbols disentanglement: gap between the two factors most informative about each symbol's count.

    ``mean over symbols s of [I(n_s; v_(1)) - I(n_s; v_(2))] / H(n_s)``, with n_s the number of occurrences of s in a
    message, over the symbols whose count varies; the mutual informations are sorted over factors.

    Parameters
    ----------
    representation : Representation
        ``codes`` contains the symbols of a message, one column per position: integers, each of which recurs. Rows
        without a label for a factor are ignored for that factor; continuous factors are discretised into 10
        equal-frequency bins; circular factors keep their discrete values.
    correction : {"chance", "none"}
        ``chance`` replaces each share I / H by ``(I - E) / (H - E)``, with E the expectation of I under random
        pairing of rows.
    end : int, optional
        Symbol to ignore, such as an end-of-message symbol.

    Returns
    -------
    RawScore
        In [0, 1]; 1 if the count of each symbol is determined by one factor and independent of all others.
        ``per_factor`` is the mean gap of the symbols whose most informative factor it is, NaN where there is none.
        Details: ``explained`` (n_symbols, n_factors), I(n_s; v_k) / H(n_s), and ``symbol`` (n_symbols,).

    Raises
    ------
    UndefinedScoreError
        If codes are not symbols, no symbol's count varies, or there are more than 10,000 symbols.

    Notes
    -----
    Invariant to the order of symbols within a message, so that free word order counts as disentangled. Symbols that
    occur equally often in every message are excluded. With a single factor nothing is subtracted.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
    >>> words = factors + [0, 4]  # symbols 0 to 3 for the first factor, 4 to 8 for the second
    >>> bosdis(words, factors).value, round(bosdis(factors, factors).value, 2)
    (1.0, 0.26)
    """
    symbols = np.unique(representation.codes)
    if len(symbols) > _MAX_SYMBOLS:
        raise UndefinedScoreError(f"bosdis supports at most {_MAX_SYMBOLS:,} distinct symbols; got {len(symbols):,}")
    counted = np.flatnonzero(symbols != end) if end is not None else np.arange(len(symbols))
    counts = _counts(messages(representation), len(symbols))[:, counted]
    if not counts.shape[1]:
        raise UndefinedScoreError("bosdis needs a symbol other than the ignored one; there is none")
    bags = Representation(counts, representation.factors, space=representation.space)
    explained = share_of_code(bags, "values", 0, adjusted=correction == "chance")
    varies = ~np.isnan(explained).all(axis=1)
    if not varies.any():
        raise UndefinedScoreError("bosdis needs a symbol whose count varies; every message has the same symbols")
    shares = np.nan_to_num(explained)
    best, second = best_and_second(shares, axis=1)
    gap = best - second
    return RawScore(
        value=float(gap[varies].mean()),
        per_factor=mean_by_best_factor(gap, (best > 0).astype(np.float64), shares),
        details={"explained": explained, "symbol": symbols[counted]},
    )


def _counts(numbered: NDArray[np.int64], n_symbols: int) -> NDArray[np.float32]:
    counts = np.zeros((len(numbered), n_symbols), dtype=np.float32)
    rows = np.arange(len(numbered))
    for position in numbered.T:
        counts[rows, position] += 1
    return counts
