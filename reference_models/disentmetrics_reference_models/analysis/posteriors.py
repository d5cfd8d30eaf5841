"""Posteriors of a trained model over observations of a data set, and what they cost under the model's own prior."""

import numpy as np
import torch
from numpy.typing import NDArray

from disentmetrics.datasets.base import DataSet, Draws
from disentmetrics.encoders.protocol import Posterior
from disentmetrics.errors import InvalidInputError
from disentmetrics_reference_models.nn.gaussians import reparameterise
from disentmetrics_reference_models.training.run import Run

_AT_ONCE = 256  # images encoded in one go
_SAMPLES = 8  # of each posterior, where the KL has no closed form


def some_draws(data: DataSet, n: int, rng: np.random.Generator) -> Draws:
    """Return n random observations, or all if there are fewer, in random order."""
    try:
        return data.sample(n, rng)[rng.permutation(n)]
    except InvalidInputError:  # there are fewer
        whole = data.full_grid()
        return whole[rng.permutation(len(whole))]


def posteriors_of(run: Run, data: DataSet, draws: Draws) -> Posterior:
    """Encode observations in pieces."""
    parts = []
    for start in range(0, len(draws), _AT_ONCE):
        some = draws[start : start + _AT_ONCE]
        parts.append(run(data.observations(some.factors, some.nuisance)))
    mean = np.concatenate([part.mean for part in parts])
    return Posterior(mean, np.concatenate([part.log_variance for part in parts]))


def kl_of_codes(run: Run, posteriors: Posterior, *, seed: int = 0) -> NDArray[np.float64]:
    """Return the mean KL of each code's posterior from the prior of the model's method, (n_codes,), in nats.

    Parameters
    ----------
    run : Run
        Its prior is N(0, I) unless its method has one of its own, with whatever was learned of it.
    posteriors : Posterior
        Of (n_rows, n_codes).
    seed : int
        Decides 8 samples of each posterior, which stand for it where there is no closed form: all priors but Gaussians.

    Returns
    -------
    (n_codes,) float
        They sum to the KL of whole rows. Where the prior's codes are dependent, each has its share and alone is no
        divergence.
    """
    mean = torch.from_numpy(np.asarray(posteriors.mean, np.float64))
    log_variance = torch.from_numpy(np.asarray(posteriors.log_variance, np.float64))
    generator = torch.Generator().manual_seed(seed)
    prior = run.prior
    total = torch.zeros(mean.shape[1], dtype=torch.float64)
    with torch.inference_mode():
        for _ in range(_SAMPLES):
            epsilon = torch.randn(mean.shape, generator=generator, dtype=torch.float64)
            total += prior.kl(mean, log_variance, reparameterise(mean, log_variance, epsilon)).mean(0)
    return np.asarray((total / _SAMPLES).numpy())
