import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import entropy

from disentmetrics.estimators.importance import completeness, disentanglement

MATRICES = arrays(float, st.tuples(st.integers(1, 6), st.integers(1, 6)), elements=st.floats(0, 1e6))


@given(MATRICES)
def test_values_and_weights_are_those_of_the_formula(matrix: np.ndarray) -> None:
    values, weights = disentanglement(matrix)
    total = matrix.sum()
    for j, row in enumerate(matrix):
        if row.sum() > 1e-9 * total and row.sum() > 0:
            expected = 1 - entropy(row, base=len(row)) if len(row) > 1 else 1.0
            assert values[j] == pytest.approx(expected, abs=1e-6)
            assert weights[j] == pytest.approx(row.sum() / total)
    assert ((values >= 0) & (values <= 1)).all()
    assert weights.sum() == pytest.approx(1.0 if total > 0 else 0.0)


def test_a_latent_without_importance_has_weight_zero_wherever_its_column_is() -> None:
    """A published implementation stops at the first such latent, and drops all later ones."""
    matrix = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
    for order in ([0, 1, 2], [1, 0, 2], [1, 2, 0]):
        values, weights = disentanglement(matrix[order])
        assert values @ weights == pytest.approx(1.0)


def test_completeness_weights_factors_by_their_importance() -> None:
    values, weights = completeness(np.array([[3.0, 1.0], [0.0, 1.0]]))
    assert values.tolist() == [1.0, 0.0]
    assert weights.tolist() == pytest.approx([0.6, 0.4])


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_extreme_importances_neither_overflow_nor_vanish(scale: float) -> None:
    matrix = np.array([[3.0, 1.0], [0.0, 4.0]])
    assert disentanglement(matrix * scale)[0] == pytest.approx(disentanglement(matrix)[0])
