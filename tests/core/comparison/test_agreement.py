"""Agreement of models: limits of each kind, chance levels, and invariance to the seed."""

from itertools import permutations
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.linear_model import LinearRegression

import disentmetrics as dm
from disentmetrics._utils.random import generator
from disentmetrics.comparison.agreement import Kind
from disentmetrics.encoders.protocol import Posterior
from disentmetrics.errors import InvalidInputError

Floats = NDArray[np.float64]
KINDS: tuple[Kind, ...] = ("udr", "mcc", "r2", "dictionary")
every = pytest.mark.parametrize("kind", KINDS)


def normal(n: int, d: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(size=(n, d))


@every
def test_permuted_scaled_and_flipped_codes_agree_fully(kind: Kind) -> None:
    codes = np.linalg.qr(normal(400, 4))[0]
    result = dm.agreement([codes, -3 * codes[:, [2, 0, 3, 1]], 0.1 * codes], kind)
    largest = 1.0 if kind != "udr" else result.pairwise[0, 1]  # chance correlations enter its denominators
    np.testing.assert_allclose(result.scores, largest, atol=1e-9)
    assert result.scores[0] > 0.85
    assert np.isnan(np.diag(result.pairwise)).all()


@every
def test_unrelated_models_agree_as_much_as_the_null(kind: Kind) -> None:
    result = dm.agreement([normal(600, 4, seed) for seed in range(4)], kind, n_null=10)
    np.testing.assert_allclose(result.scores.mean(), result.null.mean(), atol=0.03)
    if kind in {"mcc", "r2"}:
        assert abs(result.null.mean()) < 0.02  # held out, so without bias


def test_a_rotation_is_detected_by_all_kinds_but_r2() -> None:
    codes = np.linalg.qr(normal(500, 3))[0]
    rotated = codes @ np.linalg.qr(np.array([[1.0, 1.0, 1.0], [1.0, -1.0, 0.5], [0.3, 1.0, -1.0]]))[0]
    for kind in KINDS:
        score = dm.agreement([codes, rotated], kind).scores[0]
        assert (score > 0.999) == (kind == "r2")


def test_the_udr_kind_is_udr() -> None:
    models = [normal(200, 3), normal(200, 3) @ normal(3, 4, 1), normal(200, 2, 3)]
    np.testing.assert_allclose(dm.agreement(models, "udr").pairwise, dm.udr(models).pairwise, atol=1e-12)
    np.testing.assert_allclose(dm.agreement(models, "udr").scores, dm.udr(models).scores, atol=1e-12)


def test_mcc_is_paired_on_training_rows_and_measured_on_others() -> None:
    first, second = normal(300, 3), normal(300, 3, 1)
    second[:, :2] += first[:, :2]
    result = dm.agreement([first, second], "mcc", seed=5)
    fold = generator(5, "folds").permutation(300) % 5
    total = 0.0
    for f in range(5):
        learned = np.asarray(spearmanr(np.hstack([first, second])[fold != f]).statistic)[:3, 3:]
        unseen = np.asarray(spearmanr(np.hstack([first, second])[fold == f]).statistic)[:3, 3:]
        pick = max(permutations(range(3)), key=lambda p: sum(abs(learned[i, j]) for i, j in enumerate(p)))
        total += 60 * sum(np.sign(learned[i, j]) * unseen[i, j] for i, j in enumerate(pick)) / 3
    assert result.pairwise[0, 1] == pytest.approx(total / 300)


def test_r2_is_directed_and_held_out() -> None:
    wide = normal(400, 3)
    narrow = wide[:, :1] + 0.5 * normal(400, 1, 1)
    result = dm.agreement([wide, narrow], "r2")
    assert result.pairwise[0, 1] == pytest.approx(0.8, abs=0.05)
    assert result.pairwise[1, 0] == pytest.approx(0.8 / 3, abs=0.05)
    many = dm.agreement([normal(100, 60), normal(100, 60, 1)], "r2")
    assert LinearRegression().fit(normal(100, 60), normal(100, 60, 1)).score(normal(100, 60), normal(100, 60, 1)) > 0.5
    assert many.scores.max() < 0  # on the same rows 0.6


def test_dictionaries_are_compared_by_absolute_cosine() -> None:
    atoms = normal(16, 5)
    other = np.hstack([-2 * atoms[:, :3], normal(16, 4, 1)])
    result = dm.agreement([atoms, other], "dictionary")
    cosine = np.abs((atoms / np.linalg.norm(atoms, axis=0)).T @ (other / np.linalg.norm(other, axis=0)))
    best = max(sum(cosine[i, j] for i, j in enumerate(p)) for p in permutations(range(7), 5))
    assert result.pairwise[0, 1] == pytest.approx(best / 7)
    assert result.uniqueness is not None
    assert result.uniqueness[1] == len(set(cosine.argmax(axis=0).tolist())) / 7
    assert result.null[0] > 0.1  # random directions of 16 dimensions are not orthogonal


def test_stability_names_the_codes_that_come_again() -> None:
    shared = normal(500, 2)
    models = [np.hstack([shared, normal(500, 1, seed), np.ones((500, 1))]) for seed in (1, 2, 3)]
    result = dm.agreement(models, "mcc")
    for stability in result.stability:
        np.testing.assert_allclose(stability[:2], 1.0)
        assert abs(stability[2]) < 0.15
        assert stability[3] == 0.0


def test_the_medoid_is_the_model_that_the_others_resemble() -> None:
    codes = normal(500, 3)
    models = [codes + spread * normal(500, 3, seed) for seed, spread in ((1, 0.8), (2, 0.1), (3, 0.8))]
    for kind in ("mcc", "r2"):
        result = dm.agreement(models, kind, names=["a", "b", "c"])
        assert result.medoid == result.ranking[0] == 1
        assert "medoid" in str(result)


@every
def test_models_of_dead_codes_agree_with_nothing(kind: Kind) -> None:
    result = dm.agreement([normal(60, 2), np.zeros((60, 3)), normal(60, 2)], kind)
    assert result.scores[1] == 0.0
    assert result.pairwise[0, 2] > 0.8  # chance correlations enter the denominators of udr
    assert result.stability[1].tolist() == [0.0, 0.0, 0.0]


def test_collapsed_latents_are_left_out_where_there_are_posteriors() -> None:
    codes = np.hstack([normal(200, 2), 0.01 * normal(200, 1, 1)])
    posterior = Posterior(codes, np.array([-4.0, -4.0, 0.0]) * np.ones_like(codes))
    other = Posterior(np.hstack([codes[:, :2], 0.01 * normal(200, 1, 2)]), posterior.log_variance)
    assert dm.agreement([posterior, other], "mcc").scores[0] == pytest.approx(1.0)
    assert dm.agreement([codes, other.mean], "mcc").scores[0] < 0.9


def test_groups_stay_on_one_side() -> None:
    group = np.repeat(np.arange(30), 8)
    first, second = (np.random.default_rng(s).normal(size=(30, 12))[group] for s in (0, 1))
    factors = np.arange(240) % 3
    grouped = [dm.Representation(codes, factors, groups=group) for codes in (first, second)]
    assert dm.agreement([first, second], "r2").scores[0] > dm.agreement(grouped, "r2").scores[0] + 0.3


@every
def test_one_seed_gives_one_result(kind: Kind) -> None:
    models = [normal(80, 3, seed) + normal(80, 3) for seed in (1, 2)]
    one, same, other = (dm.agreement(models, kind, seed=seed) for seed in (7, 7, 8))
    np.testing.assert_array_equal(one.pairwise, same.pairwise)
    np.testing.assert_array_equal(one.null, same.null)
    assert (one.null != other.null).any()
    assert f"kind:{kind}" in one.signature


def test_wrong_calls_are_refused_in_a_sentence() -> None:
    codes = normal(40, 2)
    wrong: list[tuple[Any, dict[str, Any], str]] = [
        ([codes], {}, "give at least two; got 1"),
        ([codes, codes[:30]], {}, "same rows; got 40 rows from model 0 and 30 from model 1"),
        ([codes, codes], {"kind": "mccc"}, "kind must be one of udr, mcc, r2, dictionary; got 'mccc'"),
        ([codes[:10], codes[:10]], {"kind": "mcc"}, "at least 20 rows; got 10"),
        ([codes, codes[:, 0]], {}, "codes of model 1 must be real numbers of shape"),
        ([codes, codes * np.nan], {}, "codes of model 1 must be finite"),
        ([codes, codes], {"n_null": 0}, "n_null must be a whole number of at least 1"),
        ([codes, codes], {"names": ["a"]}, "one entry for each of 2 models; got 1"),
        ([dm.Representation(codes, np.arange(40) % k) for k in (2, 3)], {}, "must have encoded the same rows"),
    ]
    for models, options, message in wrong:
        with pytest.raises(InvalidInputError, match=message):
            dm.agreement(models, **options)
