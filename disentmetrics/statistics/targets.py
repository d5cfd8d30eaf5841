"""Factors as targets of probes and statistics."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from disentmetrics.representation import Representation
from disentmetrics.statistics.association import factor_columns


@dataclass(frozen=True, eq=False)
class Target:
    """A factor as a probe sees it.

    Attributes
    ----------
    rows : (n,) int
        Rows that have a label.
    values : (n,) int or (n, width) float
        Classes from 0 for categories (those that occur); columns of real numbers for every other kind:
        one for ordinal and continuous factors, cosine and sine for circular ones.
    is_class : bool
    """

    rows: NDArray[np.int64]
    values: NDArray[Any]
    is_class: bool

    @property
    def n_classes(self) -> int:
        """Number of classes that occur; 0 for real values."""
        return int(self.values.max()) + 1 if self.is_class and len(self.values) else 0

    @property
    def varies(self) -> bool:
        """Whether there is anything to predict."""
        if not len(self.rows):
            return False
        return self.n_classes > 1 if self.is_class else bool((np.ptp(self.values, axis=0) > 0).any())


def target(representation: Representation, position: int, *, classes: bool = False) -> Target:
    """Return the factor at ``position`` as a target; with ``classes``, every kind as classes.

    A continuous factor is then cut into 10 bins of equal frequency.
    """
    if classes or representation.space.factors[position].kind == "categorical":
        labels = representation.labels(position)
        rows = np.flatnonzero(labels >= 0)
        return Target(rows, np.unique(labels[rows], return_inverse=True)[1].ravel(), is_class=True)
    columns = representation.cached(factor_columns, position)
    rows = np.flatnonzero(~np.isnan(columns[:, 0]))
    return Target(rows, columns[rows], is_class=False)
