"""LMS, MSAS and MSGS: three aggregates of scores for single values of factors."""

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


@pytest.mark.parametrize("protocol", ["default", "spn", "bmmi"])
def test_one_latent_per_value_scores_1(protocol: str) -> None:
    codes, kinds = cells()
    assert dm.metrics.lms(codes, kinds, protocol=protocol).value == pytest.approx(1.0)
    assert dm.metrics.msas(codes, kinds, protocol=protocol).value == pytest.approx(1.0)


def test_with_fewer_latents_than_targets_the_number_of_targets_divides() -> None:
    """Published on a perfect code of sizes 4, 5, 6, 8 and 12: 5 / 35."""
    grid = np.indices((4, 5, 6, 8, 12)).reshape(5, -1).T
    score = dm.metrics.lms(grid.astype(float), grid)
    assert score.value == pytest.approx(0.14285714285714302, abs=1e-12)
    assert any("no representation of this size can score above 0.143" in note for note in score.notes)
    assert dm.metrics.msas(grid.astype(float), grid).value == pytest.approx(0.9539708954972649, abs=1e-9)
    assert dm.metrics.msgs(grid.astype(float), grid, protocol="bmmi").value == pytest.approx(
        0.5580474357334287, abs=1e-9
    )
    assert dm.metrics.msas(grid.astype(float), grid, protocol="asc").value == pytest.approx(
        0.3522089956833525, abs=1e-9
    )
    # The authors' 0.367 depends on the order of tied rows.
    assert dm.metrics.msgs(grid.astype(float), grid, protocol="spn").value == pytest.approx(1.0, abs=1e-3)


def test_msas_and_msgs_do_not_see_packing_and_say_so() -> None:
    rng = np.random.default_rng(0)
    factors = rng.integers(3, size=(900, 2))
    packed = (3 * factors[:, 0] + factors[:, 1]).astype(float)
    codes = np.stack([packed, rng.normal(size=900)], axis=1)
    score = dm.metrics.msgs(codes, factors)
    assert score.value > 0.97
    assert "is the best latent for values of factor_0 and factor_1" in score.notes[0]
    assert "values that share a latent" in dm.metrics.msas(codes, factors).notes[0]
    assert dm.metrics.lms(codes, factors).value < 0.2


def test_missing_labels_leave_rows_out_for_that_factor_only() -> None:
    codes, kinds = cells()
    holes = kinds.astype(float)
    holes[:200, 1] = np.nan
    score = dm.metrics.msas(codes, holes, protocol="spn")
    assert score.per_factor["factor_0"] == dm.metrics.msas(codes, kinds, protocol="spn").per_factor["factor_0"]
    assert (
        score.per_factor["factor_1"] == dm.metrics.msas(codes[200:], kinds[200:], protocol="spn").per_factor["factor_1"]
    )
