import hashlib
from dataclasses import astuple

import numpy as np
from scipy import ndimage

from disentmetrics.datasets.rendering.heads import N_HEADS, head, traits
from disentmetrics.datasets.rendering.point_clouds import NORMAL_SCALE, POINT_SCALE, SIDE, view


def test_traits_are_uniform_and_no_two_heads_are_similar() -> None:
    drawn = np.array([astuple(traits(number)) for number in range(N_HEADS)])
    assert drawn.shape == (50, 21)
    assert np.abs(drawn).max() <= 1
    assert np.abs(drawn.mean(axis=0)).max() < 0.3
    assert np.abs(drawn.std(axis=0) - 1 / np.sqrt(3)).max() < 0.15
    distances = np.abs(drawn[:, None] - drawn[None]).max(axis=2) + 9 * np.eye(N_HEADS)
    assert distances.min() > 0.5


def test_points_fit_into_a_depth_buffer_key_and_normals_have_unit_length() -> None:
    for number in (0, 22, 49):
        cloud = head(number)
        assert cloud.points.shape[1] == cloud.normals.shape[1] == len(cloud.albedo) < 2**18
        points, normals = cloud.points.astype(float), cloud.normals.astype(float)
        assert np.sqrt((points * points).sum(axis=0)).max() < 2.5 * POINT_SCALE
        lengths = np.sqrt((normals * normals).sum(axis=0))
        assert np.abs(lengths / NORMAL_SCALE - 1).max() < 0.02


def test_a_head_is_symmetric() -> None:
    for azimuth in (0, 36, 90):
        one = view(head(3), azimuth, 6)[-SIDE * SIDE :].reshape(SIDE, SIDE).astype(int)
        other = view(head(3), -azimuth, 6)[-SIDE * SIDE :].reshape(SIDE, SIDE).astype(int)
        assert np.abs(one - other[:, ::-1]).mean() < 0.1
        assert azimuth == 0 or np.abs(one - other).mean() > 10


def test_a_head_has_no_holes_and_does_not_touch_the_left_right_and_top_edges() -> None:
    rng = np.random.default_rng(0)
    views = zip(rng.integers(50, size=20) // 8, rng.integers(-10, 11, 20) * 9, rng.integers(-5, 6, 20) * 6, strict=True)
    behind_the_jaw = ((25, 90, 18), (24, -72, 30), (46, -45, 12), (21, -90, 12))
    for number, azimuth, elevation in (*views, *behind_the_jaw):
        albedo = view(head(int(number)), float(azimuth), float(elevation))[-SIDE * SIDE :].reshape(SIDE, SIDE)
        enclosed = ndimage.binary_fill_holes(albedo > 0) & (albedo == 0)
        assert enclosed.sum() <= 1  # where a lobe of an ear touches the jaw, or the chin a shoulder
        assert not albedo[0].any()
        assert not albedo[:, [0, -1]].any()
        assert albedo[-1].any()  # the neck extends below the frame
        assert ndimage.label(albedo > 0)[1] == 1


def test_three_heads_are_the_same_on_every_machine() -> None:
    digest = hashlib.sha256()
    for number in (0, 17, 49):
        for part in (head(number).points, head(number).normals, head(number).albedo):
            digest.update(part.tobytes())
    assert digest.hexdigest() == "2a5b4027f37723b7cd9e3a8488d2a36811decf4cdf756b921b1fc5307a0be6cd"
