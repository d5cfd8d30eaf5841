"""Baselines: the scores that a model must not fall behind, in a small file that people can read and git can compare."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

from disentmetrics._utils.cache import atomic_path
from disentmetrics.comparison.compare import higher_is_better
from disentmetrics.errors import CorruptFileError, InvalidInputError
from disentmetrics.results.card import ScoreCard
from disentmetrics.results.score import Interval, Score

FORMAT = "disentmetrics-baseline-1"
_KEPT = ("data", "encoder", "rows", "row_key", "seed", "version")


@dataclass(frozen=True)
class Baseline:
    """Scores to check others against.

    Attributes
    ----------
    scores : mapping of name to Score
        Value, interval, replicates, spread over seeds and signature; no matrices.
    about : mapping
        Data, encoder, rows, row key, seed and version of the card that it was made from.
    directions : mapping of name to bool or None
        Whether higher values are better; None where no metric of that name is installed.
    history : tuple of mapping
        What the baseline has been, the oldest first and the present one last: ``date``, and by score ``value``
        and ``signature``.
    """

    scores: Mapping[str, Score]
    about: Mapping[str, Any]
    directions: Mapping[str, bool | None]
    history: tuple[Mapping[str, Any], ...] = field(default=())

    @classmethod
    def of(cls, card: ScoreCard) -> "Baseline":
        """Make a baseline of all scores of a card, parts of metrics among them, without history."""
        scores = {
            score.name: replace(
                score,
                details={}, per_factor={}, notes=(), parts={}, null=None, adjusted=None, p_value=None, corrected=None,
            )
            for score in card.every_score()
        }  # fmt: skip
        about = {key: card.about[key] for key in _KEPT if key in card.about}
        return cls(scores, about, {name: higher_is_better(name) for name in scores})

    def to_text(self) -> str:
        """Return the text of the file: JSON, one line a number that a person may want to compare."""
        content = {
            "format": FORMAT,
            "about": dict(self.about),
            "scores": {name: _plain(score, better=self.directions.get(name)) for name, score in self.scores.items()},
            "history": [dict(entry) for entry in self.history],
        }
        return _laid_out(content) + "\n"


def read_baseline(source: Path | str) -> Baseline:
    """Read a baseline, or take a score card as one.

    Raises
    ------
    InvalidInputError
        If there is no such file.
    CorruptFileError
        If it is truncated, altered, or neither a baseline nor a score card.
    """
    path = Path(source)
    if not path.is_file():
        raise InvalidInputError(f"{path} must be a baseline or a score card; there is no such file; --update makes one")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # no JSON, or no text
        raise CorruptFileError(
            f"{path} must be a whole baseline or score card in JSON; it could not be read ({error}); make it again"
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        return Baseline.of(ScoreCard.from_json(path))
    try:
        return _baseline_of(content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CorruptFileError(
            f"{path} must be a baseline as --update writes it; it could not be read "
            f"({type(error).__name__}: {error}); make it again"
        ) from error


def update_baseline(path: Path | str, card: ScoreCard, *, today: date) -> Baseline:
    """Make the scores of a card the baseline, whole or not at all, and keep what it has been.

    Parameters
    ----------
    path : path
        A baseline, or a file that does not exist yet.
    card : ScoreCard
        All of its scores are guarded from now on, and no others.
    today : date
        Written into the history. A card that equals the baseline changes nothing, not even the date.

    Returns
    -------
    Baseline
        What stands in the file now.

    Raises
    ------
    InvalidInputError
        If ``path`` is a score card, which would be lost.
    CorruptFileError
        If it is neither a baseline nor a score card; nothing is written.
    """
    path = Path(path)
    history: tuple[Mapping[str, Any], ...] = ()
    if path.exists():
        known = read_baseline(path)
        if not known.history:
            raise InvalidInputError(
                f"an updated baseline must be a file that --update made; {path} is a score card, which would be lost; "
                "name another file"
            )
        history = known.history
    made = Baseline.of(card)
    scores = {
        name: {"value": None if score.undefined else score.value, "signature": score.signature}
        for name, score in made.scores.items()
    }
    if not history or history[-1]["scores"] != scores:
        history = (*history, {"date": today.isoformat(), "scores": scores})
    made = replace(made, history=history)
    with atomic_path(path) as temporary:
        temporary.write_text(made.to_text(), encoding="utf-8")
    return made


def _plain(score: Score, *, better: bool | None) -> dict[str, Any]:
    return {
        "value": None if score.undefined else score.value,
        "undefined": score.undefined,
        "interval": asdict(score.interval) if score.interval else None,
        "higher_is_better": better,
        "signature": score.signature,
        "seed_sd": score.seed_sd,
        "replicates": [None if math.isnan(value) else value for value in score.replicates],
    }


def _baseline_of(content: dict[str, Any]) -> Baseline:
    scores = {name: _score_of(name, plain) for name, plain in content["scores"].items()}
    directions = {name: plain["higher_is_better"] for name, plain in content["scores"].items()}
    if not all(better is None or isinstance(better, bool) for better in directions.values()):
        raise ValueError("higher_is_better must be true, false or null")
    history = tuple(dict(entry) for entry in content["history"])
    if not history or not all(isinstance(entry["scores"], dict) and entry["date"] for entry in history):
        raise ValueError("history must hold at least one entry with date and scores")
    return Baseline(scores, dict(content["about"]), directions, history)


def _score_of(name: str, plain: dict[str, Any]) -> Score:
    if (plain["value"] is None) != bool(plain["undefined"]):
        raise ValueError(f"{name} must have either a value or a reason why it is undefined")
    interval = plain["interval"]
    return Score(
        name,
        math.nan if plain["value"] is None else _finite(plain["value"]),
        str(plain["signature"]),
        interval=None
        if interval is None
        else Interval(
            _finite(interval["low"]), _finite(interval["high"]), _finite(interval["level"]), str(interval["method"])
        ),
        undefined=plain["undefined"],
        seed_sd=_finite(plain["seed_sd"]),
        replicates=tuple(math.nan if value is None else _finite(value) for value in plain["replicates"]),
    )


def _finite(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} must be a finite number")
    return float(value)


def _laid_out(value: Any, indent: str = "") -> str:
    """Return JSON with one line for each list or mapping of plain values, and one for each entry of others."""
    items = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else ()
    if not any(isinstance(item, dict | list) for item in items) and indent:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    inner = f"{indent} "
    keys = (
        [f"{json.dumps(key, ensure_ascii=False)}: " for key in value] if isinstance(value, dict) else [""] * len(items)
    )
    lines = [f"{inner}{key}{_laid_out(item, inner)}" for key, item in zip(keys, items, strict=True)]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return "\n".join([opening, ",\n".join(lines), f"{indent}{closing}"])
