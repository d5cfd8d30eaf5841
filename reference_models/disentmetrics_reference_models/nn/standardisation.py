"""Standardisation of vectors, whose features have different units, by the mean and deviation of the training data."""

import torch
from torch import Tensor, nn


class Standardisation(nn.Module):
    """Maps each feature of vectors to mean 0 and variance 1 over the training data, and back.

    Parameters
    ----------
    n_features : int

    Examples
    --------
    >>> scaling = Standardisation(2)
    >>> scaling.deviation.fill_(4.0)
    tensor([4., 4.])
    >>> scaling(torch.tensor([[8.0, 2.0]])), scaling.inverse(torch.tensor([[2.0, 0.5]]))
    (tensor([[2.0000, 0.5000]]), tensor([[8., 2.]]))
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("deviation", torch.ones(n_features))

    def forward(self, observations: Tensor) -> Tensor:
        """Return standardised observations (n, n_features)."""
        return (observations - self.mean) / self.deviation

    def inverse(self, standardised: Tensor) -> Tensor:
        """Return observations in their units."""
        return standardised * self.deviation + self.mean
