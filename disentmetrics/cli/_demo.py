"""Five baseline encoders on dSprites, scored and ranked."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import joblib
from rich.console import RenderableType

from disentmetrics._utils.progress import tracked
from disentmetrics._utils.tables import TextTable
from disentmetrics.datasets import load_dataset
from disentmetrics.encoders.encode import encode
from disentmetrics.results.card import ScoreCard
from disentmetrics.results.score import Score
from disentmetrics.scoring.score import score

BASELINES = ("pixels", "pca", "ica", "random", "factors")
"""The slowest first, so that processes are equally busy."""
DATA = "dsprites"
METRICS = ("mig", "factorvae", "higgins")
WIDE = 256
"""Latents above which the demo computes no intervals, to take less than a minute."""


@dataclass(frozen=True)
class Entry:
    """One row of the leaderboard."""

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
        Number of rows.
    seed : int
        Random seed.
    n_jobs : int
        Number of processes; -1 uses all CPUs. Results do not depend on it.
    progress : bool
        Whether to show a progress bar.

    Yields
    ------
    Entry
        In any order if there are several processes.
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
    card.to_json(out / f"{name}.json")
    return Entry(f"baseline:{name}", card, time.perf_counter() - started)


def leaderboard(entries: list[Entry]) -> RenderableType:
    """Rank encoders by MIG, each score with its 95 % interval."""
    rows = [
        (entry.encoder, str(entry.card.about["codes"]), *(_cell(entry.card[name]) for name in METRICS))
        for entry in sorted(entries, key=lambda e: -e.card["mig"].value)
    ]
    return TextTable(("encoder", "dims", *METRICS), rows, align="lr" + "l" * len(METRICS)).to_rich()


def _cell(score: Score) -> str:
    if score.undefined:
        return "undefined"
    interval = f" [{score.interval.low:.2f}, {score.interval.high:.2f}]" if score.interval else ""
    return f"{score.value:.2f}{interval}"
