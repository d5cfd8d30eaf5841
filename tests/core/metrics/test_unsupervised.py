"""Unsupervised metrics, functions of the codes only."""

import numpy as np
import pytest
from scipy.linalg import sqrtm
from sklearn.metrics import mutual_info_score

import disentmetrics as dm

COVARIANCE = np.array([[4.0, 1.0, 0.5], [1.0, 1.0, -0.2], [0.5, -0.2, 2.0]])


def with_covariance(covariance: np.ndarray, n: int = 200, seed: int = 0) -> np.ndarray:
    """Codes with exactly this sample covariance."""
    raw = np.random.default_rng(seed).normal(size=(n, len(covariance)))
    raw -= raw.mean(axis=0)
    white = raw @ np.linalg.inv(np.linalg.cholesky(np.cov(raw, rowvar=False))).T
    return np.asarray(white @ np.linalg.cholesky(covariance).T)


def labels(codes: np.ndarray) -> np.ndarray:
    return np.zeros(len(codes), dtype=int)


def score(name: str, codes: np.ndarray, **options: object) -> dm.Score:
    result: dm.Score = getattr(dm.metrics, name)(codes, labels(codes), **options)
    return result


def test_total_correlation_of_a_known_covariance() -> None:
    codes = with_covariance(COVARIANCE)
    expected = 0.5 * np.log(np.diag(COVARIANCE).prod() / np.linalg.det(COVARIANCE))
    assert score("gaussian_total_correlation", codes, protocol="locatello2019").value == pytest.approx(expected)
    pair = with_covariance(np.array([[1.0, 0.6], [0.6, 1.0]]), n=20_000)
    assert score("gaussian_total_correlation", pair).value == pytest.approx(-0.5 * np.log(1 - 0.36), abs=0.01)


def test_total_correlation_of_a_copy_is_infinite_and_said_to_be() -> None:
    codes = with_covariance(COVARIANCE)
    for spoilt in (np.c_[codes, codes[:, :1]], np.c_[codes, codes.sum(axis=1)], np.c_[codes, -3 * codes[:, 1] + 7]):
        result = score("gaussian_total_correlation", spoilt, protocol="locatello2019")
        assert "infinite" in (result.undefined or "")
    assert "fewer rows" in (score("gaussian_total_correlation", codes[:3]).undefined or "")


def test_wasserstein_correlation_of_a_known_covariance() -> None:
    codes = with_covariance(COVARIANCE)
    root = np.diag(np.sqrt(np.diag(COVARIANCE)))
    expected = 2 * np.trace(COVARIANCE) - 2 * np.trace(sqrtm(root @ COVARIANCE @ root)).real
    result = score("wasserstein_correlation", codes, protocol="locatello2019")
    assert result.value == pytest.approx(expected, abs=1e-9)
    assert result.parts["normalised"].value == pytest.approx(expected / np.trace(COVARIANCE), abs=1e-9)


@pytest.mark.parametrize("d", [2, 5])
def test_wasserstein_correlation_of_copies_is_finite(d: int) -> None:
    codes = np.repeat(np.random.default_rng(0).normal(size=(100, 1)), d, axis=1)
    assert score("wasserstein_correlation", codes).value == pytest.approx(2 * d - 2 * np.sqrt(d))


@pytest.mark.parametrize("name", ["gaussian_total_correlation", "wasserstein_correlation"])
def test_dead_latents_are_excluded_and_warps_do_not_matter(name: str) -> None:
    codes = with_covariance(COVARIANCE)
    plain = score(name, codes).value
    assert plain > 0.1
    assert score(name, np.c_[codes, np.full(200, 3.0)]).value == pytest.approx(plain, abs=1e-12)
    assert score(name, np.c_[np.exp(codes[:, :1]), 1e6 * codes[:, 1:]]).value == pytest.approx(plain, abs=1e-12)
    assert score(name, np.ones((50, 3))).value == 0.0


