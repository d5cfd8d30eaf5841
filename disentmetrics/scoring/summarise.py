"""Summary of a representation for plots and reports."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.typing import Floats
from disentmetrics.estimators.activity import KL_THRESHOLD, constant, standard_deviation
from disentmetrics.estimators.rank_correlation import standardised_ranks
from disentmetrics.factors import Factor
from disentmetrics.representation import Representation
from disentmetrics.representation.resampling import random_subset
from disentmetrics.results.summary import RepresentationSummary, TuningMap
from disentmetrics.statistics.mutual_information import factor_entropies, information_matrix
from disentmetrics.statistics.resolution import sampled
from disentmetrics.statistics.targets import factor_columns, factor_values

MAX_CODES = 256
"""Of more latents, the least informative are left out."""


MAX_SAMPLE = 400
"""Rows that are stored for scatter plots; fewer if there are more than 100 latents."""


N_BINS = 40
"""Bins of equal width in a histogram."""


MAX_CELLS = 16
"""Cells along each side of a tuning map."""


MAX_MAPS = 3


MAX_MAPPED_CODES = 16
"""Latents of a tuning map: those most informative about its two factors."""


MAX_VALUE_NAMES = 100
"""Value names of factors with more values are left out."""


_MAX_ROWS = 20_000  # for histograms and maps, which more rows hardly change


_MAX_RANKED_ROWS = 5_000


_MAX_SAMPLE_NUMBERS = 40_000


_DIGITS = 5


_TAIL = 0.001


_FEWEST_VALUES = 4  # of a factor that spans a map


_AXES = (
    ("x", "y"),
    ("x", "z"),
    ("y", "z"),
    ("horizontal", "vertical"),
    ("column", "row"),
    ("longitude", "latitude"),
    ("azimuth", "elevation"),
)


def summarise(representation: Representation, *, seed: int = 0) -> RepresentationSummary:
    """Return the histograms, matrices, maps and sample rows that reports and plots show.

    Parameters
    ----------
    representation : Representation
        Rows without a label are left out for that factor. Weighted rows are resampled by their weights.
    seed : int
        Random seed for the subset of rows, if there are many.

    Returns
    -------
    RepresentationSummary
        The same for the same rows and seed.

    Examples
    --------
    >>> factors = np.indices((6, 8)).reshape(2, -1).T.repeat(20, axis=0)
    >>> summary = summarise(Representation(factors * [1.0, -5.0], factors))
    >>> summary.share, summary.best_codes, summary.histogram_counts.sum(axis=1)
    (array([[1., 0.],
           [0., 1.]]), array([0, 1]), array([960, 960]))
    """
    rng = np.random.default_rng([seed, 0x5375])
    representation = representation.resampled_by_weight(rng)
    nats = representation.cached(information_matrix, "finite-resolution", 20)
    entropies = representation.cached(factor_entropies)
    shown = _most_informative(representation, nats, entropies)
    codes = representation.codes[:, shown]
    drawn = sampled(representation).codes[:, shown]  # as the metrics read them
    kl = None if representation.mean_kl is None else representation.mean_kl[shown]
    dead = constant(codes)
    rows = random_subset(len(representation), _MAX_ROWS, rng)
    some = drawn[rows].astype(np.float64)
    counts, edges = _histograms(some)
    sample = random_subset(len(some), min(MAX_SAMPLE, _MAX_SAMPLE_NUMBERS // len(shown)), rng)
    ranked = some[random_subset(len(some), _MAX_RANKED_ROWS, rng)]
    numbers = representation.cached(factor_values)[rows]
    nats = nats[shown]
    return RepresentationSummary(
        n_rows=len(representation),
        n_left_out=representation.n_codes - len(shown),
        code_names=tuple(str(representation.code_names[j]) for j in shown),
        code_positions=shown,
        factors=tuple(_without_many_names(factor) for factor in representation.space),
        mean=_rounded(_means(codes)),
        std=_rounded(np.where(dead, 0.0, standard_deviation(codes))),
        kl=None if kl is None else _rounded(kl),
        active=~dead if kl is None else ~dead & (kl > KL_THRESHOLD),
        histogram_counts=counts,
        histogram_edges=_rounded(edges),
        correlation=_correlation(ranked, dead | representation.categorical_codes[shown]).round(3),
        mutual_information=_rounded(nats),
        factor_entropies=_rounded(entropies),
        best_codes=np.where(nats.max(axis=0) > 0, np.argmax(nats, axis=0), -1).astype(np.int64),
        sample_codes=_rounded(some[sample], 4),
        sample_factors=_rounded(numbers[sample]),
        tuning_maps=tuple(_tuning_maps(representation, rows, some, numbers, nats)),
    )


def _most_informative(representation: Representation, nats: Floats, entropies: Floats) -> NDArray[np.int64]:
    if representation.n_codes <= MAX_CODES:
        return np.arange(representation.n_codes)
    if (entropies > 0).any():
        importance = (nats / np.where(entropies > 0, entropies, np.inf)).max(axis=1)
    elif representation.mean_kl is not None:
        importance = representation.mean_kl
    else:
        importance = standard_deviation(representation.codes)
    return np.sort(np.argsort(-importance, kind="stable")[:MAX_CODES])


def _means(codes: NDArray[np.floating]) -> Floats:
    largest = np.maximum(np.abs(codes).max(axis=0).astype(np.float64), np.finfo(np.float64).tiny)
    exponent = np.frexp(largest)[1]
    if (np.abs(exponent) < 900).all():
        return np.asarray(codes.mean(axis=0, dtype=np.float64))
    return np.asarray(np.ldexp(np.ldexp(codes.astype(np.float64), -exponent).mean(axis=0), exponent))


def _histograms(codes: Floats) -> tuple[NDArray[np.int64], Floats]:
    inner = np.quantile(codes, [_TAIL, 1 - _TAIL], axis=0)
    lowest, highest = codes.min(axis=0), codes.max(axis=0)
    margin = 0.05 * (inner[1] / 2 - inner[0] / 2)
    low, high = np.maximum(inner[0] - margin, lowest), np.minimum(inner[1] + margin, highest)
    rare = ~(high > low)  # nearly all rows have one value
    low, high = np.where(rare, lowest, low), np.where(rare, highest, high)
    flat = ~(high > low)
    reach = np.where(flat, np.maximum(np.abs(low) / 4, 0.5), 0.0)
    low, high = low - reach, high + reach
    steps = np.linspace(0.0, 1.0, N_BINS + 1)
    edges = low[:, None] * (1 - steps) + high[:, None] * steps
    # Halved, because the width of the widest range would overflow.
    places = (codes / 2 - low / 2) / (high / 2 - low / 2)
    bins = np.clip(np.floor(np.clip(places, 0.0, 1.0) * N_BINS), 0, N_BINS - 1).astype(np.int64)
    counts = np.stack([np.bincount(column, minlength=N_BINS) for column in bins.T])
    return counts, edges


def _correlation(codes: Floats, meaningless: NDArray[np.bool_]) -> Floats:
    ranks = standardised_ranks(codes)
    correlation = np.clip(ranks.T @ ranks / len(codes), -1.0, 1.0)
    undefined = meaningless | ~ranks.any(axis=0)
    correlation[undefined, :] = correlation[:, undefined] = np.nan
    kept = np.flatnonzero(~undefined)
    correlation[kept, kept] = 1.0
    return np.asarray(correlation)


def _without_many_names(factor: Factor) -> Factor:
    return factor if len(factor.values) <= MAX_VALUE_NAMES else replace(factor, values=())


def position_pairs(factors: Sequence[Factor]) -> list[tuple[int, int]]:
    """Return the pairs of factors that span a plane, at most three, by their positions.

    Ordinal and continuous factors of 4 values or more whose names become equal when the name of one axis is
    replaced by that of another (``x`` and ``y``, ``posX`` and ``posY``, ``horizontal axis`` and ``vertical axis``);
    if there are none, the two factors with the most values.

    Examples
    --------
    >>> position_pairs([Factor("size", 9, "ordinal"), Factor("posY", 32, "ordinal"), Factor("posX", 32, "ordinal")])
    [(2, 1)]
    """
    eligible = [
        k
        for k, factor in enumerate(factors)
        if factor.kind == "continuous" or (factor.kind == "ordinal" and (factor.size or 0) >= _FEWEST_VALUES)
    ]
    by_name = {factors[k].name.casefold(): k for k in eligible}
    named = [
        (by_name[name], by_name[other])
        for axis, across in _AXES
        for name in by_name
        for other in _with_axis(name, axis, across)
        if other in by_name
    ]
    if named:
        return list(dict.fromkeys(named))[:MAX_MAPS]
    finest = sorted(eligible, key=lambda k: -(factors[k].size or math.inf))[:2]
    return [(min(finest), max(finest))] if len(finest) == 2 else []


def _with_axis(name: str, axis: str, across: str) -> Iterator[str]:
    for start in range(len(name)):
        if name.startswith(axis, start):
            yield name[:start] + across + name[start + len(axis) :]


def _tuning_maps(
    representation: Representation, rows: NDArray[np.int64], codes: Floats, numbers: Floats, nats: Floats
) -> Iterator[TuningMap]:
    varied = np.array([len(np.unique(column[~np.isnan(column)])) >= _FEWEST_VALUES for column in numbers.T])
    eligible = [
        factor if varied[k] else Factor(factor.name, 1, "categorical") for k, factor in enumerate(representation.space)
    ]
    for pair in position_pairs(eligible):
        cells, values = zip(*(_cells(representation, rows, numbers, k) for k in pair), strict=True)
        present = (cells[0] >= 0) & (cells[1] >= 0)
        if not present.any():
            continue
        shape = (len(values[0]), len(values[1]))
        joint = cells[0][present] * shape[1] + cells[1][present]
        counts = np.bincount(joint, minlength=math.prod(shape))
        mapped = np.argsort(-nats[:, list(pair)].sum(axis=1), kind="stable")[:MAX_MAPPED_CODES]
        with np.errstate(over="ignore", invalid="ignore"):  # an infinite sum becomes NaN below
            sums = np.stack([np.bincount(joint, codes[present, j], math.prod(shape)) for j in mapped])
            means = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
        yield TuningMap(
            pair,
            _rounded(values[0]),
            _rounded(values[1]),
            mapped.astype(np.int64),
            _rounded(np.where(np.isfinite(means), means, np.nan)).reshape(-1, *shape),
            counts.reshape(shape),
        )


def _cells(
    representation: Representation, rows: NDArray[np.int64], numbers: Floats, position: int
) -> tuple[NDArray[np.int64], Floats]:
    """Divide a factor into cells of equal width; return the cell of each row, -1 if missing, and the mean of each."""
    column = numbers[:, position]
    present = ~np.isnan(column)
    low, high = column[present].min(), column[present].max()
    size = representation.space.factors[position].size
    n_cells = MAX_CELLS if size is None else min(MAX_CELLS, int(high - low) + 1)
    width = 0.0 if size is None else 1.0  # an index stands for the interval up to the next
    cells = np.full(len(column), -1, dtype=np.int64)
    span = high / 2 - low / 2 + width / 2
    places = (column[present] / 2 - low / 2) / span
    cells[present] = np.minimum((places * n_cells).astype(np.int64), n_cells - 1)
    physical = representation.cached(factor_columns, position)[rows, 0]
    counts = np.bincount(cells[present], minlength=n_cells)
    sums = np.bincount(cells[present], physical[present], n_cells)
    steps = (np.arange(n_cells) + 0.5) / n_cells
    return cells, np.where(counts > 0, sums / np.maximum(counts, 1), low * (1 - steps) + high * steps)


def _rounded(values: NDArray[np.floating], digits: int = _DIGITS) -> Floats:
    flat = [float(f"{value:.{digits}g}") for value in values.ravel().tolist()]
    return np.array(flat, dtype=np.float64).reshape(values.shape)
