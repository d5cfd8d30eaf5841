"""Geometry of the report's figures: positions of bars, points and outlines."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.typing import Floats
from disentmetrics.factors import Factor
from disentmetrics.results.score import Score
from disentmetrics.results.summary import RepresentationSummary

LEVELS = 20
"""Colour levels of a heat map."""
MANY_VALUES = 8
"""Largest number of values for which an ordinal factor is shown as groups rather than as an axis."""
MAX_PAIRS = 20
_MANY_POINTS = 5  # fewer do not define an outline
_WIDTH, _HEIGHT = 480.0, 300.0  # of a panel
_HIST_HEIGHT = 64.0  # one horizontal unit is one bin
_CURVE = 33


@dataclass(frozen=True)
class Whisker:
    """An interval on an axis: point, ends and null in percent of its length; None where not available."""

    point: float | None
    low: float | None
    high: float | None
    null: float | None


def whisker(score: Score, bounds: tuple[float, float]) -> Whisker:
    """Return the positions of a score, its interval and its null between bounds; values outside are clipped.

    Examples
    --------
    >>> whisker(Score("mig", 0.25, "mig", null=0.0), (0.0, 1.0))
    Whisker(point=25.0, low=None, high=None, null=0.0)
    """
    ends = (score.interval.low, score.interval.high) if score.interval else (None, None)
    return Whisker(*(_percent(value, bounds) for value in (score.value, *ends, score.null)))


def _percent(value: float | None, bounds: tuple[float, float]) -> float | None:
    if value is None or math.isnan(value):
        return None
    low, high = bounds
    share = (value - low) / (high - low) if high > low else 0.5
    return round(100 * min(max(share, 0.0), 1.0), 2)


def axis_of(scores: Sequence[Score], bounds: tuple[float, float]) -> tuple[float, float]:
    """Return the bounds of a metric; infinite ones are replaced by the extremes of values and intervals."""
    if all(map(math.isfinite, bounds)):
        return bounds
    ends = [s.value for s in scores] + [end for s in scores if s.interval for end in (s.interval.low, s.interval.high)]
    ends += [s.null for s in scores if s.null is not None]
    finite = [end for end in ends if math.isfinite(end)] or [0.0, 1.0]
    low, high = (
        bound if math.isfinite(bound) else end for bound, end in zip(bounds, (min(finite), max(finite)), strict=True)
    )
    return (low, high) if high > low else (low - 0.5, high + 0.5)


@dataclass(frozen=True)
class Histogram:
    """Histogram of one latent with a reference density."""

    code: str
    note: str
    active: bool
    bars: str
    curve: str
    low: float
    high: float


def histograms(summary: RepresentationSummary, order: Sequence[int]) -> Iterator[Histogram]:
    """Yield a histogram of each latent with the prior N(0, 1) where a posterior is available.

    Otherwise the curve is a normal distribution with the latent's mean and standard deviation.
    """
    for j in order:
        counts, edges = summary.histogram_counts[j], summary.histogram_edges[j]
        n_rows, low, high = max(int(counts.sum()), 1), float(edges[0]), float(edges[-1])
        mean, std = (0.0, 1.0) if summary.kl is not None else (float(summary.mean[j]), float(summary.std[j]))
        unit = max(abs(low), abs(high)) or 1.0  # or the width of the widest range overflows
        start, span = low / unit, high / unit - low / unit or 1.0
        density = counts / n_rows / (span / len(counts))
        at, std = np.linspace(start, start + span, _CURVE), std / unit
        curve = np.zeros_like(at)
        if std > 0:
            curve = np.exp(-(((at - mean / unit) / std) ** 2) / 2) / (std * math.sqrt(2 * math.pi))
        top = max(float(density.max()), float(curve.max()), 1e-300)
        heights = np.rint(_HIST_HEIGHT * (1 - density / top)).astype(int).tolist()
        bars = f"M0 {_HIST_HEIGHT:g}" + "".join(f"V{y}h1" for y in heights) + f"V{_HIST_HEIGHT:g}z"
        along = np.linspace(0, len(counts), _CURVE)
        line = "L".join(f"{x:g} {_HIST_HEIGHT * (1 - y / top):.1f}" for x, y in zip(along, curve.tolist(), strict=True))
        note = f"KL {summary.kl[j]:.2f} nats" if summary.kl is not None else f"sd {summary.std[j]:.3g}"
        drawn = f"M{line}" if curve.any() else ""
        yield Histogram(summary.code_names[j], note, bool(summary.active[j]), bars, drawn, low, high)


@dataclass(frozen=True)
class Group:
    """One value of a factor in a grouped plot: violin outline, points and median."""

    label: str
    x: float
    outline: str
    points: str
    median: float | None


@dataclass(frozen=True)
class Pair:
    """A factor against its most informative latent."""

    factor: str
    code: str
    share: float
    points: str
    groups: tuple[Group, ...]
    x_ends: tuple[str, str]
    y_ends: tuple[str, str]


def pairs(summary: RepresentationSummary) -> Iterator[Pair]:
    """Yield each factor against its most informative latent, best encoded factors first."""
    share = summary.share
    encoded = [(k, int(j)) for k, j in enumerate(summary.best_codes) if j >= 0 and not math.isnan(share[j, k])]
    encoded.sort(key=lambda pair: -share[pair[1], pair[0]])
    for k, j in encoded[:MAX_PAIRS]:
        factor = summary.factors[k]
        x, y = summary.sample_factors[:, k], summary.sample_codes[:, j]
        kept = np.isfinite(x) & np.isfinite(y)
        x, y = x[kept], y[kept]
        if not len(x):
            continue
        bottom, top = float(y.min()), float(y.max())
        high = _HEIGHT * (1 - _shares(y))
        grouped = factor.kind == "categorical" or (factor.size is not None and factor.size <= MANY_VALUES)
        values = np.unique(x)
        if grouped and len(values) <= 2 * MANY_VALUES:
            points, groups = "", tuple(_groups(factor, x, high, values))
            ends = ("", "")
        else:
            left, right = float(x.min()), float(x.max())
            points, groups = _dots(_WIDTH * _shares(x), high), ()
            ends = (_value(factor, left), _value(factor, right))
        yield Pair(
            factor.name,
            summary.code_names[j],
            float(share[j, k]),
            points,
            groups,
            ends,
            (f"{bottom:.3g}", f"{top:.3g}"),
        )


def _shares(values: Floats) -> Floats:
    """Return values scaled to [0, 1]."""
    low, high = values.min(), values.max()
    return np.asarray((values / 2 - low / 2) / ((high / 2 - low / 2) or 1.0))  # halved, or the difference overflows


def _groups(factor: Factor, x: Floats, high: Floats, values: Floats) -> Iterator[Group]:
    room = _WIDTH / len(values)
    outlines = [_density(high[x == value]) for value in values]
    widest = max((float(density.max()) for density in outlines if density is not None), default=1.0)
    for position, (value, density) in enumerate(zip(values, outlines, strict=True)):
        middle = room * (position + 0.5)
        own = high[x == value]
        # Multiples of the golden ratio spread points evenly and deterministically.
        spread = (np.arange(len(own)) * 0.618034 % 1 - 0.5) * 0.34 * room
        outline = ""
        if density is not None:
            seen = np.flatnonzero(density > 0.02 * density.max())  # tails without width would be drawn as lines
            grid = np.linspace(0, _HEIGHT, len(density))[seen[0] : seen[-1] + 1]
            half = 0.42 * room * density[seen[0] : seen[-1] + 1] / widest
            right = [f"{middle + w:.0f} {g:.0f}" for w, g in zip(half, grid, strict=True)]
            left = [f"{middle - w:.0f} {g:.0f}" for w, g in zip(half[::-1], grid[::-1], strict=True)]
            outline = f"M{'L'.join(right + left)}z"
        label = _value(factor, float(value))
        yield Group(label, round(middle, 1), outline, _dots(middle + spread, own), round(float(np.median(own)), 1))


def _density(values: Floats) -> Floats | None:
    """Return a kernel density estimate over the height of a plot; None for too few values."""
    if len(values) < _MANY_POINTS:
        return None
    width = max(1.06 * float(values.std()) * len(values) ** -0.2, _HEIGHT / 60)
    grid = np.linspace(0, _HEIGHT, 41)
    return np.asarray(np.exp(-(((grid[:, None] - values) / width) ** 2) / 2).mean(axis=1) / width)


def _dots(x: NDArray[np.floating], y: NDArray[np.floating]) -> str:
    return "".join(f"M{a:.0f} {b:.0f}h0" for a, b in zip(x, y, strict=True))


def _value(factor: Factor, value: float) -> str:
    """Return a factor value as its name where it has one, otherwise as a number."""
    if factor.size is not None and 0 <= value < len(factor.values) and value == int(value):
        named = factor.values[int(value)]
        return f"{named:.3g}" if isinstance(named, float) else str(named)
    return f"{value:.3g}"
