"""Verdicts on encoders whose truth is known: each kind of encoding, invariances, hostile input."""

from collections.abc import Callable

import numpy as np
import pytest

import disentmetrics as dm
from disentmetrics.factors import Factor, FactorSpace
from disentmetrics.results.verdict import Verdict
from disentmetrics.scoring.verdict import verdict

N = 1_000


@pytest.fixture
def factors(rng: np.random.Generator) -> np.ndarray:
    return rng.integers((12, 9, 20), size=(N, 3))


def rotated(pair: np.ndarray, degrees: float) -> np.ndarray:
    angle = np.radians(degrees)
    centred = (pair - pair.mean(axis=0)) / pair.std(axis=0)
    return np.asarray(centred @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]))


def on(codes: np.ndarray, factors: object, **options: object) -> Verdict:
    return verdict(dm.Representation(codes, factors, **options))  # type: ignore[arg-type] # names and kinds


def statuses(given: Verdict) -> list[str]:
    return [factor.status for factor in given.factors.values()]


def test_factors_themselves_are_captured_each_by_its_latent(factors: np.ndarray) -> None:
    given = on(factors[:, [2, 0, 1]].astype(float), factors)
    assert [f.latents for f in given.factors.values()] == [("z1",), ("z2",), ("z0",)]
    assert all(f.status == "captured" and f.share > 0.98 for f in given.factors.values())
    assert given.sentence == "All 3 factors are disentangled."


def test_noise_captures_nothing(factors: np.ndarray, rng: np.random.Generator) -> None:
    given = on(rng.normal(size=(N, 6)), factors)
    assert statuses(given) == ["missing"] * 3
    assert given.unused == tuple(f"z{j}" for j in range(6))


@pytest.mark.parametrize("degrees", [-60, -25, 25, 45, 70])
def test_rotated_factors_are_mixed_with_each_other(factors: np.ndarray, degrees: float) -> None:
    codes = np.hstack([rotated(factors[:, :2], degrees), factors[:, 2:]])
    given = on(codes, factors, factor_names=["x", "y", "scale"])
    assert statuses(given) == ["mixed", "mixed", "captured"]
    assert given.factors["x"].mixed_with == ("y",)
    assert set(given.factors["x"].latents) == {"z0", "z1"}
    assert given.factors["x"].share > 0.95
    assert " readable but rotated over z" in given.sentence


@pytest.mark.parametrize("degrees", [-8, -3, 3, 8])
def test_a_small_rotation_is_still_captured(factors: np.ndarray, degrees: float) -> None:
    assert statuses(on(rotated(factors[:, :2], degrees), factors[:, :2])) == ["captured"] * 2


def test_a_monotone_warp_of_each_latent_changes_no_status(factors: np.ndarray) -> None:
    for codes in (factors.astype(float), np.hstack([rotated(factors[:, :2], 40), factors[:, 2:]])):
        z = (codes - codes.mean(axis=0)) / codes.std(axis=0)
        plain = on(z, factors)
        for warp in (np.exp, lambda x: x**3, lambda x: -np.tanh(2 * x), lambda x: 1e6 * x, lambda x: x.round(3)):
            warped = on(warp(z), factors)
            assert statuses(warped) == statuses(plain)


def test_a_copy_is_named_and_the_factor_still_captured(factors: np.ndarray) -> None:
    given = on(np.hstack([factors, np.exp(-factors[:, :1] / 4)]), factors)
    first = given.factors["factor_0"]
    assert (first.status, set(first.latents + first.copies)) == ("captured", {"z0", "z3"})


@pytest.mark.parametrize("packed", [lambda x, y: x + y, lambda x, y: 6 * x + y, lambda x, y: 3 * x + y])
def test_two_factors_packed_into_one_latent_are_mixed_in_it(
    packed: Callable[[np.ndarray, np.ndarray], np.ndarray], rng: np.random.Generator
) -> None:
    factors = rng.integers((3, 3, 9), size=(N, 3))
    codes = np.stack([packed(factors[:, 0], factors[:, 1]), factors[:, 2]], axis=1).astype(float)
    given = on(codes, factors)
    assert statuses(given) == ["mixed", "mixed", "captured"]
    assert given.factors["factor_0"].latents == ("z0",)
    assert given.factors["factor_1"].mixed_with == ("factor_0",)
    assert given.sentence.endswith("mixed in z0.")


