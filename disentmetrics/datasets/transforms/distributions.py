"""Factor distributions for unbalanced, correlated or incomplete data.

Each function returns a :class:`disentmetrics.datasets.distribution.FactorDistribution`. Distributions are multiplied
by ``*``; ``data.with_distribution(distribution)`` draws a data set from one.
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

_LONGEST_LABEL = 60  # longer labels are replaced by a hash
_RATIO = 4.0
_LEAST_SHARE = 0.5  # minimum probability of each value relative to uniform; always met by factors of equal size
_SIGMAS = (1e-6, 1e8)
_BISECTIONS = 80


def marginals(space: FactorSpace, weights: Mapping[str, ArrayLike]) -> FactorDistribution:
    """Independent factors with non-uniform marginal distributions.

    Parameters
    ----------
    space : FactorSpace
        A grid of discrete factors.
    weights : mapping of str to (size,) array
        Non-negative weight of each value of a factor.

    Returns
    -------
    FactorDistribution

    Raises
    ------
    InvalidInputError
        If a factor does not exist, or its weights are not one per value, are negative or all 0.

    Examples
    --------
    >>> from disentmetrics import load_dataset
    >>> marginals(load_dataset("dsprites").space, {"shape": [2, 1, 1]}).marginal("shape")
    array([0.5 , 0.25, 0.25])
    """
    for name in weights:
        factor_named(space, name)
    tables = {name: np.asarray(table, np.float64) for name, table in weights.items()}
    listed = ",".join(f"{name}={'/'.join(f'{w:.12g}' for w in table.ravel())}" for name, table in tables.items())
    label = f"weights({listed})" if len(listed) <= _LONGEST_LABEL else ""
    return FactorDistribution(space, [((name,), table) for name, table in tables.items()], name=label)


def correlated(
    space: FactorSpace, first: str, second: str, strength: float | None = None, *, sigma: float | None = None
) -> FactorDistribution:
    """Two correlated factors: a Gaussian ridge along the diagonal of their grid.

    Parameters
    ----------
    space : FactorSpace
        A grid of discrete factors.
    first, second : str
        Two factors with at least two values each. Their values are placed in order, evenly spaced from 0 to 1.
    strength : float in (-1, 1), optional
        Pearson correlation of the two factors; negative for a ridge along the anti-diagonal, 0 for independence.
    sigma : float > 0, optional
        Width σ of the ridge, the parameter of the paper. Exactly one of ``strength`` and ``sigma`` must be given.

    Returns
    -------
    FactorDistribution
        p(a, b) proportional to exp(-(a - b)² / 2σ²); all other factors are uniform and independent.

    Raises
    ------
    InvalidInputError
        If a factor does not exist, is continuous or has a single value, both factors are the same, strength or sigma
        is out of range, or this strength would make some value less than half as probable as under a uniform
        distribution.

    Notes
    -----
    The marginals of the two factors are not exactly uniform, as values in the middle have neighbours on both sides of
    the ridge. For factors of equal size, every value is more than half as probable as under a uniform distribution,
    whatever the strength. If sizes differ, values of the larger factor that lie between those of the smaller one
    vanish as the ridge narrows: such strengths are rejected, whereas ``sigma`` is used unchecked. Positions are those
    in the list of values: a circular factor does not wrap around, and categories are ordered as listed.

    References
    ----------
    Träuble et al. (2021), *On Disentangled Representations Learned from Correlated Data*, equation 1, which
    is parametrised by σ; here ``strength`` is the correlation coefficient, and σ follows by bisection.

    Examples
    --------
    >>> from disentmetrics import load_dataset
    >>> distribution = correlated(load_dataset("dsprites").space, "x", "y", 0.8)
    >>> distribution.name, round(correlation(distribution, "x", "y"), 6)
    ('correlate(x,y,0.8)', 0.8)
    """
    if first == second or (strength is None) == (sigma is None):
        raise InvalidInputError(
            "a correlation needs two different factors and either strength or sigma; "
            f"got {first}, {second}, strength {strength} and sigma {sigma}"
        )
    _check_sizes(space, (first, second), 2)
    if sigma is not None:
        if not (math.isfinite(sigma) and sigma > 0):
            raise InvalidInputError(f"sigma must be a positive number; got {sigma}")
        label, width = f"sigma={sigma:.12g}", sigma
    else:
        if strength is None or not -1 < strength < 1:
            raise InvalidInputError(
                f"strength must be a correlation coefficient in the open interval (-1, 1); got {strength}"
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
                f"the factors of this distribution must have at least {least} values; {name!r} "
                + ("is continuous" if size is None else "has fewer")
            )


def _check_shares(table: NDArray[np.float64], names: Sequence[str], strength: float) -> None:
    for axis, name in enumerate(names):
        shares = table.sum(axis=1 - axis) * table.shape[axis] / table.sum()
        if shares.min() < _LEAST_SHARE:
            raise InvalidInputError(
                f"correlating {' and '.join(names)} must leave each value at least {_LEAST_SHARE:.0%} of its uniform "
                f"probability; with strength {strength:g}, value {shares.argmin()} of {name} would keep "
                f"{shares.min():.0%}, as {table.shape[0]} and {table.shape[1]} values do not pair up: use a weaker "
                "correlation or factors of equal size"
            )


def _ridge(n: int, m: int, sigma: float) -> NDArray[np.float64]:
    difference = np.linspace(0, 1, n)[:, None] - np.linspace(0, 1, m)
    return np.asarray(np.exp(-((difference / sigma) ** 2) / 2)) if math.isfinite(sigma) else np.ones((n, m))


def _sigma_of(strength: float, n: int, m: int) -> float:
    if strength == 0:
        return math.inf
    low, high = _SIGMAS
    for _ in range(_BISECTIONS):
        middle = math.sqrt(low * high)
        if _correlation(_ridge(n, m, middle)) > strength:
            low = middle
        else:
            high = middle
    return high


def correlation(distribution: FactorDistribution, first: str, second: str) -> float:
    """Pearson correlation of the indices of two factors under a distribution, in [-1, 1]."""
    return _correlation(distribution.marginal(first, second))


def _correlation(weights: NDArray[np.float64]) -> float:
    joint = weights / weights.sum()
    rows, columns = (np.arange(size, dtype=np.float64) for size in joint.shape)
    rows -= joint.sum(axis=1) @ rows
    columns -= joint.sum(axis=0) @ columns
    spread = math.sqrt((joint.sum(axis=1) @ rows**2) * (joint.sum(axis=0) @ columns**2))
    return float(rows @ joint @ columns) / spread if spread > 0 else 0.0


def chen2018(space: FactorSpace, first: str, second: str, configuration: Configuration) -> FactorDistribution:
    """Unbalanced or dependent factors, as in the robustness study of Chen et al. (2018).

    Parameters
    ----------
    space : FactorSpace
        A grid of discrete factors.
    first, second : str
        Two factors with at least three values each.
    configuration : {"A", "B", "C", "D"}
        A: uniform and independent. B: independent but not uniform. C: dependent but uncorrelated. D: correlated.

    Returns
    -------
    FactorDistribution
        In B, C and D the most likely combination is four times as probable as the least likely one.

    Raises
    ------
    InvalidInputError
        If the configuration or a factor does not exist, or a factor has fewer than three values.

    Notes
    -----
    The four configurations and the ratio of four are those of the paper. It shows the distributions only as images,
    so their exact shapes are chosen here: with u and v the two values, evenly spaced from -1 to 1, weights are 4^t,
    where t is u + v in B, |u v| in C and -|u - v| in D, shifted and scaled to the range from 0 to 1.

    References
    ----------
    Chen, Li, Grosse, Duvenaud (2018), *Isolating Sources of Disentanglement in VAEs*, section 5.

    Examples
    --------
    >>> from disentmetrics import load_dataset
    >>> distribution = chen2018(load_dataset("dsprites").space, "orientation", "scale", "D")
    >>> table = distribution.marginal("orientation", "scale")
    >>> float(round(table.max() / table.min(), 9))
    4.0
    """
    if configuration not in CONFIGURATIONS or first == second:
        raise InvalidInputError(
            f"two different factors and one of the configurations {', '.join(CONFIGURATIONS)} must be given; "
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
    """Uniform distribution that excludes certain combinations.

    Parameters
    ----------
    space : FactorSpace
        A grid of discrete factors.
    box : mapping of str to value or values
        A combination is excluded if *all* of these factors have one of the given values.

    Returns
    -------
    FactorDistribution

    Raises
    ------
    InvalidInputError
        If a factor or value does not exist, or every combination is excluded.

    Examples
    --------
    >>> from disentmetrics import load_dataset
    >>> distribution = without(load_dataset("dsprites").space, {"shape": "heart", "x": range(16, 32)})
    >>> distribution.name, 1 - distribution.support_size / 737280
    ('without(shape=2,x=16-31)', 0.16666666666666663)
    """
    names, table, label = _box(space, box)
    return FactorDistribution(space, {names: 1 - table}, name=f"without({label})")


def only(space: FactorSpace, box: FactorValues) -> FactorDistribution:
    """Uniform distribution over the combinations that :func:`without` excludes.

    Parameters
    ----------
    space : FactorSpace
        A grid of discrete factors.
    box : mapping of str to value or values
        A combination is kept if *all* of these factors have one of the given values.

    Returns
    -------
    FactorDistribution
    """
    names, table, label = _box(space, box)
    return FactorDistribution(space, {names: table}, name=f"only({label})")


def _box(space: FactorSpace, box: FactorValues) -> tuple[tuple[str, ...], NDArray[np.float64], str]:
    """Return names, indicator table and label of a box of combinations."""
    selection = value_indices(space, box)
    joint_positions(space, tuple(selection))
    inside = [np.isin(np.arange(space[name].size or 0), values) for name, values in as_tuples(selection).items()]
    table = np.ones(())
    for indicator in inside:
        table = np.multiply.outer(table, indicator.astype(np.float64))
    return tuple(selection), table, format_values(selection)


def held_out(
    space: FactorSpace, names: Sequence[str], share: float, seed: int = 0
) -> tuple[FactorDistribution, FactorDistribution]:
    """Random train-test split over combinations of factors, to evaluate compositional generalisation.

    Parameters
    ----------
    space : FactorSpace
        A grid of discrete factors.
    names : sequence of str
        At least two factors, whose combinations are split.
    share : float in (0, 1)
        Fraction of the combinations that is held out; at least one is.
    seed : int
        Random seed of the split, which is identical on every machine.

    Returns
    -------
    train, test : FactorDistribution
        Two uniform distributions with disjoint supports that together cover the grid. Every value of these factors
        occurs in ``train``; only combinations of them are new in ``test``.

    Raises
    ------
    InvalidInputError
        If fewer than two factors are named, or some value would no longer occur in ``train``.

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
            f"a split needs at least two factors, a share between 0 and "
            f"{max(0, n_cells - covering) / max(1, n_cells):.3g}, so that every value remains in training, and a "
            f"non-negative seed; got {', '.join(names)}, {share} and {seed}"
        )
    kept = np.zeros(sizes, bool)
    # A minimal set of cells that contains every value of every factor always stays in training.
    cover = [_shuffled(size, seed, column)[np.arange(covering) % size] for column, size in enumerate(sizes)]
    kept[tuple(cover)] = True
    candidates = np.flatnonzero(~kept.ravel())
    is_test = np.zeros(n_cells, bool)
    is_test[candidates[_shuffled(len(candidates), seed, len(sizes))[:n_out]]] = True
    label = f"{','.join(names)},{share:.12g},{seed}"
    table = is_test.reshape(sizes).astype(np.float64)
    return (
        FactorDistribution(space, {tuple(names): 1 - table}, name=f"train({label})"),
        FactorDistribution(space, {tuple(names): table}, name=f"test({label})"),
    )


def _shuffled(n: int, seed: int, stream: int) -> NDArray[np.int64]:
    """Return a permutation of 0 .. n - 1 that is identical on every machine."""
    key = splitmix64(np.array([seed % 2**64], np.uint64) ^ splitmix64(np.array([stream], np.uint64)))
    return np.argsort(splitmix64(np.arange(n, dtype=np.uint64) ^ key), kind="stable")
