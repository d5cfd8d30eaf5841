"""Layouts of published files, read in chunks and without unpickling."""

import gzip
import math
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from disentmetrics.datasets.published.manifest import ManifestFile
from disentmetrics.errors import CorruptFileError, DisentmetricsError, UntrustedFileError

Stream = IO[bytes] | gzip.GzipFile
BROKEN = (
    zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, KeyError, ValueError, RuntimeError,
)  # fmt: skip
"""Exceptions that reading a damaged file can raise."""

_CHUNK_BYTES = 1 << 24  # bytes
_TEXT_BYTES = bytes([*b"\t\n\r", *range(32, 127), *range(128, 256)])
_MAX_CHUNK_BYTES = 1 << 28  # bytes


@dataclass(frozen=True, kw_only=True)
class Content:
    """Content of an open file.

    Attributes
    ----------
    shape, dtype
        Shape and type of the array of all images.
    blocks : iterator of (n, n_values) ndarray
        Consecutive images, each flattened; can be iterated once.
    labels : ndarray or None
        Factors of each image, if the file contains them.
    factor_names : tuple of str or None
        Names of the factors along the axes of the array, if the file contains them.
    offset : int or None
        Byte offset of the uncompressed images in the file; None if they are compressed or not contiguous.
    bytes_per_row : int
        Bytes that must be decompressed to read a single image.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    blocks: Iterator[NDArray[Any]]
    labels: NDArray[Any] | None = None
    factor_names: tuple[str, ...] | None = None
    offset: int | None = None
    bytes_per_row: int = 0


def layout_of(path: Path) -> str:
    """Detect the layout of a file by its content, not its name; empty if it is not supported.

    Raises
    ------
    UntrustedFileError
        If the file is a pickle, such as a PyTorch checkpoint.
    """
    import h5py

    if zipfile.is_zipfile(path):
        try:
            with zipfile.ZipFile(path) as archive:
                names = archive.namelist()
        except BROKEN:
            return ""
        if any(name.endswith("data.pkl") for name in names):
            raise _pickled(path)
        return "npz" if any(name.endswith(".npy") for name in names) else "zip"
    if h5py.is_hdf5(path):
        return "hdf5"
    with path.open("rb") as file:
        start = file.read(2)
    if start[:1] == b"\x80" and start[1:] in {b"\x02", b"\x03", b"\x04", b"\x05"}:
        raise _pickled(path)
    return _layout_of_start(_unpacked_start(path))


def _layout_of_start(start: bytes) -> str:
    if start.startswith(np.lib.format.MAGIC_PREFIX):
        return "npy"
    if start[257:262] == b"ustar":
        return "tar"
    if start[:3] == b"\0\0\x08":
        return "idx"
    if start and not start.translate(None, _TEXT_BYTES):
        return "text"
    return "norb" if start[:1] in NORB_TYPES and start[1:4] == b"\x4c\x3d\x1e" else ""


NORB_TYPES = {b"\x51": "<f4", b"\x53": "<f8", b"\x54": "<i4", b"\x55": "u1", b"\x56": "<i2"}
"""First byte of an array in the NORB layout, and the corresponding type of its values."""


def _unpacked_start(path: Path) -> bytes:
    try:
        with gunzipped(path) as file:
            return file.read(512)
    except BROKEN:
        return b""


@contextmanager
def gunzipped(path: Path) -> Iterator[Stream]:
    """Open a file, decompressing it if it is compressed by gzip."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if packed:
            with gzip.open(file) as content:
                yield content
        else:
            yield file


def _pickled(path: Path) -> UntrustedFileError:
    return UntrustedFileError(
        f"{path} is a pickle and was not read, as pickles can execute arbitrary code; if you trust it, convert it to "
        "npy: numpy.save('images.npy', torch.load('images.pth', weights_only=True).numpy())"
    )


@contextmanager
def open_content(path: Path, file: ManifestFile, row_values: int) -> Iterator[Content]:
    """Open a file in a published layout.

    Parameters
    ----------
    path : Path
        Path of the file.
    file : ManifestFile
        Layout and keys of the file.
    row_values : int
        Number of values per image.

    Yields
    ------
    Content

    Raises
    ------
    CorruptFileError
        If the file is damaged or incomplete; also raised while the blocks are iterated.
    UntrustedFileError
        If images or labels are pickled.
    """
    try:
        with LAYOUTS[file.layout](path, file, row_values) as content:
            yield content
    except DisentmetricsError:
        raise
    except BROKEN as error:
        keys = " and ".join(repr(key) for key in (file.images, file.labels) if key)
        raise CorruptFileError(
            f"{path} must be a complete {file.layout} file{f' with {keys}' if keys else ''}; reading it failed: {error}"
        ) from error


@contextmanager
def _npz(path: Path, file: ManifestFile, row_values: int) -> Iterator[Content]:
    with zipfile.ZipFile(path) as archive:
        labels = _member(archive, file.labels, path) if file.labels else None
        names = _member(archive, file.factor_names, path) if file.factor_names else None
        with archive.open(f"{file.images}.npy") as member:
            shape, dtype = _npy_header(member, path)
            yield Content(
                shape=shape,
                dtype=dtype,
                blocks=_npy_blocks(member, shape, dtype, row_values),
                labels=labels,
                factor_names=None if names is None else tuple(str(name) for name in names),
                offset=_offset_of(path, archive.getinfo(f"{file.images}.npy"), member.tell()),
            )


