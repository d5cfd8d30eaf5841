from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingClassifier

import disentmetrics as dm
from disentmetrics import Factor, FactorSpace, Representation
from disentmetrics.representation.resampling import train_and_test_rows

SPACE = FactorSpace([Factor("shape", 3, "categorical"), Factor("scale", 6, "ordinal"), Factor("angle", 40, "circular")])


def table(n: int = 3_000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    factors = rng.integers((3, 6, 40), size=(n, 3))
    return factors, rng.normal(size=(n, 3))


def scored(codes: np.ndarray, factors: np.ndarray, protocol: str = "default", **options: Any) -> dm.Score:
    return dm.metrics.dci.score(Representation(codes, factors, space=SPACE), protocol, **options)


def entropy_by_hand(matrix: np.ndarray) -> float:
    """Reference implementation of the definition, row by row."""
    total, score = matrix.sum(), 0.0
    for row in matrix:
        if row.sum() == 0:
            continue
        share = row[row > 0] / row.sum()
        score += row.sum() / total * (1 + (share * np.log(share)).sum() / np.log(matrix.shape[1]))
    return float(score)


def test_perfect_codes_with_additional_noise_score_one_for_every_kind_of_factor() -> None:
    factors, noise = table()
    score = scored(np.hstack([factors, noise]), factors)
    assert score.value == 1.0
    assert score.parts["completeness"].value == 1.0
    assert score.parts["informativeness"].value > 0.99
    assert (score.details["importance"][3:] == 0).all()


def test_noise_scores_zero_and_a_note_explains_it() -> None:
    factors, noise = table()
    values = [scored(noise, factors, seed=seed) for seed in range(5)]
    assert [score.value for score in values] == [0.0] * 5
    assert [part.value for part in values[0].parts.values()] == [0.0, 0.0]
    assert "no latent predicts" in values[0].notes[0]


def test_duplicating_every_latent_keeps_d_and_lowers_c_to_its_closed_form() -> None:
    factors, _ = table()
    values = [scored(np.hstack([factors, factors]), factors, seed=seed) for seed in range(3)]
    assert all(score.value > 1 - 1e-9 for score in values)
    mean = np.mean([score.parts["completeness"].value for score in values])
    assert mean == pytest.approx(1 - np.log(2) / np.log(6), abs=0.04)


def test_additive_noise_in_a_latent_is_not_entanglement() -> None:
    factors, noise = table()
    ideal = (factors - factors.mean(0)) / factors.std(0)
    score = scored(ideal + noise, factors)
    assert score.value > 0.97
    assert score.parts["informativeness"].value < 0.6
    impurity = scored(ideal + noise, factors, "eastwood2018_forest")
    assert impurity.value < 0.6


def test_few_rows_keep_weak_relations_of_related_latents() -> None:
    """Many rows give .85 and .86; a gate of three standard errors for every cell gave .98 on 300 rows."""
    mixing = np.array([[1, 0.3, 0], [0.2, 1, 0.2], [0, 0.3, 1], [0.5, 0.5, 0], [0, 0, 0]]).T
    scores = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        factors = rng.integers(10, size=(300, 3))
        codes = (factors - 4.5) / np.sqrt(8.25) @ mixing + 0.5 * rng.normal(size=(300, 5))
        score = dm.metrics.dci(codes, factors)
        assert (score.details["importance"][4] == 0).all()
        scores.append([score.value, score.parts["completeness"].value])
    assert np.mean(scores, axis=0) == pytest.approx([0.92, 0.94], abs=0.02)


def test_scores_are_the_entropies_of_the_importances() -> None:
    factors, noise = table()
    ideal = (factors - factors.mean(0)) / factors.std(0)
    codes = np.hstack([ideal + 0.5 * ideal[:, [1, 2, 0]] + 0.1 * noise, noise[:, :1]])
    score = scored(codes, factors)
    importance = score.details["importance"]
    assert score.value == pytest.approx(entropy_by_hand(importance))
    assert score.parts["completeness"].value == pytest.approx(entropy_by_hand(importance.T))
    weights = importance.sum(0) / importance.sum()
    assert score.value == pytest.approx(np.array(list(score.per_factor.values())) @ weights)
    assert score.parts["informativeness"].value == pytest.approx(score.details["informativeness"].mean())


@pytest.mark.parametrize("protocol", ["default", "eastwood2018", "eastwood2018_forest"])
def test_dead_latents_do_not_count_at_any_position(protocol: str) -> None:
    """A public implementation stops at the first dead code and scores 0."""
    factors, noise = table(400)
    codes = np.hstack([factors + 0.1 * noise, noise[:, :1]])
    dead = np.ones((400, 3))
    plain, first, last = (
        scored(z, factors, protocol) for z in (codes, np.hstack([dead, codes]), np.hstack([codes, dead]))
    )
    assert plain.value > 0.7
    assert first.value == last.value == plain.value
    assert (first.details["importance"][:3] == 0).all()


@pytest.mark.parametrize("protocol", ["default", "locatello2019", "eastwood2018", "eastwood2018_forest"])
def test_dead_latents_alone_score_zero(protocol: str) -> None:
    factors, _ = table(120)
    score = scored(np.ones((120, 2)), factors, protocol)
    assert (score.value, score.parts["completeness"].value) == (0.0, 0.0)


def test_known_failure_a_rotated_copy_goes_unseen() -> None:
    factors, _ = table()
    ideal = (factors - factors.mean(0)) / factors.std(0)
    rotation = np.eye(3) - 2 / 3  # a reflection that mixes every factor into every code
    assert scored(np.hstack([ideal, ideal @ rotation]), factors).value > 0.98
    assert scored(ideal @ rotation, factors).value < 0.6


def test_warp_scale_and_outlier_do_not_move_the_default() -> None:
    factors, noise = table(1_000)
    codes = factors + 0.3 * noise
    plain = scored(codes, factors).value
    assert scored(np.exp(codes) * [1e-30, 1.0, 1e-20], factors).value == plain
    codes[3] *= 1e9
    assert scored(codes, factors).value == pytest.approx(plain, abs=0.02)


def test_rows_of_a_group_are_not_on_both_sides() -> None:
    """Codes that only identify the group are uninformative about the factors of other groups."""
    rng = np.random.default_rng(0)
    groups = np.arange(1_200) // 30
    factors = rng.integers((3, 6, 40), size=(40, 3))[groups]
    codes = groups[:, None] + 0.01 * rng.normal(size=(1_200, 2))
    leaky = Representation(codes, factors, space=SPACE)
    kept_whole = Representation(codes, factors, space=SPACE, groups=groups)
    assert dm.metrics.dci.score(leaky).parts["informativeness"].value > 0.5
    assert dm.metrics.dci.score(kept_whole).parts["informativeness"].value == 0.0


def test_locatello2019_is_gradient_boosting_of_classes() -> None:
    rng = np.random.default_rng(0)
    factors = rng.integers((2, 3), size=(450, 2))
    codes = np.c_[factors @ [1.0, 0.4], factors[:, 1], rng.normal(size=450)] + 0.3 * rng.normal(size=(450, 3))
    representation = Representation(codes, factors)
    train, test = train_and_test_rows(representation, np.arange(450), 10_000, 5_000, 0)
    assert (len(train), len(test)) == (300, 150)
    models = [GradientBoostingClassifier(random_state=5).fit(codes[train], factors[train, k]) for k in range(2)]
    importance = np.stack([model.feature_importances_ for model in models], axis=1)
    accuracy = np.mean([model.score(codes[test], factors[test, k]) for k, model in enumerate(models)])
    score = dm.metrics.dci.score(representation, "locatello2019")
    assert score.details["importance"] == pytest.approx(importance, abs=0.01)
    assert score.value == pytest.approx(entropy_by_hand(importance), abs=0.01)
    assert score.parts["completeness"].value == pytest.approx(entropy_by_hand(importance.T), abs=0.01)
    assert score.parts["informativeness"].value == pytest.approx(accuracy, abs=0.01)
    assert (
        dm.metrics.dci.score(representation, "locatello2019").value == score.value
    )  # the library draws new rows every time


def test_eastwood2018_detects_linear_relations_only_and_selects_one_of_two_equal_latents() -> None:
    factors, _ = table()
    numbers = factors[:, 1:2]
    space = FactorSpace([Factor("scale", 6, "ordinal")])
    twice = Representation(np.hstack([numbers, numbers]).astype(float), numbers, space=space)
    assert dm.metrics.dci.score(twice, "eastwood2018").parts["completeness"].value == 1.0
    assert dm.metrics.dci.score(twice).parts["completeness"].value < 0.2
    parabola = Representation((numbers - 2.5) ** 2, numbers, space=space)
    assert dm.metrics.dci.score(parabola, "eastwood2018").parts["informativeness"].value < 0.05


def test_one_minus_nrmse_of_a_blurred_code() -> None:
    """R² is 1 / (1 + s²) for noise of s standard deviations, and NRMSE the root of the rest."""
    rng = np.random.default_rng(0)
    factors = rng.integers(20, size=(6_000, 1))
    code = (factors - factors.mean()) / factors.std() + 0.5 * rng.normal(size=(6_000, 1))
    representation = Representation(code, factors, space=FactorSpace([Factor("v", 20, "ordinal")]))
    scores = dm.metrics.dci.score(representation, "eastwood2018").parts["informativeness"].value
    assert scores == pytest.approx(1 - np.sqrt(0.25 / 1.25), abs=0.02)


def test_missing_labels_and_constant_factors_are_left_out() -> None:
    factors, _ = table(600)
    holes = factors.copy()
    holes[::3, 1] = -1
    holes[:, 2] = 7
    score = scored(factors.astype(float), holes)
    assert score.value == 1.0
    assert np.isnan(score.per_factor["angle"])
    assert np.isnan(score.details["completeness"][2])
    assert score.parts["informativeness"].value > 0.98
