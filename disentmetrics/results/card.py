"""Scores: a value with its interval, its null and the signature that repeats it."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from disentmetrics._utils.cache import atomic_path
from disentmetrics._utils.notebook import html_caption, html_lines, html_table
from disentmetrics._utils.tables import one_line, plain_text
from disentmetrics.errors import CorruptFileError, InvalidInputError, did_you_mean
from disentmetrics.results.score import Interval, Score
from disentmetrics.results.summary import RepresentationSummary

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FORMAT = "disentmetrics-scorecard-1"
_HEADINGS = ("metric", "value", "95 % interval", "null", "adjusted", "p")
_TERMINAL = 80  # columns that every terminal has


@dataclass(frozen=True, eq=False)
class ScoreCard(Mapping[str, Score]):
    """All scores of one representation, by metric name.

    Attributes
    ----------
    scores : dict of str to Score
    about : dict of str
        Data, encoder, number of rows, codes and factors, and ``row_key``, which is equal for
        two cards exactly when their rows can be compared in pairs.
    notes : tuple of str
        Diagnostics of the representation in words, such as dead codes.
    summary : RepresentationSummary or None
        What plots and reports show of the representation. None in cards of older versions.

    Examples
    --------
    >>> import numpy as np, disentmetrics as dm
    >>> factors = np.indices((6, 8)).reshape(2, -1).T.repeat(20, axis=0)
    >>> card = dm.score(dm.Representation(factors.astype(float), factors), ["mig"], interval=None)
    >>> card["mig"].value
    1.0
    >>> ScoreCard.from_json(card.to_json())["mig"].value
    1.0
    """

    scores: Mapping[str, Score]
    about: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    summary: RepresentationSummary | None = None

    def __repr__(self) -> str:
        about = {
            key: self.about[key] for key in ("data", "encoder", "rows", "codes") if self.about.get(key) is not None
        }
        told = "".join(f", {key}: {value}" for key, value in about.items())
        return f"ScoreCard({len(self)} scores: {', '.join(self) or 'none'}{told})"

    def __getitem__(self, name: str) -> Score:
        if name in self.scores:
            return self.scores[name]
        every = {score.name: score for score in self.every_score()}
        if name not in every:
            raise InvalidScoreNameError(name, every)
        return every[name]

    def every_score(self) -> list[Score]:
        """Return all scores, each followed by its parts."""
        return [single for score in self.scores.values() for single in (score, *score.parts.values())]

    def __iter__(self) -> Iterator[str]:
        return iter(self.scores)

    def __len__(self) -> int:
        return len(self.scores)

    def __str__(self) -> str:
        tables = [part for table in self.tables() for part in (table, "")]
        return plain_text(*tables, *(f"• {one_line(line)}" for line in self.remarks()))

    def tables(self) -> list[Table]:
        """Return the scores, and the scores of single factors where there are any, for terminals."""
        tables = [_table(_HEADINGS, [_row(score) for score in self.every_score()])]
        by_factor = self._by_factor()
        turned = list(zip(*by_factor, strict=True))
        if turned:
            lying = _width(by_factor) <= _TERMINAL or _width(by_factor) <= _width(turned)
            head, *body = by_factor if lying else turned
            tables.append(_table(head, body))
        return tables

    def remarks(self) -> list[str]:
        """Return what a reader must know, of the representation first and then of each score."""
        of_scores = [
            f"{score.name}: {line}"
            for score in self.every_score()
            for line in ([f"undefined: {score.undefined}"] if score.undefined else score.notes)
        ]
        return [*self.notes, *of_scores]

    def _by_factor(self) -> list[tuple[str, ...]]:
        scores = [score for score in self.scores.values() if score.per_factor]
        names = list(dict.fromkeys(name for score in scores for name in score.per_factor))
        rows = [(s.name, *(_number(s.per_factor.get(name), 2) for name in names)) for s in scores]
        return [("by factor", *names), *rows] if rows else []

    def _repr_html_(self) -> str:
        scores = self.every_score()
        parts = [html_table(_HEADINGS, [_row(score) for score in scores], titles=[score.signature for score in scores])]
        by_factor = self._by_factor()
        if by_factor:
            parts.append(html_table(by_factor[0], by_factor[1:]))
        return f"<div>{html_caption(self._caption())}{''.join(parts)}{html_lines(self.remarks())}</div>"

    def _caption(self) -> str:
        shown = [str(self.about[name]) for name in ("encoder", "data") if self.about.get(name)]
        counts = [f"{self.about[name]} {name}" for name in ("rows", "codes") if name in self.about]
        return " · ".join([*shown, *counts])

    def plot(self, kind: str = "scores") -> "Figure":
        """Draw the card for a paper.

        Parameters
        ----------
        kind : str
            One of :func:`disentmetrics.plots.kinds`, such as ``scores``, ``mi-matrix`` or ``tuning-maps``.

        Returns
        -------
        matplotlib.figure.Figure
            To be written with :func:`disentmetrics.plots.save_figure`, which keeps text as text.

        Raises
        ------
        MissingExtraError
            If matplotlib is not installed.
        InvalidInputError
            If there is no such kind, or the card does not hold what it shows.
        """
        from disentmetrics.plots import draw  # it reads cards, so it can only be imported once there are cards

        return draw({str(self.about.get("encoder") or "card"): self}, kind)

    def to_json(self, path: Path | str | None = None) -> str:
        """Return the card as JSON, and write it to ``path`` (whole or not at all) if given."""
        content = {
            "format": _FORMAT,
            "about": dict(self.about),
            "notes": list(self.notes),
            "scores": {name: _to_plain(asdict(score)) for name, score in self.scores.items()},
        }
        text = json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False)
        if self.summary:
            text = _with_summary(text, self.summary)
        if path is not None:
            with atomic_path(Path(path)) as temporary:
                temporary.write_text(text + "\n", encoding="utf-8")
        return text

    @classmethod
    def from_json(cls, source: Path | str) -> "ScoreCard":
        """Read a card from a file, or from the text that :meth:`to_json` returned.

        Raises
        ------
        InvalidInputError
            If there is no such file.
        CorruptFileError
            If the text is truncated, altered in layout, or not a score card.
        """
        text, origin = _text_of(source)
        try:
            content = json.loads(text)
            if not isinstance(content, dict) or content.get("format") != _FORMAT:
                raise CorruptFileError(f"{origin} must be a score card of format {_FORMAT}; score again")
            scores = {name: _score_of(plain) for name, plain in content["scores"].items()}
            summary = content.get("summary")  # older cards have none
            return cls(
                scores,
                dict(content["about"]),
                tuple(map(str, content["notes"])),
                None if summary is None else RepresentationSummary.from_plain(summary),
            )
        except (json.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            if isinstance(error, CorruptFileError):
                raise
            raise CorruptFileError(
                f"{origin} must be a whole score card in JSON; it could not be read "
                f"({type(error).__name__}: {error}); score again"
            ) from error


class InvalidScoreNameError(InvalidInputError, KeyError):
    """A score that the card does not hold."""

    def __init__(self, name: str, known: Mapping[str, Score]) -> None:
        super().__init__(
            f"the card holds no score {name!r}{did_you_mean(name, known)}; it holds {', '.join(known) or 'none'}"
        )

    __str__ = Exception.__str__


def _text_of(source: Path | str) -> tuple[str, str]:
    if isinstance(source, str) and source.lstrip().startswith(("{", "[")):
        return source, "the given text"
    path = Path(source)
    if not path.is_file():
        raise InvalidInputError(f"{path} must be a score card in JSON; there is no such file")
    try:
        return path.read_text(encoding="utf-8"), str(path)
    except UnicodeDecodeError as error:
        raise CorruptFileError(f"{path} must be a score card in JSON; it is not text ({error})") from error


def _score_of(plain: dict[str, Any]) -> Score:
    interval = plain["interval"]
    for field_ in ("name", "signature"):
        if not isinstance(plain[field_], str):
            raise TypeError(f"the {field_} of a score must be text; got {plain[field_]!r}")
    return Score(
        **{
            **plain,
            "value": math.nan if plain["value"] is None else float(plain["value"]),
            "interval": None
            if interval is None
            else Interval(
                float(interval["low"]), float(interval["high"]), float(interval["level"]), interval["method"]
            ),
            "per_factor": {k: math.nan if v is None else float(v) for k, v in plain["per_factor"].items()},
            "details": {name: _array_of(rows) for name, rows in plain["details"].items()},
            "notes": tuple(map(str, plain["notes"])),
            "replicates": tuple(math.nan if v is None else float(v) for v in plain["replicates"]),
            "seed_sd": float(plain["seed_sd"]),
            "parts": {name: _score_of(part) for name, part in plain.get("parts", {}).items()},
            "corrected": _optional(plain.get("corrected")),  # older cards have neither this nor parts
            **{name: _optional(plain[name]) for name in ("null", "adjusted", "p_value")},
        }
    )


def _optional(value: Any) -> float | None:
    return None if value is None else float(value)


def _array_of(rows: Any) -> NDArray[Any]:
    array = np.array(rows)
    return array.astype(np.float64) if array.dtype == object else array  # None stands for NaN


def _with_summary(text: str, summary: RepresentationSummary) -> str:
    # One line a part: one line a number, as of the rest, would be three times as long.
    parts = [
        f"  {json.dumps(name)}: {json.dumps(part, allow_nan=False, ensure_ascii=False, separators=(',', ':'))}"
        for name, part in summary.to_plain().items()
    ]
    inner = ",\n".join(parts)
    return f'{text[:-2]},\n "summary": {{\n{inner}\n }}\n}}'


def _to_plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_to_plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return _to_plain(value.tolist())
    if isinstance(value, np.generic):
        return _to_plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for position, heading in enumerate(headings):
        table.add_column(Text(heading), justify="right" if position else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def _width(rows: Sequence[Sequence[str]]) -> int:
    return sum(2 + max(map(cell_len, column)) for column in zip(*rows, strict=True))


def _row(score: Score) -> tuple[str, ...]:
    if score.undefined:
        return (score.name, "undefined", "—", "—", "—", "—")
    interval = f"[{score.interval.low:.3f}, {score.interval.high:.3f}]" if score.interval else "—"
    numbers = (score.null, score.adjusted, score.p_value)
    return (score.name, f"{score.value:.3f}", interval, *(_number(number, 3) for number in numbers))


def _number(value: float | None, digits: int) -> str:
    return "—" if value is None or math.isnan(value) else f"{value:.{digits}f}"
