from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import entropy as scipy_entropy
from sklearn.metrics import mutual_info_score

import disentmetrics as dm

SIZES = (3, 6, 10, 12)
M = dm.metrics


def width_bins(values: np.ndarray, n_bins: int) -> np.ndarray:
    return np.asarray(np.digitize(values, np.linspace(values.min(), values.max(), n_bins + 1)[1:-1]))


def plug_in(codes: np.ndarray, factors: np.ndarray) -> np.ndarray:
    return np.array([[mutual_info_score(z, v) for v in factors.T] for z in codes.T])


def binned(codes: np.ndarray, n_bins: int) -> np.ndarray:
    return np.stack([width_bins(column, n_bins) for column in codes.T], axis=1)


@pytest.mark.parametrize("top", [None, 1, 2])
def test_cao2022_is_entropy_over_informations_that_sum_to_one_for_each_factor(
    mixed: Callable[..., tuple[np.ndarray, np.ndarray]], top: int | None
) -> None:
    codes, factors = mixed()
    matrix = plug_in(binned(codes, 20), factors)
    matrix /= matrix.sum(axis=0)

    def concentration(rows: np.ndarray) -> float:
        return float(sum(row.sum() * (1 - scipy_entropy(row, base=len(row))) for row in rows) / rows.sum())

    if top is not None:
        purity = [scipy_entropy(row) for row in matrix]
        owner = matrix.argmax(axis=1)
        picked = [sorted(np.flatnonzero(owner == k), key=lambda j: purity[j])[:top] for k in range(len(SIZES))]
        matrix = matrix[sorted(j for group in picked for j in group)]
    score = M.med(codes, factors, protocol="cao2022", top=top)
    assert score.value == pytest.approx(concentration(matrix), abs=1e-12)
    assert score.parts["completeness"].value == pytest.approx(concentration(matrix.T), abs=1e-12)


def test_a_perfect_code_scores_one_on_a_hundred_rows_with_as_many_noise_latents() -> None:
    """With plug-in estimates, MED of such a code is below .6."""
    rng = np.random.default_rng(0)
    factors = rng.integers((2, 3), size=(150, 2))
    codes = np.hstack([factors, rng.normal(size=(150, 4))])
    assert M.med(codes, factors, protocol="cao2022").value < 0.75
    for name in ("med", "mig_sup", "modularity", "axis_alignment"):
        assert M.find_metric(name)[0](codes, factors).value > 0.95
