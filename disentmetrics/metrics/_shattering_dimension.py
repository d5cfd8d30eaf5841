"""Shattering dimension: linear decodability of balanced dichotomies of conditions."""

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.random import generator
from disentmetrics._utils.typing import Seed
from disentmetrics.errors import UndefinedScoreError
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, mean_over_factors, metric
from disentmetrics.representation import Representation
from disentmetrics.representation.resampling import fold_of_each_row
from disentmetrics.statistics.conditions import conditions, discriminants, moments, white_codes

_MAX_SQUARES = 100
_HALVES = np.array([[0, 0, 1, 1], [0, 1, 0, 1], [0, 1, 1, 0]])  # sides of (a, c), (a, d), (b, c), (b, d)


@metric(
    family="geometry",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    paper="Bernardi et al. (2020), The Geometry of Abstraction in the Hippocampus and Prefrontal Cortex, "
    "shattering dimensionality; Rigotti et al. (2013)",
    known_failure="High-dimensional random features score 1 and perfect codes 5/6: the score measures capacity.",
    needs=Needs(factors=2, rows=40, groups=2),
    randomised=True,
    parts={"factors": (0.0, 1.0), "parity": (0.0, 1.0)},
    # Repeated rows occur on both sides of a split, which raises the score of noise by .04 here, more on fewer rows.
    invariant_to=all_except("monotone warp"),
    detects={"packed", "missing factor", "blurred"},
    perfect=5 / 6,
    noise=0.5,
    costly=True,
    protocols={
        "default": Protocol(
            source="disentmetrics: two values of two factors, three balanced dichotomies, linear discriminants",
        ),
    },
)
def shattering_dimension(representation: Representation, *, seed: Seed) -> RawScore:
    """Shattering dimension: mean held-out accuracy of linear decoders of all balanced dichotomies of conditions.

    The four conditions are combinations of two values of each of two factors; their three balanced dichotomies are
    the first factor, the second factor, and parity (whether both or neither have their second value).

    Parameters
    ----------
    representation : Representation
        At least two factors. Ordinal, circular and continuous factors with more than 10 values are merged into 10
        classes of neighbouring values with equal frequency.
    seed : int or tuple of int
        Random seed for the split of the rows, and for the choice of 100 sets of four conditions if two factors have
        more.

    Returns
    -------
    RawScore
        In [0, 1], with chance level 0.5; 1 if every dichotomy can be decoded, 5/6 if the codes are linear in the
        factors, so that parity cannot. Parts: ``factors`` and ``parity``, the means over these two kinds of
        dichotomies. ``per_factor`` is the mean over the sets of conditions that involve the factor. Details:
        ``accuracy`` (n_factors, n_factors), NaN on the diagonal and where undefined.

    Raises
    ------
    UndefinedScoreError
        If no two factors have two values each with enough rows in all conditions, or all rows belong to one group.

    Notes
    -----
    A high value with a low ``ccgp`` indicates a code that separates all conditions without abstraction; disentangled
    codes have a high ``ccgp`` and a ``parity`` of 0.5. The authors use eight conditions with 35 dichotomies, for
    which few tables have enough rows. Conditions have equal weight regardless of their number of rows; decoders are
    trained on each half of the rows and tested on the other. The score is invariant to invertible linear maps of the
    code.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
    >>> score = shattering_dimension(factors.astype(float), factors)
    >>> score.parts["factors"].value
    1.0
    """
    n = representation.n_factors
    accuracy = np.full((n, n, 3), np.nan)
    for first in range(n):
        for second in range(first + 1, n):
            accuracy[first, second] = accuracy[second, first] = _accuracies(representation, first, second, seed)
    if np.isnan(accuracy).all():
        raise UndefinedScoreError(
            "shattering_dimension needs two factors with two values each, and at least 3 rows of each combination in "
            "both halves of the rows"
        )
    mean = accuracy.mean(axis=2)
    per_factor = np.array([row[~np.isnan(row)].mean() if (~np.isnan(row)).any() else np.nan for row in mean])
    pairs = accuracy[~np.isnan(mean)]
    return RawScore(
        value=mean_over_factors(per_factor),
        per_factor=per_factor,
        details={"accuracy": mean},
        chance=0.5,
        parts={"factors": float(pairs[:, :2].mean()), "parity": float(pairs[:, 2].mean())},
    )


def _accuracies(representation: Representation, first: int, second: int, seed: Seed) -> NDArray[np.float64]:
    pairing = representation.cached(conditions, first, second)
    codes = representation.cached_by_codes(white_codes)[pairing.rows]
    half = representation.cached(fold_of_each_row, 2, seed)[pairing.rows]
    shape = pairing.present.shape
    counts = np.zeros((2, *shape))
    np.add.at(counts, (half, pairing.first, pairing.second), 1)
    squares = _squares(counts.min(axis=0) >= 3, generator(seed, f"squares {first} {second}"))
    if not len(squares):
        return np.full(3, np.nan)
    if not codes.shape[1]:
        return np.full(3, 0.5)  # no latent varies
    accuracy = np.zeros(3)
    for fold in (0, 1):
        train, test = half != fold, half == fold
        cells = moments(codes[train], pairing.first[train], pairing.second[train], shape)
        mean = cells.mean.reshape(-1, codes.shape[1])[squares]
        square = cells.square.reshape(-1, codes.shape[1], codes.shape[1])[squares].mean(axis=1)
        cell = (pairing.first * shape[1] + pairing.second)[test]
        for index, side in enumerate(_HALVES):
            weights, thresholds = discriminants(
                mean[:, side == 0].mean(axis=1), mean[:, side == 1].mean(axis=1), square
            )
            accuracy[index] += _mean_accuracy(codes[test], cell, squares, side, weights, thresholds) / 2
    return accuracy


def _squares(present: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the cells (a, c), (a, d), (b, c), (b, d) of at most 100 sets of four conditions that all occur."""
    a, b = np.triu_indices(present.shape[0], 1)
    c, d = np.triu_indices(present.shape[1], 1)
    rows, columns = (np.stack([np.repeat(x, len(c)) for x in (a, b)]), np.stack([np.tile(x, len(a)) for x in (c, d)]))
    cells = np.stack([rows[i] * present.shape[1] + columns[j] for i in (0, 1) for j in (0, 1)], axis=1)
    cells = cells[present.ravel()[cells].all(axis=1)]
    if len(cells) > _MAX_SQUARES:
        cells = cells[np.sort(rng.choice(len(cells), _MAX_SQUARES, replace=False))]
    return np.asarray(cells)


def _mean_accuracy(
    codes: NDArray[np.float64],
    cell: NDArray[np.int64],
    squares: NDArray[np.int64],
    side: NDArray[np.int64],
    weights: NDArray[np.float64],
    thresholds: NDArray[np.float64],
) -> float:
    """Return the balanced accuracy averaged over sets of conditions; a decision value of 0 counts as half a hit."""
    high = (np.sign(codes @ weights.T - thresholds) + 1) / 2  # (n, sets)
    order = np.argsort(cell, kind="stable")
    present, start = np.unique(cell[order], return_index=True)
    share = np.add.reduceat(high[order], start, axis=0) / np.diff(np.r_[start, len(cell)])[:, None]
    at = np.searchsorted(present, squares)
    share_high = share[at, np.arange(len(squares))[:, None]]
    return float(np.where(side == 1, share_high, 1 - share_high).mean())
