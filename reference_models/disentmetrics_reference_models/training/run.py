"""Train, keep everything in a folder, and go on after whatever stopped it.

A run folder holds ``config.json`` (resolved, with fingerprint of the data and versions),
``weights.safetensors``, ``history.parquet``, and ``checkpoint.safetensors`` until the run is done.
Every file appears whole or not at all.
"""

import json
import logging
import math
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save

from disentmetrics._utils.cache import atomic_path
from disentmetrics._utils.progress import progress_bar
from disentmetrics.datasets.base import DataSet
from disentmetrics.encoders.protocol import Posterior
from disentmetrics.errors import CorruptFileError, InvalidInputError, MissingExtraError, did_you_mean
from disentmetrics_reference_models.nn.networks import Shape
from disentmetrics_reference_models.nn.priors import Prior
from disentmetrics_reference_models.training.method import (
    AutoEncoder,
    Config,
    Method,
    find_method,
    find_methods,
)
from disentmetrics_reference_models.training.trainer import (
    History,
    Recorder,
    Trainer,
    TrainingImages,
    as_dict,
    choose_device,
    steps_ahead,
)

CHECKPOINT, CONFIG, WEIGHTS, HISTORY = (
    "checkpoint.safetensors",
    "config.json",
    "weights.safetensors",
    "history.parquet",
)
_FORMAT = "disentmetrics-run-1"
_ZOO = Path(__file__).parents[1] / "zoo"
_RECORDS = 200  # of a run
_TOLD_EVERY = 30.0  # seconds between remarks where no bar is shown
logger = logging.getLogger("disentmetrics")


@dataclass(frozen=True)
class Run:
    """A trained model and how it came about.

    Attributes
    ----------
    method : Method
    config : Config
    model : AutoEncoder
        In evaluation mode, on the processor.
    shape : (channels, height, width)
        Of the images it takes.
    data : str
        Fingerprint of the data set.
    n_steps : int
        Steps done.
    history : History
    fingerprint : str
        Of the weights.
    """

    method: Method
    config: Config
    model: AutoEncoder
    shape: Shape
    data: str
    n_steps: int
    history: History
    fingerprint: str

    def __call__(self, observations: NDArray[Any], /) -> Posterior:
        """Encode observations (n, height, width, channels) uint8: mean and log-variance of each code."""
        images = as_images(observations, self.shape)
        with torch.inference_mode():
            mean, log_variance = self.model.encoder(images)
        return Posterior(mean.numpy().astype(np.float32), log_variance.numpy().astype(np.float32))

    @property
    def prior(self) -> Prior:
        """The prior of the codes, with what was learned of it."""
        device = next(self.model.parameters()).device
        weights = {name: torch.tensor(value, device=device) for name, value in self.config.weights.items()}
        return self.method.prior(self.model, weights, self.config)

    def decode(self, codes: NDArray[np.floating]) -> NDArray[np.uint8]:
        """Return the mean images (n, height, width, channels) uint8 of codes (n, n_codes)."""
        with torch.inference_mode():
            output = self.model.decoder(torch.tensor(np.array(codes, np.float32))).sigmoid()
        return np.asarray((output * 255).round().to(torch.uint8).movedim(1, -1).numpy(), np.uint8)


def as_images(observations: NDArray[Any], shape: Shape) -> torch.Tensor:
    """Return observations (n, height, width, channels) as a network takes them, in [0, 1].

    Raises
    ------
    InvalidInputError
        If they are of another shape than the model was trained on.
    """
    channels, height, width = shape
    if observations.shape[1:] != (height, width, channels) or observations.dtype != np.uint8:
        raise InvalidInputError(
            f"this model takes uint8 images of {height} x {width} x {channels}; got {observations.dtype} of shape "
            f"{observations.shape[1:]}"
        )
    return torch.from_numpy(np.ascontiguousarray(observations)).movedim(-1, 1).float() / 255


def method_of(config: Config) -> Method:
    """Return the method whose configuration this is."""
    for method in find_methods().values():
        if type(config) is method.config:
            return method
    raise InvalidInputError(f"train takes the configuration of a method; got {type(config).__name__}")


