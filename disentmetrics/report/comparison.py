"""Comparison of score cards in the report: values, ranks, paired differences, agreement of metrics."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from disentmetrics.comparison.compare import Comparison, Difference, compare
from disentmetrics.errors import InvalidInputError
from disentmetrics.estimators.ranks import mid_ranks
from disentmetrics.report.figures import LEVELS, Whisker, axis_of, whisker
from disentmetrics.report.tables import Explanation, explain
from disentmetrics.results.card import ScoreCard
from disentmetrics.results.score import Score

ALL_PAIRS = 6
"""Largest number of cards for which all pairs are listed; beyond it, each card is compared with the best one."""
FEWEST_RANKED = 4
"""Smallest number of cards for which the agreement of metrics is shown."""


@dataclass(frozen=True)
class ForestLine:
    """Score of one card under one metric."""

    card: str
    score: Score | None
    mark: Whisker | None


@dataclass(frozen=True)
class Forest:
    """One metric over all cards, best first; ``ends`` are the limits of its axis."""

    metric: str
    explanation: Explanation
    ends: tuple[float, float]
    lines: tuple[ForestLine, ...]


@dataclass(frozen=True)
class RankLine:
    """Ranks of one card (1 is best, ties share their mean rank) with the colour level of each, and the mean rank."""

    card: str
    ranks: tuple[tuple[float | None, int], ...]
    mean: float


@dataclass(frozen=True)
class DifferenceLine:
    """A paired difference between two cards, and its position on the axis of the metric, in percent."""

    difference: Difference
    low: float | None
    high: float | None
    point: float
    zero: float

    @property
    def is_significant(self) -> bool:
        """Whether the corrected p-value is below 0.05."""
        return self.difference.p_holm is not None and self.difference.p_holm < 0.05


@dataclass(frozen=True)
class Agreement:
    """Rank correlation over cards of each pair of metrics; colours range from -LEVELS to LEVELS."""

    metrics: tuple[str, ...]
    cells: tuple[tuple[tuple[int, str], ...], ...]
    n_cards: int


@dataclass(frozen=True)
class CardComparison:
    """Comparison of two or more score cards, as the report shows it.

    Attributes
    ----------
    names : tuple of str
    forests : tuple of Forest
    metrics : tuple of str
        Metrics that are ranked.
    ranks : tuple of RankLine
        Best mean rank first.
    differences : tuple of DifferenceLine
    all_pairs : bool
        Whether all pairs are listed.
    refusal : str
        Why there are no differences; empty if there are.
    notes : tuple of str
        Scores that could not be compared, and why.
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
    notes: tuple[str, ...]
    agreement: Agreement | None


_MAX_NOTES = 30


def compare_cards(cards: Sequence[ScoreCard], names: Sequence[str]) -> CardComparison:
    """Compare score cards: values, ranks, paired differences, agreement of metrics.

    Parameters
    ----------
    cards : sequence of ScoreCard
        At least two.
    names : sequence of str
        One name per card.

    Returns
    -------
    CardComparison
        Cards that cannot be compared in pairs still have values and ranks; ``refusal`` gives the reason.
    """
    held = [{score.name: score for score in card.every_score()} for card in cards]
    metrics = tuple(dict.fromkeys(name for scores in held for name in scores))
    shared = tuple(name for name in metrics if sum(name in scores for scores in held) > 1)
    refusal, comparison = "", Comparison(tuple(names), {}, ())
    try:
        comparison = compare(*cards, names=list(names))
    except InvalidInputError as error:
        refusal = str(error)
    notes = list(dict.fromkeys(comparison.remarks()))
    if len(notes) > _MAX_NOTES:
        notes = [*notes[:_MAX_NOTES], f"and {len(notes) - _MAX_NOTES} more"]
    values = np.array([[_value(scores.get(name)) for name in shared] for scores in held])
    upward = np.array([_upward([scores.get(name) for scores in held]) for name in shared])
    return CardComparison(
        tuple(names),
        tuple(_forest(name, names, [scores.get(name) for scores in held]) for name in metrics),
        shared,
        _ranks(names, values * upward),
        tuple(_lines(comparison, len(cards))),
        len(cards) <= ALL_PAIRS,
        refusal,
        tuple(notes),
        _agreement(shared, values * upward),
    )


