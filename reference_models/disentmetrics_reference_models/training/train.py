"""Training into a run folder, and resuming from its checkpoint."""

import contextlib
import json
import logging
import signal
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import torch

from disentmetrics._utils.progress import progress_bar
from disentmetrics.datasets.base import DataSet
from disentmetrics.errors import CorruptFileError, InvalidInputError, MissingExtraError, one_line
from disentmetrics_reference_models.training.config import Config
from disentmetrics_reference_models.training.data import TrainingData
from disentmetrics_reference_models.training.device import choose_device
from disentmetrics_reference_models.training.history import History, Recorder
from disentmetrics_reference_models.training.method import Method
from disentmetrics_reference_models.training.run import Run
from disentmetrics_reference_models.training.run_folder import (
    CHECKPOINT,
    CONFIG,
    WEIGHTS,
    describe,
    fingerprint_of,
    load_run,
    read_json,
    read_tensors,
    save_run,
    snapshot_path,
    weights_of,
    write_json,
    write_tensors,
)
from disentmetrics_reference_models.training.stage import Stage
from disentmetrics_reference_models.training.trainer import Trainer

_N_RECORDS = 200  # rows of the history
_TERM_NAMES = {"kl": "KL"}
_ESTIMATE_SECONDS = 3.0  # after which the duration is estimated
_LOG_SECONDS = 30.0  # between log messages where no progress bar is shown
logger = logging.getLogger("disentmetrics")


def train(
    config: Config,
    data: DataSet,
    *,
    out: Path | str | None = None,
    resume: bool = False,
    device: str = "auto",
    checkpoint_seconds: float = 60.0,
    snapshots: Collection[int] = (),
    tensorboard: bool = False,
    progress: bool = False,
) -> Run:
    """Train one model.

    On SIGINT (Ctrl-C), SIGTERM and SIGHUP the state is saved after the current step, before the signal takes effect,
    so that ``resume`` loses nothing.

    Parameters
    ----------
    config : Config
        Configuration of a method, such as ``BetaVAEConfig(beta=6.0)``.
    data : DataSet
        Data set of images or vectors.
    out : path, optional
        Run folder for checkpoints and results.
    resume : bool
        Resume from the last checkpoint in the folder; the result is the same as without the interruption.
    device : str
        ``auto``, ``cpu``, ``cuda``, ``mps`` …
    checkpoint_seconds : float
        Minimum time between two checkpoints.
    snapshots : collection of int
        Steps after which a copy of the weights is kept in the folder, for :func:`load_run`.
    tensorboard : bool
        Also write TensorBoard event files into the folder.
    progress : bool
        Show a progress bar with the terms of the objective.

    Returns
    -------
    Run

    Raises
    ------
    InvalidInputError
        If the configuration does not belong to a method, the folder contains another run, the checkpoint was
        written with another configuration, or a snapshot is requested without a folder, after the last step, or of a
        step before the checkpoint that was not kept.
    TrainingError
        If the loss is not finite.
    StorageError
        If a file cannot be written; the last checkpoint remains intact.
    """
    folder = None if out is None else Path(out)
    _check_snapshots(snapshots, config, folder)
    prepared = TrainingData(data)
    config, stages = _with_stages(config, prepared)
    trainer = Trainer([config], prepared, choose_device(device), stages=stages)
    recorder = Recorder(0) if folder is None else _start_or_resume(folder, trainer, resume=resume)
    if folder is not None:
        _check_past_snapshots(snapshots, trainer.step, folder)
    events = _summary_writer(folder) if tensorboard else None
    last_saved = time.monotonic()
    with (
        _without_remains(folder, is_new=not resume),
        _signals_after_the_step() as received,
        progress_bar(shown=progress) as bar,
    ):
        report = _Report(trainer, recorder, bar, events, log=not progress)
        for terms in trainer.run(config.n_steps):
            report.add(terms)
            if folder is not None and trainer.step in snapshots:
                write_tensors(snapshot_path(folder, trainer.step), weights_of(trainer.models()[0]), {})
            if folder is not None and (received or time.monotonic() - last_saved > checkpoint_seconds):
                _save_checkpoint(folder, trainer, recorder)
                last_saved = time.monotonic()
            if received:
                break
    if events is not None:
        events.close()
    if received and trainer.step < config.n_steps:
        _end_as_signalled(received[0], trainer, folder)
    run = _trained_run(trainer, 0, recorder.history)
    if folder is not None:
        save_run(run, folder)
        (folder / CHECKPOINT).unlink(missing_ok=True)
    if received:  # after the last step: the run is complete, and the signal still ends the program
        signal.raise_signal(received[0])
    return run


