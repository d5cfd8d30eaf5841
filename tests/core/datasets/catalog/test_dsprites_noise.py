import hashlib

import numpy as np
from scipy import stats

from disentmetrics.datasets import load_dataset
from disentmetrics.datasets.catalog.dsprites import DSprites
from disentmetrics.datasets.catalog.dsprites_noise import NoisyDSprites

ROWS = np.arange(0, 737_280, 7919)
FACTORS = DSprites.space.indices_of(ROWS)


def test_the_sprite_is_white_on_uniform_noise() -> None:
    images = NoisyDSprites().observations(FACTORS, ROWS)
    is_sprite = np.repeat(DSprites().observations(FACTORS), 3, axis=-1) == 255
    assert (images[is_sprite] == 255).all()
    counts = np.bincount(images[~is_sprite], minlength=256)
    assert stats.chisquare(counts).pvalue > 1e-3


def test_noise_is_independent_from_pixel_to_pixel_channel_to_channel_and_image_to_image() -> None:
    black = NoisyDSprites().observations(FACTORS, ROWS)[:, :6].astype(float)  # no sprite reaches the edge
    black[DSprites().observations(FACTORS)[:, :6, :, 0] == 255] = np.nan
    for one, other in (
        (black[:, :, 1:], black[:, :, :-1]),
        (black[:, 1:], black[:, :-1]),
        (black[..., 1:], black[..., :-1]),
        (black[1:], black[:-1]),
    ):
        is_background = ~np.isnan(one + other)
        assert abs(np.corrcoef(one[is_background], other[is_background])[0, 1]) < 0.02


def test_another_nuisance_changes_the_noise_but_not_the_sprite() -> None:
    one, other = NoisyDSprites().observations(np.zeros((2, 5), int), [1, 2])
    differ = (one != other).all(axis=-1)
    sprite = DSprites().observations(np.zeros((1, 5), int))[0, ..., 0] == 255
    assert not differ[sprite].any()
    assert differ[~sprite].mean() > 0.98


def test_a_fixed_subset_is_the_same_on_every_machine() -> None:
    images = load_dataset("dsprites-noise").observations(FACTORS, ROWS)
    assert hashlib.sha256(images.data).hexdigest() == "e3e4945fa69c398527362ccb3d8a5f11e6fae69a1c02b8fd54cf54b8b47eaad3"
