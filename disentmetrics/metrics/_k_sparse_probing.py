"""k-sparse probing: accuracy of probes on the one, two or five best latents."""

import math

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.typing import Seed
from disentmetrics.errors import UndefinedScoreError
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, mean_over_factors, metric
from disentmetrics.representation import Representation
from disentmetrics.representation.resampling import first_in_order, folds, inner_fold_of_each_row, training_order
from disentmetrics.statistics.learning_curves import class_probabilities
from disentmetrics.statistics.probes import N_FOLDS, standardised_codes
from disentmetrics.statistics.targets import MOST_CLASSES, class_target

_SIZES = (1, 2, 5)
_N_TRAIN = 1_000


@metric(
    family="downstream",
    bounds=(-1.0, 1.0),
    higher_is_better=True,
    paper="Gurnee et al. (2023), Finding Neurons in a Haystack; SAEBench, sparse probing",
    known_failure="Two factors packed losslessly into one latent are not penalised.",
    needs=Needs(rows=40, groups=2),
    randomised=True,
    parts={f"best_{size}": (-1.0, 1.0) for size in _SIZES},
    # A monotone warp changes the score of noisy codes by 0.05 here, within the spread of the draws.
    invariant_to=all_except("outlier", "rotation"),
    detects={"rotated", "packed", "missing factor", "blurred"},
    costly=True,
    slow=True,
    protocols={
        "default": Protocol(
            source="disentmetrics: latents selected by mean differences on training rows, logistic regression on 1,000 "
            "rows, accuracy above chance",
        ),
    },
)
def k_sparse_probing(representation: Representation, *, seed: Seed) -> RawScore:
    """k-sparse probing: chance-corrected accuracy of a probe on the single most selective latent of each factor.

    ``mean over k of (a - b) / (1 - b)``, with a the held-out accuracy of logistic regression of factor k on the
    latent whose class means differ most, and b that of the most frequent class.

    Parameters
    ----------
    representation : Representation
        Factors of any kind; ordinal, circular and continuous factors with more than 10 values are merged into 10
        equal-frequency classes.
    seed : int or tuple of int
        Random seed for the folds and the training rows.

    Returns
    -------
    RawScore
        At most 1, if each factor is linearly decodable from a single latent; 0 for uninformative codes. Parts:
        ``best_1`` (the value), ``best_2`` and ``best_5``, with as many latents, or all if there are fewer. Details:
        ``score`` (3 numbers of latents, n_factors) and ``chosen`` (n_factors,), the best latent in the first fold, -1
        where undefined.

    Raises
    ------
    UndefinedScoreError
        If every factor is constant, or all rows belong to one group.

    Notes
    -----
    Latents are ranked by the variance of their class means relative to their total variance: for two classes and
    latents of variance 1 the squared mean difference of the published rule. They are selected separately in each
    fold, from training rows only. Published probes decode binary concepts; here a single probe decodes all values of
    a factor.

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
        raise UndefinedScoreError("k_sparse_probing needs a factor that varies and rows from at least two groups")
    score = np.maximum(score, -1.0)
    return RawScore(
        value=mean_over_factors(score[0]),
        per_factor=score[0],
        details={"score": score, "chosen": chosen},
        settings={"classes": f"<={MOST_CLASSES}"},
        parts={f"best_{size}": mean_over_factors(row) for size, row in zip(_SIZES, score, strict=True)},
    )


def _scores(representation: Representation, position: int, seed: Seed) -> tuple[NDArray[np.float64], int]:
    factor = representation.cached(class_target, position)
    splits = folds(representation, factor.rows, N_FOLDS, seed)
    if not factor.varies or len(splits) < 2:
        return np.full(len(_SIZES), math.nan), -1
    codes = representation.cached(standardised_codes)
    inner = inner_fold_of_each_row(representation, 3, seed)
    order = training_order(representation, seed)
    hits, best, n_frequent, n_rows = np.zeros(len(_SIZES)), -1, 0, 0
    for train, test in splits:
        sample = first_in_order(order, train, _N_TRAIN)
        y_train, y_test = factor.values[sample], factor.values[test]
        ranked = np.argsort(-_separation(codes[sample], y_train), kind="stable")
        if best < 0 and len(ranked):
            best = int(_varied(representation)[ranked[0]])
        n_correct: dict[int, int] = {}  # sizes beyond the number of latents share one probe
        for index, size in enumerate(_SIZES):
            used = np.sort(ranked[:size])
            if len(used) not in n_correct:
                probability = class_probabilities(
                    "logistic",
                    codes[sample][:, used],
                    y_train,
                    codes[test][:, used],
                    factor.n_classes,
                    inner=inner[sample],
                )
                n_correct[len(used)] = int((probability.argmax(axis=1) == y_test).sum())
            hits[index] += n_correct[len(used)]
        n_frequent += int((np.bincount(y_train).argmax() == y_test).sum())
        n_rows += len(test)
        if n_rows >= 3_000:
            break
    return (hits - n_frequent) / max(n_rows - n_frequent, 1), best


def _varied(representation: Representation) -> NDArray[np.int64]:
    from disentmetrics.estimators.activity import constant

    return np.flatnonzero(~representation.cached_by_codes(constant))


def _separation(codes: NDArray[np.float64], classes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the share of each latent's variance that lies between class means."""
    indicator = np.zeros((len(classes), int(classes.max()) + 1))
    indicator[np.arange(len(classes)), classes] = 1.0
    count = indicator.sum(axis=0)
    present = count > 0
    centred = codes - codes.mean(axis=0)
    means = (indicator.T @ centred)[present] / count[present, None]
    total = (centred**2).mean(axis=0)
    between = (count[present, None] * means**2).sum(axis=0) / len(codes)
    return np.asarray(between / np.where(total > 0, total, 1.0))
