"""The cache folder, locks between processes, and atomic writes."""

import contextlib
import errno
import hashlib
import logging
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import platformdirs
from filelock import FileLock, Timeout

from disentmetrics.errors import InvalidInputError, StorageError

VARIABLE = "DISENTMETRICS_CACHE"
SECTIONS = ("datasets", "representations")
TAG = "CACHEDIR.TAG"
"""Marks a folder as a cache of disentmetrics; backup programs recognise it too (bford.info/cachedir)."""

_STORAGE_ERRORS = {
    errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG,
    errno.EIO, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ENOENT,
}  # fmt: skip
_TAG_TEXT = "Signature: 8a477f597d28d172789f06886806bc55\n# Made by disentmetrics; safe to delete.\n"
_QUIET_WAIT = 1.0  # seconds before a wait for another process is reported
logger = logging.getLogger("disentmetrics")


def cache_folder() -> Path:
    """Return the cache folder: ``DISENTMETRICS_CACHE``, or the user's cache folder."""
    chosen = os.environ.get(VARIABLE)
    return Path(chosen) if chosen else Path(platformdirs.user_cache_dir("disentmetrics"))


@contextlib.contextmanager
def atomic_path(path: Path, n_bytes: int = 0) -> Iterator[Path]:
    """Yield a temporary path that replaces ``path`` if the block succeeds, and is removed otherwise.

    Parameters
    ----------
    path : Path
        Its folder is created if necessary. A symbolic link is followed. The permissions of an existing file are kept.
    n_bytes : int
        How much will be written, if known, so that a full disk fails before any work.

    Raises
    ------
    InvalidInputError
        If the path exists and is not a file, such as a device.
    StorageError
        If the folder cannot be written or the disk is full; ``path`` is then as before.
    """
    temporary = None
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file() and not path.is_dir():
        raise InvalidInputError(f"output must be a file; {path} is a device or a pipe: name a file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
        temporary = Path(name)
        try:
            _reserve(handle, n_bytes)
        finally:
            os.close(handle)
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(_mode(path))
        temporary.replace(path)
    except (OSError, RuntimeError) as error:
        number = _error_number(error)
        if isinstance(error, StorageError) or number not in _STORAGE_ERRORS:
            raise
        raise StorageError(
            f"{path} could not be written: {os.strerror(number)}; free space or choose another folder"
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _reserve(file: int, n_bytes: int) -> None:
    if not n_bytes or not hasattr(os, "posix_fallocate"):
        return
    try:
        os.posix_fallocate(file, 0, n_bytes)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise  # other errors mean that this file system cannot reserve space
    os.ftruncate(file, 0)


def _error_number(error: Exception) -> int:
    if isinstance(error, OSError) and error.errno:
        return error.errno
    match = re.search(r"errno = (\d+)", str(error))  # RuntimeError of h5py if the disk is full at closing
    return int(match[1]) if match else 0


def _mode(path: Path) -> int:
    """Return the permissions of a file, or those of a new one if it does not exist."""
    with contextlib.suppress(FileNotFoundError):
        return stat.S_IMODE(path.stat().st_mode)
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def sha256_of(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Lock ``path``, in the cache folder, between processes, by a lock file next to it."""
    try:
        _make_section(path)
        lock = FileLock(path.with_name(f"{path.name}.lock"))
        try:
            lock.acquire(timeout=_QUIET_WAIT)
        except Timeout:
            logger.info("waiting for another process that writes %s", path)
            lock.acquire()
    except OSError as error:
        raise StorageError(
            f"the cache folder {path.parent} cannot be written ({error.strerror or error}); "
            f"set {VARIABLE} to a writable folder"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _make_section(path: Path) -> None:
    folder = cache_folder()
    section = folder / path.relative_to(folder).parts[0]
    # Only folders created here are marked: a folder that already had content must never be cleared.
    ours = not (section.is_dir() and any(section.iterdir()))
    path.parent.mkdir(parents=True, exist_ok=True)
    if ours:
        (section / TAG).write_text(_TAG_TEXT, encoding="utf-8")


@dataclass(frozen=True)
class CacheEntry:
    """A file in the cache and its size in bytes."""

    path: Path
    n_bytes: int


def cache_entries() -> list[CacheEntry]:
    """Return the files in the cache, sorted by path; lock files are left out."""
    return sorted(
        (
            CacheEntry(path, path.stat().st_size)
            for section in _own_sections()
            for path in section.rglob("*")
            if path.is_file() and path.suffix != ".lock" and path.name != TAG
        ),
        key=lambda entry: entry.path,
    )


def clear_cache() -> int:
    """Delete all files that disentmetrics wrote to the cache folder; return the number of bytes freed.

    Folders that were not created by disentmetrics are left alone.
    """
    before = sum(entry.n_bytes for entry in cache_entries())
    for section in _own_sections():
        for path in section.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name != TAG:
                with contextlib.suppress(OSError):
                    path.unlink()
    return before - sum(entry.n_bytes for entry in cache_entries())


def _own_sections() -> list[Path]:
    sections = (cache_folder() / section for section in SECTIONS)
    return [section for section in sections if section.is_dir() and (_is_ours_by_name() or (section / TAG).is_file())]


def _is_ours_by_name() -> bool:
    return not os.environ.get(VARIABLE)
