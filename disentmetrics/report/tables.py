"""Tables of the report: scores with explanations, scores per factor, provenance."""

import inspect
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from disentmetrics.errors import InvalidInputError
from disentmetrics.metrics import registered_metrics
from disentmetrics.metrics.base import Metric
from disentmetrics.report.figures import Whisker, axis_of, whisker
from disentmetrics.results.card import ScoreCard
from disentmetrics.results.score import Score
from disentmetrics.results.signature import Signature

_ROLE = re.compile(r":\w+:`~?([^`]*)`")


@dataclass(frozen=True)
class Explanation:
    """What a metric measures, its known failure, and its source."""

    meaning: str
    failure: str
    paper: str
    source: str
    family: str
    higher_is_better: bool | None


@dataclass(frozen=True)
class Row:
    """One line of the score table."""

    score: Score
    metric: str
    protocol: str
    is_part: bool
    mark: Whisker
    explanation: Explanation


def score_rows(card: ScoreCard) -> list[Row]:
    """Return all scores of a card, each followed by its parts."""
    rows = []
    for key, score in card.scores.items():
        for part, single in (("", score), *score.parts.items()):
            explained = explain(key, part)
            mark = whisker(single, axis_of([single], single.bounds))
            metric, protocol = _named(key)
            rows.append(Row(single, metric, protocol, bool(part), mark, explained))
    return rows


def _named(key: str) -> tuple[str, str]:
    metric, _, protocol = key.partition("@")
    return metric, protocol or "default"


def explain(key: str, part: str = "") -> Explanation:
    """Return the explanation of a metric from its declaration, also for metrics that are not installed.

    Examples
    --------
    >>> explain("mig").failure
    'Two factors packed into one latent score almost 1.'
    >>> explain("unheard-of").meaning
    'This metric is not installed, so no description is available.'
    """
    name, protocol = _named(key)
    metric = registered_metrics().get(name)
    if metric is None:
        unknown = "This metric is not installed, so no description is available."
        return Explanation(unknown, "", "", "", "", None)
    meaning = _first_paragraph(metric)
    if part:
        meaning = f"{part.capitalize()}, a part of {name}. {meaning}"
    declared = metric.protocols.get(protocol)
    return Explanation(
        meaning,
        metric.known_failure,
        metric.paper,
        declared.source if declared else "",
        metric.family,
        metric.higher_is_better_for(part),
    )


def _first_paragraph(metric: Metric) -> str:
    text = (inspect.getdoc(metric) or "").partition("\n\n")[0].replace("\n", " ")
    return _ROLE.sub(r"\1", text).replace("``", "")


@dataclass(frozen=True)
class FactorPanel:
    """Scores of single factors under one metric, as bars in percent of the metric's range."""

    name: str
    bars: tuple[tuple[str, float | None, str], ...]
    mean: float | None


def factor_panels(card: ScoreCard) -> list[FactorPanel]:
    """Return the scores of single factors, for each metric that has them."""
    panels = []
    for score in card.scores.values():
        if not score.per_factor:
            continue
        values = list(score.per_factor.values())
        low, high = axis_of([Score(score.name, value, "") for value in values], score.bounds)
        bars = tuple(
            (name, None if math.isnan(value) else _percent(value, low, high), _number(value))
            for name, value in score.per_factor.items()
        )
        mean = None if math.isnan(score.value) else _percent(score.value, low, high)
        panels.append(FactorPanel(score.name, bars, mean))
    return panels


def _percent(value: float, low: float, high: float) -> float:
    return round(100 * min(max((value - low) / (high - low), 0.0), 1.0), 2)


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:z.2f}"


@dataclass(frozen=True)
class Origin:
    """Provenance of a card, and the signatures that reproduce its scores."""

    facts: tuple[tuple[str, str], ...]
    signatures: tuple[str, ...]


_FACTS = {
    "data": "Data set",
    "encoder": "Encoder",
    "rows": "Rows",
    "codes": "Latents",
    "factors": "Factors",
    "row_key": "Row key",
    "seed": "Seed",
    "version": "Scored by",
    "seconds": "Duration",
}


def origin(card: ScoreCard, path: str = "") -> Origin:
    """Return the provenance of a card; unknown fields are shown under their own names."""
    facts = [("File", path)] if path else []
    about = card.about
    keys = [key for key in (*_FACTS, *(key for key in about if key not in _FACTS)) if key in about and key != "kinds"]
    kinds = "".join(card.factor_lines()).removeprefix("factors: ")
    facts += [(_FACTS.get(key, key), (kinds if key == "factors" else "") or _fact(key, about[key])) for key in keys]
    drawn = dict.fromkeys(fields.get("draw", "") for fields in map(_fields, card.scores.values()))
    rows = ", ".join(filter(None, drawn))
    facts += [("Rows drawn", rows)] if rows else []
    return Origin(tuple(facts), tuple(dict.fromkeys(score.signature for score in card.scores.values())))


def _fields(score: Score) -> Mapping[str, str]:
    try:
        return Signature.parse(score.signature).fields
    except InvalidInputError:
        return {}


def _fact(key: str, value: Any) -> str:
    if key == "factors" and isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(str, value))
    if key == "version":
        return f"disentmetrics {value}"
    if key in {"rows", "codes"} and isinstance(value, int):
        return f"{value:,}"
    if key == "seconds" and isinstance(value, int | float):
        return f"{value:,.1f} s"
    return str(value)
