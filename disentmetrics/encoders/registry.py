"""Encoders by name: ``scheme:target?key=value`` is loaded by the adapter of its scheme.

Adapters are entry points of the group ``disentmetrics.adapters``. An entry point names either a function
``load(target, **options) -> Encoder``, and its own name is the scheme; or a package, each public module of which is a
scheme of that name with such a function ``load``. The core therefore depends on no framework, and any package can add
a scheme. An adapter is imported when its scheme is used, so a broken one affects no other.

In a spec everything after the scheme's colon is the target, up to the first ``?`` that a ``key=`` follows. Options are
separated by ``&``; their values are percent-decoded, so that ``%26`` is an ampersand and a space may be written
literally or as ``%20``. The target is taken literally, except that ``%3F`` stands for a question mark.
"""

import contextlib
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from disentmetrics.datasets.base import DataSet
from disentmetrics.encoders.fixed_batch import FixedBatch
from disentmetrics.encoders.protocol import Encoder, Posterior
from disentmetrics.errors import InvalidInputError, MissingExtraError, did_you_mean, one_line

GROUP = "disentmetrics.adapters"
CONTEXT = ("data", "seed", "trust_pickle")
"""Parameters of a ``load`` function that the caller sets in code, never a spec."""


@dataclass(frozen=True)
class EncoderSpec:
    """An encoder as named on the command line.

    Attributes
    ----------
    scheme : str
        Name of the adapter.
    target : str
        What the adapter loads, such as a file.
    options : dict of str to str
        Options of the adapter, as text.

    Examples
    --------
    >>> EncoderSpec.parse("torch:model.py:build?weights=w.safetensors&layout=NHWC")
    EncoderSpec(scheme='torch', target='model.py:build',
        options={'weights': 'w.safetensors', 'layout': 'NHWC'})
    """

    scheme: str
    target: str
    options: dict[str, str]

    @classmethod
    def parse(cls, spec: str) -> "EncoderSpec":
        """Parse ``scheme:target[?key=value&...]``.

        Raises
        ------
        InvalidInputError
            If the text is not of this form, or an option is given twice.
        """
        scheme, colon, rest = spec.partition(":")
        if not colon or not scheme or not rest:
            raise InvalidInputError(
                f"an encoder is specified as scheme:target, such as baseline:pca or onnx:model.onnx; got {spec!r}"
            )
        query = re.search(r"\?(?=[A-Za-z_]\w*=)", rest)
        target = (rest[: query.start()] if query else rest).replace("%3F", "?").replace("%3f", "?")
        if not target:
            raise InvalidInputError(
                f"an encoder is specified as scheme:target[?key=value]; {spec!r} has no target before the '?'"
            )
        return cls(scheme, target, _options(rest[query.end() :]) if query else {})


def _options(query: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for item in query.split("&"):
        name, equals, value = item.partition("=")
        if not name or not equals:
            raise InvalidInputError(
                f"the options of an encoder must be key=value, joined by '&'; got {item!r} "
                "(write %26 for an ampersand inside a value)"
            )
        if name in options:
            raise InvalidInputError(f"the option {name!r} is given twice: {options[name]!r} and {value!r}")
        options[name] = unquote(value)
    return options


@dataclass(frozen=True)
class Adapter:
    """The function that loads the encoders of one scheme.

    Attributes
    ----------
    scheme : str
    origin : str
        Name of the distribution that provides it.
    load : callable
        ``load(target, **options) -> Encoder``.
    """

    scheme: str
    origin: str
    load: Callable[..., Encoder]

    @property
    def summary(self) -> str:
        """First line of the docstring of ``load``."""
        return self.help.partition("\n")[0]

    @property
    def help(self) -> str:
        """Docstring of ``load``: what a target is, and the options."""
        return inspect.getdoc(self.load) or ""


@dataclass(frozen=True)
class Fingerprinted:
    """An encoder with a name that identifies its weights and settings, under which its codes are cached.

    Parameters
    ----------
    encoder : Encoder
    fingerprint : str

    Examples
    --------
    >>> Fingerprinted(lambda observations: observations, "identity-1").fingerprint
    'identity-1'
    """

    encoder: Encoder
    fingerprint: str

    def __call__(self, observations: NDArray[np.generic], /) -> NDArray[np.floating] | Posterior:
        """Encode a batch with the wrapped encoder."""
        return self.encoder(observations)

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "encoder"), name)


AdapterLoader = Callable[[], Adapter]
"""Imports an adapter; raises if it is broken."""


