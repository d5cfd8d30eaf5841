from collections.abc import Callable

import numpy as np

import disentmetrics as dm

COVARIANCE = np.array([[4.0, 1.0, 0.5], [1.0, 1.0, -0.2], [0.5, -0.2, 2.0]])


def labels(codes: np.ndarray) -> np.ndarray:
    return np.zeros(len(codes), dtype=int)


def score(name: str, codes: np.ndarray, **options: object) -> dm.Score:
    result: dm.Score = getattr(dm.metrics, name)(codes, labels(codes), **options)
    return result


def test_no_factor_is_needed(with_covariance: Callable[..., np.ndarray]) -> None:
    codes = with_covariance(COVARIANCE)
    for name in (
        "gaussian_total_correlation",
        "wasserstein_correlation",
        "mean_pairwise_mi",
        "active_units",
        "hoyer_sparsity",
        "factorised_support",
    ):
        assert np.isfinite(score(name, codes).value)
