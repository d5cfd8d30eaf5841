"""Files that can be made again: where they lie, and how they are written whole or not at all."""

import contextlib
import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import platformdirs
from filelock import FileLock

from disentmetrics.errors import StorageError

VARIABLE = "DISENTMETRICS_CACHE"
SECTIONS = ("datasets", "representations")


def cache_folder() -> Path:
    """Return the cache folder: ``DISENTMETRICS_CACHE``, or the user's cache folder."""
    chosen = os.environ.get(VARIABLE)
    return Path(chosen) if chosen else Path(platformdirs.user_cache_dir("disentmetrics"))


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path that becomes ``path`` if the block ends well, and vanishes if not.

    Raises
    ------
    StorageError
        If the folder cannot be written or the disk is full; ``path`` is then as before.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        _as_readable_as_other_files(temporary)
        temporary.replace(path)
    except OSError as error:
        if isinstance(error, StorageError) or not _is_about_storage(error):
            raise
        raise StorageError(
            f"{path} could not be written: {error.strerror or error}; free space or choose another folder"
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _is_about_storage(error: OSError) -> bool:
    return error.errno in {
        errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG,
        errno.EIO, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ENOENT,
    } or "No space left" in str(error)  # fmt: skip


def _as_readable_as_other_files(path: Path) -> None:
    mask = os.umask(0)
    os.umask(mask)
    path.chmod(0o666 & ~mask)


def sha256_of(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of ``path`` between processes; a file beside it carries the lock."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_name(f"{path.name}.lock"))
        lock.acquire()
    except OSError as error:
        raise StorageError(
            f"the cache folder {path.parent} cannot be written ({error.strerror or error}); "
            f"set {VARIABLE} to a folder of yours"
        ) from error
    try:
        yield
    finally:
        lock.release()


@dataclass(frozen=True)
class CacheEntry:
    """A file or folder of the cache and its size in bytes."""

    path: Path
    n_bytes: int


def cache_entries() -> list[CacheEntry]:
    """List what the cache holds, sorted by path; lock files are not counted."""
    sections = (cache_folder() / section for section in SECTIONS)
    files = (path for section in sections if section.is_dir() for path in section.rglob("*"))
    return [
        CacheEntry(path, path.stat().st_size) for path in sorted(files) if path.is_file() and path.suffix != ".lock"
    ]


def clear_cache() -> int:
    """Delete all that disentmetrics put into the cache folder; return how many bytes became free."""
    freed = sum(entry.n_bytes for entry in cache_entries())
    for section in SECTIONS:
        shutil.rmtree(cache_folder() / section, ignore_errors=True)
    return freed
