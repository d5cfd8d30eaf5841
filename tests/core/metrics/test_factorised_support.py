from collections.abc import Callable

import numpy as np
import pytest

import disentmetrics as dm

COVARIANCE = np.array([[4.0, 1.0, 0.5], [1.0, 1.0, -0.2], [0.5, -0.2, 2.0]])


def labels(codes: np.ndarray) -> np.ndarray:
    return np.zeros(len(codes), dtype=int)


def score(name: str, codes: np.ndarray, **options: object) -> dm.Score:
    result: dm.Score = getattr(dm.metrics, name)(codes, labels(codes), **options)
    return result


def hausdorff(first: np.ndarray, second: np.ndarray) -> float:
    rows = np.c_[first, second]
    product = np.array([(a, b) for a in first for b in second])
    return float(np.sqrt(((product[:, None] - rows) ** 2).sum(axis=2)).min(axis=1).max())


def test_factorised_support_of_a_plain_loop(with_covariance: Callable[..., np.ndarray]) -> None:
    codes = with_covariance(COVARIANCE, n=40)
    pairs = [hausdorff(codes[:, i], codes[:, j]) for i, j in ((0, 1), (0, 2), (1, 2))]
    assert score("factorised_support", codes, protocol="roth2023").value == pytest.approx(np.square(pairs).sum())
    standard = codes / codes.std(axis=0)
    expected = np.mean([hausdorff(standard[:, i], standard[:, j]) for i, j in ((0, 1), (0, 2), (1, 2))])
    assert score("factorised_support", codes, scale="sd").value == pytest.approx(expected)


def test_dependent_codes_over_a_full_grid_have_a_factorised_support() -> None:
    """Correlation does not matter as long as every combination occurs, which is the purpose of the metric."""
    values = np.indices((5, 5)).reshape(2, -1).T
    often = np.where(values[:, 0] == values[:, 1], 20, 1)
    codes = np.repeat(values, often, axis=0).astype(float)
    assert np.corrcoef(codes.T)[0, 1] > 0.5
    assert score("factorised_support", codes).value == 0.0
    assert score("factorised_support", codes[codes[:, 0] <= codes[:, 1]]).value > 0.5
