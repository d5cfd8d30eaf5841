"""Random forests of scikit-learn's trees, grown in the calling thread."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.typing import Floats


@dataclass(frozen=True, eq=False)
class Forest:
    """Trees, each grown on a bootstrap sample of the rows by :meth:`fit`.

    Equal to ``RandomForestRegressor`` and ``RandomForestClassifier`` bit for bit, without joblib: its overhead per
    tree is considerable, and it resets Python's warning filters, which all threads share, so that forests in two
    threads interfere.
    """

    trees: tuple[Any, ...]

    @classmethod
    def fit(
        cls,
        inputs: NDArray[np.floating],
        target: NDArray[Any],
        *,
        n_trees: int,
        state: int,
        max_features: float | Literal["sqrt"] = 1.0,
        **settings: Any,
    ) -> "Forest":
        """Grow the trees.

        Parameters
        ----------
        inputs : (n, n_inputs) real
            Rounded to single precision, as trees do.
        target : (n,) int or (n, width) float
            Classes from 0, or columns of numbers.
        n_trees, state : int
            Number of trees, and seed.
        max_features : float or "sqrt"
            Share of inputs considered at each split.
        **settings
            Further settings of scikit-learn's trees.

        Examples
        --------
        >>> from sklearn.ensemble import RandomForestRegressor
        >>> inputs = np.random.default_rng(0).random((50, 2))
        >>> target = inputs[:, :1] ** 2
        >>> theirs = RandomForestRegressor(5, random_state=1).fit(inputs, target[:, 0])
        >>> ours = Forest.fit(inputs, target, n_trees=5, state=1)
        >>> bool((ours.predict(inputs)[:, 0] == theirs.predict(inputs)).all())
        True
        """
        growing = grown_trees(inputs, target, state=state, max_features=max_features, **settings)
        return cls(tuple(islice(growing, n_trees)))

    def predict(self, inputs: NDArray[np.floating]) -> Floats:
        """Return the mean prediction as (n, width): of numbers, or of the probability of each class, up to the last.

        Classes absent from the training rows have probability 0.
        """
        narrow = np.ascontiguousarray(inputs, dtype=np.float32)
        classes = getattr(self.trees[0], "classes_", None)
        if classes is None:
            total = sum(tree.predict(narrow, check_input=False).reshape(len(narrow), -1) for tree in self.trees)
        else:
            total = np.zeros((len(narrow), int(classes[-1]) + 1))
            total[:, classes] = sum(tree.predict_proba(narrow, check_input=False) for tree in self.trees)
        return np.asarray(total / len(self.trees))

    @property
    def used_inputs(self) -> NDArray[np.bool_]:
        """Whether any tree splits on each input, as (n_inputs,)."""
        used = np.zeros(self.trees[0].n_features_in_, dtype=bool)
        for tree in self.trees:
            split = tree.tree_.feature
            used[split[split >= 0]] = True
        return used

    @property
    def importance(self) -> Floats:
        """Mean decrease in impurity at splits on each input, as (n_inputs,); sums to 1, or is 0 without a split."""
        each = np.stack(
            [tree.feature_importances_ for tree in self.trees if tree.tree_.node_count > 1] or [np.zeros(1)]
        )
        mean = each.mean(axis=0)
        if not mean.any():
            return np.zeros(self.trees[0].n_features_in_)
        return np.asarray(mean / mean.sum(), dtype=np.float64)


def grown_trees(
    inputs: NDArray[np.floating],
    target: NDArray[Any],
    *,
    state: int,
    max_features: float | Literal["sqrt"] = 1.0,
    **settings: Any,
) -> Iterator[Any]:
    """Grow one tree after the other, without end; the first n are those of :meth:`Forest.fit`."""
    from sklearn import config_context
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor  # slow to import
    from sklearn.utils import check_random_state

    kind = DecisionTreeClassifier if target.ndim == 1 else DecisionTreeRegressor
    seeds = check_random_state(state)
    narrow = np.ascontiguousarray(inputs, dtype=np.float32)
    target = np.ascontiguousarray(target)
    while True:
        seed = seeds.randint(np.iinfo(np.int32).max)
        drawn = check_random_state(seed).randint(0, len(narrow), len(narrow))
        counts = np.bincount(drawn, minlength=len(narrow)).astype(np.float64)
        # checks of inputs and parameters, the same for all trees, take as long as a small tree grows
        with config_context(skip_parameter_validation=True, assume_finite=True):
            tree = kind(random_state=seed, max_features=max_features, **settings)
            tree.fit(narrow, target, sample_weight=counts, check_input=False)
        yield tree
