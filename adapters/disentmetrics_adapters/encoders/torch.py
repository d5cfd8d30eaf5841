"""Scheme ``torch``: a module file and weights; and the door for a live ``torch.nn.Module``."""

import contextlib
import pickle
import re
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.cache import sha256_of
from disentmetrics.encoders.protocol import Encoder, Posterior
from disentmetrics.encoders.registry import Fingerprinted
from disentmetrics.errors import CorruptFileError, EncoderError, InvalidInputError, UntrustedFileError
from disentmetrics_adapters._extras import optional
from disentmetrics_adapters.encoders._code import named_object, source_hashes
from disentmetrics_adapters.encoders._conventions import InputConvention, OutputConvention, Pipeline
from disentmetrics_adapters.encoders._options import existing_file, fingerprint_of, log, positive_integer, yes_no


class TorchEncoder:
    """A live ``torch.nn.Module`` as an encoder.

    Every call runs in evaluation mode and without gradients; the training mode of each
    submodule is restored afterwards.

    Parameters
    ----------
    module : torch.nn.Module
        Stays where it is, unless ``device`` says otherwise.
    method : str, optional
        ``forward``, or the name of a method or submodule such as ``encode`` or ``encoder``.
        By default whichever of these two the module has, or else ``forward``.
    layout : {"auto", "NCHW", "NHWC", "flat"}
        Order of axes in which the module takes images.
    range : str
        ``auto``, ``0..1``, ``-1..1``, ``0..255``, ``raw`` or ``MEAN,STD``.
    select : str, optional
        Where the codes are in what the module returns, such as ``0``, ``0,1`` (mean and
        log-variance), ``mu,logvar``, ``halves`` or ``interleaved``.
    spread : {"log_variance", "log_std", "std", "variance"}
        What the module returns beside the mean.
    flatten : bool
        Whether each place of a map is a code of its own.
    batch_size : int, optional
        The only batch size that the module takes, if it is so.
    device : str, optional
        Such as ``cuda:1``; by default that of the module's weights.

    Raises
    ------
    InvalidInputError
        If more than one reading is possible; the message says which option to give.

    Examples
    --------
    >>> import torch
    >>> encoder = TorchEncoder(torch.nn.Linear(3, 2), select="whole")
    >>> encoder(np.zeros((4, 3), np.float32)).shape
    (4, 2)
    """

    def __init__(
        self,
        module: Any,
        *,
        method: str | None = None,
        layout: str = "auto",
        range: str = "auto",  # noqa: A002 - the name of the option in a spec
        select: str | None = None,
        spread: str = "log_variance",
        flatten: bool = False,
        batch_size: int | None = None,
        device: str | None = None,
    ) -> None:
        with optional("torch", extra="torch"):
            import torch
        if not isinstance(module, torch.nn.Module):
            raise InvalidInputError(f"a torch.nn.Module is needed; got a {type(module).__name__}")
        self._module = module if device is None else _moved(module, device)
        self._call = _door(module, method)
        self._pipeline = Pipeline(
            self._run,
            InputConvention(layout, range),
            OutputConvention(select, spread, flatten),
            to_array=_to_array,
            batch_size=batch_size,
        )

    def __call__(self, observations: NDArray[np.generic], /) -> NDArray[np.floating] | Posterior:
        """Encode a batch (n, ...)."""
        return self._pipeline(observations)

    def _run(self, batch: NDArray[Any]) -> Any:
        import torch

        weight = next((p for p in self._module.parameters() if p.is_floating_point()), torch.empty(0))
        with _evaluating(self._module), torch.no_grad():  # inference mode would taint caches of a live module
            return self._call(torch.tensor(batch, dtype=weight.dtype, device=weight.device))


