"""Batches with a shared factor value and pairs that differ in few factors, for metrics and weak supervision."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from disentmetrics.datasets.base import DataSet, Draws
from disentmetrics.datasets.distribution import Block, FactorDistribution
from disentmetrics.datasets.transforms.values import factor_named
from disentmetrics.errors import InvalidInputError

_REJECTION_ROUNDS = 8  # rejection sampling suffices for most pairs; the others are drawn from an enumeration
_MOST_ROUNDS = 100


@dataclass(frozen=True)
class SharedBatches:
    """Batches of observations; within each batch, one factor has a constant value.

    Attributes
    ----------
    draws : Draws
        All n · size observations, batch by batch.
    factor : (n,) int64
        Column of the factor that is constant in each batch.
    """

    draws: Draws
    factor: NDArray[np.int64]


@dataclass(frozen=True)
class Pairs:
    """Pairs of observations that differ in few factors.

    Attributes
    ----------
    first, second : Draws
        The two observations of each of n pairs.
    changed : (n, n_factors) bool
        Factors that were changed between the two.
    """

    first: Draws
    second: Draws
    changed: NDArray[np.bool_]


def shared_factor_batches(
    data: DataSet, n: int, size: int, rng: np.random.Generator, *, factors: Sequence[str] = ()
) -> SharedBatches:
    """Draw batches within which one factor is constant and all others vary.

    Parameters
    ----------
    data : DataSet
        A data set with a known distribution of its factors.
    n, size : int
        Number of batches, and of observations per batch.
    rng : numpy.random.Generator
        Random number generator.
    factors : sequence of str
        Candidates for the constant factor, one of which is drawn uniformly for each batch; by default all factors
        with at least two values.

    Returns
    -------
    SharedBatches
        The shared value follows its marginal distribution; the observations are independent draws from the
        distribution of the data set conditional on that value.

    Raises
    ------
    InvalidInputError
        If a factor does not exist, the distribution of factors is unknown, or ``n`` or ``size`` is below 1.

    References
    ----------
    Higgins et al. (2017), *β-VAE*; Kim and Mnih (2018), *Disentangling by Factorising*: their metrics use such
    batches.

    Examples
    --------
    >>> from disentmetrics import load_dataset
    >>> batches = shared_factor_batches(load_dataset("dsprites"), 2, 5, np.random.default_rng(0), factors=["x"])
    >>> batches.draws.factors[:, 3].reshape(2, 5), batches.factor
    (array([[8, 8, 8, 8, 8],
           [5, 5, 5, 5, 5]]), array([3, 3]))
    """
    distribution = data.distribution
    if n < 1 or size < 1:
        raise InvalidInputError(f"n and size must be at least 1; got {n} batches of {size} observations")
    columns = _named(data, factors) if factors else _changeable(distribution)
    shared_factor = np.array(columns, np.int64)[rng.integers(len(columns), size=n)]
    shared_values = distribution.sample(n, rng)
    drawn = np.empty((n * size, len(data.space)), np.int64)
    factor_of_row = np.repeat(shared_factor, size)
    for column in np.unique(shared_factor):
        rows = np.flatnonzero(factor_of_row == column)
        values = np.repeat(shared_values[shared_factor == column, column], size)
        drawn[rows] = distribution.sample(len(rows), rng, fixed={data.space.names[column]: values})
    return SharedBatches(Draws(drawn, data.sample_nuisance(drawn, rng)), shared_factor)


def change_pairs(
    data: DataSet,
    n: int,
    rng: np.random.Generator,
    *,
    n_changed: int | tuple[int, int] = 1,
    factors: Sequence[str] = (),
    redraw: bool = False,
) -> Pairs:
    """Draw pairs of observations that share all but a few factors.

    Parameters
    ----------
    data : DataSet
        A data set with a known distribution of its factors.
    n : int
        Number of pairs.
    rng : numpy.random.Generator
        Random number generator.
    n_changed : int or (int, int)
        Number of factors that change. Given two numbers, it is drawn for each pair uniformly from this range, both
        ends included. The set of factors that change is drawn uniformly among all sets of that size.
    factors : sequence of str
        Factors that may change; by default all with at least two values.
    redraw : bool
        If True, the values of the changed factors are redrawn and can turn out equal, so that pairs differ in *at
        most* ``n_changed`` factors; if False, they differ in exactly the changed factors.

    Returns
    -------
    Pairs
        The first observation follows the distribution of the data set; the second follows the same distribution
        conditional on the factors that do not change (and, unless ``redraw``, on all changed factors being
        different). If no such second observation exists, the first one and the set of factors are drawn again.
        ``changed`` marks the factors that were chosen. The nuisances of the two are independent.

    Raises
    ------
    InvalidInputError
        If a factor does not exist, the distribution of factors is unknown, ``n_changed`` is out of range, or
        hardly any two combinations differ in this way.

    Notes
    -----
    ``n_changed=(1, K - 1)`` is the scheme that Locatello et al. describe; their code uses ``redraw`` and changes a
    single factor half of the time. Change pairing of Shu et al. is ``factors=["x"]``; their share pairing is
    ``redraw=True`` with all other factors and ``n_changed`` equal to their number.

    References
    ----------
    Locatello et al. (2020), *Weakly-Supervised Disentanglement Without Compromises*; Shu et al. (2020),
    *Weakly Supervised Disentanglement with Guarantees*.

    Examples
    --------
    >>> from disentmetrics import load_dataset
    >>> pairs = change_pairs(load_dataset("dsprites"), 1000, np.random.default_rng(0), n_changed=(1, 4))
    >>> differs = pairs.first.factors != pairs.second.factors
    >>> bool((differs == pairs.changed).all()), np.unique(differs.sum(axis=1))
    (True, array([1, 2, 3, 4]))
    """
    distribution = data.distribution
    changeable = _changeable(distribution)
    columns = [column for column in _named(data, factors) if column in changeable] if factors else changeable
    low, high = (n_changed, n_changed) if isinstance(n_changed, int) else n_changed
    if n < 1 or not 1 <= low <= high <= len(columns):
        raise InvalidInputError(
            f"n must be at least 1 and n_changed from 1 to {len(columns)}, the number of factors with two or more "
            f"values; got n = {n} and n_changed = {n_changed}"
        )
    first = np.empty((n, len(data.space)), np.int64)
    second, changed = first.copy(), np.zeros(first.shape, bool)
    pending = np.arange(n)
    for _ in range(_MOST_ROUNDS):
        first[pending] = distribution.sample(len(pending), rng)
        changed[pending] = _choices(len(pending), columns, (low, high), len(data.space), rng)
        second[pending], exists = _seconds(distribution, first[pending], changed[pending], rng, redraw=redraw)
        pending = pending[~exists]
        if not len(pending):
            break
    else:
        raise InvalidInputError(
            f"combinations that differ in {n_changed} factors must not be too rare; {len(pending)} of {n} pairs of "
            f"{data.fingerprint} were not found in {_MOST_ROUNDS} rounds: let other factors change"
        )
    return Pairs(
        Draws(first, data.sample_nuisance(first, rng)), Draws(second, data.sample_nuisance(second, rng)), changed
    )


def _named(data: DataSet, names: Sequence[str]) -> list[int]:
    columns = sorted({data.space.position(factor_named(data.space, name).name) for name in names})
    if len(columns) < len(names):
        raise InvalidInputError(f"each factor must be named once; got {', '.join(names)}")
    return columns


def _changeable(distribution: FactorDistribution) -> list[int]:
    """Return the columns of factors that take at least two values."""
    columns = [k for k, n in enumerate(distribution.space.names) if np.count_nonzero(distribution.marginal(n)) > 1]
    if not columns:
        raise InvalidInputError("at least one factor must take two or more values; all are constant")
    return columns


def _choices(
    n: int, columns: list[int], numbers: tuple[int, int], n_factors: int, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Draw the set of factors that change in each pair, as (n, n_factors) booleans."""
    n_changed = rng.integers(numbers[0], numbers[1] + 1, size=n)
    rank = rng.random((n, len(columns))).argsort(axis=1).argsort(axis=1)
    chosen = np.zeros((n, n_factors), bool)
    chosen[:, columns] = rank < n_changed[:, None]
    return chosen


