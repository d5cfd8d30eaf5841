"""Terms of the objective during training."""

import math
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from disentmetrics.errors import TrainingError

ACTIVE_NATS = 0.01
"""A latent with a smaller mean KL has collapsed."""


@dataclass(frozen=True)
class History:
    """Terms of the objective during training, averaged over the steps since the previous record.

    Attributes
    ----------
    names : tuple of str
        Columns: ``step``, ``seconds``, ``steps_per_second``, the terms, ``active_codes`` and ``kl_of_code_j`` for
        each latent j.
    rows : (n_rows, n_columns) float64
    """

    names: tuple[str, ...]
    rows: NDArray[np.float64]

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        """Return a column."""
        return self.rows[:, self.names.index(name)]


class Recorder:
    """Averages the terms of one member between records, and stops training when a loss is not finite.

    Parameters
    ----------
    member : int
        Index of the model in its stack.
    names : tuple of str, optional
        Columns of the records so far, when training is resumed.
    rows : list of list of float, optional
        Records so far.
    """

    def __init__(self, member: int, names: tuple[str, ...] = (), rows: list[list[float]] | None = None) -> None:
        self.member, self.names, self.rows = member, names, rows or []
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}
        self._n = 0
        self._since = time.perf_counter()

    def add(self, terms: dict[str, Tensor]) -> None:
        """Add the terms of one step; a group that is not updated at every step may leave out its terms."""
        for name, value in terms.items():
            of_member = value[self.member]
            self._sums[name] = of_member.clone() if name not in self._sums else self._sums[name] + of_member
            self._counts[name] = self._counts.get(name, 0) + 1
        self._n += 1

    def record(self, step: int) -> dict[str, float]:
        """Append the means since the last record and return them; raise TrainingError if a loss is not finite."""
        if not self._n:
            return {}
        means = {name: (value / self._counts[name]).cpu() for name, value in self._sums.items()}
        seconds = time.perf_counter() - self._since
        row = {"step": float(step), "seconds": seconds, "steps_per_second": self._n / max(seconds, 1e-9)}
        for name, mean in means.items():
            if mean.ndim:
                row |= {f"{name}_{j}": float(v) for j, v in enumerate(mean)}
            else:
                row[name] = float(mean)
        if "kl_of_code" in means:
            row["active_codes"] = float((means["kl_of_code"] > ACTIVE_NATS).sum())
        self._sums, self._counts, self._n, self._since = {}, {}, 0, time.perf_counter()
        for name, value in row.items():
            if name.endswith("loss") and not math.isfinite(value):
                raise TrainingError(
                    f"the {name.replace('_', ' ')} must be finite; it is {value} at step {step}; "
                    "lower the learning rate or change the weights of the objective"
                )
        added = tuple(name for name in row if name not in self.names)
        if added:  # a term that no step before this record had
            self.names += added
            self.rows = [[*before, *[math.nan] * len(added)] for before in self.rows]
        self.rows.append([row.get(name, math.nan) for name in self.names])
        return row

    @property
    def history(self) -> History:
        """All records so far."""
        return History(self.names, np.array(self.rows, np.float64).reshape(len(self.rows), len(self.names)))
