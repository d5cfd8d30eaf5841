"""Layouts of published files, read in pieces and never by unpickling."""

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import h5py
import numpy as np
from numpy.typing import NDArray

from disentmetrics.datasets.manifest import ManifestFile
from disentmetrics.errors import CorruptFileError, DisentmetricsError, UntrustedFileError

_ROWS = 4096


@dataclass(frozen=True)
class Content:
    """What lies in an open file.

    Attributes
    ----------
    shape, dtype
        Of all images together.
    blocks : iterator of ndarray
        Consecutive images; can be gone through once.
    labels : ndarray or None
        Factor indices, if the layout has them.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    blocks: Iterator[NDArray[Any]]
    labels: NDArray[Any] | None


def layout_of(path: Path) -> str:
    """Recognise a layout by content, not by name; empty if it is none we read."""
    if zipfile.is_zipfile(path):
        return "npz"
    return "hdf5" if h5py.is_hdf5(path) else ""


@contextmanager
def opened(path: Path, file: ManifestFile) -> Iterator[Content]:
    """Open a file of a published layout.

    Parameters
    ----------
    path : Path
        The file.
    file : ManifestFile
        Its layout and keys.

    Yields
    ------
    Content

    Raises
    ------
    CorruptFileError
        If the file is broken or something is missing, also while the blocks are read.
    UntrustedFileError
        If images or labels are pickled.
    """
    try:
        with LAYOUTS[file.layout](path, file) as content:
            yield content
    except DisentmetricsError:
        raise
    except (*_BROKEN_ZIP, OSError, KeyError, ValueError, RuntimeError) as error:
        raise CorruptFileError(
            f"{path} must be a whole {file.layout} file with {file.images!r} and {file.labels!r}; "
            f"reading it failed: {error}"
        ) from error


_BROKEN_ZIP = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError)


@contextmanager
def _npz(path: Path, file: ManifestFile) -> Iterator[Content]:
    with zipfile.ZipFile(path) as archive:
        labels = None
        if file.labels:
            with archive.open(f"{file.labels}.npy") as member:
                shape, dtype = _npy_header(member, path)
                labels = np.frombuffer(_exactly(member, _n_bytes(shape, dtype)), dtype).reshape(shape)
        with archive.open(f"{file.images}.npy") as member:
            shape, dtype = _npy_header(member, path)
            yield Content(shape, dtype, _npy_blocks(member, shape, dtype), labels)


def _npy_header(member: IO[bytes], path: Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(member)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran_order, dtype = read(member)
    if dtype.hasobject:
        raise UntrustedFileError(
            f"{path} holds pickled objects where numbers must be, and unpickling could run code; it was not read"
        )
    if fortran_order:
        raise ValueError("arrays must be in C order")
    return shape, dtype


def _npy_blocks(member: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any]) -> Iterator[NDArray[Any]]:
    for start in range(0, shape[0], _ROWS):
        part = (min(_ROWS, shape[0] - start), *shape[1:])
        yield np.frombuffer(_exactly(member, _n_bytes(part, dtype)), dtype).reshape(part)
    if member.read(1):  # reading to the end also makes zipfile compare the checksum
        raise ValueError("there are more bytes than images")


def _n_bytes(shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    return int(np.prod(shape, dtype=np.int64)) * dtype.itemsize


def _exactly(member: IO[bytes], n_bytes: int) -> bytes:
    content = member.read(n_bytes)
    if len(content) != n_bytes:
        raise EOFError(f"{n_bytes - len(content)} bytes are missing")
    return content


@contextmanager
def _hdf5(path: Path, file: ManifestFile) -> Iterator[Content]:
    with h5py.File(path, "r") as store:
        images = store[file.images]
        labels = store[file.labels][:] if file.labels else None
        # A chunk spans very many images but few pixels: only whole chunks are read in good time.
        rows = images.chunks[0] if images.chunks else _ROWS
        blocks = (images[start : start + rows] for start in range(0, len(images), rows))
        yield Content(images.shape, images.dtype, blocks, labels)


LAYOUTS = {"npz": _npz, "hdf5": _hdf5}
