"""The first minute: five baseline encoders on dSprites, scored and ranked."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import joblib
from rich.table import Table

from disentmetrics._utils.progress import tracked
from disentmetrics.comparison.verify import DATA_SPEC
from disentmetrics.datasets import load_dataset
from disentmetrics.encoders.encode import encode
from disentmetrics.results.card import ScoreCard
from disentmetrics.results.score import Score
from disentmetrics.scoring.score import score

BASELINES = ("pixels", "pca", "ica", "random", "factors")
"""The slowest first, so that processors share the work evenly."""
DATA = "dsprites"
METRICS = ("mig", "factorvae", "higgins")
WIDE = 256
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
    """Score each baseline on the same rows of dSprites, write its card, and yield it when it is done.

    Parameters
    ----------
    out : Path
        Folder for the cards, ``pca.json`` and so on.
    n_samples : int
        Rows.
    seed : int
        Decides every random draw.
    n_jobs : int
        Processes; -1 for one a processor. Numbers stay equal.
    progress : bool
        Whether to show a progress bar.

    Yields
    ------
    Entry
        In no certain order if there are several processes.
    """
    n_workers = min(joblib.effective_n_jobs(n_jobs), len(BASELINES))
    parallel = joblib.Parallel(n_workers, return_as="generator_unordered")
    entries = parallel(joblib.delayed(_entry)(name, METRICS, out, n_samples, seed) for name in BASELINES)
    yield from tracked(entries, len(BASELINES), "scoring five baselines on dSprites", shown=progress)


def _entry(name: str, metrics: Sequence[str], out: Path, n_samples: int, seed: int) -> Entry:
    started = time.perf_counter()
    data = load_dataset(DATA)
    representation = encode(f"baseline:{name}", data, n_samples=n_samples, seed=seed)
    wide = representation.n_codes > WIDE
    card = score(representation, metrics, seed=seed, interval=None if wide else "jackknife", null=not wide)
    card = replace(card, about={**card.about, DATA_SPEC: DATA})
    card.to_json(out / f"{name}.json")
    return Entry(f"baseline:{name}", card, time.perf_counter() - started)


def leaderboard(entries: list[Entry]) -> Table:
    """Rank encoders by MIG, each score with its 95 % interval."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("encoder", no_wrap=True)
    table.add_column("codes", justify="right", no_wrap=True)
    for name in METRICS:
        table.add_column(name, no_wrap=True)
    for entry in sorted(entries, key=lambda e: -e.card["mig"].value):
        scores = [_cell(entry.card[name]) for name in METRICS]
        table.add_row(entry.encoder, str(entry.card.about["codes"]), *scores)
    return table


def _cell(score: Score) -> str:
    if score.undefined:
        return "undefined"
    interval = f" [{score.interval.low:.2f}, {score.interval.high:.2f}]" if score.interval else ""
    return f"{score.value:.2f}{interval}"
