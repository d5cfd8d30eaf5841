import numpy as np
import pytest

from disentmetrics.estimators import permutation_importance
from disentmetrics.estimators.permutation_importance import exceeds_its_noise, forest_importance


def halves(rng: np.random.Generator, n_inputs: int = 3) -> tuple[np.ndarray, np.ndarray]:
    inputs = rng.normal(size=(1_600, n_inputs))
    return inputs[:800], inputs[800:]


def test_noise_has_no_importance_and_does_not_beat_the_mean(rng: np.random.Generator) -> None:
    beaten = spurious = 0
    for _ in range(20):
        known, new = halves(rng)
        found = forest_importance(known, rng.normal(size=(800, 1)), new, rng.normal(size=(800, 1)), rng=rng, n_trees=5)
        beaten += found.beats_null
        spurious += int(found.clear.sum())
    assert beaten == 0
    assert spurious <= 2  # of 60, at three standard errors


def test_permuting_the_only_relevant_input_costs_twice_the_variance(rng: np.random.Generator) -> None:
    known, new = halves(rng)
    found = forest_importance(known, known[:, 1:2], new, new[:, 1:2], rng=rng)
    assert found.importance[1] == pytest.approx(2.0, abs=0.2)
    assert found.importance[[0, 2]].tolist() == [0.0, 0.0]
    assert found.score > 0.98


def test_a_weak_effect_is_kept_although_it_is_not_clear(rng: np.random.Generator) -> None:
    """Of an input with 2 % of the variance, permuting 200 rows shows about two standard errors."""
    kept = clear = 0
    for _ in range(20):
        inputs = rng.normal(size=(400, 2))
        target = (inputs @ [1.0, 0.15] + 0.5 * rng.normal(size=400))[:, None]
        found = forest_importance(inputs[:200], target[:200], inputs[200:], target[200:], rng=rng, n_trees=10)
        assert found.clear[0]
        kept += int(found.importance[1] > 0)
        clear += int(found.clear[1])
    assert clear < kept - 4


def test_equal_inputs_share_alike(rng: np.random.Generator) -> None:
    known, new = halves(rng, 1)
    first, second = forest_importance(known[:, [0, 0]], known, new[:, [0, 0]], new, rng=rng, n_trees=30).importance
    assert first / (first + second) == pytest.approx(0.5, abs=0.15)


def test_classes_are_scored_above_the_most_frequent_one(rng: np.random.Generator) -> None:
    known, new = halves(rng)
    labels, truth = ((x[:, 0] > 0.5).astype(int) + 2 * (x[:, 1] > 1) for x in (known, new))
    found = forest_importance(known, labels, new, truth, rng=rng)
    assert found.score > 0.95
    assert found.importance[2] == 0.0
    assert (found.importance[:2] > 0.3).all()
    unseen = forest_importance(known, np.minimum(labels, 2), new, truth, rng=rng)
    assert 0 < unseen.score < found.score


def test_a_constant_target_leaves_nothing_to_predict(rng: np.random.Generator) -> None:
    known, new = halves(rng)
    found = forest_importance(known, np.zeros(800, int), new, np.zeros(800, int), rng=rng)
    assert (found.importance == 0).all()
    assert not found.beats_null


def test_growth_ends_early_only_where_all_trees_would_not_beat_the_mean_either(monkeypatch: pytest.MonkeyPatch) -> None:
    """Effects around the size that the forest of all trees just detects."""

    def detected(seed: int, effect: float) -> bool:
        rng = np.random.default_rng(seed)
        inputs = rng.normal(size=(1_000, 3))
        target = effect * inputs[:, :1] + rng.normal(size=(1_000, 1))
        parts = inputs[:500], target[:500], inputs[500:], target[500:]
        return forest_importance(*parts, rng=rng, n_trees=15).beats_null

    cases = [(seed, effect) for seed in range(8) for effect in (0.0, 0.5, 0.6, 0.8)]
    early = [detected(*case) for case in cases]
    monkeypatch.setattr(permutation_importance, "_FIRST_TREES", 15)
    assert early == [detected(*case) for case in cases]
    assert 4 < sum(early) < 24


def test_rows_of_a_cluster_count_once() -> None:
    rng = np.random.default_rng(0)
    effect = np.array([1.0, -1.0, 1.2, -0.4, 0.9])
    rows = (effect[:, None] + 0.01 * rng.normal(size=(5, 100))).ravel()[None]
    assert exceeds_its_noise(rows, None).tolist() == [True]
    assert exceeds_its_noise(rows, np.repeat(np.arange(5), 100)).tolist() == [False]
    assert exceeds_its_noise(rows, np.zeros(500, int)).tolist() == [False]
