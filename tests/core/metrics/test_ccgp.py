import numpy as np
import pytest

import disentmetrics as dm

CCGP = dm.metrics.ccgp


def grid(*sizes: int, repeats: int = 40) -> np.ndarray:
    return np.indices(sizes).reshape(len(sizes), -1).T.repeat(repeats, axis=0)


def test_ccgp_is_least_squares_on_all_contexts_but_one() -> None:
    factors = grid(3, 4)
    rng = np.random.default_rng(0)
    codes = np.column_stack([factors[:, 0] * (1 + 0.5 * factors[:, 1]), factors[:, 1]]) + rng.normal(size=(480, 2))
    accuracy = CCGP(codes, factors).details["accuracy"]
    design = np.column_stack([codes, np.ones(480)])
    for k, c in ((0, 1), (1, 0)):
        hits = []
        for a in range(factors[:, k].max() + 1):
            for b in range(a):
                pair = np.isin(factors[:, k], (a, b))
                side = np.where(factors[:, k] == a, 1.0, -1.0)
                for context in range(factors[:, c].max() + 1):
                    learns, asked = pair & (factors[:, c] != context), pair & (factors[:, c] == context)
                    weights = np.linalg.lstsq(design[learns], side[learns], rcond=None)[0]
                    hits.append(((design[asked] @ weights > 0) == (side[asked] > 0)).mean())
        assert accuracy[k, c] == pytest.approx(np.mean(hits), abs=1e-4)
