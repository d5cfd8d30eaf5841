"""R² both ways, blocks, T-MEX and compositional accuracy."""

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import cross_val_predict

import disentmetrics as dm
from disentmetrics.errors import InvalidInputError
from disentmetrics.factors import Factor, FactorSpace, Kind
from disentmetrics.statistics.factor_regression import codes_from_factors, true_factors


def normal(n: int, k: int, correlation: float = 0.0, seed: int = 0) -> np.ndarray:
    covariance = np.full((k, k), correlation) + (1 - correlation) * np.eye(k)
    return np.random.default_rng(seed).multivariate_normal(np.zeros(k), covariance, size=n)


# R² of factors from codes, and of codes from factors


def test_a_shift_of_the_codes_does_not_matter() -> None:
    """Fitted without intercept, R2(Z + 3, Z) is 0 in identifiability-guard 0.1.0."""
    factors = normal(300, 3)
    assert dm.metrics.linear_r2(factors + 3, factors).value == pytest.approx(1.0)
    assert dm.metrics.linear_r2(1e6 - factors, factors + 40).value == pytest.approx(1.0)


def test_linear_r2_is_the_share_of_variance_on_rows_left_out() -> None:
    factors = normal(2_000, 2)
    codes = factors @ [[1.0, 0.5], [-0.3, 1.0]] + normal(2_000, 2, seed=1)
    score = dm.metrics.linear_r2(codes, factors)
    y_pred = cross_val_predict(LinearRegression(), codes, factors, cv=5)
    expected = 1 - ((y_pred - factors) ** 2).mean(axis=0) / factors.var(axis=0)
    assert list(score.per_factor.values()) == pytest.approx(expected, abs=0.005)
    back = cross_val_predict(LinearRegression(), factors, codes, cv=5)
    expected_back = (1 - ((back - codes) ** 2).mean(axis=0) / codes.var(axis=0)).mean()
    assert score.parts["codes_from_factors"].value == pytest.approx(expected_back, abs=0.005)


def test_noise_scores_0_or_less_for_any_number_of_latents() -> None:
    """In sample, R² of noise reaches d / n: 0.66 for 200 latents on 300 rows."""
    factors, codes = normal(300, 2), normal(300, 200, seed=1)
    assert LinearRegression().fit(codes, factors).score(codes, factors) > 0.6
    assert dm.metrics.linear_r2(codes, factors).value < 0


def test_the_two_directions_distinguish_missing_factors_from_extra_noise() -> None:
    factors = normal(500, 3)
    noisy = dm.metrics.linear_r2(np.hstack([factors, normal(500, 3, seed=1)]), factors)
    short = dm.metrics.linear_r2(factors[:, :2], factors)
    assert noisy.value == pytest.approx(1.0)
    assert noisy.parts["codes_from_factors"].value == pytest.approx(0.5, abs=0.02)
    assert short.value == pytest.approx(2 / 3, abs=0.02)
    assert short.parts["codes_from_factors"].value == pytest.approx(1.0)


def test_orthogonality_error_is_0_for_rotations_and_largest_for_one_direction() -> None:
    factors = normal(4_000, 3)
    factors = (factors - factors.mean(axis=0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(factors.T))).T
    rotation = np.linalg.qr(normal(3, 3, seed=2))[0]
    error = {
        name: dm.metrics.linear_r2(codes, factors).details["orthogonality_error"][0]
        for name, codes in {
            "rotated": 7 * factors @ rotation + 3,
            "stretched": factors * [1.0, 1.0, 2.0],
            "flat": factors @ np.ones((3, 2)),
        }.items()
    }
    assert error["rotated"] == pytest.approx(0.0, abs=1e-10)
    assert error["stretched"] == pytest.approx(np.linalg.norm([0.5 - 1, 0.5 - 1, 2.0 - 1]) / np.sqrt(3))
    assert error["flat"] == pytest.approx(np.sqrt(2))


