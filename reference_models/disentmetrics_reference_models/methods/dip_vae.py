"""DIP-VAE I and II: the covariance of the codes is driven to the identity."""

from dataclasses import dataclass

import torch
from torch import Tensor

from disentmetrics_reference_models.training.method import (
    AutoEncoder,
    Batch,
    Config,
    Evidence,
    Terms,
    Weights,
    evidence,
    method,
)

PAPER = "Kumar, Sattigeri, Balakrishnan (2018), Variational Inference of Disentangled Latent Concepts, ICLR"


@dataclass(frozen=True, kw_only=True)
class DIPVAEIConfig(Config):
    """As in the study of Locatello et al. (2019): Adam 0.0001, batches of 64.

    Attributes
    ----------
    off_diagonal, diagonal : float
        Weights of squared covariances, and of squared distances of variances from 1.
    """

    architecture: str = "higgins-conv"
    learning_rate: float = 1e-4
    off_diagonal: float = 10.0
    diagonal: float = 100.0


@dataclass(frozen=True, kw_only=True)
class DIPVAEIIConfig(DIPVAEIConfig):
    """As for type I, with equal weights.

    Attributes
    ----------
    off_diagonal, diagonal : float
        Weights of squared covariances, and of squared distances of variances from 1.
    """

    diagonal: float = 10.0


def covariance(codes: Tensor) -> Tensor:
    """Return the covariance over the batch, divided by the number of rows, (n_codes, n_codes)."""
    centred = codes - codes.mean(0)
    return centred.T @ centred / len(codes)


def aggregate_covariance(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return the covariance of samples of the posteriors: that of the means, plus the mean of the variances."""
    return covariance(mean) + torch.diag_embed(log_variance.exp().mean(0))


def _regularised(bound: Evidence, matrix: Tensor, weights: Weights) -> Terms:
    own = torch.diagonal(matrix)
    off = (matrix**2).sum() - (own**2).sum()
    penalty = weights["off_diagonal"] * off + weights["diagonal"] * ((own - 1) ** 2).sum()
    loss = (bound.reconstruction + bound.kl.sum(1)).mean() + penalty
    return bound.terms(loss, off_diagonal_covariance=off)


@method(config=DIPVAEIConfig, paper=PAPER)
def dip_vae_i(model: AutoEncoder, batch: Batch, weights: Weights, config: DIPVAEIConfig) -> Terms:
    """Decorrelate the posterior means.

    ``loss = -ELBO + λ_od sum_{i != j} C_ij² + λ_d sum_i (C_ii - 1)²`` with C the covariance of the means
    over the batch; both (i, j) and (j, i) count.

    Known failure: posterior variances may shrink, so that codes are uncorrelated in their means alone.
    """
    bound = evidence(model, batch.images, batch.noise["z"], config)
    return _regularised(bound, covariance(bound.mean), weights)


@method(config=DIPVAEIIConfig, paper=PAPER)
def dip_vae_ii(model: AutoEncoder, batch: Batch, weights: Weights, config: DIPVAEIIConfig) -> Terms:
    """Decorrelate samples of the posterior.

    As type I, with C the covariance of the samples: that of the means plus the mean of the variances.
    """
    bound = evidence(model, batch.images, batch.noise["z"], config)
    return _regularised(bound, aggregate_covariance(bound.mean, bound.log_variance), weights)
