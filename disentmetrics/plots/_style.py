"""Style, colours, labels and matrices shared by all figures."""

import re
import textwrap
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.figures import import_matplotlib
from disentmetrics._utils.typing import Floats
from disentmetrics.errors import InvalidInputError
from disentmetrics.estimators.assignment import one_to_one_assignment
from disentmetrics.results.card import ScoreCard
from disentmetrics.results.summary import RepresentationSummary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D31")
"""Okabe and Ito (2008): distinguishable in every common kind of colour vision; black and brown come last."""
MARKERS = "osD^vPX*"
GREY = "#767676"
WIDTH = 6.75
"""Width in inches: both columns of a paper."""
MAX_SHOWN = 60
"""Largest number of latents in a legible matrix."""
_MAX_NUMBERS = 240  # largest number of matrix cells with legible numbers
_MAX_VECTOR_CELLS = 4096
_MAX_NAME = 22
_MAX_COLUMN = 14
_MAX_LABEL = 36  # characters of a row label

_SETTINGS = {
    "font.family": ["DejaVu Sans"],
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "figure.titlesize": 9,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "axes.axisbelow": True,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "savefig.dpi": 300,
    "savefig.bbox": None,
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "disentmetrics",
    "text.usetex": False,
}


def paper_style() -> AbstractContextManager[None]:
    """Apply the style of these figures within a ``with`` block; global settings are restored after it.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    return _settings(import_matplotlib())


@contextmanager
def _settings(mpl: Any) -> Iterator[None]:
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)
        yield


@contextmanager
def suppress_font_warnings() -> Iterator[None]:
    """Ignore the warning about glyphs that the font lacks; they are drawn as boxes."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph \d+")
        yield


def figure(width: float, height: float) -> "Figure":
    """Return an empty figure of a given size in inches, laid out without overlaps."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def only_card(cards: Mapping[str, ScoreCard], kind: str) -> ScoreCard:
    """Return the only card; raise InvalidInputError if there are several."""
    if len(cards) > 1:
        raise InvalidInputError(f"{kind} shows a single score card; got {len(cards)}: plot them separately")
    return next(iter(cards.values()))


def summary_of(cards: Mapping[str, ScoreCard], kind: str, *, factors: bool = True) -> RepresentationSummary:
    """Return the summary of the only card; raise InvalidInputError if it or required factors are missing."""
    summary = only_card(cards, kind).summary
    if summary is None:
        raise InvalidInputError(
            f"{kind} needs a card with a summary of the representation; this one was written by an older "
            "version: score again"
        )
    if factors and not summary.factors:
        raise InvalidInputError(f"{kind} needs factors; this representation was scored without any")
    return summary


def plain(name: str, most: int = _MAX_NAME) -> str:
    r"""Return a name on one line, shortened in the middle, with characters escaped that would start a formula.

    Examples
    --------
    >>> plain("a\nb"), plain("x" * 40, 5)
    ('a b', 'xx…xx')
    """
    line = re.sub(r"[\x00-\x1f\x7f\u2028\u2029]+", " ", str(name)).strip() or "?"
    if len(line) > most:
        line = f"{line[: most // 2]}…{line[-(most - most // 2 - 1) :]}"
    return line.replace("$", r"\$")


def code_order(share: Floats, most: int = MAX_SHOWN) -> NDArray[np.int64]:
    """Return the order of latents that makes a matrix most diagonal: assigned latents first, in the order of factors.

    The others follow, most informative first; at most ``most`` in total.
    """
    strength = np.nan_to_num(share)
    if not strength.size:
        return np.arange(min(len(share), most))
    codes, factors = one_to_one_assignment(strength)
    first = codes[np.argsort(factors)]
    rest = np.argsort(-strength.max(axis=1), kind="stable")
    return np.array([*first, *(j for j in rest if j not in set(first.tolist()))], dtype=np.int64)[:most]


def left_out(n_shown: int, n_all: int, what: str = "latents") -> str:
    """Return the addition to a title if not everything is shown."""
    return "" if n_shown == n_all else f" ({n_shown} of {n_all} {what})"


def matrix(
    axes: "Axes",
    values: Floats,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    span: tuple[float, float],
    colours: str,
) -> Any:
    """Draw a matrix as cells, with numbers if legible and NaN in grey; return the mappable of the colour bar."""
    import matplotlib as mpl

    palette = mpl.colormaps[colours].with_extremes(bad="#d9d9d9")
    lines: dict[str, Any] = {"edgecolors": "white", "linewidth": 0.5} if values.size <= _MAX_VECTOR_CELLS else {}
    cells = axes.pcolormesh(
        np.ma.masked_invalid(values),
        cmap=palette,
        vmin=span[0],
        vmax=span[1],
        rasterized=values.size > _MAX_VECTOR_CELLS,
        **lines,
    )
    axes.invert_yaxis()
    axes.set_aspect("auto")
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    small = 7 if len(rows) <= 30 else 5
    axes.set_yticks(np.arange(len(rows)) + 0.5, [plain(name, _MAX_LABEL) for name in rows], fontsize=small)
    small = 7 if len(columns) <= 30 else 5
    axes.set_xticks(
        np.arange(len(columns)) + 0.5,
        [plain(name, _MAX_COLUMN) for name in columns],
        rotation=90 if upright(columns) else 0,
        fontsize=small,
    )
    if values.size <= _MAX_NUMBERS and len(columns) <= 20:
        for (i, j), value in np.ndenumerate(values):
            if np.isfinite(value):
                red, green, blue, _ = palette((value - span[0]) / (span[1] - span[0]))
                dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
                axes.text(
                    j + 0.5,
                    i + 0.5,
                    _number(value),
                    ha="center",
                    va="center",
                    fontsize=6,
                    color="white" if dark else "black",
                )
    return cells


def _number(value: float) -> str:
    text = f"{value:.2f}"
    return text.replace("-", "−") if float(text) else "0.00"


def upright(columns: Sequence[str]) -> bool:
    """Return whether column labels of a matrix must be vertical to fit."""
    longest = max((len(name) for name in columns), default=0)
    return len(columns) > 12 or longest > 60 / len(columns)


def room_below(columns: Sequence[str]) -> float:
    """Return the height in inches that column labels of a matrix need."""
    longest = min(_MAX_COLUMN, max((len(name) for name in columns), default=0))
    return 0.2 + (0.06 * longest if upright(columns) else 0.0)


def title(drawn: "Figure", text: str) -> None:
    """Set the title above all panels, wrapped to the width of the figure."""
    drawn.suptitle(textwrap.fill(text, max(20, int(drawn.get_figwidth() * 14))))


def n_columns(n: int, most: int) -> int:
    """Return the number of columns that fills rows of panels most evenly.

    Examples
    --------
    >>> n_columns(5, 4), n_columns(8, 4), n_columns(1, 4)
    (3, 4, 1)
    """
    n_rows = -(-n // most)
    return -(-n // n_rows)


def panels(n: int, most: int, height: float, top: float = 0.4) -> tuple["Figure", list["Axes"]]:
    """Return a figure with ``n`` panels of a given height in inches, in even rows of at most ``most``."""
    wide = n_columns(n, most)
    n_rows = -(-n // wide)
    drawn = figure(max(WIDTH * wide / max(wide, 3), 2.6), height * n_rows + top)
    axes = list(drawn.subplots(n_rows, wide, squeeze=False).ravel())
    for spare in axes[n:]:
        spare.set_visible(False)
    return drawn, axes[:n]
