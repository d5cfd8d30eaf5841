"""Each factor against its most informative latent."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from disentmetrics._utils.typing import Floats
from disentmetrics.factors import Factor
from disentmetrics.plots._style import COLOURS, GREY, left_out, panels, plain, summary_of, title
from disentmetrics.results.card import ScoreCard

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_PANELS = 20
_MAX_VIOLINS = 10
_FEWEST_ROWS = 5  # of a violin


def draw(cards: Mapping[str, ScoreCard]) -> "Figure":
    """Draw a violin per value for factors with few values, and a scatter plot for others."""
    summary = summary_of(cards, "best-pairs")
    n_shown = min(len(summary.factors), MAX_PANELS)
    drawn, axes = panels(n_shown, 4, 1.65)
    share = summary.share
    for k, panel in enumerate(axes):
        factor, j = summary.factors[k], int(summary.best_codes[k])
        panel.set_xlabel(plain(factor.name))
        if j < 0 or not summary.factor_entropies[k]:
            panel.text(0.5, 0.5, "not encoded", ha="center", va="center", transform=panel.transAxes, color=GREY)
            panel.set_xticks([])
            panel.set_yticks([])
            continue
        values = summary.sample_factors[:, k]
        present = np.isfinite(values)
        _draw_pair(panel, factor, values[present], summary.sample_codes[present, j])
        panel.set_title(f"{plain(summary.code_names[j], 14)}: {share[j, k]:.0%} of entropy")
        panel.set_ylabel(plain(summary.code_names[j], 14))
        panel.locator_params(axis="y", nbins=5)
    title(drawn, f"Factors and their most informative latents{left_out(n_shown, len(summary.factors), 'factors')}")
    return drawn


def _draw_pair(panel: "Axes", factor: Factor, values: Floats, codes: Floats) -> None:
    if factor.size is None or (factor.size > _MAX_VIOLINS and factor.kind != "categorical"):
        physical = _physical(factor, values)
        panel.scatter(physical, codes, s=4, color=COLOURS[0], alpha=0.5, linewidths=0, rasterized=len(codes) > 1000)
        panel.locator_params(axis="x", nbins=4)
        return
    kept = np.unique(values)
    if len(kept) > _MAX_VIOLINS:  # the most frequent categories
        counts = np.array([(values == value).sum() for value in kept])
        kept = np.sort(kept[np.argsort(-counts, kind="stable")[:_MAX_VIOLINS]])
    for position, value in enumerate(kept):
        _draw_violin(panel, position, codes[values == value])
    names = [_name(factor, value) for value in kept]
    long = sum(map(len, names)) > 24
    panel.set_xticks(range(len(kept)), names, rotation=90 if long and len(names) > 2 else 0)


def _draw_violin(panel: "Axes", position: int, codes: Floats) -> None:
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        spread = float(codes.std())
    smooth = len(codes) >= _FEWEST_ROWS and len(np.unique(codes)) > 2
    if smooth and np.isfinite(spread) and spread > 1e-9 * float(np.abs(codes).max()):
        parts = panel.violinplot([codes], [position], widths=0.85, showextrema=False, showmedians=True)
        bodies: Any = parts["bodies"]
        for body in bodies:
            body.set(facecolor=COLOURS[5], edgecolor=COLOURS[0], alpha=0.8, linewidth=0.5)
        parts["cmedians"].set(color="black", linewidth=0.8)
        return
    jittered = position + 0.5 * (np.arange(len(codes)) / max(1, len(codes) - 1) - 0.5)
    panel.scatter(jittered, codes, s=4, color=COLOURS[0], alpha=0.6, linewidths=0)


def _physical(factor: Factor, values: Floats) -> Floats:
    if factor.size is None or not factor.values or isinstance(factor.values[0], str):
        return values
    return np.array(factor.values, dtype=np.float64)[values.astype(np.int64)]


def _name(factor: Factor, value: float) -> str:
    if not factor.values:
        return f"{value:.0f}"
    label = factor.values[int(value)]
    return plain(label, 10) if isinstance(label, str) else f"{label:.3g}"
