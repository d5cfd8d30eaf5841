import hashlib

import numpy as np
import pytest
from numpy.typing import NDArray

from disentmetrics.datasets.rendering import ray_tracing as _ray_tracing
from disentmetrics.datasets.rendering.ray_tracing import LIGHT, MATERIALS, SKY, SOLIDS, Camera, Solid, trace

FLOOR, WALL, SOLID, SKY_WEIGHT, LIGHT_WEIGHT = range(5)
solids = pytest.mark.parametrize("solid", SOLIDS.values(), ids=SOLIDS)
HASHES = {
    "cube": "16ebc0dbb816298f",
    "cylinder": "e6f78b499c3181af",
    "sphere": "d92cc3834a37ccde",
    "capsule": "d3afba481713962d",
    "cone": "666db5e9dd387f7c",
    "torus": "255b74762d6a2858",
    "pyramid": "08d85b40c19d9768",
    "octahedron": "faf81f5f817e7887",
}


def points(n: int, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).uniform((-1.5, -1.5, -0.5), (1.5, 1.5, 2.5), (n, 3)).T


def weights_of(
    solid: str, azimuth: float = 0.0, *, scale: float = 1.0, rotation: float = 0.0, size: int = 32
) -> NDArray[np.int64]:
    weights = trace(SOLIDS[solid], scale, rotation, Camera(azimuth), size)
    return weights.reshape(len(MATERIALS), size, size).astype(np.int64)


@solids
def test_a_solid_stands_on_the_floor_within_its_bounding_sphere(solid: Solid) -> None:
    x, y, z = points(200_000)
    inside = solid.distance(x, y, z) <= 0
    assert 0 <= z[inside].min() < 0.1
    assert solid.height - 0.2 < z[inside].max() <= solid.height
    centre_distance = np.sqrt(x**2 + y**2 + (z - solid.height / 2) ** 2)
    assert solid.radius - 0.15 < centre_distance[inside].max() <= solid.radius


@solids
def test_the_distance_is_1_lipschitz_so_steps_never_pass_the_surface(solid: Solid) -> None:
    one, other = points(20_000), points(20_000, seed=1)
    change = np.abs(solid.distance(*one) - solid.distance(*other))
    assert (change <= np.sqrt(((one - other) ** 2).sum(axis=0)) + 1e-12).all()


@solids
def test_a_solid_is_invariant_under_its_period(solid: Solid) -> None:
    x, y, z = points(20_000)
    angle = np.deg2rad(solid.period or 37)
    rotated = solid.distance(np.cos(angle) * x - np.sin(angle) * y, np.sin(angle) * x + np.cos(angle) * y, z)
    assert np.allclose(rotated, solid.distance(x, y, z))


@solids
def test_half_a_period_changes_the_view(solid: Solid) -> None:
    none, half = (weights_of(solid.name, rotation=rotation) for rotation in (0, solid.period / 2))
    assert np.array_equal(none, half) == (solid.period == 0)


@solids
def test_weights_sum_to_at_most_255(solid: Solid) -> None:
    total = weights_of(solid.name, 17, scale=1.25).sum(axis=0)
    assert total.max() == 255
    assert total.min() > 0


def test_rays_hit_a_sphere_at_the_closed_form_distance() -> None:
    placed = _ray_tracing._PlacedSolid(SOLIDS["sphere"], 0.9, 0)
    rng = np.random.default_rng(0)
    origin = np.array([0.5, -3.0, 1.4])[:, None]
    directions = rng.normal((0, 1, -0.25), 0.1, (5000, 3)).T
    directions /= np.sqrt((directions**2).sum(axis=0))
    from_centre = origin - np.array([0, 0, 0.9 * 0.58])[:, None]
    b = (from_centre * directions).sum(axis=0)
    discriminant = b**2 - (from_centre**2).sum() + (0.9 * 0.58) ** 2
    expected = np.where(discriminant > 0, -b - np.sqrt(np.maximum(discriminant, 0)), np.inf)
    hits = placed.first_hits(origin, directions)
    clear = np.abs(discriminant) > 0.01  # some grazing rays are counted as misses
    assert np.array_equal(np.isfinite(hits)[clear], np.isfinite(expected)[clear])
    both = np.isfinite(expected) & clear
    assert 500 < both.sum() < 4500
    assert np.abs(hits[both] - expected[both]).max() < 0.01


