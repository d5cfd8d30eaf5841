"""Flatness, linearity and D_LSBD."""

import numpy as np
import pytest

import disentmetrics as dm
from disentmetrics.factors import Kind


def grid(*sizes: int) -> np.ndarray:
    return np.indices(sizes).reshape(len(sizes), -1).T


def table(codes: np.ndarray, factors: np.ndarray, kind: Kind = "ordinal") -> dm.Representation:
    kinds: dict[str, Kind] = {f"factor_{k}": kind for k in range(factors.shape[1])}
    return dm.Representation(codes, factors, kinds=kinds)


def lines(codes: np.ndarray, sizes: tuple[int, ...], k: int) -> np.ndarray:
    """Every traversal of factor k of a grid in row-major order, as (n_lines, n_values, n_codes)."""
    return np.moveaxis(codes.reshape(*sizes, -1), k, -2).reshape(-1, sizes[k], codes.shape[1])


def test_flatness_as_published_is_that_of_a_plain_loop() -> None:
    rng = np.random.default_rng(0)
    sizes = (4, 5, 3)
    factors = grid(*sizes)
    codes = factors @ rng.normal(size=(3, 4)) + rng.normal(size=(60, 4))
    expected = []
    for k in range(3):
        widths, lengths = [], []
        for line in lines(codes, sizes, k):
            widths.append(max(np.linalg.norm(a - b) for a in line for b in line))
            steps = [np.abs(line[i] - line[(i + 1) % len(line)]).sum() for i in range(len(line))]
            lengths.append(sum(steps) - max(steps))
        expected.append(np.mean(widths) / np.mean(lengths))
    score = dm.metrics.flatness.score(table(codes, factors), "michlo2021")
    assert list(score.per_factor.values()) == pytest.approx(expected, abs=1e-12)
    assert score.value == pytest.approx(np.mean(expected), abs=1e-12)


def test_linearity_as_published_is_that_of_a_plain_loop() -> None:
    rng = np.random.default_rng(0)
    sizes = (4, 5, 3)
    factors = grid(*sizes)
    codes = factors @ rng.normal(size=(3, 4)) + rng.normal(size=(60, 4))

    def ratio(values: np.ndarray) -> float:
        return float((values.max() / values.sum() - 1 / 4) / (1 - 1 / 4))

    axis, linear, aligned = [], [], []
    for k in range(3):
        walks = lines(codes, sizes, k)
        a = [ratio(walk.var(axis=0, ddof=1)) for walk in walks]
        b = [ratio(np.linalg.eigvalsh(np.cov(walk, rowvar=False))) for walk in walks]
        axis.append(np.mean(a))
        linear.append(np.mean(b))
        aligned.append(np.mean(np.array(a) / b))
    score = dm.metrics.linearity.score(table(codes, factors), "michlo2021")
    assert list(score.per_factor.values()) == pytest.approx(axis, abs=1e-9)
    assert score.value == pytest.approx(np.prod(axis) ** (1 / 3), abs=1e-9)
    assert score.parts["linear_ratio"].value == pytest.approx(np.prod(linear) ** (1 / 3), abs=1e-9)
    assert score.parts["axis_alignment"].value == pytest.approx(np.prod(aligned) ** (1 / 3), abs=1e-9)


def test_a_rotated_code_is_straight_but_not_axis_aligned() -> None:
    factors = grid(6, 6)
    turned = factors @ np.array([[1.0, 1.0], [1.0, -1.0]])
    assert dm.metrics.flatness.score(table(turned, factors)).value == pytest.approx(1 / np.sqrt(2))
    score = dm.metrics.linearity.score(table(turned, factors))
    assert score.value == pytest.approx(0.0, abs=1e-12)
    assert score.parts["linear_ratio"].value == pytest.approx(1.0)


def test_a_detour_is_not_flat() -> None:
    factors = grid(5, 3)
    zigzag = np.array([0.0, 3.0, 1.0, 4.0, 2.0])[factors[:, 0]]
    score = dm.metrics.flatness.score(table(np.c_[zigzag, factors[:, 1]], factors))
    # the five steps around are 3, 2, 3, 2, 2: the width is 4, the length 12 - 3
    assert score.per_factor["factor_0"] == pytest.approx(4 / 9)
    assert score.per_factor["factor_1"] == pytest.approx(1.0)


def test_a_circle_is_closed_by_leaving_its_longest_step_out() -> None:
    factors = grid(4, 3)
    angle = np.pi / 2 * factors[:, 0]
    score = dm.metrics.flatness.score(table(np.c_[np.cos(angle), np.sin(angle), factors[:, 1]], factors, "circular"))
    assert score.per_factor["factor_0"] == pytest.approx(2 / 6)


def test_known_failure_of_linearity_two_factors_in_one_latent() -> None:
    factors = grid(3, 4)
    packed = np.c_[4 * factors[:, 0] + factors[:, 1], np.random.default_rng(0).normal(size=12) * 0]
    assert dm.metrics.linearity.score(table(packed, factors)).value == pytest.approx(1.0)


def test_a_factor_that_changes_no_latent_scores_zero() -> None:
    factors = grid(4, 5)
    codes = np.c_[factors[:, 0], factors[:, 0] ** 2].astype(float)
    assert dm.metrics.flatness.score(table(codes, factors)).per_factor["factor_1"] == 0.0
    assert dm.metrics.linearity.score(table(codes, factors), "michlo2021").value == 0.0


def test_categories_have_no_order_to_walk_in() -> None:
    factors = grid(4, 5)
    kinds: dict[str, Kind] = {"factor_0": "categorical", "factor_1": "ordinal"}
    mixed = dm.Representation(factors.astype(float), factors, kinds=kinds)
    score = dm.metrics.flatness.score(mixed)
    assert np.isnan(score.per_factor["factor_0"])
    assert any("factor_0" in note for note in score.notes)
    assert dm.metrics.flatness.score(mixed, "michlo2021").per_factor["factor_0"] == pytest.approx(1.0)


@pytest.mark.parametrize("name", ["flatness", "linearity"])
def test_tables_without_complete_traversals_are_refused_with_a_reason(name: str) -> None:
    rng = np.random.default_rng(0)
    factors = rng.integers((10, 20, 30), size=(2_000, 3))
    score = getattr(dm.metrics, name).score(table(factors.astype(float), factors))
    assert "this table contains too few" in (score.undefined or "")
    score = getattr(dm.metrics, name)(rng.normal(size=(50, 2)), rng.normal(size=(50, 2)))
    assert "continuous" in (score.undefined or "")


@pytest.mark.parametrize("name", ["flatness", "linearity"])
def test_a_grid_with_a_few_holes_will_do(name: str) -> None:
    factors = grid(6, 8, 9, 4)
    codes = factors @ np.random.default_rng(1).normal(size=(4, 4))
    kept = np.random.default_rng(0).random(len(factors)) > 0.03
    whole = getattr(dm.metrics, name).score(table(codes, factors)).value
    assert getattr(dm.metrics, name).score(table(codes[kept], factors[kept])).value == pytest.approx(whole, abs=0.02)


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
