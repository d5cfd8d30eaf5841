"""Run folders: saving and loading trained models.

A run folder contains ``config.json`` (the resolved configuration, the fingerprint of the data and package versions),
``weights.safetensors``, ``history.parquet``, ``snapshot-STEP.safetensors`` for chosen steps, and
``checkpoint.safetensors`` until training is complete. Every file is written atomically.
"""

import hashlib
import json
import math
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import nn

from disentmetrics._utils.cache import atomic_path
from disentmetrics._utils.installation import install_command
from disentmetrics.errors import CorruptFileError, InvalidInputError, MissingExtraError, did_you_mean, one_line
from disentmetrics_reference_models.nn.networks import Shape
from disentmetrics_reference_models.training.config import Config, as_dict
from disentmetrics_reference_models.training.device import choose_device
from disentmetrics_reference_models.training.history import History
from disentmetrics_reference_models.training.registry import find_method
from disentmetrics_reference_models.training.run import Run
from disentmetrics_reference_models.training.stage import Stage

CHECKPOINT, CONFIG, WEIGHTS, HISTORY = (
    "checkpoint.safetensors",
    "config.json",
    "weights.safetensors",
    "history.parquet",
)
_FORMAT = "disentmetrics-run-1"
_ZOO = Path(__file__).parents[1] / "zoo"


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
        **describe(run.config, run.data, run.shape, run.stages),
        "n_steps": run.n_steps,
        "final": {n: v for n, v in zip(run.history.names, run.history.rows[-1], strict=True) if math.isfinite(v)}
        if len(run.history.rows)
        else {},
    }
    _write_history(folder / HISTORY, run.history)
    write_tensors(folder / WEIGHTS, weights_of(run.model), {})
    write_json(folder / CONFIG, about)


def load_run(folder: Path | str, *, step: int | None = None, device: str = "cpu") -> Run:
    """Load a trained run, or its weights after an earlier step.

    Parameters
    ----------
    folder : path
        Folder written by :func:`train` or :func:`save_run`, or ``zoo/NAME`` for a small pretrained model of the
        package, see :func:`find_zoo`.
    step : int, optional
        One of the ``snapshots`` of :func:`train`, which exist before training is complete; the last step by default.
    device : str
        Device of the model: ``cpu``, ``auto``, ``cuda``, ``mps`` …

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
    about = read_json(folder / CONFIG)
    try:
        config, shape, model, stages = _built(about)
        path = folder / WEIGHTS if step is None else snapshot_path(folder, step)
        model.load_state_dict(read_tensors(path)[0])
        trained_on = str(about["data"])
    except (KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise CorruptFileError(
            f"{folder} must be a complete run; its configuration and weights do not match: {one_line(error)}"
        ) from error
    history = _read_history(folder / HISTORY)
    n_steps = about.get("n_steps", 0)
    if step is not None:
        n_steps = step
        history = History(history.names, history.rows[history["step"] <= step] if len(history.rows) else history.rows)
    model = model.eval().requires_grad_(False)
    fingerprint = fingerprint_of(model, config, shape)
    model = model.to(choose_device(device))
    return Run(config, model, shape, trained_on, n_steps, history, fingerprint, stages)


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


def snapshot_path(folder: Path, step: int) -> Path:
    """Return the file of the weights that were kept after a step."""
    return folder / f"snapshot-{step}.safetensors"


def _snapshots(folder: Path) -> list[int]:
    """Return the steps after which weights were kept, in order."""
    names = (path.name.removeprefix("snapshot-").removesuffix(".safetensors") for path in folder.glob("snapshot-*"))
    return sorted(int(name) for name in names if name.isdigit())


def describe(config: Config, data: str, shape: Shape, stages: Mapping[str, Stage]) -> dict[str, Any]:
    """Return the content of ``config.json`` that is known before training."""
    return {
        "format": _FORMAT,
        "method": config.method.name,
        "config": as_dict(config),
        "data": data,
        "shape": list(shape),
        **_describe_stages(stages),
        "versions": {
            "disentmetrics": version("disentmetrics"),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
    }


def _describe_stages(stages: Mapping[str, Stage]) -> dict[str, Any]:
    """Return what is needed to build the frozen parts again; their weights are among those of the run."""
    described = {
        name: {
            "method": stage.config.method.name,
            "config": as_dict(stage.config),
            "shape": list(stage.shape),
            "fingerprint": stage.fingerprint,
            **_describe_stages(stage.stages),
        }
        for name, stage in stages.items()
    }
    return {"stages": described} if described else {}


def _read_stages(about: Mapping[str, Any]) -> dict[str, Stage]:
    """Build the frozen parts of a run without their weights."""
    stages = {}
    for name, described in about.get("stages", {}).items():
        config, shape, model, inner = _built(described)
        stages[name] = Stage(config, shape, model, str(described["fingerprint"]), inner)
    return stages


def _built(about: Mapping[str, Any]) -> tuple[Config, Shape, nn.Module, dict[str, Stage]]:
    method = find_method(about["method"])
    config, shape, stages = method.config(**about["config"]), tuple(about["shape"]), _read_stages(about)
    with torch.random.fork_rng(devices=[]):
        return config, shape, method.build(config, shape, stages), stages


def weights_of(model: nn.Module) -> dict[str, torch.Tensor]:
    """Return the parameters and buffers of a model on the CPU, by name."""
    return {name: tensor.cpu().contiguous() for name, tensor in model.state_dict().items()}


def fingerprint_of(model: nn.Module, config: Config, shape: Shape) -> str:
    """Return a hash of the weights of a model, its method and its configuration, on which codes and prior depend."""
    # Fields with their default are left out, so that a field added by a later version changes no fingerprint.
    default = as_dict(config.method.config())
    changed = {name: value for name, value in as_dict(config).items() if value != default[name]}
    about = {"method": config.method.name, "config": changed, "shape": list(shape)}
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return f"reference-{digest.hexdigest()[:16]}"


def write_tensors(path: Path, tensors: dict[str, torch.Tensor], about: dict[str, str]) -> None:
    """Write named tensors and descriptive texts as a safetensors file."""
    content = save(tensors, {"format": _FORMAT, **about})
    with atomic_path(path, len(content)) as temporary:
        temporary.write_bytes(content)


def read_tensors(path: Path) -> tuple[dict[str, torch.Tensor], list[str]]:
    """Return the tensors of a file of a run, and the names of the columns of its history."""
    try:
        tensors = load_file(path)
        with safe_open(path, "pt") as file:
            columns = json.loads((file.metadata() or {}).get("columns", "[]"))
    except (SafetensorError, ValueError, OSError) as error:
        raise CorruptFileError(
            f"{path} must be a complete safetensors file of a run; reading it failed: {error}"
        ) from error
    return tensors, columns


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write the ``config.json`` of a run."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """Return the content of the ``config.json`` of a run."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CorruptFileError(f"{path} must be the JSON of a run; reading it failed: {error}") from error
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise CorruptFileError(f"{path} must be the {CONFIG} of a run (format {_FORMAT}); it has another format")
    return content


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
