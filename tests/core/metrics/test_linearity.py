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


def test_known_failure_of_linearity_two_factors_in_one_latent() -> None:
    factors = grid(3, 4)
    packed = np.c_[4 * factors[:, 0] + factors[:, 1], np.random.default_rng(0).normal(size=12) * 0]
    assert dm.metrics.linearity.score(table(packed, factors)).value == pytest.approx(1.0)
