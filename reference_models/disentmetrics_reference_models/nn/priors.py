"""Priors of the latents: log-densities, samples and KL divergences, in nats.

The parameters of a prior are tensors, so that it is differentiable in weights and learned parameters. Log-densities
are returned per latent and sum to the log-density of a row. For independent latents each term is the log-density of
that latent; for dependent ones it is a share (see :meth:`Prior.log_density`).
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from disentmetrics_reference_models.nn import gaussians

SPIKE_DEVIATION = 0.05
ARM_VARIANCE = 0.03
ARM_CENTRES = ((0.0, 1.0), (0.0, -1.0), (1.0, 0.0), (-1.0, 0.0))
MIN_EXPONENT = 1.8
_MIN_COORDINATE = 1e-8  # |z|^p has no gradient at 0 where p < 1


_N_NODES = 64  # of the quadrature of a KL without closed form
_N_POINTS = 256  # for dependent latents


class Prior(ABC):
    """A prior distribution of the latents.

    Attributes
    ----------
    independent : bool
        Whether the latents are independent, so that each term of the log-density depends on one latent.
    """

    independent: ClassVar[bool] = False

    @abstractmethod
    def log_density(self, z: Tensor) -> Tensor:
        """Return terms (..., n_codes) that sum over the last axis to the log-density of each row.

        Where latents are dependent, constants are divided equally and the rest by the contribution of each latent.
        """

    def kl(self, mean: Tensor, log_variance: Tensor, z: Tensor) -> Tensor:
        """Return KL(N(mean, exp(log_variance)) || prior) of each latent, (..., n_codes).

        Exact where there is a closed form, and otherwise estimated from the single sample ``z``.
        """
        return gaussians.log_density(z, mean, log_variance) - self.log_density(z)

    @abstractmethod
    def draw(self, n: int, n_codes: int, generator: torch.Generator) -> Tensor:
        """Return n samples, (n, n_codes)."""


class SampledPrior(Prior):
    """A prior with a reparameterised sampler."""

    def draw(self, n: int, n_codes: int, generator: torch.Generator) -> Tensor:
        """Return n samples, (n, n_codes)."""
        device = generator.device
        normal = torch.randn(n, n_codes, generator=generator, device=device)
        return self.sample(normal, torch.rand(n, n_codes, generator=generator, device=device))

    @abstractmethod
    def sample(self, normal: Tensor, uniform: Tensor) -> Tensor:
        """Transform standard normal and uniform [0, 1) noise, (n, n_codes) each, to samples (n, n_codes)."""


@dataclass(frozen=True)
class Gaussian(SampledPrior):
    """Independent Gaussian latents; N(0, I) if mean and log-variance are 0.

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
        """Return the log-density of each latent."""
        return gaussians.log_density(z, self.mean, self.log_variance)

    def kl(self, mean: Tensor, log_variance: Tensor, z: Tensor) -> Tensor:  # noqa: ARG002 - the sample is not needed
        """Return the KL divergence in closed form."""
        distance = (mean - self.mean) ** 2 + log_variance.exp()
        return 0.5 * (distance * (-self.log_variance).exp() - 1 + self.log_variance - log_variance)

    def sample(self, normal: Tensor, uniform: Tensor) -> Tensor:  # noqa: ARG002 - normal noise is enough
        """Scale and shift the noise."""
        return gaussians.reparameterise(torch.as_tensor(self.mean, device=normal.device), self.log_variance, normal)


def is_standard_normal(prior: Prior) -> bool:
    """Return whether a prior is N(0, I).

    Examples
    --------
    >>> is_standard_normal(Gaussian(torch.zeros(2))), is_standard_normal(Gaussian(torch.ones(2)))
    (True, False)
    """
    return isinstance(prior, Gaussian) and not prior.log_variance.any() and not torch.as_tensor(prior.mean).any()