@pytest.mark.parametrize("kind", ["ordinal", "categorical", "circular", "continuous"])
@pytest.mark.parametrize("metric", ["linear_r2", "nonlinear_r2"])
def test_every_kind_of_factor_and_missing_labels(metric: str, kind: Kind) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(5, size=(400, 1))
    codes = np.hstack(
        [np.cos(2 * np.pi * labels / 5), np.sin(2 * np.pi * labels / 5), labels, rng.normal(size=(400, 1))]
    )
    space = FactorSpace([Factor("v", None if kind == "continuous" else 5, kind)])
    values = labels.astype(float) if kind == "continuous" else labels
    holes = np.where(np.arange(400)[:, None] < 100, np.nan if kind == "continuous" else -1, values)
    for factors in (values, holes):
        table = dm.Representation(codes, factors, space=space)
        score = getattr(dm.metrics, metric).score(table)
        assert score.value > 0.9
        assert 0.1 < score.parts["codes_from_factors"].value <= 1.0
        shuffled = dm.Representation(rng.normal(size=(400, 2)), factors, space=space)
        assert getattr(dm.metrics, metric).score(shuffled).value < 0.15


def test_rows_with_a_missing_label_do_not_predict_codes() -> None:
    factors = np.random.default_rng(0).integers(4, size=(200, 2))
    factors[:50, 0] = -1
    space = FactorSpace([Factor("a", 4, "ordinal"), Factor("b", 4, "categorical")])
    table = dm.Representation(factors - 5.0, factors, space=space)
    truth = true_factors(table)
    assert truth.rows.tolist() == list(range(50, 200))
    assert truth.of_factor == ((0,), (1, 2, 3))
    assert codes_from_factors(table, "linear", 0)[0] == pytest.approx(1.0)


def test_boosting_finds_what_no_line_can() -> None:
    factors = np.random.default_rng(0).uniform(-1, 1, size=(1_500, 2))
    codes = np.stack([np.abs(factors[:, 0]), np.sign(factors[:, 0]), factors[:, 1] ** 3], axis=1)
    linear = dm.metrics.linear_r2(codes, factors)
    bent = dm.metrics.nonlinear_r2(codes, factors)
    assert linear.value < 0.9
    assert bent.value > 0.97


# Blocks


def test_blocks_that_are_given_and_blocks_that_are_assigned() -> None:
    factors = normal(900, 4)
    inside = [normal(2, 2, seed=1), normal(2, 2, seed=2)]
    codes = np.hstack([factors[:, 2:] @ inside[0], factors[:, :2] @ inside[1]])
    score = dm.metrics.block_identifiability(
        codes, factors, protocol="linear", code_blocks=((2, 3), (0, 1)), factor_blocks=((0, 1), (2, 3))
    )
    assert score.value == pytest.approx(1.0)
    assert abs(score.parts["leakage"].value) < 0.02
    assigned = dm.metrics.block_identifiability(codes, factors, protocol="linear", factor_blocks=((0, 1), (2, 3)))
    assert assigned.value == pytest.approx(1.0)
    assert assigned.details["block_of_code"].tolist() == [1, 1, 0, 0]
    swapped = dm.metrics.block_identifiability(
        codes, factors, protocol="linear", code_blocks=((0, 1), (2, 3)), factor_blocks=((0, 1), (2, 3))
    )
    assert abs(swapped.value) < 0.02
    assert swapped.parts["leakage"].value == pytest.approx(1.0)


def test_excess_leakage_does_not_charge_the_dependence_of_the_factors() -> None:
    factors = normal(3_000, 3, correlation=0.7)
    perfect = dm.metrics.block_identifiability(factors, factors, protocol="linear")
    mixed = dm.metrics.block_identifiability(
        factors + 0.5 * factors[:, [1, 2, 0]], factors, protocol="linear", code_blocks=((0,), (1,), (2,))
    )
    assert perfect.parts["leakage"].value == pytest.approx(0.49, abs=0.04)  # the square of the correlation
    assert perfect.parts["excess_leakage"].value == pytest.approx(0.0, abs=1e-9)
    assert mixed.parts["excess_leakage"].value > 0.15


