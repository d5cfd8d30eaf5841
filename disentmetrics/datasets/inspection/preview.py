"""Previews: a contact sheet of images, or scatter plots of vectors, that shows the effect of each factor."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.cache import atomic_path
from disentmetrics._utils.figures import empty_figure, import_matplotlib
from disentmetrics.datasets.arrays.custom import CustomDataSet
from disentmetrics.datasets.base import DataSet, Draws
from disentmetrics.datasets.inspection.sweep import sweep, values_of
from disentmetrics.errors import InvalidInputError
from disentmetrics.factors import Factor

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont, ImageFont

MAX_ROWS = 12
"""Number of factors shown; further ones are listed below the sheet."""
MAX_VALUES = 12
"""Number of values shown per factor, and of columns of a sheet."""
MAX_DIMENSIONS = 4
"""Number of dimensions of vectors plotted against each other."""

_MIN_TILE, _MAX_TILE = 96, 192  # pixels: smaller observations are enlarged, larger ones reduced
_GAP, _MARGIN = 8, 24
_NAME_WIDTH = 220
_BACKGROUND, _TEXT, _FAINT_TEXT = (236, 236, 236), (32, 32, 32), (110, 110, 110)
_TITLE_SIZE, _NAME_SIZE, _VALUE_SIZE = 24, 18, 14
_LINE_HEIGHT = 1.3  # in units of the font size
_PANEL_SIZE = 1.8  # inches


@dataclass(frozen=True)
class SheetRow:
    """Observations of one row of a sheet, with its texts.

    Attributes
    ----------
    name, about : str
        Name of the row, such as that of the factor that varies, and a short description.
    draws : Draws
        The observations.
    labels : tuple of str
        One per observation, or none.
    """

    name: str
    about: str
    draws: Draws
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class ImageRow:
    """Images of one row of a sheet, with its texts.

    Attributes
    ----------
    name, about : str
        As for :class:`SheetRow`.
    images : (n, height, width, 1 or 3) uint8
    labels : tuple of str
        One per image, or none.
    """

    name: str
    about: str
    images: NDArray[np.uint8]
    labels: tuple[str, ...] = ()


def contact_sheet(data: DataSet, *, seed: int = 0, n_samples: int = 24) -> NDArray[np.uint8]:
    """Draw random samples, then one row per factor in which that factor alone varies.

    A row shows at most 12 evenly spaced values of the factor, including the first and the last; all
    other factors and the nuisance are fixed to those of one observation, the same for all rows. One
    more row varies the nuisance with fixed factors. The rows of a table may not contain such
    observations: the sheet then states so and shows the nearest ones, several per value if there is
    room. At most 12 factors are shown. Small images are enlarged and large ones reduced by integer
    factors. For vectors, the first dimensions are plotted against each other, coloured by each factor.

    Parameters
    ----------
    data : DataSet
        Data set of images (height, width, 1 or 3), or of vectors.
    seed : int
        Random seed of the observations shown.
    n_samples : int
        Number of random samples at the top. A plot of vectors has a hundred times as many points.

    Returns
    -------
    (height, width, 3) uint8

    Raises
    ------
    InvalidInputError
        If observations are neither images nor vectors.
    MissingExtraError
        If observations are vectors and matplotlib is not installed.

    Examples
    --------
    >>> from disentmetrics.datasets import load_dataset
    >>> sheet = contact_sheet(load_dataset("dsprites"), n_samples=12)
    >>> sheet.dtype.name, sheet.shape[2], sheet.shape[1] > 12 * 64
    ('uint8', 3, True)
    """
    rng = np.random.default_rng(seed)
    if len(data.observation_shape) == 1:
        return scatter_sheet(data, rng, n_points=100 * n_samples)
    if len(data.observation_shape) != 3 or data.observation_shape[2] not in {1, 3}:
        raise InvalidInputError(
            "a preview requires images of shape (height, width, 1 or 3) or vectors; "
            f"observations of {data.name} have shape {data.observation_shape}"
        )
    rows = [
        ImageRow(row.name, row.about, data.observations(row.draws.factors, row.draws.nuisance), row.labels)
        for row in sheet_rows(data, rng, n_samples)
    ]
    return draw_sheet(title_of(data), rows, _further_factors(data, MAX_ROWS))


def title_of(data: DataSet) -> str:
    """Return the fingerprint if it contains options or transforms, else the name.

    Examples
    --------
    >>> from disentmetrics.datasets import load_dataset
    >>> title_of(load_dataset("mini-sprites")), title_of(load_dataset("mini-sprites?select=shape:heart"))
    ('mini-sprites', 'mini-sprites-1+select(shape=2)')
    """
    if isinstance(data, CustomDataSet) or re.fullmatch(rf"{re.escape(data.name)}-\d+", data.fingerprint):
        return data.name
    return data.fingerprint


def save_preview(data: DataSet, path: Path, *, seed: int = 0, n_samples: int = 24) -> None:
    """Write the contact sheet of a data set as PNG.

    Parameters
    ----------
    data : DataSet
        Data set to show.
    path : Path
        File that ends in .png; its folder is created if it does not exist.
    seed, n_samples : int
        As for :func:`contact_sheet`.

    Raises
    ------
    InvalidInputError
        If the path does not end in .png, or observations are neither images nor vectors.
    MissingExtraError
        If observations are vectors and matplotlib is not installed.
    StorageError
        If the file cannot be written; no partial file is left behind.
    """
    check_path(path)
    from PIL import Image

    sheet = Image.fromarray(contact_sheet(data, seed=seed, n_samples=n_samples))
    with atomic_path(path) as temporary:
        sheet.save(temporary, format="png", optimize=True)


def check_path(path: Path) -> None:
    """Raise InvalidInputError unless the path ends in .png."""
    if path.suffix.lower() != ".png":
        raise InvalidInputError(f"a preview must be a PNG file, such as {path.stem}.png; got {path}")


def sheet_rows(data: DataSet, rng: np.random.Generator, n_samples: int) -> list[SheetRow]:
    """Return the rows of a sheet: random samples, then one row per factor and one for the nuisance."""
    start = data.sample(1, rng)
    rows = [
        SheetRow("samples" if first == 0 else "", "", samples[first : first + MAX_VALUES])
        for samples in [_samples(data, rng, n_samples)]
        for first in range(0, len(samples), MAX_VALUES)
    ]
    for position, factor in enumerate(data.space.factors[:MAX_ROWS]):
        values = values_of(data, position, MAX_VALUES, rng=rng, start=start)
        swept = sweep(data, start, position, values, n_draws=MAX_VALUES)
        kind = factor.kind if factor.size is None else f"{factor.kind}, {factor.size}"
        about = kind if swept.exact else f"{kind}; nearest rows"
        rows.append(SheetRow(factor.name, about, swept.draws, tuple(label_of(factor, v) for v in swept.values)))
    if data.nuisances:
        factors = np.repeat(start.factors, MAX_VALUES, axis=0)
        distinct = _distinct(data, Draws(factors, data.sample_nuisance(factors, rng)))
        if len(distinct) > 1:  # a table may have a single row with these factors
            rows.append(SheetRow("nuisance", ", ".join(data.nuisances), distinct))
    return rows


def label_of(factor: Factor, value: float) -> str:
    """Return the label of a value of a factor: its name, its physical value or its index."""
    label = value if factor.size is None else factor.values[int(value)] if factor.values else int(value)
    return f"{label:z.3g}" if isinstance(label, float) else str(label)


def _samples(data: DataSet, rng: np.random.Generator, n_samples: int) -> Draws:
    draws = _at_most(data, rng, n_samples)
    return draws[rng.permutation(len(draws))]


def _at_most(data: DataSet, rng: np.random.Generator, n: int) -> Draws:
    """Return ``n`` random draws, or all if there are fewer."""
    try:
        return data.sample(n, rng)
    except InvalidInputError:
        return data.full_grid()


def _distinct(data: DataSet, draws: Draws) -> Draws:
    """Return the first draw of each distinct observation."""
    contents = [observation.tobytes() for observation in data.observations(draws.factors, draws.nuisance)]
    return draws[np.array(sorted(contents.index(content) for content in set(contents)))]


def _further_factors(data: DataSet, n_shown: int) -> str:
    rest = data.space.names[n_shown:]
    return f"{len(rest)} more factors: {', '.join(rest)}" if rest else ""


def draw_sheet(
    title: str, rows: Sequence[ImageRow], footer: str = "", *, n_columns: int = MAX_VALUES
) -> NDArray[np.uint8]:
    """Draw rows of images under a title, with names to the left and labels below.

    Parameters
    ----------
    title : str
    rows : sequence of ImageRow
        Small images are enlarged and large ones reduced by integer factors.
    footer : str
        Text below the rows.
    n_columns : int
        Number of columns, at least the number of images in the longest row.

    Returns
    -------
    (height, width, 3) uint8
    """
    from PIL import Image, ImageDraw, ImageFont

    value_font, name_font, title_font = map(ImageFont.load_default, (_VALUE_SIZE, _NAME_SIZE, _TITLE_SIZE))
    value_height, name_height = int(_LINE_HEIGHT * _VALUE_SIZE), int(_LINE_HEIGHT * _NAME_SIZE)
    tiles = [[_tile(image) for image in row.images] for row in rows]
    width = max((tile.width for row_tiles in tiles for tile in row_tiles), default=_MIN_TILE)
    tile_heights = [max((tile.height for tile in row_tiles), default=0) for row_tiles in tiles]
    about = [_wrapped(row.about, value_font, _NAME_WIDTH) for row in rows]
    row_heights = [
        max(height + value_height * bool(row.labels), name_height + value_height * len(lines))
        for row, lines, height in zip(rows, about, tile_heights, strict=True)
    ]
    tops = _MARGIN + 2 * _TITLE_SIZE + np.cumsum([0, *(height + _GAP for height in row_heights)])
    text_widths = [value_font.getlength(line) for lines in about for line in lines]
    text_widths += [min(name_font.getlength(row.name), _NAME_WIDTH) for row in rows]
    left = _MARGIN + round(max(text_widths)) + 2 * _GAP
    page_width = left + n_columns * (width + _GAP) - _GAP + _MARGIN
    footer_lines = _wrapped(footer, value_font, page_width - 2 * _MARGIN)
    page_height = int(tops[-1]) + value_height * len(footer_lines) + _MARGIN - _GAP
    sheet = Image.new("RGB", (page_width, page_height), _BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    shown_title = _truncated(title, title_font, page_width - 2 * _MARGIN)
    draw.text((_MARGIN, _MARGIN), shown_title or "?", _TEXT, title_font)
    for row, lines, row_tiles, height, top in zip(rows, about, tiles, tile_heights, tops[:-1].tolist(), strict=True):
        draw.text((_MARGIN, top), _truncated(row.name, name_font, _NAME_WIDTH), _TEXT, name_font)
        _draw_lines(draw, lines, (_MARGIN, top + name_height), value_font)
        for column, tile in enumerate(row_tiles):
            sheet.paste(tile, (left + column * (width + _GAP) + (width - tile.width) // 2, top))
        for column, label in enumerate(row.labels):
            position = left + column * (width + _GAP) + width // 2, top + height + 1
            draw.text(position, _truncated(label, value_font, width + _GAP // 2), _TEXT, value_font, "ma")
    _draw_lines(draw, footer_lines, (_MARGIN, int(tops[-1])), value_font)
    return np.asarray(sheet)


def _draw_lines(
    draw: "ImageDraw", lines: Sequence[str], corner: tuple[int, int], font: "FreeTypeFont | ImageFont"
) -> None:
    for number, line in enumerate(lines):
        draw.text((corner[0], corner[1] + number * int(_LINE_HEIGHT * _VALUE_SIZE)), line, _FAINT_TEXT, font)


def _tile(observation: NDArray[Any]) -> "Image":
    """Return an observation as an RGB image, enlarged or reduced by an integer factor to a legible size."""
    from PIL import Image

    image = Image.fromarray(np.broadcast_to(observation, (*observation.shape[:2], 3)).astype(np.uint8))
    side = max(image.size)
    if side > _MAX_TILE:
        return image.reduce(-(-side // _MAX_TILE))
    factor = -(-_MIN_TILE // side)
    return image.resize((factor * image.width, factor * image.height), Image.Resampling.NEAREST)


def _ascii(text: str) -> str:
    """Return the text in ASCII, as Pillow's default font has few other characters."""
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode() or "?"


