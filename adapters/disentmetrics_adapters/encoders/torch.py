"""Scheme ``torch``: a module file and weights; ``TorchEncoder`` wraps a live ``torch.nn.Module``."""

import contextlib
import pickle
import re
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.arrays import as_array
from disentmetrics._utils.cache import sha256_of
from disentmetrics.encoders.protocol import Encoder, Posterior
from disentmetrics.encoders.registry import Fingerprinted
from disentmetrics.errors import CorruptFileError, EncoderError, InvalidInputError, UntrustedFileError, one_line
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
        Module, which stays on its device unless ``device`` is given.
    method : str, optional
        ``forward``, or the name of a method or submodule such as ``encode`` or ``encoder``.
        By default whichever of these two the module has, or else ``forward``.
    layout : {"auto", "NCHW", "NHWC", "flat"}
        Order of axes of the images that the module expects.
    range : str
        ``auto``, ``0..1``, ``-1..1``, ``0..255``, ``raw`` or ``MEAN,STD``.
    select : str, optional
        Location of the codes in the output of the module, such as ``0``, ``0,1`` (mean and
        log-variance), ``mu,logvar``, ``halves`` or ``interleaved``.
    spread : {"log_variance", "log_std", "std", "variance"}, optional
        Measure of spread that the module returns with the mean; ``log_variance`` by default, which is refused where
        the output has another name.
    flatten : bool
        Whether each position of a feature map is a separate latent.
    batch_size : int, optional
        Fixed batch size of the module, if it has one.
    device : str, optional
        Such as ``cuda:1``; by default that of the module's weights.

    Raises
    ------
    InvalidInputError
        If input or output is ambiguous; the message names the option that resolves it.

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
        spread: str | None = None,
        flatten: bool = False,
        batch_size: int | None = None,
        device: str | None = None,
    ) -> None:
        with optional("torch", extra="torch"):
            import torch
        if not isinstance(module, torch.nn.Module):
            raise InvalidInputError(f"the module must be a torch.nn.Module; got a {type(module).__name__}")
        self._module = module if device is None else _moved(module, device)
        self._call = _encode_method(module, method)
        self._pipeline = Pipeline(
            self._run,
            InputConvention(layout, range),
            OutputConvention(select, spread, flatten),
            to_array=partial(as_array, "codes"),
            batch_size=batch_size,
        )

    def __call__(self, observations: NDArray[np.generic], /) -> NDArray[np.floating] | Posterior:
        """Encode a batch (n, ...)."""
        return self._pipeline(observations)

    @property
    def categorical_codes(self) -> tuple[bool, ...]:
        """Which latents are categorical, after the first batch; empty if none is."""
        return self._pipeline.categorical_codes

    def _run(self, batch: NDArray[Any]) -> Any:
        import torch

        weight = next((p for p in self._module.parameters() if p.is_floating_point()), torch.empty(0))
        with _evaluating(self._module), torch.no_grad():  # inference mode would affect caches of a live module
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
    spread: str = "",
    flatten: str = "no",
    batch_size: str = "",
    device: str = "",
    trust_pickle: bool = False,
) -> Encoder:
    """Build a PyTorch module and load its weights (.pt, .ckpt, .safetensors).

    The target is ``file.py:build`` or ``package.module:build``, where ``build`` is
    a class or function that returns the ``torch.nn.Module`` when called without
    arguments.

    Options
    -------
    weights : file, or none
        A state dict (``torch.save(model.state_dict(), ...)``), a checkpoint that
        contains one, or safetensors. Pickles that execute code are refused without
        ``--trust-pickle``. With ``none``, ``build`` loads the weights itself.
    key : text, default inferred if there is only one
        Entry of a checkpoint with the state dict, such as ``state_dict``.
    prefix : text, default empty
        Use the tensors whose names start with this prefix, and remove it, such as
        ``vae.``.
    ignore : texts separated by commas, default empty
        Ignore the tensors whose names, after the prefix, start with one of these,
        such as ``decoder.``.
    method : text, default ``encode`` or ``encoder`` if the module has one of them, else ``forward``
        Method or submodule that is called.
    layout : auto, NCHW, NHWC or flat; default auto
        Order of axes of images; auto uses the only layout with which the module
        runs.
    range : auto, 0..1, -1..1, 0..255, raw or MEAN,STD; default auto
        Pixel range; auto is 0..1 for uint8 images and raw otherwise.
    select : text, default inferred where unambiguous
        Location of the codes in the output of the module: ``0`` (first of a
        tuple), ``0,1`` (mean and log-variance), ``mu,logvar`` (of a dict),
        ``halves``, ``interleaved``, ``log_variance_first`` (one array with both),
        ``whole`` (one array of codes), ``*.mean`` (of every element), ``a.0+b.0``
        (concatenated).
    spread : log_variance, log_std, std or variance; default log_variance
        Measure of spread that is returned with the mean. It must be given where the
        output has another name than that of a log-variance: ``select=mu,std&spread=std``.
    flatten : yes or no, default no
        Make each position of a feature map (n, channels, height, width) a separate
        latent.
    batch_size : integer, default any
        Fixed batch size of the module; batches are padded and trimmed.
    device : text, default the first available of cuda, mps and cpu
        Device on which the module runs.

    Example
    -------
    torch:burgess_encoder.py:build?weights=model.pt&prefix=encoder.&layout=NCHW&select=interleaved
    """
    with optional("torch", extra="torch"):
        import torch
    settings = network_settings(method, layout, range, select, spread, flatten, batch_size)
    file = None if weights == "none" else existing_file(weights, "weights")
    with named_object(target) as named:
        module = _built(named.value, target)
        sources = source_hashes(named.module)
    if file:
        read = read_weights(file, trust_pickle=trust_pickle)
        _load_state(module, _state_of(read, file, key), file, prefix=prefix, ignore=ignore)
    encoder = TorchEncoder(module, **settings, device=device or best_device(torch))
    if not file:  # the origin of the weights is then unknown, so there is no fingerprint
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
    """Convert the options that all torch schemes share to arguments of TorchEncoder."""
    return {
        "method": method or None,
        "layout": layout,
        "range": range,
        "select": select or None,
        "spread": spread or None,
        "flatten": yes_no("flatten", flatten),
        "batch_size": positive_integer("batch_size", batch_size) if batch_size else None,
    }


