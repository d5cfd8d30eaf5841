"""Permutation importance: the rise of a random forest's held-out error when one input is permuted."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.typing import Floats
from disentmetrics.estimators.forest import Forest, grown_trees

STANDARD_ERRORS = 3.0
"""Standard errors by which a difference in loss must exceed 0 to be significant."""
FEWER_STANDARD_ERRORS = 1.5
"""Standard errors above which an importance is not set to 0: about Akaike's bound, the square root of 2."""
MIN_GROUPS = 4
"""Fewest groups of rows that allow standard errors over groups: two to train on and two that are held out."""
_FIRST_TREES = 3
"""Trees that decide whether more are grown."""
_ENOUGH_PERMUTED_ROWS = 2_000
_MOST_REPEATS = 5
_COPIED_NUMBERS = 1 << 22
"""Numbers in the copies of held-out rows that are predicted at once: 16 MB."""


@dataclass(frozen=True)
class ForestImportance:
    """Importance of the inputs of a forest, and its held-out score.

    Attributes
    ----------
    importance : (n_inputs,) float
        Rise of the held-out squared error when the input is permuted, divided by the error of the mean;
        0 where the rise is less than 1.5 of its standard errors.
    clear : (n_inputs,) bool
        Whether the rise is more than three of its standard errors.
    score : float
        R² on held-out rows relative to the mean of the training rows; for classes, ``(accuracy - a) / (1 - a)``
        with a the accuracy of the most frequent class.
    beats_null : bool
        Whether the forest's held-out error is below that of the mean by three standard errors. Otherwise the inputs
        predict nothing, and all other attributes are 0.
    """

    importance: Floats
    clear: NDArray[np.bool_]
    score: float
    beats_null: bool

    @classmethod
    def none(cls, n_inputs: int) -> "ForestImportance":
        """Return the importance of inputs that do not predict the target."""
        return cls(np.zeros(n_inputs), np.zeros(n_inputs, dtype=bool), 0.0, beats_null=False)


