import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

import disentmetrics as dm
from disentmetrics import Factor, FactorSpace, Representation
from disentmetrics.representation.resampling import train_and_test_rows


def ordinal(codes: np.ndarray, factors: np.ndarray) -> Representation:
    sizes = factors.max(axis=0) + 1
    return Representation(
        codes, factors, space=FactorSpace([Factor(f"v{k}", int(s), "ordinal") for k, s in enumerate(sizes)])
    )


def draw(n: int = 1_500) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.integers((3, 6), size=(n, 2)), rng.normal(size=(n, 3))


def test_perfect_codes_score_one_and_noise_zero() -> None:
    factors, noise = draw()
    assert dm.metrics.explicitness.score(ordinal(factors * [1.0, 1e-3], factors)).value > 0.995
    assert dm.metrics.explicitness.score(ordinal(noise, factors)).value < 0.05


def test_in_sample_noise_scores_above_chance_and_out_of_fold_it_does_not() -> None:
    rng = np.random.default_rng(0)
    factors, codes = rng.integers(5, size=(200, 1)), rng.normal(size=(200, 20))
    table = ordinal(codes, factors)
    assert dm.metrics.explicitness.score(table, "ridgeway2018").value > 0.65
    assert dm.metrics.explicitness.score(table).value < 0.1


def test_the_published_settings_are_areas_under_roc_curves_of_scikit_learn() -> None:
    factors, noise = draw()
    codes = np.c_[factors + noise[:, :2], noise[:, 2]]
    table = ordinal(codes, factors)
    train, test = train_and_test_rows(table, np.arange(1_500), 10_000, 5_000, 0)

    def area(k: int, train: np.ndarray, scored: np.ndarray) -> float:
        model = LogisticRegression().fit(codes[train], factors[train, k])
        return float(roc_auc_score(factors[scored, k], model.predict_proba(codes[scored]), multi_class="ovr"))

    everything = np.arange(1_500)
    in_sample = [area(k, everything, everything) for k in range(2)]
    held_out = [area(k, train, test) for k in range(2)]
    result = {p: dm.metrics.explicitness.score(table, p) for p in ("ridgeway2018", "locatello2019")}
    assert list(result["ridgeway2018"].per_factor.values()) == pytest.approx(in_sample, abs=1e-9)
    assert list(result["locatello2019"].per_factor.values()) == pytest.approx(held_out, abs=1e-9)


def test_carbonneau2022_is_one_balanced_regression_per_class_on_codes_in_unit_range() -> None:
    factors, noise = draw()
    codes = np.c_[factors + noise[:, :2], noise[:, 2]]
    unit = (codes - codes.min(0)) / np.ptp(codes, axis=0)
    expected = []
    for k, size in enumerate((3, 6)):
        each = [
            LogisticRegression(class_weight="balanced").fit(unit, factors[:, k] == c).predict_proba(unit)[:, 1]
            for c in range(size)
        ]
        share = np.stack(each, axis=1) / np.sum(each, axis=0)[:, None]
        expected.append(2 * roc_auc_score(factors[:, k], share, multi_class="ovr") - 1)
    result = dm.metrics.explicitness.score(ordinal(codes, factors), "carbonneau2022")
    assert list(result.per_factor.values()) == pytest.approx(expected, abs=1e-9)


def test_carbonneau2022_on_a_grid_of_perfect_codes() -> None:
    """1 - 1 / 165 by the authors' code on a full grid of 4, 5, 6, 8 and 12 values: two of twelve are misplaced."""
    values = np.arange(12)
    code = (values - values.mean()) / values.std()
    table = ordinal(np.repeat(code, 960)[:, None], np.repeat(values, 960)[:, None])
    result = dm.metrics.explicitness.score(table, "carbonneau2022")
    assert result.value == pytest.approx(1 - 1 / 33, abs=1e-9)


def test_known_failure_a_rotation_scores_as_high() -> None:
    factors, _ = draw()
    ideal = (factors - factors.mean(0)) / factors.std(0)
    rotated = ideal @ [[0.6, 0.8], [0.8, -0.6]]
    assert dm.metrics.explicitness.score(ordinal(rotated, factors)).value > 0.995


def test_rare_classes_weigh_as_much_and_a_class_that_a_half_lacks_is_left_out() -> None:
    rng = np.random.default_rng(0)
    labels = np.r_[rng.integers(2, size=598), 2, 2][:, None]
    codes = np.c_[labels == 0, labels == 1].astype(float)
    result = dm.metrics.explicitness.score(ordinal(codes, labels))
    assert result.value > 0.99
    single = np.r_[rng.integers(2, size=599), 2][:, None]
    area = dm.metrics.explicitness.score(ordinal(np.c_[single == 0, single == 1].astype(float), single))
    assert area.details["area_under_curve"][0, :2] == pytest.approx([1.0, 1.0], abs=0.01)
    assert np.isnan(area.details["area_under_curve"][0, 2])
    assert area.value > 0.99


def test_continuous_factors_missing_labels_and_dead_latents() -> None:
    rng = np.random.default_rng(0)
    values = rng.random((1_000, 1))
    values[::5] = np.nan
    space = FactorSpace([Factor("v", None, "continuous")])
    codes = np.nan_to_num(values)
    plain = dm.metrics.explicitness.score(Representation(codes, values, space=space))
    assert plain.value > 0.97
    dead = np.hstack([np.full((1_000, 2), 7.0), codes])
    for protocol in dm.metrics.explicitness.protocols:
        with_dead = dm.metrics.explicitness.score(Representation(dead, values, space=space), protocol)
        alone = dm.metrics.explicitness.score(Representation(codes, values, space=space), protocol)
        assert with_dead.value == alone.value
    nothing = dm.metrics.explicitness.score(Representation(np.ones((1_000, 2)), values, space=space))
    assert nothing.value == 0.0


def test_rows_that_cannot_be_scored_give_a_reason_instead_of_a_number() -> None:
    labels = np.arange(40)[:, None] % 2
    together = Representation(labels.astype(float), labels, groups=np.zeros(40))
    assert "2 or more groups of rows" in str(dm.metrics.explicitness.score(together).undefined)