def train_many(configs: Sequence[Config], data: DataSet, *, device: str = "auto", progress: bool = False) -> list[Run]:
    """Train models of one method and architecture in parallel, as one stack.

    Seeds and scalar weights may differ. Each model is the same as if it were trained alone by :func:`train`, up to
    floating-point rounding.

    Parameters
    ----------
    configs : sequence of Config
    data : DataSet
    device : str
    progress : bool

    Returns
    -------
    list of Run
        In the order of the configurations.
    """
    if not configs:
        raise InvalidInputError("train_many needs at least one configuration; got none")
    prepared = TrainingData(data)
    resolved = [_with_stages(config, prepared) for config in configs]
    configs = [config for config, _ in resolved]
    trainer = Trainer(configs, prepared, choose_device(device), stages=resolved[0][1])
    recorders = [Recorder(member) for member in range(trainer.n_members)]
    every = max(1, trainer.config.n_steps // _N_RECORDS)
    with progress_bar(shown=progress) as bar:
        task = bar.add_task(f"{trainer.n_members} x {trainer.method.name}", total=trainer.config.n_steps)
        for terms in trainer.run(trainer.config.n_steps):
            for recorder in recorders:
                recorder.add(terms)
            if trainer.step % every == 0 or trainer.step == trainer.config.n_steps:
                for recorder in recorders:
                    recorder.record(trainer.step)
                bar.update(task, completed=trainer.step)
    return [_trained_run(trainer, member, recorder.history) for member, recorder in enumerate(recorders)]


def _with_stages(config: Config, data: TrainingData) -> tuple[Config, dict[str, Stage]]:
    """Load the trained models that a method builds on; their fingerprints replace the paths in the configuration.

    Raises
    ------
    InvalidInputError
        If a path is missing, or a model takes other observations.
    """
    stages = {}
    for name in config.method.stages:
        path = getattr(config, name)
        if not path:
            raise InvalidInputError(
                f"{config.method.name} builds on a trained model; specify its run folder: {name}=RUN_DIR (--set "
                f"{name}=RUN_DIR)"
            )
        run = load_run(path)
        if run.shape != data.shape:
            raise InvalidInputError(
                f"{name} must be a model of observations like those of {data.data.name}, of shape {data.shape}; "
                f"{path} was trained on {run.shape}"
            )
        stages[name] = Stage(run.config, run.shape, run.model, run.fingerprint, run.stages)
    fingerprints: dict[str, Any] = {name: stage.fingerprint for name, stage in stages.items()}
    return replace(config, **fingerprints), stages


def _check_snapshots(snapshots: Collection[int], config: Config, folder: Path | None) -> None:
    wrong = sorted(step for step in snapshots if not 1 <= step <= config.n_steps)
    if wrong:
        raise InvalidInputError(f"snapshots must be steps in 1 .. {config.n_steps}; got {wrong[0]}")
    if snapshots and folder is None:
        raise InvalidInputError("snapshots are written into the run folder; specify one with out")


def _check_past_snapshots(snapshots: Collection[int], done: int, folder: Path) -> None:
    missed = sorted(step for step in snapshots if step <= done and not snapshot_path(folder, step).is_file())
    if missed:
        raise InvalidInputError(
            f"snapshots must be of steps that are still to come, or were kept; the run in {folder} is at step {done:,} "
            f"and has none of step {missed[0]}"
        )


class _Report:
    """Records the terms of training, and shows them by a progress bar, in messages and to TensorBoard."""

    def __init__(self, trainer: Trainer, recorder: Recorder, bar: Any, events: Any, *, log: bool) -> None:
        self._trainer, self._recorder, self._bar, self._events, self._log = trainer, recorder, bar, events, log
        self._last = trainer.config.n_steps
        self._every = max(1, self._last // _N_RECORDS)
        self._task = bar.add_task(trainer.method.name, total=self._last, completed=trainer.step)
        self._first, self._since, self._is_estimated = -1, time.monotonic(), False
        self._last_logged = self._since

    def add(self, terms: dict[str, torch.Tensor]) -> None:
        """Add the terms of the step just completed."""
        step, now = self._trainer.step, time.monotonic()
        self._recorder.add(terms)
        if self._first < 0:  # the first step also waits for the first observations
            self._first, self._since = step, now
        if self._log and not self._is_estimated and now - self._since > _ESTIMATE_SECONDS:
            self._is_estimated = True
            pace = (step - self._first) / (now - self._since)
            logger.info("%.1f steps per second: %s left", pace, _duration((self._last - step) / pace))
        if step % self._every and step != self._last:
            return
        row = self._recorder.record(step)
        summary = _summary(self._trainer.method, row)
        self._bar.update(self._task, completed=step, description=summary)
        if self._log and now - self._last_logged > _LOG_SECONDS:
            logger.info("step %s of %s: %s", f"{step:,}", f"{self._last:,}", summary)
            self._last_logged = now
        if self._events is not None:
            for name, value in row.items():
                self._events.add_scalar(name, value, step)


def _summary(method: Method, row: dict[str, float]) -> str:
    shown = [f"{_TERM_NAMES.get(name, name)} {row[name]:.1f}" for name in method.reported if name in row]
    return "  ".join([method.name, *shown])


def _summary_writer(folder: Path | None) -> Any:
    if folder is None:
        raise InvalidInputError("TensorBoard events are written into the run folder; specify one with out")
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MissingExtraError("TensorBoard events need the package tensorboard; pip install tensorboard") from error
    return SummaryWriter(folder)


def _end_as_signalled(number: int, trainer: Trainer, folder: Path | None) -> NoReturn:
    where = f"; its state is in {folder}: train again with resume (--resume) to continue" if folder else ""
    logger.warning("training stopped at step %s of %s%s", f"{trainer.step:,}", f"{trainer.config.n_steps:,}", where)
    signal.raise_signal(number)
    raise KeyboardInterrupt  # where the signal does not end the program


def _duration(seconds: float) -> str:
    """Return a rounded duration in words.

    Examples
    --------
    >>> _duration(40.2), _duration(600), _duration(40_000), _duration(1e6)
    ('about 40 seconds', 'about 10 minutes', 'about 11 hours', 'about 12 days')
    """
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"about {seconds / size:.0f} {unit}"
    return f"about {seconds:.0f} seconds"


@contextlib.contextmanager
def _without_remains(folder: Path | None, *, is_new: bool) -> Iterator[None]:
    """Remove the configuration that a failing run has written if nothing else of it is worth keeping."""
    try:
        yield
    except Exception:
        if folder is not None and is_new and not {*folder.glob("*.safetensors")}:
            (folder / CONFIG).unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # it holds other files
                folder.rmdir()
        raise


@contextlib.contextmanager
def _signals_after_the_step() -> Iterator[list[int]]:
    """Collect signals that would end the program, so that it can save its state first; a second one ends it at once."""
    received: list[int] = []
    is_main = threading.current_thread() is threading.main_thread()
    numbers = [signal.Signals[name] for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {n: signal.getsignal(n) for n in numbers} if is_main else {}
    handled = {n: handler for n, handler in before.items() if handler not in (signal.SIG_IGN, None)}

    def restore() -> None:
        for number, handler in handled.items():
            signal.signal(number, handler)

    def collect(number: int, _frame: object) -> None:
        received.append(number)
        restore()

    for number in handled:
        signal.signal(number, collect)
    try:
        yield received
    finally:
        restore()


def _start_or_resume(folder: Path, trainer: Trainer, *, resume: bool) -> Recorder:
    """Create the folder or resume from its checkpoint, and return a recorder with the history so far."""
    checkpoint = folder / CHECKPOINT
    about = describe(trainer.config, trainer.data.data.fingerprint, trainer.data.shape, trainer.stages)
    if not resume:
        if (folder / CONFIG).exists():
            raise InvalidInputError(
                f"{folder} already contains a run; resume it with resume, or specify another folder"
            )
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / CONFIG, about)
        return Recorder(0)
    if not (folder / CONFIG).is_file():
        raise InvalidInputError(f"there is no run to resume in {folder}: it contains no {CONFIG}")
    before = read_json(folder / CONFIG)
    differences = _differences(before, about)
    if differences:
        raise InvalidInputError(
            f"a run must be resumed with its own settings; those of {folder} differ: {'; '.join(differences)}"
        )
    if not checkpoint.is_file():
        if (folder / WEIGHTS).is_file():
            raise InvalidInputError(f"the run in {folder} is already complete; specify another folder")
        return Recorder(0)  # interrupted before its first checkpoint
    tensors, names = read_tensors(checkpoint)
    try:
        rows = tensors.pop("history").tolist()
        trainer.restore(tensors)
        return Recorder(0, tuple(names), [[*map(float, row)] for row in rows])
    except (KeyError, TypeError, RuntimeError) as error:
        raise CorruptFileError(
            f"{checkpoint} must be the checkpoint of this run; reading it failed: {one_line(error)}"
        ) from error


def _differences(before: dict[str, Any], about: dict[str, Any]) -> list[str]:
    """Return what differs between the description of a run in its folder and the one requested."""
    earlier, requested = before.get("config"), about["config"]
    fields = {}
    if isinstance(earlier, dict) and before.get("method") == about["method"]:
        fields = {f"config.{name}": (earlier.get(name), value) for name, value in requested.items()}
    whole = {key: (before.get(key), about[key]) for key in ("method", "data", "shape")}
    return [
        f"{name} is {in_folder} in the folder, {now} requested"
        for name, (in_folder, now) in {**whole, **fields}.items()
        if in_folder != now
    ]


def _save_checkpoint(folder: Path, trainer: Trainer, recorder: Recorder) -> None:
    tensors = trainer.state()
    tensors["history"] = torch.tensor(recorder.rows, dtype=torch.float64)
    write_tensors(folder / CHECKPOINT, tensors, {"columns": json.dumps(list(recorder.names))})


def _trained_run(trainer: Trainer, member: int, history: History) -> Run:
    model = trainer.models()[member]
    return Run(
        trainer.configs[member],
        model,
        trainer.data.shape,
        trainer.data.data.fingerprint,
        trainer.step,
        history,
        fingerprint_of(model, trainer.configs[member], trainer.data.shape),
        trainer.stages,
    )
