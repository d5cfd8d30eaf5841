"""Image files from untrusted sources, decoded individually on demand."""

import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from disentmetrics.errors import CorruptFileError, InvalidInputError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm"})
"""Extensions of image files."""

MOST_PIXELS = 1 << 26
"""Maximum number of pixels; larger images are rejected before decoding, as a small file can decode to a huge image."""

_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")  # formats whose decoders call no external program
_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, IndexError, OverflowError)
_CHANNELS = {"1": ("L", 1), "L": ("L", 1), "RGB": ("RGB", 3), "P": ("RGB", 3)}


class ImageRows:
    """Image files as rows of equal size, decoded on demand.

    Parameters
    ----------
    names : sequence of str
        Names of the images, in the order of the rows.
    read : callable
        Maps a name to the content of its file; must be picklable.
    size : (height, width), optional
        Size to which images are resized by averaging over pixels; by default all must have the size of the first.

    Attributes
    ----------
    shape : (n, height, width, channels)
        One channel if the first image is grey, three if it is RGB.
    dtype
        uint8.

    Raises
    ------
    InvalidInputError
        If the first image, or later an image that is read, is neither grey nor RGB, contains several frames, or
        differs from the first in size or number of channels.
    CorruptFileError
        If an image is truncated, altered, or larger than 67 million pixels.
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
        """Return the images of the given rows."""
        images = np.empty((len(rows), *self.shape[1:]), np.uint8)
        for image, row in zip(images, rows.tolist(), strict=True):
            name = self.names[row]
            pixels = read_image(name, self._read(name), self._size)
            if pixels.shape != image.shape:
                raise InvalidInputError(
                    f"images must all have the same size and number of channels; {self.names[0]} has {image.shape} "
                    f"and {name} has {pixels.shape}; resize them, or set size if only that differs"
                )
            image[:] = pixels
        return images


def read_image(name: str, content: bytes, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """Decode an image file.

    Parameters
    ----------
    name : str
        Name for error messages.
    content : bytes
        Content of the file.
    size : (height, width), optional
        Size to which the image is resized.

    Returns
    -------
    (height, width, channels) uint8
        One channel for grey images, three for RGB images.

    Raises
    ------
    InvalidInputError
        If the image has transparency, more than 8 bits per channel, or several frames or pages.
    CorruptFileError
        If the file is not an image, is truncated, altered or very large.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
            _check_size(name, image)
            return pixels_of(name, image, size)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(name) from error
    except (InvalidInputError, CorruptFileError):
        raise
    except (*_DAMAGED, UserWarning) as error:  # Pillow warns before it fails; users can turn warnings into errors
        raise CorruptFileError(
            f"{name} must be a complete image ({', '.join(_FORMATS)}); it is truncated, altered or of another format "
            f"({what_failed(error)})"
        ) from error


def what_failed(error: BaseException) -> str:
    """Return Pillow's error message, unless it only shows the buffer that was read."""
    return str(error) if str(error) and "BytesIO" not in str(error) else "unknown format"


def _check_size(name: str, image: Any) -> None:
    if image.width * image.height > MOST_PIXELS:  # from the header: nothing is decoded yet
        raise _too_large(name)


def _too_large(name: str) -> CorruptFileError:
    return CorruptFileError(f"an image must have at most {MOST_PIXELS:,} pixels; {name} has more and was not decoded")


def pixels_of(name: str, image: Any, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """Return the pixels of a Pillow image; see :func:`read_image`."""
    from PIL import Image

    if image.mode not in _CHANNELS or "transparency" in image.info:
        raise InvalidInputError(
            f"images must be grey or RGB with 8 bits per channel and no transparency; {name} has mode "
            f"{image.mode}{' and is transparent' if 'transparency' in image.info else ''}; convert it"
        )
    if getattr(image, "is_animated", False) and image.format != "MPO":  # MPO: a photograph with an embedded preview
        raise InvalidInputError(
            f"an image file must contain a single image; {name} contains several frames or pages; save each to a "
            "separate file"
        )
    mode, n_channels = _CHANNELS[image.mode]
    pixels = image.convert(mode)
    if size is not None and size != (pixels.height, pixels.width):
        pixels = pixels.resize(size[::-1], Image.Resampling.BOX)
    return np.asarray(pixels, np.uint8).reshape(pixels.height, pixels.width, n_channels)


def parse_size(text: str | int | tuple[int, int] | None) -> tuple[int, int] | None:
    """Parse a size: ``64``, ``48x64`` (height x width) or a pair; None if it is empty.

    Examples
    --------
    >>> parse_size("64"), parse_size("48x64"), parse_size("")
    ((64, 64), (48, 64), None)
    """
    if text is None or text == "":  # 0 is invalid and must not be treated as empty
        return None
    parts = text if isinstance(text, tuple) else str(text).lower().split("x")
    numbers = [int(part) if str(part).strip().isdecimal() else 0 for part in parts]
    if len(numbers) not in {1, 2} or not all(1 <= number <= 4096 for number in numbers):
        raise InvalidInputError(
            f"size must be an integer from 1 to 4096, or two of them as height x width; got {text!r}"
        )
    return numbers[0], numbers[-1]
