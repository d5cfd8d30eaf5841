"""Cost of metrics compared with straightforward implementations: ``python benchmarks/bench_metrics.py``.

The references are in ``references.py`` and are measured in the same run. Where one would take too
long, a part of it is run and extrapolated, and the notes below the table specify which part. Every job
starts from arrays, in a separate process.
"""

import argparse
import importlib.util
import json
import os
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations, permutations
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import references
from numpy.typing import NDArray
from references import CHEN_SAMPLES, IMAGES, N_ROWS, N_TEST, N_TRAIN
from rich.console import Console
from rich.table import Table
from timing import Cost, measure

from disentmetrics._utils.cache import atomic_path
from disentmetrics.comparison.udr import Variant, udr
from disentmetrics.datasets.catalog.dsprites import SPACE, DSprites
from disentmetrics.encoders.protocol import Posterior
from disentmetrics.factors import Factor, FactorSpace
from disentmetrics.metrics import find_metric
from disentmetrics.representation import Representation
from disentmetrics.scoring.presets import expand
from disentmetrics.scoring.score import score
from disentmetrics.statistics.mutual_information import information_matrix

N_CODES = 10
COLLAPSED = 9  # the uninformative latent
GIGABYTE = 1e9
PAIR_METRICS = ["mig", "mig_sup", "dcimig", "jemmig", "modularity", "sufficiency", "mcc@hyvarinen2016", "sap@kumar2018"]
_N_RESAMPLES = 40  # twenty for the interval, nineteen or more for the null, and the value itself


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Sizes of the jobs; the targets apply to the full sizes."""

    name: str
    grid: tuple[int, ...]
    n_models: int
    n_model_rows: int
    n_score_rows: int
    n_core_rows: int
    n_trees: int  # of references.N_TREES, that the boosting of DCI grows
    scored: str | tuple[str, ...]  # by score() with intervals and null
    n_samples: int  # of CHEN_SAMPLES, that are drawn from each mixture
    n_pairs: int  # of models, that are compared one by one
    n_batches: int  # of 256 images, that the network encodes
    repeats: int


FULL = Sizes(
    name="full",
    grid=SPACE.sizes,
    n_models=50,
    n_model_rows=10_000,
    n_score_rows=20_000,
    n_core_rows=10_000,
    n_trees=4,
    scored="default",
    n_samples=20,
    n_pairs=40,
    n_batches=20,
    repeats=5,
)
QUICK = Sizes(
    name="quick",
    grid=(3, 6, 10, 16, 16),
    n_models=10,
    n_model_rows=2_000,
    n_score_rows=1_000,
    n_core_rows=1_000,
    n_trees=1,
    scored=("mig",),
    n_samples=20,
    n_pairs=10,
    n_batches=2,
    repeats=1,
)


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A straightforward implementation: description, cost, and the part of it that was run."""

    what: str
    seconds: float
    part: str = ""

    @property
    def note(self) -> str:
        return f"{self.what}; extrapolated: {self.part}" if self.part else self.what


@dataclass(frozen=True, kw_only=True)
class Line:
    """One job of the table."""

    job: str
    ours: Cost
    reference: Reference | None = None
    most_seconds: float = inf
    most_bytes: float = inf
    counts_input: bool = False  # whether the memory is that of the entire process

    @property
    def ratio(self) -> float | None:
        return self.reference.seconds / self.ours.seconds if self.reference else None

    @property
    def n_bytes(self) -> int:
        return self.ours.total_bytes if self.counts_input else self.ours.extra_bytes

    @property
    def target(self) -> str:
        limits = [f"{self.most_seconds:g} s"] * (self.most_seconds < inf)
        limits += [f"{self.most_bytes / GIGABYTE:g} GB"] * (self.most_bytes < inf)
        return ", ".join(limits)

    @property
    def met(self) -> bool | None:
        if not self.target:
            return None
        return self.ours.seconds <= self.most_seconds and self.n_bytes <= self.most_bytes


@dataclass(frozen=True)
class Arrays:
    """Output of an encoder on a data set: the input of every job."""

    codes: NDArray[np.float32]
    log_variance: NDArray[np.float32] | None
    factors: NDArray[np.int64]
    space: FactorSpace

    def representation(self) -> Representation:
        return Representation(self.codes, self.factors, space=self.space, log_variance=self.log_variance)


