"""Scores as text: one table grouped by question, one by factor, and what the signatures have in common."""

import math
from collections.abc import Mapping, Sequence

from rich.cells import cell_len

from disentmetrics._utils.tables import Cell, Section, TextTable
from disentmetrics.errors import InvalidInputError
from disentmetrics.results.questions import by_question
from disentmetrics.results.score import Score
from disentmetrics.results.signature import Signature

TERMINAL = 80
"""Columns of a narrow terminal."""

_HEADINGS = ("metric", "value", "95 % interval", "null", "adjusted", "p")
_EMPTY = "—"


def score_table(scores: Mapping[str, Score]) -> TextTable:
    """Return scores grouped by the question of their metric, each followed by its parts; no column is empty."""
    groups = by_question((name, score.question, score) for name, score in scores.items())
    headed = any(score.question for score in scores.values())
    rows: list[Section | list[Cell]] = []
    titles = []
    for question, members in groups:
        rows += [Section(question)] if headed else []
        for score in members:
            for depth, single in enumerate((score, *score.parts.values())):
                rows.append([Cell(single.name, indent=int(depth > 0)), *map(Cell, _numbers(single))])
                titles.append(single.signature)
    kept = [
        position
        for position in range(len(_HEADINGS))
        if position < 2 or any(not isinstance(row, Section) and row[position].text != _EMPTY for row in rows)
    ]
    return TextTable(
        [_HEADINGS[position] for position in kept],
        [row if isinstance(row, Section) else [row[position] for position in kept] for row in rows],
        titles=titles,
    )


def factor_table(scores: Mapping[str, Score]) -> TextTable | None:
    """Return the scores of single factors, transposed if that is narrower; None if there are none."""
    by_factor = [score for score in scores.values() if score.per_factor]
    names = list(dict.fromkeys(name for score in by_factor for name in score.per_factor))
    if not by_factor:
        return None
    rows = [["by factor", *names]]
    rows += [[s.name, *(_number(s.per_factor.get(name), 2) for name in names)] for s in by_factor]
    turned = [list(column) for column in zip(*rows, strict=True)]
    head, *body = rows if _width(rows) <= TERMINAL or _width(rows) <= _width(turned) else turned
    return TextTable(head, body)


def edge_note(scores: Sequence[Score]) -> str | None:
    """Return a line that names the scores at an end of their bias-corrected interval; None if there are none.

    A score that equals a bound of its metric is not named.
    """
    names = [score.name for score in scores if _lies_at_the_edge(score)]
    if not names:
        return None
    return f"At the edge of the interval, which is centred on the bias-corrected estimate: {', '.join(names)}."


def _lies_at_the_edge(score: Score) -> bool:
    if score.undefined or score.interval is None or score.corrected is None or score.value in score.bounds:
        return False
    ends = (score.interval.low, score.interval.high)
    return ends[0] < ends[1] and score.value in ends


def signature_lines(scores: Mapping[str, Score], *, full: bool = False) -> list[str]:
    """Return one line of fields that all signatures share, then the other fields of each score that has any.

    Protocols that differ are left out: the names of the scores contain them.

    Parameters
    ----------
    scores : mapping of name to Score
    full : bool
        Whether to return the complete signatures instead.
    """
    signatures = list(dict.fromkeys(score.signature for score in scores.values()))
    try:
        fields = {name: Signature.parse(score.signature).fields for name, score in scores.items()}
    except InvalidInputError:  # of another package, or of a test
        full = True
    if full or len(signatures) < 2:
        return signatures
    first, *others = fields.values()
    shared = {key: value for key, value in first.items() if all(own.get(key) == value for own in others)}
    differing: dict[str, list[str]] = {}
    for name, own in fields.items():
        rest = {key: value for key, value in own.items() if key not in shared and key != "protocol"}
        if rest:
            differing.setdefault(_joined(rest), []).append(name)
    lines = [f"{', '.join(names)}: {rest}" for rest, names in differing.items()]
    return [f"shared: {_joined(shared)}", *lines] if shared else lines


def wrapped_signature(line: str, width: int) -> list[str]:
    """Return a line of a signature as lines of at most ``width`` columns, broken between fields where possible.

    Examples
    --------
    >>> wrapped_signature("mig|rows:500|seed:0|v:0.1.0", 20)
    ['mig|rows:500|seed:0|', '  v:0.1.0']
    """
    lines = [""]
    for field in line.replace("|", "|\n").split("\n"):
        if lines[-1].strip() and len(lines[-1]) + len(field) > width:
            lines.append("  ")
        lines[-1] += field
    return lines


def _joined(fields: dict[str, str]) -> str:
    return str(Signature("", fields)).removeprefix("|")


def _numbers(score: Score) -> tuple[str, ...]:
    if score.undefined:
        return ("undefined", *[_EMPTY] * (len(_HEADINGS) - 2))
    interval = f"[{score.interval.low:.3f}, {score.interval.high:.3f}]" if score.interval else _EMPTY
    return (f"{score.value:.3f}", interval, _number(score.null, 3), _number(score.adjusted, 3), _p_value(score))


def _p_value(score: Score) -> str:
    smallest = score.smallest_p_value
    if score.p_value is not None and smallest is not None and score.p_value <= smallest * (1 + 1e-9):
        return f"{'≤' if math.isclose(score.p_value, smallest) else '≈'} {score.p_value:.2g}"
    return _number(score.p_value, 3)


def _number(value: float | None, digits: int) -> str:
    return _EMPTY if value is None or math.isnan(value) else f"{value:.{digits}f}"


def _width(rows: Sequence[Sequence[str]]) -> int:
    return sum(2 + max(map(cell_len, column)) for column in zip(*rows, strict=True))
