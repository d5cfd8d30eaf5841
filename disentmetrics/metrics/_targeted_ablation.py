"""What a probe loses when the codes that it leans on are silenced: it, and the probes of other factors."""

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
    known_failure="Two copies of every code score low: a probe leans on both, and one alone is silenced.",
    needs=Needs(factors=2, rows=40),
    randomised=True,
    parts={"own": (-1.0, 1.0), "others": (-1.0, 1.0)},
    lower_is_better=("others",),
    invariant_to=all_except("monotone warp", "outlier", "duplicated code", "rotation"),
    detects={"rotated", "packed", "rotated copy", "missing factor", "blurred"},
    costly=True,
    protocols={
        "default": Protocol(
            source="disentmetrics: one code set to its mean, logistic regression, accuracy above chance",
        ),
    },
)
def targeted_ablation(representation: Representation, *, seed: Seed, n_ablated: int = 1) -> RawScore:
    """Accuracy that a factor's probe loses to the silencing of its own codes, less what other probes lose to it.

    ``mean over i of T_ii - mean over j != i of T_ij`` with T_ij the drop in the held-out accuracy of the linear
    probe of factor j, above chance, when the codes that matter most to the probe of factor i are set to their
    means.

    Parameters
    ----------
    representation : Representation
        Two factors or more; ordinal, circular and continuous factors with more than 10 values are merged into 10
        equal-frequency classes.
    seed : int or tuple of int
        Decides which rows the probes learn from.
    n_ablated : int
        How many codes are silenced for each factor.

    Returns
    -------
    RawScore
        In [-1, 1]: 1 where silencing the codes of a factor blinds its probe and no other. Parts: ``own`` and
        ``others``, the two drops. Details: ``drop`` (n_factors whose codes are silenced, n_factors whose probe is
        tested), NaN where undefined.

    Raises
    ------
    UndefinedScoreError
        If fewer than two factors vary, or all rows belong to one group.

    Notes
    -----
    Probes are not fitted again, unlike in ``reduced_downstream``: this asks what a probe uses, that one what the
    codes hold. A code matters by the mean over classes of ``|weight| |class mean - mean|``; published probes are
    binary, and the code with the largest product of weight and mean difference is set to 0 where 0 means silence.
    Accuracy counts above the most frequent class; a drop is at most all that the probe had above chance.

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
        raise UndefinedScoreError("targeted_ablation needs two factors that vary, and rows of two groups or more")
    drop = np.full((n, n), np.nan)
    for j, (_, score) in probes.items():
        whole = score(codes)
        for i, (importance, _) in probes.items():
            silenced = codes.copy()
            silenced[:, np.argsort(-importance, kind="stable")[:n_ablated]] = 0.0
            drop[i, j] = whole - max(score(silenced), 0.0) if whole > 0 else 0.0
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
    aim = representation.cached(class_target, position)
    truth = aim.values
    labelled = order[truth[order] >= 0]
    learns, asked = labelled[~tests[labelled]][:_N_TRAIN], labelled[tests[labelled]]
    if not aim.varies or not len(learns) or not len(asked):
        return None
    model = fit_softmax(codes[learns], truth[learns], aim.n_classes, _VARIANCE)
    means = np.array([codes[learns][truth[learns] == c].mean(axis=0) for c in np.unique(truth[learns])])
    moved = np.abs(means - codes[learns].mean(axis=0))
    weights = np.abs(model.weights[:-1].T[np.unique(truth[learns])])
    frequent = float((truth[asked] == np.bincount(truth[learns]).argmax()).mean())

    def score(changed: NDArray[np.float64]) -> float:
        accuracy = float((model.probabilities(changed[asked]).argmax(axis=1) == truth[asked]).mean())
        return (accuracy - frequent) / (1 - frequent) if frequent < 1 else 0.0

    return (weights * moved).mean(axis=0), score