def synthetic(factors: NDArray[np.int64], sizes: tuple[int, ...], rng: np.random.Generator) -> Arrays:
    """Return five latents for one factor each, three that mix two, one that barely follows one, and a collapsed one."""
    space = FactorSpace([Factor(factor.name, size, factor.kind) for factor, size in zip(SPACE, sizes, strict=True)])
    mixing = np.zeros((len(sizes), N_CODES))
    mixing[range(5), range(5)] = 1.0
    mixing[[0, 1, 2, 2, 3, 4], [5, 6, 7, 5, 6, 7]] = 0.7
    mixing[3, 8] = 0.3
    noise = np.array([0.1] * 5 + [0.3] * 3 + [1.0, 0.02])
    middle, spread = (np.array(sizes) - 1) / 2, np.sqrt((np.square(sizes) - 1) / 12)
    codes = np.empty((len(factors), N_CODES), np.float32)  # as encoders return them
    log_variance = np.zeros_like(codes)
    for start in range(0, len(factors), 2**16):
        part = slice(start, start + 2**16)
        signal = (factors[part] - middle) / spread @ mixing
        codes[part] = signal + noise * rng.standard_normal(signal.shape)
        log_variance[part] = -4 + 0.3 * signal + 0.3 * rng.standard_normal(signal.shape)
    log_variance[:, COLLAPSED] = 0.0
    return Arrays(codes, log_variance, factors, space)


def full_grid(sizes: tuple[int, ...], rng: np.random.Generator) -> Arrays:
    return synthetic(np.indices(sizes).reshape(len(sizes), -1).T.copy(), sizes, rng)


def random_rows(n: int, rng: np.random.Generator) -> Arrays:
    return synthetic(SPACE.sample(n, rng), SPACE.sizes, rng)


def alike_models(sizes: Sizes, rng: np.random.Generator) -> list[Posterior]:
    """Return models with the same latents, in different orders, with different signs and noise."""
    arrays = random_rows(sizes.n_model_rows, rng)
    models = []
    for _ in range(sizes.n_models):
        order = rng.permutation(N_CODES)
        codes = arrays.codes[:, order] * rng.choice([-1, 1], N_CODES)
        codes += 0.3 * codes.std(axis=0) * rng.standard_normal(codes.shape)
        assert arrays.log_variance is not None
        models.append(Posterior(codes.astype(np.float32), arrays.log_variance[:, order]))
    return models


def cost_of(name: str, arrays: Arrays, sizes: Sizes) -> Cost:
    metric, protocol = find_metric(name)
    return measure(lambda: metric.score(arrays.representation(), protocol).value, repeats=sizes.repeats)


def exact_mig(arrays: Arrays, sizes: Sizes, rng: np.random.Generator) -> Iterator[Line]:
    assert arrays.log_variance is not None
    mixtures = references.mixtures(arrays.codes, arrays.log_variance, arrays.factors)
    sampling = measure(references.sampled_entropies, mixtures, sizes.n_samples, rng, repeats=1)
    times = CHEN_SAMPLES / sizes.n_samples
    yield Line(
        job="mig@chen2018, exact",
        ours=cost_of("mig@chen2018", arrays, sizes),
        reference=Reference(
            what=f"estimator of Chen et al., {CHEN_SAMPLES:,} samples of each mixture against all its components",
            seconds=sampling.seconds * times,
            part=f"{sizes.n_samples} samples took {sampling.seconds:.2f} s, times {times:g}",
        ),
        most_seconds=5.0,
        most_bytes=2 * GIGABYTE,
    )


def binned_mig(arrays: Arrays, sizes: Sizes) -> Iterator[Line]:
    pairs = measure(references.binned_mig, arrays.codes, arrays.factors, repeats=1)
    what = "20 bins by np.digitize, sklearn.metrics.mutual_info_score of one pair after the other"
    reference = Reference(what=what, seconds=pairs.seconds)
    for name in ("mig", "mig@locatello2019"):
        yield Line(job=name, ours=(cost := cost_of(name, arrays, sizes)), reference=reference)
    assert np.isclose(cost.value, pairs.value, atol=1e-9), "locatello2019 must equal the result of the reference"


def fixed_factor(arrays: Arrays, sizes: Sizes, rng: np.random.Generator) -> Iterator[Line]:
    for name, loop in (("higgins", references.higgins_by_drawing), ("factorvae", references.factorvae_by_drawing)):
        drawing = measure(loop, arrays.codes, sizes.grid, rng, repeats=min(3, sizes.repeats))
        reference = Reference(
            what=f"{name} of disentanglement_lib, {N_TRAIN:,} + {N_TEST:,} points drawn one by one; {IMAGES[name]:,} "
            f"images, their codes looked up in a table, {N_ROWS} at a time",
            seconds=drawing.seconds,
        )
        yield Line(job=name, ours=cost_of(name, arrays, sizes), reference=reference, most_seconds=0.7)
        same = f"{name}@locatello2019"
        yield Line(job=f"{same}, as many points", ours=cost_of(same, arrays, sizes), reference=reference)


