"""Evaluation of a generative model from its posteriors: decomposition of the KL, and active latents.

Bounds of the likelihood, which need the decoder, are in the module ``evidence_bounds``.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from disentmetrics.errors import InvalidInputError
from disentmetrics.estimators.activity import KL_THRESHOLD, codes_by_kl, mean_kl
from disentmetrics.representation import Representation
from disentmetrics.statistics.posteriors import log_mean, pairwise_log_densities, sample_posteriors

_LOG_TWO_PI = math.log(2 * math.pi)
LogPrior = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True)
class KLDecomposition:
    """Decomposition of the mean KL of the posteriors from the prior into three terms, in nats.

    Attributes
    ----------
    mutual_information : float
        Index-code mutual information I(z; n), at most the logarithm of the number of rows.
    total_correlation : float
        KL of the aggregate posterior from the product of its marginals.
    dimension_wise_kl : float
        KL of the marginals of the aggregate posterior from those of the prior, summed over latents.
    standard_error : tuple of float
        Monte Carlo standard errors of the three terms.
    """

    mutual_information: float
    total_correlation: float
    dimension_wise_kl: float
    standard_error: tuple[float, float, float]

    @property
    def kl(self) -> float:
        """The sum of the three terms, which is an estimate of the mean KL from the same samples."""
        return self.mutual_information + self.total_correlation + self.dimension_wise_kl


def decompose_kl(
    codes: ArrayLike,
    log_variance: ArrayLike,
    *,
    n_samples: int = 10_000,
    n_components: int | None = None,
    log_prior: LogPrior | None = None,
    seed: int = 0,
) -> KLDecomposition:
    """Decompose the mean KL from the prior into mutual information, total correlation and dimension-wise KL.

    ``E KL(q(z | n) || p(z)) = I(z; n) + KL(q(z) || prod_j q(z_j)) + sum_j KL(q(z_j) || p(z_j))``, where the aggregate
    posterior q(z) is the mixture of the posteriors of all rows. For every sample the three terms telescope.

    Parameters
    ----------
    codes, log_variance : (n_rows, n_codes) real
        Posterior means and natural logarithms of posterior variances.
    n_samples : int
        Number of samples from the aggregate posterior.
    n_components : int, optional
        Use a random subset of this many rows as mixture components, which is faster. The terms then refer to the
        subset: its mutual information is smaller and its total correlation is larger. All rows by default.
    log_prior : callable, optional
        Maps codes (n, n_codes) to the log-density (n,) of the prior; N(0, I) by default.
    seed : int

    Returns
    -------
    KLDecomposition
        The estimate of the total correlation is unbiased for the mixture of these rows and may be negative.

    Raises
    ------
    InvalidInputError
        If shapes disagree, or a setting is below 2.
    UndefinedScoreError
        If a posterior is too narrow for double precision.

    Notes
    -----
    Computes n_samples * n_rows * n_codes densities in bounded memory and double precision.

    References
    ----------
    Chen, Li, Grosse & Duvenaud (2018), *Isolating Sources of Disentanglement in VAEs*, section 3. Their
    minibatch estimates are in the module ``total_correlation`` and differ from these by constants.

    Examples
    --------
    >>> parts = decompose_kl(np.zeros((10, 3)), np.zeros((10, 3)), n_samples=100)
    >>> bool(np.allclose([parts.mutual_information, parts.total_correlation, parts.dimension_wise_kl], 0))
    True
    """
    rows = _posteriors(codes, log_variance)
    for name, number in (("n_samples", n_samples), ("n_components", n_components)):
        if number is not None and number < 2:
            raise InvalidInputError(f"{name} must be at least 2; got {number}")
    rng = np.random.default_rng(seed)
    if n_components is not None and n_components < len(rows[0]):
        subset = np.sort(rng.choice(len(rows[0]), size=n_components, replace=False))
        rows = (rows[0][subset], rows[1][subset])
    drawn = sample_posteriors(*rows, n_samples, rng)
    log_q, log_marginals = np.empty(n_samples), np.empty(n_samples)  # log q(z) and sum_j log q(z_j)
    for part, densities in pairwise_log_densities(drawn):
        log_q[part] = log_mean(densities.sum(axis=0))
        log_marginals[part] = sum(log_mean(of_latent) for of_latent in densities)
    # The densities above omit the factor (2π)^(-n_codes / 2), so the prior must omit it too.
    constant = 0.5 * _LOG_TWO_PI * drawn.samples.shape[1]
    log_p = (log_prior or _standard_normal)(drawn.samples + drawn.centre) + constant
    terms = np.array([drawn.log_density.sum(axis=1) - log_q, log_q - log_marginals, log_marginals - log_p])
    mi, tc, dimension_wise_kl = terms.mean(axis=1).tolist()
    mi_error, tc_error, kl_error = (terms.std(axis=1) / math.sqrt(n_samples)).tolist()
    return KLDecomposition(mi, tc, dimension_wise_kl, (mi_error, tc_error, kl_error))


def _standard_normal(codes: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(-0.5 * (np.square(codes) + _LOG_TWO_PI).sum(axis=1))


def _posteriors(codes: ArrayLike, log_variance: ArrayLike) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    table = Representation(codes, None, log_variance=log_variance)
    if table.log_variance is None:
        raise InvalidInputError("posterior log-variances (log_variance) are required; got None")
    return table.codes, table.log_variance


@dataclass(frozen=True)
class PosteriorReport:
    """Unsupervised scores of the posteriors of a generative model.

    Attributes
    ----------
    kl_of_code : (n_codes,) float
        Mean KL of the posterior of each latent from the prior, in nats.
    active : (n_codes,) bool
        Whether this KL is above 0.01 nats.
    decomposition : KLDecomposition
        Decomposition of the total KL.
    gaussian_total_correlation : float
        Total correlation of a Gaussian with the covariance of the posterior means, in nats; NaN if infinite.
    wasserstein_correlation : float
        Squared 2-Wasserstein distance of this Gaussian from the product of its marginals.
    hoyer_sparsity : float
        Hoyer sparsity of the posterior means, divided by their standard deviations; NaN if fewer than two latents vary.
    """

    kl_of_code: NDArray[np.float64]
    active: NDArray[np.bool_]
    decomposition: KLDecomposition
    gaussian_total_correlation: float
    wasserstein_correlation: float
    hoyer_sparsity: float

    @property
    def order(self) -> NDArray[np.int64]:
        """Latents by descending KL, as in traversals."""
        return codes_by_kl(self.kl_of_code)


@dataclass(frozen=True)
class CustomPrior:
    """Log-density of a prior that is not N(0, I), and the KL from it.

    Attributes
    ----------
    log_density : callable
        Maps codes (n, n_codes) to the log-density (n,).
    kl_of_code : (n_codes,) real
        Mean KL of the posterior of each latent from the prior, in nats; shares of the total KL if the latents are
        dependent under the prior.
    """

    log_density: LogPrior
    kl_of_code: ArrayLike


def evaluate_posteriors(
    codes: ArrayLike,
    log_variance: ArrayLike,
    *,
    prior: CustomPrior | None = None,
    n_samples: int = 10_000,
    seed: int = 0,
) -> PosteriorReport:
    """Evaluate the posteriors of a generative model without labels.

    Parameters
    ----------
    codes, log_variance : (n_rows, n_codes) real
        Posterior means and natural logarithms of posterior variances.
    prior : CustomPrior, optional
        N(0, I) by default.
    n_samples : int
        Number of samples for the decomposition of the KL.
    seed : int

    Returns
    -------
    PosteriorReport
        The scores of the posterior means are those of the metrics of the same names, with the protocol of Locatello et
        al. (2019), which uses the sample covariance; constant latents are ignored.

    Raises
    ------
    InvalidInputError
        If shapes disagree, or the prior has another number of latents.
    UndefinedScoreError
        If a posterior is too narrow for double precision.

    Examples
    --------
    >>> codes = np.random.default_rng(0).normal(size=(200, 2)) * [1.0, 0.0]
    >>> report = evaluate_posteriors(codes, np.full((200, 2), [-3.0, 0.0]), n_samples=100)
    >>> report.active, report.order
    (array([ True, False]), array([0, 1]))
    """
    from disentmetrics.metrics import gaussian_total_correlation, hoyer_sparsity, wasserstein_correlation

    means, log_variances = _posteriors(codes, log_variance)
    table = Representation(means, None, log_variance=log_variances)
    kl = mean_kl(means, log_variances) if prior is None else np.asarray(prior.kl_of_code, np.float64)
    if kl.shape != means.shape[1:]:
        raise InvalidInputError(
            f"kl_of_code must have one value for each of {means.shape[1]} latents; got shape {kl.shape}"
        )
    log_prior = None if prior is None else prior.log_density
    return PosteriorReport(
        kl_of_code=kl,
        active=kl > KL_THRESHOLD,
        decomposition=decompose_kl(means, log_variances, n_samples=n_samples, log_prior=log_prior, seed=seed),
        gaussian_total_correlation=gaussian_total_correlation.score(table, "locatello2019").value,
        wasserstein_correlation=wasserstein_correlation.score(table, "locatello2019").value,
        hoyer_sparsity=hoyer_sparsity.score(table).value,
    )
