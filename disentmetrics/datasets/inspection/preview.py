"""A sheet of pictures that shows what each factor does."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.cache import atomic_path
from disentmetrics.datasets.arrays.custom import CustomDataSet
from disentmetrics.datasets.base import DataSet, Draws
from disentmetrics.datasets.inspection.sweep import sweep, values_of
from disentmetrics.errors import InvalidInputError
from disentmetrics.factors import Factor

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont, ImageFont

MOST_ROWS = 12
"""Factors that are shown; more are counted below the sheet."""
MOST_VALUES = 12
"""Values of a factor that are shown, and columns of a sheet."""

_SMALL, _LARGE = 96, 192  # pixels: smaller observations are enlarged, larger ones reduced
_GAP, _MARGIN = 8, 24
_NAME_WIDTH = 220
_PAGE, _INK, _FAINT = (236, 236, 236), (32, 32, 32), (110, 110, 110)
_TITLE_SIZE, _NAME_SIZE, _VALUE_SIZE = 24, 18, 14
_LINE = 1.3  # of a line of text, in units of its size


@dataclass(frozen=True)
class SheetRow:
    """Observations side by side, and what is written beside and below them.

    Attributes
    ----------
    name, about : str
        What varies, and a remark on it.
    draws : Draws
        The observations.
    labels : tuple of str
        One for each observation, or none.
    """

    name: str
    about: str
    draws: Draws
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class PictureRow:
    """Pictures side by side, and what is written beside and below them.

    Attributes
    ----------
    name, about : str
        As for :class:`SheetRow`.
    pictures : (n, height, width, 1 or 3) uint8
    labels : tuple of str
        One for each picture, or none.
    """

    name: str
    about: str
    pictures: NDArray[np.uint8]
    labels: tuple[str, ...] = ()


def contact_sheet(data: DataSet, *, seed: int = 0, n_samples: int = 24) -> NDArray[np.uint8]:
    """Draw random samples, then a row for each factor in which it alone runs through its values.

    The values of a row are chosen evenly, at most 12, the first and the last among them; all other
    factors and the nuisance stay as they are in one observation, the same for all rows. A nuisance
    has a row too, in which the factors stay. Data that are rows of a table may lack such
    observations: then the row says so and shows the nearest ones, several of each value if there is
    room. At most 12 factors are shown. Small images are enlarged by whole factors, large ones
    reduced. Of vectors, the first dimensions are plotted against each other, coloured by each factor.

    Parameters
    ----------
    data : DataSet
        Of images (height, width, 1 or 3), or of vectors.
    seed : int
        Decides which observations are drawn.
    n_samples : int
        Random samples at the top, none if 0. A plot of vectors has a hundred times as many points.

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
        from disentmetrics.datasets.inspection.scatter import scatter_sheet

        return scatter_sheet(data, rng, n_points=100 * n_samples)
    if len(data.observation_shape) != 3 or data.observation_shape[2] not in {1, 3}:
        raise InvalidInputError(
            "a preview shows images of shape (height, width, 1 or 3) or vectors; "
            f"observations of {data.name} have shape {data.observation_shape}"
        )
    rows = [
        PictureRow(row.name, row.about, data.observations(row.draws.factors, row.draws.nuisance), row.labels)
        for row in sheet_rows(data, rng, n_samples)
    ]
    return drawn_sheet(title_of(data), rows, _left_out(data))


def title_of(data: DataSet) -> str:
    """Return the fingerprint where it tells options or a design; else the name, as a version or a hash tells nothing.

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
        What to show.
    path : Path
        File that ends in .png; its folder is made if need be.
    seed, n_samples : int
        As for :func:`contact_sheet`.

    Raises
    ------
    InvalidInputError
        If the path ends otherwise, or observations are neither images nor vectors.
    MissingExtraError
        If observations are vectors and matplotlib is not installed.
    StorageError
        If the file cannot be written; nothing half-written is left behind.
    """
    check_path(path)
    from PIL import Image

    sheet = Image.fromarray(contact_sheet(data, seed=seed, n_samples=n_samples))
    with atomic_path(path) as temporary:
        sheet.save(temporary, format="png", optimize=True)


def check_path(path: Path) -> None:
    """Raise InvalidInputError if a preview cannot have this name."""
    if path.suffix.lower() != ".png":
        raise InvalidInputError(f"a preview must be named as a PNG file, such as {path.stem}.png; got {path}")


def sheet_rows(data: DataSet, rng: np.random.Generator, n_samples: int) -> list[SheetRow]:
    """Choose the observations of a sheet: random ones, then a row for each factor and for the nuisance."""
    start = data.sample(1, rng)
    rows = [
        SheetRow("samples" if first == 0 else "", "", samples[first : first + MOST_VALUES])
        for samples in [_samples(data, rng, n_samples)]
        for first in range(0, len(samples), MOST_VALUES)
    ]
    for position, factor in enumerate(data.space.factors[:MOST_ROWS]):
        shown = sweep(
            data, start, position, values_of(data, position, MOST_VALUES, rng=rng, start=start), n_draws=MOST_VALUES
        )
        kind = factor.kind if factor.size is None else f"{factor.kind}, {factor.size}"
        about = kind if shown.exact else f"{kind}; nearest rows"
        rows.append(SheetRow(factor.name, about, shown.draws, tuple(label_of(factor, v) for v in shown.values)))
    if data.nuisances:
        factors = np.repeat(start.factors, MOST_VALUES, axis=0)
        varied = Draws(factors, data.sample_nuisance(factors, rng))
        different = _different(data, varied)
        if len(different) > 1:  # a table may have one row of these factors
            rows.append(SheetRow("nuisance", ", ".join(data.nuisances), different))
    return rows


