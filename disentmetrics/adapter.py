"""Encoders by name: ``scheme:target?key=value`` is loaded through entry points.

A scheme is an entry point of the group ``disentmetrics.adapters``. The entry point
is either a function ``load(target, **options) -> Encoder`` whose name is the scheme, or a
package, each public module of which is a scheme of that name with such a function ``load``.
The core therefore knows no framework, and a third party adds one without asking.
"""

import importlib
import importlib.util
import inspect
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any
from urllib.parse import parse_qsl

from disentmetrics.encoder import Encoder
from disentmetrics.errors import InvalidInputError
from disentmetrics.suggest import did_you_mean

GROUP = "disentmetrics.adapters"


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
        target, _, query = rest.rpartition("?") if "=" in rest.rpartition("?")[2] else (rest, "", "")
        if not target:
            target, query = rest, ""
        return cls(scheme, target, dict(parse_qsl(query, keep_blank_values=True)))


@dataclass(frozen=True)
class Adapter:
    """A scheme, and how it loads an encoder."""

    scheme: str
    origin: str
    load: Callable[..., Encoder]

    @property
    def summary(self) -> str:
        """First line of what the loader says of itself."""
        return (inspect.getdoc(self.load) or "").partition("\n")[0]


def _adapters_of(entry_point: EntryPoint) -> dict[str, Callable[[], Adapter]]:
    origin = entry_point.dist.name if entry_point.dist else entry_point.module

    def from_function() -> Adapter:
        return Adapter(entry_point.name, origin, entry_point.load())

    def from_module(scheme: str) -> Callable[[], Adapter]:
        def load() -> Adapter:
            module = importlib.import_module(f"{entry_point.module}.{scheme}")
            return Adapter(scheme, origin, module.load)

        return load

    if entry_point.attr:
        return {entry_point.name: from_function}
    package = importlib.util.find_spec(entry_point.module)
    folders = package.submodule_search_locations if package else None
    names = [m.name for m in pkgutil.iter_modules(folders or ()) if not m.name.startswith("_")]
    return {name: from_module(name) for name in names}


def find_adapters() -> dict[str, Callable[[], Adapter]]:
    """Return every installed scheme with a function that imports its adapter."""
    found: dict[str, Callable[[], Adapter]] = {}
    for entry_point in sorted(entry_points(group=GROUP), key=lambda e: (e.name != "bundled", e.name)):
        for scheme, load in _adapters_of(entry_point).items():
            if scheme in found:
                raise InvalidInputError(
                    f"two installed packages offer the encoder scheme {scheme!r}; uninstall one of them "
                    f"(the second is entry point {entry_point.name} = {entry_point.value})"
                )
            found[scheme] = load
    return found


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
        If the scheme or an option is unknown; the message names the nearest one.

    Examples
    --------
    >>> import disentmetrics as dm
    >>> load_encoder("baseline:random?n_codes=4", data=dm.load_dataset("dsprites"), seed=0)  # doctest: +SKIP
    """
    parsed = EncoderSpec.parse(spec)
    adapter = load_adapter(parsed.scheme)
    parameters = inspect.signature(adapter.load).parameters
    settable = [name for name, p in parameters.items() if p.kind is p.KEYWORD_ONLY and name not in CONTEXT]
    for name in parsed.options:
        if name not in settable:
            raise InvalidInputError(
                f"{parsed.scheme} has no option {name!r}{did_you_mean(name, settable)}; "
                f"its options: {', '.join(settable) or 'none'}"
            )
    given = {name: value for name, value in context.items() if name in parameters}
    return adapter.load(parsed.target, **parsed.options, **given)


CONTEXT = ("data", "seed", "trust_pickle")
