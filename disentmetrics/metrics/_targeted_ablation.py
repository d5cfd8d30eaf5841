"""Accuracy of linear probes under targeted ablation of latents."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.typing import Seed
from disentmetrics.errors import UndefinedScoreError
from disentmetrics.estimators.softmax_regression import fit_softmax
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, mean_over_factors, metric
from disentmetrics.representation import Representation
from disentmetrics.representation.resampling import fold_of_each_row, training_order
from disentmetrics.statistics.probes import standardised_codes
from disentmetrics.statistics.targets import MOST_CLASSES, class_target

_Score = Callable[[NDArray[np.float64]], float]
_N_TRAIN, _VARIANCE = 4_000, 1e2


@metric(
    family="downstream",
    bounds=(-1.0, 1.0),
    higher_is_better=True,
    paper="Marks et al. (2024), Sparse Feature Circuits; SAEBench (2025), targeted probe perturbation",
    known_failure="Duplicating every latent lowers the score: a probe uses both copies, and only one is ablated.",
    needs=Needs(factors=2, rows=40, groups=2),
    randomised=True,
    parts={"own": (-1.0, 1.0), "others": (-1.0, 1.0)},
    lower_is_better=("others",),
    invariant_to=all_except("monotone warp", "outlier", "duplicated code", "rotation", "determined factors"),
    detects={"rotated", "packed", "rotated copy", "missing factor", "blurred"},
    costly=True,
    protocols={
        "default": Protocol(
            source="disentmetrics: one latent set to its mean, logistic regression, accuracy above chance",
        ),
    },
)
def targeted_ablation(representation: Representation, *, seed: Seed, n_ablated: int = 1) -> RawScore:
    """Targeted ablation: drop in accuracy of a factor's probe when its latents are ablated, minus that of others.

    ``mean over i of T_ii - mean over j != i of T_ij``, with T_ij the drop in the chance-corrected held-out accuracy
    of the linear probe of factor j when the most important latents of the probe of factor i are set to their means.

    Parameters
    ----------
    representation : Representation
        At least two factors; ordinal, circular and continuous factors with more than 10 values are merged into 10
        equal-frequency classes.
    seed : int or tuple of int
        Random seed for the training rows of the probes.
    n_ablated : int
        Number of latents ablated per factor.

    Returns
    -------
    RawScore
        In [-1, 1]; 1 if ablating the latents of a factor reduces its probe to chance level and affects no other.
        Parts: ``own`` and ``others``, the two drops. Details: ``drop``
        (n_factors whose latents are ablated, n_factors whose probe is tested), NaN where undefined.

    Raises
    ------
    UndefinedScoreError
        If fewer than two factors vary, or all rows belong to one group.

    Notes
    -----
    Unlike in ``reduced_downstream``, probes are not refitted: this metric measures which latents a probe uses, that
    one which information the latents contain. The importance of a latent is the mean over classes of
    ``|weight| |class mean - mean|``; published probes are binary, and the latents with the largest products of weight
    and mean difference are set to 0, which means "inactive" there. Accuracies are corrected for the most frequent
    class; a drop is at most the chance-corrected accuracy of the probe. A factor that another one determines is
    classified from the latents of both, so that a perfect code scores below 1.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
    >>> targeted_ablation(factors.astype(float), factors).value > 0.9
    True
    """
    n = representation.n_factors
    codes = representation.cached(standardised_codes)
    tests = representation.cached(fold_of_each_row, 2, seed) == 0
    order = training_order(representation, seed)
    probes = {k: probe for k in range(n) if (probe := _probe(representation, codes, k, order, tests)) is not None}
    if len(probes) < 2:
        raise UndefinedScoreError("targeted_ablation needs two factors that vary and rows from at least two groups")
    drop = np.full((n, n), np.nan)
    for j, (_, score) in probes.items():
        intact = score(codes)
        for i, (importance, _) in probes.items():
            ablated = codes.copy()
            ablated[:, np.argsort(-importance, kind="stable")[:n_ablated]] = 0.0  # the mean of standardised codes
            drop[i, j] = intact - max(score(ablated), 0.0) if intact > 0 else 0.0
    own, others = np.full(n, np.nan), np.full(n, np.nan)
    for i in probes:
        own[i], others[i] = drop[i, i], np.mean([drop[i, j] for j in probes if j != i])
    per_factor = own - others
    return RawScore(
        value=float(np.clip(mean_over_factors(per_factor), -1.0, 1.0)),
        per_factor=per_factor,
        details={"drop": drop},
        settings={"classes": f"<={MOST_CLASSES}"},
        parts={"own": mean_over_factors(own), "others": mean_over_factors(others)},
    )


def _probe(
    representation: Representation,
    codes: NDArray[np.float64],
    position: int,
    order: NDArray[np.int64],
    tests: NDArray[np.bool_],
) -> tuple[NDArray[np.float64], _Score] | None:
    factor = representation.cached(class_target, position)
    labels = factor.values
    labelled = order[labels[order] >= 0]
    train, test = labelled[~tests[labelled]][:_N_TRAIN], labelled[tests[labelled]]
    if not factor.varies or not len(train) or not len(test):
        return None
    model = fit_softmax(codes[train], labels[train], factor.n_classes, _VARIANCE)
    means = np.array([codes[train][labels[train] == c].mean(axis=0) for c in np.unique(labels[train])])
    mean_difference = np.abs(means - codes[train].mean(axis=0))
    weights = np.abs(model.weights[:-1].T[np.unique(labels[train])])
    baseline = float((labels[test] == np.bincount(labels[train]).argmax()).mean())

    def score(inputs: NDArray[np.float64]) -> float:
        accuracy = float((model.probabilities(inputs[test]).argmax(axis=1) == labels[test]).mean())
        return (accuracy - baseline) / (1 - baseline) if baseline < 1 else 0.0

    return (weights * mean_difference).mean(axis=0), score