def label_of(factor: Factor, value: float) -> str:
    """Return what to write at a value of a factor: its name, its physical value or its index."""
    meant = value if factor.size is None else factor.values[int(value)] if factor.values else int(value)
    return f"{meant:z.3g}" if isinstance(meant, float) else str(meant)


def _samples(data: DataSet, rng: np.random.Generator, n_samples: int) -> Draws:
    try:
        drawn = data.sample(n_samples, rng)
    except InvalidInputError:  # there are fewer
        drawn = data.full_grid()
    return drawn[rng.permutation(len(drawn))]


def _different(data: DataSet, draws: Draws) -> Draws:
    looks = [look.tobytes() for look in data.observations(draws.factors, draws.nuisance)]
    return draws[np.array(sorted(looks.index(look) for look in set(looks)))]


def _left_out(data: DataSet) -> str:
    rest = data.space.names[MOST_ROWS:]
    return f"{len(rest)} more factors: {', '.join(rest)}" if rest else ""


def drawn_sheet(
    title: str, rows: Sequence[PictureRow], footer: str = "", *, n_columns: int = MOST_VALUES
) -> NDArray[np.uint8]:
    """Draw rows of pictures under a title, with what is written beside and below them.

    Parameters
    ----------
    title : str
    rows : sequence of PictureRow
        Small pictures are enlarged by whole factors, large ones reduced.
    footer : str
        Below the rows.
    n_columns : int
        Pictures in the longest row, or more.

    Returns
    -------
    (height, width, 3) uint8
    """
    from PIL import Image, ImageDraw, ImageFont

    value_font, name_font, title_font = map(ImageFont.load_default, (_VALUE_SIZE, _NAME_SIZE, _TITLE_SIZE))
    value_height, name_height = int(_LINE * _VALUE_SIZE), int(_LINE * _NAME_SIZE)
    tiles = [[_tile(picture) for picture in row.pictures] for row in rows]
    width = max((tile.width for images in tiles for tile in images), default=_SMALL)
    highest = [max((tile.height for tile in images), default=0) for images in tiles]
    about = [_wrapped(row.about, value_font, _NAME_WIDTH) for row in rows]
    heights = [
        max(height + value_height * bool(row.labels), name_height + value_height * len(lines))
        for row, lines, height in zip(rows, about, highest, strict=True)
    ]
    tops = _MARGIN + 2 * _TITLE_SIZE + np.cumsum([0, *(h + _GAP for h in heights)])
    written = [value_font.getlength(line) for lines in about for line in lines]
    written += [min(name_font.getlength(row.name), _NAME_WIDTH) for row in rows]
    left = _MARGIN + round(max(written)) + 2 * _GAP
    page_width = left + n_columns * (width + _GAP) - _GAP + _MARGIN
    footer_lines = _wrapped(footer, value_font, page_width - 2 * _MARGIN)
    sheet = Image.new("RGB", (page_width, int(tops[-1]) + value_height * len(footer_lines) + _MARGIN - _GAP), _PAGE)
    pen = ImageDraw.Draw(sheet)
    fitted = _fitted(title, title_font, page_width - 2 * _MARGIN)
    pen.text((_MARGIN, _MARGIN), fitted or "?", _INK, title_font)
    for row, lines, images, height, top in zip(rows, about, tiles, highest, tops[:-1].tolist(), strict=True):
        pen.text((_MARGIN, top), _fitted(row.name, name_font, _NAME_WIDTH), _INK, name_font)
        _write(pen, lines, (_MARGIN, top + name_height), value_font)
        for column, image in enumerate(images):
            sheet.paste(image, (left + column * (width + _GAP) + (width - image.width) // 2, top))
        for column, label in enumerate(row.labels):
            centre = left + column * (width + _GAP) + width // 2
            pen.text((centre, top + height + 1), _fitted(label, value_font, width + _GAP // 2), _INK, value_font, "ma")
    _write(pen, footer_lines, (_MARGIN, int(tops[-1])), value_font)
    return np.asarray(sheet)


def _write(pen: "ImageDraw", lines: Sequence[str], corner: tuple[int, int], font: "FreeTypeFont | ImageFont") -> None:
    for number, line in enumerate(lines):
        pen.text((corner[0], corner[1] + number * int(_LINE * _VALUE_SIZE)), line, _FAINT, font)


def _tile(look: NDArray[Any]) -> "Image":
    """Return an observation as an RGB image, enlarged or reduced by a whole factor to a size that is well seen."""
    from PIL import Image

    image = Image.fromarray(np.broadcast_to(look, (*look.shape[:2], 3)).astype(np.uint8))
    side = max(image.size)
    if side > _LARGE:
        return image.reduce(-(-side // _LARGE))
    enlarged = -(-_SMALL // side)
    return image.resize((enlarged * image.width, enlarged * image.height), Image.Resampling.NEAREST)


def _writable(text: str) -> str:
    """Return the text in the letters that Pillow's own font has."""
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode() or "?"


def _fitted(text: str, font: "FreeTypeFont | ImageFont", width: int) -> str:
    text = _writable(text) if text else ""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text}…"


def _wrapped(text: str, font: "FreeTypeFont | ImageFont", width: int) -> list[str]:
    lines = [""]
    for word in _writable(text).split() if text else ():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(_fitted(word, font, width))
    return [line for line in lines if line]
