"""Batches that share a factor, and pairs that differ in few: for metrics by simulation and weak supervision."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from disentmetrics.datasets.base import DataSet, Draws
from disentmetrics.datasets.distribution import Block, FactorDistribution
from disentmetrics.datasets.transforms.values import factor_named
from disentmetrics.errors import InvalidInputError

_QUICK_ROUNDS = 8  # most pairs are found by drawing again; the rest by listing what is possible
_MOST_ROUNDS = 100


@dataclass(frozen=True)
class SharedBatches:
    """Batches of observations of which each shares the value of one factor.

    Attributes
    ----------
    draws : Draws
        n · size of them, batch by batch.
    factor : (n,) int64
        Column of the factor that each batch shares.
    """

    draws: Draws
    factor: NDArray[np.int64]


@dataclass(frozen=True)
class Pairs:
    """Pairs of observations that differ in few factors.

    Attributes
    ----------
    first, second : Draws
        n each.
    changed : (n, n_factors) bool
        Which factors were changed.
    """

    first: Draws
    second: Draws
    changed: NDArray[np.bool_]


def shared_factor_batches(
    data: DataSet, n: int, size: int, rng: np.random.Generator, *, factors: Sequence[str] = ()
) -> SharedBatches:
    """Draw batches within which one factor has one value, and all others vary.

    Parameters
    ----------
    data : DataSet
        With a known distribution of its factors.
    n, size : int
        How many batches, and observations in each.
    rng : numpy.random.Generator
        Source of randomness.
    factors : sequence of str
        Of which one is drawn for each batch, all equally likely; by default all of at least two values.

    Returns
    -------
    SharedBatches
        The shared value is drawn from its marginal distribution, the observations independently from the
        distribution of the data set given that value.

    Raises
    ------
    InvalidInputError
        If a factor or the distribution of factors is not known, or a number is below 1.

    References
    ----------
    Higgins et al. (2017), *β-VAE*; Kim and Mnih (2018), *Disentangling by Factorising*, whose metrics draw so.

    Examples
    --------
    >>> from disentmetrics import load_dataset
    >>> batches = shared_factor_batches(load_dataset("dsprites"), 2, 5, np.random.default_rng(0), factors=["x"])
    >>> batches.draws.factors[:, 3].reshape(2, 5), batches.factor
    (array([[8, 8, 8, 8, 8],
           [5, 5, 5, 5, 5]]), array([3, 3]))
    """
    law = data.distribution
    if n < 1 or size < 1:
        raise InvalidInputError(f"at least one batch of one observation must be drawn; got {n} of {size}")
    columns = _named(data, factors) if factors else _changeable(law)
    chosen = np.array(columns, np.int64)[rng.integers(len(columns), size=n)]
    shared = law.sample(n, rng)
    drawn = np.empty((n * size, len(data.space)), np.int64)
    of_batch = np.repeat(chosen, size)
    for column in np.unique(chosen):
        rows = np.flatnonzero(of_batch == column)
        values = np.repeat(shared[chosen == column, column], size)
        drawn[rows] = law.sample(len(rows), rng, fixed={data.space.names[column]: values})
    return SharedBatches(Draws(drawn, data.sample_nuisance(drawn, rng)), chosen)


def change_pairs(
    data: DataSet,
    n: int,
    rng: np.random.Generator,
    *,
    n_changed: int | tuple[int, int] = 1,
    factors: Sequence[str] = (),
    redraw: bool = False,
) -> Pairs:
    """Draw pairs that share all factors but few.

    Parameters
    ----------
    data : DataSet
        With a known distribution of its factors.
    n : int
        How many pairs.
    rng : numpy.random.Generator
        Source of randomness.
    n_changed : int or (int, int)
        How many factors change; if two numbers, one between them, both included, is drawn for each pair, all
        equally likely. Which factors change is drawn too, all choices of so many being equally likely.
    factors : sequence of str
        Of which those that change are chosen; by default all of at least two values.
    redraw : bool
        Whether factors that change are drawn anew and may come out equal, so that pairs differ in *at most*
        so many; otherwise they differ in exactly those.

    Returns
    -------
    Pairs
        The first is drawn from the distribution of the data set, the second from the same given the factors
        that do not change (and, unless ``redraw``, that those that change are different). If no such second
        exists, the first and the choice of factors are drawn again. ``changed`` tells which were chosen. A
        nuisance is drawn for each of the two by itself.

    Raises
    ------
    InvalidInputError
        If a factor or the distribution of factors is not known, so many factors cannot change, or next to no
        two combinations differ in this way.

    Notes
    -----
    ``n_changed=(1, K - 1)`` is what Locatello et al. describe; their code draws with ``redraw`` and changes one
    factor half of the time. Change pairing of Shu et al. is ``factors=["x"]``; their share pairing is
    ``redraw=True`` with all other factors and as large an ``n_changed`` as there are of them.

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
    law = data.distribution
    able = _changeable(law)
    columns = [column for column in _named(data, factors) if column in able] if factors else able
    low, high = (n_changed, n_changed) if isinstance(n_changed, int) else n_changed
    if n < 1 or not 1 <= low <= high <= len(columns):
        raise InvalidInputError(
            f"at least one pair must be drawn, in which 1 to {len(columns)} factors change, the number of those that "
            f"have two values; got n = {n} and n_changed = {n_changed}"
        )
    first = np.empty((n, len(data.space)), np.int64)
    second, changed = first.copy(), np.zeros(first.shape, bool)
    waiting = np.arange(n)
    for _ in range(_MOST_ROUNDS):
        first[waiting] = law.sample(len(waiting), rng)
        changed[waiting] = _choices(len(waiting), columns, (low, high), len(data.space), rng)
        second[waiting], found = _seconds(law, first[waiting], changed[waiting], rng, redraw=redraw)
        waiting = waiting[~found]
        if not len(waiting):
            break
    else:
        raise InvalidInputError(
            f"combinations that differ in {n_changed} factors must not be too rare; in {_MOST_ROUNDS} rounds "
            f"{len(waiting)} of {n} pairs were not found in {data.fingerprint}: let other factors change"
        )
    return Pairs(
        Draws(first, data.sample_nuisance(first, rng)), Draws(second, data.sample_nuisance(second, rng)), changed
    )


