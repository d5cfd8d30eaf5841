"""Rank correlation of the codes with each other."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from disentmetrics.plots._style import code_order, figure, left_out, matrix, summary_of
from disentmetrics.result import ScoreCard

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(cards: Mapping[str, ScoreCard]) -> "Figure":
    """Draw Spearman's correlation, codes in the order of the factors that they tell; constant codes are grey."""
    summary = summary_of(cards, "correlation", factors=False)
    order = code_order(summary.share)
    names = [summary.code_names[j] for j in order]
    side = 1.4 + max(1.6, min(5.0, 0.32 * len(order)))
    drawn = figure(side + 0.6, side)
    axes = drawn.subplots()
    cells = matrix(axes, summary.correlation[order][:, order], names, names, span=(-1.0, 1.0), colours="PuOr")
    axes.set_aspect("equal")
    n_codes = len(summary.code_names) + summary.n_left_out
    axes.set_title(f"Correlation of codes{left_out(len(order), n_codes)}")
    drawn.colorbar(cells, ax=axes, label="Spearman's ρ", fraction=0.045, pad=0.02)
    return drawn
