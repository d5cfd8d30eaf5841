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
