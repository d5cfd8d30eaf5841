"""Where observations are read from, row by row: arrays, memory maps, HDF5, or anything that can ``take``."""

import mmap
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from disentmetrics.errors import CorruptFileError, InvalidInputError

_CHANNELS = (1, 3)  # grey, RGB


@runtime_checkable
class Observations(Protocol):
    """Rows of observations, read as they are asked for.

    Attributes
    ----------
    shape : tuple of int
        (n_rows, height, width, channels) for images, of 1 or 3 channels, (n_rows, n_values) for vectors.
    dtype : numpy.dtype
        uint8 for images, real numbers for vectors.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of rows, then the shape of one."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""

    def take(self, rows: NDArray[np.int64], /) -> NDArray[Any]:
        """Return these rows, in this order, as (len(rows), ...)."""


class ArrayRows:
    """Rows of an array in memory, or of a memory map, which travels to other processes as the name of its file."""

    def __init__(self, array: NDArray[Any]) -> None:
        self._array = array
        self.shape: tuple[int, ...] = array.shape
        self.dtype: np.dtype[Any] = array.dtype

    def take(self, rows: NDArray[np.int64], /) -> NDArray[Any]:
        """Return these rows."""
        return np.asarray(self._array[rows])

    def __reduce__(self) -> tuple[Any, ...]:
        mapped = self._array
        # A part of a memory map has the offset of the whole, so that only a whole one can be opened again.
        if isinstance(mapped, np.memmap) and isinstance(mapped.base, mmap.mmap) and mapped.filename:
            order = "C" if mapped.flags.c_contiguous else "F"
            return _map_again, (str(mapped.filename), mapped.dtype.str, mapped.offset, mapped.shape, order)
        return type(self), (mapped,)


def _map_again(path: str, dtype: str, offset: int, shape: tuple[int, ...], order: Any) -> ArrayRows:
    return ArrayRows(np.memmap(path, dtype, "r", offset, shape, order))


class Hdf5Rows:
    """Rows of an HDF5 data set; another process opens the file again."""

    def __init__(self, stored: Any) -> None:
        self._stored = stored
        self.shape: tuple[int, ...] = stored.shape
        self.dtype: np.dtype[Any] = stored.dtype

    def take(self, rows: NDArray[np.int64], /) -> NDArray[Any]:
        """Return these rows."""
        distinct, back = np.unique(rows, return_inverse=True)  # HDF5 reads rows in ascending order, each once
        block = np.empty((len(distinct), *self.shape[1:]), self.dtype)
        # Stretches of rows are read one by one: h5py takes a list of rows ten times slower.
        starts = np.flatnonzero(np.diff(distinct, prepend=-2) != 1)
        try:
            for start, end in zip(starts, np.append(starts[1:], len(distinct)), strict=True):
                block[start:end] = self._stored[int(distinct[start]) : int(distinct[end - 1]) + 1]
        except (OSError, ValueError, RuntimeError) as error:
            raise CorruptFileError(
                f"the rows of {self._stored!r} must be readable; reading them failed: {error}"
            ) from error
        return np.asarray(block[back.ravel()])

    def __reduce__(self) -> tuple[Any, ...]:
        return _open_again, (self._stored.file.filename, self._stored.name)


def _open_again(path: str, name: str) -> Hdf5Rows:
    import h5py

    return Hdf5Rows(h5py.File(path, "r")[name])


def as_observations(given: Any) -> Observations:
    """Return what ``given`` holds as rows to be read, after checking shape and type.

    Parameters
    ----------
    given : array, memory map, h5py.Dataset, list or Observations
        Images are uint8 of shape (n, height, width, 1 or 3), vectors real of shape (n, n_values).

    Raises
    ------
    InvalidInputError
        If it is neither, or has no row.

    Examples
    --------
    >>> as_observations(np.zeros((5, 8, 8, 3), np.uint8)).shape
    (5, 8, 8, 3)
    """
    import h5py

    if isinstance(given, h5py.Dataset):
        rows: Observations = Hdf5Rows(given)
    elif isinstance(given, np.ndarray) or not isinstance(given, Observations):
        rows = ArrayRows(_as_array(given))
    else:
        rows = given
    _check(rows.shape, rows.dtype)
    return rows


def _as_array(given: Any) -> NDArray[Any]:
    if isinstance(given, str | Path):
        raise InvalidInputError(
            f"observations must be an array; got the text {str(given)!r}; for images see from_folder"
        )
    if isinstance(given, np.ma.MaskedArray) and np.ma.is_masked(given):
        raise InvalidInputError("observations must not hide values under a mask; fill them, or leave these rows out")
    try:
        return given if isinstance(given, np.ndarray) else np.asarray(given)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InvalidInputError(f"observations must be an array, one row each; {error}") from error


def _refuse_channels(shape: tuple[int, ...]) -> None:
    if shape[1] in _CHANNELS:
        raise InvalidInputError(
            f"images must have their channels last, (n, height, width, channels); got shape {tuple(shape)}; "
            "give images.transpose(0, 2, 3, 1)"
        )
    n_channels = shape[3]
    fix = "the values as vectors, images.reshape(len(images), -1)"
    if n_channels in {2, 4}:
        fix = f"images[..., :{n_channels - 1}] where the last is transparency, or {fix}"
    raise InvalidInputError(
        f"images must have 1 channel (grey) or 3 (RGB); got {n_channels} channels, shape {tuple(shape)}; give {fix}"
    )


def _check(shape: tuple[int, ...], dtype: Any) -> None:
    if not isinstance(dtype, np.dtype):
        raise InvalidInputError(f"observations must have a dtype of numpy; got {dtype!r}; turn them into a numpy array")
    is_images = len(shape) == 4 and dtype == np.uint8
    is_vectors = len(shape) == 2 and dtype.kind in "iuf"
    if not (is_images or is_vectors):
        why = ""
        if len(shape) == 3 and dtype == np.uint8:
            why = "; give grey images one channel: images[..., None]"
        elif len(shape) == 4 and dtype.kind == "f":
            why = "; if values lie in 0..1, give (255 * images).round().astype('uint8')"
        raise InvalidInputError(
            "observations must be images, uint8 of shape (n, height, width, channels), or vectors, real numbers of "
            f"shape (n, n_values); got {dtype} of shape {tuple(shape)}{why}"
        )
    if is_images and shape[3] not in _CHANNELS and all(shape):
        _refuse_channels(shape)
    if not all(shape):
        raise InvalidInputError(f"there must be at least one observation, and values in it; got shape {tuple(shape)}")
