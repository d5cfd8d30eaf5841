"""The model under test: position and size of a sprite, from the moments of its image."""

import numpy as np
from numpy.typing import NDArray


def encode(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Encode images (n, height, width, 1) as three latents: x, y and size, in pixels."""
    light = images[..., 0] / 255.0
    mass = light.sum(axis=(1, 2))
    x = light.sum(axis=1) @ np.arange(light.shape[2]) / mass
    y = light.sum(axis=2) @ np.arange(light.shape[1]) / mass
    return np.column_stack([x, y, np.sqrt(mass)])
