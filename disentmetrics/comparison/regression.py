"""Check scores against a baseline, a score card that was accepted, so that a regression fails a build."""

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree as ET

from rich.console import RenderableType

from disentmetrics._utils.tables import TextTable, plain_text
from disentmetrics._utils.text import one_line
from disentmetrics.comparison.compare import OF_THE_ENCODER, disagreements, in_words, paired_interval
from disentmetrics.errors import CorruptFileError, InvalidInputError
from disentmetrics.results.card import ScoreCard
from disentmetrics.results.score import Interval, Score
from disentmetrics.results.signature import Signature

ROUNDING = 1e-9
"""Values closer than this, relative to the larger of baseline and 1, are equal: processors round differently."""

MOST_FACTORS = 3
"""Factors that are named where a score regressed."""
LARGE_FALL = 0.5
"""Share of the largest fall from which another factor is named too."""

_HEADINGS = ("score", "outcome", "baseline", "value", "change")


class CheckStatus(StrEnum):
    """Result of the check of one score."""

    OK = "ok"
    IMPROVED = "improved"
    NEW = "new"
    REGRESSED = "regressed"
    MISSING = "missing"
    UNDEFINED = "undefined"
    NOT_COMPARABLE = "not comparable"

    @property
    def fails(self) -> bool:
        """Whether it fails the check."""
        return self not in {CheckStatus.OK, CheckStatus.IMPROVED, CheckStatus.NEW}


@dataclass(frozen=True)
class Tolerance:
    """How much worse than the baseline a score may be.

    Attributes
    ----------
    kind : {"interval", "absolute", "relative"}
    amount : float
        Of an absolute or relative tolerance; 0.02 for both 0.02 and 2%.

    Examples
    --------
    >>> Tolerance.parse("2%"), str(Tolerance.parse(0.02)), str(Tolerance.parse("interval"))
    (Tolerance(kind='relative', amount=0.02), '0.02', 'interval')
    """

    kind: Literal["interval", "absolute", "relative"]
    amount: float = 0.0

    @classmethod
    def parse(cls, given: "str | float | Tolerance") -> "Tolerance":
        """Read ``interval``, a number or a percentage; raise InvalidInputError if it is none of these."""
        if isinstance(given, Tolerance):
            return given
        text = str(given).strip()
        if text == "interval":
            return cls("interval")
        share = text.endswith("%")
        try:
            amount = math.nan if isinstance(given, bool) else float(text.removesuffix("%"))
        except ValueError:
            amount = math.nan
        if not 0 <= amount < math.inf:
            raise InvalidInputError(
                "a tolerance must be interval, a number of at least 0 such as 0.02, or a percentage such as 2%; "
                f"got {given!r}"
            )
        return cls("relative", amount / 100) if share else cls("absolute", amount)

    def __str__(self) -> str:
        if self.kind == "interval":
            return "interval"
        return f"{self.amount * 100:g}%" if self.kind == "relative" else f"{self.amount:g}"


@dataclass(frozen=True)
class ScoreCheck:
    """Check of one score.

    Attributes
    ----------
    name : str
    outcome : CheckStatus
    reason : str
        One sentence.
    value, baseline : float or None
        None if there is no score, or it is undefined.
    interval : Interval or None
        Of ``value - baseline``, if the tolerance is ``interval``.
    changed : mapping of field to pair of str
        Fields of the signature that differ from the baseline, with the former and the present value.
    signature : str
        Of the score, or of the baseline if the card has none.
    factors : mapping of factor name to pair of float
        Factors that explain a regression: those whose own score became worse by most, with the values of baseline
        and card. Empty where the score did not regress or has no value per factor.
    """

    name: str
    outcome: CheckStatus
    reason: str
    value: float | None = None
    baseline: float | None = None
    interval: Interval | None = None
    changed: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    signature: str = ""
    factors: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def __str__(self) -> str:
        return one_line(f"{self.name} {self.outcome}: {self.reason}")


