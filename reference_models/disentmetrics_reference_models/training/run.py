"""Training into a run folder, resuming from its checkpoint, and loading trained runs.

A run folder contains ``config.json`` (the resolved configuration, the fingerprint of the data and package versions),
``weights.safetensors``, ``history.parquet``, ``snapshot-STEP.safetensors`` for chosen steps, and
``checkpoint.safetensors`` until training is complete. Every file is written atomically.
"""

import contextlib
import json
import logging
import math
import platform
import signal
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save

from disentmetrics._utils.cache import atomic_path
from disentmetrics._utils.installation import install_command
from disentmetrics._utils.progress import progress_bar
from disentmetrics.datasets.base import DataSet
from disentmetrics.encoders.protocol import Posterior
from disentmetrics.errors import CorruptFileError, InvalidInputError, MissingExtraError, did_you_mean
from disentmetrics_reference_models.nn.likelihoods import mean_image
from disentmetrics_reference_models.nn.networks import Shape
from disentmetrics_reference_models.nn.priors import Prior, is_standard_normal, kl_of_posteriors
from disentmetrics_reference_models.training.method import AutoEncoder, Config, Method
from disentmetrics_reference_models.training.registry import find_method
from disentmetrics_reference_models.training.trainer import (
    History,
    Recorder,
    Trainer,
    TrainingImages,
    as_dict,
    choose_device,
)

CHECKPOINT, CONFIG, WEIGHTS, HISTORY = (
    "checkpoint.safetensors",
    "config.json",
    "weights.safetensors",
    "history.parquet",
)
_FORMAT = "disentmetrics-run-1"
_ZOO = Path(__file__).parents[1] / "zoo"
_N_RECORDS = 200  # rows of the history
_TERM_NAMES = {"kl": "KL"}
_ESTIMATE_SECONDS = 3.0  # after which the duration is estimated
_LOG_SECONDS = 30.0  # between log messages where no progress bar is shown
logger = logging.getLogger("disentmetrics")


@dataclass(frozen=True)
class Run:
    """A trained model, which is also an encoder, with its configuration and training history.

    Attributes
    ----------
    config : Config
    model : AutoEncoder
        In evaluation mode, on the CPU.
    shape : (channels, height, width)
        Shape of its input images.
    data : str
        Fingerprint of the data set it was trained on.
    n_steps : int
        Number of completed training steps.
    history : History
    fingerprint : str
        Hash of the weights.
    """

    config: Config
    model: AutoEncoder
    shape: Shape
    data: str
    n_steps: int
    history: History
    fingerprint: str

    def __call__(self, observations: NDArray[Any], /) -> Posterior:
        """Return the posterior of observations (n, height, width, channels) uint8.

        Where the prior of the method is not N(0, I), its ``kl`` is the divergence from that prior.
        """
        images = as_images(observations, self.shape)
        with torch.inference_mode():
            mean, log_variance = self.model.encoder(images)
            prior = self.prior
            kl = None if is_standard_normal(prior) else kl_of_posteriors(prior, mean, log_variance)
        return Posterior(_float32(mean), _float32(log_variance), None if kl is None else _float32(kl))

    @property
    def method(self) -> Method:
        """The method that the model was trained with."""
        return self.config.method

    @property
    def prior(self) -> Prior:
        """The prior of the latents, with its learned parameters."""
        device = next(self.model.parameters()).device
        weights = {name: torch.tensor(value, device=device) for name, value in self.config.weights.items()}
        return self.method.prior(self.model, weights, self.config)

    def decode(self, codes: NDArray[np.floating]) -> NDArray[np.uint8]:
        """Return the mean images (n, height, width, channels) uint8 that codes (n, n_codes) decode to."""
        with torch.inference_mode():
            output = self.model.decoder(torch.tensor(np.array(codes, np.float32)))
            images = mean_image(output, self.config.likelihood)
        return np.asarray((images * 255).round().to(torch.uint8).movedim(1, -1).numpy(), np.uint8)


