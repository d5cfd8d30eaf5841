from typing import Any

import numpy as np
import pytest

import disentmetrics as dm
from disentmetrics.errors import InvalidInputError
from disentmetrics.metrics import find_metric

PROTOCOLS = ["default", "locatello2019", "kim2018"]


def uniform_factors(n: int = 6_000) -> np.ndarray:
    return np.random.default_rng(0).integers((3, 6, 8, 5, 4), size=(n, 5))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_perfect_codes_score_one_and_noise_scores_about_chance(protocol: str) -> None:
    factors = uniform_factors()
    noise = np.random.default_rng(1).normal(size=(6_000, 10))
    assert dm.metrics.factorvae(factors.astype(float), factors, protocol=protocol).value == 1.0
    assert dm.metrics.factorvae(noise, factors, protocol=protocol).value == pytest.approx(0.2, abs=0.08)


def test_scoring_the_training_votes_overestimates_noise() -> None:
    """The largest of five random counts is above their mean: 0.25 for 80 votes per latent, 0.2 on new votes."""
    rng = np.random.default_rng(2)
    factors = uniform_factors(50_000)
    metric, _ = find_metric("factorvae")
    tables = [dm.Representation(rng.normal(size=(50_000, 10)), factors) for _ in range(12)]
    same = [metric.evaluate(t, "kim2018").value for t in tables]
    fresh = [metric.evaluate(t, n_train=1_000, n_test=1_000).value for t in tables]
    largest = rng.multinomial(800 // 10, [0.2] * 5, size=20_000).max(axis=1).mean() / (800 // 10)
    assert np.mean(same) == pytest.approx(largest, abs=0.01)
    assert np.mean(fresh) == pytest.approx(0.2, abs=4 * np.std(fresh) / np.sqrt(12))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_constant_latents_are_pruned_instead_of_winning_every_vote(protocol: str) -> None:
    """In other implementations a constant latent gives 0 / 0 and wins every vote: 0.17 instead of 1."""
    factors = uniform_factors()
    codes = np.hstack([factors, np.full((6_000, 2), 3.0)])
    assert dm.metrics.factorvae(codes, factors, protocol=protocol).value == 1.0


def test_collapsed_latents_are_read_with_their_noise_or_pruned_by_kl() -> None:
    """A collapsed latent whose mean traces a factor would win its votes."""
    factors = uniform_factors()
    rng = np.random.default_rng(1)
    codes = np.hstack([factors[:, :4] + 0.05 * rng.normal(size=(6_000, 4)), 1e-3 * factors[:, 4:]])
    log_variance = np.array([-5.0] * 4 + [0.0]) * np.ones_like(codes)
    assert dm.metrics.factorvae(codes, factors).value > 0.99
    sampled = dm.metrics.factorvae(codes, factors, log_variance=log_variance)
    assert sampled.value < 0.9
    assert "resolution:posterior" in sampled.signature
    pruned = dm.metrics.factorvae(codes, factors, log_variance=log_variance, protocol="kim2018")
    assert pruned.value < 0.9
    assert "prune:kl<=0.01" in pruned.signature
    assert pruned.details["votes"][4].sum() == 0


def test_only_the_default_prunes_whatever_the_scale() -> None:
    factors = uniform_factors()
    small = 1e-4 * factors
    assert dm.metrics.factorvae(small, factors).value == 1.0
    literature = dm.metrics.factorvae(small, factors, protocol="locatello2019")
    assert literature.value == 0.0
    assert "every latent is excluded by the rule sd<0.05" in literature.notes[0]


def test_a_missing_factor_costs_its_share_of_votes() -> None:
    factors = uniform_factors()
    score = dm.metrics.factorvae(factors[:, :4].astype(float), factors)
    assert score.value == pytest.approx(0.8, abs=0.03)
    assert score.per_factor["factor_4"] == 0.0


def test_gini_variance_is_the_sample_variance_of_an_indicator_distance() -> None:
    """Sum over pairs of (x_i - x_j)^2 / (2 n (n - 1)) is the unbiased variance; with 0 or 1 it is Gini's."""
    from disentmetrics.metrics._factorvae import _gini

    values = np.random.default_rng(0).integers(2, size=(6, 40)).astype(float)
    assert _gini(values) == pytest.approx(values.var(axis=1, ddof=1))
    many = np.random.default_rng(0).integers(5, size=(1, 200_000)).astype(float)
    assert _gini(many)[0] == pytest.approx((1 - 1 / 5) / 2, abs=1e-3)


def test_categorical_latents_vote_by_gini_variance() -> None:
    """The numerical variance of categories in arbitrary order is meaningless."""
    rng = np.random.default_rng(0)
    factors = rng.integers((12, 6), size=(6_000, 2))
    codes = np.c_[rng.permutation(12)[factors[:, 0]], factors[:, 1]].astype(float)
    metric, _ = find_metric("factorvae")
    table = dm.Representation(codes, factors, categorical_codes=[True, False])
    assert metric.evaluate(table, "kim2018").value == 1.0


def test_votes_go_to_the_least_varying_latent() -> None:
    factors = uniform_factors()
    votes = dm.metrics.factorvae(factors[:, ::-1].astype(float), factors).details["votes"]
    assert np.array_equal(votes.argmax(axis=0), [4, 3, 2, 1, 0])
    assert votes.sum() == 5_000


def test_known_failure_a_rotation_still_wins_most_votes() -> None:
    factors = uniform_factors()
    ideal = (factors - factors.mean(0)) / factors.std(0)
    rotations = [np.linalg.qr(np.random.default_rng(seed).normal(size=(5, 5)))[0] for seed in range(6)]
    assert np.mean([dm.metrics.factorvae(ideal @ rotation, factors).value for rotation in rotations]) > 0.75
    assert np.mean([dm.metrics.mig(ideal @ rotation, factors).value for rotation in rotations]) < 0.25


@pytest.mark.parametrize("metric", ["factorvae", "higgins"])
@pytest.mark.parametrize("scale", [1e-310, 1e-170, 1e155, 1e300])
def test_extreme_scales_neither_overflow_nor_vanish(metric: str, scale: float) -> None:
    factors = uniform_factors(2_000)
    assert find_metric(metric)[0](factors * scale, factors).value > 0.99
    single = (factors * np.float32(1e20 if scale > 1 else 1e-25)).astype(np.float32)
    assert find_metric(metric)[0](single, factors).value > 0.99


def test_one_extreme_outlier_in_an_uninformative_latent_does_not_matter() -> None:
    factors = uniform_factors(2_000)
    codes = np.hstack([factors, np.random.default_rng(0).normal(size=(2_000, 1))]).astype(np.float32)
    codes[3, 5] = 1e25
    assert find_metric("factorvae")[0](codes, factors).value > 0.9


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pruning": "x"}, "pruning must be one of 'kl', 'sd'; got 'x'"),
        ({"n_rows": 1}, "n_rows must be a whole number of at least 2; got 1"),
        ({"n_train": 0}, "n_train must be a whole number of at least 1; got 0"),
        ({"n_test": 2.5}, "n_test must be a whole number of at least 0; got 2.5"),
    ],
)
def test_invalid_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        dm.metrics.factorvae(np.zeros((50, 2)), np.arange(50) % 2, **options)


