"""Diagonal Gaussians: sampling, log-density and Kullback-Leibler divergence, in nats."""

import math

from torch import Tensor

LOG_TWO_PI = math.log(2 * math.pi)


def reparameterise(mean: Tensor, log_variance: Tensor, epsilon: Tensor) -> Tensor:
    """Transform standard normal noise to a sample of N(mean, exp(log_variance)), differentiable in both parameters."""
    return mean + (0.5 * log_variance).exp() * epsilon


def log_density(z: Tensor, mean: Tensor | float = 0.0, log_variance: Tensor | None = None) -> Tensor:
    """Return the log-density of each coordinate, by default that of the standard normal.

    Examples
    --------
    >>> import torch
    >>> log_density(torch.zeros(1)).item()
    -0.918...
    """
    if log_variance is None:
        return -0.5 * ((z - mean) ** 2 + LOG_TWO_PI)
    return -0.5 * ((z - mean) ** 2 * (-log_variance).exp() + log_variance + LOG_TWO_PI)


def kl_to_standard_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return KL(N(mean, exp(log_variance)) || N(0, 1)) of each coordinate, in nats.

    Examples
    --------
    >>> import torch
    >>> kl_to_standard_normal(torch.tensor([0.0, 2.0]), torch.zeros(2))
    tensor([0., 2.])
    """
    return 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance)
