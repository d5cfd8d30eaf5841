"""Minibatch estimates of the density of the aggregate posterior and of its total correlation, in nats.

With the matrix ``l[i, k, j] = log q(z_ij | x_k)`` of a batch, the decomposition of Chen et al. (2018)
``KL(q(z | x) || p(z)) = I(x; z) + TC(z) + sum_j KL(q(z_j) || p(z_j))`` holds for every sample and
any estimate of log q(z) and log q(z_j).
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from disentmetrics.errors import InvalidInputError, did_you_mean
from disentmetrics_reference_models.nn.gaussians import log_density


class Decomposition(NamedTuple):
    """The three terms of the KL of each sample, (batch,) each.

    Attributes
    ----------
    mutual_information : Tensor
        Index-code mutual information.
    total_correlation : Tensor
        Total correlation of the latents.
    dimension_wise_kl : Tensor
        KL of the marginal of each latent from the prior, summed over latents.
    """

    mutual_information: Tensor
    total_correlation: Tensor
    dimension_wise_kl: Tensor


def pairwise_log_density(z: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return log q(z_ij | x_k) of every sample i under the posterior of every image k, (batch, batch, n_codes)."""
    return log_density(z[:, None], mean[None], log_variance[None])


def minibatch_weights(batch_size: int, n_rows: int, *, like: Tensor) -> Tensor:
    """Return log-weights of minibatch-weighted sampling: 1 / (N B) for each pair.

    Chen et al. (2018), equation 5. The total correlation is larger by (D - 1) log N than with
    plain averages over the batch: gradients are the same, but values are not comparable.
    """
    return like.new_full((batch_size, batch_size), -math.log(n_rows * batch_size))


def stratified_weights(batch_size: int, n_rows: int, *, like: Tensor) -> Tensor:
    """Return log-weights of minibatch stratified sampling, an unbiased estimate of q(z).

    Chen et al. (2018), appendix C.2, for a batch of B = M + 1 of N images: the sample's own posterior has weight 1 / N,
    one other (N - M) / (N M), and the remaining M - 1 have weight 1 / M. Rows sum to 1.

    Differs from the authors' code, which fills the matrix with a stride of B instead of B + 1: there
    column 0 has weight 1 / N in every row, instead of the diagonal.

    Examples
    --------
    >>> stratified_weights(3, 100, like=torch.zeros(1)).exp()
    tensor([[0.0100, 0.4900, 0.5000],
            [0.5000, 0.0100, 0.4900],
            [0.4900, 0.5000, 0.0100]])
    """
    m = batch_size - 1
    rows = torch.arange(batch_size, device=like.device)
    weights = like.new_full((batch_size, batch_size), -math.log(m))
    own = (rows[:, None] == rows[None]).to(like.dtype)
    next_column = ((rows[:, None] + 1) % batch_size == rows[None]).to(like.dtype)
    weights = weights * (1 - own - next_column) + own * -math.log(n_rows)
    return weights + next_column * math.log((n_rows - m) / (n_rows * m))


def batch_weights(batch_size: int, n_rows: int, *, like: Tensor) -> Tensor:
    """Return log-weights of the plain average over the batch, 1 / B."""
    return like.new_full((batch_size, batch_size), -math.log(batch_size))


ESTIMATES = {"mws": minibatch_weights, "mss": stratified_weights, "batch": batch_weights}
"""Log-weights by name: minibatch-weighted, minibatch stratified, plain average."""


def check_estimate(name: str) -> None:
    """Raise InvalidInputError if there is no estimate of this name."""
    if name not in ESTIMATES:
        raise InvalidInputError(
            f"estimate must be one of {', '.join(ESTIMATES)}; got {name!r}{did_you_mean(name, ESTIMATES)}"
        )


def decompose(
    z: Tensor,
    mean: Tensor,
    log_variance: Tensor,
    n_rows: int,
    *,
    estimate: str = "mws",
    log_prior: Tensor | None = None,
) -> Decomposition:
    """Decompose the KL of each sample into three terms, estimated from one batch.

    Parameters
    ----------
    z, mean, log_variance : (batch, n_codes)
        Samples, and the parameters of the posteriors they were drawn from.
    n_rows : int
        Number of images in the entire data set.
    estimate : {"mws", "mss", "batch"}
        Estimator of the density of the aggregate posterior, see :data:`ESTIMATES`.
    log_prior : (batch,), optional
        Log-density of the prior at the samples, by default of the standard normal.

    Returns
    -------
    Decomposition
        In nats; estimates of the total correlation may be negative.
    """
    log_weights = ESTIMATES[estimate](len(z), n_rows, like=z)
    pairs = pairwise_log_density(z, mean, log_variance)
    # log q(z), sum_j log q(z_j), log q(z | x) and log p(z): their differences are the three terms.
    log_q = torch.logsumexp(log_weights + pairs.sum(2), dim=1)
    log_marginals = torch.logsumexp(log_weights[:, :, None] + pairs, dim=1).sum(1)
    log_posterior = log_density(z, mean, log_variance).sum(1)
    log_p = log_density(z).sum(1) if log_prior is None else log_prior
    return Decomposition(log_posterior - log_q, log_q - log_marginals, log_marginals - log_p)


def permute_codes(z: Tensor, uniform: Tensor) -> Tensor:
    """Permute each latent independently over the batch, which keeps the marginals and removes dependence.

    Parameters
    ----------
    z : (batch, n_codes)
    uniform : (batch, n_codes)
        Random numbers; the permutation of each column is the order of its values.
    """
    return torch.gather(z, 0, uniform.argsort(0))
