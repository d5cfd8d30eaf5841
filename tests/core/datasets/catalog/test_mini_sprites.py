import hashlib
from math import cos, pi, sin

import numpy as np
import pytest
from numpy.typing import NDArray

from disentmetrics.datasets import load_dataset
from disentmetrics.datasets.catalog.mini_sprites import SPACE, SYMMETRIES, MiniSprites
from disentmetrics.errors import InvalidInputError


@pytest.fixture(scope="module", params=[16, 32])
def size(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(scope="module")
def images(size: int) -> NDArray[np.uint8]:
    """All images, by the indices of their factors."""
    data = MiniSprites(size)
    return data.observations(data.full_grid().factors).reshape(*SPACE.sizes, size, size)


def test_images_are_equal_exactly_where_a_symmetry_is_declared(images: NDArray[np.uint8]) -> None:
    first = {tuple(row): tuple(row) for row in SPACE.indices_of(np.arange(SPACE.n_combinations)).tolist()}
    for symmetry in SYMMETRIES:
        (shape,) = symmetry.given["shape"]
        for row in first:
            if row[0] == shape and row[2] in symmetry.same:
                first[row] = (*row[:2], symmetry.same[0], *row[3:])
    seen: dict[bytes, tuple[int, ...]] = {}
    for row, representative in first.items():
        assert seen.setdefault(images[row].tobytes(), representative) == representative
    assert len(seen) == len(set(first.values())) == 3 * 49 * (3 + 6 + 12)


def test_a_step_of_position_moves_the_sprite_by_a_sixteenth(images: NDArray[np.uint8], size: int) -> None:
    unit = size // 16
    assert np.array_equal(images[:, :, :, 1:], np.roll(images[:, :, :, :-1], unit, axis=-1))
    assert np.array_equal(images[:, :, :, :, 1:], np.roll(images[:, :, :, :, :-1], unit, axis=-2))


def test_total_intensity_is_the_area_of_the_shape(images: NDArray[np.uint8], size: int) -> None:
    area = images.sum(axis=(-2, -1), dtype=float) / 255 * (16 / size) ** 2
    scales = np.array(SPACE["scale"].values, float)
    for shape, unscaled in enumerate((6.5**2, pi * 4.6 * 2.6, 3.662 * 3.4**2)):  # 3.662: area of the heart curve
        expected = unscaled * scales[:, None] ** 2
        assert np.allclose(area[shape, :, :, 3, 3], expected, rtol=0.02), shape


def test_orientation_is_counter_clockwise(images: NDArray[np.uint8], size: int) -> None:
    ellipses = images[1, 2, :, 3, 3] / 255.0
    y, x = (np.indices((size, size)) + 0.5) / size - 0.5
    for k, ellipse in enumerate(ellipses):
        angle = 2 * pi * k / 12
        along, across = x * cos(angle) - y * sin(angle), x * sin(angle) + y * cos(angle)  # y points down
        assert (ellipse * along**2).sum() > 2 * (ellipse * across**2).sum()
    heart = images[2, 2, :, 3, 3].astype(float)
    upper_right = heart[:, : size // 2, size // 2 :].sum(axis=(1, 2))
    assert upper_right[0] == pytest.approx(heart[0, : size // 2, : size // 2].sum())  # upright, it is symmetric
    assert np.argmin(heart[:, : size // 2].sum(axis=(1, 2))) == 6  # the two lobes have more area than the tip


def test_quarter_turns_of_every_sprite_are_exact(images: NDArray[np.uint8]) -> None:
    centred = images[:, :, :, 3, 3]
    rotated = np.rot90(centred, axes=(-2, -1))
    assert np.array_equal(np.roll(centred, -3, axis=2), rotated)


def test_both_sizes_show_the_same_scene() -> None:
    rows = MiniSprites().full_grid().factors[::37]
    fine = MiniSprites(32).observations(rows)[..., 0].astype(float)
    averaged = fine.reshape(len(rows), 16, 2, 16, 2).mean(axis=(2, 4))
    assert np.abs(averaged - MiniSprites(16).observations(rows)[..., 0]).max() < 25


@pytest.mark.parametrize(
    ("size", "digest"),
    [
        (16, "46a7578f9bc9d32052c7738e99823eaeab56e5daab6224937b4b14c30114336c"),
        (32, "4da3739092d7612c477757ccf83749d252daa61c472c8d7998582831a21d1eac"),
    ],
)
def test_all_images_are_the_same_on_every_machine(size: int, digest: str) -> None:
    data = MiniSprites(size)
    assert hashlib.sha256(data.observations(data.full_grid().factors).data).hexdigest() == digest


def test_the_caller_owns_the_images() -> None:
    data = MiniSprites()
    before = data.observations([[0, 0, 0, 0, 0]])
    data.observations([[0, 0, 0, 0, 0]])[:] = 7
    assert np.array_equal(data.observations([[0, 0, 0, 0, 0]]), before)


def test_the_size_is_16_or_32() -> None:
    assert load_dataset("mini-sprites?size=32").observation_shape == (32, 32, 1)
    assert load_dataset("mini-sprites", size=16).fingerprint == load_dataset("mini-sprites").fingerprint
    assert load_dataset("mini-sprites?size=32").fingerprint == "mini-sprites-1-32"
    with pytest.raises(InvalidInputError, match="option size must be 16 or 32; got '64'"):
        load_dataset("mini-sprites?size=64")
