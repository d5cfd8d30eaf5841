import hashlib

import numpy as np
import pytest
from hypothesis import given, strategies as st
from PIL import Image

from disentmetrics.datasets.arrays.resize import resized
from disentmetrics.errors import InvalidInputError

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 12, 9, 2), dtype=np.uint8)


def test_the_same_size_is_the_same_image() -> None:
    assert np.array_equal(resized(IMAGES, (12, 9)), IMAGES)


def test_integer_factors_are_means_of_blocks_rounded_half_up() -> None:
    means = IMAGES.reshape(3, 4, 3, 3, 3, 2).mean(axis=(2, 4))
    assert np.array_equal(resized(IMAGES, (4, 3)), np.floor(means + 0.5))
    halves = np.array([[0, 1], [2, 3]], np.uint8)[None, ..., None]
    assert resized(halves, (1, 1)).item() == 2


@given(st.integers(0, 255), st.integers(1, 12), st.integers(1, 9))
def test_a_flat_image_stays_flat(value: int, height: int, width: int) -> None:
    assert (resized(np.full((1, 12, 9, 1), value, np.uint8), (height, width)) == value).all()


@given(st.integers(1, 12), st.integers(1, 9))
def test_the_mean_stays_up_to_rounding(height: int, width: int) -> None:
    small = resized(IMAGES, (height, width))
    assert small.shape == (3, height, width, 2)
    assert np.abs(small.mean(axis=(1, 2)) - IMAGES.mean(axis=(1, 2))).max() <= 0.5


@pytest.mark.parametrize(("old", "new"), [(96, 64), (128, 64), (128, 100)])
def test_it_is_the_box_filter_of_pillow_up_to_rounding(old: int, new: int) -> None:
    image = np.random.default_rng(1).integers(0, 256, (old, old), dtype=np.uint8)
    ours = resized(image[None, ..., None], (new, new))[0, ..., 0].astype(int)
    exact = old % new == 0  # otherwise Pillow uses only whole pixels
    theirs = np.asarray(Image.fromarray(image).resize((new, new), Image.Resampling.BOX)).astype(int)
    if exact:
        assert np.abs(ours - theirs).max() <= 1
    else:
        weights = np.zeros((new, old))
        for j in range(new):
            edges = np.array([j, j + 1]) * old / new
            pixels = np.arange(old)
            weights[j] = np.clip(np.minimum(pixels + 1, edges[1]) - np.maximum(pixels, edges[0]), 0, 1)
        weights /= weights.sum(axis=1, keepdims=True)
        assert np.abs(ours - weights @ image @ weights.T).max() <= 0.5 + 1e-9


def test_bytes_are_the_same_everywhere() -> None:
    image = (np.arange(2 * 96 * 96 * 3) ** 2 % 251).astype(np.uint8).reshape(2, 96, 96, 3)
    assert hashlib.sha256(resized(image, (64, 64)).tobytes()).hexdigest() == FROZEN


FROZEN = "8c1a57c0d28cda2b20e3598e0b837caa1b1e3a9b00ab4d65c6a7b53f7d866576"


@pytest.mark.parametrize("shape", [(13, 9), (12, 10), (0, 9), (-1, 1)])
def test_images_do_not_grow(shape: tuple[int, int]) -> None:
    with pytest.raises(InvalidInputError, match="at most 12 x 9; got"):
        resized(IMAGES, shape)
