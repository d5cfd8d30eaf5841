"""Posteriors of a trained model on a data set."""

import numpy as np
from numpy.typing import NDArray

from disentmetrics.datasets.base import DataSet, Draws
from disentmetrics.encoders.protocol import Posterior
from disentmetrics.errors import InvalidInputError
from disentmetrics.estimators.activity import mean_kl
from disentmetrics_reference_models.training.run import Run

_BATCH_SIZE = 256


def random_draws(data: DataSet, n: int, rng: np.random.Generator) -> Draws:
    """Return n random observations, or all if there are fewer, in random order."""
    try:
        return data.sample(n, rng)[rng.permutation(n)]
    except InvalidInputError:  # fewer than n distinct observations
        full_grid = data.full_grid()
        return full_grid[rng.permutation(len(full_grid))]


def encode_draws(run: Run, data: DataSet, draws: Draws) -> Posterior:
    """Return the posteriors of the drawn observations, encoded in batches.

    Raises
    ------
    InvalidInputError
        If the method has no posteriors, only codes.
    """
    batches = (draws[start : start + _BATCH_SIZE] for start in range(0, len(draws), _BATCH_SIZE))
    parts = [run.posterior(data.observations(batch.factors, batch.nuisance)) for batch in batches]
    return Posterior.concatenated(parts)


def encode_means(run: Run, data: DataSet, draws: Draws) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Return the codes of the drawn observations (n, n_codes), and the mean KL of each latent of posteriors."""
    batches = (draws[start : start + _BATCH_SIZE] for start in range(0, len(draws), _BATCH_SIZE))
    parts = [run(data.observations(batch.factors, batch.nuisance)) for batch in batches]
    posteriors = [part for part in parts if isinstance(part, Posterior)]
    if not posteriors:
        return np.concatenate([np.asarray(part, np.float64) for part in parts]), None
    joined = Posterior.concatenated(posteriors)
    return np.asarray(joined.mean, np.float64), kl_per_latent(joined)


def kl_per_latent(posteriors: Posterior) -> NDArray[np.float64]:
    """Return the mean KL of the posterior of each latent from the prior of the model, (n_codes,), in nats.

    The values sum to the KL of the joint posterior. If the latents are dependent under the prior, each value is a
    share of this sum and not a divergence.
    """
    if posteriors.kl is None:
        return mean_kl(posteriors.mean, posteriors.log_variance)
    return np.asarray(posteriors.kl.mean(axis=0, dtype=np.float64))
