"""Heat maps of the report: matrices of latents and factors as tables, others as small images."""

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.typing import Floats
from disentmetrics.report.figures import LEVELS
from disentmetrics.results.card import ScoreCard
from disentmetrics.results.summary import RepresentationSummary, TuningMap

MAX_ROWS = 256
"""Largest number of latents in a table; beyond it, those with the largest cells are shown."""
_NEGATIVE, _POSITIVE = (0, 114, 178), (213, 94, 0)
"""Blue and vermilion of Okabe and Ito, distinguishable in every kind of colour vision."""
_STEPS = 100
_NO_VALUE = (128, 128, 128, 70)


@dataclass(frozen=True)
class HeatRow:
    """One latent: its cells, and its positions in other orders of the latents."""

    code: str
    cells: tuple[tuple[int, str], ...]
    kl: float | None
    by_kl: int
    by_factor: int
    active: bool


@dataclass(frozen=True)
class HeatTable:
    """A matrix of latents and factors.

    ``unit`` is the unit of a cell, ``reference`` what the colour is relative to, ``top`` the end of the colour scale.
    """

    key: str
    title: str
    about: str
    unit: str
    reference: str
    top: str
    factors: tuple[str, ...]
    wholes: tuple[float, ...]
    rows: tuple[HeatRow, ...]
    left_out: int


def heat_tables(card: ScoreCard) -> list[HeatTable]:
    """Return the matrices of mutual information and of DCI importance that the card contains."""
    tables = []
    summary = card.summary
    information = summary.mutual_information if summary else _detail(card, "mutual_information")
    positions = summary.code_positions if summary else None
    if information is not None and information.size:
        entropies = summary.factor_entropies if summary else None
        tables.append(
            _table(
                "information",
                "Mutual information",
                "Mutual information of each latent with each factor, in nats. Colour: share of the factor's entropy."
                if summary
                else "Mutual information of each latent with each factor, in nats. Colour: share of the largest cell.",
                "nats",
                "of its entropy",
                card,
                information,
                wholes=entropies,
            )
        )
    importance = _detail(card, "importance")
    if importance is not None and importance.size:
        if positions is not None and len(importance) > len(positions) and positions.max() < len(importance):
            importance = importance[positions]
        tables.append(
            _table(
                "importance",
                "Importance (DCI)",
                "Importance of each latent for predicting each factor. Colour: share of the factor's total.",
                "",
                "of the factor's importance",
                card,
                importance,
                wholes=np.nansum(np.abs(importance), axis=0),
            )
        )
    return tables


def _detail(card: ScoreCard, name: str) -> Floats | None:
    n_factors = len(card.about.get("factors", ()))
    for score in card.every_score():
        matrix = score.details.get(name)
        if matrix is not None and np.ndim(matrix) == 2 and matrix.shape[1] == n_factors and matrix.dtype.kind in "fiu":
            return np.asarray(matrix, dtype=np.float64)
    return None


def _table(
    key: str,
    title: str,
    about: str,
    unit: str,
    reference: str,
    card: ScoreCard,
    matrix: Floats,
    *,
    wholes: Floats | None,
) -> HeatTable:
    summary = card.summary if card.summary is not None and len(card.summary.code_names) == len(matrix) else None
    names = summary.code_names if summary else tuple(f"z{j}" for j in range(len(matrix)))
    factors = tuple(map(str, card.about.get("factors", ())))
    largest = float(np.nanmax(matrix, initial=0.0)) or 1.0
    relative = np.full(matrix.shape[1], largest) if wholes is None else np.where(wholes > 0, wholes, np.inf)
    share = matrix / relative
    kl = summary.kl if summary else None
    shown = np.arange(len(matrix))
    if len(matrix) > MAX_ROWS:
        shown = np.sort(np.argsort(-np.nan_to_num(share).max(axis=1), kind="stable")[:MAX_ROWS])
    by_kl = _places(-kl) if kl is not None else np.arange(len(matrix))
    by_factor = _places_by_factor(np.nan_to_num(share))
    levels = np.rint(LEVELS * np.clip(np.nan_to_num(share), 0.0, 1.0)).astype(np.int64)
    rows = tuple(
        HeatRow(
            names[j],
            tuple(zip(levels[j].tolist(), map(_number, matrix[j].tolist()), strict=True)),
            None if kl is None else float(kl[j]),
            int(by_kl[j]),
            int(by_factor[j]),
            bool(summary.active[j]) if summary else True,
        )
        for j in shown
    )
    left_out = len(matrix) - len(shown) + (summary.n_left_out if summary else 0)
    known = () if wholes is None else tuple(round(float(whole), 4) for whole in wholes)
    top = "all" if wholes is not None else _number(largest)
    return HeatTable(key, title, about, unit, reference, top, factors, known, rows, left_out)


def _places(values: Floats) -> NDArray[np.int64]:
    places = np.empty(len(values), dtype=np.int64)
    places[np.argsort(values, kind="stable")] = np.arange(len(values))
    return places


def _places_by_factor(share: Floats) -> NDArray[np.int64]:
    """Return positions ordered by the best encoded factor, most informative latent of each factor first."""
    best = share.argmax(axis=1) if share.shape[1] else np.zeros(len(share), dtype=np.int64)
    most = share.max(axis=1, initial=0.0)
    best = np.where(most > 0, best, share.shape[1])
    places = np.empty(len(share), dtype=np.int64)
    places[np.lexsort((-most, best))] = np.arange(len(share))
    return places


