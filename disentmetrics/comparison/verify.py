"""Recompute a score card and check that it reproduces."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import RenderableType

from disentmetrics._utils.tables import TextTable, plain_text
from disentmetrics._utils.text import one_line
from disentmetrics.datasets.base import DataSet
from disentmetrics.datasets.registry import load_dataset
from disentmetrics.encoders.encode import encode
from disentmetrics.encoders.protocol import Encoder
from disentmetrics.encoders.registry import open_encoder
from disentmetrics.errors import InvalidInputError
from disentmetrics.metrics import find_metric
from disentmetrics.representation import Representation
from disentmetrics.results.card import ScoreCard
from disentmetrics.results.score import Score
from disentmetrics.results.signature import Signature
from disentmetrics.scoring.score import score as score_representation
from disentmetrics.scoring.uncertainty import IntervalMethod

FLOATING_ERROR = 1e-9
"""Numbers closer than this, relative to the larger of the number and 1, differ by rounding alone."""

_HEADINGS = ("score", "repeats", "card", "now", "largest difference")


class Repeats(StrEnum):
    """How closely a score repeats."""

    EXACTLY = "exactly"
    CLOSELY = "within floating error"
    NOT = "not"


@dataclass(frozen=True)
class Repetition:
    """How closely one score repeats.

    Attributes
    ----------
    name : str
    repeats : Repeats
    value, now : float or None
        On the card and recomputed; None where undefined or not scored.
    differing : mapping of str to pair of (float or None)
        Numbers that differ, such as ``value``, ``interval.low`` or ``per_factor.shape``: on the card, and recomputed.
    """

    name: str
    repeats: Repeats
    value: float | None
    now: float | None
    differing: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)


@dataclass(frozen=True)
class Verification:
    """Whether the numbers of a card repeat.

    Attributes
    ----------
    repetitions : tuple of Repetition
        One per score, parts of metrics included.
    changed : mapping of field to pair of str
        Fields of the signatures that differ from the card, with both values. A different version or
        fingerprint of the encoder is not a failure in itself: the numbers decide.
    problem : str or None
        Why nothing was scored, such as rows that differ from those of the card.
    """

    repetitions: tuple[Repetition, ...]
    changed: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    problem: str | None = None

    @property
    def passed(self) -> bool:
        """Whether every number repeats, exactly or within floating error."""
        return self.problem is None and all(r.repeats is not Repeats.NOT for r in self.repetitions)

    def table(self) -> RenderableType:
        """Return the scores as a table for terminals."""
        rows = [(r.name, r.repeats, _shown(r.value), _shown(r.now), _most(r.differing)) for r in self.repetitions]
        return TextTable(_HEADINGS, rows).to_rich()

    def remarks(self) -> list[str]:
        """Return what differs from the card other than the numbers."""
        sentences = {
            "v": "the card was made by version {0}, this is version {1}",
            "encoder": "the encoder of the card is {0}, this one is {1}",
        }
        lines = [
            one_line(sentences.get(key, f"{key} is {{0}} on the card and {{1}} now").format(*pair))
            for key, pair in self.changed.items()
        ]
        return [*lines, *([self.problem] if self.problem else [])]

    def verdict(self) -> str:
        """Return the result in one sentence."""
        counts = {which: sum(r.repeats is which for r in self.repetitions) for which in Repeats}
        if self.problem:
            return "the scores could not be recomputed"
        if counts[Repeats.NOT]:
            names = ", ".join(r.name for r in self.repetitions if r.repeats is Repeats.NOT)
            return one_line(f"{counts[Repeats.NOT]} of {len(self.repetitions)} scores do not repeat: {names}")
        how = Repeats.CLOSELY if counts[Repeats.CLOSELY] else Repeats.EXACTLY
        return f"{len(self.repetitions)} of {len(self.repetitions)} scores repeat {how}"

    def __str__(self) -> str:
        return "\n".join([plain_text(self.table()), "", *(f"• {line}" for line in self.remarks()), self.verdict()])


def verify(
    card: ScoreCard,
    source: Encoder | str | Representation,
    *,
    data: DataSet | str | None = None,
    n_jobs: int = 1,
    batch_size: int = 256,
    trust_pickle: bool = False,
    progress: bool = False,
) -> Verification:
    """Recompute a score card with this version, and compare every number.

    Parameters
    ----------
    card : ScoreCard
        Specifies the rows, the seeds, the metrics and their protocols.
    source : Encoder, str or Representation
        The encoder, which is run again on the same rows (the code cache is not used), or its codes.
    data : DataSet or str, optional
        By default the data set that the card names. Needed if it was not loaded by name.
    n_jobs, batch_size, trust_pickle, progress
        As for :func:`disentmetrics.score` and :func:`disentmetrics.encode`.

    Returns
    -------
    Verification
        Compares all values, intervals, nulls, p-values, scores of single factors, replicates and matrices that the
        card contains. If the rows are not those of the card, nothing is scored.

    Raises
    ------
    InvalidInputError
        If the card does not specify its rows or seed, or one of its metrics or protocols no longer exists.
    EncoderError
        If the encoder fails.

    Examples
    --------
    >>> import disentmetrics as dm
    >>> codes = dm.encode("baseline:factors", dm.load_dataset("dsprites"), n_samples=200)
    >>> verify(dm.score(codes, ["mig"], null=False), "baseline:factors").verdict()
    '1 of 1 scores repeat exactly'
    """
    for name in card:
        find_metric(name)
    seed = _seed(card)
    if isinstance(source, Representation):
        representation = source
    else:
        how, encoder_seed = _draw(card)
        loaded = _data_of(card, data)
        if loaded.fingerprint != card.about.get("data"):
            return _other_rows(card, {"data": loaded.fingerprint})
        with open_encoder(source, data=loaded, seed=encoder_seed, trust_pickle=trust_pickle) as encoder:
            representation = encode(
                encoder, loaded, **how, seed=encoder_seed, batch_size=batch_size, cache=False, progress=progress
            )
    if representation.row_key != card.about.get("row_key"):
        rows = {"rows": str(representation.n_samples), "row_key": representation.row_key}
        return _other_rows(card, {"data": representation.provenance.data, **rows})
    again = score_representation(
        representation,
        list(card),
        seed=seed,
        interval=_interval_method(card),
        null=bool(card.about.get("null", any(score.p_value is not None for score in card.every_score()))),
        n_jobs=n_jobs,
        progress=progress,
    )
    now = {score.name: score for score in again.every_score()}
    changed: dict[str, tuple[str, str]] = {}
    for score in card.every_score():
        if score.name in now:
            changed.update(Signature.parse(score.signature).differences(Signature.parse(now[score.name].signature)))
    return Verification(tuple(_repetition(score, now.get(score.name)) for score in card.every_score()), changed)


def _data_of(card: ScoreCard, given: DataSet | str | None) -> DataSet:
    spec = given if given is not None else card.about.get("data_spec")
    if spec is None:
        raise InvalidInputError(
            f"the card does not name a data set that can be loaded (its fingerprint is "
            f"{card.about.get('data', 'unknown')}); give data, or --data on the command line"
        )
    return spec if isinstance(spec, DataSet) else load_dataset(str(spec))


def _draw(card: ScoreCard) -> tuple[dict[str, Any], int]:
    """Return the arguments of ``encode`` that choose the rows, and the seed of the draw."""
    draws = {Signature.parse(score.signature).fields.get("draw", "unknown") for score in card.values()}
    if len(draws) != 1:
        raise InvalidInputError(
            f"all scores of a card must use rows drawn in the same way; got {', '.join(sorted(draws))}"
        )
    sampling, _, seed = draws.pop().partition("/")
    if sampling in {"grid", "all"}:
        return {"full_grid": True}, _seed(card)
    if sampling in {"uniform", "weighted", "own"} and seed.isdecimal():
        n_rows = card.about.get("rows")
        if isinstance(n_rows, bool) or not isinstance(n_rows, int):
            raise InvalidInputError(f"the card must specify how many rows were scored; got {n_rows!r}")
        return {"n_samples": n_rows}, int(seed)
    if sampling == "table":
        raise InvalidInputError(
            "the card was computed from a table of codes; give the table with --codes instead of an encoder"
        )
    raise InvalidInputError(
        f"the rows of the card were chosen individually ({sampling}); give their codes with --codes"
    )


def _seed(card: ScoreCard) -> int:
    seed = card.about.get("seed")
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise InvalidInputError(f"the card must specify its seed, a whole number; got {seed!r}; score again")
    return seed


def _interval_method(card: ScoreCard) -> IntervalMethod | None:
    """Return how rows were resampled; in cards of older versions, the intervals of deterministic metrics show it."""
    if "interval" in card.about:
        method: IntervalMethod | None = card.about["interval"]
        return method
    scores = [score for score in card.every_score() if score.interval or score.replicates]
    steady = [score for score in scores if not score.randomised]
    if any(score.interval and score.interval.method == "half-sampling" for score in steady):
        return "half-sampling"
    return "jackknife" if scores else None


def _other_rows(card: ScoreCard, now: Mapping[str, str]) -> Verification:
    pairs = {key: (str(card.about.get(key, "unknown")), value) for key, value in now.items()}
    changed = {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}
    nothing = tuple(Repetition(score.name, Repeats.NOT, _value(score), None) for score in card.every_score())
    return Verification(nothing, changed, "the rows differ from those of the card; nothing was scored")


def _repetition(score: Score, now: Score | None) -> Repetition:
    if now is None:
        return Repetition(score.name, Repeats.NOT, _value(score), None)
    differing = dict(_differing(_numbers(score), _numbers(now)))
    distances = [_distance(*pair) for pair in differing.values()]
    repeats = Repeats.EXACTLY
    if distances:
        repeats = Repeats.CLOSELY if max(distances) <= FLOATING_ERROR else Repeats.NOT
    return Repetition(score.name, repeats, _value(score), _value(now), differing)


def _numbers(score: Score) -> dict[str, NDArray[np.float64]]:
    """Return all numbers of a score by name, as arrays; a missing number is NaN."""
    single = {name: getattr(score, name) for name in ("null", "adjusted", "p_value", "corrected", "seed_sd")}
    ends = {f"interval.{end}": getattr(score.interval, end) for end in ("low", "high")} if score.interval else {}
    by_factor = {f"per_factor.{name}": value for name, value in score.per_factor.items()}
    details = {f"details.{name}": matrix for name, matrix in score.details.items()}
    replicates = {"replicates": score.replicates} if score.replicates else {}
    numbers = {"value": score.value, **ends, **single, **by_factor, **replicates, **details}
    arrays = {name: np.asarray(value, dtype=np.float64) for name, value in numbers.items() if value is not None}
    # JSON has no infinity: a card that was read contains NaN instead.
    return {name: np.where(np.isfinite(array), array, np.nan) for name, array in arrays.items()}


def _differing(
    card: Mapping[str, NDArray[np.float64]], now: Mapping[str, NDArray[np.float64]]
) -> Iterator[tuple[str, tuple[float | None, float | None]]]:
    for name, ours in card.items():  # numbers that the card does not contain are not compared
        theirs = now.get(name)
        if theirs is None or theirs.shape != ours.shape:
            yield name, (float(ours) if ours.ndim == 0 else None, None)
        elif not np.array_equal(ours, theirs, equal_nan=True):
            apart = np.where(np.isnan(ours) == np.isnan(theirs), np.abs(ours - theirs), np.inf)
            apart = np.nan_to_num(apart, nan=0.0, posinf=np.inf) / np.maximum(1, np.abs(np.nan_to_num(ours)))
            place = np.unravel_index(int(apart.argmax()), ours.shape)
            yield name, (_or_none(ours[place]), _or_none(theirs[place]))


def _distance(card: float | None, now: float | None) -> float:
    return math.inf if card is None or now is None else abs(card - now) / max(1.0, abs(card))


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _value(score: Score) -> float | None:
    return None if score.undefined else _or_none(score.value)


def _shown(value: float | None) -> str:
    return "—" if value is None else f"{value:.6g}"


def _most(differing: Mapping[str, tuple[float | None, float | None]]) -> str:
    if not differing:
        return "—"
    name = max(differing, key=lambda key: _distance(*differing[key]))
    distance = _distance(*differing[name])
    return f"{name}, by {distance:.2g}" if math.isfinite(distance) else f"{name}, missing in one"
