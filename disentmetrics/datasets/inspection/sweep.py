"""Sweeps: one factor takes its values while the other factors and the nuisance are fixed."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from disentmetrics.datasets.base import DataSet, Draws
from disentmetrics.errors import InvalidInputError

_N_QUANTILE_SAMPLES = 512  # samples from which the quantiles of a continuous factor are estimated


@dataclass(frozen=True)
class Sweep:
    """Observations along one factor.

    Attributes
    ----------
    draws : Draws
        One per value, in the order of the values.
    values : (n,) int64 or float64
        Index of each value, or the value itself if the factor is continuous.
    exact : bool
        Whether the factor alone varies. If not, the data contain no such observations and these are the
        nearest: as few other factors as possible vary too.
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
    """Choose evenly spaced values of a factor, including the first and the last.

    Parameters
    ----------
    data : DataSet
        Data set of the factor.
    position : int
        Column of the factor.
    n_values : int, optional
        Maximum number of values; all by default. A continuous factor needs a number.
    rng : numpy.random.Generator
        Generator of the samples whose evenly spaced quantiles are the values of a continuous factor.
    start : Draws, optional
        One observation: values that have probability zero given its other factors are excluded. Without it,
        values of marginal probability zero are excluded.

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
        sampled = np.asarray(data.sample_factors(_N_QUANTILE_SAMPLES, rng)[:, position], np.float64)
        return np.quantile(sampled[np.isfinite(sampled)], np.linspace(0, 1, n_values or 2))
    possible = _possible(data, position, np.arange(size), start)
    n = len(possible) if n_values is None else min(len(possible), n_values)
    return possible[np.rint(np.linspace(0, len(possible) - 1, n)).astype(np.int64)]


def _possible(data: DataSet, position: int, indices: NDArray[np.int64], start: Draws | None) -> NDArray[np.int64]:
    """Return the indices of a factor with positive probability, given the other factors of an observation."""
    if not data.has_distribution:
        return indices
    if start is None:
        return np.flatnonzero(data.distribution.marginal(data.space.names[position]) > 0)
    factors = np.repeat(start.factors, len(indices), axis=0)
    factors[:, position] = indices
    blocks = [block for block in data.distribution.blocks if position in block.columns]
    probabilities = [block.table[tuple(factors[:, list(block.columns)].T)] for block in blocks]
    return indices[np.all([indices >= 0, *(p > 0 for p in probabilities)], axis=0)]


def sweep(data: DataSet, start: Draws, position: int, values: NDArray[Any], *, n_draws: int = 0) -> Sweep:
    """Set one factor of an observation to each of these values.

    Parameters
    ----------
    data : DataSet
        Source of the observations.
    start : Draws
        One observation.
    position : int
        Column of the factor to vary.
    values : (n,) int64 or float64
        Indices, or values of a continuous factor.
    n_draws : int
        Approximate total number of rows if the nearest rows are used, with several per value.

    Returns
    -------
    Sweep
        Exact if the data contain such observations; otherwise the nearest rows, without values that no row has.
    """
    draws = exact_sweep(data, start, position, values)
    return (
        _nearest(data, start, position, values, max(1, n_draws // len(values)))
        if draws is None
        else Sweep(draws, values, exact=True)
    )


def exact_sweep(data: DataSet, start: Draws, position: int, values: NDArray[Any]) -> Draws | None:
    """Set one factor to each of these values, with all other factors and the nuisance fixed.

    Returns
    -------
    Draws or None
        None if the data do not contain such observations, as is usual for rows of a table: not every
        combination occurs, and two rows, such as two photographs, differ in more than their labels.
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
    other_distances = np.delete(_factor_distances(data, rows.factors, start.factors[0]), position, axis=1).sum(axis=1)
    column = np.asarray(rows.factors[:, position])
    nearest: list[int] = []
    for value in values:
        gap = np.abs(column - value)
        is_discrete = data.space.factors[position].size is not None
        candidates = np.flatnonzero(gap == (0 if is_discrete else np.nanmin(gap)))
        nearest += candidates[np.argsort(other_distances[candidates], kind="stable")[:n_each]].tolist()
    return Sweep(rows[np.array(nearest, np.int64)], column[nearest], exact=False)


def _factor_distances(data: DataSet, factors: NDArray[Any], start: NDArray[Any]) -> NDArray[np.float64]:
    """Return the distance of each factor of each row from the start.

    0 or 1 for a discrete factor, the difference in standard deviations, at most 1, for a continuous one.
    """
    is_discrete = np.array([factor.size is not None for factor in data.space])
    difference = np.abs(factors - start)
    deviation = np.maximum(np.nanstd(factors, axis=0), np.finfo(float).tiny)
    distances = np.where(is_discrete, difference > 0, np.minimum(difference / deviation, 1.0))
    return np.nan_to_num(np.asarray(distances, np.float64), nan=1.0)
