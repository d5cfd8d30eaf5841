import numpy as np
import pytest

import disentmetrics as dm
from disentmetrics import Factor, FactorSpace, Representation

SPACE = FactorSpace([Factor("shape", 3, "categorical"), Factor("a", 5, "ordinal"), Factor("b", 8, "ordinal")])


def draw(n: int = 1_500) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.integers((3, 5, 8), size=(n, 3)), rng.normal(size=(n, 3))


def table(codes: np.ndarray, factors: np.ndarray) -> Representation:
    return Representation(codes, factors, space=SPACE)


@pytest.mark.parametrize("name", ["snc", "nk"])
def test_perfect_codes_score_one_and_noise_zero(name: str) -> None:
    factors, noise = draw()
    metric = getattr(dm.metrics, name)
    perfect = metric.score(table(np.hstack([noise[:, :1], -1.0 * factors]), factors))
    assert perfect.value > 0.995
    assert perfect.details["aligned_code"].tolist() == [1, 2, 3]
    assert metric.score(table(noise, factors)).value < 0.03


def test_one_latent_is_aligned_with_one_factor() -> None:
    """Aligning one latent with two factors is the flaw that the paper corrects."""
    factors, noise = draw()
    packed = np.c_[8 * factors[:, 1] + factors[:, 2], factors[:, 0], noise[:, 0]].astype(float)
    score = dm.metrics.snc.score(table(packed, factors))
    assert score.per_factor["shape"] == 1.0
    assert max(score.per_factor["a"], score.per_factor["b"]) == 1.0
    assert min(score.per_factor["a"], score.per_factor["b"]) < 0.05
    few = dm.metrics.snc.score(table(packed[:, :2], factors))
    assert sorted(few.details["aligned_code"]) == [-1, 0, 1]
    lost = SPACE.names[int(np.argmin(few.details["aligned_code"]))]
    assert few.per_factor[lost] == dm.metrics.nk.score(table(packed[:, :2], factors)).per_factor[lost] == 0.0


def test_steps_need_no_order_and_unequal_frequencies_do_not_matter() -> None:
    rng = np.random.default_rng(0)
    labels = rng.choice(3, p=[0.7, 0.2, 0.1], size=(2_000, 1))
    space = FactorSpace([Factor("v", 3, "categorical")])
    code = np.array([5.0, -2.0, 1e6])[labels] + 0.1 * rng.normal(size=(2_000, 1))
    representation = Representation(code, labels, space=space)
    assert dm.metrics.snc.score(representation).value > 0.999
    published = dm.metrics.snc.score(representation, "mahon2024")
    assert published.value < 0.75  # bins of a third each


def test_the_published_bins_decode_a_balanced_latent_and_include_chance() -> None:
    factors = np.indices((4, 5)).reshape(2, -1).T.repeat(40, axis=0)
    jittered = factors + np.random.default_rng(1).uniform(-0.4, 0.4, size=factors.shape)
    assert dm.metrics.snc(jittered, factors, protocol="mahon2024").value > 0.93
    noise = np.random.default_rng(0).normal(size=(800, 2))
    assert dm.metrics.snc(noise, factors, protocol="mahon2024").value == pytest.approx((1 / 4 + 1 / 5) / 2, abs=0.05)


def test_default_accuracy_is_above_the_most_frequent_class() -> None:
    rng = np.random.default_rng(0)
    labels = (rng.random((4_000, 1)) < 0.2).astype(int)
    code = labels + 0.4 * rng.normal(size=(4_000, 1))
    score = dm.metrics.snc(code, labels)
    cut = (code[:, 0] > 0.5 + 0.16 * np.log(4)) == labels[:, 0]
    expected = (cut.mean() - (1 - labels.mean())) / labels.mean()
    assert score.value == pytest.approx(expected, abs=0.05)
