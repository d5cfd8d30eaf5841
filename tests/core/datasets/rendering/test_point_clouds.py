import hashlib
from math import cos, pi, radians, sin, sqrt

import numpy as np
import pytest
from numpy.typing import NDArray

from disentmetrics.datasets.rendering import point_clouds
from disentmetrics.datasets.rendering.point_clouds import (
    N_BYTES,
    N_DIRECTIONS,
    NORMAL_SCALE,
    POINT_SCALE,
    SIDE,
    Cloud,
    merged,
    shaded,
    shading_table,
    view,
)

PIXELS_PER_UNIT = 26
ROW_OF_ORIGIN = SIDE / 2 + 2 / 3


def ball(radius: float = 0.8, centre: tuple[float, float, float] = (0, 0, 0), albedo: int = 200) -> Cloud:
    """Return a ball with evenly distributed points (Fibonacci lattice)."""
    n = 60_000
    up = 1 - 2 * (np.arange(n) + 0.5) / n
    azimuth = pi * (3 - sqrt(5)) * np.arange(n)
    circle_radius = np.sqrt(1 - up * up)
    normals = np.stack([circle_radius * np.cos(azimuth), up, circle_radius * np.sin(azimuth)])
    points = radius * normals + np.array(centre)[:, None]
    return Cloud(
        np.rint(POINT_SCALE * points).astype(np.int16),
        np.rint(NORMAL_SCALE * normals).astype(np.int8),
        np.full(n, albedo, np.uint8),
    )


