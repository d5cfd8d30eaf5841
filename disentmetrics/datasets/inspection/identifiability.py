"""Whether the observations tell the factors: what a data set must hold to be of use for a score.

A metric takes it for granted that an encoder could know each factor. It cannot know more than the
observation tells: a factor that shows in no pixel, or values that look alike, cap every score.
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

_CONTINUOUS_VALUES = 16  # of a continuous factor that are looked at
_AT_ONCE = 512  # observations held in memory


@dataclass(frozen=True)
class Coincidence:
    """Values of a factor that look alike though no symmetry says so.

    Attributes
    ----------
    values : tuple of int
        Their indices.
    n_contexts : int
        In how many contexts they were seen to look alike.
    example : dict of str to int
        Indices of the other factors in one of them.
    """

    values: tuple[int, ...]
    n_contexts: int
    example: dict[str, int]


@dataclass(frozen=True)
class FactorBits:
    """What the observation tells of one factor when all others are fixed.

    Attributes
    ----------
    factor : str
        Name.
    n_contexts : int
        Combinations of the other factors in which it was looked at; 0 if the data hold none in which
        this factor alone varies, and then nothing below is known (NaN).
    bits : float
        I(v_k; x | v_-k) in bits: the entropy of the classes of equal observations, where all values that are
        possible in a context are equally likely; averaged over contexts. From 0 to ``most``.
    most : float
        The binary logarithm of the number of possible values (of 16, if the factor is continuous), averaged
        likewise. A design may exclude values, everywhere or in some contexts.
    step : float
        Mean absolute difference between observations of neighbouring possible values, in the unit of the
        observation: grey levels of 255 for images.
    moved : float
        Share of pixels (dimensions of a vector) that change between neighbouring values, from 0 to 1.
    declared : tuple of Symmetry
        What the data set says of values that look alike.
    coincidences : tuple of Coincidence
        What it does not say, the most frequent first.
    broken : tuple of Symmetry
        What it says though it was seen not to hold.
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
        """Whether the factor shows nowhere though it varies, or a declared symmetry does not hold."""
        return (self.most > 0 and self.bits == 0) or bool(self.broken)


