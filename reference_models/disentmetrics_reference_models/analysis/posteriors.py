"""Posteriors of a trained model on a data set, and their KL divergence from the prior of the model."""

import numpy as np
import torch
from numpy.typing import NDArray

from disentmetrics.datasets.base import DataSet, Draws
from disentmetrics.encoders.protocol import Posterior
from disentmetrics.errors import InvalidInputError
from disentmetrics_reference_models.nn.gaussians import reparameterise
from disentmetrics_reference_models.training.run import Run

_BATCH_SIZE = 256
_N_SAMPLES = 8  # of each posterior, where the KL has no closed form


def random_draws(data: DataSet, n: int, rng: np.random.Generator) -> Draws:
    """Return n random observations, or all if there are fewer, in random order."""
    try:
        return data.sample(n, rng)[rng.permutation(n)]
    except InvalidInputError:  # fewer than n distinct observations
        full_grid = data.full_grid()
        return full_grid[rng.permutation(len(full_grid))]


def encode_draws(run: Run, data: DataSet, draws: Draws) -> Posterior:
    """Return the posteriors of the drawn observations, encoded in batches."""
    parts = []
    for start in range(0, len(draws), _BATCH_SIZE):
        batch = draws[start : start + _BATCH_SIZE]
        parts.append(run(data.observations(batch.factors, batch.nuisance)))
    return Posterior.concatenated(parts)


def kl_per_latent(run: Run, posteriors: Posterior, *, seed: int = 0) -> NDArray[np.float64]:
    """Return the mean KL of the posterior of each latent from the prior of the model, (n_codes,), in nats.

    Parameters
    ----------
    run : Run
        The prior is that of its method, with its learned parameters.
    posteriors : Posterior
        Posteriors of n_rows observations.
    seed : int
        Random seed of the 8 samples per posterior from which the KL is estimated if it has no closed form, that is for
        all priors except Gaussians.

    Returns
    -------
    (n_codes,) float
        The values sum to the KL of the joint posterior. If the latents are dependent under the prior, each value is a
        share of this sum and not a divergence.
    """
    mean = torch.from_numpy(np.asarray(posteriors.mean, np.float64))
    log_variance = torch.from_numpy(np.asarray(posteriors.log_variance, np.float64))
    generator = torch.Generator().manual_seed(seed)
    prior = run.prior
    total = torch.zeros(mean.shape[1], dtype=torch.float64)
    with torch.inference_mode():
        for _ in range(_N_SAMPLES):
            epsilon = torch.randn(mean.shape, generator=generator, dtype=torch.float64)
            total += prior.kl(mean, log_variance, reparameterise(mean, log_variance, epsilon)).mean(0)
    return np.asarray((total / _N_SAMPLES).numpy())
