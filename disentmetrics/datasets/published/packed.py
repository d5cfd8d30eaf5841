"""Binary images at one bit a pixel, in memory or in a file that vouches for itself."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.cache import atomic_path

WHITE = 255
_AT_ONCE = 1024  # images unpacked in one go: 4 MiB of 64x64 pixels stay in the processor's cache


def unpack(bits: NDArray[np.uint8], rows: NDArray[np.int64], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return the images at these rows as bytes, black 0 and white 255.

    Parameters
    ----------
    bits : (n_images, n_pixels / 8) uint8
        As ``numpy.packbits`` packs each image.
    rows : (n,) int64
        Which images.
    shape : tuple of int
        Of one image.

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
    for start in range(0, len(rows), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        np.multiply(np.unpackbits(bits[rows[part]], axis=1), WHITE, out=pixels[part])
    return images


def write_packed(path: Path, blocks: Iterable[NDArray[np.uint8]]) -> None:
    """Write packed images, then the SHA-256 of them; the file appears whole or not at all.

    Parameters
    ----------
    path : Path
        Where to.
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
    """Map the images of a file read-only, or return None if it is not there, short or altered.

    Parameters
    ----------
    path : Path
        Written by ``write_packed``.
    n_images, n_bytes : int
        How many images the file must hold, and the size of one.

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
            promised = file.read()
            bits = np.memmap(file, np.uint8, mode="r", shape=(n_images, n_bytes))
    except OSError:  # a file that cannot be read is as good as none
        return None
    return bits if hashlib.sha256(bits.data).digest() == promised else None
