"""Classifiers of factors: reference implementations, and the metrics that share them."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold

import disentmetrics as dm
from disentmetrics.statistics.learning_curves import Classifier, class_probabilities, fit_probe


def factors_of(n: int, *sizes: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(sizes, size=(n, len(sizes)))


def test_smaller_numbers_of_rows_are_among_larger_ones_and_seeds_decide() -> None:
    factors = factors_of(600, 4)
    table = dm.Representation(factors + np.random.default_rng(5).normal(size=(600, 1)), factors)
    few, again, other = (fit_probe(table, 0, 50, "logistic", seed) for seed in (0, 0, 1))
    assert few is not None
    assert again is not None
    assert other is not None
    assert few.n_train == 50
    assert np.array_equal(few.y_pred, again.y_pred)
    assert not np.array_equal(few.y_pred[few.rows.argsort()], other.y_pred[other.rows.argsort()])


def test_logistic_cv_is_ten_penalties_and_five_unshuffled_folds_of_scikit_learn() -> None:
    factors = factors_of(300, 3)
    rng = np.random.default_rng(6)
    codes = np.column_stack([factors[:, 0] + 0.7 * rng.normal(size=300), 5 * rng.normal(size=(300, 2))])
    labels, new = factors[:, 0], codes + 0.1
    hits = [
        np.mean(
            [
                LogisticRegression(C=c, max_iter=2_000).fit(codes[a], labels[a]).score(codes[b], labels[b])
                for a, b in KFold(5).split(codes)
            ]
        )
        for c in np.logspace(-4, 4, 10)
    ]
    best = LogisticRegression(C=np.logspace(-4, 4, 10)[int(np.argmax(hits))], max_iter=2_000).fit(codes, labels)
    ours = class_probabilities("logistic-cv", codes, labels, new, 3)
    assert ours == pytest.approx(best.predict_proba(new), abs=1e-3)


@pytest.mark.parametrize("classifier", ["boosting", "gradient-boosting"])
def test_trees_decode_a_latent_that_no_linear_classifier_decodes(classifier: Classifier) -> None:
    codes = np.random.default_rng(7).uniform(-1, 1, size=(400, 2))
    labels = (np.abs(codes[:, 0]) > 0.5).astype(int)
    args = codes[:300], labels[:300], codes[300:], 2
    trees = class_probabilities(classifier, *args)
    line = class_probabilities("logistic", *args)
    assert (trees.argmax(axis=1) == labels[300:]).mean() > 0.9
    assert (line.argmax(axis=1) == labels[300:]).mean() < 0.7


@pytest.mark.parametrize(
    "name", ["downstream_accuracy", "unfairness", "reduced_downstream", "strong_downstream", "targeted_ablation"]
)
def test_missing_labels_and_rare_classes_leave_a_finite_score(name: str) -> None:
    factors = factors_of(400, 3, 4).astype(float)
    factors[:100, 1] = np.nan
    factors[399, 0] = 7.0  # a class of one row
    codes = np.nan_to_num(factors) + 0.3 * np.random.default_rng(13).normal(size=factors.shape)
    score = getattr(dm.metrics, name)(codes, factors)
    assert score.undefined is None
    assert np.isfinite(score.value)
