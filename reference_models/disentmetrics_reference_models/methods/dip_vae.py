"""DIP-VAE I and II: penalise the deviation of the covariance of the latents from the identity."""

from dataclasses import dataclass

import torch
from torch import Tensor

from disentmetrics_reference_models.training.config import Config
from disentmetrics_reference_models.training.evidence import AutoEncoder, Evidence, Terms, evidence
from disentmetrics_reference_models.training.method import Batch, Weights, method

PAPER = "Kumar, Sattigeri, Balakrishnan (2018), Variational Inference of Disentangled Latent Concepts, ICLR"


@dataclass(frozen=True, kw_only=True)
class DIPVAEIConfig(Config):
    """Settings of Locatello et al. (2019): Adam with learning rate 0.0001, batches of 64.

    Attributes
    ----------
    off_diagonal, diagonal : float
        Weights of squared covariances, and of squared deviations of variances from 1.
    """

    architecture: str = "higgins-conv"
    learning_rate: float = 1e-4
    off_diagonal: float = 10.0
    diagonal: float = 100.0


@dataclass(frozen=True, kw_only=True)
class DIPVAEIIConfig(DIPVAEIConfig):
    """Settings of DIP-VAE-I with equal weights.

    Attributes
    ----------
    off_diagonal, diagonal : float
        Weights of squared covariances, and of squared deviations of variances from 1.
    """

    diagonal: float = 10.0


def covariance(codes: Tensor) -> Tensor:
    """Return the covariance over the batch (n_codes, n_codes), normalised by the number of rows."""
    centred = codes - codes.mean(0)
    return centred.T @ centred / len(codes)


def aggregate_covariance(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return the covariance of the aggregate posterior: that of the means plus the mean of the variances."""
    return covariance(mean) + torch.diag_embed(log_variance.exp().mean(0))


def _regularised(bound: Evidence, matrix: Tensor, weights: Weights) -> Terms:
    variances = torch.diagonal(matrix)
    off = (matrix**2).sum() - (variances**2).sum()
    penalty = weights["off_diagonal"] * off + weights["diagonal"] * ((variances - 1) ** 2).sum()
    loss = (bound.reconstruction + bound.kl.sum(1)).mean() + penalty
    return bound.terms(loss, off_diagonal_covariance=off)


@method(config=DIPVAEIConfig, paper=PAPER)
def dip_vae_i(model: AutoEncoder, batch: Batch, weights: Weights, config: DIPVAEIConfig) -> Terms:
    """Penalise deviations of the covariance of posterior means from the identity.

    ``loss = -ELBO + λ_od sum_{i != j} C_ij² + λ_d sum_i (C_ii - 1)²`` with C the covariance of the means
    over the batch; both (i, j) and (j, i) are counted.

    Known failure: only the means are constrained, so posterior variances may shrink.
    """
    bound = evidence(model, batch.observations, batch.noise["z"], config)
    return _regularised(bound, covariance(bound.mean), weights)


@method(config=DIPVAEIIConfig, paper=PAPER)
def dip_vae_ii(model: AutoEncoder, batch: Batch, weights: Weights, config: DIPVAEIIConfig) -> Terms:
    """Penalise deviations of the covariance of the aggregate posterior from the identity.

    As DIP-VAE-I, with C the covariance of the aggregate posterior: that of the means plus the mean of the variances.
    """
    bound = evidence(model, batch.observations, batch.noise["z"], config)
    return _regularised(bound, aggregate_covariance(bound.mean, bound.log_variance), weights)
