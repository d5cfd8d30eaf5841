"""Priors of codes: log-densities, samples and divergences, in nats.

A prior holds tensors, so that weights and learned parameters flow through it. Densities are handed out code by
code: the parts of one row sum to its log-density. Where codes are dependent, each part is a share (see
:meth:`Prior.log_density`); for independent codes it is that code's own log-density.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from disentmetrics_reference_models.nn import gaussians

SPIKE_DEVIATION = 0.05
ARM_VARIANCE = 0.03
ARM_CENTRES = ((0.0, 1.0), (0.0, -1.0), (1.0, 0.0), (-1.0, 0.0))
LEAST_EXPONENT = 1.8
_LEAST_COORDINATE = 1e-8  # |z|^p has no gradient at 0 where p < 1


class Prior(ABC):
    """A distribution of codes."""

    @abstractmethod
    def log_density(self, z: Tensor) -> Tensor:
        """Return parts (..., n_codes) that sum over the last axis to the log-density of each row.

        Where codes are dependent, constants are shared equally and the rest by what each code brings.
        """

    def kl(self, mean: Tensor, log_variance: Tensor, z: Tensor) -> Tensor:
        """Return KL(N(mean, exp(log_variance)) || prior) by code, (..., n_codes).

        In closed form where there is one; by default estimated from the one sample ``z``.
        """
        return gaussians.log_density(z, mean, log_variance) - self.log_density(z)


class SampledPrior(Prior):
    """A prior whose samples are made of noise."""

    @abstractmethod
    def sample(self, normal: Tensor, uniform: Tensor) -> Tensor:
        """Turn standard normal and uniform [0, 1) noise, (n, n_codes) each, into samples (n, n_codes)."""


@dataclass(frozen=True)
class Gaussian(SampledPrior):
    """Independent Gaussians; N(0, I) if mean and log-variance are 0.

    Attributes
    ----------
    log_variance : (n_codes,)
    mean : (n_codes,) or 0

    Examples
    --------
    >>> prior = Gaussian(torch.zeros(2))
    >>> prior.kl(torch.tensor([[0.0, 2.0]]), torch.zeros(1, 2), torch.zeros(1, 2))
    tensor([[0., 2.]])
    """

    log_variance: Tensor
    mean: Tensor | float = 0.0

    def log_density(self, z: Tensor) -> Tensor:
        """Return the log-density of each code."""
        return gaussians.log_density(z, self.mean, self.log_variance)

    def kl(self, mean: Tensor, log_variance: Tensor, z: Tensor) -> Tensor:  # noqa: ARG002 - the sample is not needed
        """Return the divergence in closed form."""
        distance = (mean - self.mean) ** 2 + log_variance.exp()
        return 0.5 * (distance * (-self.log_variance).exp() - 1 + self.log_variance - log_variance)

    def sample(self, normal: Tensor, uniform: Tensor) -> Tensor:  # noqa: ARG002 - normal noise is enough
        """Scale and shift the noise."""
        return gaussians.reparameterise(torch.as_tensor(self.mean, device=normal.device), self.log_variance, normal)


@dataclass(frozen=True)
class StudentT(SampledPrior):
    """Independent Student-t variables of unit scale (not unit variance).

    Attributes
    ----------
    degrees : ()
        Degrees of freedom.
    """

    degrees: Tensor

    def log_density(self, z: Tensor) -> Tensor:
        """Return the log-density of each code."""
        half = (self.degrees + 1) / 2
        constant = torch.lgamma(half) - torch.lgamma(self.degrees / 2) - 0.5 * (self.degrees * math.pi).log()
        return constant - half * (z**2 / self.degrees).log1p()

    def sample(self, normal: Tensor, uniform: Tensor) -> Tensor:
        """Draw exactly, by the polar method of Bailey (1994), which needs no rejection."""
        radius = (self.degrees * torch.expm1(-2 / self.degrees * torch.log1p(-uniform))).sqrt()
        angle: Tensor = 2 * math.pi * torch.special.ndtr(normal)
        return radius * angle.cos()


@dataclass(frozen=True)
class SpikeAndSlab(SampledPrior):
    """Independent codes, each near 0 with some probability: ``γ N(0, 0.05²) + (1 - γ) N(0, 1)``.

    Samples carry no gradient to γ.

    Attributes
    ----------
    spike : ()
        The probability γ, in [0, 1); 0 is N(0, I).
    """

    spike: Tensor

    def log_density(self, z: Tensor) -> Tensor:
        """Return the log-density of each code."""
        of_spike = gaussians.log_density(z / SPIKE_DEVIATION) - math.log(SPIKE_DEVIATION)
        return torch.logaddexp(torch.log1p(-self.spike) + gaussians.log_density(z), self.spike.log() + of_spike)

    def sample(self, normal: Tensor, uniform: Tensor) -> Tensor:
        """Shrink a share γ of the noise."""
        return torch.where(uniform < self.spike, SPIKE_DEVIATION * normal, normal)


def _constant(values: Sequence[float], like: Tensor) -> Tensor:
    # Filled on the device: a copy from the host would stop the recording of a CUDA graph.
    return torch.stack([like.new_full((), value) for value in values])


def _arm_centres(like: Tensor) -> Tensor:
    return torch.stack([_constant(centre, like) for centre in ARM_CENTRES])


class FourGaussians(SampledPrior):
    """Two codes: a mixture of four Gaussians of variance 0.03, at distance 1 from 0 on the axes."""

    def log_density(self, z: Tensor) -> Tensor:
        """Return the share of each code: its own term, weighted by how likely each Gaussian is at ``z``.

        With r_k that probability, ``log p(z) = sum_k r_k (sum_j log N(z_j; m_kj) - log 4 - log r_k)``.
        """
        variance = torch.full_like(z[..., :1], math.log(ARM_VARIANCE))[..., None, :]
        of_each = gaussians.log_density(z[..., None, :], _arm_centres(z), variance)
        log_r = functional.log_softmax(of_each.sum(-1), dim=-1)
        entropy = -(log_r.exp() * log_r).sum(-1)
        common = (entropy - math.log(len(ARM_CENTRES))) / len(ARM_CENTRES[0])
        return (log_r.exp()[..., None] * of_each).sum(-2) + common[..., None]

    def sample(self, normal: Tensor, uniform: Tensor) -> Tensor:
        """Choose a Gaussian by the first column of the uniform noise."""
        chosen = (uniform[:, 0] * len(ARM_CENTRES)).long()
        return _arm_centres(normal)[chosen] + math.sqrt(ARM_VARIANCE) * normal


@dataclass(frozen=True)
class LpNested(Prior):
    """Independent subspaces: codes within one share a radius, codes of two are independent.

    With ``v_k = (sum_{i in k} |z_i|^p_k)^(1 / p_k)`` the density is proportional to
    ``exp(-sum_k v_k^p_0 / s)``, which is Lp-nested with root exponent p_0. It is written here as the
    product over subspaces that it is; the nested recursion of the authors gives the same numbers.
    All exponents 2 and s = 2 make it N(0, I). Exponents below 2 have heavier tails than the Gaussian,
    above 2 lighter ones.

    Attributes
    ----------
    sizes : tuple of int
        Codes of each subspace.
    exponents : (n_subspaces,)
        p_k.
    root, scale : ()
        p_0 and s.

    References
    ----------
    Stühmer, Turner, Nowozin (2020), *Independent Subspace Analysis for Unsupervised Learning of
    Disentangled Representations*, AISTATS; Sinz & Bethge (2010) for the family and its sampler.

    Examples
    --------
    >>> prior = LpNested((2, 1), torch.tensor([2.0, 2.0]), torch.tensor(2.0), torch.tensor(2.0))
    >>> z = torch.tensor([[0.3, -1.0, 2.0]])
    >>> torch.allclose(prior.log_density(z), gaussians.log_density(z))
    True
    """

    sizes: tuple[int, ...]
    exponents: Tensor
    root: Tensor
    scale: Tensor

    def log_density(self, z: Tensor) -> Tensor:
        """Return the share of each code; ``v^p_0 / s`` of a subspace is shared in proportion to ``|z_i|^p_k``."""
        shares = []
        logs = z.abs().clamp(min=_LEAST_COORDINATE).log().split(self.sizes, dim=-1)
        for p, part in zip(self.exponents.unbind(), logs, strict=True):
            energy = (self.root * torch.logsumexp(p * part, dim=-1, keepdim=True) / p).exp() / self.scale
            constant = self._log_normaliser(part.shape[-1], p) / part.shape[-1]
            shares.append(constant - energy * torch.softmax(p * part, dim=-1))
        return torch.cat(shares, dim=-1)

    def _log_normaliser(self, n: int, p: Tensor) -> Tensor:
        log_surface = n * math.log(2) + n * torch.lgamma(1 / p) - (n - 1) * p.log() - torch.lgamma(n / p)
        radial = self.root.log() - torch.lgamma(n / self.root) - n / self.root * self.scale.log()
        return radial - log_surface

    def variance(self) -> Tensor:
        """Return the variance of each code, (n_codes,)."""
        of_subspaces = self.scale ** (2 / self.root) * _variances_at_scale_one(self.sizes, self.exponents, self.root)
        return torch.cat([v.expand(n) for n, v in zip(self.sizes, of_subspaces.unbind(), strict=True)])

    def sample(self, n: int, rng: np.random.Generator) -> Tensor:
        """Draw n rows exactly, (n, n_codes).

        Each subspace: a radius whose p_0-th power is Gamma(n_k / p_0, s), times a direction on the unit
        Lp sphere, ``±(w / sum w)^(1 / p_k)`` with w ~ Gamma(1 / p_k, 1).
        """
        root, scale = float(self.root.detach()), float(self.scale.detach())
        parts = []
        for size, p in zip(self.sizes, self.exponents.detach().tolist(), strict=True):
            radius = rng.gamma(size / root, scale, (n, 1)) ** (1 / root)
            w = rng.gamma(1 / p, 1.0, (n, size))
            signs = rng.integers(0, 2, (n, size)) * 2 - 1
            parts.append(signs * radius * (w / w.sum(1, keepdims=True)) ** (1 / p))
        return torch.as_tensor(np.concatenate(parts, 1)).to(self.exponents)


def _variances_at_scale_one(sizes: Sequence[int], exponents: Tensor, root: Tensor) -> Tensor:
    n = _constant(sizes, exponents)
    of_radius = torch.lgamma((n + 2) / root) - torch.lgamma(n / root)
    of_direction = torch.lgamma(n / exponents) - torch.lgamma((n + 2) / exponents)
    return (of_radius + of_direction + torch.lgamma(3 / exponents) - torch.lgamma(1 / exponents)).exp()


def unit_scale(sizes: Sequence[int], exponents: Tensor, root: Tensor) -> Tensor:
    """Return the scale s at which the mean variance of the codes of an Lp-nested prior is 1.

    Examples
    --------
    >>> unit_scale((4, 4), torch.tensor([2.2, 2.2]), torch.tensor(2.1))
    tensor(2.09...)
    """
    n = _constant(sizes, exponents)
    mean = (n * _variances_at_scale_one(sizes, exponents, root)).sum() / n.sum()
    return mean ** (-root / 2)


class Spread(nn.Module):
    """Log-variances whose variances have a fixed mean: ``scale * D * softmax(θ)``.

    Parameters
    ----------
    theta : sequence of float
        Where θ starts, one a code.
    learned : bool
        Whether θ is a parameter.
    """

    theta: Tensor

    def __init__(self, theta: Sequence[float], *, learned: bool) -> None:
        super().__init__()
        start = torch.tensor(theta)
        if learned:
            self.theta = nn.Parameter(start)
        else:
            self.register_buffer("theta", start)

    def forward(self, scale: Tensor) -> Tensor:
        """Return the log-variances, (n_codes,)."""
        return scale.log() + math.log(len(self.theta)) + functional.log_softmax(self.theta, dim=0)


class LearnedExponents(nn.Module):
    """Exponents of subspaces above 1.8: ``p_k = 1.8 + exp(η_k)``.

    Parameters
    ----------
    n_subspaces : int
    start : float
        Where the exponents start, above 1.8.
    speed : float
        Their learning rate over that of the networks. Adam's steps do not depend on the size of
        gradients, so η = η_start + speed * parameter learns at a rate of its own under the one optimiser.
    """

    start: Tensor

    def __init__(self, n_subspaces: int, start: float, speed: float) -> None:
        super().__init__()
        self.speed = speed
        self.moved = nn.Parameter(torch.zeros(n_subspaces))
        # A buffer, as members of a stack may start elsewhere.
        self.register_buffer("start", torch.tensor(math.log(start - LEAST_EXPONENT)))

    def forward(self) -> Tensor:
        """Return the exponents, (n_subspaces,)."""
        return LEAST_EXPONENT + (self.start + self.speed * self.moved).exp()


class LearnedGaussian(nn.Module):
    """Mean and log-variance of a Gaussian prior of each code, both from 0.

    Parameters
    ----------
    n_codes : int
    """

    def __init__(self, n_codes: int) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(n_codes))
        self.log_variance = nn.Parameter(torch.zeros(n_codes))

    def forward(self) -> Gaussian:
        """Return the prior."""
        return Gaussian(self.log_variance, self.mean)
