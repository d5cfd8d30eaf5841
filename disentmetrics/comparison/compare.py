"""Compare encoders on the same rows: differences of scores, paired row by row."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from rich.console import RenderableType
from scipy.special import stdtr

from disentmetrics._utils.plain import to_plain
from disentmetrics._utils.tables import (
    Cell,
    TextTable,
    escape_latex,
    escape_markdown,
    html_lines,
    plain_text,
)
from disentmetrics._utils.text import one_line
from disentmetrics.errors import InvalidInputError
from disentmetrics.results.card import ScoreCard
from disentmetrics.results.questions import PURPOSES
from disentmetrics.results.score import Interval, Score
from disentmetrics.results.signature import Signature
from disentmetrics.results.verdict import Verdict
from disentmetrics.scoring.uncertainty import N_SEEDS, standard_error, t_interval

OF_THE_ENCODER = ("encoder", "code", "mask", "prune", "resolution")
"""Fields of a signature that describe what was scored rather than how."""
_COUNTS_OF_CODES = ("active", "averaged")  # if their value is a number, not the rule by which latents were chosen
_OF_ROWS = ("data", "rows", "draw", "labels", "seed")

_ARROWS = {True: "↑", False: "↓", None: ""}
SIGNIFICANT = 0.05
"""Corrected p-value from which two scores do not differ significantly."""

MOST_CONFLICTS = 6
"""Largest number of pairs of encoders that are listed as ranked in opposite order."""

_DIFFERENCE_HEADINGS = ("metric", "second − first", "difference", "95 % interval", "effect", "p", "p (Holm)")


@dataclass(frozen=True)
class Difference:
    """Difference of two encoders on one metric.

    Attributes
    ----------
    metric : str
    names : pair of str
        Names of the two encoders.
    first, second : float
        The two values.
    difference : float
        ``second - first``, in the unit of the metric.
    effect : float or None
        Difference of the adjusted scores, as a share of the way from chance (0) to the best possible score (1).
        Unlike the difference it can be compared between metrics, and it is positive where
        the second is better even if lower values are better. It does not grow with the number of rows, as a
        difference in standard errors would. None where a score has no null or its metric no best value.
    interval : Interval or None
        Interval of the difference, paired on the same resampled rows; None where the rows cannot be paired.
    p_value, p_holm : float or None
        Two-sided t test of no difference; corrected for all tests of the comparison (Holm 1979).
    """

    metric: str
    names: tuple[str, str]
    first: float
    second: float
    difference: float
    effect: float | None
    interval: Interval | None
    p_value: float | None
    p_holm: float | None = None


@dataclass(frozen=True)
class Comparison:
    """Scores of several cards next to each other, and the differences of all pairs.

    Attributes
    ----------
    names : tuple of str
        Names of the cards.
    scores : mapping of metric to tuple of (Score or None)
        One per card; None where the card does not contain the metric.
    differences : tuple of Difference
        Metric by metric, pair by pair.
    skipped : tuple of str
        Comparisons that could not be made, and why.
    warnings : tuple of str
        Fields in which cards disagree although they were compared.
    verdicts : tuple of (Verdict or None)
        One per card.
    conflicts : tuple of str
        Cards that metrics of the default preset rank in opposite order, both significantly, and what each metric rates.
    """

    names: tuple[str, ...]
    scores: Mapping[str, tuple[Score | None, ...]]
    differences: tuple[Difference, ...]
    skipped: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    verdicts: tuple[Verdict | None, ...] = ()
    conflicts: tuple[str, ...] = ()

    def tables(self) -> tuple[RenderableType, RenderableType]:
        """Return the values and the differences as tables for terminals."""
        return self._values().to_rich(), self._differences().to_rich()

    def legend(self, mark: str = "*") -> list[str]:
        """Return what the mark of the values and the column ``effect`` mean, where they occur."""
        lines = []
        if any(self._marked(metric) for metric in self.scores):
            lines.append(
                f"{mark}: not significantly worse than the best, p (Holm) of the paired test at least {SIGNIFICANT}; "
                "where nothing was tested, the best value alone"
            )
        if any(difference.effect is not None for difference in self.differences):
            lines.append(
                "effect: difference of the adjusted scores, as a share of the way from chance (0) to the best "
                "possible score (1); positive where the second encoder is better"
            )
        return lines

    def remarks(self) -> list[str]:
        """Return the verdicts, warnings, metrics in conflict, then what could not be compared or tested."""
        verdicts = zip(self.names, self.verdicts, strict=False)
        sentences = [f"{name}: {verdict.sentence}" for name, verdict in verdicts if verdict is not None]
        return [*sentences, *self.warnings, *self.conflicts, *self.skipped]

    def __str__(self) -> str:
        values, differences = self.tables()
        legend = self.legend()
        remarks = [f"• {one_line(line)}" for line in self.remarks()]
        return plain_text(values, "", differences, "", *legend, *([""] if legend else []), *remarks)

    def to_markdown(self) -> str:
        """Return the tables as Markdown; values that are not significantly worse than the best are bold."""
        tables = [self._values().to_markdown(), self._differences().to_markdown()]
        lines = [f"- {escape_markdown(line)}" for line in (*self.legend("bold"), *self.remarks())]
        return "\n\n".join([*tables, *(["\n".join(lines)] if lines else [])])

    def to_latex(self) -> str:
        """Return the tables for the package booktabs; values not significantly worse than the best are bold."""
        tables = [self._values().to_latex(), self._differences().to_latex()]
        legend = [rf"\par\footnotesize {escape_latex(line)}" for line in self.legend("bold")]
        remarks = [f"% {one_line(line)}" for line in self.remarks()]
        return "\n\n".join([*tables, *("\n".join(lines) for lines in (legend, remarks) if lines)])

    def _repr_html_(self) -> str:
        lines = html_lines([*self.legend("bold"), *self.remarks()])
        return f"<div>{self._values().to_html()}{self._differences().to_html()}{lines}</div>"

    def to_json(self) -> str:
        """Return the comparison as JSON."""
        content = {
            "names": self.names,
            "scores": {
                metric: {
                    name: None if score is None else _numbers(score)
                    for name, score in zip(self.names, scores, strict=True)
                }
                for metric, scores in self.scores.items()
            },
            "differences": self.differences,
            "skipped": self.skipped,
            "warnings": self.warnings,
            "verdicts": {
                name: None if verdict is None else verdict.to_plain()
                for name, verdict in zip(self.names, self.verdicts, strict=False)
            },
            "conflicts": self.conflicts,
        }
        return json.dumps(to_plain(content), indent=1, ensure_ascii=False, allow_nan=False)

    def _values(self) -> TextTable:
        rows = []
        for metric, scores in self.scores.items():
            better, marked = self._direction(metric), self._marked(metric)
            cells = [Cell(_shown(s), best=name in marked) for name, s in zip(self.names, scores, strict=True)]
            rows.append([Cell(f"{metric} {_ARROWS[better]}".rstrip()), *cells])
        return TextTable(["metric", *self.names], rows)

    def _direction(self, metric: str) -> bool | None:
        return next((score.higher_is_better for score in self.scores[metric] if score is not None), None)

    def _marked(self, metric: str) -> set[str]:
        """Return the cards whose score is not significantly worse than the best; none if there is a single one."""
        scores = zip(self.names, self.scores[metric], strict=True)
        values = {name: s.value for name, s in scores if s is not None and not s.undefined and not math.isnan(s.value)}
        better = self._direction(metric)
        if better is None or len(values) < 2:
            return set()
        best = max(values.values()) if better else min(values.values())
        winners = {name for name, value in values.items() if value == best}
        close = {
            name
            for d in self.differences
            if d.metric == metric and d.p_holm is not None and d.p_holm >= SIGNIFICANT and winners & set(d.names)
            for name in d.names
        }
        return winners | close

    def _differences(self) -> TextTable:
        rows = []
        for d in self.differences:
            interval = f"[{d.interval.low:+.3f}, {d.interval.high:+.3f}]" if d.interval else "—"
            effect = "—" if d.effect is None else f"{d.effect:+.3f}"
            p_values = ["—" if p is None else "<0.001" if p < 0.0005 else f"{p:.3f}" for p in (d.p_value, d.p_holm)]
            pair = f"{d.names[1]} − {d.names[0]}"
            rows.append((d.metric, pair, f"{d.difference:+.3f}", interval, effect, *p_values))
        filled = [i for i, column in enumerate(zip(*rows, strict=True)) if set(column) != {"—"}]
        return TextTable([_DIFFERENCE_HEADINGS[i] for i in filled], [[row[i] for i in filled] for row in rows])


def compare(*cards: ScoreCard, names: Sequence[str] | None = None, force: bool = False) -> Comparison:
    """Compare two or more encoders that were scored on the same rows with the same seed.

    Parameters
    ----------
    *cards : ScoreCard
        Score cards with intervals, so that their replicates can be paired.
    names : sequence of str, optional
        Names of the cards in the tables, all different.
    force : bool
        Whether to compare cards that were scored differently, with a warning. If rows, seed or
        resampling differ, there is still no test: nothing can be paired.

    Returns
    -------
    Comparison
        The differences of all pairs of encoders: each replicate omits the same rows for both encoders.
        Swapping rows between encoders would be an invalid test, because their codes are not exchangeable.

    Raises
    ------
    InvalidInputError
        If there are fewer than two cards, or they have no metric in common; or, without ``force``, if they disagree in
        data, rows, seed or version, or in the settings of every metric. The message names the field and both values.
        Tables may come from different files: their rows are the same if all labels, groups and weights are equal.

    Examples
    --------
    >>> import numpy as np, disentmetrics as dm
    >>> rng = np.random.default_rng(0)
    >>> factors = rng.integers(6, size=(2000, 2))
    >>> noisy = factors + rng.normal(size=factors.shape)
    >>> cards = [dm.score(dm.Representation(codes, factors), ["mig"]) for codes in (noisy, factors)]
    >>> difference = compare(*cards).differences[0]
    >>> difference.p_value < 0.001, difference.effect > 0.5
    (True, True)
    """
    called = _check_cards(cards, names)
    by_name = [{score.name: score for score in card.every_score()} for card in cards]
    metrics = list(dict.fromkeys(name for scores in by_name for name in scores))
    shared = [name for name in metrics if sum(name in scores for scores in by_name) > 1]
    if not shared:
        raise InvalidInputError(f"the cards have no metric in common: {_listed(called, cards)}")
    remarks = [
        (name, f"not in {', '.join(missing)}")
        for name in metrics
        if (missing := [one for one, scores in zip(called, by_name, strict=True) if name not in scores])
    ]
    pairs = [
        _Pair.of(name, (called[i], called[j]), by_name[i][name], by_name[j][name], _row_keys(cards[i], cards[j]))
        for name in shared
        for i, j in combinations([k for k, scores in enumerate(by_name) if name in scores], 2)
    ]
    if not force:
        _refuse_other_rows(pairs)
    compared = [pair for pair in pairs if not pair.skipped(force=force)]
    remarks += [(pair.metric, why) for pair in pairs if (why := pair.skipped(force=force) or pair.untested())]
    skipped = _gathered(remarks)
    if not compared and any(pair.differing for pair in pairs):
        raise InvalidInputError(
            f"no metric was scored the same way on both cards: {'; '.join(skipped)}; score them again, or compare "
            "values alone with --force"
        )
    differences = [pair.difference() for pair in compared]
    holm = _holm([d.p_value for d in differences])
    tested = tuple(replace(d, p_holm=p) for d, p in zip(differences, holm, strict=True))
    return Comparison(
        called,
        {name: tuple(scores.get(name) for scores in by_name) for name in metrics},
        tested,
        skipped,
        _gathered(
            [(pair.metric, pair.scored_differently()) for pair in compared if pair.differing]
            + [(pair.metric, why) for pair in compared if (why := pair.read_differently())]
        ),
        tuple(card.verdict for card in cards),
        _conflicts(tested),
    )


def _conflicts(differences: Sequence[Difference]) -> tuple[str, ...]:
    """Return a sentence for each two cards that metrics rank in opposite order, then what these metrics rate."""
    winners: dict[tuple[str, str], dict[str, list[str]]] = {}
    for d in differences:
        if d.metric in PURPOSES and d.effect and d.p_holm is not None and d.p_holm < SIGNIFICANT:
            winners.setdefault(d.names, {}).setdefault(d.names[d.effect > 0], []).append(d.metric)
    opposite = {names: better for names, better in winners.items() if len(better) > 1}
    sentences = [
        f"{names[0]} and {names[1]} are ranked in opposite order: {names[0]} is better by {_and(better[names[0]])}, "
        f"{names[1]} by {_and(better[names[1]])}"
        for names, better in opposite.items()
    ]
    if len(sentences) > MOST_CONFLICTS:
        sentences = [*sentences[:MOST_CONFLICTS], f"and {len(sentences) - MOST_CONFLICTS} more pairs in opposite order"]
    involved = {metric for better in opposite.values() for metrics in better.values() for metric in metrics}
    if involved:
        rated = [
            f"{metric} rates {purpose.rates} (prefer it for {purpose.prefer})"
            for metric, purpose in PURPOSES.items()
            if metric in involved
        ]
        sentences.append(
            f"metrics rank encoders in opposite order because they rate different things: {'; '.join(rated)}"
        )
    return tuple(sentences)


def _and(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


@dataclass(frozen=True)
class _Pair:
    """Two scores of one metric, and the fields in which they were scored differently."""

    metric: str
    names: tuple[str, str]
    first: Score
    second: Score
    differing: Mapping[str, tuple[str, str]]

    @classmethod
    def of(cls, metric: str, names: tuple[str, str], first: Score, second: Score, keys: tuple[str, str]) -> "_Pair":
        return cls(metric, names, first, second, disagreements(first, second, keys))

    def __str__(self) -> str:
        return f"{self.names[0]} and {self.names[1]}"

    def scored_differently(self) -> str:
        return f"{self} differ in {in_words(self.differing)}"

    def read_differently(self) -> str | None:
        """Return a warning where one encoder is read from its posterior and the other is not; None otherwise."""
        fields = [Signature.parse(score.signature).fields for score in (self.first, self.second)]
        if all("resolution" not in known for known in fields):
            return None
        read = [known.get("resolution", "none") for known in fields]
        if read[0] == read[1]:
            return None
        means = self.names[read.index("posterior") - 1]
        return (
            f"{self} are read at different resolutions ({read[0]} and {read[1]}): the noise of a posterior "
            f"lowers scores, and {means} has none; compare published protocols too, which read means"
        )

    def skipped(self, *, force: bool) -> str | None:
        """Return why there is no difference; None if there is one."""
        for name, score in zip(self.names, (self.first, self.second), strict=True):
            if score.undefined or math.isnan(score.value):
                return f"{self}: undefined in {name}: {score.undefined or 'its value is missing'}"
        return self.scored_differently() if self.differing and not force else None

    def unpaired(self) -> str | None:
        """Return why there is no test; None if there is one."""
        if set(_OF_ROWS) & set(self.differing):
            return "different rows or a different seed"
        return _unpairable(self.first, self.second)

    def untested(self) -> str | None:
        reason = self.unpaired()
        return f"{self}: no test: {reason}" if reason else None

    def difference(self) -> Difference:
        first, second = self.first, self.second
        interval, p_value = (None if self.unpaired() else paired_interval(first, second)) or (None, None)
        effect = None if first.adjusted is None or second.adjusted is None else second.adjusted - first.adjusted
        change = second.value - first.value
        return Difference(self.metric, self.names, first.value, second.value, change, effect, interval, p_value)


def _gathered(remarks: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """Return each note once, after the metrics to which it applies."""
    metrics: dict[str, list[str]] = {}
    for metric, remark in remarks:
        metrics.setdefault(remark, []).append(metric)
    return tuple(f"{', '.join(names)}: {remark}" for remark, names in metrics.items())


def _refuse_other_rows(pairs: Sequence[_Pair]) -> None:
    for pair in pairs:
        serious = {key: both for key, both in pair.differing.items() if key in (*_OF_ROWS, "v")}
        if serious:
            raise InvalidInputError(
                "cards must have been scored on the same data and rows, with the same seed and version; "
                f"{pair} differ in {in_words(serious)}; score them again, or compare values alone with --force"
            )


def _check_cards(cards: Sequence[ScoreCard], names: Sequence[str] | None) -> tuple[str, ...]:
    for card in cards:
        if not isinstance(card, ScoreCard):
            raise InvalidInputError(f"compare takes score cards; got {type(card).__name__}")
    if len(cards) < 2:
        raise InvalidInputError(f"compare takes two score cards or more; got {len(cards)}")
    called = tuple(names) if names is not None else tuple(f"card {n}" for n in range(1, len(cards) + 1))
    if len(called) != len(cards) or len(set(called)) < len(called):
        raise InvalidInputError(f"names must be {len(cards)} different ones, one per card; got {', '.join(called)}")
    return called


def _listed(names: Sequence[str], cards: Sequence[ScoreCard]) -> str:
    return "; ".join(f"{name} contains {', '.join(card) or 'none'}" for name, card in zip(names, cards, strict=True))


def _row_keys(first: ScoreCard, second: ScoreCard) -> tuple[str, str]:
    return str(first.about.get("row_key", "unknown")), str(second.about.get("row_key", "unknown"))


def disagreements(first: Score, second: Score, row_keys: tuple[str, str]) -> dict[str, tuple[str, str]]:
    """Return the fields of the signatures in which two scores differ, other than those of the encoder.

    Parameters
    ----------
    first, second : Score
    row_keys : pair of str
        ``about["row_key"]`` of their cards. If they are equal, the data of two tables may differ, because the
        fingerprint of a table includes its codes. If they differ and no field of the signatures explains it, the
        keys themselves are returned as ``labels``.

    Returns
    -------
    dict of field to pair of str
        Empty if the scores can be compared.
    """
    ours, theirs = Signature.parse(first.signature), Signature.parse(second.signature)
    differing = {key: pair for key, pair in ours.differences(theirs).items() if key not in OF_THE_ENCODER}
    for key in _COUNTS_OF_CODES:
        if all(value.isdecimal() for value in differing.get(key, ("no",))):
            del differing[key]
    if row_keys[0] == row_keys[1]:
        if (ours.fields.get("draw"), theirs.fields.get("draw")) == ("table", "table"):
            differing.pop("data", None)
    elif not {"rows", "draw", "data"} & set(differing):
        differing["labels"] = row_keys
    return differing


def in_words(differing: Mapping[str, tuple[str, str]]) -> str:
    """Return the fields with both of their values, as ``seed (0 and 1), rows (500 and 800)``."""
    return ", ".join(f"{key} ({a} and {b})" for key, (a, b) in differing.items())


def paired_interval(first: Score, second: Score) -> tuple[Interval, float] | None:
    """Return the 95 % interval of ``second - first``, paired on the same resampled rows, and the p-value of its test.

    Both must be of the same rows and seed. The standard error is that of the difference of the replicates, which
    is smaller the more similar the two encoders are. On a full grid only the metric's own random draws
    are left, which two encoders do not share. None if there is nothing to pair.
    """
    if _unpairable(first, second):
        return None
    method = _resampling(first)
    difference = second.value - first.value
    pairs = _pairs(first, second)
    if method in {"seeds", "exact"}:
        error, degrees = math.hypot(first.seed_sd, second.seed_sd), 2 * (N_SEEDS - 1)
    else:
        error = standard_error(pairs[1] - pairs[0], "jackknife" if method == "jackknife" else "half-sampling")
        degrees = pairs.shape[1] - 1
    # With zero standard error, equal values are certainly equal and different ones certainly differ.
    distance = abs(difference) / error if error > 0 else math.inf if difference else 0.0
    interval = t_interval(difference, error, degrees, (-math.inf, math.inf), str(method))
    return interval, float(2 * stdtr(degrees, -distance))


def _resampling(score: Score) -> str | None:
    """Return how rows were resampled for a score; one that is biased on few rows has replicates but no interval."""
    if score.interval:
        return score.interval.method
    valid = ~np.isnan(np.array(score.replicates, dtype=np.float64))
    enough = score.randomised and valid.sum() >= max(2, len(valid) // 2)
    return "half-sampling" if enough else None


def _pairs(first: Score, second: Score) -> np.ndarray[Any, np.dtype[np.float64]]:
    if len(first.replicates) != len(second.replicates):
        return np.empty((2, 0))
    pairs = np.array([first.replicates, second.replicates], dtype=np.float64)
    return pairs[:, ~np.isnan(pairs).any(axis=0)]


def _unpairable(first: Score, second: Score) -> str | None:
    """Return why two scores of the same rows have no paired interval; None if they have one."""
    methods = [_resampling(score) for score in (first, second)]
    if None in methods:
        return "no interval was requested" if methods == [None, None] else "only one of them has an interval"
    if methods[0] != methods[1]:
        return f"rows were resampled in two ways: {methods[0]} and {methods[1]}"
    if methods[0] in {"jackknife", "half-sampling"} and _pairs(first, second).shape[1] < 2:
        return "there are no replicates that can be paired"
    return None


def _shown(score: Score | None) -> str:
    if score is None:
        return "—"
    if score.undefined:
        return "undefined"
    interval = f" [{score.interval.low:.3f}, {score.interval.high:.3f}]" if score.interval else ""
    return f"{score.value:.3f}{interval}"


def _numbers(score: Score) -> dict[str, Any]:
    return {
        "value": score.value,
        "interval": score.interval,
        "adjusted": score.adjusted,
        "undefined": score.undefined,
        "signature": score.signature,
    }


def _holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Correct for multiple comparisons (Holm 1979)."""
    ordered = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, i) in enumerate(ordered):
        largest = max(largest, min(1.0, p * (len(ordered) - rank)))
        corrected[i] = largest
    return corrected
