"""Sources of observations that are read by row: arrays, memory maps, HDF5, or any object with ``take``."""

import mmap
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from disentmetrics.errors import CorruptFileError, InvalidInputError

_CHANNELS = (1, 3)  # grey, RGB


@runtime_checkable
class Observations(Protocol):
    """Protocol of a source of observations, read by row on demand.

    Attributes
    ----------
    shape : tuple of int
        (n_rows, height, width, channels) for images, of 1 or 3 channels, (n_rows, n_values) for vectors.
    dtype : numpy.dtype
        uint8 for images, real numbers for vectors.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of rows, followed by the shape of one row."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""

    def take(self, rows: NDArray[np.int64], /) -> NDArray[Any]:
        """Return the given rows, in this order, as (len(rows), ...)."""


class ArrayRows:
    """Rows of an array in memory, or of a memory map, which is pickled by its file name."""

    def __init__(self, array: NDArray[Any]) -> None:
        self._array = array
        self.shape: tuple[int, ...] = array.shape
        self.dtype: np.dtype[Any] = array.dtype

    def take(self, rows: NDArray[np.int64], /) -> NDArray[Any]:
        """Return the given rows."""
        return np.asarray(self._array[rows])

    def __reduce__(self) -> tuple[Any, ...]:
        mapped = self._array
        # A slice of a memory map reports the offset of the complete map, so only complete maps can be reopened.
        if isinstance(mapped, np.memmap) and isinstance(mapped.base, mmap.mmap) and mapped.filename:
            order = "C" if mapped.flags.c_contiguous else "F"
            return _reopen_memmap, (str(mapped.filename), mapped.dtype.str, mapped.offset, mapped.shape, order)
        return type(self), (mapped,)


def _reopen_memmap(path: str, dtype: str, offset: int, shape: tuple[int, ...], order: Any) -> ArrayRows:
    return ArrayRows(np.memmap(path, dtype, "r", offset, shape, order))


class Hdf5Rows:
    """Rows of an HDF5 data set, which is pickled by file name and path."""

    def __init__(self, stored: Any) -> None:
        self._stored = stored
        self.shape: tuple[int, ...] = stored.shape
        self.dtype: np.dtype[Any] = stored.dtype

    def take(self, rows: NDArray[np.int64], /) -> NDArray[Any]:
        """Return the given rows."""
        distinct, inverse = np.unique(rows, return_inverse=True)  # HDF5 requires ascending rows without repetition
        block = np.empty((len(distinct), *self.shape[1:]), self.dtype)
        # Runs of consecutive rows are read as slices, which h5py reads ten times faster than a list of rows.
        starts = np.flatnonzero(np.diff(distinct, prepend=-2) != 1)
        try:
            for start, end in zip(starts, np.append(starts[1:], len(distinct)), strict=True):
                block[start:end] = self._stored[int(distinct[start]) : int(distinct[end - 1]) + 1]
        except (OSError, ValueError, RuntimeError) as error:
            raise CorruptFileError(
                f"the rows of {self._stored!r} must be readable; reading them failed: {error}"
            ) from error
        return np.asarray(block[inverse.ravel()])

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen_hdf5, (self._stored.file.filename, self._stored.name)


def _reopen_hdf5(path: str, name: str) -> Hdf5Rows:
    import h5py

    return Hdf5Rows(h5py.File(path, "r")[name])


def as_observations(source: Any) -> Observations:
    """Wrap an array-like source as ``Observations`` after checking shape and type.

    Parameters
    ----------
    source : array, memory map, h5py.Dataset, list or Observations
        Images are uint8 of shape (n, height, width, 1 or 3), vectors real of shape (n, n_values).

    Raises
    ------
    InvalidInputError
        If the source contains neither images nor vectors, or no row.

    Examples
    --------
    >>> as_observations(np.zeros((5, 8, 8, 3), np.uint8)).shape
    (5, 8, 8, 3)
    """
    import h5py

    if isinstance(source, h5py.Dataset):
        rows: Observations = Hdf5Rows(source)
    elif isinstance(source, np.ndarray) or not isinstance(source, Observations):
        rows = ArrayRows(_as_array(source))
    else:
        rows = source
    _check(rows.shape, rows.dtype)
    return rows


def _as_array(source: Any) -> NDArray[Any]:
    if isinstance(source, str | Path):
        raise InvalidInputError(
            f"observations must be an array; got the text {str(source)!r}; for image files use from_folder"
        )
    if isinstance(source, np.ma.MaskedArray) and np.ma.is_masked(source):
        raise InvalidInputError("observations must not contain masked values; fill them, or remove these rows")
    try:
        return source if isinstance(source, np.ndarray) else np.asarray(source)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InvalidInputError(f"observations must be an array with one row per observation; {error}") from error


def _raise_for_channels(shape: tuple[int, ...]) -> None:
    if shape[1] in _CHANNELS:
        raise InvalidInputError(
            f"images must have their channels last, (n, height, width, channels); got shape {tuple(shape)}; "
            "use images.transpose(0, 2, 3, 1)"
        )
    n_channels = shape[3]
    fix = "the values as vectors, images.reshape(len(images), -1)"
    if n_channels in {2, 4}:
        fix = f"images[..., :{n_channels - 1}] if the last channel is transparency, or {fix}"
    raise InvalidInputError(
        f"images must have 1 channel (grey) or 3 (RGB); got {n_channels} channels, shape {tuple(shape)}; use {fix}"
    )


def _check(shape: tuple[int, ...], dtype: Any) -> None:
    if not isinstance(dtype, np.dtype):
        raise InvalidInputError(f"observations must have a NumPy dtype; got {dtype!r}; convert them to a NumPy array")
    is_images = len(shape) == 4 and dtype == np.uint8
    is_vectors = len(shape) == 2 and dtype.kind in "iuf"
    if not (is_images or is_vectors):
        hint = ""
        if len(shape) == 3 and dtype == np.uint8:
            hint = "; give grey images one channel: images[..., None]"
        elif len(shape) == 4 and dtype.kind == "f":
            hint = "; if values lie in 0..1, use (255 * images).round().astype('uint8')"
        raise InvalidInputError(
            "observations must be images, uint8 of shape (n, height, width, channels), or vectors, real numbers of "
            f"shape (n, n_values); got {dtype} of shape {tuple(shape)}{hint}"
        )
    if is_images and shape[3] not in _CHANNELS and all(shape):
        _raise_for_channels(shape)
    if not all(shape):
        raise InvalidInputError(
            f"there must be at least one observation with at least one value; got shape {tuple(shape)}"
        )
