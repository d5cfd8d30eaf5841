"""Cross-condition generalisation performance."""

import numpy as np
from numpy.typing import NDArray

from disentmetrics.errors import UndefinedScoreError
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, mean_over_factors, metric
from disentmetrics.representation import Representation
from disentmetrics.statistics.conditions import conditions, discriminants, moments, white_codes


@metric(
    family="geometry",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    paper="Bernardi et al. (2020), The Geometry of Abstraction in the Hippocampus and Prefrontal Cortex",
    known_failure="Every invertible linear mixture of a perfect code scores 1: abstraction is not axis alignment.",
    needs=Needs(factors=2, rows=40),
    invariant_to=all_except("monotone warp", "outlier"),
    detects={"packed", "missing factor", "blurred"},
    noise=0.5,
    costly=True,
    protocols={
        "default": Protocol(
            source="disentmetrics: linear discriminants of all pairs of values, one value of another factor held out",
        ),
    },
)
def ccgp(representation: Representation) -> RawScore:
    """Cross-condition generalisation performance: accuracy of linear decoders of one factor in unseen contexts.

    ``mean over factors k, other factors c, values c_0 of c and pairs of values (a, b) of k`` of the accuracy with which
    a linear decoder, trained on rows with k in {a, b} and c != c_0, separates a from b where c = c_0.

    Parameters
    ----------
    representation : Representation
        At least two factors. Ordinal, circular and continuous factors with more than 10 values are merged into 10
        classes of neighbouring values with equal frequency.

    Returns
    -------
    RawScore
        In [0, 1]; 1 if the direction that separates two values is the same in every context, 0.5 at chance level, and
        below it if the direction reverses. ``per_factor`` is the mean accuracy for the decoded factor. Details:
        ``accuracy`` (n_factors decoded, n_factors as context), NaN on the diagonal and where undefined.

    Raises
    ------
    UndefinedScoreError
        If no two factors have two values each that occur in all combinations.

    Notes
    -----
    Conditions have equal weight regardless of their number of rows, which is the expectation of the authors' balanced
    subsampling. They separate two halves of all conditions with a support vector machine; here each pair of values is
    one dichotomy, which is also defined for factors with more than two values, and the decoder is Fisher's linear
    discriminant, so that the score is invariant to invertible linear maps of the code. A factor encoded along a curve
    (an angle in a single latent, a parity) scores low although it can be decoded. Report the permutation null with
    it: the geometry of the code alone, with conditions exchanged, gives 0.5 on average.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
    >>> mixed = factors @ np.array([[1.0, 2.0], [-3.0, 1.0]])
    >>> ccgp(factors.astype(float), factors).value, ccgp(mixed, factors).value
    (1.0, 1.0)
    """
    n = representation.n_factors
    accuracy = np.full((n, n), np.nan)
    for decoded in range(n):
        for context in range(n):
            if decoded != context:
                accuracy[decoded, context] = _accuracy(representation, decoded, context)
    if np.isnan(accuracy).all():
        raise UndefinedScoreError("ccgp needs two factors with two values each that occur in all combinations")
    per_factor = np.array([row[~np.isnan(row)].mean() if (~np.isnan(row)).any() else np.nan for row in accuracy])
    return RawScore(
        value=mean_over_factors(per_factor), per_factor=per_factor, details={"accuracy": accuracy}, chance=0.5
    )


def _accuracy(representation: Representation, decoded: int, context: int) -> float:
    pairing = representation.cached(conditions, decoded, context)
    codes = representation.cached_by_codes(white_codes)[pairing.rows]
    cells = moments(codes, pairing.first, pairing.second, pairing.present.shape)
    n_values, n_contexts = pairing.present.shape
    pairs = np.stack(np.triu_indices(n_values, 1), axis=1)
    hits = n_tested = 0.0
    for left_out in range(n_contexts):
        # Only contexts in which both values of a pair occur are used, so that the context itself is uninformative.
        both = pairing.present[pairs[:, 0]] & pairing.present[pairs[:, 1]]
        tested = both[:, left_out].copy()
        both[:, left_out] = False
        tested &= both.any(axis=1)
        if not tested.any():
            continue
        chosen, weight = pairs[tested], both[tested].astype(np.float64)
        weight /= weight.sum(axis=1, keepdims=True)
        low, high = (np.einsum("pc,pcd->pd", weight, cells.mean[side]) for side in chosen.T)
        square = _mean_square(weight, cells.square, chosen)
        weights, thresholds = discriminants(low, high, square)
        here = pairing.second == left_out
        decision = codes[here] @ weights.T - thresholds
        hits += _sum_of_accuracies(decision, pairing.first[here], chosen)
        n_tested += len(chosen)
    return hits / n_tested if n_tested else float("nan")


def _mean_square(
    weight: NDArray[np.float64], square: NDArray[np.float64], pairs: NDArray[np.int64]
) -> NDArray[np.float64]:
    flat = square.reshape(*square.shape[:2], -1)
    sides = [np.einsum("pc,pcd->pd", weight, flat[side]) for side in pairs.T]
    return np.asarray((sides[0] + sides[1]) / 2).reshape(len(pairs), *square.shape[2:])


def _sum_of_accuracies(decision: NDArray[np.float64], value: NDArray[np.int64], pairs: NDArray[np.int64]) -> float:
    """Return the sum over pairs of the balanced accuracy; a decision value of 0 counts as half a hit."""
    high = (np.sign(decision) + 1) / 2
    share = np.array(
        [
            high[value == v].mean(axis=0) if (value == v).any() else np.zeros(len(pairs))
            for v in range(int(pairs.max()) + 1)
        ]
    )
    at = np.arange(len(pairs))
    return float(np.sum(1 - share[pairs[:, 0], at] + share[pairs[:, 1], at]) / 2)
