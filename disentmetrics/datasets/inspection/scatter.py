"""A sheet of plots that shows what each factor does to vectors."""

from io import BytesIO
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.figures import empty_figure, import_matplotlib
from disentmetrics.datasets.base import DataSet
from disentmetrics.datasets.inspection.preview import label_of, title_of
from disentmetrics.errors import InvalidInputError
from disentmetrics.factors import Factor

MOST_DIMENSIONS = 4
MOST_ROWS = 12
_PANEL = 1.8  # inches


def scatter_sheet(data: DataSet, rng: np.random.Generator, *, n_points: int = 2_400) -> NDArray[np.uint8]:
    """Plot the first dimensions of vectors against each other: a row for each factor, which gives the colour.

    Parameters
    ----------
    data : DataSet
        Of vectors.
    rng : numpy.random.Generator
        Decides which observations are drawn.
    n_points : int
        Observations to draw; all there are, if they are fewer.

    Returns
    -------
    (height, width, 3) uint8
        At most 12 factors, and the pairs of the first 4 dimensions. A single dimension is plotted
        against the factor.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    from PIL import Image

    import_matplotlib()
    try:
        draws = data.sample(n_points, rng)
    except InvalidInputError:  # there are fewer
        draws = data.full_grid()
    points = data.observations(draws.factors, draws.nuisance)
    n_dimensions = min(points.shape[1], MOST_DIMENSIONS)
    pairs = list(combinations(range(n_dimensions), 2)) or [(0, 0)]
    n_rows = min(max(len(data.space), 1), MOST_ROWS)
    figure = empty_figure(figsize=(_PANEL * len(pairs) + 1.8, _PANEL * n_rows + 0.9), dpi=120)
    figure.suptitle(title_of(data))
    panels = figure.subplots(n_rows, len(pairs), squeeze=False)
    # What is drawn last hides the rest, so the order must not follow the factors.
    order = rng.permutation(len(points))
    points, factors = points[order], np.asarray(draws.factors[order], float)
    for row, line in enumerate(panels):
        factor = data.space.factors[row] if len(data.space) else None
        colours = {} if factor is None else {"c": factors[:, row], **_colours(factor)}
        for panel, (first, second) in zip(line, pairs, strict=True):
            is_pair = first != second
            height = points[:, second] if is_pair else colours.get("c", points[:, second])
            dots = panel.scatter(points[:, first], height, s=3, linewidths=0, **colours)
            panel.set_xlabel(f"x{first}", fontsize=8)
            panel.set_ylabel(f"x{second}" if is_pair or factor is None else factor.name, fontsize=8)
            panel.locator_params(nbins=3)
            panel.tick_params(labelsize=6)
        if factor is not None:
            bar = figure.colorbar(dots, ax=list(line), label=factor.name)
            bar.ax.tick_params(labelsize=6)
            if factor.size is not None and factor.size <= MOST_ROWS:
                bar.set_ticks(range(factor.size), labels=[label_of(factor, index) for index in range(factor.size)])
    left_out = len(data.space) - n_rows
    if left_out > 0:
        figure.supxlabel(f"{left_out} more factors: {', '.join(data.space.names[n_rows:])}", fontsize=8)
    with BytesIO() as drawn:
        figure.savefig(drawn, format="png")
        return np.asarray(Image.open(drawn).convert("RGB"))


def _colours(factor: Factor) -> dict[str, Any]:
    from matplotlib import colormaps

    if factor.kind != "categorical" or factor.size is None:
        return {"cmap": "twilight" if factor.kind == "circular" else "viridis"}
    shades = colormaps["tab10" if factor.size <= 10 else "turbo"]
    return {"cmap": shades.resampled(factor.size), "vmin": -0.5, "vmax": factor.size - 0.5}
