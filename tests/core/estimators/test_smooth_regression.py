"""Shares of variance that smooth functions explain on held-out rows: limits, invariances, no optimism."""

import numpy as np
import pytest

from disentmetrics.estimators.smooth_regression import (
    group_mean_shares,
    linear_shares,
    mean_ranks,
    moving_average_shares,
    smooth_fit,
    smooth_shares,
)

ONE = [slice(0, 1)]


@pytest.fixture
def fold(rng: np.random.Generator) -> np.ndarray:
    return rng.permutation(2_000) % 5


@pytest.fixture
def inputs(rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(-0.5, 0.5, size=(2_000, 2))


def test_unrelated_inputs_explain_nothing(inputs: np.ndarray, fold: np.ndarray, rng: np.random.Generator) -> None:
    target = rng.normal(size=(2_000, 1))
    assert moving_average_shares(inputs[:, 0], target, ONE, fold)[0] < 0.02
    assert smooth_shares(inputs, target, ONE, fold, rng)[0] < 0.02
    assert linear_shares(inputs, target, ONE, fold)[0] < 0.02


def test_a_function_of_the_inputs_is_explained(inputs: np.ndarray, fold: np.ndarray, rng: np.random.Generator) -> None:
    x, y = inputs.T
    wave, bowl = np.sin(8 * x), (x - 0.2) ** 2 + y**2 - 0.3 * x * y
    targets = np.stack([wave - wave.mean(), bowl - bowl.mean()], axis=1)
    groups = [slice(0, 1), slice(1, 2)]
    assert moving_average_shares(x, targets, groups, fold)[0] > 0.98
    shares, residuals = smooth_fit(inputs, targets, groups, fold, rng)
    assert (shares > 0.99).all()
    assert np.allclose(np.square(residuals).sum(axis=0) / np.square(targets).sum(axis=0), 1 - shares)
    assert linear_shares(inputs, targets, groups, fold)[1] < 0.6


def test_the_share_of_a_noisy_function_is_that_of_its_signal(
    inputs: np.ndarray, fold: np.ndarray, rng: np.random.Generator
) -> None:
    signal = inputs[:, [0]] / inputs[:, 0].std()
    for share in (0.2, 0.5, 0.8):
        target = np.sqrt(share) * signal + np.sqrt(1 - share) * rng.normal(size=signal.shape)
        target -= target.mean()
        assert abs(moving_average_shares(inputs[:, 0], target, ONE, fold)[0] - share) < 0.06
        assert abs(smooth_shares(inputs[:, [0]], target, ONE, fold, rng)[0] - share) < 0.06


def test_means_of_labels_explain_what_labels_determine(fold: np.ndarray, rng: np.random.Generator) -> None:
    labels = rng.integers(7, size=2_000)
    jagged = rng.normal(size=7)[labels][:, None]
    assert group_mean_shares(labels, jagged - jagged.mean(), ONE, fold)[0] > 1 - 1e-9
    assert group_mean_shares(labels, rng.normal(size=(2_000, 1)), ONE, fold)[0] < 0.01
    once = np.arange(2_000)  # no label occurs in a training row
    assert group_mean_shares(once, rng.normal(size=(2_000, 1)), ONE, fold)[0] == 0


def test_the_columns_of_a_group_share_one_denominator(inputs: np.ndarray, fold: np.ndarray) -> None:
    targets = np.stack([inputs[:, 0], 2 * inputs[:, 1]], axis=1)
    both = linear_shares(inputs[:, [0]], targets - targets.mean(axis=0), [slice(0, 2)], fold)[0]
    assert abs(both - 1 / 5) < 0.02


def test_a_constant_target_has_no_share(inputs: np.ndarray, fold: np.ndarray) -> None:
    assert linear_shares(inputs, np.zeros((2_000, 1)), ONE, fold)[0] == 0


def test_equal_values_share_their_mean_rank() -> None:
    assert np.allclose(mean_ranks(np.array([[3.0], [1.0], [3.0], [9.0]])).ravel(), [0, -0.375, 0, 0.375])