def test_pairwise_information_as_in_the_library() -> None:
    codes = with_covariance(COVARIANCE, n=1_000)
    binned = [np.digitize(z, np.histogram(z, 20)[1][:-1]) for z in codes.T]
    expected = np.mean([mutual_info_score(binned[i], binned[j]) for i in range(3) for j in range(3) if i != j])
    assert score("mean_pairwise_mi", codes, protocol="locatello2019").value == pytest.approx(expected, abs=1e-12)


def test_pairwise_information_of_independent_latents_is_zero_even_on_few_rows() -> None:
    for n in (100, 300, 3_000):
        codes = np.random.default_rng(n).normal(size=(n, 6))
        assert score("mean_pairwise_mi", codes).value < 0.06
    few = np.random.default_rng(0).normal(size=(300, 6))
    assert score("mean_pairwise_mi", few, protocol="locatello2019").value > 0.2


def test_pairwise_information_of_copies_is_their_entropy() -> None:
    code = np.tile(np.arange(8.0), 50)
    assert score("mean_pairwise_mi", np.c_[code, np.exp(-code)]).value == pytest.approx(np.log(8))


def test_active_units_by_divergence_by_variance_and_without_either() -> None:
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(500, 3)) * [1.0, 0.02, 0.0]
    spread = np.tile([-4.0, 0.0, -4.0], (500, 1))  # the third posterior is narrow and the same in every row
    with_spread = score("active_units", codes, log_variance=spread)
    assert with_spread.value == 2.0
    assert with_spread.details["active"].tolist() == [True, False, True]
    plain = score("active_units", codes)
    assert plain.details["active"].tolist() == [True, True, False]
    assert any("z1" in note for note in plain.notes)
    assert plain.parts["share"].value == pytest.approx(2 / 3)
    assert score("active_units", codes, protocol="burda2016").value == 1.0
    assert score("active_units", 10 * codes, protocol="burda2016").value == 2.0


def test_hoyer_sparsity_of_a_plain_loop() -> None:
    codes = np.random.default_rng(0).normal(size=(50, 4)) * [1.0, 10.0, 0.1, 3.0]
    expected = [(2 - np.abs(z).sum() / np.sqrt((z**2).sum())) / (2 - 1) for z in codes / codes.std(axis=0)]
    assert score("hoyer_sparsity", codes).value == pytest.approx(np.mean(expected), abs=1e-12)
    assert score("hoyer_sparsity", np.c_[codes, np.zeros(50)]).value == pytest.approx(np.mean(expected), abs=1e-12)
    assert "two latents that vary" in (score("hoyer_sparsity", np.ones((9, 2))).undefined or "")


def test_hoyer_sparsity_leaves_empty_rows_out() -> None:
    codes = np.vstack([np.eye(3), -np.eye(3), np.zeros((4, 3))])
    assert score("hoyer_sparsity", codes).value == pytest.approx(1.0)


def hausdorff(first: np.ndarray, second: np.ndarray) -> float:
    rows = np.c_[first, second]
    product = np.array([(a, b) for a in first for b in second])
    return float(np.sqrt(((product[:, None] - rows) ** 2).sum(axis=2)).min(axis=1).max())


def test_factorised_support_of_a_plain_loop() -> None:
    codes = with_covariance(COVARIANCE, n=40)
    pairs = [hausdorff(codes[:, i], codes[:, j]) for i, j in ((0, 1), (0, 2), (1, 2))]
    assert score("factorised_support", codes, protocol="roth2023").value == pytest.approx(np.square(pairs).sum())
    standard = codes / codes.std(axis=0)
    expected = np.mean([hausdorff(standard[:, i], standard[:, j]) for i, j in ((0, 1), (0, 2), (1, 2))])
    assert score("factorised_support", codes, scale="sd").value == pytest.approx(expected)


def test_dependent_codes_over_a_full_grid_have_a_factorised_support() -> None:
    """Correlation does not matter as long as every combination occurs, which is the purpose of the metric."""
    values = np.indices((5, 5)).reshape(2, -1).T
    often = np.where(values[:, 0] == values[:, 1], 20, 1)
    codes = np.repeat(values, often, axis=0).astype(float)
    assert np.corrcoef(codes.T)[0, 1] > 0.5
    assert score("factorised_support", codes).value == 0.0
    assert score("factorised_support", codes[codes[:, 0] <= codes[:, 1]]).value > 0.5


