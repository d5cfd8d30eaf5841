import hashlib
from math import cos, pi, radians, sin, sqrt

import numpy as np
import pytest
from numpy.typing import NDArray

from disentmetrics.datasets.rendering import point_clouds
from disentmetrics.datasets.rendering.point_clouds import (
    FINE,
    FLAT,
    N_BYTES,
    N_DIRECTIONS,
    SIDE,
    Cloud,
    joined,
    lit,
    shade,
    view,
)

A_UNIT = 26  # pixels
ROW_OF_ORIGIN = SIDE / 2 + 2 / 3


def ball(radius: float = 0.8, centre: tuple[float, float, float] = (0, 0, 0), albedo: int = 200) -> Cloud:
    """Evenly spread points, by the golden angle."""
    n = 60_000
    up = 1 - 2 * (np.arange(n) + 0.5) / n
    turn = pi * (3 - sqrt(5)) * np.arange(n)
    around = np.sqrt(1 - up * up)
    normals = np.stack([around * np.cos(turn), up, around * np.sin(turn)])
    points = radius * normals + np.array(centre)[:, None]
    return Cloud(
        np.rint(FINE * points).astype(np.int16), np.rint(FLAT * normals).astype(np.int8), np.full(n, albedo, np.uint8)
    )


def parts(seen: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return right, up (from -127 to 127) and brightness, (64, 64) each."""
    codes = seen[: -SIDE * SIDE].view("<u2").astype(int).reshape(SIDE, SIDE)
    return codes % 256 - 128, codes // 256 - 128, seen[-SIDE * SIDE :].astype(int).reshape(SIDE, SIDE)


def centre_of(bright: NDArray[np.int64]) -> tuple[float, float]:
    """Return the centre of brightness in units, to the right and up."""
    rows, columns = np.mgrid[:SIDE, :SIDE] + 0.5
    total = bright.sum()
    return (
        ((bright * columns).sum() / total - SIDE / 2) / A_UNIT,
        (ROW_OF_ORIGIN - (bright * rows).sum() / total) / A_UNIT,
    )


def test_a_ball_is_a_disk_of_its_brightness() -> None:
    bright = parts(view(ball(), 0, 0))[2]
    assert bright[SIDE // 2, SIDE // 2] == 200
    assert abs(bright.sum() / 200 / (pi * (0.8 * A_UNIT) ** 2) - 1) < 0.02
    assert np.allclose(centre_of(bright), 0, atol=0.01)
    edge = (bright > 0) & (bright < 200)
    assert len(np.unique(bright[edge])) > 4  # steps between black and full: it is anti-aliased


@pytest.mark.parametrize(("azimuth", "elevation"), [(0, 0), (37, 0), (-90, 20), (63, -30)])
def test_a_ball_faces_where_geometry_says_from_all_sides(azimuth: float, elevation: float) -> None:
    right, up, bright = parts(view(ball(), azimuth, elevation))
    rows, columns = np.mgrid[:SIDE, :SIDE] + 0.5
    x, y = (columns - SIDE / 2) / A_UNIT / 0.8, (ROW_OF_ORIGIN - rows) / A_UNIT / 0.8
    well_inside = x * x + y * y < 0.85
    assert (bright[well_inside] == 200).all()
    assert np.abs(right / FLAT - x)[well_inside].max() < 0.03
    assert np.abs(up / FLAT - y)[well_inside].max() < 0.03


@pytest.mark.parametrize(("azimuth", "elevation"), [(0, 0), (30, 0), (0, 20), (-45, -30), (70, 25)])
def test_a_small_ball_goes_where_geometry_says(azimuth: float, elevation: float) -> None:
    x, y, z = 0.3, 0.2, 0.5
    a, e = radians(azimuth), radians(elevation)
    to_right = x * cos(a) + z * sin(a)
    nearer = z * cos(a) - x * sin(a)
    expected = (to_right, y * cos(e) - nearer * sin(e))
    assert np.allclose(centre_of(parts(view(ball(0.1, (x, y, z)), azimuth, elevation))[2]), expected, atol=0.01)


def test_the_nearest_hides_what_is_behind() -> None:
    behind, before = ball(0.5, (0, 0, -0.6), 100), ball(0.3, (0, 0, 0.6), 250)
    for cloud in (joined(behind, before), joined(before, behind)):
        bright = parts(view(cloud, 0, 0))[2]
        assert bright[32, 32] == 250
        assert bright[32, 32 + 11] == 100
        assert parts(view(cloud, 180, 0))[2][32, 32] == 100


def test_what_lies_outside_the_frame_is_not_drawn_at_its_border() -> None:
    for centre in ((2.2, 0, 0), (-2.2, 0, 0), (0, 2.2, 0), (0, -2.2, 0)):
        seen = view(ball(0.2, centre), 0, 0)
        right, up, bright = parts(seen)
        assert not np.stack([right, up, bright]).any()


def test_gaps_of_two_subpixels_are_filled_and_wider_ones_are_not() -> None:
    row = np.array([[-1, 5, -1, 7, -1, -1, 6, 3, 9, -1, -1, -1, 9, -1]], np.int32)
    assert point_clouds._closed(row)[0, 1:-1].tolist() == [5, 5, 7, 6, 6, 6, 6, 9, -1, -1, -1, 9]


def test_the_size_of_chunks_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = view(ball(), 20, 10)
    monkeypatch.setattr(point_clouds, "_POINTS_AT_ONCE", 777)
    assert np.array_equal(view(ball(), 20, 10), expected)


def test_light_follows_lamberts_law() -> None:
    table = shade(30, 0).reshape(256, 256)
    light = np.array([sin(radians(30)), 0, cos(radians(30))])
    half = light + np.array([0, 0, 1])
    half /= np.linalg.norm(half)
    for right, up in ((0, 0), (60, 0), (-60, 0), (-120, 0), (0, 100), (50, -80)):
        normal = np.array([right, up, sqrt(max(0, FLAT**2 - right**2 - up**2))]) / FLAT
        bright = 0.18 + 0.07 * normal[1] + 0.75 * max(0, normal @ light) + 0.07 * max(0, normal @ half) ** 16
        assert abs(table[128 + up, 128 + right] - 255 * min(1, bright)) <= 0.51


def test_lights_from_left_and_right_mirror_each_other() -> None:
    left, right = (shade(azimuth, 25).reshape(256, 256)[:, 1:] for azimuth in (-45, 45))
    assert np.array_equal(left, right[:, ::-1])
    assert not np.array_equal(left, right)


def test_brightness_is_albedo_times_shade_rounded() -> None:
    rng = np.random.default_rng(0)
    views = rng.integers(0, 256, (5, N_BYTES), dtype=np.uint8)
    shades = rng.integers(0, 256, (3, N_DIRECTIONS), dtype=np.uint8)
    rows, lights = rng.integers(0, 5, 200), rng.integers(0, 3, 200)
    images = lit(views, rows, shades, lights)
    assert images.shape == (200, SIDE, SIDE, 1)
    assert images.dtype == np.uint8
    for image, row, light in zip(images, rows, lights, strict=True):
        low, high = views[row, : -SIDE * SIDE : 2].astype(int), views[row, 1 : -SIDE * SIDE : 2].astype(int)
        product = views[row, -SIDE * SIDE :] * shades[light][256 * high + low].astype(float)
        assert np.array_equal(image.ravel(), np.floor(product / 255 + 0.5))


def test_a_view_of_a_ball_is_the_same_on_every_machine() -> None:
    around = np.round(np.cos(np.arange(3000)), 6), np.round(np.sin(np.arange(3000)), 6)
    up = np.linspace(-0.9, 0.9, 3000)
    wide = np.sqrt(1 - up * up)
    normals = np.stack([wide * around[0], up, wide * around[1]])
    cloud = Cloud(
        np.rint(3000 * normals).astype(np.int16),
        np.rint(127 * normals).astype(np.int8),
        (np.arange(3000) % 256).astype(np.uint8),
    )
    digest = hashlib.sha256(b"".join(view(cloud, a, e).tobytes() for a, e in ((0, 0), (27, 12), (-81, -30))))
    for azimuth in (-75, -15, 60):
        digest.update(shade(azimuth, 25).data)
    assert digest.hexdigest() == "58b170b90c74b99b5fd4693c95b6619b7c7b61f539c97cb42169f32b4098fcef"
