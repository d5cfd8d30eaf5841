"""Negative log-likelihood of images or vectors given the output of a decoder, summed over pixels, in nats.

All published weights (β, γ, λ, C) assume sums over pixels: with a mean over 64 x 64 pixels, β = 4 would act as
β = 16,384.
"""

import math
from collections.abc import Callable

from torch import Tensor
from torch.nn import functional

_GAUSSIAN_VARIANCE = 0.1
_LAPLACE_SCALE = 0.1


def _bernoulli(output: Tensor, observations: Tensor) -> Tensor:
    return functional.binary_cross_entropy_with_logits(output, observations, reduction="none")


def _gaussian(output: Tensor, observations: Tensor) -> Tensor:
    constant = 0.5 * math.log(2 * math.pi * _GAUSSIAN_VARIANCE)
    return (observations - mean_observation(output)) ** 2 / (2 * _GAUSSIAN_VARIANCE) + constant


def _laplace(output: Tensor, observations: Tensor) -> Tensor:
    return (observations - mean_observation(output)).abs() / _LAPLACE_SCALE + math.log(2 * _LAPLACE_SCALE)


LIKELIHOODS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "bernoulli": _bernoulli,
    "gaussian": _gaussian,
    "laplace": _laplace,
}
"""Bernoulli with logits; Gaussian (variance 0.1) and Laplace (scale 0.1) around the mean."""


def reconstruction_loss(output: Tensor, observations: Tensor, likelihood: str = "bernoulli") -> Tensor:
    """Return the negative log-likelihood of each observation, in nats.

    Parameters
    ----------
    output : (batch, channels, height, width) or (batch, n_features)
        Output of the decoder, before the sigmoid of images.
    observations : same shape
        Images in [0, 1], or vectors. For grey values in between, the Bernoulli "likelihood" is not a normalised
        density, and its minimum is the entropy of the image: only differences are meaningful.
    likelihood : {"bernoulli", "gaussian", "laplace"}

    Returns
    -------
    (batch,)

    Examples
    --------
    >>> import torch
    >>> reconstruction_loss(torch.zeros(1, 1, 64, 64), torch.ones(1, 1, 64, 64)) / (64 * 64)
    tensor([0.6931])
    """
    return LIKELIHOODS[likelihood](output, observations).flatten(1).sum(1)


def mean_observation(output: Tensor) -> Tensor:
    """Return the mean observation for the output of a decoder, with any likelihood.

    Images (batch, channels, height, width) are in [0, 1]: the sigmoid of the output. The output of vectors (batch,
    n_features) is their mean.
    """
    return output if output.ndim == 2 else output.sigmoid()
