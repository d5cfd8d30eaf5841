"""Figures of score cards for papers, drawn with matplotlib.

Each kind of figure is a module of this package and is discovered automatically: ``mi_matrix.py`` is the kind
``mi-matrix``, the first line of its docstring is its description, and its function ``draw(cards)`` draws the figure.
"""

import pkgutil
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, cast

from disentmetrics._utils.cache import atomic_path
from disentmetrics.errors import InvalidInputError, did_you_mean
from disentmetrics.plots._style import paper_style, suppress_font_warnings
from disentmetrics.results.card import ScoreCard

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["SUFFIXES", "check_suffix", "draw", "kinds", "save_figure"]

SUFFIXES = (".pdf", ".svg", ".png")
"""Formats that :func:`save_figure` writes."""


def kinds() -> dict[str, str]:
    """Return the kinds of figures with their descriptions.

    Examples
    --------
    >>> kinds()["mi-matrix"]
    "Mutual information of each latent with each factor, as a share of the factor's entropy."
    """
    return {name: (import_module(module).__doc__ or "").splitlines()[0] for name, module in _modules().items()}


def draw(cards: Mapping[str, ScoreCard], kind: str = "scores") -> "Figure":
    """Return a figure of one card, or of several for kinds that compare cards.

    Parameters
    ----------
    cards : mapping of name to ScoreCard
        Score cards by name; names are shown unchanged.
    kind : str
        One of :func:`kinds`.

    Returns
    -------
    matplotlib.figure.Figure
        Created without pyplot, so that no window opens and no global setting changes.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    InvalidInputError
        If there is no such kind, several cards are given for a kind that shows one, or a card lacks the required data.
    """
    modules = _modules()
    if kind not in modules:
        raise InvalidInputError(
            f"no kind of figure is named {kind!r}{did_you_mean(kind, modules)}; the kinds are {', '.join(modules)}"
        )
    if not cards:
        raise InvalidInputError("a figure needs a score card; got none")
    with paper_style(), suppress_font_warnings():
        return cast("Figure", import_module(modules[kind]).draw(cards))


def save_figure(figure: "Figure", path: Path | str) -> None:
    """Write a figure atomically; text stays text in PDF and SVG, and fonts are embedded in PDF.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    path : path
        Ends in ``.pdf``, ``.svg`` or ``.png`` (300 dots per inch).

    Raises
    ------
    InvalidInputError
        If the name has another ending.
    StorageError
        If the file cannot be written.
    """
    path = Path(path)
    suffix = check_suffix(path)
    dated = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}  # so that equal figures give equal files
    with paper_style(), suppress_font_warnings(), atomic_path(path) as temporary:
        figure.savefig(temporary, format=suffix[1:], metadata=dated.get(suffix))


def check_suffix(path: Path) -> str:
    """Return the lower-case suffix of a path; raise InvalidInputError if figures cannot be written in that format."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InvalidInputError(f"the file name of a figure must end in {', '.join(SUFFIXES)}; got {path.name!r}")
    return suffix


def _modules() -> dict[str, str]:
    names = [module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")]
    return {name.replace("_", "-"): f"{__name__}.{name}" for name in sorted(names)}
