"""Noisy-dSprites: white sprites on a background of uniform noise (Locatello et al., 2019).

The factors are those of dSprites; the noise, independent per pixel and channel, is a nuisance.
"""

import numpy as np
from numpy.typing import NDArray

from disentmetrics.datasets.base import DataSetInfo
from disentmetrics.datasets.catalog._painted_sprites import DSpritesVariant, variant_info
from disentmetrics.datasets.nuisance import random_bits
from disentmetrics.datasets.options import no_target


class NoisyDSprites(DSpritesVariant):
    """min(sprite + noise, 1), with uniform noise independent per pixel and channel.

    As ``NoisyDSprites`` of disentanglement_lib, which draws new noise at each call and returns
    floating-point images; here the noise is a function of the nuisance, uniform on the bytes 0 .. 255.

    Examples
    --------
    >>> image = NoisyDSprites().observations([[2, 5, 0, 16, 16]], [7])[0]
    >>> image[32, 32], image[0, 0]
    (array([255, 255, 255], dtype=uint8), array([154, 200,  73], dtype=uint8))
    """

    name = "dsprites-noise"
    fingerprint = "dsprites-noise-1"
    nuisances = ("noise of each pixel and channel",)

    def paint(
        self, sprites: NDArray[np.uint8], factors: NDArray[np.int64], nuisance: NDArray[np.uint64]
    ) -> NDArray[np.uint8]:
        """Return the sprites on the noise given by the nuisance."""
        bits = random_bits(nuisance, sprites[0].size // 8).astype("<u8", copy=False)
        noise = bits.view(np.uint8).reshape(sprites.shape)
        # A sprite's byte is 0 or 255, so the maximum of both equals their sum clipped at 255.
        return np.maximum(noise, sprites)


def info() -> DataSetInfo:
    """Describe the data set, with licence and citation of dSprites."""
    return variant_info(NoisyDSprites, "dSprites on a background of uniform noise per pixel and channel")


def load(target: str = "") -> NoisyDSprites:
    """Return dSprites on noise.

    Parameters
    ----------
    target : str
        Must be empty.

    Returns
    -------
    NoisyDSprites

    Raises
    ------
    InvalidInputError
        If a path is given.
    """
    no_target(NoisyDSprites.name, target)
    return NoisyDSprites()
