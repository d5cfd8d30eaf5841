"""The base class of the dSprites variants."""

import numpy as np
from numpy.typing import NDArray

from disentmetrics.datasets.catalog import dsprites
from disentmetrics.datasets.catalog._painted_sprites import DSpritesVariant, variant_info
from disentmetrics.datasets.catalog.dsprites import DSprites


class Inverted(DSpritesVariant):
    """Black sprites on white, brightened by the nuisance."""

    name = "dsprites-inverted"
    fingerprint = "dsprites-inverted-1"
    nuisances = ("brightness",)

    def paint(
        self, sprites: NDArray[np.uint8], factors: NDArray[np.int64], nuisance: NDArray[np.uint64]
    ) -> NDArray[np.uint8]:
        return np.maximum(255 - sprites, nuisance.astype(np.uint8)[:, None, None, None])


def test_sprites_are_painted_in_three_channels_with_their_own_nuisance() -> None:
    rows = np.arange(0, 737_280, 2399)  # more than two batches
    factors, nuisance = DSprites.space.indices_of(rows), (rows % 200).astype(np.uint64)
    images = Inverted().observations(factors, nuisance)
    assert len(images) > 256
    expected = np.where(DSprites().observations(factors) == 255, nuisance[:, None, None, None], 255)
    assert np.array_equal(images, np.repeat(expected, 3, axis=-1))


def test_a_variant_is_described_as_dsprites_with_its_own_name_nuisances_and_notes() -> None:
    original, info = dsprites.info(), variant_info(Inverted, "dSprites, inverted", "a note")
    assert (info.name, info.summary, info.nuisances) == ("dsprites-inverted", "dSprites, inverted", ("brightness",))
    assert (info.space, info.symmetries, info.licence) == (original.space, original.symmetries, original.licence)
    assert info.remarks == ("orientation 0 and orientation 39 are the same image", "a note")
    assert original.citation in info.citation
    assert info.bibtex.count("@") == 2