def test_a_leak_below_the_resolution_changes_nothing(factors: np.ndarray) -> None:
    for leak in (1e-6, 1e-3, 1e-2):
        codes = factors + leak * np.roll(factors, 1, axis=1)
        assert statuses(on(codes, factors)) == ["captured"] * 3
        missing = on(codes[:, [0, 2]], factors)  # the traces of factor_1 are too small to count
        assert statuses(missing) == ["captured", "missing", "captured"]


def test_a_circle_over_two_latents_is_one_factor_spread(rng: np.random.Generator) -> None:
    hour, x = rng.integers(24, size=N), rng.integers(9, size=N)
    space = FactorSpace([Factor("hour", 24, "circular"), Factor("x", 9, "ordinal")])
    angle = 2 * np.pi * hour / 24 + 0.3
    given = verdict(dm.Representation(np.stack([np.cos(angle), x, np.sin(angle)], axis=1), np.c_[hour, x], space=space))
    assert statuses(given) == ["spread", "captured"]
    assert set(given.factors["hour"].latents) == {"z0", "z2"}
    assert given.sentence == "All 2 factors are disentangled."
    assert "one latent cannot encode a circle without a jump" in given.factors["hour"].sentence
    half = verdict(dm.Representation(np.stack([np.cos(angle), x], axis=1), np.c_[hour, x], space=space))
    assert half.factors["hour"].share < 0.6
    index = verdict(dm.Representation(np.stack([hour, x], axis=1), np.c_[hour, x], space=space))
    assert statuses(index) == ["captured"] * 2


def test_a_factor_may_be_spread_over_latents_of_its_own(factors: np.ndarray) -> None:
    x = factors[:, 2] - 9.5
    given = on(np.stack([np.maximum(x, 0), np.minimum(x, 0), factors[:, 0]], axis=1), factors[:, [2, 0]])
    assert statuses(given) == ["spread", "captured"]
    classes = np.array(["a", "b", "c", "d"])[factors[:, 0] % 4]
    one_hot = (classes[:, None] == np.unique(classes)).astype(float)
    given = on(np.hstack([one_hot, factors[:, 1:2]]), {"class": classes, "x": factors[:, 1]})
    assert statuses(given) == ["spread", "captured"]
    assert len(given.factors["class"].latents) == 3  # three indicators imply the fourth


