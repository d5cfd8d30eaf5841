import hashlib

import numpy as np
import pytest
from scipy import stats

from disentmetrics.datasets import load_dataset
from disentmetrics.datasets.catalog.dsprites import DSprites
from disentmetrics.datasets.catalog.dsprites_color import LEVELS, ColouredDSprites, DSpritesWithColourFactors
from disentmetrics.errors import InvalidInputError

ROWS = np.arange(0, 737_280, 7919)


def test_an_image_is_the_sprite_multiplied_by_one_colour() -> None:
    factors = DSprites.space.indices_of(ROWS)
    images = ColouredDSprites().observations(factors, ROWS)
    colours = images.reshape(len(ROWS), -1, 3).max(axis=1)
    sprites = DSprites().observations(factors) // 255
    assert np.array_equal(images, sprites * colours[:, None, None])


def test_colours_are_uniform_from_half_to_full() -> None:
    nuisance = np.arange(3000)
    factors = np.tile([0, 5, 0, 16, 16], (3000, 1))
    colours = ColouredDSprites().observations(factors, nuisance)[:, 32, 32]
    assert (colours.min(), colours.max()) == (128, 255)
    for channel in colours.T:
        assert stats.kstest(channel, "uniform", (127.5, 127.5)).pvalue > 1e-3
    assert np.abs(np.corrcoef(colours.T) - np.eye(3)).max() < 0.06


def test_colour_factors_are_the_levels() -> None:
    data = load_dataset("dsprites-color?colours=factors")
    assert len(data) == 737_280 * 125
    assert not data.nuisances
    combinations = np.array([[0, 5, 0, 16, 16, r, g, b] for r in range(5) for g in range(5) for b in range(5)])
    colours = data.observations(combinations)[:, 32, 32]
    assert np.array_equal(colours, np.round(255 * np.array(LEVELS)[combinations[:, 5:]] + 1e-9))
    assert len(np.unique(colours, axis=0)) == 125


def test_white_gives_the_sprites_of_dsprites() -> None:
    factors = DSprites.space.indices_of(ROWS)
    white = np.column_stack([factors, np.full((len(ROWS), 3), 4)])
    sprites = DSprites().observations(factors)
    assert np.array_equal(DSpritesWithColourFactors().observations(white), np.repeat(sprites, 3, axis=-1))


@pytest.mark.parametrize(
    ("spec", "digest"),
    [
        ("dsprites-color", "5a4b9bb6eeb7c6f75539a108cfb6b776fddb4ede639f411b74d9f8b911b89c9c"),
        ("dsprites-color?colours=factors", "3500e37d30651a4b7fbb3ec4f20dc6dfb242f537b411a73c1099dcff0f6cc8f7"),
    ],
)
def test_a_fixed_subset_is_the_same_on_every_machine(spec: str, digest: str) -> None:
    data = load_dataset(spec)
    rows = np.linspace(0, len(data) - 1, 100).astype(int)
    images = data.observations(data.space.indices_of(rows), rows)
    assert hashlib.sha256(images.data).hexdigest() == digest


def test_colours_are_a_nuisance_or_factors() -> None:
    assert load_dataset("dsprites-color").fingerprint != load_dataset("dsprites-color?colours=factors").fingerprint
    with pytest.raises(InvalidInputError, match="colours must be nuisance or factors; got 'factor'; did you mean"):
        load_dataset("dsprites-color?colours=factor")
