"""Pair scores of codes and single classes against their definitions, read literally."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy.stats import spearmanr

from disentmetrics.estimators.target_scores import TargetScore, target_scores


def entropy(*labels: np.ndarray) -> float:
    share = np.unique(np.stack(labels), axis=1, return_counts=True)[1] / len(labels[0])
    return float(-(share * np.log(share)).sum())


def information(a: np.ndarray, b: np.ndarray) -> float:
    return entropy(a) + entropy(b) - entropy(a, b)


def by_definition(code: np.ndarray, target: np.ndarray, score: str) -> float:
    if score == "smi":
        bins = np.digitize(code, np.linspace(code.min(), code.max(), 11)[1:-1])
        return information(bins, target) / entropy(target)
    if score == "bmmi":
        cuts = np.unique(code)[:-1]
        return max((information(code > cut, target) / entropy(target) for cut in cuts), default=0.0)
    if score == "asc":
        return abs(float(spearmanr(code, target).statistic))
    ordered = target[np.argsort(code, kind="stable")]
    share = target.mean()
    alike = (ordered[:-1] * ordered[1:]).sum() / (target.sum() - 1)
    return float(max(0.0, alike - share) / (1 - share))


@given(seed=st.integers(0, 2**32 - 1), score=st.sampled_from(["smi", "spn", "bmmi", "asc"]), tied=st.booleans())
def test_every_score_is_its_definition(seed: int, score: TargetScore, tied: bool) -> None:
    rng = np.random.default_rng(seed)
    classes = np.r_[np.arange(4), np.arange(4), rng.integers(4, size=52)]
    codes = rng.normal(size=(60, 3)) + 0.7 * classes[:, None]
    if tied and score != "spn":  # of equal codes spn is a mean over orders, tested below
        codes = np.round(codes)
    expected = [[by_definition(code, (classes == c).astype(float), score) for c in range(4)] for code in codes.T]
    np.testing.assert_allclose(target_scores(codes, classes, 4, score), expected, atol=1e-10)


def test_equal_codes_count_as_in_a_random_order() -> None:
    """The authors' code uses the order of the file, so a constant block appears informative if it was sorted."""
    rng = np.random.default_rng(0)
    classes = np.sort(rng.integers(3, size=40))  # sorted, as files are
    code = np.r_[np.zeros(15), np.ones(15), np.arange(2.0, 12.0)]
    found = []
    for _ in range(4_000):
        order = rng.permutation(40)
        ordered = classes[order][np.argsort(code[order], kind="stable")]
        found.append([((ordered[:-1] == c) & (ordered[1:] == c)).sum() / ((ordered == c).sum() - 1) for c in range(3)])
    share = np.bincount(classes) / 40
    expected = np.clip(np.mean(found, axis=0) - share, 0, None) / (1 - share)
    np.testing.assert_allclose(target_scores(code[:, None], classes, 3, "spn")[0], expected, atol=0.01)


@pytest.mark.parametrize("score", ["smi", "spn", "bmmi", "asc"])
def test_a_marker_scores_1_and_dead_codes_score_0(score: Any) -> None:
    classes = np.arange(60) % 3
    codes = np.stack([classes == 1, np.ones(60), 1e-9 * (classes == 1)], axis=1).astype(float)
    scores = target_scores(codes, classes, 3, score)
    assert scores[0, 1] == pytest.approx(1.0)
    assert (scores[1] == 0).all()
    np.testing.assert_allclose(scores[2], scores[0])


@pytest.mark.parametrize("score", ["smi", "spn", "bmmi", "asc"])
def test_a_class_of_no_row_or_of_all_rows_is_not_a_target(score: Any) -> None:
    code = np.arange(6.0)[:, None]
    assert np.isnan(target_scores(code, np.zeros(6, dtype=int), 2, score)).all()
    lone = target_scores(code, np.array([0, 0, 0, 0, 1, 3]), 4, score)[0]
    assert np.isnan(lone[2])
    assert np.isnan(lone[1]) == (score == "spn")  # one row has no neighbour of its class
    assert not np.isnan(lone[0])


def test_noise_in_many_codes_scores_near_0() -> None:
    rng = np.random.default_rng(0)
    codes, classes = rng.normal(size=(2_000, 300)), rng.integers(30, size=2_000)
    for score in ("smi", "spn", "bmmi", "asc"):
        scores = target_scores(codes, classes, 30, score)
        assert scores.shape == (300, 30)
        assert scores.mean() < 0.05
