"""An encoder as a separate program, for the ``exec:`` scheme; requires only numpy.

    disentmetrics score "exec:python exec_encoder.py" --data dsprites --samples 2000

It responds to one .npy blob after another until its input ends, so it is started once.
The four latents of an image are its brightness, the centre of its light (row, column) and
the spread of its light.
"""

import io
import math
import sys
from typing import BinaryIO

import numpy as np


def encode(images: np.ndarray) -> np.ndarray:
    """Encode images (n, height, width, channels) as codes (n, 4)."""
    light = images.astype(np.float64).mean(axis=3)
    total = light.sum(axis=(1, 2)) + 1e-9
    rows, columns = np.arange(light.shape[1]), np.arange(light.shape[2])
    row = (light.sum(axis=2) @ rows) / total
    column = (light.sum(axis=1) @ columns) / total
    square = (light.sum(axis=2) @ rows**2 + light.sum(axis=1) @ columns**2) / total
    spread = np.sqrt(np.maximum(square - row**2 - column**2, 0))
    return np.stack([total / light[0].size, row, column, spread], axis=1)


def read_batch(stream: BinaryIO) -> np.ndarray | None:
    """Read one .npy blob; None at the end of the input. (np.load cannot read from a pipe.)"""
    start = stream.read(8)  # magic string and version
    if not start:
        return None
    shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    return np.frombuffer(stream.read(math.prod(shape) * dtype.itemsize), dtype).reshape(shape)


def main() -> None:
    """Respond until the input ends; only .npy blobs may be written to standard output."""
    while (images := read_batch(sys.stdin.buffer)) is not None:
        answer = io.BytesIO()
        np.save(answer, encode(images))
        sys.stdout.buffer.write(answer.getvalue())
        sys.stdout.flush()


if __name__ == "__main__":
    main()
