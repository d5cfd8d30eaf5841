"""The decomposition of the KL against closed forms, and the scores of active latents."""

import math

import numpy as np
import pytest
from disentmetrics_reference_models.analysis.posterior_evaluation import CustomPrior, decompose_kl, evaluate_posteriors
from numpy.typing import NDArray

from disentmetrics.errors import InvalidInputError, UndefinedScoreError
from disentmetrics.estimators.activity import mean_kl

Posteriors = tuple[NDArray[np.float64], NDArray[np.float64]]


def gaussian_pair(correlation: float, n_rows: int = 1500, noise: float = 0.1) -> Posteriors:
    """Posteriors whose aggregate is close to a Gaussian pair of unit variances and this correlation."""
    covariance = np.array([[1.0, correlation], [correlation, 1.0]]) - noise * np.eye(2)
    means = np.random.default_rng(0).multivariate_normal(np.zeros(2), covariance, n_rows)
    return means, np.full((n_rows, 2), math.log(noise))


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.8])
def test_the_total_correlation_of_a_gaussian_pair_is_estimated(correlation: float) -> None:
    parts = decompose_kl(*gaussian_pair(correlation), n_samples=1500)
    assert parts.total_correlation == pytest.approx(-0.5 * math.log(1 - correlation**2), abs=0.05)
    assert parts.dimension_wise_kl == pytest.approx(0.0, abs=0.02)


def test_latents_on_a_full_grid_are_independent() -> None:
    means = np.stack(np.meshgrid(np.linspace(-1.5, 1.5, 20), np.linspace(-2, 2, 20)), -1).reshape(-1, 2)
    parts = decompose_kl(means, np.full(means.shape, -2.0), n_samples=4000)
    assert abs(parts.total_correlation) < 1e-12
    assert 0 < parts.mutual_information < math.log(400)


def test_well_separated_posteriors_identify_their_row() -> None:
    means = 100.0 * np.arange(8)[:, None] * np.ones((1, 3))
    parts = decompose_kl(means, np.zeros((8, 3)), n_samples=80)
    assert parts.mutual_information == pytest.approx(math.log(8))
    assert parts.total_correlation == pytest.approx(2 * math.log(8))


def test_the_parts_sum_to_the_mean_kl() -> None:
    rng = np.random.default_rng(1)
    means, log_variance = rng.normal(1.0, 1.0, (50, 4)), rng.normal(-1.0, 0.5, (50, 4))
    parts = decompose_kl(means, log_variance, n_samples=20_000)
    assert parts.kl == pytest.approx(mean_kl(means, log_variance).sum(), rel=0.01)
    wide = decompose_kl(
        means,
        log_variance,
        n_samples=20_000,
        log_prior=lambda z: np.asarray(-0.5 * (z**2 / 4 + math.log(8 * math.pi)).sum(axis=1)),
    )
    second_moment = (means**2 + np.exp(log_variance)).mean(axis=0).sum()
    assert wide.total_correlation == parts.total_correlation
    assert wide.kl - parts.kl == pytest.approx(4 * math.log(2) - 0.375 * second_moment, abs=0.1)


def test_a_shift_of_the_latents_preserves_information_and_total_correlation() -> None:
    means, log_variance = gaussian_pair(0.6, n_rows=200)
    here = decompose_kl(means, log_variance, n_samples=200)
    there = decompose_kl(means + 5.0, log_variance, n_samples=200)
    assert there.total_correlation == pytest.approx(here.total_correlation, abs=1e-9)
    assert there.mutual_information == pytest.approx(here.mutual_information, abs=1e-9)
    assert there.dimension_wise_kl == pytest.approx(25.0, abs=2.0)


def test_a_subset_of_components_increases_the_total_correlation() -> None:
    means, log_variance = gaussian_pair(0.0, noise=0.01)
    few = decompose_kl(means, log_variance, n_samples=1500, n_components=50)
    every = decompose_kl(means, log_variance, n_samples=1500)
    assert few.total_correlation > every.total_correlation + 0.2
    assert few.mutual_information <= math.log(50) + 1e-9


def test_the_decomposition_does_not_depend_on_the_chunk_size(monkeypatch: pytest.MonkeyPatch) -> None:
    means, log_variance = gaussian_pair(0.6, n_rows=100)
    at_once = decompose_kl(means, log_variance, n_samples=150)
    monkeypatch.setattr("disentmetrics.statistics.posteriors._CHUNK", 700)
    assert decompose_kl(means, log_variance, n_samples=150).kl == pytest.approx(at_once.kl, abs=1e-12)


def test_a_report_identifies_active_latents_and_agrees_with_closed_forms() -> None:
    means, log_variance = gaussian_pair(0.5)
    means = np.c_[np.zeros(1500), means]
    log_variance = np.c_[np.zeros(1500), log_variance]
    report = evaluate_posteriors(means, log_variance, n_samples=200)
    assert report.active.tolist() == [False, True, True]
    assert report.order[-1] == 0
    assert report.kl_of_code[0] == 0
    covariance = np.cov(means[:, 1:].T)
    assert report.gaussian_total_correlation == pytest.approx(
        0.5 * (np.log(np.diag(covariance)).sum() - math.log(np.linalg.det(covariance)))
    )
    assert 0 < report.wasserstein_correlation < 1
    scaled = means[:, 1:] / means[:, 1:].std(axis=0)
    ratio = np.abs(scaled).sum(axis=1) / np.linalg.norm(scaled, axis=1)
    assert report.hoyer_sparsity == pytest.approx(((math.sqrt(2) - ratio) / (math.sqrt(2) - 1)).mean())


def test_a_custom_prior_replaces_the_standard_normal() -> None:
    means, log_variance = gaussian_pair(0.5, n_rows=300)
    kl = mean_kl(means / 2, log_variance - 2 * math.log(2))  # from N(0, 4)
    prior = CustomPrior(lambda z: np.asarray(-0.5 * (z**2 / 4 + math.log(8 * math.pi)).sum(axis=1)), kl)
    plain, own = (evaluate_posteriors(means, log_variance, prior=p, n_samples=20_000) for p in (None, prior))
    assert own.kl_of_code.tolist() == kl.tolist()
    assert own.decomposition.kl == pytest.approx(kl.sum(), rel=0.01)
    assert own.decomposition.total_correlation == plain.decomposition.total_correlation
    assert own.decomposition.dimension_wise_kl > plain.decomposition.dimension_wise_kl + 0.3
    assert own.hoyer_sparsity == plain.hoyer_sparsity
    with pytest.raises(InvalidInputError, match="one value for each of 2 latents"):
        evaluate_posteriors(means, log_variance, prior=CustomPrior(prior.log_density, kl[:1]), n_samples=10)


def test_invalid_settings_raise_errors() -> None:
    means, log_variance = gaussian_pair(0.0, n_rows=10)
    with pytest.raises(InvalidInputError, match="n_samples must be at least 2; got 1"):
        decompose_kl(means, log_variance, n_samples=1)
    with pytest.raises(InvalidInputError, match="n_components must be at least 2"):
        decompose_kl(means, log_variance, n_components=0)
    with pytest.raises(InvalidInputError):
        decompose_kl(means, log_variance[:, :1])
    with pytest.raises(UndefinedScoreError, match="bound log_variance"):
        decompose_kl(means, log_variance - 100)
