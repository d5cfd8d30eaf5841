"""Scores of single factors, for each metric that has them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from disentmetrics.errors import InvalidInputError
from disentmetrics.plots._style import COLOURS, GREY, n_columns, only_card, panels, plain, title
from disentmetrics.results.card import ScoreCard

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(cards: Mapping[str, ScoreCard]) -> "Figure":
    """Draw one panel per metric, one bar per factor, and the score over all factors as a line."""
    card = only_card(cards, "per-factor")
    scores = [score for score in card.values() if score.per_factor and not score.undefined]
    if not scores:
        undefined = ", ".join(score.name for score in card.values() if score.undefined)
        raise InvalidInputError(
            "per-factor needs a score with a value for each factor, such as mig; this card has none"
            f"{f' (undefined: {undefined})' if undefined else ''}; score again with one"
        )
    factors = list(dict.fromkeys(name for score in scores for name in score.per_factor))
    wide = n_columns(len(scores), 4)
    drawn, axes = panels(len(scores), 4, 0.5 + 0.16 * max(3, len(factors)), top=0.3)
    places = np.arange(len(factors))
    for index, (panel, score) in enumerate(zip(axes, scores, strict=True)):
        values = np.array([score.per_factor.get(name, np.nan) for name in factors], dtype=np.float64)
        defined = np.isfinite(values)
        panel.barh(places[defined], values[defined], color=COLOURS[0], height=0.7)
        for place in places[~defined]:
            panel.text(0.0, place, " undefined", va="center", fontsize=5, color=GREY)
        panel.axvline(score.value, color="black", linewidth=0.8, linestyle="--")
        panel.set_title(plain(score.name))
        panel.set_ylim(len(factors) - 0.5, -0.5)
        shown = [plain(name, 16) for name in factors] if index % wide == 0 else []
        panel.set_yticks(places if shown else [], shown)
        if np.nanmin([*values, score.value, 0.0]) >= 0 and np.nanmax([*values, score.value]) <= 1:
            panel.set_xlim(0, 1)
            panel.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        else:
            panel.axvline(0, color=GREY, linewidth=0.6)
            panel.locator_params(axis="x", nbins=4)
    title(drawn, "Scores of single factors (dashed: the score)")
    return drawn
