import hashlib
from collections import Counter
from math import cos, pi, sin

import numpy as np
import pytest
from scipy import ndimage, stats
from sklearn.datasets import load_digits

from disentmetrics.datasets.catalog import digits_affine
from disentmetrics.datasets.catalog.digits_affine import ROTATIONS, SCALES, SHIFTS, SPACE, DigitsAffine
from disentmetrics.errors import CorruptFileError

ROWS = np.arange(0, 22_050, 31)
FACTORS = SPACE.indices_of(ROWS)


def test_the_image_is_a_digit_of_the_label_under_the_affine_map() -> None:
    images = DigitsAffine().observations(FACTORS, ROWS).astype(float)[..., 0]
    scans, labels = load_digits(return_X_y=True)
    rows, columns = np.indices((32, 32)) + 0.5 - 16
    for image, (label, rotation, size, x, y) in list(zip(images, FACTORS, strict=True))[::40]:
        angle, scale = ROTATIONS[rotation] * pi / 180, SCALES[size]
        right, down = columns - SHIFTS[x], rows - SHIFTS[y]
        across, below = (
            (right * cos(angle) - down * sin(angle)) / scale,
            (down * cos(angle) + right * sin(angle)) / scale,
        )
        linear = [
            ndimage.map_coordinates(scan.reshape(8, 8), [below + 3.5, across + 3.5], order=1, mode="grid-constant")
            for scan in scans[labels == label]
        ]
        # Linear interpolation of one of the digits must come close, and only does under the right map.
        distances = np.abs(np.array(linear) * 255 / 16 - image).mean(axis=(1, 2))
        assert distances.min() < 6
        assert np.corrcoef(linear[distances.argmin()].ravel(), image.ravel())[0, 1] > 0.97


def test_the_kernel_interpolates_and_reproduces_linear_functions() -> None:
    # The weight is one at distance zero and zero at other integers, so samples are reproduced.
    distances = np.arange(-3.0, 4.0)
    assert digits_affine._cubic_kernel(distances).tolist() == [0, 0, 0, 1, 0, 0, 0]
    weights = digits_affine._cubic_kernel(np.linspace(0, 1, 11)[:, None] + np.arange(-2, 3))
    np.testing.assert_allclose(weights.sum(axis=1), 1)  # constants are reproduced
    interpolated = (weights * -np.arange(-2, 3)).sum(axis=1)
    np.testing.assert_allclose(interpolated, np.linspace(0, 1, 11))  # and so are linear functions


def test_sums_of_products_are_exact_in_single_precision() -> None:
    weights = digits_affine._resampling_weights()
    assert np.array_equal(weights, np.rint(weights))
    assert 16 * np.abs(weights).sum(axis=2).max() < 2**24


def test_no_digit_is_cut_by_the_frame() -> None:
    digits, _ = digits_affine._digits()
    weights = digits_affine._resampling_weights()
    inked = np.zeros((32, 32), bool)
    for rotation in range(len(ROTATIONS)):
        inked |= ((digits @ weights[rotation, -1]) * 255 / 16 / 2**12 >= 0.5).any(axis=0).reshape(32, 32)
    assert not inked[:3].any()
    assert not inked[-3:].any()
    assert not inked[:, :3].any()
    assert not inked[:, -3:].any()


def test_x_and_y_translate_the_image() -> None:
    moved = DigitsAffine().observations([[4, 2, 3, x, y] for x in range(7) for y in range(7)], np.full(49, 5))
    for (x, y), image in zip(np.ndindex(7, 7), moved, strict=True):
        assert np.array_equal(image, np.roll(moved[24], (y - 3, x - 3), axis=(0, 1)))


def test_rotation_is_counter_clockwise_and_scale_enlarges() -> None:
    factors = np.array([[1, 0, 2, 3, 3], [1, 8, 2, 3, 3], [1, 4, 0, 3, 3], [1, 4, 4, 3, 3]])
    rows, columns = np.indices((32, 32)) + 0.5 - 16
    right_turn, left_turn, small, large = (
        DigitsAffine().observations(factors.repeat(200, axis=0), np.tile(np.arange(200), 4))[..., 0]
        .reshape(4, 200, 32, 32).mean(axis=1)
    )  # fmt: skip
    assert (right_turn * rows * columns).sum() < 0 < (left_turn * rows * columns).sum()
    assert large.sum() / small.sum() == pytest.approx((1.8 / 1.2) ** 2, rel=0.02)


def test_the_digits_of_a_label_are_equally_likely_and_no_others_appear() -> None:
    seen: set[bytes] = set()
    for label, n_digits in enumerate(np.bincount(load_digits().target)):
        images = DigitsAffine().observations(np.tile([label, 4, 4, 3, 3], (3000, 1)), np.arange(3000))
        counts = Counter(image.tobytes() for image in images)
        assert len(counts) == n_digits
        assert seen.isdisjoint(counts)
        assert stats.chisquare(list(counts.values())).pvalue > 1e-4
        seen |= set(counts)


def test_the_nuisance_selects_the_same_digit_under_every_map() -> None:
    upright = DigitsAffine().observations([[6, 4, 4, 3, 3]] * 2, [8, 9])
    moved = DigitsAffine().observations([[6, 4, 4, 5, 1]] * 2, [8, 9])
    assert np.array_equal(np.roll(upright, (-2, 2), axis=(1, 2)), moved)
    assert not np.array_equal(upright[0], upright[1])


def test_unexpected_digits_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    digits_affine._digits.cache_clear()
    monkeypatch.setattr(digits_affine, "_SHA256", "0")
    with pytest.raises(CorruptFileError, match="1,797"):
        DigitsAffine().observations([[0, 0, 0, 0, 0]])


def test_a_fixed_subset_is_the_same_on_every_machine() -> None:
    images = DigitsAffine().observations(FACTORS, ROWS)
    assert hashlib.sha256(images.data).hexdigest() == "18138051cfb495546ccd235a578fc2946411b0e1aeb0d1430961c46e80a9d0af"
