"""Designs: distributions of factors that make data unbalanced, correlated or incomplete.

Each function returns a :class:`disentmetrics.datasets.distribution.FactorDistribution`; products of
them are made by ``*``, and ``data.with_distribution(design)`` draws from them.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from disentmetrics.datasets.distribution import FactorDistribution, joint_positions
from disentmetrics.datasets.nuisance import splitmix64
from disentmetrics.datasets.transforms.values import FactorValues, as_tuples, factor_named, format_values, value_indices
from disentmetrics.errors import InvalidInputError
from disentmetrics.factors import FactorSpace

Configuration = Literal["A", "B", "C", "D"]
CONFIGURATIONS: tuple[Configuration, ...] = get_args(Configuration)

_LONGEST_LABEL = 60  # a longer one is shortened to a hash
_RATIO = 4.0
_LEAST_SHARE = 0.5  # of uniform, that a ridge of given strength leaves each value; equal sizes always leave more
_SIGMAS = (1e-6, 1e8)
_HALVINGS = 80


def marginals(space: FactorSpace, weights: Mapping[str, ArrayLike]) -> FactorDistribution:
    """Make values of factors more or less frequent; the factors stay independent.

    Parameters
    ----------
    space : FactorSpace
        A grid.
    weights : mapping of str to (size,) array
        A weight from 0 for each value of a factor.

    Returns
    -------
    FactorDistribution

    Raises
    ------
    InvalidInputError
        If a factor does not exist, or weights are not one for each value, negative or all 0.

    Examples
    --------
    >>> from disentmetrics import load_dataset
    >>> marginals(load_dataset("dsprites").space, {"shape": [2, 1, 1]}).marginal("shape")
    array([0.5 , 0.25, 0.25])
    """
    for name in weights:
        factor_named(space, name)
    plain = {name: np.asarray(given, np.float64) for name, given in weights.items()}
    listed = ",".join(f"{name}={'/'.join(f'{w:.12g}' for w in given.ravel())}" for name, given in plain.items())
    label = f"weights({listed})" if len(listed) <= _LONGEST_LABEL else ""
    return FactorDistribution(space, [((name,), table) for name, table in plain.items()], name=label)


def correlated(
    space: FactorSpace, first: str, second: str, strength: float | None = None, *, sigma: float | None = None
) -> FactorDistribution:
    """Correlate two factors by a Gaussian ridge along the diagonal of their grid.

    Parameters
    ----------
    space : FactorSpace
        A grid.
    first, second : str
        Two factors of at least two values, which are taken in their order, evenly spaced from 0 to 1.
    strength : float in (-1, 1), optional
        Pearson correlation of the two; negative for a ridge along the other diagonal, 0 for none.
    sigma : float > 0, optional
        Width of the ridge, as published; exactly one of the two must be given.

    Returns
    -------
    FactorDistribution
        With p(a, b) proportional to exp(-(a - b)² / 2σ²); all other factors stay uniform and independent.

    Raises
    ------
    InvalidInputError
        If a factor does not exist, is continuous or has one value, both are one, strength and sigma are out of
        range, or by this strength some value would come less than half as often as under a uniform distribution.

    Notes
    -----
    The two factors' marginals are not exactly uniform: values in the middle of a factor have neighbours on both
    sides of the ridge. Factors of equal size keep more than half of uniform for every value, whatever the
    strength. Where sizes differ, values of the longer factor that lie between those of the shorter one vanish as
    the ridge becomes narrow: such strengths are refused, but ``sigma`` is taken as it is. The ridge is one of
    positions in the list of values: a circular factor is not joined at its ends, and the order of categories is
    that of the list.

    References
    ----------
    Träuble et al. (2021), *On Disentangled Representations Learned from Correlated Data*, equation 1, where
    σ is the strength; here ``strength`` is the correlation coefficient, and σ is found by bisection.

    Examples
    --------
    >>> from disentmetrics import load_dataset
    >>> design = correlated(load_dataset("dsprites").space, "x", "y", 0.8)
    >>> design.name, round(correlation(design, "x", "y"), 6)
    ('correlate(x,y,0.8)', 0.8)
    """
    if first == second or (strength is None) == (sigma is None):
        raise InvalidInputError(
            "a ridge needs two different factors and either strength or sigma; "
            f"got {first}, {second}, strength {strength} and sigma {sigma}"
        )
    _check_sizes(space, (first, second), 2)
    if sigma is not None:
        if not (math.isfinite(sigma) and sigma > 0):
            raise InvalidInputError(f"sigma must be a number above 0; got {sigma}")
        label, width = f"sigma={sigma:.12g}", sigma
    else:
        if strength is None or not -1 < strength < 1:
            raise InvalidInputError(
                f"strength is a correlation coefficient and must lie between -1 and 1, both left out; got {strength}"
            )
        label, width = f"{strength:.12g}", 0.0
    n, m = space[first].size or 0, space[second].size or 0
    mirrored = strength is not None and strength < 0
    if strength is not None:
        width = _sigma_of(abs(strength), n, m)
    table = _ridge(n, m, width)
    if strength is not None:
        _check_shares(table, (first, second), strength)
    return FactorDistribution(
        space, {(first, second): table[:, ::-1] if mirrored else table}, name=f"correlate({first},{second},{label})"
    )


def _check_sizes(space: FactorSpace, names: Sequence[str], least: int) -> None:
    for name in names:
        size = factor_named(space, name).size
        if size is None or size < least:
            raise InvalidInputError(
                f"a factor of this design must have at least {least} values; {name!r} "
                + ("is continuous" if size is None else "has fewer")
            )


def _check_shares(table: NDArray[np.float64], names: Sequence[str], strength: float) -> None:
    for axis, name in enumerate(names):
        shares = table.sum(axis=1 - axis) * table.shape[axis] / table.sum()
        if shares.min() < _LEAST_SHARE:
            raise InvalidInputError(
                f"a ridge of {' and '.join(names)} must leave each value at least {_LEAST_SHARE:.0%} of its share of a "
                f"uniform distribution; by strength {strength:g}, value {shares.argmin()} of {name} would have "
                f"{shares.min():.0%}, as {table.shape[0]} and {table.shape[1]} values do not pair up: ask for less, "
                "or for factors of equal size"
            )


def _ridge(n: int, m: int, sigma: float) -> NDArray[np.float64]:
    difference = np.linspace(0, 1, n)[:, None] - np.linspace(0, 1, m)
    return np.asarray(np.exp(-((difference / sigma) ** 2) / 2)) if math.isfinite(sigma) else np.ones((n, m))


def _sigma_of(strength: float, n: int, m: int) -> float:
    if strength == 0:
        return math.inf
    low, high = _SIGMAS
    for _ in range(_HALVINGS):
        middle = math.sqrt(low * high)
        if _correlation(_ridge(n, m, middle)) > strength:
            low = middle
        else:
            high = middle
    return high


def correlation(distribution: FactorDistribution, first: str, second: str) -> float:
    """Return the Pearson correlation of two factors' indices under a distribution, in [-1, 1]."""
    return _correlation(distribution.marginal(first, second))