def test_invalid_blocks_are_refused() -> None:
    factors = normal(100, 2)
    for options, message in (
        ({"code_blocks": ((0,), (0,))}, "each at most once"),
        ({"factor_blocks": ((0,), (5,))}, "must contain indices from 0 to 1"),
        ({"code_blocks": ((0, 1),)}, "one block for each of 2 blocks of factors; got 1"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            dm.metrics.block_identifiability(factors, factors, protocol="linear", **options)


# T-MEX


def test_p_values_of_t_mex_are_those_of_residual_products() -> None:
    """Reference implementation: least squares on the other folds, normalised sum of products."""
    factors = normal(600, 3, correlation=0.5)
    codes = factors @ normal(3, 2, seed=3) + normal(600, 2, seed=4)
    table = dm.Representation(codes, factors)
    score = dm.metrics.tmex.score(table, "linear", n_folds=2)
    from disentmetrics.representation.resampling import folds

    splits = folds(table, np.arange(600), 2, 0)
    for k in range(3):
        rest = np.delete(factors, k, axis=1)
        for j in range(2):
            products = []
            for train, test in splits:
                left = [
                    values[test] - LinearRegression().fit(rest[train], values[train]).predict(rest[test])
                    for values in (factors[:, k], codes[:, j])
                ]
                products.append(left[0] * left[1])
            together = np.concatenate(products)
            t = together.mean() / together.std(ddof=1) * np.sqrt(600)
            assert score.details["p_values"][j, k] == pytest.approx(2 * norm.sf(abs(t)), rel=1e-6)


@pytest.mark.parametrize("protocol", ["default", "linear"])
def test_perfect_codes_of_dependent_factors_are_exclusive(protocol: str) -> None:
    """Each latent depends on every factor, but given the others only on its own."""
    rng = np.random.default_rng(0)
    first = rng.integers(4, size=1_500)
    factors = np.stack([first, (first + rng.integers(3, size=1_500)) // 2, rng.integers(4, size=1_500)], axis=1)
    score = dm.metrics.tmex(-factors[:, [1, 2, 0]].astype(float), factors, protocol=protocol)
    assert score.value == 1.0
    assert score.details["expected"].tolist() == [[0, 1, 0], [0, 0, 1], [1, 0, 0]]


def test_level_of_the_exclusive_cells() -> None:
    """Blurred codes of dependent factors: about one in twenty exclusive cells is rejected, and no more."""
    shares = []
    for seed in range(8):
        factors = normal(800, 4, correlation=0.5, seed=seed)
        codes = factors + normal(800, 4, seed=100 + seed)
        score = dm.metrics.tmex(codes, factors, protocol="linear")
        assert score.parts["found"].value == 1.0
        shares.append(score.parts["exclusive"].value)
    assert 0.88 < np.mean(shares) <= 1.0


def test_mixing_missing_and_unrelated_codes_disagree() -> None:
    factors = normal(1_000, 3)
    mixed = dm.metrics.tmex(factors + 0.5 * factors[:, [1, 2, 0]], factors, protocol="linear")
    assert mixed.value == pytest.approx(6 / 9)
    assert mixed.parts["exclusive"].value == pytest.approx(0.5)
    short = dm.metrics.tmex(factors[:, :2], factors, protocol="linear")
    assert short.value == pytest.approx(8 / 9)
    assert short.parts["found"].value == pytest.approx(2 / 3)
    noise = dm.metrics.tmex(normal(1_000, 3, seed=5), factors, protocol="linear")
    assert noise.parts["found"].value == 0.0


def test_a_given_pattern_is_what_is_compared() -> None:
    factors = normal(700, 2)
    own = np.eye(2)
    assert dm.metrics.tmex(factors, factors, protocol="linear", expected=own).value == 1.0
    assert dm.metrics.tmex(factors, factors, protocol="linear", expected=1 - own).value == 0.0
    with pytest.raises(InvalidInputError, match="expected must contain 0 or 1 for 2 latents and 2 factors"):
        dm.metrics.tmex(factors, factors, expected=np.eye(3))
    with pytest.raises(InvalidInputError, match="alpha must be between 0 and 1"):
        dm.metrics.tmex(factors, factors, alpha=1.0)


def test_what_cannot_be_tested_is_said() -> None:
    factors = np.random.default_rng(0).integers(4, size=(300, 2))
    twice = np.c_[factors, factors[:, 0] * 2]  # the first and the last are functions of each other
    score = dm.metrics.tmex(factors.astype(float), twice, protocol="linear")
    assert np.isnan(score.per_factor["factor_0"])
    assert any("not tested, because constant" in note for note in score.notes)
    assert any("with 300 rows these tests have little power" in note for note in score.notes)


# Compositional accuracy


def test_additive_codes_generalise_to_unseen_combinations_and_lookup_tables_do_not() -> None:
    factors = np.indices((5, 5)).reshape(2, -1).T.repeat(16, axis=0)
    additive = factors @ [[1.0, 1.0], [1.0, -1.0]]
    assert dm.metrics.compositional_accuracy(additive, factors, protocol="linear").value == 1.0
    name = np.random.default_rng(0).permutation(25)[
        factors[:, 0] * 5 + factors[:, 1]
    ]  # combinations, numbered at random
    by_heart = dm.metrics.compositional_accuracy(name.astype(float), factors)
    assert by_heart.value < 0.1
    assert dm.metrics.nonlinear_r2(name.astype(float), factors).value > 0.5  # on rows of seen combinations


def test_no_combination_is_in_both_training_and_test_rows() -> None:
    """One-hot codes of the combination are uninformative about unseen combinations."""
    factors = np.indices((3, 4)).reshape(2, -1).T.repeat(20, axis=0)
    codes = np.eye(12)[factors[:, 0] * 4 + factors[:, 1]]
    assert dm.metrics.compositional_accuracy(codes, factors, protocol="linear").value < 0.25


@pytest.mark.parametrize("kind", ["ordinal", "categorical", "circular"])
def test_values_of_every_kind_are_predicted(kind: Kind) -> None:
    rng = np.random.default_rng(0)
    factors = rng.integers(5, size=(600, 2))
    space = FactorSpace([Factor("a", 5, kind), Factor("b", 5, "ordinal")])
    angle = 2 * np.pi * factors[:, :1] / 5
    codes = np.hstack([np.cos(angle), np.sin(angle), factors])
    score = dm.metrics.compositional_accuracy.score(dm.Representation(codes, factors, space=space))
    assert score.value > 0.95


def test_unrelated_codes_score_near_0_for_any_frequencies() -> None:
    rng = np.random.default_rng(0)
    factors = np.stack([rng.choice(3, 900, p=[0.9, 0.05, 0.05]), rng.choice(2, 900, p=[0.9, 0.1])], axis=1)
    score = dm.metrics.compositional_accuracy(rng.normal(size=(900, 2)), factors, protocol="linear")
    assert abs(score.value) < 0.3


def test_options_and_notes_of_compositional_accuracy() -> None:
    rng = np.random.default_rng(0)
    factors = rng.integers(10, size=(300, 4))
    rows = dm.metrics.compositional_accuracy(factors.astype(float), factors, protocol="linear")
    assert "this is nearly a split of rows" in rows.notes[0]
    pairs = dm.metrics.compositional_accuracy(factors.astype(float), factors, protocol="linear", held=(0, 1))
    assert pairs.notes == ()
    assert pairs.value == 1.0
    with pytest.raises(InvalidInputError, match="held must contain factor indices from 0 to 3"):
        dm.metrics.compositional_accuracy(factors, factors, held=(7,))
