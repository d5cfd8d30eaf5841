"""Lower bounds of the log-likelihood of images under a trained model: ELBO and importance-weighted bound."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from disentmetrics.errors import InvalidInputError
from disentmetrics_reference_models.nn.gaussians import log_density, reparameterise
from disentmetrics_reference_models.nn.likelihoods import reconstruction_loss
from disentmetrics_reference_models.training.run import Run

N_PARTICLES = 5000
CODES_AT_ONCE = 4096


def standard_normal(z: Tensor) -> Tensor:
    """Return the log-density (n,) of N(0, I) at codes (n, n_codes)."""
    return log_density(z).sum(1)


@dataclass(frozen=True)
class LatentVariableModel:
    """Posterior, likelihood and prior of a latent-variable model.

    Attributes
    ----------
    encode : callable
        Maps images (n, ...) to means and log-variances of the posterior, (n, n_codes) each.
    log_likelihood : callable
        Maps codes (n, n_codes) and images (n, ...) to log p(x | z), (n,), in nats.
    log_prior : callable
        Maps codes to log p(z), (n,).
    """

    encode: Callable[[Tensor], tuple[Tensor, Tensor]]
    log_likelihood: Callable[[Tensor, Tensor], Tensor]
    log_prior: Callable[[Tensor], Tensor] = standard_normal


def latent_variable_model(run: Run) -> LatentVariableModel:
    """Return posterior, likelihood and prior of a trained model.

    Parameters
    ----------
    run : Run
        The prior is that of its method. The Bernoulli "likelihood" of grey values is not a normalised density: only
        differences are meaningful.
    """
    prior = run.prior
    return LatentVariableModel(
        encode=lambda images: _posterior(run, images),
        log_likelihood=lambda z, images: -reconstruction_loss(run.model.decoder(z), images, run.config.likelihood),
        log_prior=lambda z: prior.log_density(z).sum(1),
    )


def _posterior(run: Run, images: Tensor) -> tuple[Tensor, Tensor]:
    codes = run.method.represent(run.model, images, run.config)
    if isinstance(codes, Tensor):
        raise InvalidInputError(f"likelihood bounds need posteriors; {run.method.name} has codes only")
    return codes


class EvidenceBounds(NamedTuple):
    """Monte Carlo estimates for each image, (n,) float64 each, in nats.

    Attributes
    ----------
    importance_weighted : Tensor
        Importance-weighted bound ``log (1/K) sum_k p(x | z_k) p(z_k) / q(z_k | x)``, a stochastic lower bound of
        log p(x).
    elbo : Tensor
        Evidence lower bound ``(1/K) sum_k log p(x | z_k) p(z_k) / q(z_k | x)``.
    log_likelihood : Tensor
        Reconstruction term of the ELBO, ``(1/K) sum_k log p(x | z_k)``.
    """

    importance_weighted: Tensor
    elbo: Tensor
    log_likelihood: Tensor


def evidence_bounds(
    model: LatentVariableModel,
    images: Tensor | Iterable[Tensor],
    *,
    n_particles: int = N_PARTICLES,
    seed: int = 0,
    rows_at_once: int = CODES_AT_ONCE,
) -> EvidenceBounds:
    """Compute lower bounds of log p(x) of each image, which become tighter with more particles.

    Parameters
    ----------
    model : LatentVariableModel
    images : (n, ...), or an iterable of such
        Images on the device of the model; parts of a large data set one after the other give the same numbers.
    n_particles : int
        Number K of samples from the posterior of each image: 5000 in Kim & Mnih (2018), 1000 in Mathieu et al. (2019).
        For K = 1 the importance-weighted bound is the evidence lower bound.
    seed : int
        Random seed of the particles, which do not depend on ``rows_at_once``.
    rows_at_once : int
        Number of codes decoded at once, which limits the memory.

    Returns
    -------
    EvidenceBounds
        Importance weights are summed in double precision and log space.

    Raises
    ------
    InvalidInputError
        If ``n_particles`` or ``rows_at_once`` is below 1, or there are no images.

    References
    ----------
    Burda, Grosse & Salakhutdinov (2016), *Importance Weighted Autoencoders*, ICLR, equation 8.

    Examples
    --------
    The bound is exact for a model whose codes carry no information about the image.

    >>> encode = lambda images: (torch.zeros(len(images), 2), torch.zeros(len(images), 2))
    >>> model = LatentVariableModel(encode, lambda z, images: log_density(images).sum(1))
    >>> evidence_bounds(model, torch.zeros(1, 3), n_particles=10).importance_weighted
    tensor([-2.7568], dtype=torch.float64)
    """
    for name, number in (("n_particles", n_particles), ("rows_at_once", rows_at_once)):
        if number < 1:
            raise InvalidInputError(f"{name} must be at least 1; got {number}")
    generator = torch.Generator().manual_seed(seed)
    with torch.inference_mode():
        chunks = [
            _chunk_bounds(model, chunk, n_particles, generator, rows_at_once)
            for part in ([images] if isinstance(images, Tensor) else images)
            for chunk in part.split(max(1, rows_at_once // n_particles))
            if len(chunk)
        ]
    if not chunks:
        raise InvalidInputError("images must be at least 1; got 0")
    return EvidenceBounds(*(torch.cat(parts).cpu() for parts in zip(*chunks, strict=True)))


def _chunk_bounds(
    model: LatentVariableModel, images: Tensor, n_particles: int, generator: torch.Generator, rows_at_once: int
) -> EvidenceBounds:
    mean, log_variance = (part[:, None] for part in model.encode(images))
    # Noise is drawn per image, so that it does not depend on the number of images in a chunk.
    noise = torch.stack([torch.randn(n_particles, mean.shape[-1], generator=generator) for _ in images])
    log_sum_weights = mean.new_full((len(images),), -torch.inf, dtype=torch.float64)
    elbo, reconstruction = torch.zeros_like(log_sum_weights), torch.zeros_like(log_sum_weights)
    for epsilon in noise.to(mean).split(max(1, rows_at_once // len(images)), dim=1):
        z = reparameterise(mean, log_variance, epsilon)
        log_q = log_density(z, mean, log_variance).sum(2)
        rows = z.flatten(0, 1)
        log_likelihood = model.log_likelihood(rows, images.repeat_interleave(z.shape[1], 0)).view_as(log_q).double()
        log_weight = log_likelihood + (model.log_prior(rows).view_as(log_q) - log_q).double()
        log_sum_weights = torch.logaddexp(log_sum_weights, log_weight.logsumexp(1))
        elbo += log_weight.sum(1) / n_particles
        reconstruction += log_likelihood.sum(1) / n_particles
    return EvidenceBounds(log_sum_weights - math.log(n_particles), elbo, reconstruction)