@dataclass(frozen=True)
class CheckResult:
    """Checks of all scores of a card and its baseline.

    Attributes
    ----------
    checks : tuple of ScoreCheck
        In the order of the baseline, then those that are new.
    tolerance : Tolerance
    """

    checks: tuple[ScoreCheck, ...]
    tolerance: Tolerance

    @property
    def passed(self) -> bool:
        """Whether no check fails."""
        return not self.failures

    @property
    def failures(self) -> tuple[ScoreCheck, ...]:
        """The checks that fail."""
        return tuple(check for check in self.checks if check.outcome.fails)

    def table(self) -> RenderableType:
        """Return the checks as a table for terminals."""
        last = "95 % interval of change" if self.tolerance.kind == "interval" else "tolerance"
        rows = [_row(check, self.tolerance) for check in self.checks]
        return TextTable((*_HEADINGS, last), rows).to_rich()

    def remarks(self) -> list[str]:
        """Return a sentence for each check that is not ok, then the changes of the encoder in the signatures."""
        sentences = [str(check) for check in self.checks if check.outcome is not CheckStatus.OK]
        changed: dict[str, list[str]] = {}
        for check in self.checks:
            of_encoder = {key: pair for key, pair in check.changed.items() if key in OF_THE_ENCODER}
            if of_encoder:
                words = ", ".join(f"{key} was {was}, is {now}" for key, (was, now) in of_encoder.items())
                changed.setdefault(one_line(words), []).append(check.name)
        return sentences + [f"{words} ({_some(names, len(self.checks))})" for words, names in changed.items()]

    def verdict(self) -> str:
        """Return the result in one sentence."""
        counts = {outcome: sum(check.outcome is outcome for check in self.checks) for outcome in CheckStatus}
        summary = ", ".join(f"{n} {outcome}" for outcome, n in counts.items() if n)
        return f"{'passed' if self.passed else 'failed'}: {summary or 'nothing to check'} (tolerance {self.tolerance})"

    def __str__(self) -> str:
        return "\n".join([plain_text(self.table()), "", *(f"• {line}" for line in self.remarks()), self.verdict()])

    def to_junit(self, suite: str = "disentmetrics") -> str:
        """Return the result as JUnit XML: one test case per score, ``skipped`` if it is new."""
        count = {"tests": str(len(self.checks)), "failures": str(len(self.failures)), "errors": "0"}
        skipped = str(sum(check.outcome is CheckStatus.NEW for check in self.checks))
        root = ET.Element("testsuites", {"name": _legal(suite), **count, "time": "0"})
        inner = ET.SubElement(root, "testsuite", {"name": _legal(suite), **count, "skipped": skipped, "time": "0"})
        for check in self.checks:
            case = ET.SubElement(
                inner, "testcase", {"classname": _legal(suite), "name": _legal(check.name), "time": "0"}
            )
            if check.outcome.fails:
                attributes = {"message": _legal(check.reason), "type": str(check.outcome)}
                ET.SubElement(case, "failure", attributes).text = _legal(f"{check}\n{check.signature}")
            elif check.outcome is CheckStatus.NEW:
                ET.SubElement(case, "skipped", {"message": _legal(check.reason)})
            else:
                ET.SubElement(case, "system-out").text = _legal(f"{check}\n{check.signature}")
        ET.indent(root)
        return f'<?xml version="1.0" encoding="utf-8"?>\n{ET.tostring(root, encoding="unicode")}\n'

    def annotations(self) -> list[str]:
        """Return workflow commands of GitHub: errors for failures, notices for new and improved scores."""
        return [
            f"::{'error' if check.outcome.fails else 'notice'} "
            f"title={_property(f'{check.name} {check.outcome}')}::{_message(check.reason)}"
            for check in self.checks
            if check.outcome is not CheckStatus.OK
        ]


