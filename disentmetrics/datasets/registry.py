"""Data sets by name: ``NAME[:path][?key=value&...]`` is loaded without a central list.

A data set is a module with two functions: ``info() -> DataSetInfo`` and
``load(target, *, ...) -> DataSet``, where ``target`` is the path of the spec or empty and the
keyword-only parameters are its options. Names and values of options are percent-decoded: ``%26``
is an ampersand, ``%3F`` a question mark, and ``+`` stays as it is. Such modules in this package are found by
themselves, others are entry points of the group ``disentmetrics.datasets`` whose value is a
module. The file ``linear_ica.py`` holds ``linear-ica``. A manifest (TOML) whose name no module
takes is a data set by itself.

Every data set also has the options of ``derivations.py``, such as ``correlate=x,y,0.8``; one of
its own of the same name goes before.
"""

import importlib
import inspect
import logging
import pkgutil
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from typing import Any
from urllib.parse import unquote

from disentmetrics.datasets import catalog
from disentmetrics.datasets.base import DataSet, DataSetInfo
from disentmetrics.datasets.published.dataset import load_published
from disentmetrics.datasets.published.manifest import Manifest, manifests
from disentmetrics.datasets.transforms.spec import DERIVATIONS, derived
from disentmetrics.errors import InvalidInputError, did_you_mean

GROUP = "disentmetrics.datasets"
logger = logging.getLogger("disentmetrics")
_SPEC = re.compile(r"(?P<name>[\w.-]+)(:(?P<target>.+?))?(\?(?P<query>[^?]*=[^?]*))?", re.DOTALL)


@dataclass(frozen=True)
class DataSetSpec:
    """A data set as named on the command line.

    Examples
    --------
    >>> DataSetSpec.parse("dsprites:/data/dsprites.npz?verify=false")
    DataSetSpec(name='dsprites', target='/data/dsprites.npz', options={'verify': 'false'}, steps=())
    >>> DataSetSpec.parse("dsprites?select=x:0-7&correlate=x,y,0.8").steps
    (('select', 'x:0-7'), ('correlate', 'x,y,0.8'))
    """

    name: str
    target: str
    options: dict[str, str]
    steps: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, spec: str) -> "DataSetSpec":
        """Split ``NAME[:path][?key=value&...]``; raise InvalidInputError if it is none."""
        match = _SPEC.fullmatch(spec)
        if match is None:
            raise InvalidInputError(
                f"a data set is named NAME[:path][?key=value], such as dsprites:file.npz; got {spec!r}"
            )
        pieces = [piece.partition("=") for piece in (match["query"] or "").split("&") if piece]
        given = [(unquote(key), unquote(value)) for key, _, value in pieces]
        own = [(key, value) for key, value in given if key not in DERIVATIONS]
        _check_once([key for key, _ in own])
        steps = tuple((key, value) for key, value in given if key in DERIVATIONS)
        return cls(match["name"], match["target"] or "", dict(own), steps)


def _check_once(options: Sequence[str]) -> None:
    twice = sorted({option for option in options if options.count(option) > 1})
    if twice:
        raise InvalidInputError(f"an option must be given once; {', '.join(twice)} came twice")


@dataclass(frozen=True)
class Entry:
    """How a data set is described and loaded."""

    info: Callable[[], DataSetInfo]
    load: Callable[..., DataSet]


def _entry_of(manifest: Manifest) -> Entry:
    return Entry(lambda: manifest.info, partial(load_published, manifest))


class _Found(Mapping[str, Entry]):
    """Data sets by name, each looked up when it is asked for, so that a broken package stops no other."""

    def __init__(self, lookups: Mapping[str, Callable[[], Entry]]) -> None:
        self._lookups = lookups

    def __getitem__(self, name: str) -> Entry:
        return self._lookups[name]()

    def __contains__(self, name: object) -> bool:
        return name in self._lookups

    def __iter__(self) -> Iterator[str]:
        return iter(self._lookups)

    def __len__(self) -> int:
        return len(self._lookups)


def find_datasets() -> Mapping[str, Entry]:
    """Return every data set there is, by name.

    A package of others is imported when its data set is looked up, which raises InvalidInputError if it
    cannot be imported, lacks ``info`` or ``load``, or two packages claim one name.
    """
    found = {manifest.name: _entry_of(manifest) for manifest in manifests()}
    for listed in pkgutil.iter_modules(catalog.__path__):
        module = importlib.import_module(f"{catalog.__name__}.{listed.name}")
        if hasattr(module, "info") and hasattr(module, "load"):
            found[listed.name.replace("_", "-")] = Entry(module.info, module.load)
    lookups: dict[str, Callable[[], Entry]] = {name: partial(_itself, entry) for name, entry in found.items()}
    for entry_point in sorted(entry_points(group=GROUP), key=lambda e: e.name):
        lookup = _refused if entry_point.name in lookups else _entry_of_package
        lookups[entry_point.name] = partial(lookup, entry_point)
    return _Found(lookups)


