"""Data sets by name: ``load_dataset("NAME[:path][?key=value&...]")`` without a central list.

A data set is a module with two functions: ``info() -> DataSetInfo`` and ``load(target, *, ...) -> DataSet``, where
``target`` is the path given in the spec (empty if there is none) and the keyword-only parameters are the options of
the data set. Data sets come from three places:

* modules in the folder ``disentmetrics/datasets/catalog``: the file ``linear_ica.py`` defines ``linear-ica``;
* entry points of the group ``disentmetrics.datasets`` in installed packages, each naming a module;
* manifests (TOML files) that describe published files and whose name no module uses.

Each is imported or read only when it is needed, so a broken one affects no other.

Names and values of options are percent-decoded: ``%26`` is an ampersand, ``%3F`` a question mark; ``+`` is literal.
Every data set also has the options of :mod:`disentmetrics.datasets.transforms.spec`, such as ``correlate=x,y,0.8``,
unless it defines an option of the same name.
"""

import inspect
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pkgutil import iter_modules
from types import ModuleType
from typing import Any
from urllib.parse import quote, unquote

from disentmetrics.datasets import catalog
from disentmetrics.datasets.base import DataSet, DataSetInfo
from disentmetrics.datasets.published.dataset import load_published
from disentmetrics.datasets.published.manifest import manifest_names, read_manifest
from disentmetrics.datasets.transforms.spec import TRANSFORM_OPTIONS, apply_option
from disentmetrics.errors import InvalidInputError, did_you_mean, one_line

GROUP = "disentmetrics.datasets"
logger = logging.getLogger("disentmetrics")
_SPEC = re.compile(r"(?P<name>[\w.-]+)(:(?P<target>.+?))?(\?(?P<query>[^?]*=[^?]*))?", re.DOTALL)


@dataclass(frozen=True)
class DataSetSpec:
    """A data set specification as given on the command line.

    Attributes
    ----------
    name : str
        Name of the data set.
    target : str
        Path after the name; empty if there is none.
    options : dict of str to str
        Options of the data set itself.
    steps : tuple of (str, str)
        Options of every data set, in order; each transforms the data set.

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
        """Parse ``NAME[:path][?key=value&...]``.

        Raises
        ------
        InvalidInputError
            If the text is not of this form, or an option is given twice.
        """
        match = _SPEC.fullmatch(spec)
        if match is None:
            raise InvalidInputError(
                f"a data set must be given as NAME[:path][?key=value], such as dsprites:file.npz; got {spec!r}"
            )
        pieces = [piece.partition("=") for piece in (match["query"] or "").split("&") if piece]
        given = [(unquote(key), unquote(value)) for key, _, value in pieces]
        own = [(key, value) for key, value in given if key not in TRANSFORM_OPTIONS]
        _check_unique([key for key, _ in own])
        steps = tuple((key, value) for key, value in given if key in TRANSFORM_OPTIONS)
        return cls(match["name"], match["target"] or "", dict(own), steps)


def _check_unique(options: Sequence[str]) -> None:
    repeated = sorted({option for option in options if options.count(option) > 1})
    if repeated:
        raise InvalidInputError(f"each option must be given once; got {', '.join(repeated)} more than once")


@dataclass(frozen=True)
class Entry:
    """The two functions that define a data set.

    Attributes
    ----------
    info : callable
        Returns the ``DataSetInfo``; instant.
    load : callable
        ``load(target, *, ...)`` returns the ``DataSet``.
    """

    info: Callable[[], DataSetInfo]
    load: Callable[..., DataSet]


class _LazyEntries(Mapping[str, Entry]):
    """Data sets by name. Each is resolved on access, so that a broken one affects no other."""

    def __init__(self, resolvers: Mapping[str, Callable[[], Entry]]) -> None:
        self._resolvers = resolvers

    def __getitem__(self, name: str) -> Entry:
        return self._resolvers[name]()

    def __contains__(self, name: object) -> bool:
        return name in self._resolvers

    def __iter__(self) -> Iterator[str]:
        return iter(self._resolvers)

    def __len__(self) -> int:
        return len(self._resolvers)


def find_datasets() -> Mapping[str, Entry]:
    """Return all available data sets by name, without importing any.

    A data set is imported when its name is looked up. The lookup raises InvalidInputError if the module cannot be
    imported, lacks ``info`` or ``load``, or if an entry point uses a name that is already in use.
    """
    resolvers: dict[str, Callable[[], Entry]] = {name: partial(_manifest_entry, name) for name in manifest_names()}
    for module in iter_modules(catalog.__path__):
        if not module.name.startswith("_"):
            resolvers[module.name.replace("_", "-")] = partial(_catalog_entry, f"{catalog.__name__}.{module.name}")
    for entry_point in sorted(entry_points(group=GROUP), key=lambda e: e.name):
        resolve = _name_in_use if entry_point.name in resolvers else _package_entry
        resolvers[entry_point.name] = partial(resolve, entry_point)
    return _LazyEntries(resolvers)


def _manifest_entry(name: str) -> Entry:
    manifest = read_manifest(name)
    return Entry(lambda: manifest.info, partial(load_published, manifest))


def _catalog_entry(module_name: str) -> Entry:
    file = f"{module_name.rpartition('.')[2]}.py in the folder of data sets"
    return _entry_of(partial(import_module, module_name), file, "fix the file or move it out of the folder")


def _package_entry(entry_point: EntryPoint) -> Entry:
    package = entry_point.dist.name if entry_point.dist else entry_point.module
    described = f"the data set {entry_point.name!r} of the package {package!r}"
    return _entry_of(entry_point.load, described, "fix or uninstall the package")


def _entry_of(load_module: Callable[[], ModuleType], described: str, remedy: str) -> Entry:
    """Return the entry of a module; whatever it raises becomes one InvalidInputError."""
    try:
        module = load_module()
        info, load = module.info(), module.load
    except (Exception, SystemExit) as error:  # third-party code can raise anything
        raise InvalidInputError(
            f"{described} must be an importable module with info() and load(); it raised {one_line(error)}; {remedy}"
        ) from error
    return Entry(lambda: info, load)


def _name_in_use(entry_point: EntryPoint) -> Entry:
    raise InvalidInputError(
        f"data set names must be unique; {entry_point.name!r} is already in use: uninstall the package of the entry "
        f"point {entry_point.name} = {entry_point.value}, or rename it"
    )


def list_datasets() -> list[DataSetInfo]:
    """Describe all available data sets, sorted by name; broken ones are skipped with a warning in the log.

    Examples
    --------
    >>> [(d.name, d.space.n_combinations, d.offline) for d in list_datasets() if d.name == "dsprites"]
    [('dsprites', 737280, True)]
    """
    entries = find_datasets()
    infos = []
    for name in sorted(entries):
        try:
            infos.append(entries[name].info())
        except InvalidInputError as error:
            logger.warning("%s", error)
    return infos


def load_dataset(spec: str, **options: Any) -> DataSet:
    """Load a data set by name.

    Parameters
    ----------
    spec : str
        ``NAME[:path][?key=value&...]``, such as ``dsprites``, ``dsprites?source=original`` or
        ``dsprites:path/to/file.npz``. The available names are those of :func:`list_datasets`.
    **options
        Further options, applied after those in ``spec``.

    Returns
    -------
    DataSet

    Raises
    ------
    InvalidInputError
        If the data set or an option does not exist; the message suggests the closest name.

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
    given = [*parsed.options.items(), *parsed.steps, *options.items()]
    own = [(key, value) for key, value in given if key in settable or key not in TRANSFORM_OPTIONS]
    _check_unique([key for key, _ in own])
    data = load(parsed.target, **_checked_options(parsed.name, settable, dict(own)))
    for key, value in given:
        if key in TRANSFORM_OPTIONS and key not in settable:
            data = apply_option(data, key, value)
    data.spec = _complete_spec(spec, parsed, options)
    return data