def factor_bits(
    data: DataSet, *, n_contexts: int = 64, seed: int = 0, progress: bool = False
) -> tuple[FactorBits, ...]:
    """Measure how much of each factor the observations tell when all others are fixed.

    In each context, a random combination of the other factors and a random nuisance, the factor runs
    through all values that are possible with them. With equally likely values the information of the observation on the
    factor is the entropy of the classes of equal observations: the binary logarithm of the number
    of values if all differ, 0 if none does. It bounds from above what any code can know.

    Parameters
    ----------
    data : DataSet
        Rendered or stored.
    n_contexts : int
        How many contexts are drawn for each factor. What happens in few contexts may be missed.
    seed : int
        Decides which.
    progress : bool
        Show a bar.

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
    measured = (_bits_of(data, contexts, position, rng) for position in columns)
    return tuple(tracked(measured, len(columns), "looking at factors", shown=progress))


def _bits_of(data: DataSet, contexts: Draws, position: int, rng: np.random.Generator) -> FactorBits:
    factor = data.space.factors[position]
    n_values = _CONTINUOUS_VALUES if factor.size is None else None
    declared = tuple(symmetry for symmetry in data.symmetries if symmetry.factor == factor.name)
    found = _Found(data.space, position, declared)
    for start in (contexts[i : i + 1] for i in range(len(contexts))):
        values = values_of(data, position, n_values, rng=rng, start=start)
        draws = exact_sweep(data, start, position, values)
        if draws is not None:
            found.add(start.factors[0], _Looks(data, draws, factor, values))
    bits, most, steps, moved = found.means()
    if not found.n_contexts:
        most = float(np.log2(len(values_of(data, position, n_values, rng=rng))))
    return FactorBits(
        factor.name,
        found.n_contexts,
        bits,
        most,
        steps,
        moved,
        declared,
        found.coincidences(),
        tuple(symmetry for symmetry in declared if symmetry in found.broken),
    )


class _Looks:
    """Which observations along a factor are equal, and how far neighbours differ."""

    def __init__(self, data: DataSet, draws: Draws, factor: Factor, values: NDArray[Any]) -> None:
        looks: dict[bytes, int] = {}
        classes, differences, moved = [], [], []
        first = last = None
        for look in _one_by_one(data, draws):
            classes.append(looks.setdefault(look.tobytes(), len(looks)))
            if last is not None:
                differences.append(_distance(last, look))
            first, last = look if first is None else first, look
        is_closed = factor.kind == "circular" and len(classes) == factor.size
        if is_closed and len(classes) > 2 and first is not None and last is not None:
            differences.append(_distance(last, first))
        moved = [share for _, share in differences]
        self.values = values
        self.classes = np.array(classes)
        self.step = float(np.mean([step for step, _ in differences])) if differences else 0.0
        self.moved = float(np.mean(moved)) if moved else 0.0

    @property
    def bits(self) -> float:
        counts = np.bincount(self.classes)
        return float(np.log2(len(self.classes)) - (counts * np.log2(counts)).sum() / len(self.classes))

    @property
    def most(self) -> float:
        return float(np.log2(len(self.classes)))

    def differ(self, values: Sequence[int]) -> bool:
        """Say whether those of these values that were looked at look different."""
        return len(set(self.classes[np.isin(self.values, values)].tolist())) > 1

    @property
    def groups(self) -> Iterator[tuple[int, ...]]:
        """Values that look alike, for each look that more than one has."""
        for number in np.flatnonzero(np.bincount(self.classes) > 1):
            yield tuple(self.values[self.classes == number].tolist())


def _one_by_one(data: DataSet, draws: Draws) -> Iterator[NDArray[Any]]:
    for first in range(0, len(draws), _AT_ONCE):
        part = draws[first : first + _AT_ONCE]
        yield from data.observations(part.factors, part.nuisance)


def _distance(one: NDArray[Any], other: NDArray[Any]) -> tuple[float, float]:
    difference = np.abs(one.astype(np.float64) - other)
    changed = (difference > 0).any(axis=-1) if difference.ndim == 3 else difference > 0
    return float(difference.mean()), float(changed.mean())


class _Found:
    """What is gathered over contexts."""

    def __init__(self, space: FactorSpace, position: int, declared: Sequence[Symmetry]) -> None:
        self.space, self.position, self.declared = space, position, declared
        self.broken: list[Symmetry] = []
        self._measured: list[tuple[float, float, float, float]] = []
        self._counts: Counter[tuple[int, ...]] = Counter()
        self._examples: dict[tuple[int, ...], dict[str, int]] = {}

    @property
    def n_contexts(self) -> int:
        return len(self._measured)

    def add(self, context: NDArray[Any], looks: _Looks) -> None:
        self._measured.append((looks.bits, looks.most, looks.step, looks.moved))
        if self.space.factors[self.position].size is None:
            return
        holding = [s for s in self.declared if all(context[self.space.position(f)] in v for f, v in s.given.items())]
        self.broken += [s for s in holding if looks.differ(s.same)]
        explained = _components(holding)
        for group in looks.groups:
            if len({explained.get(value, value) for value in group}) > 1:
                self._counts[group] += 1
                others = dict(zip(self.space.names, context.tolist(), strict=True))
                del others[self.space.names[self.position]]
                self._examples.setdefault(group, others)

    def means(self) -> tuple[float, float, float, float]:
        if not self._measured:
            return np.nan, np.nan, np.nan, np.nan
        bits, most, step, moved = np.mean(self._measured, axis=0).tolist()
        return bits, most, step, moved

    def coincidences(self) -> tuple[Coincidence, ...]:
        return tuple(Coincidence(values, n, self._examples[values]) for values, n in self._counts.most_common())


def _components(symmetries: Sequence[Symmetry]) -> dict[int, int]:
    """Return for each value that looks like another the least value it looks like, by way of others if need be."""
    least: dict[int, int] = {}
    for symmetry in symmetries:
        joined = {least.get(value, value) for value in symmetry.same}
        members = joined | set(symmetry.same) | {value for value, root in least.items() if root in joined}
        least |= dict.fromkeys(members, min(joined))
    return least