def ordered(*sizes: int, n: int = 4_000) -> np.ndarray:
    return np.random.default_rng(0).integers(sizes, size=(n, len(sizes)))


def nested() -> np.ndarray:
    factors = ordered(10, 2, 5)
    factors[:, 1] = factors[:, 0] // 2
    return factors


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 1, 0), (1, 2, 0)])
@pytest.mark.parametrize(
    ("factors", "value"),
    [
        (nested(), 5 / 6),  # while the first factor is fixed, the latents of the first two are constant
        (ordered(10, 4, 4)[:, [0, 1, 1]], 2 / 3),  # two equal factors are indistinguishable
        (ordered(6, 8, 5), 1.0),
    ],
)
def test_tied_votes_are_divided_whatever_the_order_of_latents_and_factors(
    factors: np.ndarray, value: float, order: tuple[int, ...]
) -> None:
    codes = factors[:, order] + 0.0
    assert dm.metrics.factorvae(codes, factors).value == pytest.approx(value, abs=0.01)
    assert dm.metrics.factorvae(factors + 0.0, factors[:, order]).value == pytest.approx(value, abs=0.01)
    assert dm.metrics.factorvae(codes / 3 + 0.1, factors).value == pytest.approx(value, abs=0.01)


@pytest.mark.parametrize("protocol", ["kim2018", "locatello2019"])
def test_published_protocols_give_ties_to_the_first_latent_and_note_it(protocol: str) -> None:
    """Latents in the order of factors score 1, in the reverse order 2 / 3, or near it if training votes are scored."""
    factors = nested()
    codes = factors + 0.0
    first, last = (dm.metrics.factorvae(z, factors, protocol=protocol) for z in (codes, codes[:, ::-1]))
    assert first.value - last.value > 0.25
    for score in (first, last):
        assert any("33 % of the votes are tied and go to the first" in note for note in score.notes)
    assert dm.metrics.factorvae(codes[:, [0, 2]], factors[:, [0, 2]], protocol=protocol).notes == ()