def _number(value: float) -> str:
    if math.isnan(value):
        return "–"
    text = f"{value:z.2f}" if abs(value) < 100 else f"{value:.3g}"
    return f"−{text[1:]}" if value < 0 and text[0] == "-" else text


@dataclass(frozen=True)
class PageImage:
    """A PNG image embedded in the page."""

    source: str
    width: int
    height: int
    title: str
    note: str = ""


@dataclass(frozen=True)
class Correlation:
    """Rank correlations of latents, and the strongest ones; the page reads numbers from the image's opacity."""

    image: PageImage
    names: tuple[str, ...]
    strongest: tuple[tuple[str, str, str], ...]


def correlation(summary: RepresentationSummary) -> Correlation | None:
    """Return the correlation matrix of latents as an image; None for a single latent."""
    matrix = summary.correlation
    if len(matrix) < 2:
        return None
    upper = np.abs(np.nan_to_num(np.triu(matrix, 1)))
    strongest = []
    for position in np.argsort(-upper, axis=None, kind="stable")[:5]:
        i, j = divmod(int(position), len(matrix))
        if upper[i, j] >= 0.2:
            strongest.append((summary.code_names[i], summary.code_names[j], f"{matrix[i, j]:+.2f}"))
    return Correlation(
        diverging(matrix, 1.0, "correlation of latents"),
        summary.code_names,
        tuple(strongest),
    )


@dataclass(frozen=True)
class Tuning:
    """Maps of latents over the plane of two factors, most informative latents first."""

    across: str
    down: str
    maps: tuple[PageImage, ...]


def tuning(summary: RepresentationSummary, tuning_map: TuningMap) -> Tuning:
    """Return an image of each map relative to the mean of its cells: blue below, orange above."""
    names = summary.factor_names
    maps = []
    for j, means in zip(tuning_map.codes, tuning_map.means, strict=True):
        values = means.T  # the first factor runs from left to right
        if np.isnan(values).all():
            continue
        unit = float(np.nanmax(np.abs(values))) or 1.0
        centred = values / unit - np.nanmean(values / unit)
        reach = float(np.nanmax(np.abs(centred)))
        low, high = np.nanmin(values), np.nanmax(values)
        maps.append(diverging(centred, reach, summary.code_names[int(j)], f"{low:z.2g} to {high:z.2g}"))
    return Tuning(names[tuning_map.factors[0]], names[tuning_map.factors[1]], tuple(maps))


def diverging(values: Floats, reach: float, title: str, note: str = "") -> PageImage:
    """Return a matrix as an image, one pixel per cell: hue for the sign, opacity for the magnitude."""
    steps = np.rint(_STEPS * np.clip(np.nan_to_num(values) / (reach or 1.0), -1.0, 1.0)).astype(np.int64)
    colours = np.empty((2 * _STEPS + 2, 4), dtype=np.uint8)
    size = np.arange(-_STEPS, _STEPS + 1)
    colours[:-1, :3] = np.where((size < 0)[:, None], _NEGATIVE, _POSITIVE)
    colours[:-1, 3] = np.rint(255 * np.abs(size) / _STEPS)
    colours[-1] = _NO_VALUE
    return _indexed(np.where(np.isnan(values), len(colours) - 1, steps + _STEPS).astype(np.uint8), colours, title, note)


def _indexed(places: NDArray[np.uint8], colours: NDArray[np.uint8], title: str, note: str) -> PageImage:
    """Return an image with a palette, which takes a quarter of the bytes."""
    from PIL import Image

    image = Image.fromarray(places, mode="P")
    image.putpalette(colours[:, :3].tobytes())
    buffer = io.BytesIO()
    image.save(buffer, format="png", transparency=colours[:, 3].tobytes())
    return PageImage(_source(buffer), places.shape[1], places.shape[0], title, note)


def png(pixels: NDArray[np.uint8], title: str, note: str = "") -> PageImage:
    """Return (height, width), (…, 1), (…, 3) or (…, 4) uint8 pixels as an image embedded in the page."""
    from PIL import Image

    flat = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(flat)).save(buffer, format="png", optimize=True)
    return PageImage(_source(buffer), flat.shape[1], flat.shape[0], title, note)


def _source(buffer: io.BytesIO) -> str:
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def sheet(tiles: NDArray[np.uint8], columns: Sequence[int] | int, gap: int = 1) -> NDArray[np.uint8]:
    """Lay (n, height, width, channels) tiles in rows of as many columns, with transparent gaps."""
    n_columns = columns if isinstance(columns, int) else len(columns)
    n, height, width, channels = tiles.shape
    n_rows = -(-n // n_columns)
    colours = tiles if channels >= 3 else np.repeat(tiles[..., :1], 3, axis=-1)
    laid = np.zeros((n_rows * (height + gap) - gap, n_columns * (width + gap) - gap, 4), dtype=np.uint8)
    for place, tile in enumerate(colours):
        row, column = divmod(place, n_columns)
        top, left = row * (height + gap), column * (width + gap)
        laid[top : top + height, left : left + width, :3] = tile[..., :3]
        laid[top : top + height, left : left + width, 3] = 255
    return laid
