"""Mean correlation coefficient: limits, published variants, and bugs of other implementations."""

from itertools import permutations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import spearmanr

import disentmetrics as dm
from disentmetrics.factors import Factor, FactorSpace, Kind

Floats = NDArray[np.float64]
PROTOCOLS = ("default", "crossfit_pearson", "spearman", "hyvarinen2016", "khemakhem2020", "weak")
HELD_OUT = ("default", "crossfit_pearson", "weak")


def by_definition(codes: Floats, factors: Floats, method: str, normaliser: str) -> float:
    """Reference implementation: all matchings, correlations of scipy and numpy."""
    n_codes, n_factors = codes.shape[1], factors.shape[1]
    both = np.hstack([codes, factors])
    square = np.asarray(np.corrcoef(both.T) if method == "pearson" else spearmanr(both).statistic)
    matrix = np.abs(square[:n_codes, n_codes:])
    tall = matrix if n_codes >= n_factors else matrix.T
    most = max(tall[list(pick), range(tall.shape[1])].sum() for pick in permutations(range(len(tall)), tall.shape[1]))
    return float(most / (n_factors if normaliser == "factors" else min(matrix.shape)))


@pytest.mark.parametrize("n_codes", [2, 3, 5])
def test_the_published_variants_are_their_definitions(n_codes: int) -> None:
    rng = np.random.default_rng(n_codes)
    factors = rng.normal(size=(300, 3))
    codes = np.exp(factors @ rng.normal(size=(3, n_codes)) * 0.5) + 0.3 * rng.normal(size=(300, n_codes))
    for protocol, method, normaliser in (
        ("hyvarinen2016", "pearson", "factors"),
        ("khemakhem2020", "pearson", "pairs"),
        ("spearman", "spearman", "factors"),
    ):
        value = dm.metrics.mcc(codes, factors, protocol=protocol).value
        assert value == pytest.approx(by_definition(codes, factors, method, normaliser), abs=1e-12), protocol


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_permuted_scaled_and_flipped_factors_score_1(protocol: str) -> None:
    factors = np.random.default_rng(0).normal(size=(200, 3))
    score = dm.metrics.mcc(factors[:, [2, 0, 1]] * [-1e3, 1e-3, 2] + [5, 0, -7], factors, protocol=protocol)
    assert score.value == pytest.approx(1.0)
    assert score.details["assignment"].tolist() == [1, 2, 0]
    assert score.parts["weakest"].value == pytest.approx(1.0)


def test_ranks_follow_any_monotone_warp_and_pearson_does_not() -> None:
    factors = np.random.default_rng(0).normal(size=(500, 2))
    assert dm.metrics.mcc(np.exp(3 * factors), factors).value == pytest.approx(1.0)
    assert dm.metrics.mcc(np.exp(3 * factors), factors, protocol="crossfit_pearson").value < 0.6


@pytest.mark.parametrize("protocol", HELD_OUT)
def test_unrelated_codes_score_0_on_average_with_held_out_rows(protocol: str) -> None:
    """In-sample matching gives 0.16 for 200 noise latents on 300 rows, and an affine fit nearly 1."""
    rng = np.random.default_rng(0)
    values = [
        dm.metrics.mcc(rng.normal(size=(200, 20)), rng.normal(size=(200, 4)), protocol=protocol).value
        for _ in range(12)
    ]
    assert abs(np.mean(values)) < 4 * np.std(values) / 3 + 0.005
    inflated = dm.metrics.mcc(rng.normal(size=(200, 20)), rng.normal(size=(200, 4)), protocol="hyvarinen2016").value
    assert inflated > 0.12


