"""Score cards as JSON, and JSON as score cards."""

import json
import math
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.plain import to_plain
from disentmetrics.errors import CorruptFileError, InvalidInputError
from disentmetrics.results.score import Interval, Score
from disentmetrics.results.summary import RepresentationSummary
from disentmetrics.results.verdict import Verdict

FORMAT = "disentmetrics-scorecard-1"


def text_of(
    scores: Mapping[str, Score],
    about: Mapping[str, Any],
    notes: tuple[str, ...],
    summary: RepresentationSummary | None,
    verdict: Verdict | None,
) -> str:
    """Return the parts of a card as JSON text."""
    content = {
        "format": FORMAT,
        "about": dict(about),
        "notes": list(notes),
        **({} if verdict is None else {"verdict": verdict.to_plain()}),
        "scores": {name: to_plain(score) for name, score in scores.items()},
    }
    text = json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False)
    return _with_summary(text, summary) if summary else text


def _with_summary(text: str, summary: RepresentationSummary) -> str:
    # One line per part: one line per number, as in the rest, would be three times as long.
    parts = [
        f"  {json.dumps(name)}: {json.dumps(part, allow_nan=False, ensure_ascii=False, separators=(',', ':'))}"
        for name, part in summary.to_plain().items()
    ]
    inner = ",\n".join(parts)
    return f'{text[:-2]},\n "summary": {{\n{inner}\n }}\n}}'


def parts_of(source: Path | str) -> dict[str, Any]:
    """Return the scores, about, notes, summary and verdict of a card in JSON, given as a path or as text.

    Raises
    ------
    InvalidInputError
        If there is no such file.
    CorruptFileError
        If the text is truncated, altered in layout, or not a score card.
    """
    text, origin = _text_and_origin(source)
    try:
        content = json.loads(text, parse_constant=_refuse_constant)
        json.dumps(content, ensure_ascii=False).encode()  # raises for half a character, which cannot be printed
        _check_format(origin, content)
        summary, verdict = content.get("summary"), content.get("verdict")  # older cards have neither
        return {
            "scores": {name: _score_of(plain) for name, plain in content["scores"].items()},
            "about": dict(content["about"]),
            "notes": tuple(map(str, content["notes"])),
            "summary": None if summary is None else RepresentationSummary.from_plain(summary),
            "verdict": None if verdict is None else Verdict.from_plain(verdict),
        }
    except CorruptFileError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise CorruptFileError(
            f"{origin} must be a complete score card in JSON; it could not be read "
            f"({type(error).__name__}: {error}); score again"
        ) from error


def _check_format(origin: str, content: Any) -> None:
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CorruptFileError(_other_format(origin, content))


def _refuse_constant(name: str) -> None:
    raise ValueError(f"every number must be finite; got {name}")


def _text_and_origin(source: Path | str) -> tuple[str, str]:
    if isinstance(source, str) and source.lstrip().startswith(("{", "[")):
        return source, "the given text"
    path = Path(source)
    if not path.is_file():
        raise InvalidInputError(f"{path} must be a score card in JSON; there is no such file")
    try:
        return path.read_text(encoding="utf-8"), str(path)
    except UnicodeDecodeError as error:
        raise CorruptFileError(f"{path} must be a score card in JSON; it is not text ({error})") from error


def _other_format(origin: str, content: Any) -> str:
    other = content.get("format") if isinstance(content, dict) else None
    got = f"; its format is {other!r}" if isinstance(other, str) else ""
    return f"{origin} must be a score card of format {FORMAT}{got}; score again"


def _score_of(plain: dict[str, Any]) -> Score:
    interval = plain["interval"]
    for name in ("name", "signature"):
        if not isinstance(plain[name], str):
            raise TypeError(f"the {name} of a score must be text; got {plain[name]!r}")
    return Score(
        **{
            **plain,
            **_declaration_of(plain),
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
            "n_permutations": int(plain.get("n_permutations", 0)),
            **{name: _optional(plain[name]) for name in ("null", "adjusted", "p_value")},
        }
    )


def _declaration_of(plain: dict[str, Any]) -> dict[str, Any]:
    """Return what the metric declares; for scores of older cards, which do not contain it, what it declares now."""
    if "bounds" not in plain:
        # Looked up at run time: results are plain data and import no metric.
        declared: dict[str, Any] = import_module("disentmetrics.scoring.declarations").declared(plain["name"])
        return declared
    low, high = plain["bounds"]
    better = plain["higher_is_better"]
    if not isinstance(better, bool | None):
        raise TypeError(f"higher_is_better must be true, false or null; got {better!r}")
    return {
        "bounds": (-math.inf if low is None else float(low), math.inf if high is None else float(high)),
        "higher_is_better": better,
        "randomised": bool(plain["randomised"]),
        "question": str(plain["question"]),
    }


def _optional(value: Any) -> float | None:
    return None if value is None else float(value)


def _array_of(rows: Any) -> NDArray[Any]:
    array = np.array(rows)
    return array.astype(np.float64) if array.dtype == object else array  # None stands for NaN
