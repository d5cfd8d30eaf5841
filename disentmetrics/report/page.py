"""The HTML page: templates, styles and scripts in one file that makes no network requests."""

import base64
import gzip
import hashlib
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from disentmetrics._utils.cache import atomic_path
from disentmetrics._utils.installation import install_command
from disentmetrics._version import __version__
from disentmetrics.errors import InvalidInputError, MissingExtraError
from disentmetrics.estimators.activity import codes_by_kl
from disentmetrics.report.comparison import CardComparison, compare_cards
from disentmetrics.report.figures import Histogram, Pair, histograms, pairs
from disentmetrics.report.heat import Correlation, HeatTable, Tuning, correlation, heat_tables, tuning
from disentmetrics.report.images import ReportImages
from disentmetrics.report.tables import FactorPanel, Origin, Row, factor_panels, origin, score_rows
from disentmetrics.results.card import ScoreCard
from disentmetrics.results.summary import RepresentationSummary
from disentmetrics.results.verdict import Verdict

if TYPE_CHECKING:
    from jinja2 import Environment

MAX_BYTES = 5_000_000
"""Size limit of the page: mail servers accept attachments of this size."""
MAX_CARDS = 200
MAX_EXPLORED = 48
"""Largest number of latents in the explorer, those with the highest KL or standard deviation."""
FEW_CODES = 24
"""Number of histograms shown initially, and largest number of latents for which heat-map cells show numbers."""
SOME_NOTES = 8
"""Number of notes shown initially."""
SOME_FACTORS = 40
"""Number of factors with a sentence of their own."""
_DIGITS = 4
_MAX_INTEGER = 2**53  # larger integers are not exact in JSON


@dataclass(frozen=True)
class CardView:
    """One score card, prepared for the templates."""

    number: int
    name: str
    about: dict[str, Any]
    verdict: Verdict | None
    notes: tuple[str, ...]
    rows: list[Row]
    panels: list[FactorPanel]
    heats: list[HeatTable]
    pairs: list[Pair]
    tunings: list[Tuning]
    histograms: list[Histogram]
    n_hidden: int
    has_prior: bool
    n_dead: int
    correlation: Correlation | None
    origin: Origin
    explorer: str


def report(
    cards: Sequence[ScoreCard],
    *,
    names: Sequence[str] | None = None,
    paths: Sequence[str] | None = None,
    title: str | None = None,
    images: ReportImages | None = None,
    explorer: bool = True,
) -> str:
    """Return one self-contained HTML page with one or more score cards.

    Parameters
    ----------
    cards : sequence of ScoreCard
        A single card is shown in full. For several, the page compares values, ranks, paired differences and the
        agreement of metrics, and shows each card in full on demand.
    names : sequence of str, optional
        Unique names of the cards; their encoders by default.
    paths : sequence of str, optional
        Files of the cards, shown in their provenance.
    title : str, optional
        Title of the page.
    images : ReportImages, optional
        Result of :func:`disentmetrics.report.report_images`.
    explorer : bool
        Whether to include plotly (2 MB compressed), which plots any latent against any other.

    Returns
    -------
    str
        HTML below 5 MB. Content that does not fit is omitted, and the page lists what was omitted. The same cards
        give the same page.

    Raises
    ------
    InvalidInputError
        If there is no card or more than 200, names are not unique, or the page would be too large.
    MissingExtraError
        If jinja2 or plotly is not installed.

    Notes
    -----
    The page makes no network requests; its content security policy forbids them. Text of cards is escaped.
    Scores, tables and figures are visible without JavaScript.

    Examples
    --------
    >>> import numpy as np, disentmetrics as dm
    >>> factors = np.indices((6, 8)).reshape(2, -1).T.repeat(20, axis=0)
    >>> card = dm.score(dm.Representation(factors.astype(float), factors), ["mig"], interval=None, null=False)
    >>> report([card], explorer=False).startswith("<!doctype html>")
    True
    """
    unique_names = _names(cards, names)
    builder = _PageBuilder(_environment(), cards, unique_names, paths or [""] * len(cards), images, title)
    depths = _DEPTHS if explorer else _DEPTHS[1:]
    return builder.page(next((depth for depth in depths if builder.fits(depth)), _DEPTHS[-1]))


def save_report(html: str, path: Path | str) -> None:
    """Write a page atomically; raise StorageError if it cannot be written."""
    with atomic_path(Path(path)) as temporary:
        temporary.write_text(html, encoding="utf-8")


