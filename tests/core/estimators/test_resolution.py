"""Noise that gives codes a finite resolution."""

import numpy as np
import pytest

from disentmetrics.estimators.mutual_information import entropy
from disentmetrics.estimators.rank_spacing import rank_spacing_information, sort_code
from disentmetrics.estimators.resolution import Levels, noise_by_rank, seed_of_values, step_blur

Array = np.ndarray
GRIDS = [(10, 10, 10, 8, 4, 15), (3, 6, 40, 32, 32), (100, 5, 7)]


def grid(sizes: tuple[int, ...], n: int = 10_000, seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(sizes, size=(n, len(sizes)))


def gap(codes: Array, factors: Array) -> float:
    """The mutual information gap of blurred codes, from the estimators alone."""
    levels = [Levels(column, int(column.max()) + 1) for column in factors.T]
    nats = np.zeros((codes.shape[1], len(levels)))
    for j, code in enumerate(codes.T):
        ready = sort_code(code + step_blur(code, levels) * noise_by_rank(code))
        nats[j] = [rank_spacing_information(ready, level.of_rows, level.n) for level in levels]
    ranked = np.sort(np.maximum(nats, 0), axis=0)
    return float(np.mean((ranked[-1] - ranked[-2]) / [entropy(np.bincount(column)) for column in factors.T]))


def standardised(factors: Array) -> Array:
    return np.asarray((factors - factors.mean(axis=0)) / factors.std(axis=0))


@pytest.mark.parametrize("sizes", GRIDS)
def test_perfect_codes_score_one_however_they_are_warped(sizes: tuple[int, ...]) -> None:
    v = grid(sizes)
    z = standardised(v)
    outlier = z.copy()
    outlier[0] *= 1e4
    for codes in (z, np.exp(1.5 * z), z**3, outlier, -z):
        assert gap(codes, v) > 0.995


@pytest.mark.parametrize("sizes", GRIDS)
def test_a_leak_lowers_the_score_in_proportion(sizes: tuple[int, ...]) -> None:
    """Without a resolution a leak of a millionth of a step takes the score from 1 to 0."""
    v = grid(sizes)
    losses = [1 - gap(v + leak * np.roll(v, -1, axis=1), v) for leak in (1e-6, 1e-3, 1e-2, 3e-2)]
    assert losses[0] < 0.005
    assert losses[1] < 0.005
    assert losses[2] < 0.1
    assert losses[3] < 0.3


def test_a_rotated_noiseless_code_scores_the_same_for_any_number_of_rows() -> None:
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    values = [gap(standardised(v) @ rotation, v) for v in (grid((6, 10, 12), n) for n in (700, 1_500, 3_000, 10_000))]
    assert max(values) - min(values) < 0.03


@pytest.mark.parametrize("digits", [4, 3, 2])
def test_rounded_codes_score_as_exact_ones(digits: int) -> None:
    v = grid((4, 6, 10))
    z = standardised(standardised(v) + 0.3 * np.random.default_rng(1).normal(size=v.shape))
    assert gap(np.round(z, digits), v) == pytest.approx(gap(z, v), abs=0.005)


def test_half_precision_codes_score_as_exact_ones() -> None:
    v = grid((4, 6, 10))
    z = standardised(standardised(v) + 0.3 * np.random.default_rng(1).normal(size=v.shape))
    assert gap(z.astype(np.float16).astype(float), v) == pytest.approx(gap(z, v), abs=0.005)


def test_the_blur_is_a_tenth_of_the_step_and_follows_scale_and_sign() -> None:
    v = grid((12,))[:, 0]
    levels = [Levels(v, 12)]
    assert step_blur(3.0 * v, levels) == pytest.approx(0.3)
    assert step_blur(-3.0 * v, levels) == pytest.approx(0.3)
    assert step_blur(1e-9 * v, levels) == pytest.approx(1e-10)


def test_values_that_a_code_does_not_separate_have_no_step() -> None:
    """A cosine maps an angle and its negative to one value, which a leak separates by next to nothing."""
    angle = grid((40,))[:, 0]
    cosine = np.cos(2 * np.pi * angle / 40)
    leaking = cosine + 1e-6 * np.random.default_rng(1).normal(size=len(cosine))
    # At the upper end neighbouring cosines are closest, at a right angle they are farthest apart.
    for code in (cosine, leaking):
        blur = step_blur(code, [Levels(angle, 40)])
        assert blur[angle == 10] == pytest.approx(0.1 * np.sin(2 * np.pi / 40), rel=0.02)
        assert blur.min() > 1e-4


def test_codes_that_follow_no_factor_are_not_blurred() -> None:
    v = grid((10, 8))
    levels = [Levels(column, int(column.max()) + 1) for column in v.T]
    codes = (np.random.default_rng(seed).normal(size=len(v)) for seed in range(20))
    assert sum(bool(step_blur(code, levels).any()) for code in codes) <= 12
    assert not step_blur(np.random.default_rng(0).normal(size=len(v)), []).any()


def test_rows_without_a_label_are_blurred_as_their_neighbours() -> None:
    v = grid((12,))[:, 0]
    some = np.where(np.arange(len(v)) % 3 == 0, -1, v)
    assert step_blur(2.0 * v, [Levels(some, 12)]) == pytest.approx(0.2)
    assert not step_blur(2.0 * v, [Levels(np.full(len(v), -1), 1)]).any()


def test_noise_follows_ranks_and_sign_and_is_standard_normal() -> None:
    code = np.random.default_rng(3).normal(size=5_001)
    noise = noise_by_rank(code)
    order = np.random.default_rng(4).permutation(len(code))
    assert np.array_equal(noise_by_rank(code[order]), noise[order])
    assert np.array_equal(noise_by_rank(np.exp(code)), noise)
    assert np.array_equal(noise_by_rank(-code), -noise)
    assert noise.mean() == pytest.approx(0, abs=1e-12)
    assert noise.std() == pytest.approx(1, abs=0.03)
    assert abs(np.corrcoef(noise, code)[0, 1]) < 0.05
    assert seed_of_values(code) == seed_of_values(-code[order])
    assert seed_of_values(code) != seed_of_values(code + 1)
