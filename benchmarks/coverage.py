"""Coverage of 95 % intervals, size of the paired test, and adjusted scores of random codes.

    python benchmarks/coverage.py --quick
    python benchmarks/coverage.py --sizes 300,1000 --runs 100 --out coverage.jsonl
    python benchmarks/coverage.py --out coverage.jsonl --report

Representations are drawn from a distribution with known large-sample scores: three factors of ten
values, five latents that mix them with noise. Runs that are already in the file given by --out are
skipped, so a study can be interrupted and resumed at any time.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray

import disentmetrics as dm
from disentmetrics._utils.progress import tracked
from disentmetrics.metrics import find_metric
from disentmetrics.scoring.presets import expand

SIZES = (300, 1_000, 3_000, 10_000)
MIXING = np.array([[1, 0.3, 0], [0.2, 1, 0.2], [0, 0.3, 1], [0.5, 0.5, 0], [0, 0, 0]])
NOISE = 0.5
SHARED = 0.8
TRUTH_ROWS = 200_000
QUICK = ("mig", "mig_sup", "dcimig", "jemmig", "sap", "mcc", "modularity_adj", "compactness_adj", "explicitness_adj")
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """Two models of the same factors: the second permutes the latents of the first and shares most of its noise."""

    factors: NDArray[np.int64]
    first: Floats
    second: Floats

    @classmethod
    def draw(cls, n_rows: int, seed: int) -> "World":
        """Draw ``n_rows`` observations."""
        rng = np.random.default_rng([seed, n_rows])
        factors = rng.integers(10, size=(n_rows, 3))
        signal = (factors - 4.5) / np.sqrt(8.25) @ MIXING.T
        common, own, other = (rng.normal(size=signal.shape) for _ in range(3))
        noises = [np.sqrt(SHARED) * common + np.sqrt(1 - SHARED) * single for single in (own, other)]
        return cls(factors, signal + NOISE * noises[0], (signal + NOISE * noises[1])[:, [2, 0, 4, 1, 3]])


def study(n_rows: int, seed: int, metrics: Sequence[str]) -> dict[str, Any]:
    """Score one sample, compare its two models, and score a random code."""
    world = World.draw(n_rows, seed)
    cards = [
        dm.score(dm.Representation(codes, world.factors), metrics, seed=seed, null=False)
        for codes in (world.first, world.second)
    ]
    random = np.random.default_rng([seed, 7]).normal(size=world.first.shape)
    null = dm.score(dm.Representation(random, world.factors), metrics, seed=seed)
    differences = {d.metric: d.p_value for d in dm.compare(*cards).differences}
    return {
        "n": n_rows,
        "seed": seed,
        "scores": {score.name: _plain(score) for score in cards[0].every_score()},
        "null": {score.name: _plain(score) for score in null.every_score()},
        "p": differences,
    }


def _plain(score: dm.Score) -> list[float | None]:
    """Value, interval, null, then the replicates, from which another interval could be tried."""
    low, high = (score.interval.low, score.interval.high) if score.interval else (None, None)
    return [None if score.undefined else score.value, low, high, score.null, *score.replicates]


def truths(metrics: Sequence[str]) -> dict[str, float]:
    """Return large-sample values."""
    world = World.draw(TRUTH_ROWS, 12_345)
    card = dm.score(dm.Representation(world.first, world.factors), metrics, interval=None, null=False)
    return {score.name: score.value for score in card.every_score()}


def report(runs: list[dict[str, Any]], truth: dict[str, float]) -> str:
    """Summarise as a Markdown table, one row per metric and size."""
    lines = [
        "| metric | n | runs | truth | mean | covered | half-width | paired test rejects | random code: adjusted 0 |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, value in truth.items():
        for n in sorted({run["n"] for run in runs}):
            chosen = [run for run in runs if run["n"] == n and name in run["scores"]]
            found = np.array([run["scores"][name][:3] for run in chosen], dtype=float)
            found = found[~np.isnan(found).any(axis=1)]
            if not len(found):
                continue
            covered = np.mean((found[:, 1] <= value) & (value <= found[:, 2]))
            p_values = [run["p"][name] for run in chosen if run["p"].get(name) is not None]
            rejects = f"{np.mean(np.array(p_values) < 0.05):.2f}" if p_values else "–"
            null = np.array([run["null"][name][:4] for run in chosen], dtype=float)
            null = null[~np.isnan(null).any(axis=1)]
            zero = np.mean((null[:, 1] <= null[:, 3]) & (null[:, 3] <= null[:, 2])) if len(null) else np.nan
            half = (found[:, 2] - found[:, 1]).mean() / 2
            lines.append(
                f"| {name} | {n} | {len(found)} | {value:.3f} | {found[:, 0].mean():.3f} | {covered:.2f} "
                f"| {half:.3f} | {rejects} | {zero:.2f} |"
            )
    return "\n".join(lines)


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--metrics", default="core", help="presets and names with commas (default core)")
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="numbers of rows")
    parser.add_argument("--runs", type=int, default=100, help="draws of each size")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--out", type=Path, help="file that stores each run, to resume later")
    parser.add_argument("--report", action="store_true", help="only summarise the runs in --out")
    parser.add_argument("--quick", action="store_true", help="cheap metrics, 300 and 1,000 rows, 20 runs: a minute")
    options = parser.parse_args(given)
    options.metrics = list(QUICK) if options.quick else expand(options.metrics, posterior=False)
    options.sizes = [300, 1_000] if options.quick else [int(size) for size in options.sizes.split(",")]
    options.runs = 20 if options.quick else options.runs
    return options


def kept_runs(path: Path | None, metrics: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Read the runs in a file for these metrics; a line truncated by a crash is skipped."""
    if path is None or not path.exists():
        return
    for line in path.read_text().splitlines():
        try:
            run = json.loads(line)
        except json.JSONDecodeError:
            continue
        if set(metrics) <= set(run["scores"]):
            yield run


def main() -> None:
    """Run the study and print its table."""
    options = arguments()
    for name in options.metrics:
        find_metric(name)
    runs = list(kept_runs(options.out, options.metrics))
    done = {(run["n"], run["seed"]) for run in runs}
    todo = [(n, seed) for n in options.sizes for seed in range(options.runs) if (n, seed) not in done]
    if not options.report:
        parallel = joblib.Parallel(options.jobs, return_as="generator_unordered")
        found = parallel(joblib.delayed(study)(n, seed, options.metrics) for n, seed in todo)
        for run in tracked(found, len(todo), "scoring samples", shown=sys.stderr.isatty()):
            runs.append(run)
            if options.out is not None:
                with options.out.open("a") as file:
                    file.write(json.dumps(run) + "\n")
    print(report(runs, truths(options.metrics)))


if __name__ == "__main__":
    main()