def _names(cards: Sequence[ScoreCard], names: Sequence[str] | None) -> list[str]:
    if not cards:
        raise InvalidInputError("a report needs at least one score card; got none")
    if len(cards) > MAX_CARDS:
        raise InvalidInputError(
            f"a report can contain at most {MAX_CARDS} score cards; got {len(cards)}: create several reports"
        )
    for card in cards:
        if not isinstance(card, ScoreCard):
            raise InvalidInputError(f"a report is built from score cards; got {type(card).__name__}")
    if names is None:
        plain = [str(card.about.get("encoder") or "card") for card in cards]
        return [f"{name} ({i + 1})" if plain.count(name) > 1 else name for i, name in enumerate(plain)]
    if len(names) != len(cards) or len(set(names)) != len(cards):
        raise InvalidInputError(f"names must be {len(cards)} unique names, one per card; got {', '.join(names)}")
    return list(names)


@dataclass(frozen=True)
class _Depth:
    """Level of detail of each card."""

    explorer: bool
    all_latents: bool


_DEPTHS = (_Depth(explorer=True, all_latents=True), _Depth(explorer=False, all_latents=True), _Depth(False, False))


def _view(number: int, card: ScoreCard, name: str, path: str, depth: _Depth) -> CardView:
    summary = card.summary
    order: Sequence[int] = ()
    if summary is not None:
        order = [int(j) for j in codes_by_kl(summary.kl if summary.kl is not None else summary.std)]
    shown = order if depth.all_latents else order[:FEW_CODES]
    is_complete = len(shown) == len(order)
    return CardView(
        number=number,
        name=name,
        about=dict(card.about),
        verdict=card.verdict,
        notes=tuple(card.remarks()),
        rows=score_rows(card),
        panels=factor_panels(card),
        heats=heat_tables(card),
        pairs=list(pairs(summary)) if summary else [],
        tunings=[tuning(summary, map_) for map_ in summary.tuning_maps] if summary else [],
        histograms=list(histograms(summary, shown)) if summary else [],
        n_hidden=len(order) - len(shown),
        has_prior=summary is not None and summary.kl is not None,
        n_dead=int((~summary.active).sum()) if summary else 0,
        correlation=correlation(summary) if summary and is_complete else None,
        origin=origin(card, path),
        explorer=_explorer_data(card, order) if depth.explorer else "",
    )


def _explorer_data(card: ScoreCard, order: Sequence[int]) -> str:
    """Return the sampled rows as JSON."""
    summary = card.summary
    if summary is None or not len(summary.sample_codes):
        return ""
    kept = list(order[:MAX_EXPLORED])
    columns: list[tuple[str, str, np.ndarray, tuple[object, ...]]] = [
        (summary.code_names[j], "code", summary.sample_codes[:, j], ()) for j in kept
    ]
    columns += [
        (factor.name, "factor", summary.sample_factors[:, k], factor.values) for k, factor in enumerate(summary.factors)
    ]
    content = {
        "columns": [
            {"name": name, "kind": kind, "numbers": _short(numbers), "values": list(map(str, values))}
            for name, kind, numbers, values in columns
        ],
        "start": _best_pair(summary, kept),
    }
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False)


def _best_pair(summary: RepresentationSummary, kept: Sequence[int]) -> list[int]:
    """Return the columns of the best encoded factor and of its most informative latent."""
    share = np.nan_to_num(summary.share[kept])
    if not share.any():
        return [0, min(1, len(kept) - 1)]
    code, factor = np.unravel_index(int(share.argmax()), share.shape)
    return [len(kept) + int(factor), int(code)]


def _short(numbers: np.ndarray) -> list[float | int | None]:
    return [
        None
        if not math.isfinite(value)
        else int(value)
        if value.is_integer() and abs(value) < _MAX_INTEGER
        else float(f"{value:.{_DIGITS}g}")
        for value in numbers.tolist()
    ]