def ranking(variant: Variant, sizes: Sizes, rng: np.random.Generator) -> Iterator[Line]:
    models = alike_models(sizes, rng)
    cost = measure(lambda: udr(models, variant=variant), repeats=min(3, sizes.repeats))
    informative = [model.mean[:, kept] for model, kept in zip(models, cost.value.informative, strict=True)]
    if variant == "spearman":
        what, compare, precision = "scipy.stats.spearmanr", references.udr_by_spearman, 1e-9
        pairs = list(combinations(range(sizes.n_models), 2))  # disentanglement_lib takes each in both orders
    else:
        what, compare, precision = "sklearn.linear_model.Lasso", references.udr_by_lasso, 1e-3
        pairs = list(permutations(range(sizes.n_models), 2))
    some = [pairs[i] for i in rng.choice(len(pairs), sizes.n_pairs, replace=False)]
    compared = measure(lambda: [compare(informative[i], informative[j]) for i, j in some], repeats=1)
    same = np.allclose(compared.value, [cost.value.pairwise[pair] for pair in some], atol=precision)
    assert same, f"udr must equal the result of {what}"
    times = len(pairs) / len(some)
    yield Line(
        job=f"udr, {variant}, {sizes.n_models} models, all pairs",
        ours=cost,
        reference=Reference(
            what=f"{what} of one pair of models after the other, {len(pairs):,} pairs",
            seconds=compared.seconds * times,
            part=f"{len(some)} pairs took {compared.seconds:.2f} s, times {times:.4g}",
        ),
        most_seconds=5.0 if variant == "spearman" else inf,
    )


def whole_suite(sizes: Sizes, rng: np.random.Generator) -> Iterator[Line]:
    arrays = random_rows(sizes.n_score_rows, rng)
    cost = measure(lambda: len(score(arrays.representation(), sizes.scored)), repeats=1)
    metrics = sizes.scored if isinstance(sizes.scored, str) else ", ".join(sizes.scored)
    yield Line(job=f"score {metrics}, intervals, null, {sizes.n_score_rows:,} rows", ours=cost)


def core_preset(sizes: Sizes, rng: np.random.Generator) -> Iterator[Line]:
    """Each metric of the preset core, then all of them, on rows with the factors of dSprites."""
    arrays = random_rows(sizes.n_core_rows, rng)
    sizes_of_factors = sizes.grid
    ways: dict[str, Callable[[], Any]] = {
        "mig": lambda: references.binned_mig(arrays.codes, arrays.factors),
        "dci": lambda: references.dci_by_boosting(arrays.codes, arrays.factors, sizes.n_trees),
        "sap": lambda: references.sap_by_support_vectors(arrays.codes, arrays.factors),
        "explicitness": lambda: references.explicitness_by_logistic_regression(arrays.codes, arrays.factors),
        "higgins": lambda: references.higgins_by_drawing(grid_codes, sizes_of_factors, rng),
        "factorvae": lambda: references.factorvae_by_drawing(grid_codes, sizes_of_factors, rng),
    }
    grid_codes = full_grid(sizes.grid, rng).codes
    times = {"dci": references.N_TREES / sizes.n_trees}
    spent: dict[str, float] = {}
    for name in expand("core", posterior=False):
        reference = None
        if name in ways:
            cost = measure(ways[name], repeats=1)
            spent[name] = cost.seconds * times.get(name, 1)
            part = f"{sizes.n_trees} of {references.N_TREES} trees took {cost.seconds:.1f} s" if name == "dci" else ""
            reference = Reference(what=references.WHAT[name], seconds=spent[name], part=part)
        yield Line(job=f"{name}, {sizes.n_core_rows:,} rows", ours=cost_of(name, arrays, sizes), reference=reference)
    whole = sum(spent.values())
    several = f"the {len(spent)} metrics above that have a reference"
    values = measure(lambda: len(score(arrays.representation(), "core", interval=None, null=False)), repeats=1)
    yield Line(
        job="score core, values alone",
        ours=values,
        reference=Reference(what=several, seconds=whole),
        most_seconds=20.0,
    )
    n_jobs = 2
    resampled = measure(lambda: len(score(arrays.representation(), "core", n_jobs=n_jobs)), repeats=1)
    yield Line(
        job=f"score core, intervals and nulls, {n_jobs} threads",
        ours=resampled,
        reference=Reference(
            what=f"{several}, on {_N_RESAMPLES} resamples",
            seconds=whole * _N_RESAMPLES / n_jobs,
            part=f"one took {whole:.0f} s; on 2 processors",
        ),
        most_seconds=120.0,
    )


