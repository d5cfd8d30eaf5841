"""Rows of bytes in files: read where they lie, or unpacked once into a file whose every row vouches for itself."""

import hashlib
import logging
import math
import os
from collections.abc import Callable, Iterable, Sequence
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.cache import atomic_path, cache_folder, locked
from disentmetrics.datasets.arrays.row_sources import ArrayRows, Observations
from disentmetrics.datasets.published.packed import unpack
from disentmetrics.errors import CorruptFileError, StorageError

Blocks = Iterable[tuple[int, NDArray[np.uint8]]]
"""Consecutive rows, and the number of the first of them."""

_DIGEST_BYTES = 16
_SEAL_BYTES = hashlib.sha256().digest_size
_FITS_IN_MEMORY = 1 << 29  # bytes
logger = logging.getLogger("disentmetrics")


class FileRows:
    """Rows that lie one after another in a file, such as those of an array in an uncompressed npz file.

    They are read by seeking: pages of a memory map would count as memory of this process, until a
    walk through a large file holds all of it. No file stays open, so that threads and processes may
    share it; a file that was changed since it was first looked at is refused.

    Parameters
    ----------
    path : Path
        The file.
    shape : tuple of int
        Number of rows, and the shape of one.
    offset : int
        Where the first row begins, in bytes.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "rows"
    ...     _ = path.write_bytes(bytes(range(12)))
    ...     FileRows(path, (3, 3), 3).take(np.array([2, 0]))
    array([[ 9, 10, 11],
           [ 3,  4,  5]], dtype=uint8)
    """

    dtype: np.dtype[Any] = np.dtype(np.uint8)

    def __init__(self, path: Path, shape: tuple[int, ...], offset: int = 0) -> None:
        self._path = path
        self.shape = shape
        self._offset = offset
        self._row_bytes = math.prod(shape[1:])
        self._state = _state_of(path.stat()) if path.exists() else None

    def take(self, rows: NDArray[np.int64], /) -> NDArray[np.uint8]:
        """Return these rows; raise CorruptFileError if the file is gone or was changed meanwhile."""
        found = np.empty((len(rows), *self.shape[1:]), np.uint8)
        if found.size:
            try:
                with self._path.open("rb", buffering=0) as file:
                    self._check(file)
                    self._read(file, np.asarray(rows), found.data.cast("B"))
            except OSError as error:
                raise CorruptFileError(f"{self._path} must be readable; {error.strerror or error}") from error
        return found

    def _check(self, file: FileIO) -> None:
        if _state_of(os.fstat(file.fileno())) != self._state:
            raise CorruptFileError(f"{self._path} must be as it was when it was loaded; it was changed meanwhile")

    def _read(self, file: FileIO, rows: NDArray[np.int64], found: memoryview) -> None:
        order = np.argsort(rows, kind="stable")  # the disk is read in one direction
        ascending = rows[order]
        breaks = np.flatnonzero((np.diff(ascending) != 1) | (np.diff(order) != 1)) + 1
        starts = np.concatenate([[0], breaks])
        lengths = np.diff(np.append(starts, len(rows))) * self._row_bytes
        positions = self._offset + ascending[starts] * self._row_bytes
        places = order[starts] * self._row_bytes
        for position, place, length in zip(positions.tolist(), places.tolist(), lengths.tolist(), strict=True):
            file.seek(position)
            n_read = 0
            while n_read < length:
                n_more = file.readinto(found[place + n_read : place + length])
                if not n_more:
                    raise CorruptFileError(f"{self._path} must be as long as it was; it was cut short meanwhile")
                n_read += n_more


def _state_of(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns


class UnpackedRows(FileRows):
    """Rows of a file written by ``write_unpacked``; each is compared with its checksum when it is first read.

    Parameters
    ----------
    path : Path
        The file.
    shape : tuple of int
        Number of rows, and the shape of one.

    Raises
    ------
    CorruptFileError
        If the file is not there, not of this size, or its checksums are damaged.
    """

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        super().__init__(path, shape)
        self._digests = self._read_digests()
        self._verified = np.zeros(shape[0], bool)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._path, self.shape)

    def _check(self, file: FileIO) -> None:
        pass  # each row has a checksum

    def _read_digests(self) -> NDArray[np.uint8]:
        n_content, n_digests = math.prod(self.shape), self.shape[0] * _DIGEST_BYTES
        try:
            with self._path.open("rb") as file:
                n_bytes = file.seek(0, 2)
                file.seek(n_content)
                digests, seal = file.read(n_digests), file.read(_SEAL_BYTES)
        except OSError as error:
            raise CorruptFileError(f"{self._path} must be readable; {error.strerror or error}") from error
        if n_bytes != n_content + n_digests + _SEAL_BYTES or hashlib.sha256(digests).digest() != seal:
            raise CorruptFileError(f"{self._path} must hold {self.shape[0]} rows and their checksums; it does not")
        return np.frombuffer(digests, np.uint8).reshape(-1, _DIGEST_BYTES)

    def take(self, rows: NDArray[np.int64], /) -> NDArray[np.uint8]:
        """Return these rows; raise CorruptFileError if one is not as it was written."""
        found = super().take(rows)
        for place in np.flatnonzero(~self._verified[rows]).tolist():
            row = rows[place]
            if _digest(found[place]) != self._digests[row].tobytes():
                self._path.unlink(missing_ok=True)
                raise CorruptFileError(
                    f"row {row} of {self._path} must be as it was written; it was altered, so the file was "
                    "deleted; load the data set again"
                )
            self._verified[row] = True
        return found


