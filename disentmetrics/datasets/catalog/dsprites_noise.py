"""dSprites in noise: white sprites before random colours, pixel by pixel."""

import numpy as np
from numpy.typing import NDArray

from disentmetrics.datasets.base import DataSetInfo
from disentmetrics.datasets.catalog._painted_sprites import DSpritesVariant, variant_info
from disentmetrics.datasets.nuisance import random_bits
from disentmetrics.datasets.options import no_target


class NoisyDSprites(DSpritesVariant):
    """The lesser of 1 and sprite plus noise, which is uniform in each pixel and channel.

    As in disentanglement_lib, whose ``NoisyDSprites`` draws new noise at each call and returns
    real numbers; here the noise is a function of the nuisance, in bytes from 0 to 255, all
    equally likely.

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
        """Return the sprites before the noise of their nuisance."""
        bits = random_bits(nuisance, sprites[0].size // 8).astype("<u8", copy=False)
        noise = bits.view(np.uint8).reshape(sprites.shape)
        # A white pixel stays white and a black one shows the noise: the lesser of 1 and their sum.
        return np.maximum(noise, sprites)


def info() -> DataSetInfo:
    """Describe the data set, with licence and citation of dSprites."""
    return variant_info(NoisyDSprites, "dSprites before uniform noise in each pixel and channel")


def load(target: str = "") -> NoisyDSprites:
    """Return dSprites in noise.

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
