import numpy as np
import pytest

import disentmetrics as dm
from disentmetrics.estimators.target_scores import TargetScore, target_scores

PROTOCOLS: dict[str, TargetScore] = {"default": "smi", "spn": "spn", "bmmi": "bmmi", "asc": "asc"}


def cells(n: int = 600) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    kinds = np.stack([rng.integers(4, size=n), rng.integers(3, size=n)], axis=1)
    markers = np.hstack([np.eye(4)[kinds[:, 0]], np.eye(3)[kinds[:, 1]]])
    return markers + 0.05 * rng.random(size=markers.shape), kinds


@pytest.mark.parametrize("metric", ["lms", "msas", "msgs"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_aggregate_is_computed_from_the_published_matrix(metric: str, protocol: str) -> None:
    codes, kinds = cells()
    codes = codes[:, :5] + 0.3 * np.random.default_rng(1).normal(size=(600, 5))
    matrix = np.hstack([target_scores(codes, kinds[:, k], n, PROTOCOLS[protocol]) for k, n in enumerate((4, 3))])
    ranked = np.sort(matrix, axis=0)
    from itertools import permutations

    best = max(sum(matrix[j, t] for j, t in enumerate(pick)) for pick in permutations(range(7), 5))
    expected = {"lms": best / 7, "msas": ranked[-1].mean(), "msgs": (ranked[-1] - ranked[-2]).mean()}
    score = getattr(dm.metrics, metric)(codes, kinds, protocol=protocol)
    assert score.value == pytest.approx(expected[metric], abs=1e-12)
    by_target = score.details["scores"].max(axis=0)
    if metric == "msas":
        assert score.per_factor["factor_0"] == pytest.approx(by_target[:4].mean())