def test_a_missing_factor_is_not_free() -> None:
    factors = np.random.default_rng(0).normal(size=(300, 4))
    codes = factors[:, :3]
    assert dm.metrics.mcc(codes, factors).value == pytest.approx(0.75)
    assert dm.metrics.mcc(codes, factors, protocol="khemakhem2020").value == pytest.approx(1.0)
    assert dm.metrics.mcc(codes, factors).parts["weakest"].value == 0.0


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_one_code_and_one_factor(protocol: str) -> None:
    """scipy's spearmanr returns a scalar for two columns, which breaks code that slices its result."""
    factor = np.random.default_rng(0).normal(size=100)
    assert dm.metrics.mcc(-factor, factor, protocol=protocol).value == pytest.approx(1.0)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_dead_latents_change_nothing(protocol: str) -> None:
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(300, 3))
    codes = factors + 0.5 * rng.normal(size=(300, 3))
    dead = np.hstack([np.full((300, 2), 0.1), codes])
    alive = dm.metrics.mcc(codes, factors, protocol=protocol).value
    assert dm.metrics.mcc(dead, factors, protocol=protocol).value == pytest.approx(alive, abs=1e-12)
    assert dm.metrics.mcc(np.ones((300, 3)), factors, protocol=protocol).value == 0.0


def test_a_rotation_of_three_factors_still_scores_high_and_a_note_reports_it() -> None:
    rng = np.random.default_rng(1)
    factors = rng.normal(size=(2_000, 3))
    rotation = np.linalg.qr(np.array([[1.0, 1.0, 1.0], [1.0, -1.0, 0.5], [0.3, 1.0, -1.0]]))[0]
    score = dm.metrics.mcc(factors @ rotation, factors)
    assert 0.6 < score.value < 0.85
    assert "this metric hardly penalises mixing" in score.notes[0]
    assert dm.metrics.mcc(factors @ rotation, factors, protocol="weak").value == pytest.approx(1.0)


@pytest.mark.parametrize("kind", ["categorical", "circular"])
@pytest.mark.parametrize("protocol", HELD_OUT)
def test_factors_of_several_columns_are_held_out_too(kind: Kind, protocol: str) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(6, size=(600, 1))
    space = FactorSpace([Factor("v", 6, kind)])
    follows = np.cos(2 * np.pi * labels / 6 + 0.3)
    value = dm.metrics.mcc.score(dm.Representation(follows, labels, space=space), protocol).value
    if protocol == "weak" and kind == "categorical":
        assert 0.4 < value < 0.9  # one column cannot be six indicators
    elif protocol == "weak":
        assert value == pytest.approx(np.sqrt(0.5), abs=0.02)  # of cosine and sine, one
    else:
        assert value > 0.9
    noise = [
        dm.metrics.mcc.score(dm.Representation(rng.normal(size=(600, 1)), labels, space=space), protocol).value
        for _ in range(10)
    ]
    assert abs(np.mean(noise)) < 0.06


def test_rows_without_a_label_are_left_out_for_that_factor_only() -> None:
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(400, 2))
    codes = factors + rng.normal(size=(400, 2))
    holes = factors.copy()
    holes[:390, 1] = np.nan
    score = dm.metrics.mcc(codes, holes)
    assert np.isfinite(score.per_factor["factor_1"])
    assert score.per_factor["factor_0"] == dm.metrics.mcc(codes, factors).per_factor["factor_0"]
    assert np.isfinite(dm.metrics.mcc(codes, holes, protocol="weak").per_factor["factor_1"])
    alone = dm.metrics.mcc(codes, np.c_[factors[:, 0], np.ones(400)])
    assert np.isnan(alone.per_factor["factor_1"])
    assert alone.value == alone.per_factor["factor_0"]


def test_rows_of_a_group_are_never_on_both_sides() -> None:
    """Codes that only identify the group predict repeated labels if groups are split."""
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(40), 10)
    factors, codes = rng.normal(size=(40, 1))[group], np.eye(40)[group] + 0.01 * rng.normal(size=(400, 40))
    leaky = dm.metrics.mcc.score(dm.Representation(codes, factors), "weak").value
    honest = dm.metrics.mcc.score(dm.Representation(codes, factors, groups=group), "weak").value
    assert leaky > 0.95
    assert abs(honest) < 0.6
