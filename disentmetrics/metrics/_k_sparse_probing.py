"""How much of each factor a probe reads from its one, two or five best codes."""

import math

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.random import generator
from disentmetrics._utils.typing import Seed
from disentmetrics.errors import UndefinedScoreError
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, mean_over_factors, metric
from disentmetrics.representation import Representation
from disentmetrics.representation.resampling import fold_of_each_row, folds
from disentmetrics.statistics.learning_curves import MOST_CLASSES, class_probabilities, class_target
from disentmetrics.statistics.probes import N_FOLDS, standardised_codes

_SIZES = (1, 2, 5)
_N_TRAIN = 1_000


@metric(
    family="downstream",
    bounds=(-1.0, 1.0),
    higher_is_better=True,
    paper="Gurnee et al. (2023), Finding Neurons in a Haystack; SAEBench, sparse probing",
    known_failure="Two factors packed without loss into one code, or a code that tells several factors, cost nothing.",
    needs=Needs(rows=40),
    randomised=True,
    parts={f"best_{size}": (-1.0, 1.0) for size in _SIZES},
    # A monotone warp moves noisy codes by 0.05 here, within the spread of the draws.
    invariant_to=all_except("outlier", "rotation"),
    detects={"rotated", "packed", "missing factor", "blurred"},
    costly=True,
    slow=True,
    protocols={
        "default": Protocol(
            source="disentmetrics: codes chosen by mean differences of training rows, logistic regression from 1,000 "
            "rows, accuracy above chance",
        ),
    },
)
def k_sparse_probing(representation: Representation, *, seed: Seed) -> RawScore:
    """Accuracy above chance of probes that see only the codes whose means differ most between a factor's values.

    ``mean over k of (a - b) / (1 - b)`` with a the held-out accuracy of logistic regression from the one best code for
    factor k, and b that of the most frequent class.

    Parameters
    ----------
    representation : Representation
        Factors of any kind; ordinal, circular and continuous factors with more than 10 values are merged into 10
        equal-frequency classes.
    seed : int or tuple of int
        Decides folds and rows to learn from.

    Returns
    -------
    RawScore
        At most 1, which means that one code tells each factor, linearly; 0 for codes that tell nothing. Parts:
        ``best_1`` (the value), ``best_2`` and ``best_5``, with as many codes, or all if there are fewer. Details:
        ``score`` (3 numbers of codes, n_factors) and ``chosen`` (n_factors,), the best code in the first fold, -1
        where undefined.

    Raises
    ------
    UndefinedScoreError
        If every factor is constant, or all rows belong to one group.

    Notes
    -----
    A code's rank is the variance of its class means over its own: for two classes the squared mean difference of the
    published rule, for codes of variance 1. Codes are chosen again in each fold, from training rows alone. Published
    probes are of binary concepts; here each factor is one probe of all its values.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
    >>> k_sparse_probing(factors.astype(float), factors).value
    1.0
    """
    score = np.full((len(_SIZES), representation.n_factors), np.nan)
    chosen = np.full(representation.n_factors, -1)
    for k in range(representation.n_factors):
        score[:, k], chosen[k] = _scores(representation, k, seed)
    if np.isnan(score).all():
        raise UndefinedScoreError("k_sparse_probing needs a factor that varies, and rows of two groups or more")
    score = np.maximum(score, -1.0)
    return RawScore(
        value=mean_over_factors(score[0]),
        per_factor=score[0],
        details={"score": score, "chosen": chosen},
        settings={"classes": f"<={MOST_CLASSES}"},
        parts={f"best_{size}": mean_over_factors(row) for size, row in zip(_SIZES, score, strict=True)},
    )


def _scores(representation: Representation, position: int, seed: Seed) -> tuple[NDArray[np.float64], int]:
    aim = representation.cached(class_target, position)
    splits = folds(representation, aim.rows, N_FOLDS, seed)
    if not aim.varies or len(splits) < 2:
        return np.full(len(_SIZES), math.nan), -1
    codes = representation.cached(standardised_codes)
    where = np.full(len(representation), -1)
    where[aim.rows] = np.arange(len(aim.rows))
    inner = representation.cached(fold_of_each_row, 3, (seed, 1) if isinstance(seed, int) else (*seed, 1))
    order = generator(seed, "rows to learn from").permutation(len(representation))
    hits, best, n_frequent, n_rows = np.zeros(len(_SIZES)), -1, 0, 0
    for train, test in splits:
        learns = order[np.isin(order, train)][:_N_TRAIN]
        known, wanted = aim.values[where[learns]], aim.values[where[test]]
        ranked = np.argsort(-_separation(codes[learns], known), kind="stable")
        if best < 0 and len(ranked):
            best = int(_varied(representation)[ranked[0]])
        named: dict[int, int] = {}  # with more codes than there are nothing changes
        for index, size in enumerate(_SIZES):
            seen = np.sort(ranked[:size])
            if len(seen) not in named:
                found = class_probabilities(
                    "logistic", codes[learns][:, seen], known, codes[test][:, seen], aim.n_classes, inner=inner[learns]
                )
                named[len(seen)] = int((found.argmax(axis=1) == wanted).sum())
            hits[index] += named[len(seen)]
        n_frequent += int((np.bincount(known).argmax() == wanted).sum())
        n_rows += len(test)
        if n_rows >= 3_000:
            break
    return (hits - n_frequent) / max(n_rows - n_frequent, 1), best


def _varied(representation: Representation) -> NDArray[np.int64]:
    from disentmetrics.estimators.activity import constant

    return np.flatnonzero(~representation.cached_by_codes(constant))


def _separation(codes: NDArray[np.float64], classes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the share of each code's variance that lies between the means of classes."""
    indicator = np.zeros((len(classes), int(classes.max()) + 1))
    indicator[np.arange(len(classes)), classes] = 1.0
    count = indicator.sum(axis=0)
    present = count > 0
    centred = codes - codes.mean(axis=0)
    means = (indicator.T @ centred)[present] / count[present, None]
    total = (centred**2).mean(axis=0)
    between = (count[present, None] * means**2).sum(axis=0) / len(codes)
    return np.asarray(between / np.where(total > 0, total, 1.0))
