import numpy as np
import pytest
from hypothesis import given, strategies as st
from sklearn.linear_model import Lasso

from disentmetrics.errors import DisentmetricsError
from disentmetrics.estimators import lasso
from disentmetrics.estimators.lasso import lasso_coefficients


def correlated_inputs(rng: np.random.Generator, n_rows: int, n_inputs: int, similarity: float) -> np.ndarray:
    shared = rng.normal(size=(n_rows, 1))
    inputs = np.sqrt(similarity) * shared + np.sqrt(1 - similarity) * rng.normal(size=(n_rows, n_inputs))
    inputs = inputs - inputs.mean(axis=0)
    return np.asarray(inputs / inputs.std(axis=0))


@given(
    seed=st.integers(0, 2**32 - 1),
    n_inputs=st.integers(1, 8),
    similarity=st.sampled_from([0.0, 0.5, 0.99]),
    alpha=st.sampled_from([0.01, 0.1, 0.5]),
)
def test_agrees_with_scikit_learn(seed: int, n_inputs: int, similarity: float, alpha: float) -> None:
    rng = np.random.default_rng(seed)
    inputs = correlated_inputs(rng, 200, n_inputs, similarity)
    targets = inputs @ rng.normal(size=(n_inputs, 3)) + rng.normal(size=(200, 3))
    targets -= targets.mean(axis=0)
    theirs = Lasso(alpha=alpha, tol=1e-14, max_iter=1_000_000, fit_intercept=False).fit(inputs, targets).coef_
    gram, covariance = inputs.T @ inputs / 200, inputs.T @ targets / 200
    np.testing.assert_allclose(lasso_coefficients(gram, covariance, alpha), theirs.T, atol=1e-6)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lasso, "MAX_ROUNDS", 0)  # the exact steps alone give the same result
        np.testing.assert_allclose(lasso_coefficients(gram, covariance, alpha), theirs.T, atol=1e-6)


def test_orthogonal_inputs_are_shrunk_by_alpha() -> None:
    covariance = np.array([[1.0, -0.4], [0.05, -0.1]])
    expected = np.sign(covariance) * np.maximum(np.abs(covariance) - 0.1, 0)
    np.testing.assert_allclose(lasso_coefficients(np.eye(2), covariance, 0.1), expected, atol=1e-15)


@given(seed=st.integers(0, 2**32 - 1), difference=st.sampled_from([1e-3, 1e-5, 1e-7]))
def test_nearly_equal_inputs_meet_the_optimality_conditions(seed: int, difference: float) -> None:
    rng = np.random.default_rng(seed)
    inputs = correlated_inputs(rng, 300, 5, 1 - difference)
    targets = inputs @ rng.normal(size=(5, 3)) / np.sqrt(difference) + rng.normal(size=(300, 3))
    targets /= targets.std(axis=0)
    gram, covariance = inputs.T @ inputs / 300, inputs.T @ targets / 300
    solution = lasso_coefficients(gram, covariance, 0.1)
    gradient = covariance - gram @ solution
    assert np.abs(gradient).max() <= 0.1 + 1e-9
    np.testing.assert_allclose(gradient[solution != 0], 0.1 * np.sign(solution[solution != 0]), atol=1e-9)


def test_equal_inputs_give_the_first_all_and_absent_inputs_nothing() -> None:
    gram = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    solution = lasso_coefficients(gram, np.array([[0.8], [0.8], [0.0]]), 0.1)
    np.testing.assert_allclose(solution, [[0.7], [0.0], [0.0]], atol=1e-12)


def test_no_inputs_or_no_targets_give_empty_coefficients() -> None:
    assert lasso_coefficients(np.empty((0, 0)), np.empty((0, 3)), 0.1).shape == (0, 3)
    assert lasso_coefficients(np.eye(2), np.empty((2, 0)), 0.1).shape == (2, 0)


def test_failure_to_converge_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lasso, "MAX_ROUNDS", 0)
    solved = lasso_coefficients(np.eye(1), np.ones((1, 1)), 0.1)
    np.testing.assert_allclose(solved, 0.9)
    monkeypatch.setattr(lasso, "MAX_STEPS", 0)
    with pytest.raises(DisentmetricsError, match="must converge"):
        lasso_coefficients(np.eye(1), np.ones((1, 1)), 0.1)
