"""Normalised mutual information, and the metrics that are gaps and shares of it."""

import numpy as np
import pytest
from scipy.stats import entropy as scipy_entropy

import disentmetrics as dm
from disentmetrics.statistics.information_scores import normalized_mutual_information, with_binned_factors
from disentmetrics.statistics.latent_entropies import code_entropies

SIZES = (3, 6, 10, 12)
M = dm.metrics


def dependent(n: int = 5_000) -> np.ndarray:
    rng = np.random.default_rng(0)
    first = rng.integers(6, size=n)
    return np.stack([first, np.where(rng.random(n) < 0.6, first, rng.integers(6, size=n)), rng.integers(4, size=n)], 1)


@pytest.mark.parametrize("name", ["mig_sup", "axis_alignment", "modularity", "med"])
@pytest.mark.parametrize("n", [200, 5_000])
def test_pure_noise_scores_zero_where_ratios_would_be_arbitrary(name: str, n: int) -> None:
    rng = np.random.default_rng(3)
    score = M.find_metric(name)[0](rng.normal(size=(n, 10)), rng.integers(SIZES, size=(n, 4)))
    assert score.value == 0.0


def test_each_known_failure_is_one() -> None:
    rng = np.random.default_rng(0)
    factors = rng.integers((3, 6, 10), size=(6_000, 3))
    codes = factors.astype(float)
    twice = np.hstack([codes, codes])
    assert M.average_maximal_mi(twice, factors).value == pytest.approx(1.0)
    assert M.jemmig(twice, factors).value == pytest.approx(0.5, abs=1e-9)
    rotation = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))[0]
    assert M.dlig(np.hstack([codes, codes @ rotation]), factors).value > 0.99
    packed = np.c_[factors[:, 0] * 6 + factors[:, 1], factors[:, 2]].astype(float)
    assert M.sufficiency(packed, factors, estimator="rank-spacing").value == pytest.approx(1.0)
    assert M.sufficiency(packed, factors).value > 0.8
    assert M.minimality(codes[:, [0, 0]], factors).value == pytest.approx(1.0)
    hardly = (rng.random(6_000) < 0.15) * factors[:, :1].T + 3.0 * rng.random((1, 6_000))
    alone = M.axis_alignment(hardly.T, factors)
    assert 0 < alone.details["mutual_information"][0, 0] < 0.1
    assert alone.per_factor["factor_0"] == 1.0
    assert M.med(dependent().astype(float), dependent()).value < 0.9

    first = rng.integers(8, size=6_000)
    near = np.c_[first, np.where(rng.random(6_000) < 0.9, first, rng.integers(8, size=6_000))]
    blurred = np.c_[rng.normal(size=6_000) + 0.2 * first, near[:, 1] + rng.normal(size=6_000)]
    score = M.dmig(blurred, near, owners=(0, 1))
    assert score.details["mutual_information"][1, 1] < 0.6 * np.log(8)
    assert score.per_factor["factor_1"] == 1.0


@pytest.mark.parametrize(
    "spec", ["mig_sup", "dcimig@carbonneau2022", "jemmig", "jemmig@carbonneau2022", "minimality", "axis_alignment"]
)
def test_rows_without_a_label_are_left_out_for_that_factor_only(spec: str) -> None:
    metric, protocol = M.find_metric(spec)
    rng = np.random.default_rng(0)
    whole = rng.integers(4, size=(4_000, 2)).astype(float)
    codes = whole + 0.2 * rng.normal(size=whole.shape)
    holes = whole.copy()
    holes[rng.random(4_000) < 0.3, 1] = np.nan
    some, everything = (metric(codes, v, protocol=protocol) for v in (holes, whole))
    assert some.value == pytest.approx(everything.value, abs=0.02)
    assert some.value != everything.value


def test_binned_factors_and_entropies_of_codes_ignore_missing_labels() -> None:
    codes = np.array([[0.0], [1.0], [1.0], [5.0]])
    table = dm.Representation(codes, np.array([[0.0, 7.0], [2.5, 7.0], [10.0, 9.0], [np.nan, 8.0]]))
    cut = with_binned_factors(table, 4)
    assert cut.factors.tolist() == [[0, 0], [1, 0], [3, 3], [-1, 2]]
    h = code_entropies(cut, "equal-width", 5)
    assert h[0] == pytest.approx([scipy_entropy([1, 2]), scipy_entropy([1, 2, 1])])
    assert normalized_mutual_information(table, "equal-width", 5, 4).defined.all()