def test_sky_is_above_walls_and_floor_is_below() -> None:
    view = weights_of("sphere")
    assert (view[SKY_WEIGHT, 0] == 255).all()
    assert view[FLOOR, -1].min() > 200
    assert not view[[WALL, SOLID, SKY_WEIGHT], -1].any()
    assert view[WALL, :, 0].argmax() < view[FLOOR, :, 0].argmax()


def test_the_skirting_board_is_light() -> None:
    column = weights_of("sphere", size=64)[:, :, 5]
    skirting = column[LIGHT_WEIGHT].argmax()
    assert column[LIGHT_WEIGHT, skirting] > column[WALL, skirting] > 0
    assert column[WALL, :skirting].max() > 200
    assert column[FLOOR, skirting + 3 :].min() > 100


@pytest.mark.parametrize("azimuth", [-30, -12, 0, 25.5])
def test_the_camera_looks_at_the_centre_of_the_room(azimuth: float) -> None:
    covered = weights_of("capsule", azimuth, size=64)[SOLID] > 0
    assert np.array_equal(covered, covered[:, ::-1])


def test_opposite_cameras_see_mirrored_rooms() -> None:
    assert np.array_equal(weights_of("cube", 21)[SKY_WEIGHT], weights_of("cube", -21)[SKY_WEIGHT, :, ::-1])
    assert not np.array_equal(
        weights_of("cube", 21), weights_of("cube", -21)[:, :, ::-1]
    )  # but the light is on the left


def test_a_camera_to_the_right_sees_more_of_the_left_wall() -> None:
    # The left wall is the darkest, so its shading identifies it.
    left = [(weights_of("sphere", azimuth)[WALL, 6:10] < 160).sum() for azimuth in (10, 20, 30)]
    assert left[0] < left[1] < left[2]


def test_a_higher_camera_sees_the_top() -> None:
    low, high = (
        trace(SOLIDS["cylinder"], 1, 0, Camera(0, height), 32)[SOLID].reshape(32, 32) > 240 for height in (1.15, 1.85)
    )
    assert low.sum() < high.sum()


def test_larger_solids_cover_more_pixels_from_the_same_base() -> None:
    covered = [weights_of("cylinder", scale=scale)[SOLID] > 0 for scale in (0.75, 1, 1.25)]
    assert covered[0].sum() < covered[1].sum() < covered[2].sum()
    bottoms = [np.flatnonzero(c.any(axis=1)).max() for c in covered]
    assert max(bottoms) - min(bottoms) <= 4


def test_the_shadow_falls_to_the_right() -> None:
    floor = weights_of("sphere", size=64)[FLOOR]
    left, right = floor[48, :20].min(), floor[48, 44:].min()
    assert left > 200
    assert right < 140


def test_rotating_the_solid_does_not_change_the_room() -> None:
    one, other = weights_of("pyramid"), weights_of("pyramid", rotation=40)
    assert np.array_equal(one[SKY_WEIGHT], other[SKY_WEIGHT])
    assert not np.array_equal(one[SOLID], other[SOLID])


def test_a_small_view_approximates_an_averaged_large_one() -> None:
    small = weights_of("torus", 8, rotation=25, size=32)
    large = weights_of("torus", 8, rotation=25, size=128).reshape(5, 32, 4, 32, 4).mean(axis=(2, 4))
    difference = np.abs(small - large)
    assert difference.mean() < 1.5
    assert difference.max() < 40


def test_sky_and_light_have_fixed_colours() -> None:
    assert MATERIALS[-2:] == ("sky", "light")
    assert len(SKY) == len(LIGHT) == 3


@solids
def test_a_view_is_the_same_on_every_machine(solid: Solid) -> None:
    weights = trace(solid, 1.1, 13.0, Camera(-19.5, 1.3), 32)
    assert weights.dtype == np.uint8
    assert weights.shape == (5, 32 * 32)
    assert hashlib.sha256(weights.tobytes()).hexdigest()[:16] == HASHES[solid.name]
