"""What is lost with the codes that matter most for a factor: that factor, and others."""

import math

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.typing import Seed
from disentmetrics.errors import UndefinedScoreError
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, mean_over_factors, metric
from disentmetrics.representation import Representation
from disentmetrics.statistics.learning_curves import Classifier, fit_probe
from disentmetrics.statistics.mutual_information import information_matrix
from disentmetrics.statistics.targets import MOST_CLASSES

_N_TRAIN = 1_000


@metric(
    family="downstream",
    bounds=(-1.0, 1.0),
    higher_is_better=True,
    paper="disentanglement_lib 1.5, reduced_downstream_task; after Locatello et al. (2019)",
    known_failure="Two copies of every code score 0: what one loses the other keeps.",
    needs=Needs(codes=2, factors=2, rows=40),
    randomised=True,
    parts={"own": (-1.0, 1.0), "others": (-1.0, 1.0)},
    lower_is_better=("others",),
    invariant_to=all_except(
        "monotone warp", "outlier", "duplicated code", "repeated rows", "rotation", "dependent factors"
    ),
    detects={"rotated", "packed", "rotated copy", "missing factor", "blurred"},
    perfect=math.nan,  # a factor that is lost is guessed, up to 0.02 above the most frequent class or below it
    costly=True,
    slow=True,
    protocols={
        "default": Protocol(
            source="disentmetrics: the code of most information dropped, logistic regression from 1,000 rows",
        ),
    },
)
def reduced_downstream(
    representation: Representation, *, seed: Seed, n_dropped: int = 1, classifier: Classifier = "logistic"
) -> RawScore:
    """Accuracy lost for a factor when its most important codes are dropped, less that lost for other factors.

    ``mean over k of (A_k - A_k^(-k)) - mean over j != k of (A_j - A_j^(-k))`` with A_j the held-out accuracy for
    factor j above chance, and A_j^(-k) that without the codes that are most important for factor k.

    Parameters
    ----------
    representation : Representation
        Two codes and two factors or more.
    seed : int or tuple of int
        Shares folds with ``downstream_accuracy``.
    n_dropped : int
        How many codes are dropped for each factor; fewer if nothing would be left.
    classifier : {"logistic", "boosting", "logistic-cv", "gradient-boosting"}
        As for ``downstream_accuracy``; it learns from 1,000 rows.

    Returns
    -------
    RawScore
        In [-1, 1]: 1 where dropping the codes of a factor destroys that factor and no other, 0 where nothing or all is
        lost. Parts: ``own`` and ``others``, the two losses. Details: ``loss`` (n_factors whose codes are
        dropped, n_factors watched), NaN for factors that do not vary.

    Raises
    ------
    UndefinedScoreError
        If fewer than two factors vary, or all rows belong to one group.

    Notes
    -----
    Importance is information by rank spacings, code by code; the authors drop by the importances of gradient boosting,
    fitted again after each code, and report accuracies as they are. Accuracy is counted above that of the most
    frequent class, ``(a - b) / (1 - b)``, so that factors of few and of many values weigh alike. A factor that no code
    tells loses nothing.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
    >>> reduced_downstream(factors.astype(float), factors).value > 0.9
    True
    """
    n = representation.n_factors
    importance = representation.cached(information_matrix, "rank-spacing", 20)
    before = _above_chance(representation, seed, classifier, None)
    loss = np.full((n, n), np.nan)
    varied = np.flatnonzero(~np.isnan(before))
    if len(varied) < 2:
        raise UndefinedScoreError("reduced_downstream needs two factors that vary, and rows of two groups or more")
    for k in varied:
        order = np.argsort(-importance[:, k], kind="stable")
        kept = np.sort(order[min(n_dropped, representation.n_codes - 1) :])
        loss[k] = before - _above_chance(representation, seed, classifier, tuple(int(j) for j in kept))
    per_factor, own, others = np.full(n, np.nan), np.full(n, np.nan), np.full(n, np.nan)
    for k in varied:
        own[k], others[k] = loss[k, k], np.delete(loss[k], k)[~np.isnan(np.delete(before, k))].mean()
    per_factor[varied] = own[varied] - others[varied]
    return RawScore(
        value=float(np.clip(mean_over_factors(per_factor), -1.0, 1.0)),
        per_factor=per_factor,
        details={"loss": loss},
        settings={"classes": f"<={MOST_CLASSES}"},
        parts={
            name: float(np.clip(mean_over_factors(values), -1.0, 1.0))
            for name, values in (("own", own), ("others", others))
        },
    )


def _above_chance(
    representation: Representation, seed: Seed, classifier: Classifier, codes: tuple[int, ...] | None
) -> NDArray[np.float64]:
    found = [
        representation.cached(fit_probe, k, _N_TRAIN, classifier, seed, codes=codes)
        for k in range(representation.n_factors)
    ]
    return np.array([np.nan if one is None else one.above_chance for one in found])
