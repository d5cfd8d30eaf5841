import time

import numpy as np
import pytest
from sklearn.svm import LinearSVC

import disentmetrics as dm
from disentmetrics import Factor, FactorSpace, Representation
from disentmetrics.representation.resampling import train_and_test_rows

SIZES = (4, 5, 6)


def ordinal(codes: np.ndarray, factors: np.ndarray) -> Representation:
    sizes = factors.max(axis=0) + 1
    return Representation(
        codes, factors, space=FactorSpace([Factor(f"v{k}", int(s), "ordinal") for k, s in enumerate(sizes)])
    )


def draw(n: int = 3_000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.integers(SIZES, size=(n, 3)), rng.normal(size=(n, 3))


def test_kumar2018_is_the_gap_of_squared_correlations() -> None:
    factors, noise = draw()
    codes = np.hstack([factors + noise, factors[:, :1] + 2 * noise[:, 1:2]])
    squared = np.corrcoef(codes.T, factors.T)[:4, 4:] ** 2
    ranked = np.sort(squared, axis=0)
    result = dm.metrics.sap.score(ordinal(codes, factors), "kumar2018")
    assert result.value == pytest.approx((ranked[-1] - ranked[-2]).mean(), abs=1e-9)
    assert result.details["predictability"] == pytest.approx(squared, abs=1e-9)


def test_the_default_ignores_warps_where_the_squared_correlation_falls() -> None:
    factors, _ = draw()
    warped = np.exp(2.0 * factors)
    assert dm.metrics.sap.score(ordinal(warped, factors)).value > 0.995
    assert dm.metrics.sap.score(ordinal(warped, factors), "kumar2018").value < 0.7


def test_noise_scores_about_zero_and_duplicated_latents_exactly_zero() -> None:
    factors, noise = draw()
    assert dm.metrics.sap.score(ordinal(noise, factors)).value < 0.005
    for protocol in dm.metrics.sap.protocols:
        twice = ordinal(np.hstack([factors, factors]).astype(float), factors)
        assert dm.metrics.sap.score(twice, protocol).value == pytest.approx(0.0, abs=1e-9)


def test_known_failure_two_factors_packed_into_one_latent_score_one() -> None:
    factors, noise = draw()
    codes = np.c_[10 * factors[:, 0] + factors[:, 1], factors[:, 2], noise[:, 0]]
    assert dm.metrics.sap.score(ordinal(codes, factors)).value > 0.98


def test_circular_and_categorical_factors_count_fully() -> None:
    rng = np.random.default_rng(0)
    factors = rng.integers((12, 3), size=(4_000, 2))
    space = FactorSpace([Factor("angle", 12, "circular"), Factor("shape", 3, "categorical")])
    shuffled = np.c_[factors[:, 0], np.array([1, 2, 0])[factors[:, 1]]].astype(float)
    assert dm.metrics.sap.score(Representation(shuffled, factors, space=space)).value > 0.99


def test_locatello2019_is_the_accuracy_of_a_linear_svm_on_one_latent() -> None:
    factors, noise = draw(600)
    codes = factors + 0.3 * noise
    representation = ordinal(codes, factors)
    train, test = train_and_test_rows(representation, np.arange(600), 10_000, 5_000, 0)
    expected = np.array(
        [
            [
                LinearSVC(C=0.01, class_weight="balanced", dual=False)
                .fit(codes[train, j : j + 1], factors[train, k])
                .score(codes[test, j : j + 1], factors[test, k])
                for k in range(3)
            ]
            for j in range(3)
        ]
    )
    result = dm.metrics.sap.score(representation, "locatello2019")
    assert result.details["predictability"] == pytest.approx(expected, abs=1e-12)
    ranked = np.sort(expected, axis=0)
    assert result.value == pytest.approx((ranked[-1] - ranked[-2]).mean())


def test_why_an_svm_differs_from_squared_correlation_on_perfect_codes() -> None:
    """A single threshold cannot separate a class between two others: a perfect code scores below 0.5."""
    factors, _ = draw()
    ideal = ordinal((factors - factors.mean(0)) / factors.std(0), factors)
    assert dm.metrics.sap.score(ideal, "locatello2019").value < 0.5
    assert dm.metrics.sap.score(ideal, "kumar2018").value > 0.99


def test_balanced_accuracy_averages_over_classes() -> None:
    rng = np.random.default_rng(0)
    labels = (rng.random(900) < 0.1).astype(int)[:, None]
    codes = np.c_[labels + 0.05 * rng.normal(size=(900, 1)), np.zeros(900)]
    result = dm.metrics.sap.score(ordinal(codes, labels), "kumar2018_classification")
    assert result.details["predictability"][:, 0] == pytest.approx([1.0, 0.5])
    assert result.value == pytest.approx(0.5)


def test_a_million_rows_take_seconds() -> None:
    rng = np.random.default_rng(0)
    factors = rng.integers(SIZES, size=(1_000_000, 3))
    codes = np.hstack([factors, rng.normal(size=(1_000_000, 3))])
    start = time.process_time()
    assert dm.metrics.sap.score(ordinal(codes, factors), "kumar2018").value > 0.99
    assert time.process_time() - start < 10


def test_missing_labels_and_constant_factors_are_left_out() -> None:
    factors, _ = draw(900)
    holes = np.c_[np.where(np.arange(900) % 3, factors[:, 0], -1), factors[:, 1], np.zeros(900, int)]
    score = dm.metrics.sap.score(ordinal(factors.astype(float), holes))
    assert score.value > 0.98
    assert np.isnan(score.per_factor["v2"])
    alone = dm.metrics.sap.score(ordinal(factors[:, :1].astype(float), factors[:, :1]))
    assert alone.value == 1.0
