"""Methods by name: modules of the package ``methods`` and entry points of installed packages.

Every module in ``methods`` is imported, and each :class:`~.method.Method` in it is available by its name. Other
packages add methods through entry points of the group ``disentmetrics.methods``, whose value is a module or a
``Method``, and whose name is that of the method.
"""

import importlib
import logging
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType

from disentmetrics.errors import InvalidInputError, did_you_mean, one_line
from disentmetrics_reference_models import methods
from disentmetrics_reference_models.training.method import Method

GROUP = "disentmetrics.methods"
logger = logging.getLogger("disentmetrics")


@dataclass
class _Registry:
    """Usable methods by name, and why other entry points cannot be used."""

    methods: dict[str, Method] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)


@cache
def _registry() -> _Registry:
    registry = _Registry()
    for listed in pkgutil.iter_modules(methods.__path__):
        module = importlib.import_module(f"{methods.__name__}.{listed.name}")
        registry.methods |= {declared.name: declared for declared in _methods_in(module)}
    for entry_point in sorted(entry_points(group=GROUP), key=lambda e: (e.name, e.value)):
        try:
            _add(registry, entry_point)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a faulty package must not disable the other methods
            failure = error if isinstance(error, InvalidInputError) else _faulty(entry_point, error)
            registry.failures[entry_point.name] = str(failure)
            logger.warning("%s", failure)
    registry.methods = dict(sorted(registry.methods.items()))
    return registry


def _methods_in(module: ModuleType) -> Iterator[Method]:
    return (value for value in vars(module).values() if isinstance(value, Method))


def _add(registry: _Registry, entry_point: EntryPoint) -> None:
    loaded = entry_point.load()
    added = {m.name: m for m in ([loaded] if isinstance(loaded, Method) else _methods_in(loaded))}
    if not added:
        raise TypeError("it declares no method with @method")
    for name, declared in added.items():
        if registry.methods.setdefault(name, declared) is not declared:
            raise InvalidInputError(
                f"the method name {name!r} of entry point {entry_point.name} = {entry_point.value} is already in use; "
                f"uninstall the package {_package(entry_point)!r} or rename its method"
            )


def _faulty(entry_point: EntryPoint, error: BaseException) -> InvalidInputError:
    return InvalidInputError(
        f"the method {entry_point.name!r} of the package {_package(entry_point)!r} must be a Method, or a module that "
        f"declares one; loading it failed with {one_line(error)}; fix or uninstall the package"
    )


def _package(entry_point: EntryPoint) -> str:
    return entry_point.dist.name if entry_point.dist else entry_point.module


def find_methods() -> Mapping[str, Method]:
    """Return all available methods by name, in alphabetical order.

    A package whose entry point cannot be used is reported by a logged warning and left out.
    """
    return _registry().methods


def find_method(name: str) -> Method:
    """Return the method of this name.

    Raises
    ------
    InvalidInputError
        If there is none (the message names the nearest one), or the package that provides it cannot be used.
    """
    registry = _registry()
    if name in registry.methods:
        return registry.methods[name]
    if name in registry.failures:
        raise InvalidInputError(registry.failures[name])
    raise InvalidInputError(
        f"no method is named {name!r}{did_you_mean(name, registry.methods)}; "
        f"available methods: {', '.join(registry.methods)}"
    )