def find_adapters() -> dict[str, AdapterLoader]:
    """Return all installed schemes, each with a function that imports its adapter.

    A broken adapter raises when its own function is called, never here.
    """
    loaders: dict[str, AdapterLoader] = {}
    # The bundled schemes first: where two packages offer one scheme, the error names the other package.
    for entry_point in sorted(entry_points(group=GROUP), key=lambda e: (e.name != "bundled", e.name)):
        for scheme, loader in _schemes_of(entry_point).items():
            loaders[scheme] = partial(_refuse_second, scheme, entry_point) if scheme in loaders else loader
    return loaders


def _schemes_of(entry_point: EntryPoint) -> dict[str, AdapterLoader]:
    origin = entry_point.dist.name if entry_point.dist else entry_point.module
    if entry_point.attr:
        return {entry_point.name: partial(_import_adapter, entry_point.name, origin, entry_point.load)}
    try:
        package = importlib.import_module(entry_point.module)
    except (Exception, SystemExit):  # noqa: BLE001 - a package of others may raise anything; it is raised again when it is used
        return {entry_point.name: partial(_import_adapter, entry_point.name, origin, entry_point.load)}
    names = [m.name for m in pkgutil.iter_modules(getattr(package, "__path__", ())) if not m.name.startswith("_")]
    modules = {name: f"{entry_point.module}.{name}" for name in names}
    return {
        name: partial(_import_adapter, name, origin, partial(_load_function, module))
        for name, module in modules.items()
    }


def _load_function(module: str) -> Callable[..., Encoder]:
    load: Callable[..., Encoder] = importlib.import_module(module).load
    return load


def _import_adapter(scheme: str, origin: str, import_load: Callable[[], Any]) -> Adapter:
    what = f"the adapter {scheme!r} of the package {origin!r}"
    try:
        load = import_load()
    except ImportError as error:
        raise MissingExtraError(f"{what} cannot be imported: {' '.join(str(error).split())}") from error
    except AttributeError as error:
        raise _malformed(what, str(error)) from error
    except (Exception, SystemExit) as error:
        raise InvalidInputError(f"{what} cannot be imported: {one_line(error)}") from error
    if isinstance(load, ModuleType) or not callable(load):
        raise _malformed(what, f"got a {type(load).__name__}")
    return Adapter(scheme, origin, load)


def _malformed(what: str, reason: str) -> InvalidInputError:
    return InvalidInputError(
        f"{what} must be a function, or a module with a function load(target, **options): {reason}; "
        "report this to the authors of the package"
    )


def _refuse_second(scheme: str, second: EntryPoint) -> Adapter:
    raise InvalidInputError(
        f"two installed packages offer the encoder scheme {scheme!r}; uninstall one of them "
        f"(the second is entry point {second.name} = {second.value})"
    )


def load_adapter(scheme: str) -> Adapter:
    """Import the adapter of a scheme.

    Raises
    ------
    InvalidInputError
        If no installed package offers the scheme, two do, or the adapter is broken.
    MissingExtraError
        If the adapter imports a package that is not installed.
    """
    loaders = find_adapters()
    if scheme not in loaders:
        raise InvalidInputError(
            f"no encoder scheme is named {scheme!r}{did_you_mean(scheme, loaders)}; installed schemes: "
            f"{', '.join(sorted(loaders))}. Packages add schemes as entry points of the group {GROUP!r}"
        )
    return loaders[scheme]()


