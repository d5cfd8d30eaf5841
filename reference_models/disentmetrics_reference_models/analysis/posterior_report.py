"""Evaluation of generative models by their posteriors: what the KL is spent on, which codes are in use.

Bounds of the likelihood, which need the decoder, are in the reference models' module ``evidence_bounds``.
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
    """The mean KL of the posteriors from the prior, in three parts, in nats.

    Attributes
    ----------
    mutual_information : float
        Between the index of the row and the codes, I(z; n); at most the logarithm of the number of rows.
    total_correlation : float
        KL of the aggregate posterior from the product of its margins.
    dimension_wise_kl : float
        KL of each margin from the prior's, summed.
    standard_error : tuple of float
        Of the three, from the samples alone.
    """

    mutual_information: float
    total_correlation: float
    dimension_wise_kl: float
    standard_error: tuple[float, float, float]

    @property
    def kl(self) -> float:
        """The sum of the three parts: the mean KL by the same samples."""
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
    """Split the mean KL from the prior into index-code information, total correlation and dimension-wise KL.

    ``E KL(q(z | n) || p(z)) = I(z; n) + KL(q(z) || prod_j q(z_j)) + sum_j KL(q(z_j) || p(z_j))``, where the aggregate
    posterior q(z) is the mixture of the posteriors of all rows. Sample by sample the three parts telescope.

    Parameters
    ----------
    codes, log_variance : (n_rows, n_codes) real
        Posterior means and natural logarithms of posterior variances.
    n_samples : int
        Codes sampled from the aggregate posterior.
    n_components : int, optional
        A random subset of so many rows stands for all: faster, and the parts are then those of the subset, whose
        mutual information is smaller and whose total correlation is larger. All rows by default.
    log_prior : callable, optional
        From codes (n, n_codes) to the log-density (n,) of the prior; N(0, I) by default.
    seed : int

    Returns
    -------
    KLDecomposition
        The total correlation is an estimate without bias for these rows and may come out below 0.

    Raises
    ------
    InvalidInputError
        If shapes disagree, or a number is below 2.
    UndefinedScoreError
        If a posterior is too narrow for double precision.

    Notes
    -----
    Takes n_samples * n_rows * n_codes densities, in bounded memory and double precision.

    References
    ----------
    Chen, Li, Grosse & Duvenaud (2018), *Isolating Sources of Disentanglement in VAEs*, section 3; their training
    estimates (from a batch) are in the reference models and differ from these by constants.

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
    whole, margins = np.empty(n_samples), np.empty(n_samples)
    for part, densities in pairwise_log_densities(drawn):
        whole[part] = log_mean(densities.sum(axis=0))
        margins[part] = sum(log_mean(of_code) for of_code in densities)
    constant = 0.5 * _LOG_TWO_PI * drawn.samples.shape[1]
    prior = (log_prior or _standard_normal)(drawn.samples + drawn.centre) + constant
    parts = np.array([drawn.log_density.sum(axis=1) - whole, whole - margins, margins - prior])
    information, correlation, marginal = parts.mean(axis=1).tolist()
    first, second, third = (parts.std(axis=1) / math.sqrt(n_samples)).tolist()
    return KLDecomposition(information, correlation, marginal, (first, second, third))


def _standard_normal(codes: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(-0.5 * (np.square(codes) + _LOG_TWO_PI).sum(axis=1))


def _posteriors(codes: ArrayLike, log_variance: ArrayLike) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    table = Representation(codes, None, log_variance=log_variance)
    if table.log_variance is None:
        raise InvalidInputError("posterior variances (log_variance) are needed; got None")
    return table.codes, table.log_variance


@dataclass(frozen=True)
class PosteriorReport:
    """What the posteriors of a generative model say without labels.

    Attributes
    ----------
    kl_of_code : (n_codes,) float
        Mean KL of each code's posterior from the prior, in nats.
    active : (n_codes,) bool
        Whether that is above 0.01 nats.
    decomposition : KLDecomposition
        Of the sum of the KLs.
    gaussian_total_correlation : float
        Of the means, as if they were Gaussian, in nats; NaN where it is infinite.
    wasserstein_correlation : float
        Squared 2-Wasserstein distance of that Gaussian to the product of its margins.
    hoyer_sparsity : float
        Of the means, each divided by its standard deviation; NaN where fewer than two vary.
    """

    kl_of_code: NDArray[np.float64]
    active: NDArray[np.bool_]
    decomposition: KLDecomposition
    gaussian_total_correlation: float
    wasserstein_correlation: float
    hoyer_sparsity: float

    @property
    def order(self) -> NDArray[np.int64]:
        """Codes by descending KL, as traversals show them."""
        return codes_by_kl(self.kl_of_code)


@dataclass(frozen=True)
class OwnPrior:
    """What is to be known of a prior that is not N(0, I).

    Attributes
    ----------
    log_density : callable
        From codes (n, n_codes) to the log-density (n,).
    kl_of_code : (n_codes,) real
        Mean KL of each code's posterior from it, in nats; shares of the whole where its codes are dependent.
    """

    log_density: LogPrior
    kl_of_code: ArrayLike


def evaluate_posteriors(
    codes: ArrayLike,
    log_variance: ArrayLike,
    *,
    prior: OwnPrior | None = None,
    n_samples: int = 10_000,
    seed: int = 0,
) -> PosteriorReport:
    """Evaluate the posteriors of a generative model; no labels are needed.

    Parameters
    ----------
    codes, log_variance : (n_rows, n_codes) real
        Posterior means and natural logarithms of posterior variances.
    prior : OwnPrior, optional
        N(0, I) by default.
    n_samples : int
        For the decomposition of the KL.
    seed : int

    Returns
    -------
    PosteriorReport
        The scores of the means are those of the metrics of the same names, in the form of Locatello et al. (2019)
        with the plain covariance; constant codes are left out.

    Raises
    ------
    InvalidInputError
        If shapes disagree, or the prior has another number of codes.
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

    means, spread = _posteriors(codes, log_variance)
    table = Representation(means, None, log_variance=spread)
    kl = mean_kl(means, spread) if prior is None else np.asarray(prior.kl_of_code, np.float64)
    if kl.shape != means.shape[1:]:
        raise InvalidInputError(f"kl_of_code must have a number for each of {means.shape[1]} codes; got {kl.shape}")
    log_prior = None if prior is None else prior.log_density
    return PosteriorReport(
        kl_of_code=kl,
        active=kl > KL_THRESHOLD,
        decomposition=decompose_kl(means, spread, n_samples=n_samples, log_prior=log_prior, seed=seed),
        gaussian_total_correlation=gaussian_total_correlation.score(table, "locatello2019").value,
        wasserstein_correlation=wasserstein_correlation.score(table, "locatello2019").value,
        hoyer_sparsity=hoyer_sparsity.score(table).value,
    )