def _value(score: Score | None) -> float:
    return math.nan if score is None else score.value


def explanation_of(name: str) -> Explanation:
    """Return the explanation of a score by its name on a card, such as ``mig@chen2018`` or ``dci.completeness``."""
    metric, dot, part = name.partition(".")
    return explain(metric, part if dot else "")


def _upward(scores: Iterable[Score | None]) -> float:
    """Return -1 if lower scores are better, 1 otherwise."""
    return -1.0 if any(score is not None and score.higher_is_better is False for score in scores) else 1.0


def _forest(name: str, names: Sequence[str], scores: Sequence[Score | None]) -> Forest:
    explanation = explanation_of(name)
    defined = [score for score in scores if score is not None and not score.undefined]
    ends = axis_of(defined, next((score.bounds for score in scores if score is not None), (-math.inf, math.inf)))
    sign = _upward(scores)
    order = sorted(
        range(len(names)),
        key=lambda i: (math.isnan(_value(scores[i])), -sign * _value(scores[i]) if defined else 0.0, i),
    )
    lines = tuple(
        ForestLine(names[i], one, None if one is None or one.undefined else whisker(one, ends))
        for i, one in ((i, scores[i]) for i in order)
    )
    return Forest(name, explanation, ends, lines)


def _ranks(names: Sequence[str], values: np.ndarray) -> tuple[RankLine, ...]:
    ranks = np.full(values.shape, np.nan)
    for column, of_metric in enumerate(values.T):
        defined = ~np.isnan(of_metric)
        ranks[defined, column] = mid_ranks(-of_metric[defined])
    lines = []
    for name, row in zip(names, ranks, strict=True):
        defined = row[~np.isnan(row)]
        cells = tuple(
            (None, 0) if math.isnan(rank) else (float(rank), round(LEVELS * (len(names) - rank) / len(names)))
            for rank in row
        )
        lines.append(RankLine(name, cells, float(defined.mean()) if len(defined) else math.nan))
    return tuple(sorted(lines, key=lambda line: (math.isnan(line.mean), line.mean)))


def _lines(comparison: Comparison, n_cards: int) -> Iterator[DifferenceLine]:
    by_metric: dict[str, list[Difference]] = {}
    for one in comparison.differences:
        by_metric.setdefault(one.metric, []).append(one)
    for name, differences in by_metric.items():
        listed = differences
        if n_cards > ALL_PAIRS:
            values = {of: value for d in differences for of, value in zip(d.names, (d.first, d.second), strict=True)}
            upward = _upward(comparison.scores[name])
            leader = max(values, key=lambda of: upward * values[of])
            listed = [d for d in differences if leader in d.names]
        ends = [d.difference for d in listed]
        ends += [end for d in listed if d.interval for end in (d.interval.low, d.interval.high)]
        reach = max(map(abs, filter(math.isfinite, ends)), default=0.0) or 1.0
        for one in listed:
            low, high = (one.interval.low, one.interval.high) if one.interval else (None, None)
            yield DifferenceLine(
                one, _position(low, reach), _position(high, reach), _position(one.difference, reach) or 0.0, 50.0
            )


def _position(value: float | None, reach: float) -> float | None:
    return None if value is None else round(50 + 50 * min(max(value / reach, -1.0), 1.0), 2)


def _agreement(metrics: tuple[str, ...], values: np.ndarray) -> Agreement | None:
    """Return rank correlations of metrics over the cards that have both; ``values`` are oriented, higher is better."""
    if len(values) < FEWEST_RANKED or len(metrics) < 2:
        return None
    correlations = np.full((len(metrics), len(metrics)), np.nan)
    np.fill_diagonal(correlations, 1.0)
    for i, j in combinations(range(len(metrics)), 2):
        both = ~np.isnan(values[:, [i, j]]).any(axis=1)
        first, second = values[both, i], values[both, j]
        if both.sum() >= FEWEST_RANKED and np.ptp(first) > 0 and np.ptp(second) > 0:
            correlations[i, j] = correlations[j, i] = np.corrcoef(mid_ranks(first), mid_ranks(second))[0, 1]
    cells = tuple(
        tuple((0, "–") if math.isnan(value) else (round(LEVELS * value), f"{value:z.2f}") for value in row)
        for row in correlations
    )
    return Agreement(metrics, cells, len(values))