@pytest.mark.parametrize("function", [lambda v: v // 2, lambda v: (v - 6) ** 2, lambda v: v % 3, lambda v: 11 - v])
def test_factors_that_depend_on_each_other_are_not_mixed_for_that(
    factors: np.ndarray, function: Callable[[np.ndarray], np.ndarray]
) -> None:
    both = np.stack([factors[:, 0], function(factors[:, 0]), factors[:, 1]], axis=1)
    assert statuses(on(both.astype(float), both)) == ["captured"] * 3
    shared = on(both[:, [0, 2]].astype(float), both)  # the latent of factor_0 encodes factor_1, too
    assert statuses(shared) == ["captured"] * 3
    assert shared.factors["factor_1"].latents == ("z0",)


def test_correlated_factors_with_latents_of_their_own_are_captured(rng: np.random.Generator) -> None:
    first = rng.normal(size=N)
    both = np.stack([first, 0.6 * first + 0.8 * rng.normal(size=N)], axis=1)
    assert statuses(on(both, both)) == ["captured"] * 2
    assert statuses(on(rotated(both, 45), both)) == ["mixed"] * 2


def test_curved_mixtures_are_mixed(factors: np.ndarray) -> None:
    x, y = ((factors[:, k] - factors[:, k].mean()) / factors[:, k].std() for k in (0, 2))
    pair = factors[:, [0, 2]]
    assert statuses(on(np.stack([np.exp(x + y), (x - y) ** 3], axis=1), pair)) == ["mixed"] * 2
    swirl = np.pi / 4 + 0.5 * (np.hypot(x, y) - 1.3)
    codes = np.stack([np.cos(swirl) * x - np.sin(swirl) * y, np.sin(swirl) * x + np.cos(swirl) * y], axis=1)
    given = on(codes, pair)
    assert statuses(given) == ["mixed"] * 2
    assert given.factors["factor_0"].share > 0.9


def test_noise_lowers_the_share_and_at_last_loses_the_factor(factors: np.ndarray, rng: np.random.Generator) -> None:
    shares = {}
    for signal in (0.9, 0.6, 0.1):
        x = (factors[:, 2] - 9.5) / factors[:, 2].std()
        noisy = np.sqrt(signal) * x + np.sqrt(1 - signal) * rng.normal(size=N)
        given = on(np.stack([noisy, factors[:, 0]], axis=1), factors[:, [2, 0]]).factors["factor_0"]
        shares[signal] = (given.status, given.share)
    assert shares[0.9][0] == shares[0.6][0] == "captured"
    assert shares[0.1][0] == "missing"
    assert all(abs(share - signal) < 0.08 for signal, (_, share) in shares.items())


def test_one_outlying_label_or_code_changes_no_status(factors: np.ndarray) -> None:
    labels, codes = factors.astype(float), factors.astype(float)
    labels[7, 0] = 1e9
    codes[3] *= 1e6
    assert statuses(on(factors.astype(float), labels)) == ["captured"] * 3
    assert statuses(on(codes, factors)) == ["captured"] * 3


def test_missing_labels_are_left_out(factors: np.ndarray, rng: np.random.Generator) -> None:
    columns = {f"f{k}": np.where(rng.random(N) < 0.4, np.nan, factors[:, k]) for k in range(3)}
    assert statuses(on(factors.astype(float), columns)) == ["captured"] * 3
    codes = np.hstack([rotated(factors[:, :2], 45), factors[:, 2:]])
    assert statuses(on(codes, columns)) == ["mixed", "mixed", "captured"]


def test_rows_of_a_group_do_not_predict_each_other(rng: np.random.Generator) -> None:
    """Codes and labels that are random, but constant within groups, are related by chance within groups alone."""
    group = np.repeat(np.arange(50), 20)
    codes = rng.normal(size=(50, 4))[group] + 0.01 * rng.normal(size=(N, 4))
    labels = rng.integers(3, size=50)[group]
    x = rng.integers(9, size=N)
    given = on(np.c_[codes, x], {"label": labels, "x": x}, groups=group)
    assert statuses(given) == ["missing", "captured"]


def test_a_factor_of_few_groups_has_no_verdict(rng: np.random.Generator) -> None:
    """Donor 3 cannot be recognised by rows of the other donors."""
    donor, x = rng.integers(5, size=N), rng.integers(9, size=N)
    given = on(np.c_[donor, x], {"donor": donor, "x": x}, groups=donor)
    assert statuses(given) == ["captured"]
    assert given.left_out == {"donor": "takes one value in each of 5 groups of rows; 20 are needed"}
    assert statuses(on(np.c_[donor, x], {"donor": donor, "x": x})) == ["captured"] * 2


def test_the_verdict_depends_on_the_seed_alone(factors: np.ndarray) -> None:
    representation = dm.Representation(np.hstack([rotated(factors[:, :2], 33), factors[:, 2:]]), factors)
    assert verdict(representation, seed=3) == verdict(representation, seed=3)
    assert statuses(verdict(representation, seed=4)) == statuses(verdict(representation, seed=3))


def test_factors_without_a_verdict_have_a_reason(rng: np.random.Generator) -> None:
    x = rng.integers(5, size=200)
    few = np.where(np.arange(200) < 30, rng.integers(3, size=200), np.nan)
    given = on(x[:, None].astype(float), {"x": x, "flat": np.zeros(200), "few": few})
    assert statuses(given) == ["captured"]
    assert given.left_out == {
        "flat": "takes a single value",
        "few": "has 30 labelled rows, fewer than 50",
    }
    assert on(x[:20, None].astype(float), {"x": x[:20]}).sentence == (
        "No verdict: x has 20 labelled rows, fewer than 50."
    )


def test_codes_without_any_variation_capture_nothing(factors: np.ndarray) -> None:
    given = on(np.ones((N, 2)), factors)
    assert statuses(given) == ["missing"] * 3
    assert given.unused == ("z0", "z1")


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_extreme_scales_change_no_status(factors: np.ndarray, scale: float) -> None:
    assert statuses(on(factors * scale, factors)) == ["captured"] * 3


def test_few_of_many_latents_capture_few_of_many_factors(rng: np.random.Generator) -> None:
    factors = rng.integers(4, size=(600, 45))
    codes = np.hstack([factors[:, :5], rng.normal(size=(600, 100))]).astype(float)
    given = on(codes, factors)
    assert statuses(given)[:5] == ["captured"] * 5
    assert len(given.factors) + len(given.left_out) == 45


def test_a_factor_of_many_classes_is_captured(rng: np.random.Generator) -> None:
    identity = rng.integers(120, size=2_000)
    names = np.array([f"person {k:03d}" for k in range(120)])[identity]
    given = on(np.c_[identity, rng.normal(size=2_000)], {"identity": names})
    assert statuses(given) == ["captured"]
