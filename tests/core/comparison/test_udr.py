from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.linear_model import Lasso

from disentmetrics.comparison.udr import Normaliser, Variant, relative_strength, udr
from disentmetrics.encoders.protocol import Posterior
from disentmetrics.errors import InvalidInputError
from disentmetrics.representation import Provenance, Representation

Floats = NDArray[np.float64]


def orthogonal_codes(n_codes: int, n_rows: int = 64) -> Floats:
    """Columns of a Hadamard matrix: every rank correlation between two of them is 0."""
    matrix = np.array([[1.0]])
    while len(matrix) < n_rows:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return matrix[:, 1 : n_codes + 1]


def straightforward_udr(first: Floats, second: Floats, variant: Variant, normaliser: Normaliser) -> float:
    """One pair as the formula reads, with scikit-learn's Lasso and Pearson correlation of ranks."""
    if variant == "spearman":
        strengths = np.array([[abs(np.corrcoef(rankdata(a), rankdata(b))[0, 1]) for b in second.T] for a in first.T])
    else:
        first, second = ((codes - codes.mean(axis=0)) / codes.std(axis=0) for codes in (first, second))
        strengths = np.abs(Lasso(alpha=0.1, tol=1e-14, max_iter=10**6).fit(first, second).coef_.T)
    n_first, n_second = strengths.shape
    by_second = by_first = 0.0
    for b in range(n_second):
        if strengths[:, b].sum() > 0:
            by_second += float(strengths[:, b].max() ** 2 / strengths[:, b].sum())
    for a in range(n_first):
        if strengths[a].sum() > 0:
            by_first += float(strengths[a].max() ** 2 / strengths[a].sum())
    if normaliser != "disentanglement_lib":
        return float((by_second + by_first) / (n_first + n_second))
    return float((by_second / n_second + by_first / n_first) / 2)


def test_relative_strength_at_its_limits() -> None:
    permutation = np.eye(4)[[2, 0, 3, 1]]
    three_of_five = np.eye(5)[:, [4, 0, 2]]
    partial: dict[Normaliser, float] = {"informative": 0.75, "paper": 0.75, "disentanglement_lib": 0.8}
    for normaliser, value in partial.items():
        assert relative_strength(permutation, normaliser) == 1.0
        assert relative_strength(0.9 * permutation, normaliser) == pytest.approx(0.9)
        assert relative_strength(np.full((4, 4), 0.25), normaliser) == pytest.approx(1 / 16)
        assert relative_strength(three_of_five, normaliser) == pytest.approx(value)
        assert relative_strength(three_of_five.T, normaliser) == pytest.approx(value)
        assert relative_strength(np.zeros((3, 2)), normaliser) == 0.0
        assert relative_strength(np.zeros((3, 0)), normaliser) == 0.0


@pytest.mark.parametrize(("variant", "perfect"), [("spearman", 1.0), ("lasso", 0.9)])
def test_permuted_codes_score_1_and_0_9_with_the_lasso(variant: Variant, perfect: float) -> None:
    codes = orthogonal_codes(5)
    result = udr([codes, -3 * codes[:, [3, 1, 4, 0, 2]] + 1, codes], variant=variant)
    np.testing.assert_allclose(result.scores, perfect, atol=1e-10)


@pytest.mark.parametrize(
    ("normaliser", "value"), [("informative", 0.75), ("paper", 0.75), ("disentanglement_lib", 0.8)]
)
def test_three_matched_latents_of_five_distinguish_the_normalisers(normaliser: Normaliser, value: float) -> None:
    codes = orthogonal_codes(5)
    result = udr([codes, codes[:, :3]], normaliser=normaliser)
    np.testing.assert_allclose(result.scores, value, atol=1e-10)


@given(
    seed=st.integers(0, 2**32 - 1),
    variant=st.sampled_from(["spearman", "lasso"]),
    normaliser=st.sampled_from(["informative", "paper", "disentanglement_lib"]),
)
def test_pairs_agree_with_the_formula_written_out(seed: int, variant: Variant, normaliser: Normaliser) -> None:
    rng = np.random.default_rng(seed)
    source = rng.normal(size=(60, 3))
    models = [np.tanh(source @ rng.normal(size=(3, d))) + 0.3 * rng.normal(size=(60, d)) for d in (2, 4, 3)]
    result = udr(models, variant=variant, normaliser=normaliser)
    for i, first in enumerate(models):
        for j, second in enumerate(models):
            if i != j:
                expected = straightforward_udr(first, second, variant, normaliser)
                assert result.pairwise[i, j] == pytest.approx(expected, abs=1e-6)
    assert np.isnan(np.diagonal(result.pairwise)).all()
    for m in range(3):
        assert result.scores[m] == np.median(np.delete(result.pairwise[:, m], m))


def test_spearman_is_symmetric_and_the_lasso_is_not() -> None:
    rng = np.random.default_rng(0)
    source = rng.normal(size=(100, 3))
    models = [source @ rng.normal(size=(3, 3)) for _ in range(3)]
    spearman, regression = (udr(models, variant=variant).pairwise for variant in ("spearman", "lasso"))
    np.testing.assert_allclose(spearman, spearman.T, atol=1e-12)
    assert np.nanmax(np.abs(regression - regression.T)) > 1e-3


