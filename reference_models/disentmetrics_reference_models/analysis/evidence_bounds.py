"""Bounds of a generative model's log-likelihood on given images, by importance weights of particles."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from disentmetrics.errors import InvalidInputError
from disentmetrics_reference_models.nn.gaussians import log_density, reparameterise
from disentmetrics_reference_models.nn.likelihoods import reconstruction_loss
from disentmetrics_reference_models.training.run import Run

N_PARTICLES = 5000
_ROWS_AT_ONCE = 4096


def standard_normal(z: Tensor) -> Tensor:
    """Return the log-density (n,) of N(0, I) at codes (n, n_codes)."""
    return log_density(z).sum(1)


@dataclass(frozen=True)
class LatentVariableModel:
    """What bounds need of a model.

    Attributes
    ----------
    encode : callable
        From images (n, ...) to means and log-variances of the codes' posteriors, (n, n_codes) each.
    log_likelihood : callable
        From codes (n, n_codes) and images (n, ...) to log p(x | z), (n,), in nats.
    log_prior : callable
        From codes to log p(z), (n,).
    """

    encode: Callable[[Tensor], tuple[Tensor, Tensor]]
    log_likelihood: Callable[[Tensor, Tensor], Tensor]
    log_prior: Callable[[Tensor], Tensor] = standard_normal


def latent_variable_model(run: Run) -> LatentVariableModel:
    """Return a trained model as one whose likelihood is bounded.

    Parameters
    ----------
    run : Run
        With any likelihood, and the prior of its method. The Bernoulli "likelihood" of grey values is no density: only
        differences mean something.
    """
    prior = run.prior
    return LatentVariableModel(
        encode=run.model.encoder,
        log_likelihood=lambda z, images: -reconstruction_loss(run.model.decoder(z), images, run.config.likelihood),
        log_prior=lambda z: prior.log_density(z).sum(1),
    )


class EvidenceBounds(NamedTuple):
    """What particles say of each image, (n,) float64 each, in nats; average over the data set.

    Attributes
    ----------
    importance_weighted : Tensor
        ``log (1/K) sum_k p(x | z_k) p(z_k) / q(z_k | x)``, a stochastic lower bound of log p(x).
    elbo : Tensor
        The evidence lower bound, ``(1/K) sum_k log p(x | z_k) p(z_k) / q(z_k | x)``.
    log_likelihood : Tensor
        Its part of reconstruction, ``(1/K) sum_k log p(x | z_k)``.
    """

    importance_weighted: Tensor
    elbo: Tensor
    log_likelihood: Tensor


def evidence_bounds(
    model: LatentVariableModel,
    images: Tensor,
    *,
    n_particles: int = N_PARTICLES,
    seed: int = 0,
    rows_at_once: int = _ROWS_AT_ONCE,
) -> EvidenceBounds:
    """Bound log p(x) of each image from below: the more particles, the tighter.

    Parameters
    ----------
    model : LatentVariableModel
    images : (n, ...)
        On the device of the model.
    n_particles : int
        K, codes sampled from the posterior of each image: 5000 in Kim & Mnih (2018), 1000 in Mathieu et al. (2019).
        With one, the importance-weighted bound is the evidence lower bound.
    seed : int
        Decides the particles; how the work is cut into pieces does not.
    rows_at_once : int
        Codes decoded in one go, of many images or of one; bounds the memory.

    Returns
    -------
    EvidenceBounds
        Weights are summed in double precision, as logarithms.

    Raises
    ------
    InvalidInputError
        If ``n_particles`` or ``rows_at_once`` is below 1, or there is no image.

    References
    ----------
    Burda, Grosse & Salakhutdinov (2016), *Importance Weighted Autoencoders*, ICLR, equation 8.

    Examples
    --------
    A model whose codes say nothing of a standard normal image is bounded exactly.

    >>> encode = lambda images: (torch.zeros(len(images), 2), torch.zeros(len(images), 2))
    >>> model = LatentVariableModel(encode, lambda z, images: log_density(images).sum(1))
    >>> evidence_bounds(model, torch.zeros(1, 3), n_particles=10).importance_weighted
    tensor([-2.7568], dtype=torch.float64)
    """
    for name, number in (("n_particles", n_particles), ("rows_at_once", rows_at_once), ("images", len(images))):
        if number < 1:
            raise InvalidInputError(f"{name} must be at least 1; got {number}")
    generator = torch.Generator().manual_seed(seed)
    with torch.inference_mode():
        found = [
            _of_some_images(model, some, n_particles, generator, rows_at_once)
            for some in images.split(max(1, rows_at_once // n_particles))
        ]
    return EvidenceBounds(*(torch.cat(parts) for parts in zip(*found, strict=True)))


def _of_some_images(
    model: LatentVariableModel, images: Tensor, n_particles: int, generator: torch.Generator, rows_at_once: int
) -> EvidenceBounds:
    mean, log_variance = (part[:, None] for part in model.encode(images))
    # Drawn image by image: one draw for many would depend on how many are bounded at once.
    noise = torch.stack([torch.randn(n_particles, mean.shape[-1], generator=generator) for _ in images])
    of_weights = mean.new_full((len(images),), -torch.inf, dtype=torch.float64)
    elbo, reconstruction = torch.zeros_like(of_weights), torch.zeros_like(of_weights)
    for epsilon in noise.to(mean).split(max(1, rows_at_once // len(images)), dim=1):
        z = reparameterise(mean, log_variance, epsilon)
        log_q = log_density(z, mean, log_variance).sum(2)
        rows = z.flatten(0, 1)
        log_likelihood = model.log_likelihood(rows, images.repeat_interleave(z.shape[1], 0)).view_as(log_q).double()
        log_weight = log_likelihood + (model.log_prior(rows).view_as(log_q) - log_q).double()
        of_weights = torch.logaddexp(of_weights, log_weight.logsumexp(1))
        elbo += log_weight.sum(1) / n_particles
        reconstruction += log_likelihood.sum(1) / n_particles
    return EvidenceBounds(of_weights - math.log(n_particles), elbo, reconstruction)
