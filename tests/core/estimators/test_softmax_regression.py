"""Logistic regression solved to convergence: against scikit-learn and at its minimum."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from disentmetrics.estimators import softmax_regression
from disentmetrics.estimators.softmax_regression import fit_softmax


def problem(n: int = 400, n_classes: int = 4, noise: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = rng.integers(n_classes, size=n)
    codes = np.stack([labels + noise * rng.normal(size=n), rng.normal(size=n)], axis=1)
    return (codes - codes.mean(axis=0)) / codes.std(axis=0), labels


@pytest.mark.parametrize("variance", [0.01, 1.0, 100.0])
def test_the_minimum_is_that_of_scikit_learn(variance: float) -> None:
    codes, labels = problem()
    ours = fit_softmax(codes, labels, 4, variance, intercept_variance=1e9).probabilities(codes)
    theirs = LogisticRegression(C=variance, tol=1e-8, max_iter=10_000).fit(codes, labels).predict_proba(codes)
    assert ours == pytest.approx(theirs, abs=1e-4)


def test_neither_start_nor_row_order_nor_solver_moves_the_minimum(monkeypatch: pytest.MonkeyPatch) -> None:
    codes, labels = problem()
    weights = fit_softmax(codes, labels, 4, 10.0).weights
    order = np.random.default_rng(1).permutation(len(codes))
    start = fit_softmax(codes, labels, 4, 1e-3)
    assert fit_softmax(codes[order], labels[order], 4, 10.0, start=start).weights == pytest.approx(weights, abs=1e-4)
    monkeypatch.setattr(softmax_regression, "_LARGEST_HESSIAN", 0)
    assert fit_softmax(codes, labels, 4, 10.0).weights == pytest.approx(weights, abs=1e-2)


def test_separable_classes_and_absent_ones_stay_finite() -> None:
    codes, labels = problem(noise=0.0)
    model = fit_softmax(codes, labels, 6, 1e4)
    found = model.probabilities(codes)
    assert (found.argmax(axis=1) == labels).all()
    assert np.isfinite(model.weights).all()
    assert 0 < found[:, 4:].max() < 0.01
    assert found.sum(axis=1) == pytest.approx(1.0)
