"""Downstream metrics: limits that can be computed by hand, reference implementations, and leakage."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold

import disentmetrics as dm
from disentmetrics.factors import Factor, FactorSpace
from disentmetrics.statistics.learning_curves import Classifier, class_probabilities, fit_probe
from disentmetrics.statistics.targets import class_target

ACCURACY, EFFICIENCY, UNFAIRNESS = (
    dm.metrics.downstream_accuracy,
    dm.metrics.downstream_efficiency,
    dm.metrics.unfairness,
)
HADAMARD = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]) / 2


def factors_of(n: int, *sizes: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(sizes, size=(n, len(sizes)))


def test_a_label_that_is_wrong_in_one_row_of_five_is_named_rightly_in_four() -> None:
    factors = factors_of(4_000, 2, 3)
    codes = factors.astype(float)
    wrong = np.random.default_rng(1).random(4_000) < 0.2
    codes[wrong, 0] = 1 - codes[wrong, 0]
    score = ACCURACY(codes, factors)
    assert score.per_factor["factor_0"] == pytest.approx(0.8, abs=0.02)
    assert score.per_factor["factor_1"] == 1.0
    assert score.parts["rows_10"].value < score.parts["rows_1000"].value
    assert score.parts["rows_10000"].undefined is not None


def test_noise_is_named_as_well_as_the_most_frequent_class_names_it() -> None:
    factors = (np.random.default_rng(2).random((3_000, 2)) < [0.7, 0.9]).astype(int)
    codes = np.random.default_rng(3).normal(size=(3_000, 4))
    score = ACCURACY(codes, factors)
    assert score.null == pytest.approx(0.8, abs=0.02)
    assert score.value == pytest.approx(0.8, abs=0.02)


def test_rows_of_one_group_are_never_split() -> None:
    rng = np.random.default_rng(4)
    group = np.arange(60).repeat(10)
    factors = rng.integers(2, size=(60, 1))[group]
    codes = rng.normal(size=(60, 30))[group]
    leaking = ACCURACY.score(dm.Representation(codes, factors))
    kept_apart = ACCURACY.score(dm.Representation(codes, factors, groups=group))
    assert leaking.value > 0.75
    assert kept_apart.value < 0.65


def test_neighbouring_values_are_merged_and_categories_are_not() -> None:
    values = np.arange(40).repeat(10)
    table = dm.Representation(
        np.zeros((400, 1)),
        np.stack([values, values], axis=1),
        space=FactorSpace([Factor("x", 40, "ordinal"), Factor("name", 40, "categorical")]),
    )
    merged, kept = class_target(table, 0), class_target(table, 1)
    assert merged.n_classes == 10
    assert (np.diff(merged.values) >= 0).all()
    assert np.bincount(merged.values).tolist() == [40] * 10
    assert kept.n_classes == class_target(table, 0, None).n_classes == 40


def test_smaller_numbers_of_rows_are_among_larger_ones_and_seeds_decide() -> None:
    factors = factors_of(600, 4)
    table = dm.Representation(factors + np.random.default_rng(5).normal(size=(600, 1)), factors)
    few, again, other = (fit_probe(table, 0, 50, "logistic", seed) for seed in (0, 0, 1))
    assert few is not None
    assert again is not None
    assert other is not None
    assert few.n_train == 50
    assert np.array_equal(few.y_pred, again.y_pred)
    assert not np.array_equal(few.y_pred[few.rows.argsort()], other.y_pred[other.rows.argsort()])


def test_logistic_cv_is_ten_penalties_and_five_unshuffled_folds_of_scikit_learn() -> None:
    factors = factors_of(300, 3)
    rng = np.random.default_rng(6)
    codes = np.column_stack([factors[:, 0] + 0.7 * rng.normal(size=300), 5 * rng.normal(size=(300, 2))])
    labels, new = factors[:, 0], codes + 0.1
    hits = [
        np.mean(
            [
                LogisticRegression(C=c, max_iter=2_000).fit(codes[a], labels[a]).score(codes[b], labels[b])
                for a, b in KFold(5).split(codes)
            ]
        )
        for c in np.logspace(-4, 4, 10)
    ]
    best = LogisticRegression(C=np.logspace(-4, 4, 10)[int(np.argmax(hits))], max_iter=2_000).fit(codes, labels)
    ours = class_probabilities("logistic-cv", codes, labels, new, 3)
    assert ours == pytest.approx(best.predict_proba(new), abs=1e-3)


@pytest.mark.parametrize("classifier", ["boosting", "gradient-boosting"])
def test_trees_decode_a_latent_that_no_linear_classifier_decodes(classifier: Classifier) -> None:
    codes = np.random.default_rng(7).uniform(-1, 1, size=(400, 2))
    labels = (np.abs(codes[:, 0]) > 0.5).astype(int)
    args = codes[:300], labels[:300], codes[300:], 2
    trees = class_probabilities(classifier, *args)
    line = class_probabilities("logistic", *args)
    assert (trees.argmax(axis=1) == labels[300:]).mean() > 0.9
    assert (line.argmax(axis=1) == labels[300:]).mean() < 0.7


def test_noise_is_fully_efficient_unless_chance_is_subtracted() -> None:
    factors = factors_of(1_500, 3, 4)
    codes = np.random.default_rng(8).normal(size=(1_500, 3))
    assert EFFICIENCY(codes, factors).value == 0.0
    assert EFFICIENCY(codes, factors, above_chance=False).value > 0.9
    assert EFFICIENCY(factors.astype(float), factors).value > 0.95
    assert "130 or more rows" in (EFFICIENCY(codes[:100], factors[:100]).undefined or "")


def test_unfairness_by_hand() -> None:
    """The code shows the target where the sensitive factor is 0, and 1 where it is 1: all of those are called 1.

    p(called 1) is 1/2 under 0, 1 under 1, and 3/4 overall, which is 1/4 from either.
    """
    factors = np.indices((2, 2)).reshape(2, -1).T.repeat(250, axis=0)
    code = np.where(factors[:, 1] == 0, factors[:, 0], 1).astype(float)
    score = UNFAIRNESS(code, factors)
    assert score.details["total_variation"][0, 1] == pytest.approx(0.25, abs=0.02)
    assert score.parts["maximum"].value == pytest.approx(0.25, abs=0.02)


def test_dependent_factors_look_unfair_unless_predictions_are_compared_at_equal_targets() -> None:
    factors = factors_of(4_000, 4, 4)
    kept = np.random.default_rng(9).random(4_000) < np.exp(-((factors[:, 0] - factors[:, 1]) ** 2) / 2)
    factors = factors[kept]
    codes = factors.astype(float)
    assert UNFAIRNESS(codes, factors).value == pytest.approx(0.0, abs=0.01)
    assert UNFAIRNESS(codes, factors, matched=False).value > 0.2


def test_total_variation_is_that_of_disentanglement_lib() -> None:
    """Reference implementation: counts of predictions by sensitive class, distance of each column to their sum."""
    factors = factors_of(1_000, 3, 4)
    codes = factors + np.random.default_rng(10).normal(size=factors.shape)
    table = dm.Representation(codes, factors)
    probe = fit_probe(table, 0, 10_000, "logistic", 0)
    assert probe is not None
    counts = np.zeros((3, 4))
    for row, y_pred in zip(probe.rows, probe.y_pred, strict=True):
        counts[y_pred, factors[row, 1]] += 1
    overall = counts.sum(axis=1) / counts.sum()
    columns = counts / counts.sum(axis=0)
    distance = np.abs(columns - overall[:, None]).sum(axis=0) / 2
    expected = (distance * counts.sum(axis=0)).sum() / counts.sum()
    score = UNFAIRNESS.score(table, matched=False)
    assert score.details["total_variation"][0, 1] == pytest.approx(expected, abs=1e-12)


def test_removing_the_latent_of_a_factor_destroys_only_it_unless_there_is_a_copy() -> None:
    factors = factors_of(2_000, 3, 4, 5)
    metric = dm.metrics.reduced_downstream
    perfect = metric(factors.astype(float), factors)
    assert perfect.value == pytest.approx(1.0, abs=0.05)
    assert perfect.parts["others"].value == pytest.approx(0.0, abs=0.01)
    assert metric(np.hstack([factors, factors]).astype(float), factors).value == pytest.approx(0.0, abs=0.02)
    both = metric(np.hstack([factors, factors]).astype(float), factors, n_dropped=2)
    assert both.value == pytest.approx(1.0, abs=0.05)


def test_a_latent_whose_sign_depends_on_an_unseen_value_misleads() -> None:
    factors = factors_of(2_000, 2, 2)
    turned = (factors[:, 0] - 0.5) * np.where(factors[:, 1] == 0, 1, -1)
    metric = dm.metrics.strong_downstream
    score = metric(np.column_stack([turned, factors[:, 1]]), factors)
    assert score.details["accuracy"][0, 1] == 0.0
    assert score.parts["usual_accuracy"].value == pytest.approx(1.0)
    assert score.parts["generalisation_gap"].value > 0.4
    assert metric(factors.astype(float), factors).value == 1.0


def test_the_description_length_is_the_sum_of_its_curve() -> None:
    factors = factors_of(1_000, 5)
    codes = factors + 0.5 * np.random.default_rng(11).normal(size=factors.shape)
    score = dm.metrics.loss_data_curve(codes, factors, tolerance=0.9)
    rows, curve = score.details["rows"], score.details["curve"][:, 0]
    assert rows.tolist() == [10, 30, 100, 300, 800]
    assert (np.diff(curve) < 0).all()
    by_hand = 10 * np.log(5) + sum((b - a) * loss for a, b, loss in zip(rows[:-1], rows[1:], curve, strict=False))
    assert score.parts["description_length"].value == pytest.approx(by_hand)
    assert score.parts["loss"].value == curve[-1]
    surplus = score.parts["surplus_description_length"].value
    assert 0 < surplus < by_hand
    needed = score.parts["rows_needed"].value
    assert rows[0] <= needed <= rows[-1]
    # On the logarithmic scale of rows the tolerated loss, 0.9 of log 5, lies on the curve at this number of rows.
    assert np.interp(np.log(needed), np.log(rows), curve) == pytest.approx(0.9 * np.log(5), abs=0.02)


def test_noise_saves_nothing_and_a_missing_factor_is_never_reached() -> None:
    factors = factors_of(1_500, 3, 4)
    noise = dm.metrics.loss_data_curve(np.random.default_rng(12).normal(size=(1_500, 4)), factors)
    assert noise.value == pytest.approx(0.0, abs=0.03)
    missing = dm.metrics.loss_data_curve(factors[:, :1].astype(float), factors)
    assert missing.parts["surplus_description_length"].undefined is not None
    assert missing.parts["rows_needed"].undefined is not None
    perfect = dm.metrics.loss_data_curve(factors.astype(float), factors)
    assert noise.value < missing.value < perfect.value


def test_a_rotation_hides_factors_from_single_latents_but_not_from_all_jointly() -> None:
    factors = factors_of(1_500, 5, 5, 5, 5)
    metric = dm.metrics.k_sparse_probing
    perfect, rotated = metric(factors.astype(float), factors), metric(factors @ HADAMARD, factors)
    assert [perfect.parts[f"best_{k}"].value for k in (1, 2, 5)] == pytest.approx([1, 1, 1])
    assert perfect.details["chosen"].tolist() == [0, 1, 2, 3]
    assert rotated.parts["best_1"].value < rotated.parts["best_2"].value < 0.4
    assert rotated.parts["best_5"].value == pytest.approx(1.0, abs=0.01)


def test_ablation_destroys_the_probe_that_uses_the_latent() -> None:
    factors = factors_of(1_500, 5, 5, 5, 5)
    metric = dm.metrics.targeted_ablation
    perfect, rotated = metric(factors.astype(float), factors), metric(factors @ HADAMARD, factors)
    assert perfect.details["drop"] == pytest.approx(np.eye(4), abs=0.05)
    assert rotated.value < 0.3
    assert rotated.parts["others"].value > 0.4


@pytest.mark.parametrize(
    "name", ["downstream_accuracy", "unfairness", "reduced_downstream", "strong_downstream", "targeted_ablation"]
)
def test_missing_labels_and_rare_classes_leave_a_finite_score(name: str) -> None:
    factors = factors_of(400, 3, 4).astype(float)
    factors[:100, 1] = np.nan
    factors[399, 0] = 7.0  # a class of one row
    codes = np.nan_to_num(factors) + 0.3 * np.random.default_rng(13).normal(size=factors.shape)
    score = getattr(dm.metrics, name)(codes, factors)
    assert score.undefined is None
    assert np.isfinite(score.value)
