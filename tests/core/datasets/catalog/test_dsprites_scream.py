import hashlib

import numpy as np
import pytest
from numpy.typing import NDArray

from disentmetrics.datasets import load_dataset
from disentmetrics.datasets.catalog.dsprites import DSprites
from disentmetrics.datasets.catalog.dsprites_scream import HEIGHT, WIDTH, ScreamDSprites, painting
from disentmetrics.datasets.nuisance import choice, uniform

ROWS = np.arange(0, 737_280, 7919)
FACTORS = DSprites.space.indices_of(ROWS)


def test_an_image_is_the_mean_of_crop_and_colour_inverted_at_the_sprite() -> None:
    nuisance = ROWS.astype(np.uint64)
    images = ScreamDSprites().observations(FACTORS, nuisance)
    top, left = choice(nuisance, HEIGHT - 63), choice(nuisance, WIDTH - 63, stream=1)
    colours = np.floor(256 * uniform(nuisance, 3, stream=2)).astype(int)
    sprites = DSprites().observations(FACTORS)[..., 0] == 255
    for image, sprite, row, column, colour in zip(images, sprites, top, left, colours, strict=True):
        expected = (painting()[row : row + 64, column : column + 64].astype(int) + colour) // 2
        expected[sprite] = 255 - expected[sprite]
        assert np.array_equal(image, expected)


def test_every_part_of_the_painting_is_used() -> None:
    nuisance = np.arange(20_000, dtype=np.uint64)
    assert set(choice(nuisance, HEIGHT - 63)) == set(range(HEIGHT - 63))
    assert set(choice(nuisance, WIDTH - 63, stream=1)) == set(range(WIDTH - 63))


def crops_at(step: int) -> NDArray[np.float64]:
    corners = [(row, column) for row in range(0, HEIGHT - 63, step) for column in range(0, WIDTH - 63, step)]
    return np.array([painting()[r : r + 64, c : c + 64].astype(float) for r, c in corners])


def test_crops_differ_and_none_is_flat() -> None:
    crops = crops_at(64)
    assert crops.std(axis=(1, 2)).mean(axis=1).min() > 8
    distances = np.abs(crops[:, None] - crops[None]).mean(axis=(2, 3, 4))
    assert distances[~np.eye(len(crops), dtype=bool)].min() > 10


def test_strokes_are_mostly_horizontal() -> None:
    light = painting().astype(float).sum(axis=-1)
    across = np.abs(np.diff(light, axis=1)).mean()
    down = np.abs(np.diff(light, axis=0)).mean()
    assert across < 0.7 * down
    assert across < 0.2 * light.std()


def test_the_painting_is_the_same_on_every_machine() -> None:
    assert painting().shape == (HEIGHT, WIDTH, 3)
    assert (
        hashlib.sha256(painting().data).hexdigest()
        == "e947ada39bc7f091cf296e1f0b1f002a48ed1d4e7b4fe208bf8af48f52c926b3"
    )
    with pytest.raises(ValueError, match="read-only"):
        painting()[0] = 0


def test_a_fixed_subset_is_the_same_on_every_machine() -> None:
    images = load_dataset("dsprites-scream").observations(FACTORS, ROWS)
    assert hashlib.sha256(images.data).hexdigest() == "b15c8ca39255fbf202748ead479779ce21463980572eccfed63e608f8fe9ebe1"
