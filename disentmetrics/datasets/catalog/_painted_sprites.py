"""Base class of the dSprites variants of Locatello et al. (2019): sprites in colour, on noise and on a painting."""

from abc import abstractmethod
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from disentmetrics.datasets.base import DataSet, DataSetInfo
from disentmetrics.datasets.catalog import dsprites
from disentmetrics.datasets.catalog.dsprites import SIDE, SPACE, SYMMETRIES, DSprites

_BATCH_SIZE = 128  # images painted per batch, so that the temporaries fit into the CPU cache
_VARIANTS = "the variants are those of Locatello et al. (2019), Challenging Common Assumptions"
_BIBTEX = """@inproceedings{locatello19,
  author = {Francesco Locatello and Stefan Bauer and Mario Lucic and Gunnar R{\\"a}tsch and Sylvain Gelly
            and Bernhard Sch{\\"o}lkopf and Olivier Bachem},
  title = {Challenging Common Assumptions in the Unsupervised Learning of Disentangled Representations},
  booktitle = {International Conference on Machine Learning},
  year = {2019}
}"""


class DSpritesVariant(DataSet):
    """The sprites of dSprites, painted in three channels; a variant implements :meth:`paint`."""

    space = SPACE
    observation_shape = (SIDE, SIDE, 3)
    symmetries = SYMMETRIES

    def __init__(self) -> None:
        self._sprites = DSprites()

    @abstractmethod
    def paint(
        self, sprites: NDArray[np.uint8], factors: NDArray[np.int64], nuisance: NDArray[np.uint64]
    ) -> NDArray[np.uint8]:
        """Return images (n, 64, 64, 3) of these sprites (n, 64, 64, 3), whose pixels are 0 or 255."""

    def make(self, factors: NDArray[np.int64], nuisance: NDArray[np.uint64]) -> NDArray[np.uint8]:
        """Return the images (n, 64, 64, 3) with these factors and this nuisance."""
        images = np.empty((len(factors), *self.observation_shape), np.uint8)
        for start in range(0, len(factors), _BATCH_SIZE):
            part = slice(start, start + _BATCH_SIZE)
            white = self._sprites.make(factors[part, : len(SPACE)], nuisance[part])
            sprites = np.repeat(white, self.observation_shape[-1], axis=-1)
            images[part] = self.paint(sprites, factors[part], nuisance[part])
        return images

    def prepare(self, *, progress: bool = False) -> None:
        """Render all sprites into the cache folder, see ``DSprites.prepare``."""
        self._sprites.prepare(progress=progress)


def variant_info(variant: type[DSpritesVariant], summary: str, *remarks: str) -> DataSetInfo:
    """Describe a variant: the description of dSprites with the variant's name, summary, nuisances and notes."""
    original = dsprites.info()
    return replace(
        original,
        name=variant.name,
        summary=summary,
        nuisances=variant.nuisances,
        citation=f"{original.citation}; {_VARIANTS}",
        bibtex=f"{original.bibtex.strip()}\n\n{_BIBTEX}",
        remarks=("orientation 0 and orientation 39 are the same image", *remarks),
    )