def sign(codes: Floats) -> Floats:
    return codes * [-1, 1, -1]


def order(codes: Floats) -> Floats:
    return codes[:, [2, 0, 1]]


def scale_and_shift(codes: Floats) -> Floats:
    return codes * [1e-6, 3.0, 1e6] - 7


def dead_code(codes: Floats) -> Floats:
    return np.column_stack([codes, np.full(len(codes), 0.1)])


@pytest.mark.parametrize("variant", ["spearman", "lasso"])
@pytest.mark.parametrize("change", [sign, order, scale_and_shift, dead_code])
def test_scores_do_not_change_with(change: Callable[[Floats], Floats], variant: Variant) -> None:
    rng = np.random.default_rng(1)
    models = [rng.normal(size=(80, 3)) @ np.diag(rng.uniform(1, 2, 3)) for _ in range(4)]
    before = udr(models, variant=variant).scores
    after = udr([change(models[0]), *models[1:]], variant=variant).scores
    np.testing.assert_allclose(after, before, atol=1e-9)


def test_the_same_permutation_of_rows_in_all_models_changes_nothing() -> None:
    rng = np.random.default_rng(2)
    models = [rng.normal(size=(80, 3)) for _ in range(3)]
    rows = rng.permutation(80)
    np.testing.assert_allclose(udr([m[rows] for m in models]).scores, udr(models).scores, atol=1e-12)
    moved = udr([models[0][rows], *models[1:]]).scores
    assert abs(moved[0] - udr(models).scores[0]) > 1e-6


def test_collapsed_codes_are_left_out_by_their_kl() -> None:
    codes = orthogonal_codes(4)
    collapsed = codes.copy()
    collapsed[:, 3] = 1e-3 * codes[:, 0]  # a clean trace of another latent, useless to a decoder
    log_variance = np.tile([-4.0, -4.0, -4.0, 0.0], (64, 1))
    posterior = Posterior(collapsed, log_variance)
    masked = udr([posterior, posterior])
    np.testing.assert_array_equal(masked.informative[0], [True, True, True, False])
    np.testing.assert_allclose(masked.scores, 1)
    assert "mask:kl>0.01|" in masked.signature
    unmasked = udr([posterior, posterior], mask="variance")
    assert unmasked.informative[0].all()
    assert unmasked.scores[0] < 0.9
    assert "mask:varying|" in unmasked.signature
    mixed = udr([posterior, codes])
    assert mixed.scores[0] == pytest.approx(6 / 7)
    assert "mask:kl>0.01,varying|" in mixed.signature


@given(seed=st.integers(0, 2**32 - 1), variant=st.sampled_from(["spearman", "lasso"]))
def test_the_formula_of_the_paper_masks_the_numerators_alone(seed: int, variant: Variant) -> None:
    rng = np.random.default_rng(seed)
    first, second = (rng.normal(size=(60, d)) + rng.normal(size=(60, 1)) for d in (4, 3))
    counts = [np.array([True, False, True, True]), np.array([True, True, False])]
    found = udr([first, second], variant=variant, normaliser="paper", mask=counts).pairwise[0, 1]
    if variant == "spearman":
        strengths = np.array([[abs(np.corrcoef(rankdata(a), rankdata(b))[0, 1]) for b in second.T] for a in first.T])
    else:
        first, second = ((codes - codes.mean(axis=0)) / codes.std(axis=0) for codes in (first, second))
        strengths = np.abs(Lasso(alpha=0.1, tol=1e-14, max_iter=10**6).fit(first, second).coef_.T)
    total = 0.0
    for b in np.flatnonzero(counts[1]):
        column = strengths[:, b]  # over all latents of the first model, also those that do not count
        total += column.max() ** 2 / column.sum() if column.any() else 0.0
    for a in np.flatnonzero(counts[0]):
        total += strengths[a].max() ** 2 / strengths[a].sum() if strengths[a].any() else 0.0
    assert found == pytest.approx(total / 5, abs=1e-6)


def test_a_collapsed_latent_lowers_the_formula_of_the_paper_but_not_the_default() -> None:
    codes = orthogonal_codes(4)
    traced = np.column_stack([codes[:, :3], 1e-3 * (codes[:, 0] + codes[:, 3])])
    models = [Posterior(traced, np.tile([-4.0, -4.0, -4.0, 0.0], (64, 1)))] * 2
    np.testing.assert_allclose(udr(models).scores, 1)
    assert (udr(models, normaliser="paper").scores < 0.95).all()
    empty = Posterior(codes, np.zeros((64, 4)) - 1e-3 * codes**2)
    assert udr([Posterior(1e-3 * codes, np.zeros((64, 4))), empty], normaliser="paper").scores[0] == 0


def test_given_masks_and_no_mask_are_used_unchanged() -> None:
    codes = dead_code(orthogonal_codes(3))
    by_hand = udr([codes, codes], mask=[[True, True, False, False], [True, True, True, False]])
    assert by_hand.scores[0] == pytest.approx(4 / 5)
    assert "mask:given|" in by_hand.signature
    everything = udr([codes, codes], mask="none")
    assert everything.scores[0] == pytest.approx(6 / 8)  # dead latents count, and match nothing


