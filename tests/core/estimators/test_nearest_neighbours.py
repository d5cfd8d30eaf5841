"""Information from neighbours: against trees, against a loop over all pairs, and at its limits."""

import numpy as np
import pytest
from scipy.special import digamma
from sklearn.feature_selection import mutual_info_classif

from disentmetrics.estimators.nearest_neighbours import jittered, neighbour_information


@pytest.mark.parametrize("n_neighbors", [3, 10])
@pytest.mark.parametrize("tied", [False, True])
def test_it_is_the_estimate_of_scikit_learn(n_neighbors: int, tied: bool) -> None:
    rng = np.random.default_rng(n_neighbors)
    labels = rng.integers(5, size=2_000)
    code = 3.0 * (labels + rng.normal(size=2_000))
    if tied:
        code = np.round(code)
    theirs = mutual_info_classif(code[:, None], labels, n_neighbors=n_neighbors, random_state=7)[0]
    ours = neighbour_information(jittered(code[:, None], np.random.RandomState(7))[:, 0], labels, n_neighbors)
    # Tied codes differ by 1e-10 of noise, some of which a sum with a code rounds away.
    assert ours == pytest.approx(theirs, abs=1e-3 if tied else 1e-9)


def test_it_is_the_formula_counted_over_all_pairs() -> None:
    rng = np.random.default_rng(0)
    labels = rng.choice(4, p=[0.6, 0.3, 0.09, 0.01], size=200)
    code = labels * 0.7 + rng.normal(size=200)
    total, n = 0.0, 0
    paired = [i for i in range(200) if (labels == labels[i]).sum() > 1]
    for i in paired:
        same = np.sort([abs(code[j] - code[i]) for j in paired if labels[j] == labels[i] and j != i])
        k = min(5, len(same))
        near = sum(abs(code[j] - code[i]) < same[k - 1] for j in paired)
        total += digamma(k) - digamma(len(same) + 1) - digamma(near)
        n += 1
    assert neighbour_information(code, labels, 5) == pytest.approx(max(0.0, digamma(n) + total / n), abs=1e-9)


def test_separated_values_carry_all_information_and_independent_values_none() -> None:
    rng = np.random.default_rng(1)
    labels = np.repeat(np.arange(4), 500)
    assert neighbour_information(labels + 0.1 * rng.random(2_000), labels) == pytest.approx(np.log(4), abs=1e-3)
    assert neighbour_information(rng.random(2_000), labels) < 0.03
    assert neighbour_information(rng.random(3), np.arange(3)) == 0.0


def test_jitter_follows_its_generator_and_spares_the_scale() -> None:
    codes = np.random.default_rng(2).normal(size=(50, 2)) * [1e-4, 1e4]
    first, second = (jittered(codes, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(first, second)
    assert first.std(axis=0) == pytest.approx([1, 1], abs=1e-6)
