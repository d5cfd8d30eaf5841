import numpy as np

import disentmetrics as dm


def cells(n: int = 600) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    kinds = np.stack([rng.integers(4, size=n), rng.integers(3, size=n)], axis=1)
    markers = np.hstack([np.eye(4)[kinds[:, 0]], np.eye(3)[kinds[:, 1]]])
    return markers + 0.05 * rng.random(size=markers.shape), kinds


def test_missing_labels_leave_rows_out_for_that_factor_only() -> None:
    codes, kinds = cells()
    holes = kinds.astype(float)
    holes[:200, 1] = np.nan
    score = dm.metrics.msas(codes, holes, protocol="spn")
    assert score.per_factor["factor_0"] == dm.metrics.msas(codes, kinds, protocol="spn").per_factor["factor_0"]
    assert (
        score.per_factor["factor_1"] == dm.metrics.msas(codes[200:], kinds[200:], protocol="spn").per_factor["factor_1"]
    )
