"""Reproduction of published tables and toys: trains and scores models, and compares with what was published."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from disentmetrics._utils.progress import progress_bar
from disentmetrics.datasets import load_dataset
from disentmetrics.datasets.base import DataSet
from disentmetrics.encoders.encode import encode
from disentmetrics.encoders.protocol import Encoder
from disentmetrics.errors import InvalidInputError, did_you_mean
from disentmetrics.metrics import find_metric
from disentmetrics.results.score import Interval
from disentmetrics.scoring.uncertainty import t_interval
from disentmetrics_reference_models.analysis.variational_bias import fa_toy, ica_toy
from disentmetrics_reference_models.methods.info_gan import DSPRITES
from disentmetrics_reference_models.training.config import Config, as_dict
from disentmetrics_reference_models.training.data import TrainingData
from disentmetrics_reference_models.training.device import choose_device
from disentmetrics_reference_models.training.method import PRESETS
from disentmetrics_reference_models.training.registry import find_method
from disentmetrics_reference_models.training.run import Run
from disentmetrics_reference_models.training.run_folder import CONFIG, WEIGHTS, load_run, save_run
from disentmetrics_reference_models.training.train import train, train_many

METRIC = "higgins@higgins2017"
SOURCE = "Higgins et al. (2017), table 1; dSprites"


@dataclass(frozen=True)
class Row:
    """A row of the published table.

    Attributes
    ----------
    label : str
    published, published_deviation : float
        Accuracy in percent, and the value after ± in the paper; None for the ground truth.
    baseline : str
        Spec of an encoder that needs no training.
    settings : mapping
        For trained models, fields of the configuration of the method (β = 1 is the VAE); the β of the β-VAE is
        specified by the plan.
    method : str
    """

    label: str
    published: float
    published_deviation: float | None
    baseline: str = ""
    settings: Mapping[str, float] | None = None
    method: str = "beta_vae"


HIGGINS_ROWS = (
    Row("ground truth", 100.0, None, "baseline:factors"),
    Row("raw pixels", 45.75, 0.8, "baseline:pixels"),
    Row("PCA", 84.9, 0.4, "baseline:pca"),
    Row("ICA", 42.03, 10.6, "baseline:ica"),
    Row("DC-IGN", 99.3, 0.1, settings={}, method="dc_ign"),
    Row("InfoGAN", 73.5, 0.9, settings={}, method="info_gan"),
    Row("untrained VAE", 44.14, 2.5, settings={"beta": 1.0, "n_steps": 0}),
    Row("VAE", 61.58, 0.5, settings={"beta": 1.0}),
    Row("beta-VAE", 99.23, 0.1, settings={}),
)
ORDER = ("ground truth", "beta-VAE", "VAE", "untrained VAE")
"""Published order from best to worst."""
PUBLISHED_BETA = 4.0
_CLOSE = 0.005


@dataclass(frozen=True)
class Plan:
    """Data, models and number of repetitions with which a table is reproduced.

    Attributes
    ----------
    data : str
    settings : mapping
        Fields that differ from the preset ``paper`` of ``beta_vae``, whose β is 4 as published. With that weight, small
        networks keep many active latents and score like the VAE; they need β = 8.
    n_seeds : int
        Repetitions of each row with different seeds, which affect initial weights, fitted baselines, rows and pairs.
    n_rows : int
        Number of encoded images from which the metric samples pairs.
    others : mapping of str to mapping
        Fields that differ from the preset ``paper`` of other methods for this data set; a method that is not listed is
        not run.
    """

    data: str
    settings: Mapping[str, Any]
    n_seeds: int
    n_rows: int
    others: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


_SMALL = {"architecture": "small-fc", "learning_rate": 1e-3, "beta": 8.0}
_SMALL_DC_IGN = {"architecture": "small-fc", "learning_rate": 1e-3, "invariance": 1.0}
PLANS = {
    "smoke": Plan(
        "mini-sprites",
        {**_SMALL, "n_steps": 1_500},
        2,
        5_000,
        {
            "dc_ign": {**_SMALL_DC_IGN, "n_steps": 1_500},
            "info_gan": {**DSPRITES, "networks": "small", "n_steps": 600},
        },
    ),
    "small": Plan(
        "dsprites",
        {**_SMALL, "n_steps": 20_000},
        3,
        10_000,
        {"dc_ign": {**_SMALL_DC_IGN, "n_steps": 20_000}, "info_gan": {"n_steps": 20_000}},
    ),
    "paper": Plan(
        "dsprites",
        {"architecture": "higgins-fc", "optimizer": "adagrad", "learning_rate": 1e-2},
        10,
        20_000,
        {"dc_ign": {"architecture": "dc-ign-64"}, "info_gan": {}},
    ),
}


@dataclass(frozen=True)
class Line:
    """A row of the reproduced table.

    Attributes
    ----------
    row : Row
    values : tuple of float
        Accuracy for each seed, in [0, 1]; empty if the row was not run.
    steps : int
        Number of training steps of each model; 0 for baselines.
    """

    row: Row
    values: tuple[float, ...]
    steps: int = 0

    @property
    def mean(self) -> float:
        """Mean accuracy over seeds; NaN if the row was not run."""
        return float(np.mean(self.values)) if self.values else math.nan

    @property
    def standard_deviation(self) -> float:
        """Standard deviation over seeds; 0 for a single seed."""
        return float(np.std(self.values, ddof=1)) if len(self.values) > 1 else 0.0

    @property
    def interval(self) -> Interval | None:
        """95 % confidence interval of the mean over seeds; None for a single seed."""
        n = len(self.values)
        return (
            t_interval(self.mean, self.standard_deviation / n**0.5, n - 1, (0.0, 1.0), "repetitions") if n > 1 else None
        )


@dataclass(frozen=True)
class Table:
    """A reproduced table.

    Attributes
    ----------
    preset, data : str
        Preset, and fingerprint of the data set.
    config : Config
        Configuration of the models, except for seed, number of steps and β.
    lines : tuple of Line
    n_factors : int
        Number of classes of the metric.
    """

    preset: str
    data: str
    config: Config
    lines: tuple[Line, ...]
    n_factors: int = 5

    @property
    def headings(self) -> tuple[str, ...]:
        """Column headings."""
        return ("encoder", "steps", f"preset {self.preset}, %", "95 % interval", "sd", "seeds", "published, %")

    def cells(self) -> list[tuple[str, ...]]:
        """Return the rows as text."""
        rows: list[tuple[str, ...]] = []
        for line in self.lines:
            row, interval = line.row, line.interval
            bounds = "" if interval is None else f"{100 * interval.low:.1f} .. {100 * interval.high:.1f}"
            published = f"{row.published:g}" + (
                "" if row.published_deviation is None else f" ± {row.published_deviation:g}"
            )
            measured = (f"{100 * line.mean:.1f}", bounds, f"{100 * line.standard_deviation:.1f}", str(len(line.values)))
            steps = f"{line.steps:,}" if line.steps else ""
            rows.append((self._label(row), steps, *(measured if line.values else ("not run", "", "", "")), published))
        return rows

    def _label(self, row: Row) -> str:
        beta = self.config.weights["beta"]
        is_other = row.label == "beta-VAE" and beta != PUBLISHED_BETA
        return f"{row.label} (β = {beta:g} instead of {PUBLISHED_BETA:g})" if is_other else row.label

    @property
    def unlearned(self) -> list[str]:
        """Rows at the accuracy of a classifier that learned nothing, 1/K, or that misses one factor, (K-1)/K."""
        k = self.n_factors
        levels = (1 / k, (k - 1) / k)
        return [
            line.row.label
            for line in self.lines
            if line.values and any(abs(line.mean - level) < _CLOSE for level in levels)
        ]

    @property
    def in_order(self) -> bool:
        """Whether the means have the published order: ground truth > β-VAE > VAE > untrained VAE.

        False if one of them is not learned, see :attr:`unlearned`.
        """
        means = {line.row.label: line.mean for line in self.lines}
        ordered = [means[label] for label in ORDER]
        return all(better > worse for better, worse in pairwise(ordered)) and not set(self.unlearned) & set(ORDER)

    def notes(self) -> list[str]:
        """Return notes on metric, source, settings and order of the table."""
        config = self.config
        models = (
            f"{config.architecture}, {config.n_steps:,} steps of {config.batch_size} images, "
            f"{config.optimizer} {config.learning_rate:g}, beta-VAE with beta {config.weights['beta']:g}"
        )
        unlearned = ", ".join(self.unlearned)
        k = self.n_factors
        levels = f"{100 / k:g} or {100 * (k - 1) / k:g} %"
        nothing = [f"at {levels}, as a classifier that learned nothing or misses a factor: {unlearned}"]
        return [
            f"{METRIC} in percent; published: {SOURCE}",
            f"preset {self.preset}: {self.data}, {models}; sd: standard deviation over seeds",
            *(nothing if unlearned else []),
            f"the published order {' > '.join(ORDER)} is {'' if self.in_order else 'not '}reproduced",
        ]

    def as_dict(self) -> dict[str, Any]:
        """Return the table as plain values for JSON."""
        lines = [
            {
                "encoder": line.row.label,
                "steps": line.steps,
                "percent": 100 * line.mean if line.values else None,
                "interval": None if line.interval is None else [100 * line.interval.low, 100 * line.interval.high],
                "spread": 100 * line.standard_deviation,
                "seeds": [100 * value for value in line.values],
                "published": line.row.published,
                "published_spread": line.row.published_deviation,
            }
            for line in self.lines
        ]
        return {
            "preset": self.preset,
            "metric": METRIC,
            "data": self.data,
            "source": SOURCE,
            "config": as_dict(self.config),
            "in_order": self.in_order,
            "lines": lines,
        }


def higgins_table(
    preset: str,
    folder: Path | str,
    *,
    device: str = "auto",
    settings: Mapping[str, str] | None = None,
    progress: bool = False,
) -> Table:
    """Reproduce table 1 of Higgins et al. (2017): the accuracy of their metric for nine encoders.

    Parameters
    ----------
    preset : {"smoke", "small", "paper"}
        Data, networks and number of seeds, see :data:`PLANS`. ``smoke`` uses another data set than the published table.
    folder : path
        Folder of the trained models, ``beta-vae-seed-0`` and so on. Existing models are reused, and interrupted
        training is resumed.
    device : str
        ``auto``, ``cpu``, ``cuda``, ``mps`` …
    settings : mapping, optional
        Must be empty: the settings of the models are those of the preset.
    progress : bool
        Show progress bars.

    Returns
    -------
    Table

    Raises
    ------
    InvalidInputError
        If there is no such preset, or the folder contains models with other settings.

    Notes
    -----
    Differs from the paper: means are over all seeds, whereas the published values for trained models reportedly use the
    best half of 30 seeds; pairs are sampled from a table of encoded images.
    """
    if preset not in PLANS:
        raise InvalidInputError(
            f"the preset must be one of {', '.join(PRESETS)}; got {preset!r}{did_you_mean(preset, PLANS)}"
        )
    if settings:
        raise InvalidInputError(f"higgins-table takes no settings; got {', '.join(settings)}; choose another preset")
    plan = PLANS[preset]
    data = load_dataset(plan.data)
    config = find_method("beta_vae").preset("paper").changed(plan.settings)
    bases = {"beta_vae": config} | {
        name: find_method(name).preset("paper", data).changed(changes) for name, changes in plan.others.items()
    }
    configs = {
        (row.label, seed): bases[row.method].changed({**row.settings, "seed": seed})
        for row in HIGGINS_ROWS
        if row.settings is not None and row.method in bases
        for seed in range(plan.n_seeds)
    }
    runs = _runs(configs, data, Path(folder), device=device, progress=progress)
    lines = []
    with progress_bar(shown=progress) as bar:
        task = bar.add_task("scoring", total=len(HIGGINS_ROWS) * plan.n_seeds)
        for row in HIGGINS_ROWS:
            values = []
            for seed in range(plan.n_seeds):
                bar.update(task, description=f"scoring {row.label}")
                if row.baseline or (row.label, seed) in runs:
                    values.append(_accuracy(row.baseline or runs[row.label, seed], data, plan.n_rows, seed))
                bar.advance(task)
            steps = configs[row.label, 0].n_steps if (row.label, 0) in configs else 0
            lines.append(Line(row, tuple(values), steps))
    return Table(preset, data.fingerprint, config, tuple(lines), len(data.space))


def _accuracy(encoder: Encoder | str, data: DataSet, n_rows: int, seed: int) -> float:
    metric, protocol = find_metric(METRIC)
    codes = encode(encoder, data, n_samples=n_rows, seed=seed, cache=False)
    return float(metric.score(codes, protocol, seed=seed))


def _runs(
    configs: Mapping[tuple[str, int], Config], data: DataSet, folder: Path, *, device: str, progress: bool
) -> dict[tuple[str, int], Run]:
    """Return the runs of these configurations, loaded from the folder or trained and saved there."""
    paths = {key: folder / f"{key[0].replace(' ', '-').lower()}-seed-{key[1]}" for key in configs}
    runs = {
        key: _loaded(paths[key], config, data) for key, config in configs.items() if (paths[key] / WEIGHTS).exists()
    }
    for stack in _stacks({key: config for key, config in configs.items() if key not in runs}, device):
        if len(stack) == 1:
            path, config = paths[stack[0]], configs[stack[0]]
            interrupted = (path / CONFIG).exists()
            runs[stack[0]] = train(config, data, out=path, resume=interrupted, device=device, progress=progress)
            continue
        trained = train_many([configs[key] for key in stack], data, device=device, progress=progress)
        for key, run in zip(stack, trained, strict=True):
            save_run(run, paths[key])
            runs[key] = run
    return runs


def _loaded(path: Path, config: Config, data: DataSet) -> Run:
    run = load_run(path)
    resolved = config.method.resolve_config(config, TrainingData(data), {})
    if (run.config, run.data) != (resolved, data.fingerprint):
        raise InvalidInputError(
            f"a folder can only contain models of one table and preset; {path} was trained with other settings; "
            "specify another folder with --out"
        )
    return run


def _stacks(missing: Mapping[tuple[str, int], Config], device: str) -> list[list[tuple[str, int]]]:
    if choose_device(device).type == "cpu":
        return [[key] for key in missing]  # stacks are faster only where a single model does not use the full device
    by_steps: dict[int, list[tuple[str, int]]] = {}
    for key, config in missing.items():
        by_steps.setdefault(config.n_steps, []).append(key)
    return list(by_steps.values())


class Reproduced(Protocol):
    """A reproduced table, to be printed or written as JSON."""

    @property
    def headings(self) -> tuple[str, ...]:
        """Column headings."""

    def cells(self) -> list[tuple[str, ...]]:
        """Return the rows as text."""

    def notes(self) -> list[str]:
        """Return notes on source and settings."""

    def as_dict(self) -> dict[str, Any]:
        """Return the table as plain values for JSON."""


TABLES: dict[str, Callable[..., Reproduced]] = {
    "higgins-table": higgins_table,
    "fa-toy": fa_toy,
    "ica-toy": ica_toy,
}


def find_table(name: str) -> Callable[..., Reproduced]:
    """Return the function that reproduces the table of this name; raise InvalidInputError if there is none."""
    if name not in TABLES:
        raise InvalidInputError(
            f"the table must be one of {', '.join(TABLES)}; got {name!r}{did_you_mean(name, TABLES)}"
        )
    return TABLES[name]