def gaussian(rho: float, blur: float, n: int = 1_500) -> tuple[np.ndarray, np.ndarray]:
    means = with_covariance(np.array([[1.0, rho], [rho, 1.0]]), n=n)
    return means, np.full(means.shape, np.log(blur))


@pytest.mark.parametrize("name", ["wsepin", "windin"])
@pytest.mark.parametrize("rho", [0.0, 0.7])
def test_informations_of_a_gaussian_latent_are_those_of_the_closed_form(name: str, rho: float) -> None:
    blur = 0.5
    codes, log_variance = gaussian(rho, blur)
    whole = np.array([[1 + blur, rho], [rho, 1 + blur]])
    of_all = 0.5 * np.log(np.linalg.det(whole) / blur**2)
    of_one = 0.5 * np.log((1 + blur) / blur)
    expected = of_all - of_one  # equals of_one + log(1 - r²) / 2: minus the shared information
    assert expected == pytest.approx(of_one + 0.5 * np.log(1 - (rho / (1 + blur)) ** 2))
    result = score(name, codes, log_variance=log_variance, n_samples=4_000)
    assert result.value == pytest.approx(expected, abs=0.03)
    assert result.details["information"] == pytest.approx(np.full(2, of_one), abs=0.04)


def test_a_latent_equal_to_its_prior_has_no_weight_and_a_copy_no_unshared_information() -> None:
    codes, log_variance = gaussian(0.0, 0.01)
    dead = score("wsepin", np.c_[codes, np.zeros(1_500)], log_variance=np.c_[log_variance, np.zeros(1_500)])
    assert dead.details["weights"][2] == pytest.approx(0.0, abs=1e-9)
    assert dead.details["sepin"][2] == pytest.approx(0.0, abs=1e-9)
    assert score("wsepin", np.zeros((50, 2)), log_variance=np.zeros((50, 2))).value == 0.0


def test_separate_posteriors_identify_the_row_and_no_more() -> None:
    """Either of two narrow posteriors carries the maximal information, the logarithm of the number of rows."""
    codes = np.c_[np.arange(64.0), np.arange(64.0)[::-1]]
    narrow = np.full((64, 2), -12.0)
    both = score("wsepin", codes, log_variance=narrow)
    assert both.details["information"] == pytest.approx(np.full(2, np.log(64)), abs=1e-9)
    assert both.value == pytest.approx(0.0, abs=1e-9)
    alone = score("windin", codes[:, :1], log_variance=narrow[:, :1])
    assert alone.value == pytest.approx(np.log(64), abs=1e-9)


@pytest.mark.parametrize("name", ["wsepin", "windin"])
def test_posterior_variances_are_required_and_must_not_be_degenerate(name: str) -> None:
    codes = np.random.default_rng(0).normal(size=(50, 2))
    assert "log_variance" in (score(name, codes).undefined or "")
    assert "must be finite" in (score(name, codes, log_variance=np.full((50, 2), -1000.0)).undefined or "")
    assert "must be finite" in (score(name, codes, log_variance=np.full((50, 2), 2000.0)).undefined or "")


def test_a_subset_of_the_rows_is_named_in_the_signature_and_decided_by_the_seed() -> None:
    codes, log_variance = gaussian(0.3, 0.5)
    scores = [
        score("wsepin", codes, log_variance=log_variance, n_rows=200, n_samples=300, seed=seed) for seed in (1, 1, 2)
    ]
    assert "mixture:200" in scores[0].signature
    assert scores[0].value == scores[1].value != scores[2].value


def test_no_factor_is_needed() -> None:
    codes = with_covariance(COVARIANCE)
    for name in (
        "gaussian_total_correlation",
        "wasserstein_correlation",
        "mean_pairwise_mi",
        "active_units",
        "hoyer_sparsity",
        "factorised_support",
    ):
        assert np.isfinite(score(name, codes).value)
