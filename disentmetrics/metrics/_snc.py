"""Single-neuron classification."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.typing import Seed
from disentmetrics.errors import UndefinedScoreError
from disentmetrics.estimators.assignment import one_to_one_assignment
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, mean_over_factors, metric
from disentmetrics.representation import Representation
from disentmetrics.representation.resampling import folds
from disentmetrics.statistics.probes import N_FOLDS, aligned_codes
from disentmetrics.statistics.targets import Target, target

Steps = Literal["best", "equal frequency"]


@metric(
    family="predictor",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    paper="Mahon, Sha & Lukasiewicz (2024), Correcting Flaws in Common Disentanglement Metrics, section 4",
    known_failure="Perfect codes beside a rotated copy of them score 1: other codes are not looked at.",
    needs=Needs(rows=20),
    randomised=True,
    invariant_to=all_except("rotation"),
    detects={"rotated", "packed", "missing factor", "blurred"},
    protocols={
        "default": Protocol(
            source="disentmetrics: best steps of the aligned code, accuracy out of fold above the most frequent class",
        ),
        "mahon2024": Protocol(
            source="Mahon et al. (2024): bins of equal frequency of the aligned code, accuracy out of fold as it is",
            options={"steps": "equal frequency", "rescaled": False},
            # Bins of equal frequency miss some rows of a perfect code; noise scores the share of one value.
            perfect=float("nan"),
            noise=float("nan"),
        ),
    },
)
def snc(representation: Representation, *, seed: Seed = 0, steps: Steps = "best", rescaled: bool = True) -> RawScore:
    """How well each factor is read off one code of its own.

    ``mean over k of (accuracy_k - a_k) / (1 - a_k)``: each factor is paired with a code of its own, the code is cut
    into as many steps as the factor has values, and a_k is the share of its most frequent value.

    Parameters
    ----------
    representation : Representation
        Rows without a label for a factor are ignored for that factor. A continuous factor is cut into 10 bins of
        equal frequency.
    seed : int or tuple of int
        Decides the folds.
    steps : {"best", "equal frequency"}
        A classification tree with a leaf a value; or quantile bins, paired with values one to one.
    rescaled : bool
        Whether 0 stands for guessing the most frequent value; factors below that then count 0.

    Returns
    -------
    RawScore
        In [0, 1]. A factor for which no code is left counts as guessed. Details: ``aligned_code`` (n_factors,), -1
        where there is none, and ``accuracy`` (n_factors,).

    Raises
    ------
    UndefinedScoreError
        If every factor is constant.

    Notes
    -----
    Pairs maximise the total mutual information, corrected for chance, so that one code cannot serve two factors. Bins
    of equal frequency cut wrongly where values are not equally frequent, even in a perfect code; the default
    fits the steps on the training folds. The authors fit and score on given training and test sets and pair bins
    with values at once; here every row is scored once, by five folds. Ordinal and circular factors count as classes.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
    >>> snc(factors.astype(float), factors).value, snc(factors[:, :1].astype(float), factors).value
    (1.0, 0.5)
    """
    aligned = representation.cached(aligned_codes)
    accuracy = np.full(representation.n_factors, np.nan)
    chance = np.full(representation.n_factors, np.nan)
    for position, code in enumerate(aligned):
        aim = representation.cached(target, position, classes=True)
        parts = folds(representation, aim.rows, N_FOLDS, seed)
        if aim.varies and len(parts) > 1:
            values = representation.codes[:, code] if code >= 0 else np.zeros(len(representation))
            accuracy[position], chance[position] = _accuracy(values, aim, parts, steps)
    if np.isnan(accuracy).all():
        raise UndefinedScoreError("snc needs a factor that takes two values, on rows of two groups or more")
    scores = np.clip((accuracy - chance) / np.where(chance < 1, 1 - chance, np.nan), 0.0, 1.0) if rescaled else accuracy
    return RawScore(
        value=mean_over_factors(scores),
        per_factor=scores,
        details={"aligned_code": aligned, "accuracy": accuracy},
    )


def _accuracy(
    code: NDArray[np.floating], aim: Target, parts: list[tuple[NDArray[np.int64], NDArray[np.int64]]], steps: Steps
) -> tuple[float, float]:
    """Return the accuracy of the steps and that of the most frequent class, over all held-out rows."""
    labels = aim.values
    right = guessed = 0
    for train, test in parts:
        known = labels[train]
        fit = _best_steps if steps == "best" else _equal_frequency
        right += int((fit(code[train], known, code[test], aim.n_classes) == labels[test]).sum())
        guessed += int((np.bincount(known).argmax() == labels[test]).sum())
    return right / len(aim.rows), guessed / len(aim.rows)


def _best_steps(
    code: NDArray[np.floating], known: NDArray[np.int64], new: NDArray[np.floating], n_classes: int
) -> NDArray[np.int64]:
    from sklearn.tree import DecisionTreeClassifier  # slow to import

    # Ranks among the training rows, with values between two of them in proportion: trees compare in single precision.
    distinct, rank = np.unique(code, return_inverse=True)
    middle = np.interp(new, distinct, np.arange(len(distinct)))
    tree = DecisionTreeClassifier(max_leaf_nodes=max(2, n_classes), random_state=0).fit(rank.reshape(-1, 1), known)
    return np.asarray(tree.predict(middle[:, None]))


def _equal_frequency(
    code: NDArray[np.floating], known: NDArray[np.int64], new: NDArray[np.floating], n_classes: int
) -> NDArray[np.int64]:
    edges = np.sort(code)[np.arange(1, n_classes) * len(code) // n_classes]
    count = np.zeros((n_classes, n_classes))
    np.add.at(count, (np.searchsorted(edges, code, side="right"), known), 1)
    bins, values = one_to_one_assignment(count)
    return np.asarray(values[np.argsort(bins)][np.searchsorted(edges, new, side="right")])
