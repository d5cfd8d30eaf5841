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
    known_failure="A perfect code with a rotated copy of it appended scores 1: other latents are ignored.",
    needs=Needs(rows=20, groups=2),
    randomised=True,
    invariant_to=all_except("rotation"),
    detects={"rotated", "packed", "missing factor", "blurred"},
    protocols={
        "default": Protocol(
            source="disentmetrics: best thresholds of the aligned latent, cross-validated chance-corrected accuracy",
        ),
        "mahon2024": Protocol(
            source="Mahon et al. (2024): equal-frequency bins of the aligned latent, cross-validated accuracy",
            options={"steps": "equal frequency", "rescaled": False},
            # Equal-frequency bins misclassify some rows of a perfect code; noise scores the share of one value.
            perfect=float("nan"),
            noise=float("nan"),
        ),
    },
)
def snc(representation: Representation, *, seed: Seed = 0, steps: Steps = "best", rescaled: bool = True) -> RawScore:
    """Single-neuron classification: accuracy of classifying each factor by thresholds of its aligned latent.

    ``mean over k of (accuracy_k - a_k) / (1 - a_k)``, with accuracy_k that of a step function of the latent aligned
    one-to-one with factor k, with as many steps as the factor has values, and a_k the share of the most frequent
    value.

    Parameters
    ----------
    representation : Representation
        Rows without a label for a factor are ignored for that factor. Continuous factors are discretised into 10
        equal-frequency bins.
    seed : int or tuple of int
        Random seed for the folds.
    steps : {"best", "equal frequency"}
        A classification tree with as many leaves as values, or equal-frequency bins assigned one-to-one to values.
    rescaled : bool
        Whether accuracies are corrected for the most frequent value, and clipped at 0 per factor.

    Returns
    -------
    RawScore
        In [0, 1]. A factor without an aligned latent is predicted as its most frequent value. Details:
        ``aligned_code`` (n_factors,), -1 if there is none, and ``accuracy`` (n_factors,).

    Raises
    ------
    UndefinedScoreError
        If every factor is constant.

    Notes
    -----
    The one-to-one alignment maximises the total chance-corrected mutual information, so that no latent is aligned
    with two factors. Equal-frequency bins misclassify even a perfect code if values are not equally frequent; the
    default fits the thresholds on the training folds. The authors use fixed training and test sets and assign bins to
    values on both; here every row is scored once, by five-fold cross-validation. Ordinal and circular factors are
    treated as classes.

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
        factor = representation.cached(target, position, classes=True)
        splits = folds(representation, factor.rows, N_FOLDS, seed)
        if factor.varies and len(splits) > 1:
            values = representation.codes[:, code] if code >= 0 else np.zeros(len(representation))
            accuracy[position], chance[position] = _accuracy(values, factor, splits, steps)
    if np.isnan(accuracy).all():
        raise UndefinedScoreError("snc needs a factor that varies and rows from at least two groups")
    scores = np.clip((accuracy - chance) / np.where(chance < 1, 1 - chance, np.nan), 0.0, 1.0) if rescaled else accuracy
    return RawScore(
        value=mean_over_factors(scores),
        per_factor=scores,
        details={"aligned_code": aligned, "accuracy": accuracy},
    )


def _accuracy(
    code: NDArray[np.floating], factor: Target, splits: list[tuple[NDArray[np.int64], NDArray[np.int64]]], steps: Steps
) -> tuple[float, float]:
    """Return the accuracy of the steps and that of the most frequent class, over all held-out rows."""
    labels = factor.values
    n_correct = n_frequent = 0
    for train, test in splits:
        y_train = labels[train]
        fit = _best_steps if steps == "best" else _equal_frequency
        n_correct += int((fit(code[train], y_train, code[test], factor.n_classes) == labels[test]).sum())
        n_frequent += int((np.bincount(y_train).argmax() == labels[test]).sum())
    return n_correct / len(factor.rows), n_frequent / len(factor.rows)


def _best_steps(
    z_train: NDArray[np.floating], y_train: NDArray[np.int64], z_test: NDArray[np.floating], n_classes: int
) -> NDArray[np.int64]:
    from sklearn.tree import DecisionTreeClassifier  # slow to import

    # Ranks among the training rows, interpolated for test rows, because trees compare in single precision.
    distinct, rank = np.unique(z_train, return_inverse=True)
    test_rank = np.interp(z_test, distinct, np.arange(len(distinct)))
    tree = DecisionTreeClassifier(max_leaf_nodes=max(2, n_classes), random_state=0).fit(rank.reshape(-1, 1), y_train)
    return np.asarray(tree.predict(test_rank[:, None]))


def _equal_frequency(
    z_train: NDArray[np.floating], y_train: NDArray[np.int64], z_test: NDArray[np.floating], n_classes: int
) -> NDArray[np.int64]:
    edges = np.sort(z_train)[np.arange(1, n_classes) * len(z_train) // n_classes]
    count = np.zeros((n_classes, n_classes))
    np.add.at(count, (np.searchsorted(edges, z_train, side="right"), y_train), 1)
    bins, values = one_to_one_assignment(count)
    return np.asarray(values[np.argsort(bins)][np.searchsorted(edges, z_test, side="right")])