def _float32(tensor: torch.Tensor) -> NDArray[np.float32]:
    return tensor.numpy().astype(np.float32)


def as_images(observations: NDArray[Any], shape: Shape) -> torch.Tensor:
    """Convert observations (n, height, width, channels) uint8 to a channels-first tensor in [0, 1].

    Raises
    ------
    InvalidInputError
        If their shape differs from that of the training images.
    """
    channels, height, width = shape
    if observations.shape[1:] != (height, width, channels) or observations.dtype != np.uint8:
        raise InvalidInputError(
            f"this model needs uint8 images of {height} x {width} x {channels}; got {observations.dtype} of shape "
            f"{observations.shape[1:]}"
        )
    return torch.from_numpy(np.ascontiguousarray(observations)).movedim(-1, 1).float() / 255


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
        Data set of square images.
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
    images = TrainingImages(data)
    trainer = Trainer([config], images, choose_device(device))
    recorder = Recorder(0) if folder is None else _start_or_resume(folder, trainer, resume=resume)
    if folder is not None:
        _check_past_snapshots(snapshots, trainer.step, folder)
    events = _summary_writer(folder) if tensorboard else None
    last_saved = time.monotonic()
    with _signals_after_the_step() as received, progress_bar(shown=progress) as bar:
        report = _Report(trainer, recorder, bar, events, log=not progress)
        for terms in trainer.run(config.n_steps):
            report.add(terms)
            if folder is not None and trainer.step in snapshots:
                _write_tensors(snapshot_path(folder, trainer.step), _weights(trainer.models()[0]), {})
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
        self._first, self._since, self._is_estimated = trainer.step, time.monotonic(), False
        self._last_logged = self._since

    def add(self, terms: dict[str, torch.Tensor]) -> None:
        """Add the terms of the step just completed."""
        step, now = self._trainer.step, time.monotonic()
        self._recorder.add(terms)
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


def snapshot_path(folder: Path, step: int) -> Path:
    """Return the file of the weights that were kept after a step."""
    return folder / f"snapshot-{step}.safetensors"


def _check_snapshots(snapshots: Collection[int], config: Config, folder: Path | None) -> None:
    wrong = sorted(step for step in snapshots if not 1 <= step <= config.n_steps)
    if wrong:
        raise InvalidInputError(f"snapshots must be steps in 1 .. {config.n_steps}; got {wrong[0]}")
    if snapshots and folder is None:
        raise InvalidInputError("snapshots are written into the run folder; specify one with out")


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
    trainer = Trainer(configs, TrainingImages(data), choose_device(device))
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


def _summary(method: Method, row: dict[str, float]) -> str:
    return "  ".join([method.name, *(f"{_TERM_NAMES.get(name, name)} {row[name]:.1f}" for name in method.reported)])


def _summary_writer(folder: Path | None) -> Any:
    if folder is None:
        raise InvalidInputError("TensorBoard events are written into the run folder; specify one with out")
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MissingExtraError("TensorBoard events need the package tensorboard; pip install tensorboard") from error
    return SummaryWriter(folder)