def unpacked(packed_view: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the normals' components right and up (from -127 to 127) and the albedo, (64, 64) each."""
    directions = packed_view[: -SIDE * SIDE].view("<u2").astype(int).reshape(SIDE, SIDE)
    albedo = packed_view[-SIDE * SIDE :].astype(int).reshape(SIDE, SIDE)
    return directions % 256 - 128, directions // 256 - 128, albedo


def centroid(albedo: NDArray[np.int64]) -> tuple[float, float]:
    """Return the centroid of the albedo in units of length, to the right and up."""
    rows, columns = np.mgrid[:SIDE, :SIDE] + 0.5
    total = albedo.sum()
    return (
        ((albedo * columns).sum() / total - SIDE / 2) / PIXELS_PER_UNIT,
        (ROW_OF_ORIGIN - (albedo * rows).sum() / total) / PIXELS_PER_UNIT,
    )


def test_a_ball_is_an_anti_aliased_disk_of_its_albedo() -> None:
    albedo = unpacked(view(ball(), 0, 0))[2]
    assert albedo[SIDE // 2, SIDE // 2] == 200
    assert abs(albedo.sum() / 200 / (pi * (0.8 * PIXELS_PER_UNIT) ** 2) - 1) < 0.02
    assert np.allclose(centroid(albedo), 0, atol=0.01)
    edge = (albedo > 0) & (albedo < 200)
    assert len(np.unique(albedo[edge])) > 4  # intermediate levels between black and full


@pytest.mark.parametrize(("azimuth", "elevation"), [(0, 0), (37, 0), (-90, 20), (63, -30)])
def test_the_normals_of_a_ball_are_exact_from_all_sides(azimuth: float, elevation: float) -> None:
    right, up, albedo = unpacked(view(ball(), azimuth, elevation))
    rows, columns = np.mgrid[:SIDE, :SIDE] + 0.5
    x, y = (columns - SIDE / 2) / PIXELS_PER_UNIT / 0.8, (ROW_OF_ORIGIN - rows) / PIXELS_PER_UNIT / 0.8
    interior = x * x + y * y < 0.85
    assert (albedo[interior] == 200).all()
    assert np.abs(right / NORMAL_SCALE - x)[interior].max() < 0.03
    assert np.abs(up / NORMAL_SCALE - y)[interior].max() < 0.03


@pytest.mark.parametrize(("azimuth", "elevation"), [(0, 0), (30, 0), (0, 20), (-45, -30), (70, 25)])
def test_a_small_ball_is_projected_to_the_expected_position(azimuth: float, elevation: float) -> None:
    x, y, z = 0.3, 0.2, 0.5
    a, e = radians(azimuth), radians(elevation)
    to_right = x * cos(a) + z * sin(a)
    depth = z * cos(a) - x * sin(a)
    expected = (to_right, y * cos(e) - depth * sin(e))
    assert np.allclose(centroid(unpacked(view(ball(0.1, (x, y, z)), azimuth, elevation))[2]), expected, atol=0.01)


def test_nearer_points_occlude_farther_ones() -> None:
    behind, front = ball(0.5, (0, 0, -0.6), 100), ball(0.3, (0, 0, 0.6), 250)
    for cloud in (merged(behind, front), merged(front, behind)):
        albedo = unpacked(view(cloud, 0, 0))[2]
        assert albedo[32, 32] == 250
        assert albedo[32, 32 + 11] == 100
        assert unpacked(view(cloud, 180, 0))[2][32, 32] == 100


def test_points_outside_the_frame_are_not_visible_at_its_border() -> None:
    for centre in ((2.2, 0, 0), (-2.2, 0, 0), (0, 2.2, 0), (0, -2.2, 0)):
        right, up, albedo = unpacked(view(ball(0.2, centre), 0, 0))
        assert not np.stack([right, up, albedo]).any()


def test_gaps_of_two_subpixels_are_filled_and_wider_ones_are_not() -> None:
    row = np.array([[-1, 5, -1, 7, -1, -1, 6, 3, 9, -1, -1, -1, 9, -1]], np.int32)
    assert point_clouds._closed(row)[0, 1:-1].tolist() == [5, 5, 7, 6, 6, 6, 6, 9, -1, -1, -1, 9]


def test_the_batch_size_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = view(ball(), 20, 10)
    monkeypatch.setattr(point_clouds, "_POINT_BATCH", 777)
    assert np.array_equal(view(ball(), 20, 10), expected)


def test_shading_is_ambient_lambertian_and_blinn_phong() -> None:
    table = shading_table(30, 0).reshape(256, 256)
    light = np.array([sin(radians(30)), 0, cos(radians(30))])
    half = light + np.array([0, 0, 1])
    half /= np.linalg.norm(half)
    for right, up in ((0, 0), (60, 0), (-60, 0), (-120, 0), (0, 100), (50, -80)):
        normal = np.array([right, up, sqrt(max(0, NORMAL_SCALE**2 - right**2 - up**2))]) / NORMAL_SCALE
        shading = 0.18 + 0.07 * normal[1] + 0.75 * max(0, normal @ light) + 0.07 * max(0, normal @ half) ** 16
        assert abs(table[128 + up, 128 + right] - 255 * min(1, shading)) <= 0.51


def test_lights_from_left_and_right_mirror_each_other() -> None:
    left, right = (shading_table(azimuth, 25).reshape(256, 256)[:, 1:] for azimuth in (-45, 45))
    assert np.array_equal(left, right[:, ::-1])
    assert not np.array_equal(left, right)


def test_intensity_is_albedo_times_shading_rounded() -> None:
    rng = np.random.default_rng(0)
    views = rng.integers(0, 256, (5, N_BYTES), dtype=np.uint8)
    tables = rng.integers(0, 256, (3, N_DIRECTIONS), dtype=np.uint8)
    rows, lights = rng.integers(0, 5, 200), rng.integers(0, 3, 200)
    images = shaded(views, rows, tables, lights)
    assert images.shape == (200, SIDE, SIDE, 1)
    assert images.dtype == np.uint8
    for image, row, light in zip(images, rows, lights, strict=True):
        low, high = views[row, : -SIDE * SIDE : 2].astype(int), views[row, 1 : -SIDE * SIDE : 2].astype(int)
        product = views[row, -SIDE * SIDE :] * tables[light][256 * high + low].astype(float)
        assert np.array_equal(image.ravel(), np.floor(product / 255 + 0.5))


def test_a_view_of_a_ball_is_the_same_on_every_machine() -> None:
    cosines, sines = np.round(np.cos(np.arange(3000)), 6), np.round(np.sin(np.arange(3000)), 6)
    up = np.linspace(-0.9, 0.9, 3000)
    circle_radius = np.sqrt(1 - up * up)
    normals = np.stack([circle_radius * cosines, up, circle_radius * sines])
    cloud = Cloud(
        np.rint(3000 * normals).astype(np.int16),
        np.rint(127 * normals).astype(np.int8),
        (np.arange(3000) % 256).astype(np.uint8),
    )
    digest = hashlib.sha256(b"".join(view(cloud, a, e).tobytes() for a, e in ((0, 0), (27, 12), (-81, -30))))
    for azimuth in (-75, -15, 60):
        digest.update(shading_table(azimuth, 25).data)
    assert digest.hexdigest() == "58b170b90c74b99b5fd4693c95b6619b7c7b61f539c97cb42169f32b4098fcef"
