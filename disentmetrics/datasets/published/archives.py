"""Individual files in an archive, or in the folder it was unpacked to, read without extracting the archive."""

import tarfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from disentmetrics.datasets.published.layouts import BROKEN
from disentmetrics.errors import CorruptFileError, InvalidInputError

_MAX_FILE_BYTES = 1 << 26


class ArchivedFiles:
    """Files by name, in a zip archive, an uncompressed tar archive or a folder.

    Nothing is extracted, so file names cannot escape a folder. After pickling, the archive is opened again.

    Parameters
    ----------
    path : Path
        The archive or folder.

    Attributes
    ----------
    names : tuple of str
        Names of all files as stored (relative to the folder), sorted.

    Raises
    ------
    CorruptFileError
        If the archive is damaged, or is neither zip nor tar.
    InvalidInputError
        If the path does not exist.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise InvalidInputError(f"{path} must be an archive or a folder; there is none")
        self._path = path
        self._lock = threading.Lock()  # all threads share the read position of the archive
        self._zip: zipfile.ZipFile | None = None
        self._locations: dict[str, Any] = {}
        try:
            self._locations = dict(self._listed())
        except (*BROKEN, tarfile.TarError) as error:
            raise CorruptFileError(f"{path} must be a complete archive; reading it failed: {error}") from error
        self.names = tuple(sorted(self._locations))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._path,)

    def _listed(self) -> Iterator[tuple[str, Any]]:
        if self._path.is_dir():
            files = (path for path in self._path.rglob("*") if path.is_file() and not path.is_symlink())
            yield from ((path.relative_to(self._path).as_posix(), path) for path in files)
        elif zipfile.is_zipfile(self._path):
            self._zip = zipfile.ZipFile(self._path)
            yield from ((m.filename, m) for m in self._zip.infolist() if not m.is_dir())
        else:
            with tarfile.open(self._path, "r:") as archive:
                yield from ((m.name, (m.offset_data, m.size)) for m in archive if m.isreg() and not m.issparse())
                end = archive.offset
            with self._path.open("rb") as file:
                file.seek(end)
                if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):  # tarfile accepts a truncated archive
                    raise EOFError("it is truncated")

    def read(self, name: str) -> bytes:
        """Return the content of a file.

        Raises
        ------
        CorruptFileError
            If the file is damaged, missing or larger than 64 MiB.
        """
        try:
            content, n_bytes = self._content(self._locations[name])
        except BROKEN as error:
            raise CorruptFileError(f"{name} in {self._path} must be readable; reading it failed: {error}") from error
        if len(content) != n_bytes:
            raise CorruptFileError(f"{name} in {self._path} must have {n_bytes:,} bytes; {len(content):,} were read")
        return content

    def _content(self, location: Any) -> tuple[bytes, int]:
        """Return the content of a file up to the maximum size, and its actual size in bytes."""
        if isinstance(location, Path):
            with location.open("rb") as file:
                return file.read(_MAX_FILE_BYTES), location.stat().st_size
        if self._zip is not None:
            with self._lock, self._zip.open(location) as member:
                return member.read(_MAX_FILE_BYTES), location.file_size
        offset, n_bytes = location
        with self._path.open("rb") as file:
            file.seek(offset)
            return file.read(min(n_bytes, _MAX_FILE_BYTES)), n_bytes