def _description(config: Config, data: str, shape: Shape) -> dict[str, Any]:
    return {
        "format": _FORMAT,
        "method": config.method.name,
        "config": as_dict(config),
        "data": data,
        "shape": list(shape),
        "versions": {
            "disentmetrics": version("disentmetrics"),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
    }


def _start_or_resume(folder: Path, trainer: Trainer, *, resume: bool) -> Recorder:
    """Create the folder or resume from its checkpoint, and return a recorder with the history so far."""
    checkpoint = folder / CHECKPOINT
    about = _description(trainer.config, trainer.images.data.fingerprint, trainer.images.shape)
    if not resume:
        if (folder / CONFIG).exists():
            raise InvalidInputError(
                f"{folder} already contains a run; resume it with resume, or specify another folder"
            )
        folder.mkdir(parents=True, exist_ok=True)
        _write_json(folder / CONFIG, about)
        return Recorder(0)
    if not (folder / CONFIG).is_file():
        raise InvalidInputError(f"there is no run to resume in {folder}: it contains no {CONFIG}")
    before = _read_json(folder / CONFIG)
    differ = [key for key in ("method", "config", "data", "shape") if before.get(key) != about[key]]
    if differ:
        raise InvalidInputError(
            f"a run must be resumed with its own settings; {' and '.join(differ)} of {folder} differ: "
            f"{'; '.join(f'{before.get(key)} in the folder, {about[key]} requested' for key in differ)}"
        )
    if not checkpoint.is_file():
        if (folder / WEIGHTS).is_file():
            raise InvalidInputError(f"the run in {folder} is already complete; specify another folder")
        return Recorder(0)  # interrupted before its first checkpoint
    tensors, names = _read_tensors(checkpoint)
    rows = tensors.pop("history").tolist()
    trainer.restore(tensors)
    return Recorder(0, tuple(names), rows)


def _save_checkpoint(folder: Path, trainer: Trainer, recorder: Recorder) -> None:
    tensors = trainer.state()
    tensors["history"] = torch.tensor(recorder.rows, dtype=torch.float64)
    _write_tensors(folder / CHECKPOINT, tensors, {"columns": json.dumps(list(recorder.names))})


def _write_tensors(path: Path, tensors: dict[str, torch.Tensor], about: dict[str, str]) -> None:
    content = save(tensors, {"format": _FORMAT, **about})
    with atomic_path(path, len(content)) as temporary:
        temporary.write_bytes(content)


def _read_tensors(path: Path) -> tuple[dict[str, torch.Tensor], list[str]]:
    try:
        tensors = load_file(path)
        with safe_open(path, "pt") as file:
            columns = json.loads((file.metadata() or {}).get("columns", "[]"))
    except (SafetensorError, ValueError, OSError) as error:
        raise CorruptFileError(
            f"{path} must be a complete safetensors file of a run; reading it failed: {error}"
        ) from error
    return tensors, columns


def _write_json(path: Path, content: dict[str, Any]) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CorruptFileError(f"{path} must be the JSON of a run; reading it failed: {error}") from error
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise CorruptFileError(f"{path} must be the {CONFIG} of a run (format {_FORMAT}); it has another format")
    return content


def _trained_run(trainer: Trainer, member: int, history: History) -> Run:
    model = trainer.models()[member]
    return Run(
        trainer.configs[member],
        model,
        trainer.images.shape,
        trainer.images.data.fingerprint,
        trainer.step,
        history,
        _fingerprint(model),
    )


def _fingerprint(model: AutoEncoder) -> str:
    import hashlib

    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return f"reference-{digest.hexdigest()[:16]}"


def save_run(run: Run, folder: Path | str) -> None:
    """Write configuration, weights and history of a run into a folder.

    Raises
    ------
    MissingExtraError
        If polars is not installed, which writes the history as Parquet.
    StorageError
        If a file cannot be written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    about = {
        **_description(run.config, run.data, run.shape),
        "n_steps": run.n_steps,
        "final": {n: v for n, v in zip(run.history.names, run.history.rows[-1], strict=True) if math.isfinite(v)}
        if len(run.history.rows)
        else {},
    }
    _write_history(folder / HISTORY, run.history)
    _write_tensors(folder / WEIGHTS, _weights(run.model), {})
    _write_json(folder / CONFIG, about)


def _weights(model: AutoEncoder) -> dict[str, torch.Tensor]:
    return {name: tensor.contiguous() for name, tensor in model.state_dict().items()}


def _write_history(path: Path, history: History) -> None:
    try:
        import polars as pl
    except ImportError as error:
        raise MissingExtraError(
            f"saving the history of a run as Parquet needs polars; {install_command('train')}"
        ) from error
    frame = pl.DataFrame({name: history[name] for name in history.names})
    with atomic_path(path) as temporary:
        frame.write_parquet(temporary)


def _read_history(path: Path) -> History:
    if not path.is_file():
        return History((), np.empty((0, 0)))
    try:
        import polars as pl
    except ImportError as error:
        raise MissingExtraError(f"reading the Parquet file {path} needs polars; {install_command('train')}") from error
    try:
        frame = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise CorruptFileError(f"{path} must be the Parquet file of a run; reading it failed: {error}") from error
    return History(tuple(frame.columns), frame.to_numpy().astype(np.float64))


def find_zoo() -> dict[str, Path]:
    """Return the folders of the pretrained models that ship with the package, by name.

    Each contains a run and its model card, ``README.md``, with the training commands and the scores.

    Examples
    --------
    >>> sorted(find_zoo())
    ['beta-tcvae-dsprites', 'beta-vae-dsprites', 'factor-vae-dsprites', 'vae-dsprites']
    """
    return {folder.name: folder for folder in sorted(_ZOO.iterdir()) if (folder / WEIGHTS).is_file()}


def _resolved(folder: Path) -> Path:
    """Return the folder of a run; ``zoo/NAME`` is a model of the package unless such a folder exists."""
    if folder.exists() or folder.parent != Path("zoo"):
        return folder
    pretrained = find_zoo()
    if folder.name not in pretrained:
        raise InvalidInputError(
            f"the zoo contains no model {folder.name!r}{did_you_mean(folder.name, pretrained)}; "
            f"available models: {', '.join(pretrained)}"
        )
    return pretrained[folder.name]


def load_run(folder: Path | str, *, step: int | None = None) -> Run:
    """Load a trained run, or its weights after an earlier step.

    Parameters
    ----------
    folder : path
        Folder written by :func:`train` or :func:`save_run`, or ``zoo/NAME`` for a small pretrained model of the
        package, see :func:`find_zoo`.
    step : int, optional
        One of the ``snapshots`` of :func:`train`, which exist before training is complete; the last step by default.

    Returns
    -------
    Run

    Raises
    ------
    InvalidInputError
        If the folder contains no run, its training is not complete, or there is no snapshot of this step.
    CorruptFileError
        If a file is damaged, or the weights do not fit the configuration.
    """
    folder = _resolved(Path(folder))
    if not (folder / CONFIG).is_file():
        raise InvalidInputError(f"a run must be a folder with {CONFIG} and {WEIGHTS}; {folder} is not")
    kept = _snapshots(folder)
    if step is not None and step not in kept:
        others = f"available steps: {', '.join(map(str, kept))}" if kept else "it has none; train with snapshots"
        raise InvalidInputError(f"step must be a snapshot of the run in {folder}; got {step}; {others}")
    if step is None and not (folder / WEIGHTS).is_file():
        earlier = f", or choose a snapshot, such as step={kept[-1]}" if kept else ""
        raise InvalidInputError(f"training of the run in {folder} is not complete; resume it first{earlier}")
    about = _read_json(folder / CONFIG)
    try:
        method = find_method(about["method"])
        config = method.config(**about["config"])
        shape: Shape = tuple(about["shape"])
        with torch.random.fork_rng(devices=[]):
            model = method.build(config, shape)
        path = folder / WEIGHTS if step is None else snapshot_path(folder, step)
        model.load_state_dict(_read_tensors(path)[0])
    except (KeyError, TypeError, RuntimeError) as error:
        raise CorruptFileError(
            f"{folder} must be a complete run; its configuration and weights do not match: {error}"
        ) from error
    history = _read_history(folder / HISTORY)
    n_steps = about.get("n_steps", 0)
    if step is not None:
        n_steps = step
        history = History(history.names, history.rows[history["step"] <= step] if len(history.rows) else history.rows)
    model = model.eval().requires_grad_(False)
    return Run(config, model, shape, about["data"], n_steps, history, _fingerprint(model))


def _snapshots(folder: Path) -> list[int]:
    """Return the steps after which weights were kept, in order."""
    names = (path.name.removeprefix("snapshot-").removesuffix(".safetensors") for path in folder.glob("snapshot-*"))
    return sorted(int(name) for name in names if name.isdigit())
