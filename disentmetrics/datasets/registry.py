"""Data sets by name: ``NAME[:path][?key=value&...]`` is loaded without a central list.

A data set is a module with two functions: ``info() -> DataSetInfo`` and
``load(target, *, ...) -> DataSet``, where ``target`` is the path of the spec or empty and the
keyword-only parameters are its options. Such modules in this package are found by
themselves, others are entry points of the group ``disentmetrics.datasets`` whose value is a
module. The file ``linear_ica.py`` holds ``linear-ica``. A manifest (TOML) whose name no module
takes is a data set by itself.
"""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import entry_points
from typing import Any
from urllib.parse import parse_qsl

import disentmetrics.datasets
from disentmetrics.datasets.base import DataSet, DataSetInfo
from disentmetrics.datasets.manifest import Manifest, manifests
from disentmetrics.datasets.original import load_original
from disentmetrics.errors import InvalidInputError
from disentmetrics.suggest import did_you_mean

GROUP = "disentmetrics.datasets"
_SPEC = re.compile(r"(?P<name>[\w.-]+)(:(?P<target>.+?))?(\?(?P<query>[^?]*=[^?]*))?", re.DOTALL)


@dataclass(frozen=True)
class DataSetSpec:
    """A data set as named on the command line.

    Examples
    --------
    >>> DataSetSpec.parse("dsprites:/data/dsprites.npz?verify=false")
    DataSetSpec(name='dsprites', target='/data/dsprites.npz', options={'verify': 'false'})
    """

    name: str
    target: str
    options: dict[str, str]

    @classmethod
    def parse(cls, spec: str) -> "DataSetSpec":
        """Split ``NAME[:path][?key=value&...]``; raise InvalidInputError if it is none."""
        match = _SPEC.fullmatch(spec)
        if match is None:
            raise InvalidInputError(
                f"a data set is named NAME[:path][?key=value], such as dsprites:file.npz; got {spec!r}"
            )
        options = dict(parse_qsl(match["query"] or "", keep_blank_values=True))
        return cls(match["name"], match["target"] or "", options)


@dataclass(frozen=True)
class Entry:
    """How a data set is described and loaded."""

    info: Callable[[], DataSetInfo]
    load: Callable[..., DataSet]


def _entry_of(manifest: Manifest) -> Entry:
    return Entry(lambda: manifest.info, partial(load_original, manifest))


def find_datasets() -> dict[str, Entry]:
    """Return every data set there is, by name.

    Raises
    ------
    InvalidInputError
        If an installed package takes a name that is taken.
    """
    found = {manifest.name: _entry_of(manifest) for manifest in manifests()}
    for listed in pkgutil.iter_modules(disentmetrics.datasets.__path__):
        module = importlib.import_module(f"{disentmetrics.datasets.__name__}.{listed.name}")
        if hasattr(module, "info") and hasattr(module, "load"):
            found[listed.name.replace("_", "-")] = Entry(module.info, module.load)
    for entry_point in sorted(entry_points(group=GROUP), key=lambda e: e.name):
        if entry_point.name in found:
            raise InvalidInputError(
                f"the data set name {entry_point.name!r} is taken; uninstall the package of entry point "
                f"{entry_point.name} = {entry_point.value}, or have it choose another name"
            )
        module = entry_point.load()
        found[entry_point.name] = Entry(module.info, module.load)
    return found


def list_datasets() -> list[DataSetInfo]:
    """Describe every data set there is, sorted by name.

    Examples
    --------
    >>> [(d.name, d.space.n_combinations, d.offline) for d in list_datasets() if d.name == "dsprites"]
    [('dsprites', 737280, True)]
    """
    return [entry.info() for _, entry in sorted(find_datasets().items())]


def load_dataset(spec: str, **options: Any) -> DataSet:
    """Load the data set named by ``NAME[:path][?key=value&...]``.

    Parameters
    ----------
    spec : str
        Such as ``dsprites``, ``dsprites?source=original`` or ``dsprites:path/to/file.npz``.
    **options
        More options, as in the spec.

    Returns
    -------
    DataSet

    Raises
    ------
    InvalidInputError
        If the data set or an option is unknown; the message names the nearest one.

    Examples
    --------
    >>> data = load_dataset("dsprites")
    >>> data.space.names, len(data)
    (('shape', 'scale', 'orientation', 'x', 'y'), 737280)
    """
    parsed = DataSetSpec.parse(spec)
    known = find_datasets()
    if parsed.name not in known:
        raise InvalidInputError(
            f"no data set is named {parsed.name!r}{did_you_mean(parsed.name, known)}; "
            f"there are: {', '.join(sorted(known))}"
        )
    twice = sorted(parsed.options.keys() & options.keys())
    if twice:
        raise InvalidInputError(f"an option must be given once; {', '.join(twice)} came twice")
    load = known[parsed.name].load
    return load(parsed.target, **_checked_options(parsed.name, load, {**parsed.options, **options}))


def _checked_options(name: str, load: Callable[..., DataSet], given: Mapping[str, Any]) -> dict[str, Any]:
    parameters = inspect.signature(load).parameters.values()
    settable = {p.name: p for p in parameters if p.kind is p.KEYWORD_ONLY}
    checked = {}
    for key, value in given.items():
        if key not in settable:
            raise InvalidInputError(
                f"data set {name} has no option {key!r}{did_you_mean(key, settable)}; "
                f"its options: {', '.join(settable) or 'none'}"
            )
        is_flag = settable[key].annotation is bool and isinstance(value, str)
        checked[key] = _flag(key, value) if is_flag else value
    return checked


def _flag(key: str, text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise InvalidInputError(f"option {key} must be true or false; got {text!r}")
    return text.lower() == "true"