def _built(build: Any, target: str) -> Any:
    import torch

    try:
        module = build() if callable(build) and not isinstance(build, torch.nn.Module) else build
    except Exception as error:
        raise EncoderError(
            f"{target} failed when called without arguments: {type(error).__name__}: {error}; name a "
            "function that calls it with the right arguments"
        ) from error
    if not isinstance(module, torch.nn.Module):
        raise InvalidInputError(f"{target} must return a torch.nn.Module; it returned a {type(module).__name__}")
    return module


def _moved(module: Any, device: str) -> Any:
    try:
        return module.to(device)
    except (RuntimeError, AssertionError) as error:  # torch built without CUDA asserts
        reason = str(error).partition("\n")[0]
        raise InvalidInputError(f"device {device} is not available: {reason}") from error


def best_device(torch: Any) -> str:
    """Return the first available of cuda, mps and cpu."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _encode_method(module: Any, method: str | None) -> Callable[[Any], Any]:
    if method is None:
        candidates = [name for name in ("encode", "encoder") if callable(getattr(module, name, None))]
        if len(candidates) == 2:
            raise InvalidInputError(
                f"{type(module).__name__} has both encode and encoder; specify the one that returns the codes: "
                "method=encode or method=encoder (or method=forward)"
            )
        method = candidates[0] if candidates else "forward"
        log.info(
            "method=%s inferred: the module has %s", method, f"{method!r}" if candidates else "no encode or encoder"
        )
    if method == "forward":
        return cast("Callable[[Any], Any]", module)  # not its method forward, so that hooks run
    encode = module
    for step in method.split("."):
        encode = getattr(encode, step, None)
    if not callable(encode):
        submodules = ", ".join(name for name, _ in module.named_children())
        raise InvalidInputError(
            f"{type(module).__name__} has no method {method!r}; it has forward and the submodules {submodules}"
        )
    return cast("Callable[[Any], Any]", encode)


@contextlib.contextmanager
def _evaluating(module: Any) -> Iterator[None]:
    before = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in before:
            part.training = training


def read_weights(file: Path, *, trust_pickle: bool = False) -> Any:
    """Read a file of weights; code in it is executed only if the file is trusted.

    Raises
    ------
    UntrustedFileError
        If it is a pickle that would execute code.
    CorruptFileError
        If it is truncated or not a file of weights.
    """
    import torch

    if file.suffix == ".safetensors":
        with optional("safetensors", extra="torch"):
            from safetensors import SafetensorError
            from safetensors.torch import load_file
        try:
            return load_file(file)
        except (SafetensorError, OSError, ValueError, RuntimeError, KeyError) as error:
            raise CorruptFileError(f"{file} is truncated or not a safetensors file: {one_line(error)}") from error
    if _is_torchscript(file):
        raise InvalidInputError(f"{file} is a TorchScript archive, not a state dict: specify it as torchscript:{file}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about the pickle protocol
            return torch.load(file, map_location="cpu", weights_only=not trust_pickle)
    except pickle.UnpicklingError as error:
        global_name = re.search(r"(?:GLOBAL|class|function) ([\w.]+\.\w+)", str(error))
        with file.open("rb") as content:
            is_pickle = content.read(1) == b"\x80"
        if not global_name and not is_pickle:
            raise CorruptFileError(f"{file} is damaged, or not a PyTorch file of weights") from error
        reason = f"would execute {global_name[1]}" if global_name else "could execute code"
        raise UntrustedFileError(
            f"{file} is a pickle that {reason}, and was not loaded; save only the weights, with "
            "torch.save(model.state_dict(), path) or as safetensors, or add --trust-pickle if you trust the file"
        ) from error
    except ModuleNotFoundError as error:  # of a class in a trusted pickle
        raise InvalidInputError(
            f"{file} contains objects of the module {error.name}; install it, or save only the weights"
        ) from error
    except Exception as error:  # damaged files raise errors of many kinds, and trusted ones may run any code
        raise CorruptFileError(f"{file} is damaged, or not a PyTorch file of weights: {one_line(error)}") from error


def _is_torchscript(file: Path) -> bool:
    try:
        with zipfile.ZipFile(file) as archive:
            return any(name.endswith("constants.pkl") for name in archive.namelist())
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):  # damaged files are reported by torch
        return False


def _is_state(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(isinstance(name, str) and _has_shape(weight) for name, weight in value.items())
    )


def _has_shape(value: Any) -> bool:
    return not isinstance(value, Mapping) and hasattr(value, "shape")  # attributes of a dict may be its keys


def _state_of(read: Any, file: Path, key: str) -> Mapping[str, Any]:
    if not key and _is_state(read):
        return read  # type: ignore[no-any-return]  # checked in the line above
    states = {str(k): v for k, v in read.items() if _is_state(v)} if isinstance(read, Mapping) else {}
    if key in states or (len(states) == 1 and not key):
        name = key or next(iter(states))
        log.info("using the state dict %s of %s", name, file)
        return states[name]  # type: ignore[no-any-return]  # a state dict
    if key:
        raise InvalidInputError(f"{file} has no state dict key={key}; it has {', '.join(states) or 'none'}")
    raise InvalidInputError(
        f"{file} must contain one state dict (names to tensors); "
        + (f"it has several, select one by key=: {', '.join(states)}" if states else "it contains none")
    )


def _load_state(module: Any, state: Mapping[str, Any], file: Path, *, prefix: str, ignore: str) -> None:
    ignored = tuple(ignore.split(",")) if ignore else ()
    named = {name.removeprefix(prefix): w for name, w in state.items() if name.startswith(prefix)}
    chosen = {name: weight for name, weight in named.items() if not (ignored and name.startswith(ignored))}
    log.info("%s: using %d of %d tensors", file, len(chosen), len(state))
    expected = set(module.state_dict())
    missing, unexpected = sorted(expected - set(chosen)), sorted(set(chosen) - expected)
    if missing or unexpected:
        raise InvalidInputError(
            f"the weights in {file} do not fit the module: "
            + _listed("missing", missing)
            + _listed("unexpected", unexpected)
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
        prefixes = sorted({name.partition(".")[0] + "." for name in superfluous})
        return f"if they are not needed, add ignore={','.join(prefixes)}"
    one = min(expected, default="")
    for name in state:
        prefix = name.removesuffix(one)
        if name.endswith(one) and prefix and all(prefix + other in state for other in expected):
            return f"with prefix={prefix} the file contains all weights of the module"
    return "the module and the weights must have the same architecture"
