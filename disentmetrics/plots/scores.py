"""All scores with intervals and nulls, of one or several cards."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from disentmetrics.errors import InvalidInputError
from disentmetrics.plots._style import COLOURS, GREY, MARKERS, WIDTH, figure, n_columns, panels, plain
from disentmetrics.results.card import ScoreCard
from disentmetrics.results.score import Score

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_SIDE_BY_SIDE = 8
"""Number of colours; for more cards, each metric has a separate panel with one line per card."""
_LINE = 0.13  # inches


def draw(cards: Mapping[str, ScoreCard]) -> "Figure":
    """Draw a forest plot: value, 95 % interval, and a tick at the null."""
    names = list(dict.fromkeys(score.name for card in cards.values() for score in card.every_score()))
    if not names:
        raise InvalidInputError("scores needs a card that contains a score; this one is empty")
    held = {name: [_find(card, name) for card in cards.values()] for name in names}
    labels = [plain(name, 30) for name in cards]
    if len(cards) > MOST_SIDE_BY_SIDE:
        return _by_metric(held, labels)
    return _by_card(held, labels)


def _find(card: ScoreCard, name: str) -> Score | None:
    return next((score for score in card.every_score() if score.name == name), None)


def _numbers(scores: Sequence[Score | None]) -> list[float]:
    numbers = []
    for score in scores:
        if score and not score.undefined:
            numbers += [score.value, *([score.null] if score.null is not None else [])]
            numbers += [score.interval.low, score.interval.high] if score.interval else []
    return [number for number in numbers if np.isfinite(number)]


def _of_unit(scores: Sequence[Score | None]) -> bool:
    return all(0 <= number <= 1 for number in _numbers(scores))


def _by_card(held: Mapping[str, Sequence[Score | None]], labels: Sequence[str]) -> "Figure":
    unit = [name for name, scores in held.items() if _of_unit(scores)]
    others = [name for name in held if name not in unit]
    groups = [unit, *([name] for name in others)] if unit else [[name] for name in others]
    tall = max(0.22, 0.08 + _LINE * len(labels))
    heights = [tall * len(group) + 0.3 for group in groups]
    drawn = figure(WIDTH * 0.75, sum(heights) + 0.35)
    grid = drawn.subplots(len(groups), 1, squeeze=False, height_ratios=heights)[:, 0]
    offsets = (np.arange(len(labels)) - (len(labels) - 1) / 2) * _LINE / tall
    for axes, group in zip(grid, groups, strict=True):
        for place, name in enumerate(group):
            for index, score in enumerate(held[name]):
                _mark(axes, place + offsets[index], score, index, 0.5 * _LINE / tall)
            if place:
                axes.axhline(place - 0.5, color="#e0e0e0", linewidth=0.5)
        axes.set_ylim(len(group) - 0.5, -0.5)
        axes.set_yticks(range(len(group)), [plain(name, 30) for name in group])
        axes.tick_params(axis="y", length=0)
        if group is unit:
            axes.set_xlim(-0.02, 1.02)
    _legend(drawn, labels)
    return drawn


def _by_metric(held: Mapping[str, Sequence[Score | None]], labels: Sequence[str]) -> "Figure":
    wide = n_columns(len(held), 4)
    drawn, axes = panels(len(held), 4, 0.55 + _LINE * len(labels))
    for position, (panel, (name, scores)) in enumerate(zip(axes, held.items(), strict=True)):
        for place, score in enumerate(scores):
            _mark(panel, place, score, 0, 0.4)
        panel.set_title(plain(name))
        panel.set_ylim(len(labels) - 0.5, -0.5)
        panel.set_yticks(range(len(labels)), labels if position % wide == 0 else [""] * len(labels), fontsize=6)
        panel.tick_params(axis="y", length=0)
        panel.grid(axis="y", color="#eeeeee", linewidth=0.5)
        if _of_unit(scores):
            panel.set_xlim(-0.03, 1.03)
            panel.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        else:
            panel.locator_params(axis="x", nbins=4)
    _legend(drawn, labels[:1], named=False)
    return drawn


def _mark(axes: "Axes", place: float, score: Score | None, index: int, half: float) -> None:
    if score is None or score.undefined:
        said = "not scored" if score is None else "undefined"
        axes.text(0.01, place, said, va="center", fontsize=5.5, color=GREY, transform=axes.get_yaxis_transform())
        return
    colour = COLOURS[index % len(COLOURS)]
    if score.null is not None:
        axes.plot([score.null] * 2, [place - half, place + half], color=GREY, linewidth=1.2, solid_capstyle="butt")
    if score.interval:
        axes.plot([score.interval.low, score.interval.high], [place, place], color=colour, linewidth=1.2)
    axes.plot(score.value, place, MARKERS[index % len(MARKERS)], color=colour, markersize=3.5, clip_on=False)


def _legend(drawn: "Figure", labels: Sequence[str], *, named: bool = True) -> None:
    from matplotlib.lines import Line2D

    marks = [
        Line2D([], [], color=COLOURS[i], marker=MARKERS[i], markersize=3.5, linewidth=1.2) for i in range(len(labels))
    ]
    said = list(labels) if named else ["value and 95 % interval"]
    null = Line2D([], [], color=GREY, marker="|", linestyle="none", markersize=6, markeredgewidth=1.2)
    drawn.legend(
        [*marks, null],
        [*said, "null: rows permuted"],
        loc="outside upper center",
        ncols=min(3 if max(map(len, said)) < 28 else 2, len(said) + 1),
        frameon=False,
    )
