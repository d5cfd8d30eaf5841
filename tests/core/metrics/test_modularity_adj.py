import numpy as np
import pytest

import disentmetrics as dm

MODULARITY = dm.metrics.modularity_adj
COMPACTNESS = dm.metrics.compactness_adj
EXPLICITNESS = dm.metrics.explicitness_adj


def factors_of(n: int, seed: int = 0, size: int = 8, k: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).integers(size, size=(n, k))


def test_packing_is_seen_by_modularity_alone() -> None:
    v = factors_of(6_000, size=5, k=3)
    packed = np.stack([v[:, 0] * 5 + v[:, 1], v[:, 2]], axis=1)
    # A tenth of the larger step is half of the smaller one, at which 56 % of the second factor's entropy remain.
    first, second = MODULARITY(packed, v).details["share"][0, :2]
    assert [first, second] == pytest.approx([0.93, 0.56], abs=0.02)
    assert MODULARITY(packed, v).value == pytest.approx(
        ((1 + first) / (1 + first + second) - 1 / 3) / (2 / 3), abs=0.01
    )
    assert COMPACTNESS(packed, v).value == pytest.approx(1.0, abs=0.01)
    assert EXPLICITNESS(packed, v).value == pytest.approx((1 + first + second) / 3, abs=0.01)


def test_a_note_reports_that_nothing_is_related() -> None:
    v = factors_of(300)
    score = MODULARITY(np.random.default_rng(6).normal(size=(300, 3)), v)
    assert score.value == 0
    assert "no latent depends on any factor" in score.notes[0]
