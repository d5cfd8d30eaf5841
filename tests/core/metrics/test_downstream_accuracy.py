import numpy as np
import pytest

import disentmetrics as dm

ACCURACY = dm.metrics.downstream_accuracy


def factors_of(n: int, *sizes: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(sizes, size=(n, len(sizes)))


def test_a_label_that_is_wrong_in_one_row_of_five_is_named_rightly_in_four() -> None:
    factors = factors_of(4_000, 2, 3)
    codes = factors.astype(float)
    wrong = np.random.default_rng(1).random(4_000) < 0.2
    codes[wrong, 0] = 1 - codes[wrong, 0]
    score = ACCURACY(codes, factors)
    assert score.per_factor["factor_0"] == pytest.approx(0.8, abs=0.02)
    assert score.per_factor["factor_1"] == 1.0
    assert score.parts["rows_10"].value < score.parts["rows_1000"].value
    assert score.parts["rows_10000"].undefined is not None


def test_noise_is_named_as_well_as_the_most_frequent_class_names_it() -> None:
    factors = (np.random.default_rng(2).random((3_000, 2)) < [0.7, 0.9]).astype(int)
    codes = np.random.default_rng(3).normal(size=(3_000, 4))
    score = ACCURACY(codes, factors)
    assert score.null == pytest.approx(0.8, abs=0.02)
    assert score.value == pytest.approx(0.8, abs=0.02)


def test_rows_of_one_group_are_never_split() -> None:
    rng = np.random.default_rng(4)
    group = np.arange(60).repeat(10)
    factors = rng.integers(2, size=(60, 1))[group]
    codes = rng.normal(size=(60, 30))[group]
    leaking = ACCURACY.score(dm.Representation(codes, factors))
    kept_apart = ACCURACY.score(dm.Representation(codes, factors, groups=group))
    assert leaking.value > 0.75
    assert kept_apart.value < 0.65
