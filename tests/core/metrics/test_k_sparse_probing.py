import numpy as np
import pytest

import disentmetrics as dm

HADAMARD = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]) / 2


def factors_of(n: int, *sizes: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(sizes, size=(n, len(sizes)))


def test_a_rotation_hides_factors_from_single_latents_but_not_from_all_jointly() -> None:
    factors = factors_of(1_500, 5, 5, 5, 5)
    metric = dm.metrics.k_sparse_probing
    perfect, rotated = metric(factors.astype(float), factors), metric(factors @ HADAMARD, factors)
    assert [perfect.parts[f"best_{k}"].value for k in (1, 2, 5)] == pytest.approx([1, 1, 1])
    assert perfect.details["chosen"].tolist() == [0, 1, 2, 3]
    assert rotated.parts["best_1"].value < rotated.parts["best_2"].value < 0.4
    assert rotated.parts["best_5"].value == pytest.approx(1.0, abs=0.01)
