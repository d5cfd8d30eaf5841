"""Color-dSprites: each sprite in one colour on a black background (Locatello et al., 2019).

The factors are those of dSprites; the colour is a nuisance, or three more factors (red, green, blue).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from disentmetrics.datasets.base import DataSetInfo
from disentmetrics.datasets.catalog._painted_sprites import DSpritesVariant, variant_info
from disentmetrics.datasets.catalog.dsprites import SIDE, SPACE
from disentmetrics.datasets.nuisance import uniform
from disentmetrics.datasets.options import no_target, one_of
from disentmetrics.factors import Factor, FactorSpace

LEVELS = (0.5, 0.625, 0.75, 0.875, 1.0)
COLOURED_SPACE = FactorSpace((
    *SPACE,
    Factor("red", len(LEVELS), "ordinal", LEVELS),
    Factor("green", len(LEVELS), "ordinal", LEVELS),
    Factor("blue", len(LEVELS), "ordinal", LEVELS),
))  # fmt: skip


def _tinted(sprites: NDArray[np.uint8], colours: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return sprites multiplied by colours (n, 3) in 0..1."""
    levels = np.floor(255 * colours + 0.5).astype(np.uint8)
    # A byte of a sprite is 0 or 255, so a bitwise and multiplies; whole rows are faster than single pixels.
    rows = sprites.reshape(len(sprites), SIDE, -1) & np.tile(levels, (1, SIDE))[:, None]
    return rows.reshape(sprites.shape)


class ColouredDSprites(DSpritesVariant):
    """Each sprite multiplied by one colour, uniform on [0.5, 1]³, as a nuisance.

    As ``ColorDSprites`` of disentanglement_lib, which draws a new colour at each call and returns
    floating-point images; here the colour is a function of the nuisance, and intensities are rounded
    to bytes.

    Examples
    --------
    >>> image = ColouredDSprites().observations([[2, 5, 0, 16, 16]], [7])
    >>> image.shape, [sorted(set(channel.tolist())) for channel in image.reshape(-1, 3).T]
    ((1, 64, 64, 3), [[0, 167], [0, 209], [0, 206]])
    """

    name = "dsprites-color"
    fingerprint = "dsprites-color-1"
    nuisances = ("colour of the sprite",)

    def paint(
        self, sprites: NDArray[np.uint8], factors: NDArray[np.int64], nuisance: NDArray[np.uint64]
    ) -> NDArray[np.uint8]:
        """Return the sprites in the colours given by the nuisance."""
        return _tinted(sprites, 0.5 + 0.5 * uniform(nuisance, 3))


class DSpritesWithColourFactors(DSpritesVariant):
    """Each sprite multiplied by one colour, whose red, green and blue are factors of 5 values from 0.5 to 1.

    After the coloured dSprites of Burgess et al. (2018), *Understanding disentangling in β-VAE*, which
    does not state the number of values per channel; 0.5, 0.625, 0.75, 0.875 and 1 are a choice made here.

    Examples
    --------
    >>> data = DSpritesWithColourFactors()
    >>> len(data), data.observations([[2, 5, 0, 16, 16, 0, 2, 4]])[0, 32, 32]
    (92160000, array([128, 191, 255], dtype=uint8))
    """

    name = "dsprites-color"
    fingerprint = "dsprites-color-1-factors"
    space = COLOURED_SPACE

    def paint(
        self, sprites: NDArray[np.uint8], factors: NDArray[np.int64], nuisance: NDArray[np.uint64]
    ) -> NDArray[np.uint8]:
        """Return the sprites in the colours given by the factors."""
        return _tinted(sprites, np.array(LEVELS)[factors[:, len(SPACE) :]])


def info() -> DataSetInfo:
    """Describe the data set, with licence and citation of dSprites."""
    return variant_info(
        ColouredDSprites,
        "dSprites, each sprite in one random colour; ?colours=factors makes red, green and blue factors",
        "with colours=factors each of red, green and blue has 5 values: a choice, as the paper does not state theirs",
    )


def load(target: str = "", *, colours: str = "nuisance") -> DSpritesVariant:
    """Return dSprites in colour.

    Parameters
    ----------
    target : str
        Must be empty.
    colours : {"nuisance", "factors"}
        Whether the colour is a nuisance, or three more factors.

    Returns
    -------
    DSpritesVariant

    Raises
    ------
    InvalidInputError
        If ``colours`` is neither of these, or a path is given.
    """
    no_target(ColouredDSprites.name, target)
    variants: dict[str, Any] = {"nuisance": ColouredDSprites, "factors": DSpritesWithColourFactors}
    variant: DSpritesVariant = variants[one_of("colours", colours, tuple(variants))]()
    return variant
