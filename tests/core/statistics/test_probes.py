from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from disentmetrics import Factor, FactorSpace, Representation
from disentmetrics.representation.resampling import folds
from disentmetrics.statistics.probes import (
    Probe,
    aligned_codes,
    best_held_out_score,
    held_out_score,
    predict,
    standardised_codes,
    step_prediction,
)

KINDS = FactorSpace(
    [
        Factor("shape", 3, "categorical"),
        Factor("size", 4, "ordinal"),
        Factor("angle", 8, "circular"),
        Factor("speed", None, "continuous"),
    ]
)


def mixed(n: int = 400, seed: int = 0, **kwargs: Any) -> Representation:
    rng = np.random.default_rng(seed)
    factors = np.c_[rng.integers((3, 4, 8), size=(n, 3)), rng.random(n)]
    return Representation(factors + 0.0, factors, space=KINDS, **kwargs)


def test_standardised_codes_leave_constant_ones_out() -> None:
    codes = np.c_[np.arange(6.0), np.ones(6), -1e30 * np.arange(6.0)]
    found = standardised_codes(Representation(codes, np.arange(6) % 2))
    assert found.shape == (6, 2)
    assert found[:, 0] == pytest.approx(-found[:, 1])
    assert (found**2).mean(axis=0) == pytest.approx([1.0, 1.0])


def test_a_linear_score_is_the_r2_of_least_squares_on_held_out_rows() -> None:
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(200, 3))
    factor = codes @ [1.0, -2.0, 0.0] + rng.normal(size=200)
    representation = Representation(codes, factor[:, None], space=FactorSpace([Factor("v", None, "continuous")]))
    errors = baseline = 0.0
    for train, test in folds(representation, np.arange(200), 5, 3):
        design = np.c_[np.ones(len(train)), codes[train]]
        weights = np.linalg.lstsq(design, factor[train], rcond=None)[0]
        errors += ((np.c_[np.ones(len(test)), codes[test]] @ weights - factor[test]) ** 2).sum()
        baseline += ((factor[train].mean() - factor[test]) ** 2).sum()
    assert held_out_score(representation, 0, "linear", 3) == pytest.approx(1 - errors / baseline)


def test_a_linear_score_of_categories_is_chance_corrected_accuracy() -> None:
    rng = np.random.default_rng(0)
    labels = rng.choice(3, p=[0.6, 0.3, 0.1], size=300)
    codes = labels[:, None] + rng.normal(size=(300, 2))
    representation = Representation(codes, labels[:, None], space=FactorSpace([Factor("v", 3, "categorical")]))
    z = (codes - codes.mean(0)) / codes.std(0)
    right = most_frequent = 0
    for train, test in folds(representation, np.arange(300), 5, 0):
        right += (LogisticRegression(max_iter=1000).fit(z[train], labels[train]).predict(z[test]) == labels[test]).sum()
        most_frequent += (labels[test] == 0).sum()
    assert held_out_score(representation, 0, "linear", 0) == pytest.approx(
        (right - most_frequent) / (300 - most_frequent)
    )


@pytest.mark.parametrize("probe", ["linear", "boosting"])
def test_noise_scores_no_more_than_nothing_and_perfect_codes_nearly_one(probe: Probe) -> None:
    factors = np.random.default_rng(0).integers((2, 4), size=(600, 2))
    space = FactorSpace([Factor("a", 2, "categorical"), Factor("b", 4, "ordinal")])
    noise = Representation(np.random.default_rng(1).normal(size=(600, 20)), factors, space=space)
    perfect = Representation(factors.astype(float), factors, space=space)
    for position in range(2):
        assert held_out_score(noise, position, probe, 0) < 0.13
        assert held_out_score(perfect, position, probe, 0) > 0.99


def test_what_cannot_be_scored_is_nan_and_no_codes_score_nothing() -> None:
    space = FactorSpace([Factor("a", 2, "ordinal"), Factor("b", 2, "ordinal")])
    factors = np.c_[np.zeros(30, int), np.arange(30) % 2]
    representation = Representation(np.ones((30, 2)), factors, space=space)
    assert np.isnan(held_out_score(representation, 0, "linear", 0))
    assert held_out_score(representation, 1, "linear", 0) == 0.0
    assert held_out_score(representation, 1, "linear", 0, codes=()) == 0.0
    one_group = Representation(np.arange(30.0), factors, space=space, groups=np.zeros(30))
    assert np.isnan(held_out_score(one_group, 1, "linear", 0))
    assert np.isnan(best_held_out_score(one_group, 1, 0))


