"""Information that codes sampled from posteriors carry about their rows, with and without each latent."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.random import generator
from disentmetrics._utils.typing import Floats, Seed
from disentmetrics.errors import UndefinedScoreError
from disentmetrics.representation import Representation
from disentmetrics.representation.resampling import sorted_subset

_CHUNK = 1 << 20  # log densities of one latent in memory at once; another number would change the order of sums
_FARTHEST = 1e4  # standard deviations beyond which a density is negligible
_NARROWEST = 1e-9  # relative to a latent's range


@dataclass(frozen=True)
class PosteriorInformation:
    """Mutual information in nats of sampled codes z ~ q(z | x) and the row x, not negative.

    Attributes
    ----------
    of_code : (n_codes,) float
        I(z_j; x).
    of_all : float
        I(z; x).
    of_others : (n_codes,) float
        I(z without z_j; x).
    with_others : (n_codes,) float
        I(z_j; z without z_j).
    n_rows : int
        Number of rows x; its logarithm bounds all of these from above.
    """

    of_code: Floats
    of_all: float
    of_others: Floats
    with_others: Floats
    n_rows: int

    @property
    def weights(self) -> Floats:
        """Share of each latent in the sum of I(z_j; x); 0 where all are 0."""
        total = self.of_code.sum()
        return np.asarray(self.of_code / total if total > 0 else np.zeros_like(self.of_code))


def posterior_information(
    representation: Representation, n_samples: int, n_rows: int, seed: Seed
) -> PosteriorInformation:
    """Estimate mutual information by Monte Carlo over the aggregate posterior.

    Parameters
    ----------
    representation : Representation
        With posterior variances.
    n_samples : int
        Number of sampled codes, each from the posterior of a different row while there are rows.
    n_rows : int
        Largest number of rows in the mixture; a random subset if there are more.
    seed : int or tuple of int

    Returns
    -------
    PosteriorInformation
        Means over samples of differences of log densities, in which the noise of the samples cancels; mixtures
        are over all rows of the subset.

    Raises
    ------
    UndefinedScoreError
        If a posterior is too narrow for double precision.
    """
    representation = representation.unresolved
    if representation.log_variance is None:
        raise UndefinedScoreError("posterior variances (log_variance) are needed")
    rng = generator(seed, "posterior information")
    subset = sorted_subset(np.arange(len(representation)), n_rows, rng)
    drawn = sample_posteriors(representation.codes[subset], representation.log_variance[subset], n_samples, rng)
    own = drawn.log_density
    marginal, joint, others = _log_mixtures(drawn)
    own_joint = own.sum(axis=1)
    return PosteriorInformation(
        of_code=np.maximum((own - marginal).mean(axis=0), 0.0),
        of_all=max(0.0, float((own_joint - joint).mean())),
        of_others=np.maximum((own_joint[:, None] - own - others).mean(axis=0), 0.0),
        with_others=np.maximum((joint[:, None] - marginal - others).mean(axis=0), 0.0),
        n_rows=len(subset),
    )


@dataclass(frozen=True)
class PosteriorSamples:
    """Codes sampled from posteriors; samples and posteriors are centred at the mean of the posterior means.

    Attributes
    ----------
    samples : (n_samples, n_codes) float
    log_density : (n_samples, n_codes) float
        log q(z_j | x) of each sample under its own posterior, without the constant -log(2 pi) / 2.
    mean, deviation : (n_rows, n_codes) float
        Means and standard deviations of all posteriors.
    centre : (n_codes,) float
        The mean that was subtracted.
    """

    samples: Floats
    log_density: Floats
    mean: Floats
    deviation: Floats
    centre: Floats


def sample_posteriors(
    codes: NDArray[np.floating], log_variance: NDArray[np.floating], n_samples: int, rng: np.random.Generator
) -> PosteriorSamples:
    """Sample codes, each from the posterior of a different row while there are rows.

    Parameters
    ----------
    codes, log_variance : (n_rows, n_codes) real
    n_samples : int
    rng : numpy Generator

    Raises
    ------
    UndefinedScoreError
        If a posterior is too narrow for double precision.
    """
    mean = np.asarray(codes, dtype=np.float64)
    with np.errstate(over="ignore", under="ignore"):
        deviation = np.exp(0.5 * np.asarray(log_variance, dtype=np.float64))
    centre = mean.mean(axis=0)
    mean = mean - centre
    span = np.abs(mean).max(axis=0)
    if not (np.isfinite(deviation).all() and (deviation > _NARROWEST * span).all() and (deviation > 0).all()):
        raise UndefinedScoreError(
            f"posterior standard deviations must be finite and above {_NARROWEST:g} of their latent's range; "
            "bound log_variance"
        )
    order = np.concatenate([rng.permutation(len(mean)) for _ in range(-(-n_samples // len(mean)))])[:n_samples]
    noise = rng.normal(size=(n_samples, mean.shape[1]))
    return PosteriorSamples(
        samples=mean[order] + noise * deviation[order],
        log_density=-0.5 * np.square(noise) - np.log(deviation[order]),
        mean=mean,
        deviation=deviation,
        centre=centre,
    )


def pairwise_log_densities(drawn: PosteriorSamples) -> Iterator[tuple[slice, Floats]]:
    """Yield blocks of samples with their log q(z_ij | x_k), (n_codes, n_block, n_rows), without -log(2 pi) / 2."""
    samples, mean, deviation = drawn.samples, drawn.mean, drawn.deviation
    n_samples, n_codes = samples.shape
    step = max(1, _CHUNK // len(mean))
    precision, log_scale = (1 / deviation).T.copy(), np.log(deviation).T.copy()
    scaled = mean.T * precision
    for start in range(0, n_samples, step):
        part = slice(start, start + step)
        densities = np.empty((n_codes, len(samples[part]), len(mean)))
        for code in range(n_codes):
            distance = samples[part, code, None] * precision[code] - scaled[code]
            np.clip(distance, -_FARTHEST, _FARTHEST, out=distance)
            np.multiply(distance, distance, out=distance)
            distance *= -0.5
            np.subtract(distance, log_scale[code], out=densities[code])
        yield part, densities


def _log_mixtures(
    drawn: PosteriorSamples,
) -> tuple[Floats, Floats, Floats]:
    """Log densities of q(z_j), q(z) and q(z without z_j) at each sample, without the constants of ``log_density``."""
    n_samples, n_codes = drawn.samples.shape
    marginal, others = np.empty((n_samples, n_codes)), np.empty((n_samples, n_codes))
    joint = np.empty(n_samples)
    for part, densities in pairwise_log_densities(drawn):
        total = densities.sum(axis=0)
        joint[part] = log_mean(total.copy())
        for code in range(n_codes):
            others[part, code] = log_mean(total - densities[code])
            marginal[part, code] = log_mean(densities[code])
    return marginal, joint, others


def log_mean(logs: Floats) -> Floats:
    """Logarithm of the mean exponential of each row; overwrites its argument."""
    highest = logs.max(axis=1, keepdims=True)
    logs -= highest
    np.exp(logs, out=logs)
    return np.asarray(np.log(logs.mean(axis=1)) + highest[:, 0])