def train(
    config: Config,
    data: DataSet,
    *,
    out: Path | str | None = None,
    resume: bool = False,
    device: str = "auto",
    checkpoint_seconds: float = 60.0,
    tensorboard: bool = False,
    progress: bool = False,
) -> Run:
    """Train one model.

    Parameters
    ----------
    config : Config
        Of a method, such as ``BetaVAEConfig(beta=6.0)``.
    data : DataSet
        Of square images.
    out : path, optional
        Run folder, for files and checkpoints.
    resume : bool
        Go on from the folder's checkpoint, to the same weights that an unbroken run would reach.
    device : str
        ``auto``, ``cpu``, ``cuda``, ``mps`` …
    checkpoint_seconds : float
        At least so long between two checkpoints.
    tensorboard : bool
        Also write events for TensorBoard into the folder.
    progress : bool
        Show a bar with the terms of the objective.

    Returns
    -------
    Run

    Raises
    ------
    InvalidInputError
        If the folder is in use by another run, or the checkpoint is of another configuration.
    TrainingError
        If the loss is no number any more.
    StorageError
        If the disk is full; the last checkpoint is intact.
    """
    folder = None if out is None else Path(out)
    images = TrainingImages(data)
    trainer = Trainer(method_of(config), [config], images, choose_device(device))
    recorder = Recorder(0)
    if folder is not None:
        recorder = _begun(folder, trainer, resume=resume)
    events = _events(folder) if tensorboard else None
    last_kept = last_told = time.monotonic()
    every = max(1, config.n_steps // _RECORDS)
    ahead = steps_ahead(trainer.method, config)
    with progress_bar(shown=progress) as bar:
        task = bar.add_task(trainer.method.name, total=config.n_steps, completed=trainer.step)
        for terms in trainer.run(config.n_steps):
            recorder.add(terms)
            if trainer.step % every == 0 or trainer.step == config.n_steps:
                row = recorder.record(trainer.step)
                said = _said(trainer.method.name, row)
                bar.update(task, completed=trainer.step, description=said)
                if not progress and time.monotonic() - last_told > _TOLD_EVERY:
                    logger.info("step %s of %s: %s", f"{trainer.step:,}", f"{config.n_steps:,}", said)
                    last_told = time.monotonic()
                if events is not None:
                    for name, value in row.items():
                        events.add_scalar(name, value, trainer.step)
            if folder is not None and trainer.step % ahead == 0 and time.monotonic() - last_kept > checkpoint_seconds:
                _keep(folder, trainer, recorder)
                last_kept = time.monotonic()
    if events is not None:
        events.close()
    run = _finished(trainer, 0, recorder.history)
    if folder is not None:
        save_run(run, folder)
        (folder / CHECKPOINT).unlink(missing_ok=True)
    return run


def train_many(configs: Sequence[Config], data: DataSet, *, device: str = "auto", progress: bool = False) -> list[Run]:
    """Train models of one method and architecture side by side, as one stack.

    Seeds and scalar weights may differ. Each model becomes what :func:`train` would make of it alone,
    up to the rounding of sums.

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
        raise InvalidInputError("train_many takes at least one configuration; got none")
    trainer = Trainer(method_of(configs[0]), configs, TrainingImages(data), choose_device(device))
    recorders = [Recorder(member) for member in range(trainer.n_members)]
    every = max(1, trainer.config.n_steps // _RECORDS)
    with progress_bar(shown=progress) as bar:
        task = bar.add_task(f"{trainer.n_members} x {trainer.method.name}", total=trainer.config.n_steps)
        for terms in trainer.run(trainer.config.n_steps):
            for recorder in recorders:
                recorder.add(terms)
            if trainer.step % every == 0 or trainer.step == trainer.config.n_steps:
                for recorder in recorders:
                    recorder.record(trainer.step)
                bar.update(task, completed=trainer.step)
    return [_finished(trainer, member, recorder.history) for member, recorder in enumerate(recorders)]


def _said(name: str, row: dict[str, float]) -> str:
    return f"{name}  loss {row['loss']:.1f}  reconstruction {row['reconstruction']:.1f}  KL {row['kl']:.1f}"


def _events(folder: Path | None) -> Any:
    if folder is None:
        raise InvalidInputError("events of TensorBoard are written into the run folder; name one by out")
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MissingExtraError("events of TensorBoard need a package; pip install tensorboard") from error
    return SummaryWriter(folder)


def _about(trainer: Trainer) -> dict[str, Any]:
    return {
        "format": _FORMAT,
        "method": trainer.method.name,
        "config": as_dict(trainer.config),
        "data": trainer.images.data.fingerprint,
        "shape": list(trainer.images.shape),
        "versions": {
            "disentmetrics": version("disentmetrics"),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
    }


def _begun(folder: Path, trainer: Trainer, *, resume: bool) -> Recorder:
    """Start or go on with a folder, and return the recorder of what was done before."""
    checkpoint = folder / CHECKPOINT
    about = _about(trainer)
    if not resume:
        if (folder / CONFIG).exists():
            raise InvalidInputError(
                f"a run folder must be new, or gone on with by resume; {folder} holds a run already"
            )
        folder.mkdir(parents=True, exist_ok=True)
        _write_json(folder / CONFIG, about)
        return Recorder(0)
    if not (folder / CONFIG).is_file():
        raise InvalidInputError(f"there must be a run to resume; {folder} holds no {CONFIG}")
    before = _read_json(folder / CONFIG)
    differ = [key for key in ("method", "config", "data", "shape") if before.get(key) != about[key]]
    if differ:
        raise InvalidInputError(
            f"a run goes on with what it began with; {' and '.join(differ)} of {folder} differ: "
            f"{'; '.join(f'{before.get(key)} there, {about[key]} here' for key in differ)}"
        )
    if not checkpoint.is_file():
        if (folder / WEIGHTS).is_file():
            raise InvalidInputError(f"the run in {folder} is done; train into another folder")
        return Recorder(0)  # stopped before its first checkpoint
    tensors, names = _read_tensors(checkpoint)
    rows = tensors.pop("history").tolist()
    trainer.restore(tensors)
    return Recorder(0, tuple(names), rows)


def _keep(folder: Path, trainer: Trainer, recorder: Recorder) -> None:
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
            f"{path} must be a whole safetensors file of a run; reading it failed: {error}"
        ) from error
    return tensors, columns


def _write_json(path: Path, content: dict[str, Any]) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CorruptFileError(f"{path} must be the JSON of a run; reading it failed: {error}") from error
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise CorruptFileError(f"{path} must be the {CONFIG} of a run (format {_FORMAT}); it is something else")
    return content


def _finished(trainer: Trainer, member: int, history: History) -> Run:
    model = trainer.models()[member]
    return Run(
        trainer.method,
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
    """Write a run into a folder: configuration, weights, history.

    Raises
    ------
    MissingExtraError
        If nothing is installed that writes Parquet.
    StorageError
        If a file cannot be written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    about = {
        "format": _FORMAT,
        "method": run.method.name,
        "config": as_dict(run.config),
        "data": run.data,
        "shape": list(run.shape),
        "versions": {
            "disentmetrics": version("disentmetrics"),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "n_steps": run.n_steps,
        "final": {n: v for n, v in zip(run.history.names, run.history.rows[-1], strict=True) if math.isfinite(v)}
        if len(run.history.rows)
        else {},
    }
    _write_history(folder / HISTORY, run.history)
    weights = {name: tensor.contiguous() for name, tensor in run.model.state_dict().items()}
    _write_tensors(folder / WEIGHTS, weights, {})
    _write_json(folder / CONFIG, about)


def _write_history(path: Path, history: History) -> None:
    try:
        import polars as pl
    except ImportError as error:
        raise MissingExtraError(
            "the history of a run is a Parquet file, which needs polars; pip install 'disentmetrics[train]'"
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
        raise MissingExtraError(
            f"{path} is a Parquet file, which needs polars; pip install 'disentmetrics[train]'"
        ) from error
    try:
        frame = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise CorruptFileError(f"{path} must be the Parquet file of a run; reading it failed: {error}") from error
    return History(tuple(frame.columns), frame.to_numpy().astype(np.float64))


def find_zoo() -> dict[str, Path]:
    """Return the folders of the pretrained models that come with the package, by name.

    Each holds a run and its model card, ``README.md``: how it was trained, and what it scores.

    Examples
    --------
    >>> sorted(find_zoo())
    ['beta-tcvae-dsprites', 'beta-vae-dsprites', 'factor-vae-dsprites', 'vae-dsprites']
    """
    return {folder.name: folder for folder in sorted(_ZOO.iterdir()) if (folder / WEIGHTS).is_file()}


def _found(folder: Path) -> Path:
    """Return the folder of a run; ``zoo/NAME`` is a model of the package unless there is such a folder here."""
    if folder.exists() or folder.parent != Path("zoo"):
        return folder
    known = find_zoo()
    if folder.name not in known:
        raise InvalidInputError(
            f"the zoo holds no model {folder.name!r}{did_you_mean(folder.name, known)}; it holds {', '.join(known)}"
        )
    return known[folder.name]


def load_run(folder: Path | str) -> Run:
    """Read a run back.

    Parameters
    ----------
    folder : path
        As written by :func:`train` or :func:`save_run`; or ``zoo/NAME``, a small pretrained model of the
        package, see :func:`find_zoo`.

    Returns
    -------
    Run

    Raises
    ------
    InvalidInputError
        If there is no run, or it has not come to its end.
    CorruptFileError
        If a file is damaged, or the weights do not fit the configuration.
    """
    folder = _found(Path(folder))
    if not (folder / CONFIG).is_file():
        raise InvalidInputError(f"a run is a folder with {CONFIG} and {WEIGHTS}; {folder} has none")
    if not (folder / WEIGHTS).is_file():
        raise InvalidInputError(f"the run in {folder} has not come to its end; go on with it by resume")
    about = _read_json(folder / CONFIG)
    try:
        method = find_method(about["method"])
        config = method.config(**about["config"])
        shape: Shape = tuple(about["shape"])
        with torch.random.fork_rng(devices=[]):
            model = method.build(config, shape)
        model.load_state_dict(_read_tensors(folder / WEIGHTS)[0])
    except (KeyError, TypeError, RuntimeError) as error:
        raise CorruptFileError(
            f"{folder} must be a whole run; configuration and weights do not fit: {error}"
        ) from error
    history = _read_history(folder / HISTORY)
    model = model.eval().requires_grad_(False)
    return Run(method, config, model, shape, about["data"], about.get("n_steps", 0), history, _fingerprint(model))
