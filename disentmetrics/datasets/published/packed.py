"""Binary images at one bit per pixel, in memory or in a file with its own checksum."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.cache import atomic_path

WHITE = 255
_CHUNK = 1024  # images unpacked at a time: 4 MiB of 64x64 pixels fit into the CPU cache


def unpack(bits: NDArray[np.uint8], rows: NDArray[np.int64], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Unpack the images at the given rows: black is 0, white is 255.

    Parameters
    ----------
    bits : (n_images, n_pixels / 8) uint8
        Each image packed by ``numpy.packbits``.
    rows : (n,) int64
        Indices of the images.
    shape : tuple of int
        Shape of one image.

    Returns
    -------
    (n, *shape) uint8

    Examples
    --------
    >>> unpack(np.array([[0b11000001]], np.uint8), np.array([0]), (2, 4, 1))[0, ..., 0]
    array([[255, 255,   0,   0],
           [  0,   0,   0, 255]], dtype=uint8)
    """
    images = np.empty((len(rows), *shape), np.uint8)
    pixels = images.reshape(len(rows), 8 * bits.shape[1])
    for start in range(0, len(rows), _CHUNK):
        part = slice(start, start + _CHUNK)
        np.multiply(np.unpackbits(bits[rows[part]], axis=1), WHITE, out=pixels[part])
    return images


def write_packed(path: Path, blocks: Iterable[NDArray[np.uint8]]) -> None:
    """Write packed images followed by their SHA-256, atomically.

    Parameters
    ----------
    path : Path
        Path of the file.
    blocks : iterable of (n, n_pixels / 8) uint8
        Consecutive images.

    Raises
    ------
    StorageError
        If the folder cannot be written or the disk is full.
    """
    digest = hashlib.sha256()
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        for block in blocks:
            content = np.ascontiguousarray(block).data
            digest.update(content)
            file.write(content)
        file.write(digest.digest())


def open_packed(path: Path, n_images: int, n_bytes: int) -> NDArray[np.uint8] | None:
    """Memory-map the images of a file read-only; return None if it is missing, truncated or altered.

    Parameters
    ----------
    path : Path
        File written by ``write_packed``.
    n_images, n_bytes : int
        Expected number of images, and bytes per image.

    Returns
    -------
    (n_images, n_bytes) uint8 or None
    """
    n_content = n_images * n_bytes
    try:
        with path.open("rb") as file:
            if file.seek(0, 2) != n_content + hashlib.sha256().digest_size:
                return None
            file.seek(n_content)
            expected = file.read()
            bits = np.memmap(file, np.uint8, mode="r", shape=(n_images, n_bytes))
    except OSError:  # an unreadable file is treated as missing
        return None
    return bits if hashlib.sha256(bits.data).digest() == expected else None