def load(
    target: str,
    *,
    weights: str,
    key: str = "",
    prefix: str = "",
    ignore: str = "",
    method: str = "",
    layout: str = "auto",
    range: str = "auto",  # noqa: A002 - the name of the option in a spec
    select: str = "",
    spread: str = "log_variance",
    flatten: str = "no",
    batch_size: str = "",
    device: str = "",
) -> Encoder:
    """Build a PyTorch module and fill in its weights (.pt, .ckpt, .safetensors).

    The target is ``file.py:build`` or ``package.module:build``, where ``build`` is
    a class or function that, called without arguments, gives the
    ``torch.nn.Module``.

    Options
    -------
    weights : file, or none
        A state dict (``torch.save(model.state_dict(), ...)``), a checkpoint that
        holds one, or safetensors. Pickles that need code are refused. ``none``:
        ``build`` fills the weights in by itself.
    key : text, default found if there is only one
        Entry of a checkpoint that holds the state dict, such as ``state_dict``.
    prefix : text, default empty
        Take the weights whose names begin so, without this beginning, such as
        ``vae.``.
    ignore : texts joined by commas, default empty
        Leave out the weights whose names, after the prefix, begin so, such as
        ``decoder.``.
    method : text, default ``encode`` or ``encoder`` if the module has one of them, else ``forward``
        What is called.
    layout : auto, NCHW, NHWC or flat; default auto
        How images are handed over; auto takes the only layout with which the module
        runs.
    range : auto, 0..1, -1..1, 0..255, raw or MEAN,STD; default auto
        Range of pixels; auto is 0..1 for uint8 images, and raw for anything else.
    select : text, default inferred where unambiguous
        Where the codes are in what the module returns: ``0`` (first of a tuple),
        ``0,1`` (mean and log-variance), ``mu,logvar`` (of a dict), ``halves``,
        ``interleaved``, ``log_variance_first`` (one array that holds both),
        ``whole`` (one array of codes), ``*.mean`` (of every element), ``a.0+b.0``
        (side by side).
    spread : log_variance, log_std, std or variance; default log_variance
        What stands beside the mean.
    flatten : yes or no, default no
        Make each place of a map (n, channels, height, width) a code of its own.
    batch_size : whole number, default any
        The only batch size that the module takes; batches are padded and trimmed.
    device : text, default cuda, mps or cpu, whichever is there first
        Where the module runs.

    Example
    -------
    torch:burgess_encoder.py:build?weights=model.pt&prefix=encoder.&layout=NCHW&select=interleaved
    """
    with optional("torch", extra="torch"):
        import torch
    settings = network_settings(method, layout, range, select, spread, flatten, batch_size)
    file = None if weights == "none" else existing_file(weights, "weights")
    with named_object(target) as built:
        module = _built(built.value, target)
        sources = source_hashes(built.module)
    if file:
        _load_state(module, _state_of(read_weights(file), file, key), file, prefix=prefix, ignore=ignore)
    encoder = TorchEncoder(module, **settings, device=device or best_device(torch))
    if not file:  # where the weights come from is then unknown
        return encoder
    parts = (target.rpartition(":")[2], sources, sha256_of(file), key, prefix, ignore, settings)
    return Fingerprinted(encoder, fingerprint_of("torch", *parts))


def network_settings(
    method: str,
    layout: str,
    range: str,  # noqa: A002 - the name of the option in a spec
    select: str,
    spread: str,
    flatten: str,
    batch_size: str,
) -> dict[str, Any]:
    """Convert the options that every torch scheme has to arguments of TorchEncoder."""
    return {
        "method": method or None,
        "layout": layout,
        "range": range,
        "select": select or None,
        "spread": spread,
        "flatten": yes_no("flatten", flatten),
        "batch_size": positive_integer("batch_size", batch_size) if batch_size else None,
    }


def _built(build: Any, target: str) -> Any:
    import torch

    try:
        module = build() if callable(build) and not isinstance(build, torch.nn.Module) else build
    except Exception as error:
        raise EncoderError(
            f"{target} failed when called without arguments: {type(error).__name__}: {error}; write a "
            "function that calls it with the right ones"
        ) from error
    if not isinstance(module, torch.nn.Module):
        raise InvalidInputError(f"{target} must give a torch.nn.Module; it gave a {type(module).__name__}")
    return module


def _moved(module: Any, device: str) -> Any:
    try:
        return module.to(device)
    except (RuntimeError, AssertionError) as error:  # torch built without CUDA asserts
        reason = str(error).partition("\n")[0]
        raise InvalidInputError(f"device={device} is not to be had here: {reason}") from error