def _member(archive: zipfile.ZipFile, key: str, path: Path) -> NDArray[Any]:
    with archive.open(f"{key}.npy") as member:
        shape, dtype = _npy_header(member, path)
        n_bytes = _small_enough(math.prod(shape) * dtype.itemsize, key)
        return np.frombuffer(_exactly(member, n_bytes), dtype).reshape(shape)


def _small_enough(n_bytes: int, key: str) -> int:
    if n_bytes > _MAX_CHUNK_BYTES:
        raise ValueError(f"{key!r} contains {n_bytes:,} bytes, too many for labels")
    return n_bytes


def _offset_of(path: Path, member: zipfile.ZipInfo, n_header: int) -> int | None:
    if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1:
        return None
    with path.open("rb") as file:
        file.seek(member.header_offset)
        local = file.read(30)  # the last two fields are the lengths of the name and of the extra field
    return (
        member.header_offset
        + len(local)
        + int.from_bytes(local[26:28], "little")
        + int.from_bytes(local[28:30], "little")
        + n_header
    )


@contextmanager
def _npy(path: Path, _: ManifestFile, row_values: int) -> Iterator[Content]:
    with path.open("rb") as member:
        shape, dtype = _npy_header(member, path)
        offset = member.tell()
        n_bytes = offset + math.prod(shape) * dtype.itemsize
        if path.stat().st_size != n_bytes:
            raise ValueError(f"{path.stat().st_size} bytes found, {n_bytes} expected")
        yield Content(shape=shape, dtype=dtype, blocks=_npy_blocks(member, shape, dtype, row_values), offset=offset)


def _npy_header(member: Stream, path: Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(member)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran_order, dtype = read(member)
    if dtype.hasobject:
        raise UntrustedFileError(
            f"{path} must contain numbers, not pickled objects, which can execute arbitrary code; it was not read"
        )
    if fortran_order and len(shape) > 1:
        raise ValueError("arrays must be in C order")
    return shape, dtype


def _npy_blocks(
    member: Stream, shape: tuple[int, ...], dtype: np.dtype[Any], row_values: int
) -> Iterator[NDArray[Any]]:
    n_rows = math.prod(shape) // row_values
    chunk_rows = max(1, _CHUNK_BYTES // (row_values * dtype.itemsize))
    for start in range(0, n_rows, chunk_rows):
        part = (min(chunk_rows, n_rows - start), row_values)
        yield np.frombuffer(_exactly(member, math.prod(part) * dtype.itemsize), dtype).reshape(part)
    if member.read(1):  # reading to the end also makes zipfile verify the checksum
        raise ValueError("there are more bytes than images")


def _exactly(member: Stream, n_bytes: int) -> bytes:
    content = member.read(n_bytes)
    if len(content) != n_bytes:
        raise EOFError(f"{n_bytes - len(content)} bytes are missing")
    return content


@contextmanager
def _hdf5(path: Path, file: ManifestFile, row_values: int) -> Iterator[Content]:
    import h5py

    with h5py.File(path, "r") as store:
        images = store[file.images]
        labels = None
        if file.labels:
            _small_enough(store[file.labels].nbytes, file.labels)
            labels = store[file.labels][:]
        # A chunk can span very many images but few pixels: only reading complete chunks is efficient.
        chunk_rows = images.chunks[0] if images.chunks else 0
        row_bytes = row_values * images.dtype.itemsize
        rows = min(chunk_rows or max(1, _CHUNK_BYTES // row_bytes), max(1, _MAX_CHUNK_BYTES // row_bytes))
        blocks = (images[start : start + rows].reshape(-1, row_values) for start in range(0, len(images), rows))
        is_contiguous = not (images.chunks or images.external or images.is_virtual or store.userblock_size)
        yield Content(
            shape=images.shape,
            dtype=images.dtype,
            blocks=blocks,
            labels=labels,
            offset=images.id.get_offset() if is_contiguous else None,
            bytes_per_row=chunk_rows * row_bytes,
        )


def norb_header(file: Stream) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Read the header of an array in the NORB layout: four bytes of type, then the axis lengths as int32.

    Raises
    ------
    ValueError
        If the file does not start with such a header.
    """
    magic, n_axes = _exactly(file, 4), int.from_bytes(_exactly(file, 4), "little")
    if magic[:1] not in NORB_TYPES or magic[1:] != b"\x4c\x3d\x1e" or not 0 < n_axes < 8:
        raise ValueError("it does not start with the header of a smallNORB file")
    lengths = np.frombuffer(_exactly(file, 4 * max(3, n_axes)), "<i4")[:n_axes]
    if (lengths < 0).any():
        raise ValueError("lengths of axes must not be negative")
    return tuple(lengths.tolist()), np.dtype(NORB_TYPES[magic[:1]])


@contextmanager
def _norb(path: Path, _: ManifestFile, row_values: int) -> Iterator[Content]:
    with gunzipped(path) as member:
        shape, dtype = norb_header(member)
        yield Content(shape=shape, dtype=dtype, blocks=_npy_blocks(member, shape, dtype, row_values))


LAYOUTS: dict[str, Callable[[Path, ManifestFile, int], AbstractContextManager[Content]]] = {
    "npz": _npz, "npy": _npy, "hdf5": _hdf5, "norb": _norb,
}  # fmt: skip
