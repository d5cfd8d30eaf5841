import numpy as np

import disentmetrics as dm

COMPACTNESS = dm.metrics.compactness_adj


def factors_of(n: int, seed: int = 0, size: int = 8, k: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).integers(size, size=(n, k))


def test_one_informative_code_is_compact() -> None:
    v = factors_of(2_000, k=2)
    assert COMPACTNESS(v[:, :1].astype(float), v).value == 1.0
