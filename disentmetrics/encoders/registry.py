"""Encoders by name: ``scheme:target?key=value`` is loaded through entry points.

A scheme is an entry point of the group ``disentmetrics.adapters``. The entry point
is either a function ``load(target, **options) -> Encoder`` whose name is the scheme, or a
package, each public module of which is a scheme of that name with such a function ``load``.
The core therefore knows no framework, and a third party adds one without asking.

In a spec everything after the scheme's colon is the target, up to the first ``?`` that a
``key=`` follows. Options are separated by ``&``; their values are percent-decoded, so that
``%26`` is an ampersand and a space may be written as it is or as ``%20``. The target is taken
literally, but for ``%3F``, which stands for a question mark.
"""

import contextlib
import importlib
import importlib.util
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from disentmetrics.encoders.protocol import Encoder, Posterior
from disentmetrics.errors import InvalidInputError, MissingExtraError, did_you_mean

GROUP = "disentmetrics.adapters"
CONTEXT = ("data", "seed", "trust_pickle")


@dataclass(frozen=True)
class EncoderSpec:
    """An encoder as named on the command line.

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
        """Split ``scheme:target[?key=value&...]``; raise InvalidInputError if it is none."""
        scheme, colon, rest = spec.partition(":")
        if not colon or not scheme or not rest:
            raise InvalidInputError(
                f"an encoder is named scheme:target, such as baseline:pca or onnx:model.onnx; got {spec!r}"
            )
        query = re.search(r"\?(?=[A-Za-z_]\w*=)", rest)
        target = (rest[: query.start()] if query else rest).replace("%3F", "?").replace("%3f", "?")
        if not target:
            raise InvalidInputError(
                f"an encoder is named scheme:target[?key=value]; {spec!r} has no target before the '?'"
            )
        return cls(scheme, target, _options(rest[query.end() :]) if query else {})


def _options(query: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for item in query.split("&"):
        name, equals, value = item.partition("=")
        if not name or not equals:
            raise InvalidInputError(
                f"the options of an encoder are key=value, joined by '&'; got {item!r}. "
                "An ampersand inside a value is written %26"
            )
        if name in options:
            raise InvalidInputError(f"the option {name!r} is given twice: {options[name]!r} and {value!r}")
        options[name] = unquote(value)
    return options


@dataclass(frozen=True)
class Adapter:
    """A scheme, and how it loads an encoder."""

    scheme: str
    origin: str
    load: Callable[..., Encoder]

    @property
    def summary(self) -> str:
        """First line of what the loader says of itself."""
        return self.help.partition("\n")[0]

    @property
    def help(self) -> str:
        """All that the loader says of itself: its targets and options."""
        return inspect.getdoc(self.load) or ""


@dataclass(frozen=True)
class Fingerprinted:
    """An encoder with a name for exactly its content, by which its codes are cached.

    Examples
    --------
    >>> Fingerprinted(lambda observations: observations, "identity-1").fingerprint
    'identity-1'
    """

    encoder: Encoder
    fingerprint: str

    def __call__(self, observations: NDArray[np.generic], /) -> NDArray[np.floating] | Posterior:
        """Encode as the encoder does."""
        return self.encoder(observations)

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "encoder"), name)


def _adapters_of(entry_point: EntryPoint) -> dict[str, Callable[[], Adapter]]:
    origin = entry_point.dist.name if entry_point.dist else entry_point.module

    def adapter(scheme: str, load: Callable[[], Any]) -> Adapter:
        try:
            return Adapter(scheme, origin, load())
        except ImportError as error:
            raise MissingExtraError(
                f"the adapter {scheme!r} of the package {origin!r} cannot be imported: {error}"
            ) from error
        except AttributeError as error:
            raise InvalidInputError(
                f"the adapter {scheme!r} of the package {origin!r} must be a function, or a module with a "
                f"function load(target, **options); tell its authors: {error}"
            ) from error

    def from_function() -> Adapter:
        return adapter(entry_point.name, entry_point.load)

    def from_module(scheme: str) -> Callable[[], Adapter]:
        def load() -> Any:
            module = importlib.import_module(f"{entry_point.module}.{scheme}")
            return module.load

        return lambda: adapter(scheme, load)

    if entry_point.attr:
        return {entry_point.name: from_function}
    package = importlib.util.find_spec(entry_point.module)
    folders = package.submodule_search_locations if package else None
    listed = pkgutil.iter_modules(folders) if folders else ()
    names = [m.name for m in listed if not m.name.startswith("_") and not m.ispkg]  # packages are other doors
    return {name: from_module(name) for name in names}


def find_adapters() -> dict[str, Callable[[], Adapter]]:
    """Return every installed scheme with a function that imports its adapter."""
    found: dict[str, Callable[[], Adapter]] = {}
    for entry_point in sorted(entry_points(group=GROUP), key=lambda e: (e.name != "bundled", e.name)):
        for scheme, load in _adapters_of(entry_point).items():
            found[scheme] = _refuse_two(scheme, entry_point) if scheme in found else load
    return found


def _refuse_two(scheme: str, second: EntryPoint) -> Callable[[], Adapter]:
    def refuse() -> Adapter:
        raise InvalidInputError(
            f"two installed packages offer the encoder scheme {scheme!r}; uninstall one of them "
            f"(the second is entry point {second.name} = {second.value})"
        )

    return refuse


def load_adapter(scheme: str) -> Adapter:
    """Import the adapter of a scheme; raise InvalidInputError if nobody offers it."""
    adapters = find_adapters()
    if scheme not in adapters:
        raise InvalidInputError(
            f"no encoder scheme is named {scheme!r}{did_you_mean(scheme, adapters)}; installed schemes: "
            f"{', '.join(sorted(adapters))}. Another package may add it as an entry point of {GROUP!r}"
        )
    return adapters[scheme]()


def load_encoder(spec: str, **context: Any) -> Encoder:
    """Load the encoder named by ``scheme:target[?key=value&...]``.

    Parameters
    ----------
    spec : str
        Such as ``baseline:pca`` or ``torch:model.py:build?weights=w.safetensors``.
    **context
        Handed to the adapter where its ``load`` names it: ``data`` (DataSet), ``seed``
        (int), ``trust_pickle`` (bool).

    Returns
    -------
    Encoder
        Ready to be called with a batch of observations.

    Raises
    ------
    InvalidInputError
        If the scheme or an option is unknown or missing; the message names the nearest one.

    Notes
    -----
    Every scheme takes the option ``fingerprint=NAME``: by it the user vouches that NAME
    stands for exactly this encoder, so that its codes are cached even where the content
    cannot be known.

    Examples
    --------
    >>> import disentmetrics as dm
    >>> data = dm.load_dataset("dsprites")
    >>> encoder = load_encoder("baseline:random?n_codes=4", data=data, seed=0)
    >>> encoder(data.observations([[0, 0, 0, 0, 0], [2, 5, 39, 31, 31]])).shape
    (2, 4)
    """
    parsed = EncoderSpec.parse(spec)
    adapter = load_adapter(parsed.scheme)
    parameters = inspect.signature(adapter.load).parameters
    settable = [name for name, p in parameters.items() if p.kind is p.KEYWORD_ONLY and name not in CONTEXT]
    options = dict(parsed.options)
    fingerprint = None if "fingerprint" in settable else options.pop("fingerprint", None)
    for name in options:
        if name not in settable:
            raise InvalidInputError(
                f"{parsed.scheme} has no option {name!r}{did_you_mean(name, settable)}; "
                f"its options: {', '.join([*settable, 'fingerprint'])}"
            )
    for name in settable:
        if name not in options and parameters[name].default is inspect.Parameter.empty:
            raise InvalidInputError(f"{parsed.scheme} needs the option {name!r}: add {name}=... to {spec!r}")
    if fingerprint is not None and not fingerprint:
        raise InvalidInputError(f"fingerprint must name exactly this encoder; it is empty in {spec!r}")
    given = {name: value for name, value in context.items() if name in parameters}
    encoder = adapter.load(parsed.target, **options, **given)
    return Fingerprinted(encoder, fingerprint) if fingerprint else encoder


@contextlib.contextmanager
def open_encoder(spec: str, **context: Any) -> Iterator[Encoder]:
    """Load an encoder as :func:`load_encoder` does, and close it at the end if it can be closed."""
    encoder = load_encoder(spec, **context)
    try:
        yield encoder
    finally:
        close = getattr(encoder, "close", None)
        if close is not None:
            close()