def write_unpacked(path: Path, shape: tuple[int, ...], blocks: Blocks) -> None:
    """Write rows, then a checksum of each; the file appears whole or not at all.

    Parameters
    ----------
    path : Path
        Where to.
    shape : tuple of int
        Number of rows, and the shape of one.
    blocks : iterable of (int, uint8 array)
        The number of a row, and consecutive rows from there; in any order, but each row once.

    Raises
    ------
    StorageError
        If the folder cannot be written or the disk is too full for all rows.
    ValueError
        If a row is missing, comes twice or is not one of these.
    """
    row_bytes = math.prod(shape[1:])
    digests = np.zeros((shape[0], _DIGEST_BYTES), np.uint8)
    times_written = np.zeros(shape[0], np.int64)
    n_bytes = math.prod(shape) + digests.nbytes + _SEAL_BYTES
    with atomic_path(path, n_bytes) as temporary, temporary.open("wb") as file:
        for start, block in blocks:
            rows = np.ascontiguousarray(block).reshape(len(block), row_bytes)
            times_written[start : start + len(rows)] += 1
            if start + len(rows) > shape[0]:
                raise ValueError(f"{shape[0]} rows must be written; row {start + len(rows) - 1} came")
            file.seek(start * row_bytes)
            file.write(rows.data)
            for row, content in enumerate(rows, start=start):
                digests[row] = np.frombuffer(_digest(content), np.uint8)
        if (times_written != 1).any():
            raise ValueError(f"each of {shape[0]} rows must be written once; {(times_written != 1).sum()} were not")
        file.seek(math.prod(shape))
        file.write(digests.data)
        file.write(hashlib.sha256(digests.data).digest())


def cached_rows(key: str, shape: tuple[int, ...], blocks: Callable[[], Blocks]) -> Observations:
    """Return rows from the cache folder, after writing them there if they are not.

    Parameters
    ----------
    key : str
        Names exactly this content.
    shape : tuple of int
        Number of rows, and the shape of one.
    blocks : function
        Makes what ``write_unpacked`` takes; called if the rows are not in the cache.

    Returns
    -------
    Observations
        In memory if the cache cannot be written and they are less than 512 MiB.

    Raises
    ------
    StorageError
        If the cache cannot be written and there are too many rows to be kept in memory.
    """
    path = cache_folder() / "datasets" / f"{key}.raw"
    try:
        return UnpackedRows(path, shape)
    except CorruptFileError:
        pass  # none, or none that is whole
    try:
        with locked(path):
            try:
                return UnpackedRows(path, shape)  # another process may have been at it
            except CorruptFileError:
                write_unpacked(path, shape, blocks())
            return UnpackedRows(path, shape)
    except StorageError as error:
        if math.prod(shape) > _FITS_IN_MEMORY:
            raise
        logger.warning("%s; the data are kept in memory", error)
    content = np.empty(shape, np.uint8)
    for start, block in blocks():
        content[start : start + len(block)] = block.reshape(len(block), *shape[1:])
    return ArrayRows(content)


def _digest(row: NDArray[np.uint8]) -> bytes:
    return hashlib.sha256(row.data).digest()[:_DIGEST_BYTES]


class PackedRows:
    """Binary images at one bit a pixel; black comes as 0 and white as 255.

    Parameters
    ----------
    bits : (n_images, n_pixels / 8) uint8
        As ``numpy.packbits`` packs each image; an array or a memory map.
    image_shape : tuple of int
        Of one image.
    """

    dtype: np.dtype[Any] = np.dtype(np.uint8)

    def __init__(self, bits: NDArray[np.uint8], image_shape: tuple[int, ...]) -> None:
        self._bits = bits
        self.shape = (len(bits), *image_shape)

    def __reduce__(self) -> tuple[Any, ...]:
        if isinstance(self._bits, np.memmap) and self._bits.filename:
            return _map_bits, (str(self._bits.filename), self._bits.shape, self.shape[1:])
        return type(self), (self._bits, self.shape[1:])

    def take(self, rows: NDArray[np.int64], /) -> NDArray[np.uint8]:
        """Return these images."""
        return unpack(self._bits, rows, self.shape[1:])


def _map_bits(path: str, shape: tuple[int, ...], image_shape: tuple[int, ...]) -> PackedRows:
    return PackedRows(np.memmap(path, np.uint8, "r", shape=shape), image_shape)


class JoinedRows:
    """The rows of several stores, one after another.

    Parameters
    ----------
    parts : sequence of Observations
        Their rows must have one shape and type.
    """

    def __init__(self, parts: Sequence[Observations]) -> None:
        self._parts = tuple(parts)
        self._starts = np.cumsum([0, *(part.shape[0] for part in self._parts)])
        self.dtype = self._parts[0].dtype
        self.shape = (int(self._starts[-1]), *self._parts[0].shape[1:])

    def take(self, rows: NDArray[np.int64], /) -> NDArray[Any]:
        """Return these rows."""
        found = np.empty((len(rows), *self.shape[1:]), self.dtype)
        for part, start, end in zip(self._parts, self._starts[:-1], self._starts[1:], strict=True):
            here = (rows >= start) & (rows < end)
            found[here] = part.take(rows[here] - start)
        return found