def information_matrices(sizes: Sizes, rng: np.random.Generator) -> Iterator[Line]:
    """The mutual information matrix alone, next to one scikit-learn call per pair."""
    arrays = random_rows(sizes.n_core_rows, rng)
    pairs = measure(references.information_by_pairs, arrays.codes, arrays.factors, repeats=sizes.repeats)
    what = "20 bins by np.digitize, sklearn.metrics.mutual_info_score of one pair after the other"
    for estimator in ("equal-width", "rank-spacing", "adjusted"):
        cost = measure(lambda e=estimator: information_matrix(arrays.representation(), e), repeats=sizes.repeats)
        yield Line(
            job=f"information matrix, {estimator}, {sizes.n_core_rows:,} rows",
            ours=cost,
            reference=Reference(what=what, seconds=pairs.seconds),
        )
        if estimator == "equal-width":
            assert np.allclose(cost.value, pairs.value, atol=1e-9), "the matrix must equal the result of scikit-learn"


def wide_table(rng: np.random.Generator) -> Iterator[Line]:
    """All metrics of a pair matrix on an observational table of 64 latents and 10 factors."""
    n_rows, n_factors = 1_000_000, 10
    factors = rng.integers(10, size=(n_rows, n_factors))
    mixing = rng.normal(size=(n_factors, 64)) * (rng.random((n_factors, 64)) < 0.2)
    codes = (factors @ mixing + rng.normal(size=(n_rows, 64))).astype(np.float32)
    space = FactorSpace([Factor(f"v{k}", 10, "categorical") for k in range(n_factors)])
    table = Arrays(codes, None, factors, space)
    some = [(int(j), int(k)) for j, k in rng.integers((64, n_factors), size=(6, 2))]
    pairs = measure(references.information_of_pairs, codes, factors, some, repeats=1)
    n_pairs = 64 * n_factors
    cost = measure(lambda: len(score(table.representation(), PAIR_METRICS, interval=None, null=False)), repeats=1)
    yield Line(
        job=f"{', '.join(PAIR_METRICS)}: {n_rows:,} rows x 64 codes x {n_factors} factors, 2 threads",
        ours=cost,
        reference=Reference(
            what="sklearn.metrics.mutual_info_score in 20 bins, one pair after the other, for a single matrix",
            seconds=pairs.seconds * n_pairs / len(some),
            part=f"{len(some)} of {n_pairs} pairs took {pairs.seconds:.1f} s",
        ),
        most_seconds=60.0,
        most_bytes=8 * GIGABYTE,
        counts_input=True,
    )


def large_table(rng: np.random.Generator) -> Iterator[Line]:
    arrays = random_rows(5_000_000, rng)
    cost = measure(lambda: len(score(arrays.representation(), interval=None, null=False)), repeats=1)
    job = "score default, values alone, 5,000,000 rows"
    yield Line(job=job, ours=cost, most_bytes=8 * GIGABYTE, counts_input=True)


def jobs(sizes: Sizes, *, large: bool) -> Iterator[Callable[[], Iterator[Line]]]:
    rng = np.random.default_rng(0)
    arrays = full_grid(sizes.grid, rng)
    yield lambda: exact_mig(arrays, sizes, rng)
    yield lambda: binned_mig(arrays, sizes)
    yield lambda: fixed_factor(arrays, sizes, rng)
    yield lambda: ranking("spearman", sizes, rng)
    yield lambda: ranking("lasso", sizes, rng)
    yield lambda: whole_suite(sizes, rng)
    yield lambda: information_matrices(sizes, rng)
    yield lambda: core_preset(sizes, rng)
    if large:
        yield lambda: wide_table(rng)
        yield lambda: large_table(rng)


