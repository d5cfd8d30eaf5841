"""Several cards side by side: values, ranks, paired differences and how metrics agree."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.stats import rankdata

from disentmetrics.comparison.compare import Comparison, Difference, compare
from disentmetrics.errors import InvalidInputError
from disentmetrics.report.figures import LEVELS, Whisker, axis_of, whisker
from disentmetrics.report.tables import Explanation, explain
from disentmetrics.results.card import ScoreCard
from disentmetrics.results.score import Score

ALL_PAIRS = 6
"""Cards up to which every pair is listed; of more, each card and the one that scores best."""
FEWEST_RANKED = 4
"""Cards below which ranks of values tell nothing of how metrics agree."""


@dataclass(frozen=True)
class ForestLine:
    """One card under one metric."""

    card: str
    score: Score | None
    mark: Whisker | None


@dataclass(frozen=True)
class Forest:
    """One metric over all cards, best first; ``ends`` are those of its axis."""

    metric: str
    explanation: Explanation
    ends: tuple[float, float]
    lines: tuple[ForestLine, ...]


@dataclass(frozen=True)
class RankLine:
    """Places of one card, 1 being best and ties sharing their mean, with the colour of each; and their mean."""

    card: str
    places: tuple[tuple[float | None, int], ...]
    mean: float


@dataclass(frozen=True)
class DifferenceLine:
    """A paired difference between two cards, and where it lies on the axis of its metric in percent."""

    found: Difference
    low: float | None
    high: float | None
    point: float
    zero: float

    @property
    def is_sure(self) -> bool:
        """Whether the corrected p-value is below 0.05."""
        return self.found.p_holm is not None and self.found.p_holm < 0.05


@dataclass(frozen=True)
class Agreement:
    """Rank correlation over the cards of each pair of metrics; the colour of each cell is from -LEVELS to LEVELS."""

    metrics: tuple[str, ...]
    cells: tuple[tuple[tuple[int, str], ...], ...]
    n_cards: int


@dataclass(frozen=True)
class Several:
    """All that is said of more than one card.

    Attributes
    ----------
    names : tuple of str
    forests : tuple of Forest
    metrics : tuple of str
        Of the ranks.
    ranks : tuple of RankLine
        The best mean place first.
    differences : tuple of DifferenceLine
    all_pairs : bool
        Whether every pair is listed.
    refusal : str
        Why there are no differences; empty where there are.
    remarks : tuple of str
        What could not be compared.
    agreement : Agreement or None
        None for fewer than 4 cards.
    """

    names: tuple[str, ...]
    forests: tuple[Forest, ...]
    metrics: tuple[str, ...]
    ranks: tuple[RankLine, ...]
    differences: tuple[DifferenceLine, ...]
    all_pairs: bool
    refusal: str
    remarks: tuple[str, ...]
    agreement: Agreement | None


_MOST_REMARKS = 30


def several(cards: Sequence[ScoreCard], names: Sequence[str]) -> Several:
    """Set cards side by side.

    Parameters
    ----------
    cards : sequence of ScoreCard
        At least two.
    names : sequence of str
        One a card.

    Returns
    -------
    Several
        Cards that cannot be compared in pairs still have values and ranks; ``refusal`` says why.
    """
    held = [{score.name: score for score in card.every_score()} for card in cards]
    metrics = tuple(dict.fromkeys(name for scores in held for name in scores))
    shared = tuple(name for name in metrics if sum(name in scores for scores in held) > 1)
    refusal, found = "", Comparison(tuple(names), {}, ())
    try:
        found = compare(*cards, names=list(names))
    except InvalidInputError as error:
        refusal = str(error)
    remarks = list(dict.fromkeys(found.remarks()))
    if len(remarks) > _MOST_REMARKS:
        remarks = [*remarks[:_MOST_REMARKS], f"and {len(remarks) - _MOST_REMARKS} more of this kind"]
    values = np.array([[_value(scores.get(name)) for name in shared] for scores in held])
    upward = np.array([_upward(name) for name in shared])
    return Several(
        tuple(names),
        tuple(_forest(name, names, [scores.get(name) for scores in held]) for name in metrics),
        shared,
        _ranks(names, values * upward),
        tuple(_lines(found, len(cards))),
        len(cards) <= ALL_PAIRS,
        refusal,
        tuple(remarks),
        _agreement(shared, values * upward),
    )


def _value(score: Score | None) -> float:
    return math.nan if score is None else score.value


def explained(name: str) -> Explanation:
    """Explain a score by the name it has on a card: ``mig@chen2018``, ``dci.completeness``."""
    metric, dot, part = name.partition(".")
    return explain(metric, part if dot else "")


def _upward(name: str) -> float:
    return -1.0 if explained(name).higher_is_better is False else 1.0


def _forest(name: str, names: Sequence[str], scores: Sequence[Score | None]) -> Forest:
    meant = explained(name)
    known = [score for score in scores if score is not None and not score.undefined]
    ends = axis_of(known, meant.bounds)
    sign = _upward(name)
    order = sorted(
        range(len(names)),
        key=lambda i: (math.isnan(_value(scores[i])), -sign * _value(scores[i]) if known else 0.0, i),
    )
    lines = tuple(
        ForestLine(names[i], one, None if one is None or one.undefined else whisker(one, ends))
        for i, one in ((i, scores[i]) for i in order)
    )
    return Forest(name, meant, ends, lines)


def _ranks(names: Sequence[str], values: np.ndarray) -> tuple[RankLine, ...]:
    places = np.full(values.shape, np.nan)
    for column, of_metric in enumerate(values.T):
        known = ~np.isnan(of_metric)
        places[known, column] = rankdata(-of_metric[known])
    lines = []
    for name, row in zip(names, places, strict=True):
        known = row[~np.isnan(row)]
        cells = tuple(
            (None, 0) if math.isnan(place) else (float(place), round(LEVELS * (len(names) - place) / len(names)))
            for place in row
        )
        lines.append(RankLine(name, cells, float(known.mean()) if len(known) else math.nan))
    return tuple(sorted(lines, key=lambda line: (math.isnan(line.mean), line.mean)))


def _lines(found: Comparison, n_cards: int) -> Iterator[DifferenceLine]:
    by_metric: dict[str, list[Difference]] = {}
    for one in found.differences:
        by_metric.setdefault(one.metric, []).append(one)
    for name, differences in by_metric.items():
        listed = differences
        if n_cards > ALL_PAIRS:
            values = {of: value for d in differences for of, value in zip(d.names, (d.first, d.second), strict=True)}
            leader = max(values, key=lambda of: _upward(name) * values[of])
            listed = [d for d in differences if leader in d.names]
        ends = [d.difference for d in listed]
        ends += [end for d in listed if d.interval for end in (d.interval.low, d.interval.high)]
        reach = max(map(abs, filter(math.isfinite, ends)), default=0.0) or 1.0
        for one in listed:
            low, high = (one.interval.low, one.interval.high) if one.interval else (None, None)
            yield DifferenceLine(
                one, _place(low, reach), _place(high, reach), _place(one.difference, reach) or 0.0, 50.0
            )


def _place(value: float | None, reach: float) -> float | None:
    return None if value is None else round(50 + 50 * min(max(value / reach, -1.0), 1.0), 2)


def _agreement(metrics: tuple[str, ...], values: np.ndarray) -> Agreement | None:
    """Correlate the values of metrics over cards that have both; lower is better counts upside down."""
    if len(values) < FEWEST_RANKED or len(metrics) < 2:
        return None
    found = np.full((len(metrics), len(metrics)), np.nan)
    np.fill_diagonal(found, 1.0)
    for i, j in combinations(range(len(metrics)), 2):
        both = ~np.isnan(values[:, [i, j]]).any(axis=1)
        first, second = values[both, i], values[both, j]
        if both.sum() >= FEWEST_RANKED and np.ptp(first) > 0 and np.ptp(second) > 0:
            found[i, j] = found[j, i] = np.corrcoef(rankdata(first), rankdata(second))[0, 1]
    cells = tuple(
        tuple((0, "–") if math.isnan(value) else (round(LEVELS * value), f"{value:z.2f}") for value in row)
        for row in found
    )
    return Agreement(metrics, cells, len(values))
