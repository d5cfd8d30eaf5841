"""Metrics of mutual information against reference implementations of their formulas."""

from typing import Any

import numpy as np
import pytest
from scipy.stats import entropy as scipy_entropy
from sklearn.metrics import mutual_info_score

import disentmetrics as dm
from disentmetrics.errors import InvalidInputError
from disentmetrics.statistics.information_scores import normalized_mutual_information, with_binned_factors
from disentmetrics.statistics.latent_entropies import code_entropies
from disentmetrics.testing import EXAMPLES

SIZES = (3, 6, 10, 12)
M = dm.metrics


def mixed(n: int = 3_000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Codes that blur, mix, duplicate and ignore factors of different sizes."""
    rng = np.random.default_rng(seed)
    factors = rng.integers(SIZES, size=(n, 4))
    blurred = factors + 0.7 * rng.normal(size=factors.shape)
    mix = factors[:, :1] + 0.4 * factors[:, 1:2] + 0.1 * rng.normal(size=(n, 1))
    return np.hstack([blurred, mix, np.exp(blurred[:, 2:3] / 4), rng.normal(size=(n, 1)) ** 3]), factors


def width_bins(values: np.ndarray, n_bins: int) -> np.ndarray:
    return np.asarray(np.digitize(values, np.linspace(values.min(), values.max(), n_bins + 1)[1:-1]))


def plug_in(codes: np.ndarray, factors: np.ndarray) -> np.ndarray:
    return np.array([[mutual_info_score(z, v) for v in factors.T] for z in codes.T])


def entropies(columns: np.ndarray) -> np.ndarray:
    return np.array([scipy_entropy(np.unique(column, return_counts=True)[1]) for column in columns.T])


def binned(codes: np.ndarray, n_bins: int) -> np.ndarray:
    return np.stack([width_bins(column, n_bins) for column in codes.T], axis=1)


@pytest.mark.parametrize(("n_bins", "factor_bins"), [(10, 10), (20, None)])
def test_carbonneau2022_are_the_histograms_of_their_formulas(n_bins: int, factor_bins: int | None) -> None:
    codes, factors = mixed()
    z, v = binned(codes, n_bins), factors if factor_bins is None else binned(factors.astype(float), factor_bins)
    nats, h_v, h_z = plug_in(z, v), entropies(v), entropies(z)
    settings: dict[str, Any] = {"protocol": "carbonneau2022", "n_bins": n_bins, "factor_bins": factor_bins}

    ranked = np.sort(nats / h_v, axis=1)
    assert M.mig_sup(codes, factors, **settings).value == pytest.approx(np.mean(ranked[:, -1] - ranked[:, -2]))

    own = np.zeros(len(SIZES))
    for row in nats:
        best = int(np.argmax(row))
        own[best] = max(own[best], row[best] - max(x for k, x in enumerate(row) if k != best))
    assert M.dcimig(codes, factors, **settings).value == pytest.approx(own.sum() / h_v.sum())

    losses = []
    for k in range(len(SIZES)):
        first, second = np.argsort(nats[:, k])[::-1][:2]
        joint = h_z[first] + h_v[k] - nats[first, k]
        losses.append((joint - nats[first, k] + nats[second, k]) / (h_v[k] + np.log(n_bins)))
    assert M.jemmig(codes, factors, **settings).value == pytest.approx(1 - np.mean(losses))

    squares = nats**2
    of_code = 1 - (squares.sum(axis=1) - squares.max(axis=1)) / (squares.max(axis=1) * (len(SIZES) - 1))
    assert M.modularity(codes, factors, **settings).value == pytest.approx(of_code.mean())


def test_almudevar2024_are_the_ratios_of_their_formulas_and_dead_latents_are_excluded() -> None:
    codes, factors = mixed()
    z = binned(codes, 15)
    nats = plug_in(z, factors)
    with_dead = np.hstack([np.ones((len(codes), 2)), codes])
    minimal = np.mean((nats / entropies(z)[:, None]).max(axis=1))
    assert M.minimality(codes, factors, protocol="almudevar2024").value == pytest.approx(minimal)
    assert M.minimality(with_dead, factors, protocol="almudevar2024").value == pytest.approx(minimal)
    sufficient = np.mean((nats / entropies(factors)).max(axis=0))
    assert M.sufficiency(with_dead, factors, protocol="almudevar2024").value == pytest.approx(sufficient)


@pytest.mark.parametrize("top", [None, 1, 2])
def test_cao2022_is_entropy_over_informations_that_sum_to_one_for_each_factor(top: int | None) -> None:
    codes, factors = mixed()
    matrix = plug_in(binned(codes, 20), factors)
    matrix /= matrix.sum(axis=0)

    def concentration(rows: np.ndarray) -> float:
        return float(sum(row.sum() * (1 - scipy_entropy(row, base=len(row))) for row in rows) / rows.sum())

    if top is not None:
        purity = [scipy_entropy(row) for row in matrix]
        owner = matrix.argmax(axis=1)
        picked = [sorted(np.flatnonzero(owner == k), key=lambda j: purity[j])[:top] for k in range(len(SIZES))]
        matrix = matrix[sorted(j for group in picked for j in group)]
    score = M.med(codes, factors, protocol="cao2022", top=top)
    assert score.value == pytest.approx(concentration(matrix), abs=1e-12)
    assert score.parts["completeness"].value == pytest.approx(concentration(matrix.T), abs=1e-12)


def test_dividing_by_the_entropy_of_the_latent_would_hide_that_a_factor_is_half_encoded() -> None:
    """The entropy of a latent with two values is fully explained, but it carries half of a factor with four values."""
    factors = np.indices((4, 4)).reshape(2, -1).T.repeat(20, axis=0)
    halves = (factors // 2).astype(float)
    assert M.mig_sup(halves, factors).value == pytest.approx(0.5, abs=0.01)
    assert M.mig_sup(halves, factors, protocol="carbonneau2022").value == pytest.approx(0.5)
    assert M.minimality(halves, factors).value == pytest.approx(1.0)
    dead = M.mig_sup(np.c_[halves, np.ones(len(halves))], factors, protocol="carbonneau2022")
    assert dead.value == pytest.approx(1 / 3)


def test_dead_and_noise_latents_dominate_published_modularity_and_not_the_default() -> None:
    factors = np.random.default_rng(0).integers(SIZES, size=(5_000, 4))
    perfect, dead = factors.astype(float), np.zeros((5_000, 4))
    noise = np.random.default_rng(1).normal(size=(5_000, 4))
    assert M.modularity(np.hstack([perfect, dead]), factors, protocol="locatello2019").value == pytest.approx(
        0.5, abs=1e-3
    )
    assert M.modularity(np.hstack([perfect, dead]), factors, protocol="ridgeway2018").value == pytest.approx(
        1, abs=1e-3
    )
    assert M.modularity(noise, factors, protocol="ridgeway2018").value > 0.4
    assert M.modularity(noise, factors).value == 0.0
    assert M.modularity(np.hstack([perfect, dead, noise]), factors).value > 0.999


def test_modularity_weights_latents_by_information() -> None:
    rng = np.random.default_rng(0)
    factors = rng.integers(8, size=(20_000, 2))
    faint = 0.1 * factors.sum(axis=1, keepdims=True) + rng.normal(size=(20_000, 1))
    score = M.modularity(np.hstack([factors, faint]), factors)
    assert score.details["modularity_of_code"][2] < 0.3
    assert score.value > 0.97


def test_a_rotation_keeps_a_high_modularity_which_is_its_known_failure() -> None:
    """Measured for four uniform factors: .90 for the published form."""
    rng = np.random.default_rng(0)
    factors = rng.random((6_000, 4))
    rotation = np.linalg.qr(np.random.default_rng(2).normal(size=(4, 4)))[0]
    assert M.modularity(factors @ rotation, factors, protocol="ridgeway2018").value > 0.75
    assert M.dcimig(factors @ rotation, factors).value < 0.35


@pytest.mark.parametrize("name", ["mig_sup", "axis_alignment", "modularity", "med"])
@pytest.mark.parametrize("n", [200, 5_000])
def test_pure_noise_scores_zero_where_ratios_would_be_arbitrary(name: str, n: int) -> None:
    rng = np.random.default_rng(3)
    score = M.find_metric(name)[0](rng.normal(size=(n, 10)), rng.integers(SIZES, size=(n, 4)))
    assert score.value == 0.0


def test_a_perfect_code_scores_one_on_a_hundred_rows_with_as_many_noise_latents() -> None:
    """With plug-in estimates, MED of such a code is below .6."""
    rng = np.random.default_rng(0)
    factors = rng.integers((2, 3), size=(150, 2))
    codes = np.hstack([factors, rng.normal(size=(150, 4))])
    assert M.med(codes, factors, protocol="cao2022").value < 0.75
    for name in ("med", "mig_sup", "modularity", "axis_alignment"):
        assert M.find_metric(name)[0](codes, factors).value > 0.95


def test_what_gaps_of_latents_detect_and_what_they_miss() -> None:
    rng = np.random.default_rng(0)
    factors = rng.integers(3, size=(6_000, 3))
    packed = np.stack([3.0 * factors[:, 0] + factors[:, 1], factors[:, 2], rng.normal(size=6_000)], axis=1)
    assert M.mig(packed, factors).value > 0.99
    assert M.average_maximal_mi(packed, factors).value > 0.99
    assert M.dcimig(packed, factors).value == pytest.approx(1 / 3, abs=0.02)
    assert M.mig_sup(packed, factors).value == pytest.approx(1 / 2, abs=0.02)
    assert M.minimality(packed, factors).value == pytest.approx((0.5 + 1 + 0) / 3, abs=0.02)
    assert M.med(packed, factors).value < 0.8
    one = M.mig_sup(factors[:, [0, 0]].astype(float), factors)
    assert one.value > 0.99
    assert "no latent carries 10 % of the entropy of factor_1 and factor_2" in one.notes[0]
    rotation = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))[0]
    assert M.dcimig(np.hstack([factors, factors @ rotation]), factors).value > 0.99


def test_axis_alignment_is_the_share_of_information_in_excess_of_other_latents() -> None:
    codes, factors = mixed(20_000)
    score = M.axis_alignment(codes, factors)
    nats = score.details["mutual_information"]
    ranked = np.sort(nats, axis=0)[::-1]
    expected = np.maximum(ranked[0] - ranked[1:].sum(axis=0), 0) / ranked[0]
    assert list(score.per_factor.values()) == pytest.approx(expected)
    assert score.per_factor["factor_0"] < 0.7
    assert score.per_factor["factor_3"] > 0.99
    many = np.hstack([codes, np.random.default_rng(9).normal(size=(20_000, 40))])
    assert M.axis_alignment(many, factors).value == pytest.approx(score.value, abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_jemmig_is_one_for_a_perfect_code_of_any_resolution(seed: int) -> None:
    factors = np.random.default_rng(seed).random((6_000, 4))
    perfect = M.jemmig(factors, factors).value
    assert perfect == pytest.approx(1.0, abs=1e-3)
    assert M.jemmig(np.exp(5 * factors), factors).value == pytest.approx(perfect, abs=1e-12)
    published = M.jemmig(factors, factors, protocol="carbonneau2022", n_bins=20)
    assert published.value == pytest.approx(0.87, abs=0.01)
    noise = np.random.default_rng(9).normal(size=(6_000, 4))
    assert M.jemmig(noise, factors).value < 0.01
    assert M.jemmig(noise, factors, protocol="carbonneau2022").value > 0.08


def test_a_constant_latent_is_credited_by_equal_width_bins_and_not_by_default() -> None:
    factors = np.random.default_rng(0).integers(4, size=(1_000, 2))
    still = np.ones((1_000, 2))
    assert M.jemmig(still, factors, protocol="carbonneau2022").value > 0.5
    assert M.jemmig(still, factors).value == 0.0


def test_jemmig_of_an_unbalanced_factor_is_the_normalised_information_less_half_the_next() -> None:
    rng = np.random.default_rng(0)
    factor = rng.choice(3, p=[0.6, 0.3, 0.1], size=2_000)
    copy = np.where(rng.random(2_000) < 0.8, factor, rng.integers(3, size=2_000))
    duplicated = M.jemmig(np.c_[factor, copy].astype(float), factor)
    nats = duplicated.details["mutual_information"]
    h = scipy_entropy(np.bincount(factor))
    assert duplicated.value == pytest.approx((2 * nats[0, 0] - nats[1, 0]) / (2 * h))
    assert nats[1, 0] == pytest.approx(mutual_info_score(copy, factor), abs=0.01)


def test_rmig_is_mig_of_bins_where_posteriors_are_narrow() -> None:
    codes, factors = mixed(1_000)
    codes = (codes - codes.mean(axis=0)) / codes.std(axis=0)
    inside = np.clip(codes, -3.9, 3.9)
    score = M.rmig(inside, factors, log_variance=np.full(codes.shape, -30.0), protocol="do2020")
    z = np.stack([np.digitize(column, np.linspace(-4, 4, 101)) for column in inside.T], axis=1)
    nats = np.sort(plug_in(z, factors), axis=0)
    assert score.value == pytest.approx(np.mean((nats[-1] - nats[-2]) / entropies(factors)), abs=1e-9)


@pytest.mark.parametrize("name", ["rmig", "jemmig"])
def test_do2020_spreads_each_row_over_bins_by_its_posterior(name: str) -> None:
    rng = np.random.default_rng(0)
    factors = rng.integers((3, 4), size=(200, 2))
    mean = np.c_[factors - 1.5, rng.normal(size=200)] / 1.5
    log_variance = rng.uniform(-6, 0, size=mean.shape)
    centres = np.linspace(-4, 4, 101)[:-1] + 0.04
    nats, joint = np.zeros((2, 3, 2))
    for j in range(3):
        density = np.exp(-((centres - mean[:, [j]]) ** 2) / (2 * np.exp(log_variance[:, [j]])))
        density /= density.sum(axis=1, keepdims=True)
        for k in range(2):
            table = np.array([density[factors[:, k] == v].sum(axis=0) for v in range(factors[:, k].max() + 1)]) / 200
            joint[j, k] = scipy_entropy(table.ravel())
            nats[j, k] = scipy_entropy(table.sum(axis=0)) + scipy_entropy(table.sum(axis=1)) - joint[j, k]
    h = entropies(factors)
    order = np.argsort(-nats, axis=0)
    first, second = (np.take_along_axis(nats, order[[i]], axis=0)[0] for i in (0, 1))
    own = np.take_along_axis(joint, order[[0]], axis=0)[0]
    expected = {"rmig": (first - second) / h, "jemmig": 1 - (own - first + second) / (h + np.log(100))}[name]
    score = M.find_metric(name)[0](mean, factors, log_variance=log_variance, protocol="do2020")
    assert list(score.per_factor.values()) == pytest.approx(expected, abs=1e-9)


def test_limits_of_rmig_follow_the_scale_of_the_codes_unless_they_are_fixed() -> None:
    factors = np.random.default_rng(0).integers(6, size=(1_000, 2))
    near, far = factors.astype(float), 1000.0 * factors
    spread = np.full(near.shape, -4.0)
    wide = spread + 2 * np.log(1000)
    assert M.rmig(far, factors, log_variance=wide).value == pytest.approx(
        M.rmig(near, factors, log_variance=spread).value
    )
    assert M.rmig(far, factors, log_variance=wide, protocol="do2020").value < 0.5
    collapsed = M.rmig(np.c_[near, 1e-3 * near], factors, log_variance=np.c_[spread, 0 * spread])
    assert collapsed.value == pytest.approx(M.rmig(near, factors, log_variance=spread).value, abs=1e-4)


def dependent(n: int = 5_000) -> np.ndarray:
    rng = np.random.default_rng(0)
    first = rng.integers(6, size=n)
    return np.stack([first, np.where(rng.random(n) < 0.6, first, rng.integers(6, size=n)), rng.integers(4, size=n)], 1)


def test_dmig_dlig_and_sufficiency_keep_one_for_perfect_codes_of_dependent_factors() -> None:
    factors = dependent()
    codes = factors.astype(float)
    assert M.mig(codes, factors).value < 0.9
    for name in ("dmig", "xmig", "dlig", "sufficiency"):
        assert M.find_metric(name)[0](codes, factors).value == pytest.approx(1.0, abs=1e-9)


def test_dmig_by_hand() -> None:
    factors = dependent()
    rng = np.random.default_rng(1)
    codes = factors + rng.normal(size=factors.shape) * [0.6, 0.3, 0.5]
    score = M.dmig(codes, factors, estimator="quantile")
    nats = score.details["mutual_information"]
    conditional = scipy_entropy(np.bincount(factors[:, 0])) - mutual_info_score(factors[:, 0], factors[:, 1])
    assert score.per_factor["factor_0"] == pytest.approx((nats[0, 0] - nats[1, 0]) / conditional, abs=0.01)
    assert score.details["owner"].tolist() == [0, 1, 2]


def test_a_declared_owner_is_used_and_a_wrong_one_scores_zero() -> None:
    factors = np.random.default_rng(0).integers(5, size=(2_000, 2))
    codes = np.c_[factors[:, ::-1], np.zeros(2_000)].astype(float)
    for name in ("dmig", "xmig", "dlig"):
        metric = M.find_metric(name)[0]
        assert metric(codes, factors).value > 0.99
        assert metric(codes, factors, owners=(1, 0)).value > 0.99
        assert metric(codes, factors, owners=(0, 1)).value < 0.01
        assert metric(codes, factors, owners=(1, -1)).value == pytest.approx(0.5, abs=0.01)
        assert "owners:declared" in metric(codes, factors, owners=(1, 0)).signature


@pytest.mark.parametrize("owners", [(0,), (0, 3), (0, 0), (-2, 1), (0.5, 1)])
def test_owners_that_do_not_exist_are_refused(owners: tuple[int, ...]) -> None:
    factors = np.random.default_rng(0).integers(5, size=(100, 2))
    with pytest.raises(InvalidInputError, match="owners must (give a latent|assign each latent to at most one factor)"):
        M.dmig(factors.astype(float), factors, owners=owners)


def test_each_known_failure_is_one() -> None:
    rng = np.random.default_rng(0)
    factors = rng.integers((3, 6, 10), size=(6_000, 3))
    codes = factors.astype(float)
    twice = np.hstack([codes, codes])
    assert M.average_maximal_mi(twice, factors).value == pytest.approx(1.0)
    assert M.jemmig(twice, factors).value == pytest.approx(0.5, abs=1e-9)
    rotation = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))[0]
    assert M.dlig(np.hstack([codes, codes @ rotation]), factors).value > 0.99
    packed = np.c_[factors[:, 0] * 6 + factors[:, 1], factors[:, 2]].astype(float)
    assert M.sufficiency(packed, factors).value == pytest.approx(1.0)
    assert M.minimality(codes[:, [0, 0]], factors).value == pytest.approx(1.0)
    hardly = (rng.random(6_000) < 0.15) * factors[:, :1].T + 3.0 * rng.random((1, 6_000))
    alone = M.axis_alignment(hardly.T, factors)
    assert 0 < alone.details["mutual_information"][0, 0] < 0.1
    assert alone.per_factor["factor_0"] == 1.0
    assert M.med(dependent().astype(float), dependent()).value < 0.9

    first = rng.integers(8, size=6_000)
    near = np.c_[first, np.where(rng.random(6_000) < 0.9, first, rng.integers(8, size=6_000))]
    blurred = np.c_[rng.normal(size=6_000) + 0.2 * first, near[:, 1] + rng.normal(size=6_000)]
    score = M.dmig(blurred, near, owners=(0, 1))
    assert score.details["mutual_information"][1, 1] < 0.6 * np.log(8)
    assert score.per_factor["factor_1"] == 1.0


def test_xmig_compares_with_unassigned_latents_only() -> None:
    factors = np.random.default_rng(0).integers(5, size=(3_000, 2))
    leaky = np.c_[factors[:, 0] * 5 + factors[:, 1], factors[:, 1]].astype(float)
    assert M.xmig(leaky, factors).value > 0.99
    assert M.dmig(leaky, factors).value == pytest.approx(0.5, abs=0.05)
    spare = np.c_[factors, factors[:, 0]].astype(float)
    assert M.xmig(spare, factors).value == pytest.approx(0.5, abs=0.01)


def test_a_factor_that_is_a_function_of_another_is_undefined_for_dmig() -> None:
    first = np.random.default_rng(0).integers(4, size=1_000)
    factors = np.c_[first, first, np.random.default_rng(1).integers(4, size=1_000)]
    score = M.dmig(factors.astype(float), factors)
    assert np.isnan(score.per_factor["factor_0"])
    assert score.value == pytest.approx(1.0)


@pytest.mark.parametrize(
    "spec", ["mig_sup", "dcimig@carbonneau2022", "jemmig", "jemmig@carbonneau2022", "minimality", "axis_alignment"]
)
def test_rows_without_a_label_are_left_out_for_that_factor_only(spec: str) -> None:
    metric, protocol = M.find_metric(spec)
    rng = np.random.default_rng(0)
    whole = rng.integers(4, size=(4_000, 2)).astype(float)
    codes = whole + 0.2 * rng.normal(size=whole.shape)
    holes = whole.copy()
    holes[rng.random(4_000) < 0.3, 1] = np.nan
    some, everything = (metric(codes, v, protocol=protocol) for v in (holes, whole))
    assert some.value == pytest.approx(everything.value, abs=0.02)
    assert some.value != everything.value


def test_binned_factors_and_entropies_of_codes_ignore_missing_labels() -> None:
    codes = np.array([[0.0], [1.0], [1.0], [5.0]])
    table = dm.Representation(codes, np.array([[0.0, 7.0], [2.5, 7.0], [10.0, 9.0], [np.nan, 8.0]]))
    cut = with_binned_factors(table, 4)
    assert cut.factors.tolist() == [[0, 0], [1, 0], [3, 3], [-1, 2]]
    h = code_entropies(cut, "equal-width", 5)
    assert h[0] == pytest.approx([scipy_entropy([1, 2]), scipy_entropy([1, 2, 1])])
    assert normalized_mutual_information(table, "equal-width", 5, 4).defined.all()


def test_the_sign_of_a_latent_does_not_matter_on_an_odd_number_of_rows() -> None:
    for seed in range(20):
        table = EXAMPLES["noisy"](301, np.random.default_rng(seed))
        flipped = dm.Representation(-table.codes, table.factors, space=table.space)
        assert M.jemmig.evaluate(flipped).value == pytest.approx(M.jemmig.evaluate(table).value, abs=1e-12)


def test_collapsed_latents_are_excluded_if_posteriors_identify_them() -> None:
    factors = np.random.default_rng(0).integers(4, size=(2_000, 2))
    codes = np.hstack([factors, 0.001 * factors[:, :1]]).astype(float)
    log_variance = np.array([-6.0, -6.0, 0.0]) * np.ones_like(codes)
    assert M.axis_alignment(codes, factors).value == pytest.approx(0.5, abs=0.01)
    masked = M.axis_alignment(codes, factors, log_variance=log_variance)
    assert masked.value > 0.99
    assert "mask:kl>0.01" in masked.signature
    assert M.minimality(codes, factors, log_variance=log_variance).value > 0.99
    li = M.mig_sup(codes, factors, log_variance=log_variance, protocol="li2020")
    assert "averaged:2" in li.signature
    assert li.value > 0.98