def kl_of_posteriors(prior: Prior, mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return the KL divergence of each posterior from a prior, (n, n_codes), in nats.

    Exact for Gaussians, by quadrature for other independent latents, and by the same 256 quasi-random points for all
    rows otherwise: an observation has the same divergence in every batch.

    Examples
    --------
    >>> kl_of_posteriors(Gaussian(torch.zeros(2)), torch.tensor([[0.0, 2.0]]), torch.zeros(1, 2))
    tensor([[0., 2.]])
    """
    if isinstance(prior, Gaussian):
        return prior.kl(mean, log_variance, mean)
    if prior.independent:
        nodes, weights = np.polynomial.hermite_e.hermegauss(_N_NODES)
        points = torch.from_numpy(nodes)[:, None].expand(-1, mean.shape[1])
        shares = torch.from_numpy(weights / weights.sum())
    else:
        sobol = torch.quasirandom.SobolEngine(mean.shape[1], scramble=True, seed=0)
        points = torch.special.ndtri(sobol.draw(_N_POINTS, dtype=torch.float64).clamp(1e-9, 1 - 1e-9))
        shares = torch.full((_N_POINTS,), 1 / _N_POINTS)
    total = torch.zeros_like(mean)
    for point, share in zip(points.to(mean), shares.to(mean), strict=True):
        total += share * prior.kl(mean, log_variance, gaussians.reparameterise(mean, log_variance, point))
    return total


@dataclass(frozen=True)
class StudentT(SampledPrior):
    """Independent Student-t latents of unit scale (not unit variance).

    Attributes
    ----------
    degrees : ()
        Degrees of freedom.
    """

    independent: ClassVar[bool] = True

    degrees: Tensor

    def log_density(self, z: Tensor) -> Tensor:
        """Return the log-density of each latent."""
        half = (self.degrees + 1) / 2
        constant = torch.lgamma(half) - torch.lgamma(self.degrees / 2) - 0.5 * (self.degrees * math.pi).log()
        return constant - half * (z**2 / self.degrees).log1p()

    def sample(self, normal: Tensor, uniform: Tensor) -> Tensor:
        """Return exact samples by the polar method of Bailey (1994), which needs no rejection."""
        radius = (self.degrees * torch.expm1(-2 / self.degrees * torch.log1p(-uniform))).sqrt()
        angle: Tensor = 2 * math.pi * torch.special.ndtr(normal)
        return radius * angle.cos()


@dataclass(frozen=True)
class SpikeAndSlab(SampledPrior):
    """Independent spike-and-slab latents, ``γ N(0, 0.05²) + (1 - γ) N(0, 1)``.

    Samples are not differentiable in γ.

    Attributes
    ----------
    spike : ()
        Probability γ of the spike, in [0, 1); 0 gives N(0, I).
    """

    independent: ClassVar[bool] = True

    spike: Tensor

    def log_density(self, z: Tensor) -> Tensor:
        """Return the log-density of each latent."""
        log_spike = gaussians.log_density(z / SPIKE_DEVIATION) - math.log(SPIKE_DEVIATION)
        return torch.logaddexp(torch.log1p(-self.spike) + gaussians.log_density(z), self.spike.log() + log_spike)

    def sample(self, normal: Tensor, uniform: Tensor) -> Tensor:
        """Scale a random fraction γ of the noise to the spike."""
        return torch.where(uniform < self.spike, SPIKE_DEVIATION * normal, normal)


def _constant(values: Sequence[float], like: Tensor) -> Tensor:
    # Filled on the device: a copy from the host would stop the recording of a CUDA graph.
    return torch.stack([like.new_full((), value) for value in values])


def _arm_centres(like: Tensor) -> Tensor:
    return torch.stack([_constant(centre, like) for centre in ARM_CENTRES])


class FourGaussians(SampledPrior):
    """Mixture of four Gaussians of variance 0.03 in the plane, centred on the axes at distance 1 from the origin."""

    def log_density(self, z: Tensor) -> Tensor:
        """Return the share of each latent: its log-densities, weighted by the responsibilities of the components.

        With responsibilities r_k, ``log p(z) = sum_k r_k (sum_j log N(z_j; m_kj) - log 4 - log r_k)``.
        """
        variance = torch.full_like(z[..., :1], math.log(ARM_VARIANCE))[..., None, :]
        log_components = gaussians.log_density(z[..., None, :], _arm_centres(z), variance)
        log_r = functional.log_softmax(log_components.sum(-1), dim=-1)
        entropy = -(log_r.exp() * log_r).sum(-1)
        shared = (entropy - math.log(len(ARM_CENTRES))) / len(ARM_CENTRES[0])
        return (log_r.exp()[..., None] * log_components).sum(-2) + shared[..., None]

    def sample(self, normal: Tensor, uniform: Tensor) -> Tensor:
        """Return samples of the component that the first column of the uniform noise selects."""
        chosen = (uniform[:, 0] * len(ARM_CENTRES)).long()
        return _arm_centres(normal)[chosen] + math.sqrt(ARM_VARIANCE) * normal


@dataclass(frozen=True)
class LpNested(Prior):
    """Independent subspaces; the latents within a subspace are dependent through their common radius.

    With ``v_k = (sum_{i in k} |z_i|^p_k)^(1 / p_k)`` the density is proportional to
    ``exp(-sum_k v_k^p_0 / s)``, which is Lp-nested with root exponent p_0. It factorises over subspaces and is
    computed as this product; the nested recursion of the authors gives the same numbers.
    With all exponents 2 and s = 2 it is N(0, I). Tails are heavier than Gaussian for exponents below 2 and
    lighter above 2.

    Attributes
    ----------
    sizes : tuple of int
        Number of latents in each subspace.
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
        """Return the share of each latent; ``v^p_0 / s`` of a subspace is divided in proportion to ``|z_i|^p_k``."""
        shares = []
        logs = z.abs().clamp(min=_MIN_COORDINATE).log().split(self.sizes, dim=-1)
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
        """Return the variance of each latent, (n_codes,)."""
        variances = self.scale ** (2 / self.root) * _variances_at_scale_one(self.sizes, self.exponents, self.root)
        return torch.cat([v.expand(n) for n, v in zip(self.sizes, variances.unbind(), strict=True)])

    def draw(self, n: int, n_codes: int, generator: torch.Generator) -> Tensor:  # noqa: ARG002 - the sizes sum to it
        """Return n exact samples, (n, n_codes)."""
        seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
        return self.sample(n, np.random.default_rng(seed))

    def sample(self, n: int, rng: np.random.Generator) -> Tensor:
        """Return n exact samples, (n, n_codes).

        A sample of a subspace is a radius whose p_0-th power follows Gamma(n_k / p_0, s), times a direction on the unit
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
    log_radius = torch.lgamma((n + 2) / root) - torch.lgamma(n / root)
    log_direction = torch.lgamma(n / exponents) - torch.lgamma((n + 2) / exponents)
    return (log_radius + log_direction + torch.lgamma(3 / exponents) - torch.lgamma(1 / exponents)).exp()


def unit_scale(sizes: Sequence[int], exponents: Tensor, root: Tensor) -> Tensor:
    """Return the scale s at which the mean variance of the latents of an Lp-nested prior is 1.

    Examples
    --------
    >>> unit_scale((4, 4), torch.tensor([2.2, 2.2]), torch.tensor(2.1))
    tensor(2.09...)
    """
    n = _constant(sizes, exponents)
    mean = (n * _variances_at_scale_one(sizes, exponents, root)).sum() / n.sum()
    return mean ** (-root / 2)


class VarianceSpectrum(nn.Module):
    """Log-variances of the latents whose variances ``scale * D * softmax(θ)`` have a fixed mean.

    Parameters
    ----------
    theta : sequence of float
        Initial values of θ, one per latent.
    learned : bool
        Whether θ is learned.
    """

    theta: Tensor

    def __init__(self, theta: Sequence[float], *, learned: bool) -> None:
        super().__init__()
        initial = torch.tensor(theta)
        if learned:
            self.theta = nn.Parameter(initial)
        else:
            self.register_buffer("theta", initial)

    def forward(self, scale: Tensor) -> Tensor:
        """Return the log-variances, (n_codes,)."""
        return scale.log() + math.log(len(self.theta)) + functional.log_softmax(self.theta, dim=0)


class LearnedExponents(nn.Module):
    """Learned exponents of subspaces, ``p_k = 1.8 + exp(η_k)``.

    Parameters
    ----------
    n_subspaces : int
    start : float
        Initial value of the exponents, above 1.8.
    relative_rate : float
        Learning rate of η relative to that of the networks. The size of Adam's steps does not depend on the size of the
        gradients, so η = η_start + relative_rate * parameter has this rate under the common optimiser.
    """

    start: Tensor

    def __init__(self, n_subspaces: int, start: float, relative_rate: float) -> None:
        super().__init__()
        self.relative_rate = relative_rate
        self.moved = nn.Parameter(torch.zeros(n_subspaces))
        # A buffer, because members of a stack may have different initial values.
        self.register_buffer("start", torch.tensor(math.log(start - MIN_EXPONENT)))

    def forward(self) -> Tensor:
        """Return the exponents, (n_subspaces,)."""
        return MIN_EXPONENT + (self.start + self.relative_rate * self.moved).exp()


class LearnedGaussian(nn.Module):
    """Gaussian prior with learned means and log-variances, initialised to 0.

    Parameters
    ----------
    n_codes : int
    """

    def __init__(self, n_codes: int) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(n_codes))
        self.log_variance = nn.Parameter(torch.zeros(n_codes))

    def forward(self) -> Gaussian:
        """Return the prior at the current parameters."""
        return Gaussian(self.log_variance, self.mean)