def best_device(torch: Any) -> str:
    """Return cuda, mps or cpu: the first that is there."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _door(module: Any, method: str | None) -> Callable[[Any], Any]:
    if method is None:
        found = [name for name in ("encode", "encoder") if callable(getattr(module, name, None))]
        if len(found) == 2:
            raise InvalidInputError(
                f"{type(module).__name__} has both encode and encoder; say which returns the codes: "
                "method=encode or method=encoder (or method=forward)"
            )
        method = found[0] if found else "forward"
        log.info("method=%s inferred: %s", method, f"the module has {found}" if found else "there is no encode")
    if method == "forward":
        return cast("Callable[[Any], Any]", module)  # called itself, so that hooks run
    door = module
    for step in method.split("."):
        door = getattr(door, step, None)
    if not callable(door):
        submodules = ", ".join(name for name, _ in module.named_children())
        raise InvalidInputError(
            f"{type(module).__name__} has no method {method!r}; it has forward and the submodules {submodules}"
        )
    return cast("Callable[[Any], Any]", door)


@contextlib.contextmanager
def _evaluating(module: Any) -> Iterator[None]:
    before = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in before:
            part.training = training


def _to_array(tensor: Any) -> NDArray[Any]:
    import torch

    if not isinstance(tensor, torch.Tensor):
        return np.asarray(tensor)
    if tensor.dtype in {torch.bfloat16, torch.float16}:
        tensor = tensor.float()
    return np.asarray(tensor.detach().cpu().numpy())


def read_weights(file: Path) -> Any:
    """Read a file of weights without executing anything that it holds.

    Raises
    ------
    UntrustedFileError
        If it is a pickle that would run code.
    CorruptFileError
        If it is truncated or no file of weights at all.
    """
    import torch

    if file.suffix == ".safetensors":
        with optional("safetensors", extra="torch"):
            from safetensors import SafetensorError
            from safetensors.torch import load_file
        try:
            return load_file(file)
        except SafetensorError as error:
            raise CorruptFileError(f"{file} is truncated or no safetensors file: {error}") from error
    if _is_torchscript(file):
        raise InvalidInputError(f"{file} is a TorchScript archive, not a state dict: name it torchscript:{file}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # on the pickle protocol
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        wanted = re.search(r"(?:GLOBAL|class|function) ([\w.]+\.\w+)", str(error))
        with file.open("rb") as content:
            is_pickle = content.read(1) == b"\x80"
        if not wanted and not is_pickle:
            raise CorruptFileError(f"{file} is damaged, or no PyTorch file of weights") from error
        what = f"asks to run {wanted[1]}" if wanted else "may run code"
        raise UntrustedFileError(
            f"{file} is a pickle that {what}, and was not read; save the weights alone, by "
            "torch.save(model.state_dict(), path) or as safetensors"
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError, AttributeError) as error:
        reason = str(error).partition("\n")[0]
        raise CorruptFileError(f"{file} is damaged, or no PyTorch file of weights: {reason}") from error


def _is_torchscript(file: Path) -> bool:
    if not zipfile.is_zipfile(file):
        return False
    with zipfile.ZipFile(file) as archive:
        return any(name.endswith("constants.pkl") for name in archive.namelist())


def _is_state(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(isinstance(name, str) and _has_shape(weight) for name, weight in value.items())
    )


def _has_shape(value: Any) -> bool:
    return hasattr(value, "shape")


def _state_of(read: Any, file: Path, key: str) -> Mapping[str, Any]:
    if not key and _is_state(read):
        return read  # type: ignore[no-any-return]  # checked in the line above
    states = {str(k): v for k, v in read.items() if _is_state(v)} if isinstance(read, Mapping) else {}
    if key in states or (len(states) == 1 and not key):
        name = key or next(iter(states))
        log.info("key=%s: the state dict in %s", name, file)
        return states[name]  # type: ignore[no-any-return]  # a state dict
    if key:
        raise InvalidInputError(f"{file} has no state dict key={key}; it has {', '.join(states) or 'none'}")
    raise InvalidInputError(
        f"{file} must hold one state dict (names to tensors); "
        + (f"it has several, say which by key=: {', '.join(states)}" if states else "it holds none")
    )


def _load_state(module: Any, state: Mapping[str, Any], file: Path, *, prefix: str, ignore: str) -> None:
    ignored = tuple(ignore.split(",")) if ignore else ()
    named = {name.removeprefix(prefix): w for name, w in state.items() if name.startswith(prefix)}
    chosen = {name: weight for name, weight in named.items() if not (ignored and name.startswith(ignored))}
    log.info("%s: %d of %d weights are taken", file, len(chosen), len(state))
    expected = set(module.state_dict())
    missing, unexpected = sorted(expected - set(chosen)), sorted(set(chosen) - expected)
    if missing or unexpected:
        raise InvalidInputError(
            f"the weights in {file} do not fit the module: "
            + _listed("missing", missing)
            + _listed("not expected", unexpected)
            + _hint(expected, state, unexpected if not missing else [])
        )
    try:
        module.load_state_dict(chosen)
    except RuntimeError as error:
        shapes = " ".join(str(error).split())
        raise InvalidInputError(f"the weights in {file} do not fit the module: {shapes}") from error


def _listed(what: str, names: list[str]) -> str:
    shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    return f"{len(names)} {what} ({shown}); " if names else ""


def _hint(expected: set[str], state: Mapping[str, Any], superfluous: list[str]) -> str:
    if superfluous:
        beginnings = sorted({name.partition(".")[0] + "." for name in superfluous})
        return f"if they do not matter, give ignore={','.join(beginnings)}"
    one = min(expected, default="")
    for name in state:
        prefix = name.removesuffix(one)
        if name.endswith(one) and prefix and all(prefix + other in state for other in expected):
            return f"with prefix={prefix} all that the module needs is there"
    return "the module and the weights must be of one architecture"
