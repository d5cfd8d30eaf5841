"""Identifiability of factors: how much information the observations contain about each factor.

Metrics presuppose that an encoder can recover every factor. It can recover no more than the
observation contains: a factor that affects no pixel, or values with identical observations, put an
upper bound on every score.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.progress import tracked
from disentmetrics.datasets.base import DataSet, Draws, Symmetry
from disentmetrics.datasets.inspection.sweep import exact_sweep, values_of
from disentmetrics.factors import Factor, FactorSpace

_CONTINUOUS_VALUES = 16  # values at which a continuous factor is compared
_BATCH_SIZE = 512  # observations in memory


@dataclass(frozen=True)
class Coincidence:
    """Values of a factor with identical observations that no declared symmetry explains.

    Attributes
    ----------
    values : tuple of int
        Indices of the values.
    n_contexts : int
        Number of contexts in which their observations are identical.
    example : dict of str to int
        Indices of the other factors in one of these contexts.
    """

    values: tuple[int, ...]
    n_contexts: int
    example: dict[str, int]


@dataclass(frozen=True)
class FactorBits:
    """Information that the observation contains about one factor, given all other factors.

    Attributes
    ----------
    factor : str
        Name of the factor.
    n_contexts : int
        Number of combinations of the other factors that were evaluated; 0 if the data contain none in which
        this factor alone varies, in which case the quantities below are unknown (NaN).
    bits : float
        I(v_k; x | v_-k) in bits: the entropy of the classes of equal observations under a uniform distribution
        over the values possible in a context; averaged over contexts. From 0 to ``most``.
    most : float
        Upper bound of ``bits``: the binary logarithm of the number of possible values (16 for a continuous
        factor), averaged over contexts. A design may exclude values, everywhere or in some contexts.
    step : float
        Mean absolute difference between observations of neighbouring possible values, in units of the
        observation: grey levels from 0 to 255 for images.
    moved : float
        Fraction of pixels (dimensions of a vector) that change between neighbouring values, from 0 to 1.
    declared : tuple of Symmetry
        Symmetries of this factor that the data set declares.
    coincidences : tuple of Coincidence
        Identical observations that no declared symmetry explains, the most frequent first.
    broken : tuple of Symmetry
        Declared symmetries that the observations contradict.
    """

    factor: str
    n_contexts: int
    bits: float
    most: float
    step: float
    moved: float
    declared: tuple[Symmetry, ...] = ()
    coincidences: tuple[Coincidence, ...] = ()
    broken: tuple[Symmetry, ...] = ()

    @property
    def is_defect(self) -> bool:
        """Whether the factor varies without affecting the observation, or a declared symmetry is contradicted."""
        return (self.most > 0 and self.bits == 0) or bool(self.broken)


def factor_bits(
    data: DataSet, *, n_contexts: int = 64, seed: int = 0, progress: bool = False
) -> tuple[FactorBits, ...]:
    """Measure the information that observations contain about each factor, given all other factors.

    In each context, a random combination of the other factors and a random nuisance, the factor takes
    all values that are possible with them. With equally likely values, the mutual information between
    factor and observation is the entropy of the classes of equal observations: the binary logarithm of
    the number of values if all differ, 0 if none does. It is an upper bound on the information that any
    code can carry.

    Parameters
    ----------
    data : DataSet
        Rendered or stored.
    n_contexts : int
        Number of contexts drawn for each factor. Effects confined to few contexts may be missed.
    seed : int
        Random seed of the contexts.
    progress : bool
        Show a progress bar.

    Returns
    -------
    tuple of FactorBits
        In the order of the factors.

    Examples
    --------
    >>> from disentmetrics.datasets import load_dataset
    >>> shape, scale, orientation, x, y = factor_bits(load_dataset("dsprites"), n_contexts=8)
    >>> x.bits == x.most == 5, orientation.bits < orientation.most
    (True, True)
    """
    rng = np.random.default_rng(seed)
    contexts = data.sample(n_contexts, rng, replace=True)
    columns = range(len(data.space))
    results = (_bits_of(data, contexts, position, rng) for position in columns)
    return tuple(tracked(results, len(columns), "comparing observations", shown=progress))


def _bits_of(data: DataSet, contexts: Draws, position: int, rng: np.random.Generator) -> FactorBits:
    factor = data.space.factors[position]
    n_values = _CONTINUOUS_VALUES if factor.size is None else None
    declared = tuple(symmetry for symmetry in data.symmetries if symmetry.factor == factor.name)
    summary = _ContextSummary(data.space, position, declared)
    for start in (contexts[i : i + 1] for i in range(len(contexts))):
        values = values_of(data, position, n_values, rng=rng, start=start)
        draws = exact_sweep(data, start, position, values)
        if draws is not None:
            summary.add(start.factors[0], _ComparedSweep(data, draws, factor, values))
    bits, most, step, moved = summary.means()
    if not summary.n_contexts:
        most = float(np.log2(len(values_of(data, position, n_values, rng=rng))))
    return FactorBits(
        factor.name,
        summary.n_contexts,
        bits,
        most,
        step,
        moved,
        declared,
        summary.coincidences(),
        tuple(symmetry for symmetry in declared if symmetry in summary.broken),
    )


class _ComparedSweep:
    """Classes of equal observations along a factor, and mean differences between neighbours."""

    def __init__(self, data: DataSet, draws: Draws, factor: Factor, values: NDArray[Any]) -> None:
        class_of: dict[bytes, int] = {}
        classes, differences = [], []
        first = last = None
        for observation in _one_by_one(data, draws):
            classes.append(class_of.setdefault(observation.tobytes(), len(class_of)))
            if last is not None:
                differences.append(_difference(last, observation))
            first, last = observation if first is None else first, observation
        # The last value of a complete circular factor is a neighbour of the first.
        is_closed = factor.is_closed and len(classes) == factor.size
        if is_closed and len(classes) > 2 and first is not None and last is not None:
            differences.append(_difference(last, first))
        self.values = values
        self.classes = np.array(classes)
        self.step = float(np.mean([step for step, _ in differences])) if differences else 0.0
        self.moved = float(np.mean([moved for _, moved in differences])) if differences else 0.0

    @property
    def bits(self) -> float:
        """Entropy of the classes under uniformly distributed values."""
        counts = np.bincount(self.classes)
        return float(np.log2(len(self.classes)) - (counts * np.log2(counts)).sum() / len(self.classes))

    @property
    def most(self) -> float:
        """Entropy if all observations were different."""
        return float(np.log2(len(self.classes)))

    def differ(self, values: Sequence[int]) -> bool:
        """Return whether the evaluated ones of these values have different observations."""
        return len(set(self.classes[np.isin(self.values, values)].tolist())) > 1

    @property
    def groups(self) -> Iterator[tuple[int, ...]]:
        """The values of each class with more than one member."""
        for number in np.flatnonzero(np.bincount(self.classes) > 1):
            yield tuple(self.values[self.classes == number].tolist())


def _one_by_one(data: DataSet, draws: Draws) -> Iterator[NDArray[Any]]:
    for first in range(0, len(draws), _BATCH_SIZE):
        part = draws[first : first + _BATCH_SIZE]
        yield from data.observations(part.factors, part.nuisance)


def _difference(one: NDArray[Any], other: NDArray[Any]) -> tuple[float, float]:
    """Return the mean absolute difference and the fraction of pixels that differ."""
    difference = np.abs(one.astype(np.float64) - other)
    changed = (difference > 0).any(axis=-1) if difference.ndim == 3 else difference > 0
    return float(difference.mean()), float(changed.mean())


class _ContextSummary:
    """Accumulates the sweeps of one factor over contexts."""

    def __init__(self, space: FactorSpace, position: int, declared: Sequence[Symmetry]) -> None:
        self.space, self.position, self.declared = space, position, declared
        self.broken: list[Symmetry] = []
        self._measurements: list[tuple[float, float, float, float]] = []
        self._counts: Counter[tuple[int, ...]] = Counter()
        self._examples: dict[tuple[int, ...], dict[str, int]] = {}

    @property
    def n_contexts(self) -> int:
        return len(self._measurements)

    def add(self, context: NDArray[Any], compared: _ComparedSweep) -> None:
        self._measurements.append((compared.bits, compared.most, compared.step, compared.moved))
        if self.space.factors[self.position].size is None:
            return
        applicable = [s for s in self.declared if all(context[self.space.position(f)] in v for f, v in s.given.items())]
        self.broken += [s for s in applicable if compared.differ(s.same)]
        explained = _components(applicable)
        for group in compared.groups:
            if len({explained.get(value, value) for value in group}) > 1:
                self._counts[group] += 1
                others = dict(zip(self.space.names, context.tolist(), strict=True))
                del others[self.space.names[self.position]]
                self._examples.setdefault(group, others)

    def means(self) -> tuple[float, float, float, float]:
        if not self._measurements:
            return np.nan, np.nan, np.nan, np.nan
        bits, most, step, moved = np.mean(self._measurements, axis=0).tolist()
        return bits, most, step, moved

    def coincidences(self) -> tuple[Coincidence, ...]:
        return tuple(Coincidence(values, n, self._examples[values]) for values, n in self._counts.most_common())


def _components(symmetries: Sequence[Symmetry]) -> dict[int, int]:
    """Return the smallest member of each value's class under the transitive closure of the symmetries."""
    least: dict[int, int] = {}
    for symmetry in symmetries:
        joined = {least.get(value, value) for value in symmetry.same}
        members = joined | set(symmetry.same) | {value for value, root in least.items() if root in joined}
        least |= dict.fromkeys(members, min(joined))
    return least
