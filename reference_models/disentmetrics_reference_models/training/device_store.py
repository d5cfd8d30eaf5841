"""Storage of all images of a data set in the memory of a device, which avoids transfers during training."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_CHUNK = 8192
_DEFAULT_LIMIT = 4 << 30  # bytes on devices that do not report their free memory

Images = NDArray[np.uint8]


class DeviceStore:
    """Images in the memory of a device, with one bit per pixel if all are binary and one byte otherwise.

    Parameters
    ----------
    images : callable
        Maps row numbers (n,) to images (n, channels, height, width) uint8.
    n : int
        Number of images.
    device : torch.device

    Examples
    --------
    >>> store = DeviceStore(lambda rows: np.full((len(rows), 1, 8, 8), 255, np.uint8), 100, torch.device("cpu"))
    >>> store.n_bytes, store.at(torch.tensor([[3], [5]])).shape
    (800, torch.Size([2, 1, 1, 8, 8]))
    """

    def __init__(self, images: Callable[[NDArray[np.int64]], Images], n: int, device: torch.device) -> None:
        first = images(np.arange(min(n, 1)))
        self._shape = first.shape[1:]
        pixels = int(np.prod(self._shape))
        chunks = partial(_chunks, images, n)
        self._packed = all(np.isin(chunk, (0, 255)).all() for chunk in chunks())
        width = -(-pixels // 8) if self._packed else pixels
        self._stored = torch.empty((n, width), dtype=torch.uint8, device=device)
        self._shifts = torch.arange(7, -1, -1, dtype=torch.uint8, device=device)
        start = 0
        for chunk in chunks():
            flat = chunk.reshape(len(chunk), -1)
            stored = np.packbits(flat > 0, axis=1) if self._packed else flat
            self._stored[start : start + len(chunk)] = torch.from_numpy(np.ascontiguousarray(stored))
            start += len(chunk)

    @property
    def n_bytes(self) -> int:
        """Memory used on the device, in bytes."""
        return self._stored.numel()

    def at(self, rows: Tensor) -> Tensor:
        """Return the images at these rows, (*rows.shape, channels, height, width) uint8."""
        pixels = self._stored[rows.to(self._stored.device)]
        if self._packed:
            bits = (pixels.unsqueeze(-1) >> self._shifts) & 1
            pixels = (bits * 255).flatten(-2)[..., : int(np.prod(self._shape))]
        return pixels.reshape(*rows.shape, *self._shape)


def _chunks(images: Callable[[NDArray[np.int64]], Images], n: int) -> Iterator[Images]:
    for start in range(0, n, _CHUNK):
        yield images(np.arange(start, min(start + _CHUNK, n)))


def fits_in_memory(n_bytes: int, device: torch.device) -> bool:
    """Return whether the bytes fit into half of the free memory of a device, which leaves the rest for training."""
    if device.type == "cuda":
        return n_bytes <= torch.cuda.mem_get_info(device)[0] // 2
    return n_bytes <= _DEFAULT_LIMIT