def images_per_second(sizes: Sizes, rng: np.random.Generator) -> float | None:
    """Return how fast an encoder like that of Burgess et al. runs here, None without torch."""
    if importlib.util.find_spec("torch") is None:
        return None
    images = DSprites().observations(SPACE.sample(256, rng))

    def encode() -> None:
        import torch  # in the measured process: no later process is forked from one with its threads

        convolutions: list[Any] = []
        for channels in (1, 32, 32, 32):
            convolutions += [torch.nn.Conv2d(channels, 32, 4, 2, 1), torch.nn.ReLU()]
        linear = torch.nn.Linear
        head = [linear(512, 256), torch.nn.ReLU(), linear(256, 256), torch.nn.ReLU(), linear(256, 2 * N_CODES)]
        network = torch.nn.Sequential(*convolutions, torch.nn.Flatten(), *head)
        batch = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
        with torch.no_grad():
            for _ in range(sizes.n_batches):
                network(batch)

    return sizes.n_batches * 256 / measure(encode).seconds  # the median: only the first run imports torch


def encoding_note(rate: float | None) -> str:
    if rate is None:
        return "The cost of encoding again was not measured, as torch is not installed."
    again = "; ".join(f"{name} {n:,} images, {n / rate:,.0f} s" for name, n in IMAGES.items())
    return (
        f"With a network in place of the table: an encoder of the size of Burgess et al. runs at {rate:,.0f} images/s "
        f"here (torch, batches of 256). By that rate, extrapolated: encoding again for {again}; encoding the full grid "
        f"once for all metrics, {SPACE.n_combinations:,} images, {SPACE.n_combinations / rate:,.0f} s."
    )


def as_table(lines: list[Line], notes: list[str]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("job")
    for heading in ("ours, s", "CPU, s", "memory, GB", "reference, s", "ratio", "target"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("met?")
    for line in lines:
        reference = ratio = ""
        if line.reference:
            about = "extrapolated " if line.reference.part else ""
            reference = f"{about}{line.reference.seconds:,.1f} [{1 + notes.index(line.reference.note)}]"
            ratio = f"{line.ratio:,.0f} x"
        table.add_row(
            line.job,
            f"{line.ours.seconds:.2f}",
            f"{line.ours.cpu_seconds:.2f}",
            f"{line.n_bytes / GIGABYTE:.2f}",
            reference,
            ratio,
            line.target,
            {None: "", True: "yes", False: "no"}[line.met],
        )
    return table


def as_json(lines: list[Line], about: dict[str, Any]) -> str:
    found = [
        {
            "job": line.job,
            "seconds": line.ours.seconds,
            "cpu_seconds": line.ours.cpu_seconds,
            "bytes": line.n_bytes,
            "reference": vars(line.reference) if line.reference else None,
            "ratio": line.ratio,
            "target": line.target or None,
            "met": line.met,
        }
        for line in lines
    ]
    return json.dumps({**about, "jobs": found}, indent=2)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the metrics next to straightforward implementations.")
    parser.add_argument("--quick", action="store_true", help="small sizes, to which the targets do not apply")
    parser.add_argument("--large", action="store_true", help="also tables of 1,000,000 x 64 and 5,000,000 x 10 codes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the numbers to a file")
    settings = parser.parse_args()
    sizes = QUICK if settings.quick else FULL
    about = {
        "sizes": sizes.name,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": platform.machine(),
        "processors": os.cpu_count(),
        "load": os.getloadavg()[0],
    }

    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False, markup=False)
    lines: list[Line] = []
    with console.status("measuring") as status:
        for job in jobs(sizes, large=settings.large):
            for line in job():
                lines.append(line)
                status.update(f"measured {line.job}")
        rate = images_per_second(sizes, np.random.default_rng(0))
    notes = list(dict.fromkeys(line.reference.note for line in lines if line.reference))
    grid = f"{' x '.join(map(str, sizes.grid))} = {np.prod(sizes.grid):,} rows"
    console.print(f"{sizes.name} sizes: full grid {grid}, {N_CODES} codes with posterior variances, 32 bits")
    console.print("{processors} processors, load {load:.1f} at the start, numpy {numpy}".format_map(about))
    if sizes is not FULL:
        console.print("the targets apply to the full sizes")
    more = ", of 5,000,000 rows with it" if settings.large else ""
    console.print(f"seconds are wall time; memory is the largest beyond the input{more}")
    console.print(as_table(lines, notes))
    for number, note in enumerate(notes, start=1):
        console.print(f"[{number}] {note}")
    console.print(encoding_note(rate))
    console.print(f"targets missed: {'; '.join(line.job for line in lines if line.met is False) or 'none'}")
    if settings.json:
        with atomic_path(settings.json) as path:
            path.write_text(as_json(lines, {**about, "images_per_second": rate}), encoding="utf-8")


if __name__ == "__main__":
    main()
