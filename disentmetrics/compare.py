"""Compare encoders on the same rows: differences of scores, paired row by row."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from io import StringIO
from typing import Literal

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text
from scipy.special import stdtr

from disentmetrics.errors import InvalidInputError
from disentmetrics.result import Interval, Score, ScoreCard
from disentmetrics.signature import Signature
from disentmetrics.uncertainty import N_SEEDS, standard_error, t_interval

_MAY_DIFFER = {"encoder", "code", "mask", "prune", "data"}
"""Not in what makes a score comparable; that the rows are the same is told by the row key."""


@dataclass(frozen=True)
class Difference:
    """How much better one encoder scores than another on one metric.

    Attributes
    ----------
    metric : str
    first, second : float
        The two values.
    difference : float
        ``second - first``.
    interval : Interval or None
        Of the difference, paired on the same resampled rows.
    p_value, p_holm : float or None
        Two-sided t test of no difference; corrected for the number of metrics.
    """

    metric: str
    first: float
    second: float
    difference: float
    interval: Interval | None
    p_value: float | None
    p_holm: float | None


@dataclass(frozen=True)
class Comparison:
    """Differences of two score cards, metric by metric."""

    names: tuple[str, str]
    differences: tuple[Difference, ...]
    skipped: tuple[str, ...] = ()

    def table(self) -> Table:
        """Return the differences as a rich table, for terminals."""
        table = Table(pad_edge=False, box=None, header_style="bold")
        headings = ("metric", *self.names, "difference", "95 % interval", "p", "p (Holm)")
        for position, heading in enumerate(headings):
            justify: Literal["left", "right"] = "right" if position else "left"
            table.add_column(Text(heading), justify=justify, no_wrap=heading not in self.names, overflow="fold")
        for d in self.differences:
            interval = Text(f"[{d.interval.low:+.3f}, {d.interval.high:+.3f}]" if d.interval else "—")
            p_values = ["—" if p is None else f"{p:.3f}" for p in (d.p_value, d.p_holm)]
            table.add_row(d.metric, f"{d.first:.3f}", f"{d.second:.3f}", f"{d.difference:+.3f}", interval, *p_values)
        return table

    def __str__(self) -> str:
        buffer = StringIO()
        console = Console(file=buffer, width=110, highlight=False)
        console.print(self.table())
        for line in self.skipped:
            console.print(f"• {line}", markup=False)
        return buffer.getvalue().rstrip("\n")

    def to_json(self) -> str:
        """Return the comparison as JSON."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False)


def compare(first: ScoreCard, second: ScoreCard, *, names: tuple[str, str] = ("first", "second")) -> Comparison:
    """Compare two encoders that were scored on the same rows with the same seed.

    Parameters
    ----------
    first, second : ScoreCard
        Scored with an interval, so that their replicates can be paired.
    names : pair of str
        What to call the two in the table.

    Returns
    -------
    Comparison
        Metrics that both cards hold. The difference is resampled in pairs: both encoders lose the same
        rows at the same time. Swapping rows between encoders would be an invalid test, because their
        codes are not exchangeable.

    Raises
    ------
    InvalidInputError
        If the cards stand on different rows, or share no metric.

    Examples
    --------
    >>> import numpy as np, disentmetrics as dm
    >>> rng = np.random.default_rng(0)
    >>> factors = rng.integers(6, size=(2000, 2))
    >>> noisy = factors + rng.normal(size=factors.shape)
    >>> cards = [dm.score(dm.Representation(codes, factors), ["mig"]) for codes in (noisy, factors)]
    >>> compare(*cards).differences[0].p_value < 0.001
    True
    """
    for card in (first, second):
        if not isinstance(card, ScoreCard):
            raise InvalidInputError(f"compare takes two score cards; got {type(card).__name__}")
    for what, key in (("rows", "row_key"), ("seed", "seed"), ("version", "version")):
        if first.about.get(key) != second.about.get(key):
            raise InvalidInputError(
                f"two cards can be compared when they were scored on the same rows with one seed and version; "
                f"their {what} are not the same ({first.about.get(key)} and {second.about.get(key)}); score both again"
            )
    ours, theirs = ({score.name: score for score in card.every_score()} for card in (first, second))
    shared = [name for name in ours if name in theirs]
    if not shared:
        raise InvalidInputError(
            f"the cards share no metric: one holds {', '.join(first)}, the other {', '.join(second)}"
        )
    skipped = [f"{name}: only one card holds it" for name in (*ours, *theirs) if name not in shared]
    found = []
    for name in shared:
        reason = _incomparable(ours[name], theirs[name])
        if reason:
            skipped.append(f"{name}: {reason}")
        else:
            found.append(_difference(ours[name], theirs[name]))
    holm = _holm([d.p_value for d in found])
    corrected = tuple(Difference(**{**vars(d), "p_holm": p}) for d, p in zip(found, holm, strict=True))
    return Comparison(names, corrected, tuple(skipped))


def _incomparable(first: Score, second: Score) -> str | None:
    if first.undefined or second.undefined:
        return f"undefined: {first.undefined or second.undefined}"
    methods = [score.interval.method if score.interval else None for score in (first, second)]
    if methods[0] != methods[1]:
        return f"rows were resampled in two ways: {methods[0]} and {methods[1]}"
    differing = Signature.parse(first.signature).differences(Signature.parse(second.signature))
    serious = {key: pair for key, pair in differing.items() if key not in _MAY_DIFFER}
    if serious:
        return "made differently: " + "; ".join(f"{key} {a} and {b}" for key, (a, b) in serious.items())
    return None


def _difference(first: Score, second: Score) -> Difference:
    difference = second.value - first.value
    interval = p_value = None
    pairs = (
        np.array([first.replicates, second.replicates])
        if len(first.replicates) == len(second.replicates)
        else np.empty((2, 0))
    )
    pairs = pairs[:, ~np.isnan(pairs).any(axis=0)] if pairs.size else pairs
    method = second.interval.method if second.interval else None
    if method in {"jackknife", "half-sampling"} and pairs.shape[1] >= 2:
        error = standard_error(pairs[1] - pairs[0], "jackknife" if method == "jackknife" else "half-sampling")
        degrees = pairs.shape[1] - 1
    elif method in {"seeds", "exact"}:
        error, degrees = math.hypot(first.seed_sd, second.seed_sd), 2 * (N_SEEDS - 1)
    else:
        return Difference(first.name, first.value, second.value, difference, None, None, None)
    interval = t_interval(difference, error, degrees, (-math.inf, math.inf), str(method))
    # Without any error, equal values are equal for certain and different ones differ for certain.
    distance = abs(difference) / error if error > 0 else math.inf if difference else 0.0
    p_value = float(2 * stdtr(degrees, -distance))
    return Difference(first.name, first.value, second.value, difference, interval, p_value, None)


def _holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Correct for multiple comparisons (Holm 1979)."""
    ordered = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, i) in enumerate(ordered):
        largest = max(largest, min(1.0, p * (len(ordered) - rank)))
        corrected[i] = largest
    return corrected
