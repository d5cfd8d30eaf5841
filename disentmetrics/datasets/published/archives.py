"""Files in an archive or in the folder that was unpacked from it, read one by one and never extracted."""

import tarfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from disentmetrics.datasets.published.layouts import BROKEN
from disentmetrics.errors import CorruptFileError, InvalidInputError

_LARGEST = 1 << 26  # bytes of one file


class ArchivedFiles:
    """Files by name, in a zip archive, an uncompressed tar archive or a folder.

    Nothing is extracted, so that no name can lead out of a folder. Another process opens the archive again.

    Parameters
    ----------
    path : Path
        The archive or folder.

    Attributes
    ----------
    names : tuple of str
        Of all files, as stored (from the folder on), sorted.

    Raises
    ------
    CorruptFileError
        If the archive is damaged, or is neither zip nor tar.
    InvalidInputError
        If there is nothing at this path.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise InvalidInputError(f"there must be an archive or a folder at {path}; there is none")
        self._path = path
        self._lock = threading.Lock()  # an archive has one position at which it is read
        self._zip: zipfile.ZipFile | None = None
        self._places: dict[str, Any] = {}
        try:
            self._places = dict(self._listed())
        except (*BROKEN, tarfile.TarError) as error:
            raise CorruptFileError(f"{path} must be a whole archive; reading it failed: {error}") from error
        self.names = tuple(sorted(self._places))

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
                if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):  # tarfile takes any end for the end
                    raise EOFError("it breaks off")

    def read(self, name: str) -> bytes:
        """Return the content of a file; raise CorruptFileError if it is damaged, very large or gone."""
        try:
            content, n_bytes = self._content(self._places[name])
        except BROKEN as error:
            raise CorruptFileError(f"{name} in {self._path} must be readable; reading it failed: {error}") from error
        if len(content) != n_bytes:
            raise CorruptFileError(f"{name} in {self._path} must have {n_bytes:,} bytes; {len(content):,} were read")
        return content

    def _content(self, place: Any) -> tuple[bytes, int]:
        """Return at most so many bytes as a file may have, and how many it has."""
        if isinstance(place, Path):
            with place.open("rb") as file:
                return file.read(_LARGEST), place.stat().st_size
        if self._zip is not None:
            with self._lock, self._zip.open(place) as member:
                return member.read(_LARGEST), place.file_size
        offset, n_bytes = place
        with self._path.open("rb") as file:
            file.seek(offset)
            return file.read(min(n_bytes, _LARGEST)), n_bytes
