"""One factor runs through its values while all else stays as it is."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from disentmetrics.datasets.base import DataSet, Draws
from disentmetrics.errors import InvalidInputError

_DRAWN = 512  # values that tell the range of a continuous factor


@dataclass(frozen=True)
class Sweep:
    """Observations along one factor.

    Attributes
    ----------
    draws : Draws
        One for each value, in the order of the values.
    values : (n,) int64 or float64
        Index of each value, or the value itself if the factor is continuous.
    exact : bool
        Whether the factor alone varies. If not, the data hold no such observations and these are the
        nearest: other factors vary too, in as few places as can be.
    """

    draws: Draws
    values: NDArray[Any]
    exact: bool


def values_of(
    data: DataSet,
    position: int,
    n_values: int | None = None,
    *,
    rng: np.random.Generator,
    start: Draws | None = None,
) -> NDArray[np.int64] | NDArray[np.float64]:
    """Choose values of a factor evenly, the first and the last among them.

    Parameters
    ----------
    data : DataSet
        Whose factor it is.
    position : int
        Column of the factor.
    n_values : int, optional
        At most so many; all by default. A continuous factor needs a number.
    rng : numpy.random.Generator
        A continuous factor has values at even quantiles of what is drawn with it.
    start : Draws, optional
        One observation: values that can never occur with its other factors are left out. Without it,
        those that can never occur at all.

    Returns
    -------
    (n,) int64 or float64
        Ascending indices, or values.

    Examples
    --------
    >>> from disentmetrics.datasets import load_dataset
    >>> values_of(load_dataset("dsprites"), 2, 4, rng=np.random.default_rng(0))
    array([ 0, 13, 26, 39])
    """
    size = data.space.factors[position].size
    if size is None:
        drawn = np.asarray(data.sample_factors(_DRAWN, rng)[:, position], np.float64)
        return np.quantile(drawn[np.isfinite(drawn)], np.linspace(0, 1, n_values or 2))
    possible = _possible(data, position, np.arange(size), start)
    n = len(possible) if n_values is None else min(len(possible), n_values)
    return possible[np.rint(np.linspace(0, len(possible) - 1, n)).astype(np.int64)]


def _possible(data: DataSet, position: int, every: NDArray[np.int64], start: Draws | None) -> NDArray[np.int64]:
    """Return those of all indices of a factor that a design leaves, given the other factors of an observation."""
    if not data.has_distribution:
        return every
    if start is None:
        return np.flatnonzero(data.distribution.marginal(data.space.names[position]) > 0)
    factors = np.repeat(start.factors, len(every), axis=0)
    factors[:, position] = every
    blocks = [block for block in data.distribution.blocks if position in block.columns]
    probabilities = [block.table[tuple(factors[:, list(block.columns)].T)] for block in blocks]
    return every[np.all([every >= 0, *(p > 0 for p in probabilities)], axis=0)]


def sweep(data: DataSet, start: Draws, position: int, values: NDArray[Any], *, n_draws: int = 0) -> Sweep:
    """Change one factor of an observation through these values.

    Parameters
    ----------
    data : DataSet
        Where observations come from.
    start : Draws
        One observation.
    position : int
        Column of the factor that changes.
    values : (n,) int64 or float64
        Indices, or values of a continuous factor.
    n_draws : int
        Where the nearest rows must do, take several of each value, to come near to this number.

    Returns
    -------
    Sweep
        Exact, if the data have such observations; otherwise of the nearest rows, without values that no row has.
    """
    draws = exact_sweep(data, start, position, values)
    return (
        _nearest(data, start, position, values, max(1, n_draws // len(values)))
        if draws is None
        else Sweep(draws, values, exact=True)
    )


def exact_sweep(data: DataSet, start: Draws, position: int, values: NDArray[Any]) -> Draws | None:
    """Change one factor through these values, with all other factors and the nuisance fixed.

    Returns
    -------
    Draws or None
        None if the data lack such observations, as rows of a table do: not every combination is among
        them, and two rows, such as two photographs, differ in more than their labels.
    """
    if data.is_observed:
        return None
    factors = np.repeat(start.factors, len(values), axis=0)
    factors[:, position] = values
    try:
        data.draws(factors)
    except InvalidInputError:
        return None
    return Draws(factors, np.repeat(start.nuisance, len(values)))


def _nearest(data: DataSet, start: Draws, position: int, values: NDArray[Any], n_each: int) -> Sweep:
    rows = data.full_grid()
    others = np.delete(_apart(data, rows.factors, start.factors[0]), position, axis=1).sum(axis=1)
    column = np.asarray(rows.factors[:, position])
    chosen: list[int] = []
    for value in values:
        gap = np.abs(column - value)
        is_discrete = data.space.factors[position].size is not None
        candidates = np.flatnonzero(gap == (0 if is_discrete else np.nanmin(gap)))
        chosen += candidates[np.argsort(others[candidates], kind="stable")[:n_each]].tolist()
    return Sweep(rows[np.array(chosen, np.int64)], column[chosen], exact=False)


def _apart(data: DataSet, factors: NDArray[Any], start: NDArray[Any]) -> NDArray[np.float64]:
    """Return how far each factor of each row is from the start: 1 where it differs, less for near real values."""
    discrete = np.array([factor.size is not None for factor in data.space])
    difference = np.abs(factors - start)
    spread = np.maximum(np.nanstd(factors, axis=0), np.finfo(float).tiny)
    apart = np.where(discrete, difference > 0, np.minimum(difference / spread, 1.0))
    return np.nan_to_num(np.asarray(apart, np.float64), nan=1.0)
