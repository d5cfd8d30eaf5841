import numpy as np
import pytest

import disentmetrics as dm
from disentmetrics.factors import Kind


def grid(*sizes: int) -> np.ndarray:
    return np.indices(sizes).reshape(len(sizes), -1).T


def table(codes: np.ndarray, factors: np.ndarray, kind: Kind = "ordinal") -> dm.Representation:
    kinds: dict[str, Kind] = {f"factor_{k}": kind for k in range(factors.shape[1])}
    return dm.Representation(codes, factors, kinds=kinds)


def torus(*sizes: int) -> tuple[np.ndarray, np.ndarray]:
    factors = grid(*sizes)
    angle = 2 * np.pi * factors / sizes
    return factors, np.hstack([np.cos(angle), np.sin(angle)])


def test_d_lsbd_of_a_torus_is_zero_whatever_linear_map_keeps_its_planes() -> None:
    factors, codes = torus(8, 10)
    assert dm.metrics.d_lsbd.score(table(codes, factors, "circular")).value == pytest.approx(0.0, abs=1e-12)
    turned = codes @ np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0] + 5
    assert dm.metrics.d_lsbd.score(table(turned, factors, "circular")).value == pytest.approx(0.0, abs=1e-12)
    oval = codes * [3.0, 1.0, 0.1, 1.0]
    assert dm.metrics.d_lsbd.score(table(oval, factors, "circular")).value == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("w", [1, -2, 3])
def test_d_lsbd_finds_how_often_a_plane_turns(w: int) -> None:
    factors = grid(16, 3)
    angle = 2 * np.pi * w * factors[:, 0] / 16
    score = dm.metrics.d_lsbd.score(table(np.c_[np.cos(angle), np.sin(angle)], factors, "circular"))
    assert score.per_factor["factor_0"] == pytest.approx(0.0, abs=1e-12)
    assert abs(score.details["turns"][0]) == abs(w)
    assert score.per_factor["factor_1"] == 1.0


def test_d_lsbd_of_one_coordinate_is_a_half_and_of_noise_near_one() -> None:
    factors = grid(24, 20)
    angle = 2 * np.pi * factors / (24, 20)
    assert dm.metrics.d_lsbd.score(table(np.cos(angle[:, :1]), factors, "circular")).per_factor[
        "factor_0"
    ] == pytest.approx(0.5)
    noise = np.random.default_rng(0).normal(size=(480, 5))
    assert dm.metrics.d_lsbd.score(table(noise, factors, "circular")).value > 0.9


def test_d_lsbd_as_its_authors_compute_it() -> None:
    """Principal components, scaled to variance 1/2 each, rotated back; the remaining variance, minimal over w."""
    rng = np.random.default_rng(0)
    factors, codes = torus(6, 5)
    codes = codes + 0.3 * rng.normal(size=codes.shape)
    cube = codes.reshape(6, 5, 4)
    expected = []
    for k in range(2):
        moved = (cube - cube.mean(axis=k, keepdims=True)).reshape(30, 4)
        values, vectors = np.linalg.eigh(moved.T @ moved / 30)
        plane = moved @ vectors[:, -2:] / np.sqrt(2 * values[-2:])
        theta = 2 * np.pi * factors[:, k] / (6, 5)[k]
        left = []
        for w in range(-10, 11):
            c, s = np.cos(-w * theta), np.sin(-w * theta)
            back = np.c_[c * plane[:, 0] - s * plane[:, 1], s * plane[:, 0] + c * plane[:, 1]]
            left.append(((back - back.mean(axis=0)) ** 2).sum(axis=1).mean())
        expected.append(min(left))
    score = dm.metrics.d_lsbd.score(table(codes, factors, "circular"))
    assert list(score.per_factor.values()) == pytest.approx(expected, abs=1e-9)


def test_d_lsbd_refuses_other_factors_and_incomplete_grids() -> None:
    factors, codes = torus(6, 5)
    assert "circular" in (dm.metrics.d_lsbd.score(table(codes, factors)).undefined or "")
    assert "every combination" in (dm.metrics.d_lsbd.score(table(codes[1:], factors[1:], "circular")).undefined or "")
