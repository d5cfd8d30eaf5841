"""Rows of bytes in files: read in place, or unpacked once into a file with a checksum for each row."""

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
"""Blocks of consecutive rows, each with the index of its first row."""

_DIGEST_BYTES = 16
_SEAL_BYTES = hashlib.sha256().digest_size
_MAX_MEMORY_BYTES = 1 << 29
logger = logging.getLogger("disentmetrics")


class FileRows:
    """Rows stored contiguously in a file, such as those of an array in an uncompressed npz file.

    Rows are read by seeking rather than memory-mapped: pages of a memory map count as memory of the process, so that
    iterating over a large file would seem to occupy all of it. No file is kept open, so instances can be shared
    between threads and processes. A file that changed after it was first opened is rejected.

    Parameters
    ----------
    path : Path
        The file.
    shape : tuple of int
        Number of rows, followed by the shape of one row.
    offset : int
        Byte offset of the first row.

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
        """Return the given rows.

        Raises
        ------
        CorruptFileError
            If the file is missing or was changed meanwhile.
        """
        content = np.empty((len(rows), *self.shape[1:]), np.uint8)
        if content.size:
            try:
                with self._path.open("rb", buffering=0) as file:
                    self._check(file)
                    self._read(file, np.asarray(rows), content.data.cast("B"))
            except OSError as error:
                raise CorruptFileError(f"{self._path} must be readable; {error.strerror or error}") from error
        return content

    def _check(self, file: FileIO) -> None:
        if _state_of(os.fstat(file.fileno())) != self._state:
            raise CorruptFileError(f"{self._path} must not change after it was loaded; it was changed meanwhile")

    def _read(self, file: FileIO, rows: NDArray[np.int64], buffer: memoryview) -> None:
        """Read rows into a buffer, in ascending order and consecutive rows at once."""
        order = np.argsort(rows, kind="stable")
        ascending = rows[order]
        breaks = np.flatnonzero((np.diff(ascending) != 1) | (np.diff(order) != 1)) + 1
        starts = np.concatenate([[0], breaks])
        lengths = np.diff(np.append(starts, len(rows))) * self._row_bytes
        positions = self._offset + ascending[starts] * self._row_bytes
        targets = order[starts] * self._row_bytes
        for position, target, length in zip(positions.tolist(), targets.tolist(), lengths.tolist(), strict=True):
            file.seek(position)
            n_read = 0
            while n_read < length:
                n_more = file.readinto(buffer[target + n_read : target + length])
                if not n_more:
                    raise CorruptFileError(
                        f"{self._path} must not change after it was loaded; it was truncated meanwhile"
                    )
                n_read += n_more


def _state_of(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns


class UnpackedRows(FileRows):
    """Rows of a file written by ``write_unpacked``; each row is verified against its checksum when first read.

    Parameters
    ----------
    path : Path
        The file.
    shape : tuple of int
        Number of rows, followed by the shape of one row.

    Raises
    ------
    CorruptFileError
        If the file is missing, has the wrong size, or its checksums are damaged.
    """

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        super().__init__(path, shape)
        self._digests = self._read_digests()
        self._verified = np.zeros(shape[0], bool)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._path, self.shape)

    def _check(self, file: FileIO) -> None:
        pass  # rows are verified individually

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
            raise CorruptFileError(f"{self._path} must contain {self.shape[0]} rows and their checksums; it does not")
        return np.frombuffer(digests, np.uint8).reshape(-1, _DIGEST_BYTES)

    def take(self, rows: NDArray[np.int64], /) -> NDArray[np.uint8]:
        """Return the given rows.

        Raises
        ------
        CorruptFileError
            If a row does not match its checksum.
        """
        content = super().take(rows)
        for position in np.flatnonzero(~self._verified[rows]).tolist():
            row = rows[position]
            if _digest(content[position]) != self._digests[row].tobytes():
                self._path.unlink(missing_ok=True)
                raise CorruptFileError(
                    f"row {row} of {self._path} must match its checksum; it was altered, so the file was "
                    "deleted; load the data set again"
                )
            self._verified[row] = True
        return content


def write_unpacked(path: Path, shape: tuple[int, ...], blocks: Blocks) -> None:
    """Write rows followed by a checksum of each, atomically.

    Parameters
    ----------
    path : Path
        Path of the file.
    shape : tuple of int
        Number of rows, followed by the shape of one row.
    blocks : iterable of (int, uint8 array)
        Index of the first row of a block, and its consecutive rows; blocks in any order, each row once.

    Raises
    ------
    StorageError
        If the folder cannot be written or the disk is too full for all rows.
    ValueError
        If a row is missing, repeated or out of range.
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
                raise ValueError(f"{shape[0]} rows must be written; got row {start + len(rows) - 1}")
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
    """Return rows from the cache folder, unpacking them first if necessary.

    Parameters
    ----------
    key : str
        Identifier of the exact content.
    shape : tuple of int
        Number of rows, followed by the shape of one row.
    blocks : function
        Returns the blocks for ``write_unpacked``; called only if the rows are not cached.

    Returns
    -------
    Observations
        In memory if the cache cannot be written and the rows have at most 512 MiB.

    Raises
    ------
    StorageError
        If the cache cannot be written and the rows are too large for memory.
    """
    path = cache_folder() / "datasets" / f"{key}.raw"
    try:
        return UnpackedRows(path, shape)
    except CorruptFileError:
        pass  # missing or damaged
    try:
        with locked(path):
            try:
                return UnpackedRows(path, shape)  # another process may have written it meanwhile
            except CorruptFileError:
                write_unpacked(path, shape, blocks())
            return UnpackedRows(path, shape)
    except StorageError as error:
        if math.prod(shape) > _MAX_MEMORY_BYTES:
            raise
        logger.warning("%s; the data are kept in memory instead", error)
    content = np.empty(shape, np.uint8)
    for start, block in blocks():
        content[start : start + len(block)] = block.reshape(len(block), *shape[1:])
    return ArrayRows(content)


def _digest(row: NDArray[np.uint8]) -> bytes:
    return hashlib.sha256(row.data).digest()[:_DIGEST_BYTES]


class PackedRows:
    """Binary images stored at one bit per pixel and returned as bytes: black is 0, white is 255.

    Parameters
    ----------
    bits : (n_images, n_pixels / 8) uint8
        Each image packed by ``numpy.packbits``; an array or a memory map.
    image_shape : tuple of int
        Shape of one image.
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
        """Return the given images."""
        return unpack(self._bits, rows, self.shape[1:])


def _map_bits(path: str, shape: tuple[int, ...], image_shape: tuple[int, ...]) -> PackedRows:
    return PackedRows(np.memmap(path, np.uint8, "r", shape=shape), image_shape)


class JoinedRows:
    """Concatenation of the rows of several sources.

    Parameters
    ----------
    parts : sequence of Observations
        Sources whose rows have the same shape and type.
    """

    def __init__(self, parts: Sequence[Observations]) -> None:
        self._parts = tuple(parts)
        self._starts = np.cumsum([0, *(part.shape[0] for part in self._parts)])
        self.dtype = self._parts[0].dtype
        self.shape = (int(self._starts[-1]), *self._parts[0].shape[1:])

    def take(self, rows: NDArray[np.int64], /) -> NDArray[Any]:
        """Return the given rows."""
        content = np.empty((len(rows), *self.shape[1:]), self.dtype)
        for part, start, end in zip(self._parts, self._starts[:-1], self._starts[1:], strict=True):
            in_part = (rows >= start) & (rows < end)
            content[in_part] = part.take(rows[in_part] - start)
        return content