class _PageBuilder:
    """Builds the page at a level of detail that keeps it below the size limit."""

    def __init__(
        self,
        environment: "Environment",
        cards: Sequence[ScoreCard],
        names: Sequence[str],
        paths: Sequence[str],
        images: ReportImages | None,
        title: str | None,
    ) -> None:
        self.environment, self.cards, self.names, self.paths = environment, cards, names, paths
        self.images, self.title = images, title or _title(cards, names)
        self.compared: CardComparison | None = compare_cards(cards, names) if len(cards) > 1 else None
        self.card_template = environment.get_template("card.html.j2")
        self.library = ""
        self.packed_library = ""

    def fits(self, depth: _Depth) -> bool:
        """Whether all cards fit in full at this depth, estimated from the card with the most latents."""
        if depth.explorer and not self.packed_library:
            self.library = _plotly()
            self.packed_library = _packed(self.library)
        largest = max(range(len(self.cards)), key=lambda i: _size(self.cards[i]))
        part = self.part(largest, depth)
        base = len(self.rendered(part, [""], depth).encode())
        return base + (len(self.cards) - 1) * (len(_packed(part)) + 100) <= MAX_BYTES

    def page(self, depth: _Depth) -> str:
        """Return the page with as many complete cards as fit."""
        first = self.part(0, depth)
        room = MAX_BYTES - len(self.rendered(first, [""], depth).encode())
        if room < 0:
            raise InvalidInputError(
                f"a report must be smaller than {MAX_BYTES / 1e6:.0f} MB; these cards need {-room / 1e6:.1f} MB more: "
                "use fewer cards or fewer metrics"
            )
        packed = [""]
        for number in range(1, len(self.cards)):
            packed.append(_packed(self.part(number, depth)))
            room -= len(packed[-1]) + 100
            if room < 0:
                packed.pop()
                break
        return self.rendered(first, packed, depth)

    def part(self, number: int, depth: _Depth) -> str:
        """Return the HTML of one complete card."""
        view = _view(number, self.cards[number], self.names[number], self.paths[number], depth)
        return self.card_template.render(card=view, few=FEW_CODES, some=SOME_NOTES, some_factors=SOME_FACTORS)

    def rendered(self, first: str, packed: Sequence[str], depth: _Depth) -> str:
        """Return the page with the first card as plain HTML and the others compressed."""
        from markupsafe import Markup

        script = _asset("report.js")
        has_library = depth.explorer and 'id="explorer"' in first
        hashes = [_hash(script), *([_hash(self.library)] if has_library else [])]
        return self.environment.get_template("report.html.j2").render(
            title=self.title,
            names=self.names,
            about=self.cards[0].about,
            compared=self.compared,
            images=self.images,
            first=Markup(first),  # noqa: S704 # rendered by a template that escapes
            packed=packed,
            library=self.packed_library if has_library else "",
            style=Markup(_asset("report.css")),  # noqa: S704 # a file of this package
            script=Markup(script),  # noqa: S704 # idem
            policy=f"default-src 'none'; script-src {' '.join(hashes)}; style-src 'unsafe-inline'; img-src data:; "
            "base-uri 'none'; form-action 'none'",
            version=__version__,
        )


def _size(card: ScoreCard) -> int:
    return len(card.summary.code_names) * (1 + len(card.summary.factors)) if card.summary else len(card.scores)


def _title(cards: Sequence[ScoreCard], names: Sequence[str]) -> str:
    data = dict.fromkeys(str(card.about.get("data", "")) for card in cards)
    where = f" on {next(iter(data))}" if len(data) == 1 and next(iter(data)) not in {"", "table"} else ""
    return f"{names[0]}{where}" if len(cards) == 1 else f"{len(cards)} encoders{where}"


def _environment() -> "Environment":
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError as error:
        raise MissingExtraError(f"reports need jinja2 and plotly; {install_command('report')}") from error
    environment = Environment(
        loader=PackageLoader("disentmetrics.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["num"] = _number
    environment.filters["p"] = lambda value: "<0.001" if value is not None and value < 0.0005 else _number(value)
    environment.filters["data"] = _data
    environment.filters["has"] = lambda part, name: f'<section id="{name}"' in part
    environment.filters["minus"] = _minus
    environment.filters["count"] = lambda value: f"{value:,}" if isinstance(value, int) else str(value)
    return environment


def _number(value: float | None, digits: int = 3) -> str:
    if value is None or np.isnan(value):
        return "–"
    if np.isinf(value):
        return "∞" if value > 0 else "−∞"
    return (f"{value:z.{digits}f}" if abs(value) < 1e4 else f"{value:.3g}").replace("-", "−")


def _minus(text: str) -> str:
    """Replace the hyphen of negative numbers by a minus sign; names keep theirs."""
    return re.sub(r"(?<![^\s])-(?=\d)", "−", text)


def _data(text: str) -> Any:
    """Return JSON that cannot close the element that contains it."""
    from markupsafe import Markup

    for character in "<>&'\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704 # no character with a meaning in HTML is left


def _plotly() -> str:
    try:
        return files("plotly").joinpath("package_data", "plotly.min.js").read_text(encoding="utf-8")
    except ImportError as error:
        raise MissingExtraError(f"reports need jinja2 and plotly; {install_command('report')}") from error


def _packed(text: str) -> str:
    return base64.b64encode(gzip.compress(text.encode(), 7, mtime=0)).decode()


def _hash(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _asset(name: str) -> str:
    return files("disentmetrics.report").joinpath("assets", name).read_text(encoding="utf-8")