def check(
    card: ScoreCard | Path | str,
    baseline: ScoreCard | Path | str,
    tolerance: str | float | Tolerance = "interval",
) -> CheckResult:
    """Check the scores of a card against a baseline.

    Parameters
    ----------
    card : ScoreCard or path
    baseline : ScoreCard or path
        The card that was accepted, such as one written by :func:`write_baseline`. All of its scores are checked.
    tolerance : "interval", float or text
        How much worse a score may be. ``0.02`` is in the unit of the metric, ``"2%"`` is relative to the
        baseline's value. ``"interval"`` allows what the choice of rows explains: a score regressed if the 95 %
        interval of its difference from the baseline lies entirely on the worse side of 0. The interval is paired,
        as the same rows are left out for both, because only scores of the same rows are compared at all.
        If rows were resampled in two ways, the two intervals are combined as if they were
        independent, and if only one of the two scores has an interval, the other value must not lie beyond it;
        both are more lenient than the paired interval. The interval does not cover training: if another
        training seed moves a score further than that, give a number.

    Returns
    -------
    CheckResult
        Worse is lower, or higher if the metric declares so. ``regressed``, ``missing`` (in the baseline only),
        ``undefined`` (in the card only) and ``not comparable`` fail. Not comparable is a score whose signature or
        rows differ from the baseline in more than the encoder; one whose metric declares no
        direction; and, under ``"interval"``, one without any interval. ``new`` (in the card only)
        and ``improved`` do not fail. A score that is undefined in both is ``ok``.

    Raises
    ------
    InvalidInputError
        If the tolerance is invalid, or a file does not exist.
    CorruptFileError
        If a file is truncated or altered.

    Examples
    --------
    >>> import numpy as np, disentmetrics as dm
    >>> rng = np.random.default_rng(0)
    >>> factors = rng.integers(6, size=(2000, 2))
    >>> noisy = factors + rng.normal(size=factors.shape)
    >>> clean, blurred = (dm.score(dm.Representation(codes, factors), ["mig"]) for codes in (factors, noisy))
    >>> check(clean, blurred).passed, check(blurred, clean).failures[0].outcome.value
    (True, 'regressed')
    """
    allowed = Tolerance.parse(tolerance)
    checked = card if isinstance(card, ScoreCard) else ScoreCard.from_json(Path(card))
    accepted = baseline if isinstance(baseline, ScoreCard) else read_baseline(baseline)
    scores = {score.name: score for score in checked.every_score()}
    before = {score.name: score for score in accepted.every_score()}
    row_keys = (str(accepted.about.get("row_key", "unknown")), str(checked.about.get("row_key", "unknown")))
    checks = [_checked(scores.get(name), was, row_keys, allowed) for name, was in before.items()]
    checks += [
        ScoreCheck(
            name, CheckStatus.NEW, "not in the baseline; --update adds it", _value(score), signature=score.signature
        )
        for name, score in scores.items()
        if name not in before
    ]
    return CheckResult(tuple(checks), allowed)


def read_baseline(path: Path | str) -> ScoreCard:
    """Read a baseline, which is a score card.

    Raises
    ------
    InvalidInputError
        If there is no such file.
    CorruptFileError
        If it is truncated, altered, or no score card.
    """
    path = Path(path)
    if not path.is_file():
        raise InvalidInputError(f"the baseline {path} must be a score card; there is no such file; --update writes it")
    try:
        return ScoreCard.from_json(path)
    except CorruptFileError as error:
        raise CorruptFileError(
            f"{error}; to replace the baseline, delete {path} and write it again with --update"
        ) from error


def write_baseline(path: Path | str, card: ScoreCard) -> None:
    """Accept the scores of a card as the baseline, completely or not at all.

    Parameters
    ----------
    path : path
        Written as a score card without matrices and without summary, which is small enough for version control.
    card : ScoreCard
        All of its scores are checked from then on, and no others.

    Raises
    ------
    CorruptFileError
        If the file exists and is no score card; nothing is written.
    StorageError
        If the file cannot be written.
    """
    if Path(path).exists():
        read_baseline(path)
    scores = {name: _without_matrices(score) for name, score in card.scores.items()}
    replace(card, scores=scores, summary=None).to_json(path)


def _without_matrices(score: Score) -> Score:
    return replace(score, details={}, parts={name: _without_matrices(part) for name, part in score.parts.items()})