def _named(data: DataSet, names: Sequence[str]) -> list[int]:
    columns = sorted({data.space.position(factor_named(data.space, name).name) for name in names})
    if len(columns) < len(names):
        raise InvalidInputError(f"each factor must be named once; got {', '.join(names)}")
    return columns


def _changeable(law: FactorDistribution) -> list[int]:
    columns = [k for k, name in enumerate(law.space.names) if np.count_nonzero(law.marginal(name)) > 1]
    if not columns:
        raise InvalidInputError("at least one factor must take two values; none does")
    return columns


def _choices(
    n: int, columns: list[int], numbers: tuple[int, int], n_factors: int, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Choose factors for each pair, as (n, n_factors) booleans."""
    how_many = rng.integers(numbers[0], numbers[1] + 1, size=n)
    rank = rng.random((n, len(columns))).argsort(axis=1).argsort(axis=1)
    chosen = np.zeros((n, n_factors), bool)
    chosen[:, columns] = rank < how_many[:, None]
    return chosen


def _seconds(
    law: FactorDistribution,
    first: NDArray[np.int64],
    changed: NDArray[np.bool_],
    rng: np.random.Generator,
    *,
    redraw: bool,
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Draw the second of each pair; also return whether there is one."""
    second, found = first.copy(), np.ones(len(first), bool)
    held = {column for block in law.blocks for column in block.columns}
    for column in set(range(first.shape[1])) - held:
        rows, size = np.flatnonzero(changed[:, column]), law.space.sizes[column]
        if redraw:
            second[rows, column] = rng.integers(size, size=len(rows))
        else:
            second[rows, column] = (first[rows, column] + rng.integers(1, size, size=len(rows))) % size
    for block in law.blocks:
        choices, group = np.unique(changed[:, list(block.columns)], axis=0, return_inverse=True)
        for number, choice in enumerate(choices):
            free, rows = np.array(block.columns)[choice], np.flatnonzero(group.ravel() == number)
            if len(free) and redraw:
                second[np.ix_(rows, free)] = _anew(block, first[rows], free, rng)
            elif len(free):
                second[np.ix_(rows, free)], possible = _all_different(block, first[rows], free, rng)
                found[rows] &= possible
    return second, found


def _anew(
    block: Block, first: NDArray[np.int64], free: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw free columns of a block given its others, as (n, n_free)."""
    given = tuple(column for column in block.columns if column not in free)
    return block.quantiles(tuple(free.tolist()), first, given, rng.random(len(first)))


def _all_different(
    block: Block, first: NDArray[np.int64], free: NDArray[np.int64], rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Draw free columns given the others and that all of them change; also return whether they can."""
    own, drawn = first[:, free], np.empty((len(first), len(free)), np.int64)
    waiting = np.arange(len(first))
    for _ in range(_QUICK_ROUNDS):
        drawn[waiting] = _anew(block, first[waiting], free, rng)
        waiting = waiting[(drawn[waiting] == own[waiting]).any(axis=1)]
    found = np.ones(len(first), bool)
    if not len(waiting):
        return drawn, found
    held = np.array(block.columns)
    is_free = np.isin(held, free)
    cells, group = np.unique(first[waiting][:, held], axis=0, return_inverse=True)
    for number, cell in enumerate(cells):
        rows = waiting[group.ravel() == number]
        where: list[Any] = [slice(None) if is_free[axis] else value for axis, value in enumerate(cell)]
        weights = block.table[tuple(where)].copy()
        for axis, value in enumerate(cell[is_free]):
            weights.swapaxes(0, axis)[value] = 0
        total = weights.sum()
        found[rows] = total > 0
        if total > 0:
            listed = rng.choice(weights.size, size=len(rows), p=weights.ravel() / total)
            drawn[rows] = np.stack(np.unravel_index(listed, weights.shape), axis=1)
    return drawn, found
