"""The figure of the first page: five encoders, three metrics, with intervals and chance levels."""

import json
from pathlib import Path

from kept import kept_file

from disentmetrics.cli._demo import METRICS, run_demo
from disentmetrics.results.card import ScoreCard
from disentmetrics.results.score import Score

_ENCODERS = {"factors": "true factors", "ica": "ICA", "pca": "PCA", "random": "random net", "pixels": "raw pixels"}
_WIDTH, _LEFT, _RIGHT, _TOP, _STEP = 300, 86, 18, 34, 26
_HEIGHT = _TOP + _STEP * len(_ENCODERS) + 26


def leaderboard() -> str:
    """Return the scores of ``make demo`` as one SVG per metric, side by side where there is room."""
    cards = _cards()
    panels = "".join(_panel(metric, {name: cards[name][metric] for name in _ENCODERS}) for metric in METRICS)
    return (
        f'<figure class="panels">{panels}<figcaption>What <code>disentmetrics demo</code> measures, '
        "here on 2,000 rows of dSprites: value and 95 % interval. "
        "The hollow mark is the score expected by chance."
        "</figcaption></figure>"
    )


def _cards() -> dict[str, ScoreCard]:
    def make(path: Path) -> None:
        entries = list(run_demo(path.parent / "cards", n_samples=2_000, n_jobs=-1))
        path.write_text(json.dumps({e.encoder.partition(":")[2]: e.card.to_json() for e in entries}), encoding="utf-8")

    plain = json.loads(kept_file("leaderboard.json", make).read_text(encoding="utf-8"))
    return {name: ScoreCard.from_json(text) for name, text in plain.items()}


def _x(value: float) -> float:
    return round(_LEFT + value * (_WIDTH - _LEFT - _RIGHT), 1)


def _panel(metric: str, scores: dict[str, Score]) -> str:
    said = ", ".join(f"{_ENCODERS[name]} {score.value:.2f}" for name, score in scores.items())
    bottom = _TOP + _STEP * len(scores) - 6
    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{metric}: {said}">',
        f'<text class="title" x="{_x(0)}" y="16">{metric}</text>',
    ]
    for tick in (0, 0.5, 1):
        parts.append(f'<line class="grid" x1="{_x(tick)}" x2="{_x(tick)}" y1="{_TOP - 8}" y2="{bottom}"/>')
        parts.append(f'<text class="tick" x="{_x(tick)}" y="{bottom + 16}">{tick:g}</text>')
    for row, (name, score) in enumerate(scores.items()):
        parts.append(_row(_ENCODERS[name], score, _TOP + _STEP * row + 6))
    return "".join([*parts, "</svg>"])


def _row(label: str, score: Score, y: int) -> str:
    parts = [f'<text class="label" x="{_LEFT - 10}" y="{y + 4}">{label}</text>']
    if score.null is not None:
        parts.append(f'<circle class="null" cx="{_x(max(score.null, 0))}" cy="{y}" r="4"/>')
    if score.interval:
        low, high = _x(score.interval.low), _x(score.interval.high)
        parts.append(f'<line class="interval" x1="{low}" x2="{high}" y1="{y}" y2="{y}"/>')
    parts.append(f'<circle class="value" cx="{_x(score.value)}" cy="{y}" r="4.5"/>')
    return "".join(parts)
