"""Mean of each latent over the plane of two factors, such as x and y."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from disentmetrics.errors import InvalidInputError
from disentmetrics.plots._style import WIDTH, figure, plain, summary_of
from disentmetrics.results.card import ScoreCard

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_N_COLUMNS = 6
_MOST_CODES = 12
_REACH = 2.0


def draw(cards: Mapping[str, ScoreCard]) -> "Figure":
    """Draw a map per latent, most informative first, in units of the latent's standard deviation."""
    import matplotlib as mpl

    summary = summary_of(cards, "tuning-maps")
    if not summary.tuning_maps:
        raise InvalidInputError(
            "tuning-maps needs two ordinal or continuous factors of 4 values or more; "
            f"the factors are {', '.join(f'{f.name} ({f.kind})' for f in summary.factors)}"
        )
    n_columns = min(_N_COLUMNS, max(len(map_.codes) for map_ in summary.tuning_maps))
    lines = [-(-min(len(map_.codes), _MOST_CODES) // n_columns) for map_ in summary.tuning_maps]
    drawn = figure(max(WIDTH * n_columns / _N_COLUMNS, 3.0), 1.1 * sum(lines) + 0.3 * len(lines) + 0.4)
    palette = mpl.colormaps["PuOr"].with_extremes(bad="#d9d9d9")
    parts = drawn.subfigures(len(lines), 1, squeeze=False, height_ratios=lines)[:, 0]
    for part, map_, n_lines in zip(parts, summary.tuning_maps, lines, strict=True):
        grid = part.subplots(n_lines, n_columns, squeeze=False, sharex=True, sharey=True)
        panels = list(grid.ravel())
        names = [plain(summary.factor_names[k]) for k in map_.factors]
        cells = None
        for panel, j, means in zip(panels, map_.codes, map_.means, strict=False):
            spread = summary.std[j] if summary.std[j] > 0 else 1.0
            scaled = (means / spread - summary.mean[j] / spread).T
            cells = panel.pcolormesh(
                _edges(map_.first),
                _edges(map_.second),
                np.ma.masked_invalid(scaled),
                cmap=palette,
                vmin=-_REACH,
                vmax=_REACH,
            )
            panel.set_title(plain(summary.code_names[j], 14))
            panel.set_box_aspect(1)
            panel.locator_params(nbins=3)
        for panel in panels[len(map_.codes) :]:
            panel.set_visible(False)
        for panel in grid[-1]:
            panel.set_xlabel(names[0])
        for panel in grid[:, 0]:
            panel.set_ylabel(names[1])
        part.colorbar(cells, ax=panels, label="standard deviations", fraction=0.12 / n_columns, pad=0.01, extend="both")
        part.suptitle(f"Mean of latents over {names[0]} and {names[1]}")
    return drawn


def _edges(middles: np.ndarray) -> np.ndarray:
    """Return the edges of cells around their increasing mean values."""
    if len(middles) < 2 or not (np.diff(middles) > 0).all():
        return np.arange(len(middles) + 1) - 0.5
    inner = (middles[1:] + middles[:-1]) / 2
    return np.array([2 * middles[0] - inner[0], *inner, 2 * middles[-1] - inner[-1]])
