"""Rank correlation of the latents with each other."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from disentmetrics.plots._style import code_order, figure, left_out, matrix, room_below, summary_of
from disentmetrics.results.card import ScoreCard

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(cards: Mapping[str, ScoreCard]) -> "Figure":
    """Draw Spearman's correlation, latents ordered by their best encoded factors; constant latents are grey."""
    summary = summary_of(cards, "correlation", factors=False)
    order = code_order(summary.share)
    names = [summary.code_names[j] for j in order]
    side = max(1.6, min(5.3, 0.32 * len(order)))
    drawn = figure(side + 1.1 + 0.06 * min(22, max(map(len, names))), side + 0.35 + room_below(names))
    axes = drawn.subplots()
    cells = matrix(axes, summary.correlation[order][:, order], names, names, span=(-1.0, 1.0), colours="PuOr")
    n_codes = len(summary.code_names) + summary.n_left_out
    axes.set_title(f"Correlation of latents{left_out(len(order), n_codes)}")
    drawn.colorbar(cells, ax=axes, label="Spearman's ρ", fraction=0.045, pad=0.02)
    return drawn
