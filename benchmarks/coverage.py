"""Coverage of 95 % intervals, size of the paired test, and adjusted scores and p-values of random codes.

    python benchmarks/coverage.py --quick
    python benchmarks/coverage.py --sizes 300,1000 --runs 100 --out coverage.jsonl
    python benchmarks/coverage.py --out coverage.jsonl --report
    python benchmarks/coverage.py --metrics dci --world weak --intervals-only --runs 60 --out dci-weak.jsonl

Representations are drawn from distributions with known large-sample scores (WORLDS): by default three factors of ten
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

WORLDS: dict[str, tuple[tuple[int, ...], NDArray[np.float64], float]] = {
    "mixed": ((10, 10, 10), np.array([[1, 0.3, 0], [0.2, 1, 0.2], [0, 0.3, 1], [0.5, 0.5, 0], [0, 0, 0]]), 0.5),
    "weak": ((4, 6, 10), np.eye(3) + 0.15 * np.roll(np.eye(3), 1, axis=1), 0.3),
    "rotated": ((4, 6, 10), np.array([[0.67, -0.33, 0.67], [0.67, 0.67, -0.33], [-0.33, 0.67, 0.67]]), 0.02),
    "wide": ((3, 6, 10, 8, 4), np.vstack([1.5 * np.eye(5), 0.5 * np.eye(5) + np.roll(np.eye(5), 2, axis=0)]), 0.4),
}
"""Numbers of values of independent factors, weights of the standardised factors in each latent, and sd of the noise."""
SIZES = (300, 1_000, 3_000, 10_000)
SHARED = 0.8
TRUTH_ROWS = 200_000
N_TRUTHS = 8
QUICK = ("mig", "mig_sup", "dcimig", "jemmig", "sap", "mcc", "modularity_adj", "compactness_adj", "explicitness_adj")
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """Two models of the same factors: the second permutes the latents of the first and shares most of its noise."""

    factors: NDArray[np.int64]
    first: Floats
    second: Floats

    @classmethod
    def draw(cls, n_rows: int, seed: int, name: str = "mixed") -> "World":
        """Draw ``n_rows`` observations."""
        rng = np.random.default_rng([seed, n_rows])
        sizes, mixing, noise = WORLDS[name]
        factors = rng.integers(sizes, size=(n_rows, len(sizes)))
        n_values = np.array(sizes)
        signal = (factors - (n_values - 1) / 2) / np.sqrt((n_values**2 - 1) / 12) @ mixing.T
        common, own, other = (rng.normal(size=signal.shape) for _ in range(3))
        noises = [np.sqrt(SHARED) * common + np.sqrt(1 - SHARED) * single for single in (own, other)]
        order = [2, 0, *range(signal.shape[1] - 1, 2, -1), 1]
        return cls(factors, signal + noise * noises[0], (signal + noise * noises[1])[:, order])


def study(n_rows: int, seed: int, metrics: Sequence[str], world: str, *, intervals_only: bool) -> dict[str, Any]:
    """Score one sample; compare its two models and score a random code, unless intervals alone are studied."""
    drawn = World.draw(n_rows, seed, world)
    models = (drawn.first,) if intervals_only else (drawn.first, drawn.second)
    cards = [dm.score(dm.Representation(codes, drawn.factors), metrics, seed=seed, null=False) for codes in models]
    run: dict[str, Any] = {
        "world": world,
        "n": n_rows,
        "seed": seed,
        "scores": {score.name: _plain(score) for score in cards[0].every_score()},
        "null": {},
        "p": {},
        "null_p": {},
    }
    if not intervals_only:
        random = np.random.default_rng([seed, 7]).normal(size=drawn.first.shape)
        null = dm.score(dm.Representation(random, drawn.factors), metrics, seed=seed)
        run["null"] = {score.name: _plain(score) for score in null.every_score()}
        run["null_p"] = {score.name: score.p_value for score in null.every_score()}
        run["p"] = {d.metric: d.p_value for d in dm.compare(*cards).differences}
    return run


def _plain(score: dm.Score) -> list[float | None]:
    """Value, interval, null, then the replicates, from which another interval could be tried."""
    low, high = (score.interval.low, score.interval.high) if score.interval else (None, None)
    return [None if score.undefined else score.value, low, high, score.null, *score.replicates]


def truths(metrics: Sequence[str], world: str) -> dict[str, float]:
    """Return large-sample values, averaged over seeds for randomised metrics."""
    drawn = World.draw(TRUTH_ROWS, 12_345, world)
    representation = dm.Representation(drawn.first, drawn.factors)
    every: list[dm.Score] = []
    for name in metrics:
        metric, protocol = find_metric(name)
        for seed in range(N_TRUTHS if metric.randomised else 1):
            score = metric.score(representation, protocol, seed=seed)
            every += [score, *score.parts.values()]
    names = dict.fromkeys(score.name for score in every)
    return {name: float(np.mean([score.value for score in every if score.name == name])) for name in names}


def report(runs: list[dict[str, Any]], truth: dict[str, float]) -> str:
    """Summarise as a Markdown table, one row per metric and size."""
    heads = ["metric", "n", "runs", "truth", "mean", "covered", "half-width", "paired test rejects"]
    heads += ["random code: adjusted 0", "random code: p ≤ .05"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
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
            null = np.array([run["null"][name][:4] for run in chosen if name in run["null"]], dtype=float).reshape(
                -1, 4
            )
            null = null[~np.isnan(null).any(axis=1)]
            zero = f"{np.mean((null[:, 1] <= null[:, 3]) & (null[:, 3] <= null[:, 2])):.2f}" if len(null) else "–"
            random_p = [p for run in chosen if (p := run.get("null_p", {}).get(name)) is not None]
            small = f"{np.mean(np.array(random_p) <= 0.05):.2f}" if random_p else "–"
            half = (found[:, 2] - found[:, 1]).mean() / 2
            lines.append(
                f"| {name} | {n} | {len(found)} | {value:.3f} | {found[:, 0].mean():.3f} | {covered:.2f} "
                f"| {half:.3f} | {rejects} | {zero} | {small} |"
            )
    return "\n".join(lines)


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--metrics", default="core", help="presets and names with commas (default core)")
    parser.add_argument("--world", default="mixed", choices=list(WORLDS), help="distribution of the representations")
    parser.add_argument(
        "--intervals-only", action="store_true", help="neither compare two models nor score random codes"
    )
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


def kept_runs(path: Path | None, metrics: Sequence[str], world: str) -> Iterator[dict[str, Any]]:
    """Read the runs in a file for these metrics and this distribution; a line truncated by a crash is skipped."""
    if path is None or not path.exists():
        return
    for line in path.read_text().splitlines():
        try:
            run = json.loads(line)
        except json.JSONDecodeError:
            continue
        if set(metrics) <= set(run["scores"]) and run["world"] == world:
            yield run


def main() -> None:
    """Run the study and print its table."""
    options = arguments()
    for name in options.metrics:
        find_metric(name)
    runs = list(kept_runs(options.out, options.metrics, options.world))
    done = {(run["n"], run["seed"]) for run in runs}
    todo = [(n, seed) for n in options.sizes for seed in range(options.runs) if (n, seed) not in done]
    if not options.report:
        parallel = joblib.Parallel(options.jobs, return_as="generator_unordered")
        found = parallel(
            joblib.delayed(study)(n, seed, options.metrics, options.world, intervals_only=options.intervals_only)
            for n, seed in todo
        )
        for run in tracked(found, len(todo), "scoring samples", shown=sys.stderr.isatty()):
            runs.append(run)
            if options.out is not None:
                with options.out.open("a") as file:
                    file.write(json.dumps(run) + "\n")
    print(report(runs, truths(options.metrics, options.world)))


if __name__ == "__main__":
    main()