def test_a_class_that_the_training_rows_lack_is_missed_without_a_warning() -> None:
    labels = np.array([0] * 30 + [1] * 30 + [2])
    codes = np.c_[labels, labels].astype(float)
    representation = Representation(codes, labels[:, None], space=FactorSpace([Factor("v", 3, "categorical")]))
    assert held_out_score(representation, 0, "boosting", 0) == pytest.approx(1 - 1 / 31, abs=0.05)
    assert predict("linear", codes[:30], labels[:30], codes[30:], is_class=True, seed=0).tolist() == [0] * 31


def test_the_better_probe_counts_and_boosting_is_skipped_where_a_line_suffices(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(0)
    codes = rng.uniform(-1, 1, size=(400, 2))
    factors = np.c_[codes[:, 0], codes[:, 1] ** 2]
    space = FactorSpace([Factor("line", None, "continuous"), Factor("parabola", None, "continuous")])
    representation = Representation(codes, factors, space=space)
    assert best_held_out_score(representation, 1, 0) > 0.9 > held_out_score(representation, 1, "linear", 0)
    asked: list[str] = []

    def perfect_score(*args: str, **_: object) -> float:
        asked.append(args[2])
        return 1.0

    monkeypatch.setattr("disentmetrics.statistics.probes.held_out_score", perfect_score)
    assert best_held_out_score(representation, 0, 1) == 1.0
    assert asked == ["linear"]


def test_n_rows_limits_the_rows_that_are_used() -> None:
    representation = mixed(400)
    few, all_ = (held_out_score(representation, 1, "linear", 0, codes=(2, 3), n_rows=n) for n in (50, 10_000))
    assert all_ == held_out_score(representation, 1, "linear", 0, codes=(2, 3))
    assert few != all_


def test_step_prediction_is_the_corrected_correlation_ratio() -> None:
    rng = np.random.default_rng(0)
    code, factor = rng.integers(6, size=500), rng.normal(size=500)
    factor = factor + (code == 2)
    representation = Representation(
        code[:, None].astype(float), factor[:, None], space=FactorSpace([Factor("v", None, "continuous")])
    )
    within = sum(((factor[code == c] - factor[code == c].mean()) ** 2).sum() for c in range(6))
    total = ((factor - factor.mean()) ** 2).sum()
    expected = 1 - (within / (500 - 6)) / (total / 499)
    assert step_prediction(representation)[0, 0] == pytest.approx(expected)


def test_step_prediction_of_categories_does_not_read_their_numbers() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(4, size=800)
    codes = labels[:, None] + rng.normal(size=(800, 2))
    space = FactorSpace([Factor("v", 4, "categorical")])
    plain = step_prediction(Representation(codes, labels[:, None], space=space))
    moved = step_prediction(Representation(codes, np.array([2, 0, 3, 1])[labels][:, None], space=space))
    assert plain == pytest.approx(moved)
    assert (plain > 0.2).all()


def test_step_prediction_is_one_for_each_kind_and_zero_on_average_for_noise() -> None:
    representation = mixed(3_000)
    assert step_prediction(representation).diagonal() == pytest.approx([1, 1, 1, 1], abs=1e-3)
    rng = np.random.default_rng(0)
    nulls = [step_prediction(representation.shuffled(rng)) for _ in range(30)]
    assert np.mean(nulls) == pytest.approx(0.0, abs=3 * np.std(nulls) / np.sqrt(np.size(nulls)) + 1e-4)


def test_each_factor_is_matched_to_one_latent_and_to_none_if_there_are_too_few() -> None:
    factors = np.random.default_rng(0).integers(4, size=(500, 3))
    both = 4 * factors[:, 0] + factors[:, 1]
    representation = Representation(np.c_[both, factors[:, 0]].astype(float), factors)
    assert aligned_codes(representation).tolist() == [1, 0, -1]
