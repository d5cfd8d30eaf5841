import numpy as np
import pytest

from disentmetrics.estimators.loss_capacity import (
    explicitness_above_minimum,
    random_feature_predictions,
    share_of_best_score,
)

CURVES = {  # output of the authors' code for five curves that are compared up to capacity 16
    "flat": ([1, 2, 4, 8], [0.5, 0.5, 0.5, 0.5], 1.0),
    "step": ([1, 2, 4, 8], [1.0, 0.0, 0.0, 0.0], 14 / 15),
    "line": ([1, 2, 3, 4, 5], [0.8, 0.6, 0.4, 0.2, 0.0], 1 - 3.2 / 15),
    "bumpy": ([1, 2, 4, 8, 16], [0.9, 0.5, 0.6, 0.2, 0.3], 1 - 3.4 / 15),
    "short": ([1, 2, 4], [0.7, 0.3, 0.1], 0.92),
}


@pytest.mark.parametrize("name", CURVES)
def test_the_published_form_gives_the_authors_numbers(name: str) -> None:
    capacity, loss, expected = CURVES[name]
    assert explicitness_above_minimum(capacity, loss, widest=16) == pytest.approx(expected, abs=1e-9)


def test_a_probe_that_never_learns_scores_one_as_published_and_nothing_in_ours() -> None:
    capacity = [1, 10, 100]
    assert explicitness_above_minimum(capacity, [1.0, 1.0, 1.0]) == 1.0
    assert share_of_best_score(capacity, [0.0, 0.0, 0.0]) == 0.0
    assert share_of_best_score(capacity, [-0.3, -0.1, -0.2]) == 0.0


def test_the_share_counts_capacities_by_their_logarithm_and_never_falls_with_them() -> None:
    assert share_of_best_score([1, 10, 100], [0.0, 0.8, 0.8]) == pytest.approx(0.75)
    assert share_of_best_score([1, 10, 100], [0.8, 0.2, 0.1]) == 1.0
    assert share_of_best_score([5], [0.3]) == 1.0
    assert explicitness_above_minimum([5], [0.3]) == 1.0


def test_random_features_contain_the_linear_map_and_learn_a_curve(rng: np.random.Generator) -> None:
    inputs = rng.normal(size=(1_000, 2))
    target = np.c_[inputs @ [1.0, -1.0], np.sin(2 * inputs[:, 0])]
    narrow, wide = random_feature_predictions(inputs[:500], target[:500], inputs[500:], [0, 128], rng)
    line, curve = 1 - ((wide - target[500:]) ** 2).mean(0) / target[500:].var(0)
    assert 1 - ((narrow - target[500:]) ** 2).mean(0)[0] / target[500:, 0].var() > 0.9999
    assert line > 0.999
    assert curve > 0.95


def test_width_zero_is_least_squares_where_the_penalty_is_small(rng: np.random.Generator) -> None:
    inputs = rng.normal(size=(300, 3))
    target = inputs @ rng.normal(size=(3, 1)) + 0.1 * rng.normal(size=(300, 1))
    (found,) = random_feature_predictions(inputs[:200], target[:200], inputs[200:], [0], rng)
    design = np.c_[np.ones(200), inputs[:200]]
    expected = np.c_[np.ones(100), inputs[200:]] @ np.linalg.lstsq(design, target[:200], rcond=None)[0]
    assert found == pytest.approx(expected, abs=1e-2)