def _itself(entry: Entry) -> Entry:
    return entry


def _refused(entry_point: EntryPoint) -> Entry:
    raise InvalidInputError(
        f"the data set name {entry_point.name!r} is taken; uninstall the package of entry point "
        f"{entry_point.name} = {entry_point.value}, or have it choose another name"
    )


def _entry_of_package(entry_point: EntryPoint) -> Entry:
    try:
        module = entry_point.load()
        described = module.info()
        return Entry(lambda: described, module.load)
    except Exception as error:  # whatever others wrote must not end in a traceback
        package = entry_point.dist.name if entry_point.dist else entry_point.module
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise InvalidInputError(
            f"the data set {entry_point.name!r} of the package {package!r} must be a module with info() and load() "
            f"that can be imported; it raised {reason}; mend or uninstall the package"
        ) from error


def list_datasets() -> list[DataSetInfo]:
    """Describe every data set there is, sorted by name; one that is broken is left out with a remark.

    Examples
    --------
    >>> [(d.name, d.space.n_combinations, d.offline) for d in list_datasets() if d.name == "dsprites"]
    [('dsprites', 737280, True)]
    """
    found = find_datasets()
    infos = []
    for name in sorted(found):
        try:
            infos.append(found[name].info())
        except InvalidInputError as error:
            logger.warning("%s", error)
    return infos


def load_dataset(spec: str, **options: Any) -> DataSet:
    """Load the data set named by ``NAME[:path][?key=value&...]``.

    Parameters
    ----------
    spec : str
        Such as ``dsprites``, ``dsprites?source=original`` or ``dsprites:path/to/file.npz``.
    **options
        More options, as in the spec, after those of the spec.

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
    >>> load_dataset("dsprites?select=shape:heart,x:0-15&correlate=x,y,0.8").fingerprint
    'dsprites-1+select(shape=2,x=0-15)+correlate(x,y,0.8)'
    """
    parsed = DataSetSpec.parse(spec)
    load = find_dataset(parsed.name).load
    settable = settable_options(load)
    every = [*parsed.options.items(), *parsed.steps, *options.items()]
    own = [(key, value) for key, value in every if key in settable or key not in DERIVATIONS]
    _check_once([key for key, _ in own])
    data = load(parsed.target, **_checked_options(parsed.name, settable, dict(own)))
    for key, value in every:
        if key in DERIVATIONS and key not in settable:
            data = derived(data, key, value)
    return data


def find_dataset(name: str) -> Entry:
    """Return how a data set is described and loaded.

    Raises
    ------
    InvalidInputError
        If there is none of this name, which tells the nearest, or its package is broken.
    """
    known = find_datasets()
    if name not in known:
        raise InvalidInputError(
            f"no data set is named {name!r}{did_you_mean(name, known)}; there are: {', '.join(sorted(known))}"
        )
    return known[name]


def check_options(spec: str) -> None:
    """Refuse a spec whose data set or options do not exist, without loading anything.

    Raises
    ------
    InvalidInputError
        As :func:`load_dataset` does.

    Examples
    --------
    >>> check_options("dsprites?source=original")
    """
    parsed = DataSetSpec.parse(spec)
    _checked_options(parsed.name, settable_options(find_dataset(parsed.name).load), parsed.options)


def settable_options(load: Callable[..., DataSet]) -> dict[str, inspect.Parameter]:
    """Return the options of a data set of its own, by name: the keyword-only parameters of its ``load``."""
    parameters = inspect.signature(load).parameters.values()
    return {p.name: p for p in parameters if p.kind is p.KEYWORD_ONLY}


def _checked_options(name: str, settable: Mapping[str, inspect.Parameter], given: Mapping[str, Any]) -> dict[str, Any]:
    checked = {}
    for key, value in given.items():
        if key not in settable:
            raise InvalidInputError(
                f"data set {name} has no option {key!r}{did_you_mean(key, [*settable, *DERIVATIONS])}; "
                f"its options: {', '.join(settable) or 'none'}; those of every data set: {', '.join(DERIVATIONS)}"
            )
        is_flag = settable[key].annotation is bool and isinstance(value, str)
        checked[key] = _flag(key, value) if is_flag else value
    return checked


def _flag(key: str, text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise InvalidInputError(f"option {key} must be true or false; got {text!r}")
    return text.lower() == "true"