def load_encoder(
    spec: str, *, data: DataSet | None = None, seed: int = 0, trust_pickle: bool = False, device: str | None = None
) -> Encoder:
    """Load the encoder named by ``scheme:target[?key=value&...]``.

    Parameters
    ----------
    spec : str
        Such as ``baseline:pca`` or ``torch:model.py:build?weights=w.safetensors``.
    data : DataSet, optional
        Data set to be encoded, for schemes that read its factors or fit an encoder to it, such as ``baseline:pca``.
    seed : int
        Random seed of schemes that fit an encoder or draw one.
    trust_pickle : bool
        Allow loading pickles. Pickles can execute arbitrary code; use only for files you trust.
    device : str, optional
        Device that computes the codes, for schemes with the option ``device``: ``cpu``, ``cuda``, ``mps`` and others.

    Returns
    -------
    Encoder
        Ready to be called with a batch of observations.

    Raises
    ------
    InvalidInputError
        If the scheme or an option is unknown or missing; the message suggests the nearest name. Also if
        ``trust_pickle`` is given for a scheme that reads no pickles, or ``device`` for one without devices.

    Notes
    -----
    Every scheme accepts two options. ``fingerprint=NAME`` is a name, chosen by the user, that identifies exactly this
    encoder: its codes are then cached even where the scheme cannot determine a fingerprint from the content.
    ``batch_size=N`` is the only number of observations that the encoder accepts: batches are padded and trimmed.

    Examples
    --------
    >>> import disentmetrics as dm
    >>> data = dm.load_dataset("dsprites")
    >>> encoder = load_encoder("baseline:random?n_codes=4", data=data, seed=0)
    >>> encoder(data.observations([[0, 0, 0, 0, 0], [2, 5, 39, 31, 31]])).shape
    (2, 4)
    """
    parsed = EncoderSpec.parse(spec)
    load = load_adapter(parsed.scheme).load
    parameters = inspect.signature(load).parameters
    if trust_pickle and "trust_pickle" not in parameters:
        raise InvalidInputError(
            f"the scheme {parsed.scheme} reads no pickles, so trust_pickle (--trust-pickle) does not apply; "
            f"omit it for {spec!r}"
        )
    if device is not None:
        parsed = _on_device(spec, parsed, parameters, device)
    options, fingerprint, batch_size = _checked_options(spec, parsed, parameters)
    context = {"data": data, "seed": seed, "trust_pickle": trust_pickle}
    encoder = load(parsed.target, **options, **{name: context[name] for name in CONTEXT if name in parameters})
    encoder = FixedBatch(encoder, batch_size) if batch_size else encoder
    return Fingerprinted(encoder, fingerprint) if fingerprint else encoder


def _on_device(spec: str, parsed: EncoderSpec, parameters: Mapping[str, inspect.Parameter], device: str) -> EncoderSpec:
    if "device" not in parameters:
        raise InvalidInputError(
            f"the scheme {parsed.scheme} has no option device, so device (--device) does not apply; "
            f"omit it for {spec!r}"
        )
    if "device" in parsed.options:
        raise InvalidInputError(f"the device is given twice: device={parsed.options['device']} and {device}")
    return EncoderSpec(parsed.scheme, parsed.target, {**parsed.options, "device": device})


def _checked_options(
    spec: str, parsed: EncoderSpec, parameters: Mapping[str, inspect.Parameter]
) -> tuple[dict[str, str], str | None, int | None]:
    """Return the options for ``load``, and the fingerprint and batch size if ``load`` has no such options itself."""
    settable = [name for name, p in parameters.items() if p.kind is p.KEYWORD_ONLY and name not in CONTEXT]
    options = dict(parsed.options)
    general = {name: None if name in settable else options.pop(name, None) for name in ("fingerprint", "batch_size")}
    for name in options:
        if name not in settable:
            known = [*settable, *(name for name in general if name not in settable)]
            raise InvalidInputError(
                f"{parsed.scheme} has no option {name!r}{did_you_mean(name, known)}; its options: {', '.join(known)}"
            )
    for name in settable:
        if name not in options and parameters[name].default is inspect.Parameter.empty:
            raise InvalidInputError(f"{parsed.scheme} needs the option {name!r}: add {name}=... to {spec!r}")
    fingerprint, batch_size = general["fingerprint"], general["batch_size"]
    if fingerprint is not None and not fingerprint:
        raise InvalidInputError(f"fingerprint must name exactly this encoder; it is empty in {spec!r}")
    if batch_size is not None and not (batch_size.isdecimal() and int(batch_size) > 0):
        raise InvalidInputError(f"batch_size must be a whole number of at least 1; got {batch_size!r} in {spec!r}")
    return options, fingerprint, None if batch_size is None else int(batch_size)


@contextlib.contextmanager
def open_encoder(
    encoder: Encoder | Callable[..., Any] | str,
    *,
    data: DataSet | None = None,
    seed: int = 0,
    trust_pickle: bool = False,
    device: str | None = None,
) -> Iterator[Encoder]:
    """Yield an encoder for the duration of a ``with`` block.

    An encoder given by name is loaded as by :func:`load_encoder` and closed at the end if it has a method ``close``. A
    live encoder is yielded unchanged and stays open.

    Parameters
    ----------
    encoder : Encoder or str
        A callable, or a spec such as ``onnx:model.onnx``.
    data, seed, trust_pickle, device
        As for :func:`load_encoder`.

    Yields
    ------
    Encoder
    """
    if not isinstance(encoder, str):
        yield encoder
        return
    loaded = load_encoder(encoder, data=data, seed=seed, trust_pickle=trust_pickle, device=device)
    try:
        yield loaded
    finally:
        close = getattr(loaded, "close", None)
        if close is not None:
            close()
