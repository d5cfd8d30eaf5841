"""The encoder protocol: observations in, codes out, and nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Posterior:
    """A Gaussian posterior q(z|x) with diagonal covariance, one row per observation.

    Parameters
    ----------
    mean : (n, n_codes) float
        Posterior means, used as the codes.
    log_variance : (n, n_codes) float
        Natural logarithm of the posterior variances.
    kl : (n, n_codes) float, optional
        KL divergence in nats of the posterior of each latent from the model's own prior, if that is not N(0, 1): by
        its mean over rows a latent counts as collapsed.
    """

    mean: NDArray[np.floating]
    log_variance: NDArray[np.floating]
    kl: NDArray[np.floating] | None = None

    @classmethod
    def concatenated(cls, parts: Sequence["Posterior"]) -> "Posterior":
        """Return the posteriors of several batches as one; ``kl`` if every part has it."""
        kl = [part.kl for part in parts if part.kl is not None]
        return cls(
            np.concatenate([part.mean for part in parts]),
            np.concatenate([part.log_variance for part in parts]),
            np.concatenate(kl) if len(kl) == len(parts) else None,
        )


@runtime_checkable
class Encoder(Protocol):
    """Any callable from a batch of observations to codes.

    An encoder is independent of data sets and metrics. It may have an attribute
    ``fingerprint`` (str), a name that identifies its weights and settings: its
    codes are then cached, and a second run needs no forward pass. An attribute
    ``categorical_codes`` (sequence of bool, one per latent, or empty) marks latents
    whose values are categories, so that distances between them have no meaning; it
    is read after the first batch.

    Examples
    --------
    >>> def mean_brightness(observations):
    ...     return observations.reshape(len(observations), -1).mean(axis=1, keepdims=True)
    >>> isinstance(mean_brightness, Encoder)
    True
    """

    def __call__(self, observations: NDArray[np.generic], /) -> NDArray[np.floating] | Posterior:
        """Encode ``observations`` (n, ...) to codes (n, n_codes) or to a posterior."""
        ...
