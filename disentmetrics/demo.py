"""The first minute: five baseline encoders on dSprites, scored and ranked."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from disentmetrics.adapter import load_encoder
from disentmetrics.datasets import load_dataset
from disentmetrics.encode import encode
from disentmetrics.result import Score, ScoreCard
from disentmetrics.score import score

BASELINES = ("factors", "pca", "ica", "pixels", "random")
METRICS = ("mig", "factorvae", "higgins")
_WIDE = 256
"""Codes above which the demo leaves intervals out, to stay within its minute."""


@dataclass(frozen=True)
class Entry:
    """One line of the leaderboard."""

    encoder: str
    card: ScoreCard
    seconds: float


def run_demo(
    out: Path, *, n_samples: int = 5_000, seed: int = 0, n_jobs: int = 1, progress: bool = False
) -> Iterator[Entry]:
    """Score each baseline on the same rows of dSprites, write its card, and yield it."""
    data = load_dataset("dsprites")
    for name in BASELINES:
        started = time.perf_counter()
        encoder = load_encoder(f"baseline:{name}", data=data, seed=seed)
        representation = encode(encoder, data, n_samples=n_samples, seed=seed, progress=progress)
        wide = representation.n_codes > _WIDE
        card = score(
            representation,
            METRICS,
            seed=seed,
            interval=None if wide else "jackknife",
            null=not wide,
            n_jobs=n_jobs,
            progress=progress,
        )
        card.to_json(out / f"{name}.json")
        yield Entry(f"baseline:{name}", card, time.perf_counter() - started)


def leaderboard(entries: list[Entry]) -> Table:
    """Rank encoders by MIG, each score with its 95 % interval."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("encoder", "codes", *METRICS, "seconds"):
        table.add_column(heading, justify="left" if heading == "encoder" else "right")
    for entry in sorted(entries, key=lambda e: -e.card["mig"].value):
        scores = [_cell(entry.card[name]) for name in METRICS]
        table.add_row(entry.encoder, str(entry.card.about["codes"]), *scores, f"{entry.seconds:.1f}")
    return table


def _cell(score: Score) -> str:
    if score.undefined:
        return "undefined"
    interval = f" [{score.interval.low:.2f}, {score.interval.high:.2f}]" if score.interval else ""
    return f"{score.value:.3f}{interval}"