def _correlation(weights: NDArray[np.float64]) -> float:
    joint = weights / weights.sum()
    rows, columns = (np.arange(size, dtype=np.float64) for size in joint.shape)
    rows -= joint.sum(axis=1) @ rows
    columns -= joint.sum(axis=0) @ columns
    spread = math.sqrt((joint.sum(axis=1) @ rows**2) * (joint.sum(axis=0) @ columns**2))
    return float(rows @ joint @ columns) / spread if spread > 0 else 0.0


def chen2018(space: FactorSpace, first: str, second: str, configuration: Configuration) -> FactorDistribution:
    """Make two factors unbalanced or dependent as in the robustness study of Chen et al. (2018).

    Parameters
    ----------
    space : FactorSpace
        A grid.
    first, second : str
        Two factors of at least three values.
    configuration : {"A", "B", "C", "D"}
        A: uniform and independent. B: independent, not uniform. C: dependent but uncorrelated.
        D: correlated.

    Returns
    -------
    FactorDistribution
        In B, C and D the likeliest combination is four times as likely as the least likely.

    Raises
    ------
    InvalidInputError
        If the configuration or a factor does not exist, or a factor has fewer than three values.

    Notes
    -----
    The four kinds and the ratio of four are the authors'; they print their tables as pictures only, so the
    shapes are ours. With u and v the two values, evenly spaced from -1 to 1: weights are 4 to the power t,
    and t, moved and scaled to run from 0 to 1, is u + v in B, |u v| in C and -|u - v| in D.

    References
    ----------
    Chen, Li, Grosse, Duvenaud (2018), *Isolating Sources of Disentanglement in VAEs*, section 5.

    Examples
    --------
    >>> from disentmetrics import load_dataset
    >>> design = chen2018(load_dataset("dsprites").space, "orientation", "scale", "D")
    >>> table = design.marginal("orientation", "scale")
    >>> float(round(table.max() / table.min(), 9))
    4.0
    """
    if configuration not in CONFIGURATIONS or first == second:
        raise InvalidInputError(
            f"two different factors and a configuration of {', '.join(CONFIGURATIONS)} must be given; "
            f"got {first}, {second} and {configuration!r}"
        )
    _check_sizes(space, (first, second), 3)
    n, m = space[first].size or 0, space[second].size or 0
    u, v = np.linspace(-1, 1, n)[:, None], np.linspace(-1, 1, m)
    power = {"A": 0 * (u + v), "B": u + v, "C": abs(u * v), "D": -abs(u - v)}[configuration]
    scaled = (power - power.min()) / (float(np.ptp(power)) or 1.0)
    return FactorDistribution(
        space, {(first, second): _RATIO**scaled}, name=f"chen2018({first},{second},{configuration})"
    )