def _truncated(text: str, font: "FreeTypeFont | ImageFont", width: int) -> str:
    """Return the text, cut with an ellipsis to a width in pixels."""
    text = _ascii(text) if text else ""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text}…"


def _wrapped(text: str, font: "FreeTypeFont | ImageFont", width: int) -> list[str]:
    """Return the lines of the text, wrapped at a width in pixels."""
    lines = [""]
    for word in _ascii(text).split() if text else ():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(_truncated(word, font, width))
    return [line for line in lines if line]


def scatter_sheet(data: DataSet, rng: np.random.Generator, *, n_points: int = 2_400) -> NDArray[np.uint8]:
    """Plot the first dimensions of vectors against each other, one row per factor, which gives the colour.

    Parameters
    ----------
    data : DataSet
        Data set of vectors.
    rng : numpy.random.Generator
        Generator of the sample.
    n_points : int
        Number of observations to plot; all if there are fewer.

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
    draws = _at_most(data, rng, n_points)
    points = data.observations(draws.factors, draws.nuisance)
    n_dimensions = min(points.shape[1], MAX_DIMENSIONS)
    pairs = list(combinations(range(n_dimensions), 2)) or [(0, 0)]
    n_rows = min(max(len(data.space), 1), MAX_ROWS)
    figure = empty_figure(figsize=(_PANEL_SIZE * len(pairs) + 1.8, _PANEL_SIZE * n_rows + 0.9), dpi=120)
    figure.suptitle(title_of(data))
    panels = figure.subplots(n_rows, len(pairs), squeeze=False)
    # Later points cover earlier ones, so the order must not depend on the factors.
    order = rng.permutation(len(points))
    points, factors = points[order], np.asarray(draws.factors[order], float)
    for row, row_panels in enumerate(panels):
        factor = data.space.factors[row] if len(data.space) else None
        colours = {} if factor is None else {"c": factors[:, row], **_colour_map(factor)}
        for panel, (first, second) in zip(row_panels, pairs, strict=True):
            is_pair = first != second
            y = points[:, second] if is_pair else colours.get("c", points[:, second])
            scatter = panel.scatter(points[:, first], y, s=3, linewidths=0, **colours)
            panel.set_xlabel(f"x{first}", fontsize=8)
            panel.set_ylabel(f"x{second}" if is_pair or factor is None else factor.name, fontsize=8)
            panel.locator_params(nbins=3)
            panel.tick_params(labelsize=6)
        if factor is not None:
            bar = figure.colorbar(scatter, ax=list(row_panels), label=factor.name)
            bar.ax.tick_params(labelsize=6)
            if factor.size is not None and factor.size <= MAX_ROWS:
                bar.set_ticks(range(factor.size), labels=[label_of(factor, index) for index in range(factor.size)])
    if footer := _further_factors(data, n_rows):
        figure.supxlabel(footer, fontsize=8)
    with BytesIO() as png:
        figure.savefig(png, format="png")
        return np.asarray(Image.open(png).convert("RGB"))


def _colour_map(factor: Factor) -> dict[str, Any]:
    from matplotlib import colormaps

    if factor.kind != "categorical" or factor.size is None:
        return {"cmap": "twilight" if factor.kind == "circular" else "viridis"}
    colours = colormaps["tab10" if factor.size <= 10 else "turbo"]
    return {"cmap": colours.resampled(factor.size), "vmin": -0.5, "vmax": factor.size - 0.5}