def noise_of_shape(shape: str, n: int, rng: np.random.Generator) -> np.ndarray:
    normal = rng.normal(size=n)
    active = {"active in 1 %": 0.01, "active in 3 %": 0.03, "active in 10 %": 0.1}
    return {
        "saturated": np.tanh(20 * (normal + 2)).astype(np.float32).astype(float),
        "one-hot": (rng.random(n) < 0.02).astype(float),
        "rectified": np.maximum(normal - 1.5, 0),
        "heavy tails": normal / rng.normal(size=n),
        "normal": normal,
    }.get(shape, normal * (rng.random(n) < active.get(shape, 1)))


@pytest.mark.parametrize(
    "shape",
    ["active in 1 %", "active in 3 %", "active in 10 %", "saturated", "one-hot", "rectified", "heavy tails", "normal"],
)
@pytest.mark.parametrize("blur", [0.0, 0.6])
def test_a_latent_of_noise_of_any_shape_does_not_matter(shape: str, blur: float) -> None:
    rng = np.random.default_rng(1)
    factors = uniform_factors(4_000)
    ideal = (factors - factors.mean(0)) / factors.std(0) + blur * rng.normal(size=factors.shape)
    codes = np.c_[ideal, noise_of_shape(shape, 4_000, rng)]
    assert dm.metrics.factorvae(codes, factors).value > 0.99


def test_published_protocols_name_latents_that_are_constant_in_most_rows() -> None:
    rng = np.random.default_rng(1)
    factors = uniform_factors(4_000)
    codes = np.c_[noise_of_shape("active in 1 %", 4_000, rng), factors]
    score = dm.metrics.factorvae(codes, factors, protocol="locatello2019", pruning="kl")
    assert score.value < 0.7
    assert "z0 takes one value in so many rows that" in score.notes[0]
    assert "it wins votes whichever factor is fixed" in score.notes[0]


@pytest.mark.parametrize("level", [-0.5, 0.0, 1.0])
def test_saturated_latents_and_their_mirror_images_score_alike(level: float) -> None:
    """Half of the rows or more share the extreme value of each latent."""
    factors = ordered(10, 10, 10)
    ideal = (factors - factors.mean(0)) / factors.std(0)
    codes = np.maximum(ideal + 0.1 * np.random.default_rng(2).normal(size=ideal.shape), level)
    plain, mirrored = dm.metrics.factorvae(codes, factors), dm.metrics.factorvae(-codes, factors)
    assert mirrored.value == plain.value
    assert plain.value > {-0.5: 0.99, 0.0: 0.97, 1.0: 0.8}[level]


def test_a_rare_value_costs_a_perfect_code_little() -> None:
    """The latent of a rare event is constant in many batches in which other factors are fixed."""
    rng = np.random.default_rng(0)
    factors = np.c_[rng.random(4_000) < 0.03, ordered(6, 8, 5)]
    assert dm.metrics.factorvae(factors + 0.0, factors).value > 0.97
    assert dm.metrics.factorvae(factors + 0.0, factors, variance="plain").value < 0.95


def test_ranks_make_the_score_independent_of_warps_and_outliers() -> None:
    factors = uniform_factors()
    codes = factors @ (np.eye(5) + 0.4 * np.roll(np.eye(5), 1, axis=0)) + np.random.default_rng(0).normal(
        size=(6_000, 5)
    )
    value = dm.metrics.factorvae(codes, factors).value
    assert dm.metrics.factorvae(np.exp(codes), factors).value == value
    assert dm.metrics.factorvae(-codes.astype(np.float32), factors).value == pytest.approx(value, abs=0.005)


def test_the_noise_of_gini_variances_is_that_of_repeated_samples() -> None:
    from disentmetrics.metrics._factorvae import _gini, _gini_noise

    rng = np.random.default_rng(0)
    for share in ([0.5, 0.5], [0.98, 0.01, 0.01], [0.2] * 5):
        values = np.repeat(np.arange(len(share)), np.rint(np.array(share) * 10_000).astype(int)).astype(float)
        samples = _gini(rng.choice(values, size=(20_000, 64)))
        assert _gini_noise(values, 64) == pytest.approx(samples.std() / samples.mean(), rel=0.04)
