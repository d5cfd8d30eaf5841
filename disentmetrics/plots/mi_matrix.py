"""Mutual information of each latent with each factor, as a share of the factor's entropy."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from disentmetrics.plots._style import WIDTH, code_order, figure, left_out, matrix, room_below, summary_of
from disentmetrics.results.card import ScoreCard

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(cards: Mapping[str, ScoreCard]) -> "Figure":
    """Draw I(z; v) / H(v) with factors as rows and latents as columns, ordered to be as diagonal as possible."""
    summary = summary_of(cards, "mi-matrix")
    order = code_order(summary.share)
    codes = [summary.code_names[j] for j in order]
    drawn = figure(WIDTH, 0.5 + room_below(codes) + max(1.1, 0.24 * len(summary.factors)))
    axes = drawn.subplots()
    rows = [
        f"{name} ({entropy:.2f} nats)"
        for name, entropy in zip(summary.factor_names, summary.factor_entropies, strict=True)
    ]
    cells = matrix(axes, summary.share[order].T, rows, codes, span=(0.0, 1.0), colours="Blues")
    n_codes = len(summary.code_names) + summary.n_left_out
    axes.set_title(f"Mutual information of latents and factors{left_out(len(order), n_codes)}")
    drawn.colorbar(cells, ax=axes, label="share of entropy", fraction=0.04, pad=0.01)
    return drawn
