"""The figure of the page on uncertainty: permuted scores, jackknife replicates, value and interval of one metric."""

import json
from pathlib import Path

import numpy as np
from kept import kept_file

import disentmetrics as dm

_N_ROWS, _N_PERMUTED = 300, 99
_WIDTH, _LEFT, _RIGHT, _HEIGHT = 640, 190, 20, 168
_LINES = {"null": 34, "replicates": 74, "interval": 114}
_LABELS = {
    "null": f"{_N_PERMUTED} permutations of the rows",
    "replicates": "20 jackknife replicates",
    "interval": "value and 95 % interval",
}


def figure() -> str:
    """Return an SVG that shows how the interval and the null of ``mig`` are computed on a small table."""
    numbers = json.loads(kept_file("uncertainty.json", _measure).read_text(encoding="utf-8"))
    low, high = -0.02, round(numbers["high"] + 0.03, 2)

    def x(value: float) -> float:
        return float(round(_LEFT + (value - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT), 1))

    parts = [f'<line class="grid" x1="{x(0)}" x2="{x(0)}" y1="16" y2="{_HEIGHT - 32}"/>']
    ticks = np.arange(0, high, 0.05)
    parts += [f'<text class="tick" x="{x(tick)}" y="{_HEIGHT - 14}">{tick:.2f}</text>' for tick in ticks]
    parts += [f'<text class="label" x="{_LEFT - 12}" y="{y + 4}">{_LABELS[name]}</text>' for name, y in _LINES.items()]
    parts += [_dot("null", x(value), _LINES["null"]) for value in numbers["permuted"]]
    parts += [_dot("value", x(value), _LINES["replicates"], opacity=0.45) for value in numbers["replicates"]]
    y = _LINES["interval"]
    parts.append(f'<line class="interval" x1="{x(numbers["low"])}" x2="{x(numbers["high"])}" y1="{y}" y2="{y}"/>')
    parts.append(_dot("value", x(numbers["value"]), y))
    parts.append(_dot("null", x(numbers["null"]), y))
    caption = (
        f"<code>mig</code> of a table of {_N_ROWS} rows. Each replicate omits one of 20 groups of rows and therefore "
        "varies little; the standard error is √19 times their standard deviation. The hollow mark is the null, the "
        "mean over permutations."
    )
    label = f"mig {numbers['value']:.2f}, interval {numbers['low']:.2f} to {numbers['high']:.2f}"
    svg = f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{label}">{"".join(parts)}</svg>'
    return f'<figure class="panels single">{svg}<figcaption>{caption}</figcaption></figure>'


def _dot(kind: str, x: float, y: float, opacity: float = 1.0) -> str:
    return f'<circle class="{kind}" cx="{x}" cy="{y}" r="4" opacity="{opacity:g}"/>'


def _measure(path: Path) -> None:
    rng = np.random.default_rng(3)
    factors = rng.integers(10, size=(_N_ROWS, 3))
    codes = factors @ np.array([[1.0, 0.2, 0.0], [0.0, 1.0, 0.3], [0.2, 0.0, 1.0]]) + rng.normal(size=(_N_ROWS, 3))
    representation = dm.Representation(codes, factors)
    score = dm.score(representation, ["mig"])["mig"]
    permuted = [dm.metrics.mig(representation.shuffled(rng)).value for _ in range(_N_PERMUTED)]
    assert score.interval is not None  # for the type checker: the default has an interval
    numbers = {
        "value": score.value,
        "low": score.interval.low,
        "high": score.interval.high,
        "null": score.null,
        "replicates": score.replicates,
        "permuted": permuted,
    }
    path.write_text(json.dumps(numbers), encoding="utf-8")