def without(space: FactorSpace, box: FactorValues) -> FactorDistribution:
    """Leave out the combinations of these values; all others stay equally likely.

    Parameters
    ----------
    space : FactorSpace
        A grid.
    box : mapping of str to value or values
        What is left out is every combination in which *all* of these factors have one of these values.

    Returns
    -------
    FactorDistribution

    Raises
    ------
    InvalidInputError
        If a factor or value does not exist, or nothing is left.

    Examples
    --------
    >>> from disentmetrics import load_dataset
    >>> design = without(load_dataset("dsprites").space, {"shape": "heart", "x": range(16, 32)})
    >>> design.name, 1 - design.support_size / 737280
    ('without(shape=2,x=16-31)', 0.16666666666666663)
    """
    names, table, label = _box(space, box)
    return FactorDistribution(space, {names: 1 - table}, name=f"without({label})")


def only(space: FactorSpace, box: FactorValues) -> FactorDistribution:
    """Keep the combinations of these values alone: what :func:`without` leaves out.

    Parameters
    ----------
    space : FactorSpace
        A grid.
    box : mapping of str to value or values
        As for :func:`without`.

    Returns
    -------
    FactorDistribution
    """
    names, table, label = _box(space, box)
    return FactorDistribution(space, {names: table}, name=f"only({label})")


def _box(space: FactorSpace, box: FactorValues) -> tuple[tuple[str, ...], NDArray[np.float64], str]:
    chosen = value_indices(space, box)
    joint_positions(space, tuple(chosen))
    inside = [np.isin(np.arange(space[name].size or 0), values) for name, values in as_tuples(chosen).items()]
    table = np.ones(())
    for values in inside:
        table = np.multiply.outer(table, values.astype(np.float64))
    return tuple(chosen), table, format_values(chosen)


def held_out(
    space: FactorSpace, names: Sequence[str], share: float, seed: int = 0
) -> tuple[FactorDistribution, FactorDistribution]:
    """Split the combinations of some factors at random, for tests of compositional generalisation.

    Parameters
    ----------
    space : FactorSpace
        A grid.
    names : sequence of str
        At least two factors.
    share : float in (0, 1)
        Of their combinations that is held out, rounded to the nearest number from 1.
    seed : int
        Which split; the same on every machine.

    Returns
    -------
    train, test : FactorDistribution
        Each uniform; together they are the grid. Every value of every one of these factors occurs in
        ``train``: what is held out is new as a combination only.

    Raises
    ------
    InvalidInputError
        If there are fewer than two factors, or so much is held out that a value would be lost.

    Examples
    --------
    >>> from disentmetrics import load_dataset
    >>> train, test = held_out(load_dataset("dsprites").space, ["shape", "scale"], 0.5)
    >>> train.marginal("shape", "scale").astype(bool).astype(int)
    array([[0, 0, 1, 0, 1, 0],
           [1, 1, 0, 1, 0, 1],
           [0, 1, 1, 1, 0, 0]])
    """
    sizes = [factor_named(space, name).size or 0 for name in names]
    joint_positions(space, names)
    n_cells, covering = math.prod(sizes), max(sizes, default=0)
    n_out = max(1, round(share * n_cells)) if 0 < share < 1 else 0
    if len(names) < 2 or not 0 < n_out <= n_cells - covering or seed < 0:
        raise InvalidInputError(
            f"at least two factors, a share between 0 and {max(0, n_cells - covering) / max(1, n_cells):.3g}, so that "
            f"every value stays, and a seed from 0 must be given; got {', '.join(names)}, {share} and {seed}"
        )
    kept = np.zeros(sizes, bool)
    turns = [_shuffled(size, seed, column)[np.arange(covering) % size] for column, size in enumerate(sizes)]
    kept[tuple(turns)] = True  # every value of every factor is in one of these
    open_cells = np.flatnonzero(~kept.ravel())
    out = np.zeros(n_cells, bool)
    out[open_cells[_shuffled(len(open_cells), seed, len(sizes))[:n_out]]] = True
    label = f"{','.join(names)},{share:.12g},{seed}"
    table = out.reshape(sizes).astype(np.float64)
    return (
        FactorDistribution(space, {tuple(names): 1 - table}, name=f"train({label})"),
        FactorDistribution(space, {tuple(names): table}, name=f"test({label})"),
    )


def _shuffled(n: int, seed: int, stream: int) -> NDArray[np.int64]:
    """Return 0 .. n - 1 in an order that is the same on every machine."""
    key = splitmix64(np.array([seed % 2**64], np.uint64) ^ splitmix64(np.array([stream], np.uint64)))
    return np.argsort(splitmix64(np.arange(n, dtype=np.uint64) ^ key), kind="stable")