@pytest.mark.parametrize("variant", ["spearman", "lasso"])
def test_a_model_without_informative_latents_scores_0_with_a_reason(variant: Variant) -> None:
    codes = orthogonal_codes(3)
    result = udr([codes, np.zeros((64, 2)), codes], variant=variant)
    assert result.scores[1] == 0
    assert result.reasons[1] == "0 by definition: no informative latent"
    assert result.reasons[0] == "pairs with 1 of 2 partners are 0: no informative latent there"
    assert "no informative latent" in str(result)
    assert not np.isnan(result.scores).any()


def test_partners_come_from_the_same_group_and_are_drawn_without_replacement() -> None:
    rng = np.random.default_rng(3)
    models = [rng.normal(size=(40, 2)) for _ in range(9)]
    groups = [{"beta": beta} for beta in (1, 4, 1, 4, 1, 4, 1, 4, 16)]
    result = udr(models, groups=groups, n_partners=2, seed=5)
    for m, partners in enumerate(result.partners[:8]):
        assert len(set(partners.tolist())) == 2
        assert m not in partners
        assert all(groups[p] == groups[m] for p in partners)
        assert result.scores[m] == np.median(result.pairwise[partners, m])
    assert np.isnan(result.pairwise[0, 1])
    assert np.isnan(result.scores[8])
    assert result.reasons[8] == "no score: no other model in its group"
    assert result.ranking[-1] == 8
    again = udr(models, groups=groups, n_partners=2, seed=5)
    np.testing.assert_array_equal(again.scores, result.scores)
    others = [udr(models, groups=groups, n_partners=2, seed=seed).partners for seed in range(5)]
    assert any(not np.array_equal(other[0], result.partners[0]) for other in others)


def test_the_table_ranks_the_models_by_name() -> None:
    codes = orthogonal_codes(2)
    rotated = codes @ np.array([[1.0, 1.0], [1.0, -1.0]])
    result = udr([rotated, codes, codes], names=["rotated", "first", "second"])
    lines = str(result).splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["first", "second", "rotated"]
    assert lines[4] == result.signature
    assert result.signature.startswith(
        "udr|variant:spearman|normaliser:informative|mask:varying|partners:all|models:3|groups:1|rows:64|"
    )


def test_representations_must_contain_the_same_rows() -> None:
    codes = orthogonal_codes(2)
    factors = np.arange(64)[:, None] % 4
    origin = Provenance(data="grid-1")
    first = Representation(codes, factors, provenance=origin)
    second = Representation(codes[:, ::-1], factors, provenance=origin)
    result = udr([first, second])
    np.testing.assert_allclose(result.scores, 1)
    assert "data:grid-1" in result.signature
    other = Representation(codes, np.roll(factors, 1, axis=0), provenance=origin)
    with pytest.raises(InvalidInputError, match="same rows; model 0 has rows"):
        udr([first, second, other])


@pytest.mark.parametrize(
    ("models", "options", "message"),
    [
        ([np.ones((30, 2))], {}, "at least two; got 1"),
        ([], {}, "at least two; got 0"),
        ([np.ones((30, 2)), np.ones((31, 2))], {}, "got 30 rows from model 0 and 31 from model 1"),
        ([np.ones((5, 2))] * 2, {}, "at least 20 rows; got 5"),
        ([np.ones(30)] * 2, {}, r"codes of model 0 must be real numbers of shape"),
        ([np.full((30, 1), np.nan)] * 2, {}, "codes of model 0 must be finite"),
        ([Posterior(np.ones((30, 2)), np.ones((30, 1)))] * 2, {}, "log_variance of model 0"),
        ([np.ones((30, 2))] * 2, {"variant": "pearson"}, "variant must be one of spearman, lasso"),
        ([np.ones((30, 2))] * 2, {"normaliser": "mean"}, "normaliser must be one of"),
        ([np.ones((30, 2))] * 2, {"mask": "k"}, "mask must be one of"),
        ([np.ones((30, 2))] * 2, {"mask": "kl"}, "model 0 has none"),
        ([np.ones((30, 2))] * 2, {"mask": [[True], [True]]}, "one boolean array per model"),
        ([np.ones((30, 2))] * 2, {"mask": [[1, 1], [1, 1]]}, "one boolean array per model"),
        ([np.ones((30, 2))] * 2, {"groups": [0]}, "groups must have one entry"),
        ([np.ones((30, 2))] * 2, {"groups": [0, 1]}, "2 groups of one model each"),
        ([np.ones((30, 2))] * 2, {"names": "a"}, "names must have one entry"),
        ([np.ones((30, 2))] * 3, {"n_partners": 3}, r"n_partners must lie in 1 \.\. 2"),
        ([np.ones((30, 2))] * 3, {"n_partners": 0}, r"n_partners must lie in 1 \.\. 2"),
    ],
)
def test_bad_input_is_named(models: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        udr(models, **options)
