"""Score cards: all scores of one representation."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType

from disentmetrics._utils.cache import atomic_path
from disentmetrics._utils.tables import html_caption, html_lines, plain_text
from disentmetrics._utils.text import one_line
from disentmetrics.errors import InvalidInputError, did_you_mean
from disentmetrics.results.score import Score
from disentmetrics.results.score_text import (
    TERMINAL,
    edge_note,
    factor_table,
    score_table,
    signature_lines,
    wrapped_signature,
)
from disentmetrics.results.serialization import parts_of, text_of
from disentmetrics.results.summary import RepresentationSummary
from disentmetrics.results.verdict import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_FACTORS = 20  # in one line
MOST_SENTENCES = 12
"""Sentences about single factors that are printed."""
EXPLAINED = "Percentages are shares of the variance of a factor explained on held-out rows."
"""Printed below the verdict."""


@dataclass(frozen=True, eq=False)
class ScoreCard(Mapping[str, Score]):
    """All scores of one representation, by metric name.

    Attributes
    ----------
    scores : dict of str to Score
    about : dict of str
        Data, encoder, numbers of rows and latents, names and kinds of factors; ``row_key``, which is equal for two
        cards exactly when their rows can be compared in pairs; ``data_spec`` or ``columns``, by which the data can be
        loaded again.
    notes : tuple of str
        Diagnostics of the representation in words, such as constant latents.
    summary : RepresentationSummary or None
        Histograms, matrices and sample rows for plots and reports. None in cards of older versions.
    verdict : Verdict or None
        Which factors are disentangled, and what is wrong with the others; its ``sentence`` sums it up. None without
        factors, and in cards of older versions.

    Examples
    --------
    >>> import numpy as np, disentmetrics as dm
    >>> factors = np.indices((6, 8)).reshape(2, -1).T.repeat(20, axis=0)
    >>> card = dm.score(dm.Representation(factors.astype(float), factors), ["mig"], interval=None)
    >>> card["mig"].value
    1.0
    >>> card.verdict.sentence
    'All 2 factors are disentangled.'
    >>> ScoreCard.from_json(card.to_json())["mig"].value
    1.0
    """

    scores: Mapping[str, Score]
    about: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    summary: RepresentationSummary | None = None
    verdict: Verdict | None = None

    def __repr__(self) -> str:
        about = {
            key: self.about[key] for key in ("data", "encoder", "rows", "codes") if self.about.get(key) is not None
        }
        origin = "".join(f", {key}: {value}" for key, value in about.items())
        return f"ScoreCard({len(self)} scores: {', '.join(self) or 'none'}{origin})"

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
        footnotes = self.footnotes()
        remarks = [f"• {one_line(line)}" for line in self.remarks()]
        signatures = [part for line in self.signature_lines() for part in wrapped_signature(one_line(line), TERMINAL)]
        factors = [one_line(line) for line in self.factor_lines()]
        lines = [*tables[:1], *footnotes, *tables[1:], *remarks, *([""] if remarks else []), *factors, *signatures]
        return plain_text(*map(one_line, self.verdict_lines()), *lines, width=TERMINAL)

    def verdict_lines(self) -> list[str]:
        """Return the lines of the verdict that are printed first, and an empty one; none where there is no verdict."""
        if self.verdict is None:
            return []
        lines = [f"• {line}" for line in self.verdict.sentences(most=MOST_SENTENCES)]
        return [self.verdict.sentence, *lines, *([EXPLAINED] if self.verdict.factors else []), ""]

    def tables(self) -> list[RenderableType]:
        """Return the scores by question, and the scores of single factors if there are any, for terminals."""
        by_factor = factor_table(self.scores)
        return [score_table(self.scores).to_rich(), *([by_factor.to_rich()] if by_factor else [])]

    def footnotes(self) -> list[str]:
        """Return the lines printed below the table of scores."""
        note = edge_note(self.every_score())
        return [note] if note else []

    def remarks(self) -> list[str]:
        """Return the diagnostics of the representation, then the notes of each score."""
        of_scores = [
            f"{score.name}: {line}"
            for score in self.every_score()
            for line in ([f"undefined: {score.undefined}"] if score.undefined else score.notes)
        ]
        return [*self.notes, *of_scores]

    def factor_lines(self) -> list[str]:
        """Return a line with the kind of each factor, which decides how metrics read it; none on older cards."""
        if self.summary is not None:
            factors = [factor.description for factor in self.summary.factors]
        else:
            factors = [f"{name} ({kind})" for name, kind in dict(self.about.get("kinds", {})).items()]
        more = [f"and {len(factors) - _MOST_FACTORS} more"] if len(factors) > _MOST_FACTORS else []
        return [f"factors: {', '.join([*factors[:_MOST_FACTORS], *more])}"] if factors else []

    def signature_lines(self, *, full: bool = False) -> list[str]:
        """Return the fields that all signatures share in one line, then those that differ, by score.

        Parameters
        ----------
        full : bool
            Whether to return the complete signatures instead.
        """
        return signature_lines(self.scores, full=full)

    def _repr_html_(self) -> str:
        by_factor = factor_table(self.scores)
        tables = [score_table(self.scores).to_html(), *([by_factor.to_html()] if by_factor else [])]
        lines = [*self.footnotes(), *self.remarks(), *self.factor_lines()]
        verdict = html_lines([line.removeprefix("• ") for line in self.verdict_lines()[:-1]])
        return f"<div>{html_caption(self._caption())}{verdict}{''.join(tables)}{html_lines(lines)}</div>"

    def _caption(self) -> str:
        shown = [str(self.about[name]) for name in ("encoder", "data") if self.about.get(name)]
        counts = [f"{self.about[name]} {name}" for name in ("rows", "codes") if name in self.about]
        return " · ".join([*shown, *counts])

    def plot(self, kind: str = "scores") -> "Figure":
        """Draw the card as a figure for a paper.

        Parameters
        ----------
        kind : str
            One of :func:`disentmetrics.plots.kinds`, such as ``scores``, ``mi-matrix`` or ``tuning-maps``.

        Returns
        -------
        matplotlib.figure.Figure
            Write it with :func:`disentmetrics.plots.save_figure`, which keeps text as text.

        Raises
        ------
        MissingExtraError
            If matplotlib is not installed.
        InvalidInputError
            If there is no such kind, or the card lacks the data that it shows.
        """
        from disentmetrics.plots import draw  # imports this module

        return draw({str(self.about.get("encoder") or "card"): self}, kind)

    def to_json(self, path: Path | str | None = None) -> str:
        """Return the card as JSON, and write it to ``path`` (completely or not at all) if given."""
        text = text_of(self.scores, self.about, self.notes, self.summary, self.verdict)
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
        return cls(**parts_of(source))


class InvalidScoreNameError(InvalidInputError, KeyError):
    """A score that the card does not contain."""

    def __init__(self, name: str, scores: Mapping[str, Score]) -> None:
        super().__init__(
            f"the card contains no score {name!r}{did_you_mean(name, scores)}; "
            f"it contains {', '.join(scores) or 'none'}"
        )

    __str__ = Exception.__str__