def under_github_actions() -> bool:
    """Return whether this runs in a workflow of GitHub, which reads annotations from the output."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def _checked(score: Score | None, was: Score, row_keys: tuple[str, str], tolerance: Tolerance) -> ScoreCheck:
    before = _value(was)
    if score is None:
        reason = "not in the card; score it, or --update the baseline"
        return ScoreCheck(was.name, CheckStatus.MISSING, reason, baseline=before, signature=was.signature)
    now = _value(score)
    change = None
    factors: dict[str, tuple[float, float]] = {}
    which, reason = _refused(score, was, row_keys) or (CheckStatus.OK, "")
    if not reason and now is not None and before is not None:
        change = _interval_of_change(was, score) if tolerance.kind == "interval" else None
        if tolerance.kind == "interval" and change is None:
            which = CheckStatus.NOT_COMPARABLE
            reason = "neither score has an interval; score with one, or give a number as tolerance"
        else:
            limit = change or _allowed(tolerance, now - before, before)
            sign = 1 if _direction(score, was) else -1
            which = _judged(limit, before, sign=sign)
            factors = _worst_factors(score, was, sign) if which is CheckStatus.REGRESSED else {}
            reason = _in_words(now, before, change, tolerance) + _factors_in_words(factors, sign)
    changed = Signature.parse(was.signature).differences(Signature.parse(score.signature))
    return ScoreCheck(was.name, which, reason, now, before, change, changed, score.signature, factors)


def _direction(score: Score, was: Score) -> bool | None:
    return was.higher_is_better if score.higher_is_better is None else score.higher_is_better


def _refused(score: Score, was: Score, row_keys: tuple[str, str]) -> tuple[CheckStatus, str] | None:
    """Return why two scores have no difference to be judged; None if they have one."""
    serious = disagreements(was, score, row_keys)
    if serious:
        why = f"the baseline was scored differently: {in_words(serious)}"
        return CheckStatus.NOT_COMPARABLE, f"{why}; score the same way, or --update the baseline"
    now, before = _value(score), _value(was)
    if now is None:
        why = score.undefined or "its value is missing"
        if before is None:
            return CheckStatus.OK, f"undefined in the baseline too: {why}"
        return CheckStatus.UNDEFINED, f"undefined: {why}"
    if before is None:
        return (
            CheckStatus.NEW,
            f"the baseline has no value: {was.undefined or 'it is missing'}; --update sets it",
        )
    if _direction(score, was) is None:
        why = "its metric is not installed, so it is unknown whether higher values are better"
        return CheckStatus.NOT_COMPARABLE, why
    return None


def _judged(change: Interval, before: float, *, sign: int) -> CheckStatus:
    worst, best = sorted((sign * change.low, sign * change.high))
    rounding = ROUNDING * max(1.0, abs(before))
    return CheckStatus.REGRESSED if best < -rounding else CheckStatus.IMPROVED if worst > rounding else CheckStatus.OK


def _allowed(tolerance: Tolerance, change: float, before: float) -> Interval:
    """Return the change plus or minus the tolerance."""
    reach = tolerance.amount * (abs(before) if tolerance.kind == "relative" else 1)
    return Interval(change - reach, change + reach, 1.0, str(tolerance))


def _interval_of_change(was: Score, score: Score) -> Interval | None:
    paired = paired_interval(was, score)
    if paired:
        return paired[0]
    ends = [(s.interval.low, s.interval.high) if s.interval else (s.value, s.value) for s in (was, score)]
    if was.interval is None and score.interval is None:
        return None
    (was_low, was_high), (low, high) = ends
    change = score.value - was.value
    return Interval(  # Zou & Donner (2008): intervals of two estimates give that of their difference
        change - math.hypot(score.value - low, was_high - was.value),
        change + math.hypot(high - score.value, was.value - was_low),
        (score.interval or was.interval or Interval(0, 0, 0.95, "")).level,
        "combined",
    )


def _in_words(now: float, before: float, interval: Interval | None, tolerance: Tolerance) -> str:
    change = f"{now:.4g} is {abs(now - before):.3g} {'above' if now > before else 'below'} the baseline's {before:.4g}"
    if now == before:
        change = f"{now:.4g} equals the baseline"
    if interval is None:
        return f"{change}; the tolerance is {tolerance}"
    return f"{change}; 95 % interval of the change: {_signed(interval)}"


def _worst_factors(score: Score, was: Score, sign: int) -> dict[str, tuple[float, float]]:
    """Return the factors whose score became worse by most, with both values, the worst first."""
    pairs = {name: (before, score.per_factor.get(name, math.nan)) for name, before in was.per_factor.items()}
    falls = {name: sign * (before - now) for name, (before, now) in pairs.items() if not math.isnan(before - now)}
    largest = max(falls.values(), default=0.0)
    worst = [name for name in sorted(falls, key=lambda name: -falls[name]) if falls[name] >= LARGE_FALL * largest > 0]
    return {name: pairs[name] for name in worst[:MOST_FACTORS]}


def _factors_in_words(factors: Mapping[str, tuple[float, float]], sign: int) -> str:
    if not factors:
        return ""
    listed = ", ".join(f"{name} ({before:.3f} to {now:.3f})" for name, (before, now) in factors.items())
    return f"; {'fell' if sign > 0 else 'rose'} most for {listed}"


def _signed(interval: Interval) -> str:
    return f"[{interval.low:+.3f}, {interval.high:+.3f}]"


def _value(score: Score) -> float | None:
    return None if score.undefined or math.isnan(score.value) else score.value


def _row(check: ScoreCheck, tolerance: Tolerance) -> tuple[str, ...]:
    change = None if check.value is None or check.baseline is None else check.value - check.baseline
    interval = _signed(check.interval) if check.interval else "—"
    allowed = interval if tolerance.kind == "interval" else str(tolerance)
    return (check.name, check.outcome, _number(check.baseline), _number(check.value), _number(change, "+"), allowed)


def _number(value: float | None, sign: str = "") -> str:
    return "—" if value is None else f"{value:{sign}.3f}"


def _some(names: list[str], n_all: int) -> str:
    return "all scores" if len(names) == n_all else ", ".join(names)


def _legal(text: str) -> str:
    """Return the text with each character that XML cannot represent replaced."""
    return re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text)


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")