def _complete_spec(spec: str, parsed: DataSetSpec, options: Mapping[str, Any]) -> str | None:
    """Return the spec with further options; None if one of them cannot be written as text."""
    if not all(isinstance(value, str | int | float) for value in options.values()):
        return None
    texts = {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in options.items()}
    query = "&".join(f"{quote(key)}={quote(text, safe=',:/')}" for key, text in texts.items())
    separator = "&" if parsed.options or parsed.steps else "?"
    return f"{spec}{separator}{query}" if query else spec


def find_dataset(name: str) -> Entry:
    """Return the ``info`` and ``load`` functions of a data set.

    Raises
    ------
    InvalidInputError
        If no data set has this name (the message suggests the closest one), or its module is broken.
    """
    entries = find_datasets()
    if name not in entries:
        raise InvalidInputError(
            f"no data set is named {name!r}{did_you_mean(name, entries)}; available: {', '.join(sorted(entries))}"
        )
    return entries[name]


def check_options(spec: str) -> None:
    """Check that a data set and its options exist, without loading it.

    Raises
    ------
    InvalidInputError
        See :func:`load_dataset`.

    Examples
    --------
    >>> check_options("dsprites?source=original")
    """
    parsed = DataSetSpec.parse(spec)
    _checked_options(parsed.name, settable_options(find_dataset(parsed.name).load), parsed.options)


def settable_options(load: Callable[..., DataSet]) -> dict[str, inspect.Parameter]:
    """Return the options that a data set defines, by name: the keyword-only parameters of its ``load``."""
    parameters = inspect.signature(load).parameters.values()
    return {p.name: p for p in parameters if p.kind is p.KEYWORD_ONLY}


def _checked_options(name: str, settable: Mapping[str, inspect.Parameter], given: Mapping[str, Any]) -> dict[str, Any]:
    checked = {}
    for key, value in given.items():
        if key not in settable:
            raise InvalidInputError(
                f"data set {name} has no option {key!r}{did_you_mean(key, [*settable, *TRANSFORM_OPTIONS])}; "
                f"its options: {', '.join(settable) or 'none'}; every data set also has: {', '.join(TRANSFORM_OPTIONS)}"
            )
        is_flag = settable[key].annotation is bool and isinstance(value, str)
        checked[key] = _flag(key, value) if is_flag else value
    return checked


def _flag(key: str, text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise InvalidInputError(f"option {key} must be true or false; got {text!r}")
    return text.lower() == "true"
