"""Negative log-likelihood of images given the output of a decoder, summed over pixels, in nats.

All published weights (β, γ, λ, C) assume sums over pixels: with a mean over 64 x 64 pixels, β = 4 would act as
β = 16,384.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

_GAUSSIAN_VARIANCE = 0.1
_LAPLACE_SCALE = 0.1


def _bernoulli(output: Tensor, images: Tensor) -> Tensor:
    return functional.binary_cross_entropy_with_logits(output, images, reduction="none")


def _gaussian(output: Tensor, images: Tensor) -> Tensor:
    constant = 0.5 * math.log(2 * math.pi * _GAUSSIAN_VARIANCE)
    return (images - output.sigmoid()) ** 2 / (2 * _GAUSSIAN_VARIANCE) + constant


def _laplace(output: Tensor, images: Tensor) -> Tensor:
    return (images - output.sigmoid()).abs() / _LAPLACE_SCALE + math.log(2 * _LAPLACE_SCALE)


LIKELIHOODS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "bernoulli": _bernoulli,
    "gaussian": _gaussian,
    "laplace": _laplace,
}
"""Bernoulli with logits; Gaussian (variance 0.1) and Laplace (scale 0.1) around the sigmoid of the output."""


def reconstruction_loss(output: Tensor, images: Tensor, likelihood: str = "bernoulli") -> Tensor:
    """Return the negative log-likelihood of each image, in nats.

    Parameters
    ----------
    output : (batch, channels, height, width)
        Output of the decoder, before the sigmoid.
    images : (batch, channels, height, width)
        In [0, 1]. For grey values in between, the Bernoulli "likelihood" is not a normalised density, and its
        minimum is the entropy of the image: only differences are meaningful.
    likelihood : {"bernoulli", "gaussian", "laplace"}

    Returns
    -------
    (batch,)

    Examples
    --------
    >>> reconstruction_loss(torch.zeros(1, 1, 64, 64), torch.ones(1, 1, 64, 64)) / (64 * 64)
    tensor([0.6931])
    """
    return LIKELIHOODS[likelihood](output, images).flatten(1).sum(1)


def mean_image(output: Tensor, likelihood: str = "bernoulli") -> Tensor:
    """Return the mean image in [0, 1] for the output of a decoder; the same for all likelihoods."""
    if likelihood not in LIKELIHOODS:
        raise KeyError(likelihood)
    return torch.sigmoid(output)
