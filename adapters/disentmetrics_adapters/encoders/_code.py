"""Python objects specified as ``file.py:name`` or ``package.module:name``."""

import contextlib
import functools
import hashlib
import importlib
import importlib.util
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from disentmetrics.errors import EncoderError, InvalidInputError, did_you_mean
from disentmetrics_adapters.encoders._options import existing_file, log


@dataclass(frozen=True)
class NamedObject:
    """The object that a target names, and the module that defines it."""

    value: Any
    module: ModuleType


@contextlib.contextmanager
def named_object(target: str) -> Iterator[NamedObject]:
    """Import the module of ``target`` and yield the object, which must be called inside the block if it is a factory.

    A module file may import modules from its own folder. They are removed from ``sys.modules`` after the block, so that
    two models, each with a module ``networks.py`` next to it, import their own.

    Raises
    ------
    InvalidInputError
        If the target is not of this form, or the module or the name does not exist.
    EncoderError
        If the module raises while it is imported.
    """
    place, _, name = target.rpartition(":")
    if len(place) < 2 or not name.replace(".", "").isidentifier():  # one letter is a Windows drive
        raise InvalidInputError(
            f"the object must be named as file.py:name or package.module:name; got {target!r}, which has no ':name'"
        )
    if place.endswith(".py"):
        file = existing_file(place, "the module file")
        with _neighbours_importable(file.resolve().parent):
            module = _execute(file.resolve())
            yield NamedObject(_attribute(module, name), module)
    else:
        _make_current_folder_importable()
        with _as_encoder_error(place):
            module = _import(place)
        yield NamedObject(_attribute(module, name), module)


@contextlib.contextmanager
def _neighbours_importable(folder: Path) -> Iterator[None]:
    before = set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in set(sys.modules) - before:
            file = getattr(sys.modules[name], "__file__", None)
            if file and folder in Path(file).parents and not _is_installed(Path(file)):
                del sys.modules[name]


def _execute(file: Path) -> ModuleType:
    name = f"{file.stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise InvalidInputError(f"{file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look up their module while they are defined
    with _as_encoder_error(str(file)):
        spec.loader.exec_module(module)
    return module


def _make_current_folder_importable() -> None:
    folder = str(Path.cwd())
    if folder not in sys.path and "" not in sys.path:
        sys.path.insert(0, folder)


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(f"{error.name}.")):
            raise
        raise InvalidInputError(
            f"no module is named {name!r}, neither installed nor in the current folder {Path.cwd()}; "
            "name a file with its suffix, as in my_model.py:build"
        ) from error


@contextlib.contextmanager
def _as_encoder_error(place: str) -> Iterator[None]:
    try:
        yield
    except InvalidInputError:
        raise
    except (Exception, SystemExit) as error:
        raise EncoderError(f"{place} cannot be imported: {type(error).__name__}: {error}") from error


def _attribute(module: ModuleType, name: str) -> Any:
    value: Any = module
    for step in name.split("."):
        if not hasattr(value, step):
            public = [attribute for attribute in dir(value) if not attribute.startswith("_")]
            raise InvalidInputError(
                f"{getattr(module, '__file__', module.__name__)} has no {name!r}{did_you_mean(step, public)}"
            )
        value = getattr(value, step)
    return value


def source_hashes(module: ModuleType) -> list[str]:
    """Return the SHA-256 of the source of a module and of the user code that it depends on.

    Dependencies are the modules in which the values of its global variables are defined, recursively, as far as they
    belong to the same package or are not installed. Imports inside functions are not followed.
    """
    seen: dict[str, str] = {}
    pending = [module]
    while pending:
        current = pending.pop()
        file = getattr(current, "__file__", None)
        if file is None or current.__name__ in seen or not Path(file).is_file():
            continue
        if not _is_user_code(current, module):
            continue
        seen[current.__name__] = hashlib.sha256(Path(file).read_bytes()).hexdigest()
        for value in list(vars(current).values()):
            home = value if isinstance(value, ModuleType) else sys.modules.get(_home(value))
            if home is not None:
                pending.append(home)
    log.debug("source files in the fingerprint: %s", ", ".join(seen))
    return sorted(seen.values())


def _home(value: Any) -> str:
    name = getattr(value, "__module__", None)
    return name if isinstance(name, str) else ""


def _is_user_code(module: ModuleType, root: ModuleType) -> bool:
    package = module.__name__.partition(".")[0]
    if package == root.__name__.partition(".")[0]:
        return True
    return package not in sys.stdlib_module_names and not _is_installed(Path(str(module.__file__)))


@functools.cache
def _is_installed(file: Path) -> bool:
    homes = {Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    parents = set(file.resolve().parents)
    return bool(parents & homes) or any(p.name in {"site-packages", "dist-packages"} for p in parents)