def forest_importance(
    inputs: Floats,
    target: NDArray[Any],
    new_inputs: Floats,
    new_target: NDArray[Any],
    *,
    rng: np.random.Generator,
    n_trees: int = 20,
    clusters: NDArray[np.int64] | None = None,
) -> ForestImportance:
    """Fit a random forest and permute its inputs on held-out rows.

    Each split considers all inputs, so that noise inputs are not chosen for lack of others; leaves have 5 rows or
    more. Splits choose among equal inputs at random, so that these share the importance. A small held-out set is
    permuted up to five times. Where the first three trees show that even infinitely many would not have a smaller
    held-out error than the mean, no more are grown.

    Parameters
    ----------
    inputs, new_inputs : (n, n_inputs) and (n_new, n_inputs) float
        Training and held-out rows.
    target, new_target : (n,) int or (n, width) float
        Classes from 0, or columns of numbers.
    rng : numpy.random.Generator
        Source of randomness.
    n_trees : int
    clusters : (n_new,) int, optional
        Held-out rows of one cluster count as one observation for standard errors.

    References
    ----------
    Breiman (2001), *Random Forests*, section 10.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> inputs, new = rng.random((2, 500, 2))
    >>> forest = forest_importance(inputs, inputs[:, :1], new, new[:, :1], rng=rng)
    >>> forest.beats_null, forest.importance.round(), round(forest.score, 2)
    (True, array([2., 0.]), 1.0)
    """
    is_class = target.ndim == 1
    narrow = new_inputs.astype(np.float32)
    n_new, n_inputs = narrow.shape
    if is_class:
        n_classes = int(max(target.max(), new_target.max())) + 1
        y_true = np.eye(n_classes)[new_target]
        mean = np.bincount(target, minlength=n_classes) / len(target)
    else:
        y_true, mean = new_target, target.mean(axis=0)
    baseline = ((mean - y_true) ** 2).sum(axis=1)
    total = float(baseline.mean())
    if total <= 0:
        return ForestImportance.none(n_inputs)
    growing = grown_trees(inputs, target, state=int(rng.integers(2**31)), min_samples_leaf=5)
    trees = tuple(islice(growing, min(_FIRST_TREES, n_trees)))
    if 1 < len(trees) < n_trees and _loss_of_infinitely_many(trees, narrow, y_true) >= total:
        return ForestImportance.none(n_inputs)
    forest = Forest((*trees, *islice(growing, n_trees - len(trees))))
    y_pred = _padded(forest.predict(narrow), y_true.shape[1])
    loss = ((y_pred - y_true) ** 2).sum(axis=1)
    if not exceeds_its_noise((baseline - loss)[None], clusters)[0]:
        return ForestImportance.none(n_inputs)
    repeats = int(np.clip(_ENOUGH_PERMUTED_ROWS // n_new, 1, _MOST_REPEATS))
    used = forest.used_inputs
    rise = np.zeros((n_inputs, n_new))  # 0 for an input without a split, on which no prediction depends
    for copies in _permuted_copies(narrow, np.tile(used, repeats), rng):
        permuted = np.concatenate([inputs for _, inputs in copies])
        losses = (
            (_padded(forest.predict(permuted), y_true.shape[1]).reshape(len(copies), n_new, -1) - y_true) ** 2
        ).sum(axis=2)
        for (column, _), of_copy in zip(copies, losses, strict=True):
            rise[column] += of_copy - loss
    rise /= repeats
    kept = exceeds_its_noise(rise, clusters, FEWER_STANDARD_ERRORS)
    importance = np.where(kept, rise.mean(axis=1) / total, 0.0)
    score = 1 - float(loss.mean()) / total
    if is_class:
        right = (y_pred.argmax(axis=1) == new_target).mean()
        chance = (mean.argmax() == new_target).mean()
        score = float((right - chance) / (1 - chance)) if chance < 1 else 0.0
    return ForestImportance(importance, exceeds_its_noise(rise, clusters), score, beats_null=True)


def _loss_of_infinitely_many(trees: tuple[Any, ...], new_inputs: NDArray[np.float32], y_true: Floats) -> float:
    """Estimate the squared error of a forest of infinitely many trees from a few, without bias.

    Trees are independent given the training rows, so that the product of the errors of two trees has this mean.
    """
    errors = [_padded(Forest((tree,)).predict(new_inputs), y_true.shape[1]) - y_true for tree in trees]
    joint = float((np.sum(errors, axis=0) ** 2).sum()) - sum(float((error**2).sum()) for error in errors)
    return joint / (len(errors) * (len(errors) - 1) * len(y_true))


def _padded(y_pred: Floats, width: int) -> Floats:
    """Add classes that are absent from the training rows."""
    return np.pad(y_pred, ((0, 0), (0, width - y_pred.shape[1])))


def _permuted_copies(
    inputs: NDArray[np.float32], used: NDArray[np.bool_], rng: np.random.Generator
) -> Iterator[list[tuple[int, NDArray[np.float32]]]]:
    """Yield each used column with a copy of the inputs in which it is permuted, as many copies at once as are small.

    Columns that are not used are permuted as well but not copied, so that the random numbers of the others do not
    depend on them.
    """
    at_once = max(1, _COPIED_NUMBERS // max(1, inputs.size))
    copies: list[tuple[int, NDArray[np.float32]]] = []
    for position, is_used in enumerate(used):
        column = position % inputs.shape[1]
        permuted = rng.permutation(inputs[:, column])
        if is_used:
            copy = inputs.copy()
            copy[:, column] = permuted
            copies.append((column, copy))
        if len(copies) == at_once:
            yield copies
            copies = []
    if copies:
        yield copies


def exceeds_its_noise(
    values: Floats, clusters: NDArray[np.int64] | None, standard_errors: float = STANDARD_ERRORS
) -> NDArray[np.bool_]:
    """Return whether each row's mean exceeds 0 by some of its standard errors; a cluster is one observation."""
    if clusters is not None:
        member = np.unique(clusters, return_inverse=True)[1].ravel()
        values = np.stack([np.bincount(member, row) for row in values])
    if values.shape[1] < 2:  # no standard error
        return np.zeros(len(values), dtype=bool)
    error = values.std(axis=1, ddof=1) / np.sqrt(values.shape[1])
    return np.asarray(values.mean(axis=1) > standard_errors * error)
