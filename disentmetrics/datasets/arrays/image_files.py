"""Image files, read one by one as they are asked for, and never trusted."""

import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from disentmetrics.errors import CorruptFileError, InvalidInputError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm"})
"""Endings of the names of image files."""

MOST_PIXELS = 1 << 26
"""Larger images are refused before they are unpacked: a small file can hold a very large one."""

_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")  # none of these calls another program
_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, IndexError, OverflowError)
_CHANNELS = {"1": ("L", 1), "L": ("L", 1), "RGB": ("RGB", 3), "P": ("RGB", 3)}


class ImageRows:
    """Images of one size, as rows that are read when they are needed.

    Parameters
    ----------
    names : sequence of str
        Of the images, in the order of the rows.
    read : callable
        From a name to the content of its file; it travels to other processes.
    size : (height, width), optional
        What images are resized to, by averaging over pixels; by default all must have the size of the first.

    Attributes
    ----------
    shape : (n, height, width, channels)
        One channel if the first image is grey, three if it has colours.
    dtype
        uint8.

    Raises
    ------
    InvalidInputError
        If the first image, or later one that is taken, is neither grey nor RGB, holds several frames, or is of
        another size or kind than the first.
    CorruptFileError
        If one is truncated, altered, or larger than 67 million pixels.
    """

    dtype: np.dtype[Any] = np.dtype(np.uint8)

    def __init__(
        self, names: Sequence[str], read: Callable[[str], bytes], *, size: tuple[int, int] | None = None
    ) -> None:
        if not names:
            raise InvalidInputError("there must be at least one image; got none")
        self.names = names
        self._read = read
        self._size = size
        self.shape: tuple[int, ...] = (len(names), *read_image(names[0], read(names[0]), size).shape)

    def take(self, rows: NDArray[np.int64], /) -> NDArray[np.uint8]:
        """Read the images at these rows."""
        images = np.empty((len(rows), *self.shape[1:]), np.uint8)
        for image, row in zip(images, rows.tolist(), strict=True):
            name = self.names[row]
            found = read_image(name, self._read(name), self._size)
            if found.shape != image.shape:
                raise InvalidInputError(
                    f"images must have one size and one number of channels; {self.names[0]} has {image.shape} and "
                    f"{name} has {found.shape}; resize them, or give a size if only that differs"
                )
            image[:] = found
        return images


def read_image(name: str, content: bytes, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """Return the image that a file holds.

    Parameters
    ----------
    name : str
        For messages.
    content : bytes
        Of the file.
    size : (height, width), optional
        What it is resized to.

    Returns
    -------
    (height, width, channels) uint8
        One channel for grey images, three for colours.

    Raises
    ------
    InvalidInputError
        If it is transparent, has more than 8 bits a channel, or holds several images: frames or pages.
    CorruptFileError
        If it is no image, truncated, altered or very large.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
            _refuse_large(name, image)
            return pixels_of(name, image, size)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(name) from error
    except (InvalidInputError, CorruptFileError):
        raise
    except (*_DAMAGED, UserWarning) as error:  # Pillow warns before it fails, which some turn into errors
        raise CorruptFileError(
            f"{name} must be a whole image ({', '.join(_FORMATS)}); it is truncated, altered or something else "
            f"({what_failed(error)})"
        ) from error


def what_failed(error: BaseException) -> str:
    """Return what Pillow says of an image, without the buffer that it was read from."""
    return str(error) if str(error) and "BytesIO" not in str(error) else "no known format"


def _refuse_large(name: str, image: Any) -> None:
    if image.width * image.height > MOST_PIXELS:  # as its header says: nothing is unpacked yet
        raise _too_large(name)


def _too_large(name: str) -> CorruptFileError:
    return CorruptFileError(f"an image must have at most {MOST_PIXELS:,} pixels; {name} has more and was not unpacked")


def pixels_of(name: str, image: Any, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """Return the pixels of an image of Pillow, as :func:`read_image` does."""
    from PIL import Image

    if image.mode not in _CHANNELS or "transparency" in image.info:
        raise InvalidInputError(
            f"images must be grey or RGB, 8 bits a channel, without transparency; {name} is of mode "
            f"{image.mode}{' and transparent' if 'transparency' in image.info else ''}; convert it"
        )
    if getattr(image, "is_animated", False) and image.format != "MPO":  # a photograph with a preview beside it
        raise InvalidInputError(
            f"an image file must hold one image; {name} holds several, as an animation or pages; write each to a "
            "file of its own"
        )
    mode, n_channels = _CHANNELS[image.mode]
    pixels = image.convert(mode)
    if size is not None and size != (pixels.height, pixels.width):
        pixels = pixels.resize(size[::-1], Image.Resampling.BOX)
    return np.asarray(pixels, np.uint8).reshape(pixels.height, pixels.width, n_channels)


def parse_size(text: str | int | tuple[int, int] | None) -> tuple[int, int] | None:
    """Return (height, width) from ``64``, ``48x64`` (height x width) or a pair; None for nothing.

    Examples
    --------
    >>> parse_size("64"), parse_size("48x64"), parse_size("")
    ((64, 64), (48, 64), None)
    """
    if text is None or text == "":  # 0 is no size, and must not pass for none
        return None
    parts = text if isinstance(text, tuple) else str(text).lower().split("x")
    numbers = [int(part) if str(part).strip().isdecimal() else 0 for part in parts]
    if len(numbers) not in {1, 2} or not all(1 <= number <= 4096 for number in numbers):
        raise InvalidInputError(f"size must be a whole number from 1 to 4096, or two as height x width; got {text!r}")
    return numbers[0], numbers[-1]