def _seconds(
    distribution: FactorDistribution,
    first: NDArray[np.int64],
    changed: NDArray[np.bool_],
    rng: np.random.Generator,
    *,
    redraw: bool,
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Draw the second observation of each pair; also return whether one exists."""
    second, exists = first.copy(), np.ones(len(first), bool)
    dependent = {column for block in distribution.blocks for column in block.columns}
    for column in set(range(first.shape[1])) - dependent:  # independent and uniform
        rows, size = np.flatnonzero(changed[:, column]), distribution.space.sizes[column]
        if redraw:
            second[rows, column] = rng.integers(size, size=len(rows))
        else:
            second[rows, column] = (first[rows, column] + rng.integers(1, size, size=len(rows))) % size
    for block in distribution.blocks:
        choices, group = np.unique(changed[:, list(block.columns)], axis=0, return_inverse=True)
        for number, choice in enumerate(choices):
            free, rows = np.array(block.columns)[choice], np.flatnonzero(group.ravel() == number)
            if len(free) and redraw:
                second[np.ix_(rows, free)] = _redrawn(block, first[rows], free, rng)
            elif len(free):
                second[np.ix_(rows, free)], possible = _all_different(block, first[rows], free, rng)
                exists[rows] &= possible
    return second, exists


def _redrawn(
    block: Block, first: NDArray[np.int64], free: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw the free columns of a block conditional on its other columns, as (n, n_free)."""
    given = tuple(column for column in block.columns if column not in free)
    return block.quantiles(tuple(free.tolist()), first, given, rng.random(len(first)))


def _all_different(
    block: Block, first: NDArray[np.int64], free: NDArray[np.int64], rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Draw the free columns so that each changes, conditional on the others; also return whether that is possible."""
    before, drawn = first[:, free], np.empty((len(first), len(free)), np.int64)
    pending = np.arange(len(first))
    for _ in range(_REJECTION_ROUNDS):
        drawn[pending] = _redrawn(block, first[pending], free, rng)
        pending = pending[(drawn[pending] == before[pending]).any(axis=1)]
    possible = np.ones(len(first), bool)
    if not len(pending):
        return drawn, possible
    columns = np.array(block.columns)
    is_free = np.isin(columns, free)
    cells, group = np.unique(first[pending][:, columns], axis=0, return_inverse=True)
    for number, cell in enumerate(cells):
        rows = pending[group.ravel() == number]
        where: list[Any] = [slice(None) if is_free[axis] else value for axis, value in enumerate(cell)]
        weights = block.table[tuple(where)].copy()
        # Weight 0 for keeping the old value of any free column: what remains are the admissible combinations.
        for axis, value in enumerate(cell[is_free]):
            weights.swapaxes(0, axis)[value] = 0
        total = weights.sum()
        possible[rows] = total > 0
        if total > 0:
            cell_indices = rng.choice(weights.size, size=len(rows), p=weights.ravel() / total)
            drawn[rows] = np.stack(np.unravel_index(cell_indices, weights.shape), axis=1)
    return drawn, possible
