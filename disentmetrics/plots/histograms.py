"""Histogram of each latent, with the prior where a posterior is available."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from disentmetrics.plots._style import COLOURS, GREY, code_order, left_out, panels, plain, summary_of, title
from disentmetrics.results.card import ScoreCard

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_PANELS = 20
_MOST_OF_CURVE = 3.0


def draw(cards: Mapping[str, ScoreCard]) -> "Figure":
    """Draw up to 20 latents, largest KL first, or most informative first without a posterior.

    The curve is N(0, 1), or without posteriors the normal distribution with the same mean and standard deviation.
    """
    summary = summary_of(cards, "histograms", factors=False)
    by_kl = summary.kl is not None
    order = np.argsort(-summary.kl, kind="stable") if summary.kl is not None else code_order(summary.share, 10**6)
    order = order[:MAX_PANELS]
    drawn, axes = panels(len(order), 5, 1.15)
    for panel, j in zip(axes, order, strict=True):
        edges, counts = summary.histogram_edges[j], summary.histogram_counts[j]
        widths = np.diff(edges)
        scale = counts.sum() * (widths if (widths > 0).all() else 1.0)
        mean, spread = (0.0, 1.0) if by_kl else (summary.mean[j], summary.std[j])
        panel.stairs(counts / scale, edges, fill=True, color=COLOURS[5], alpha=0.9)
        if spread > 0:
            low, high = min(edges[0], mean - 3 * spread), max(edges[-1], mean + 3 * spread)
            along = np.linspace(low, high, 121) if by_kl else np.linspace(edges[0], edges[-1], 121)
            with np.errstate(under="ignore", over="ignore"):
                curve = np.exp(-(((along - mean) / spread) ** 2) / 2) / (spread * np.sqrt(2 * np.pi))
            panel.plot(along, curve, color="black", linewidth=0.8, linestyle="-" if by_kl else "--")
            # Spikes are clipped: otherwise the curve would be flat.
            panel.set_ylim(0, 1.05 * min(max(np.max(counts / scale), curve.max()), _MOST_OF_CURVE * curve.max()))
        note = f" · {summary.kl[j]:.2g} nats" if summary.kl is not None else ""
        name = plain(summary.code_names[j], 9 if note else 14)
        panel.set_title(f"{name}{note}", color="black" if summary.active[j] else GREY)
        panel.set_yticks([])
        panel.spines["left"].set_visible(False)
        panel.locator_params(axis="x", nbins=4)
    against = "the prior N(0, 1)" if by_kl else "a normal distribution of the same mean and spread"
    n_codes = len(summary.code_names) + summary.n_left_out
    title(drawn, f"Histograms of latents, with {against}{left_out(len(order), n_codes)}")
    return drawn
