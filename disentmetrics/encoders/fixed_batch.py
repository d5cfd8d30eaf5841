"""Encoders that accept a single batch size."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.arrays import as_array
from disentmetrics.encoders.protocol import Encoder, Posterior


class FixedBatch:
    """An encoder of one batch size, for batches of any size: they are split, padded by their last row, and trimmed.

    Parameters
    ----------
    encoder : Encoder
    batch_size : int
        The number of observations that the encoder accepts.

    Examples
    --------
    >>> def of_four(observations):
    ...     return observations.reshape(4, 1).astype(float)
    >>> FixedBatch(of_four, 4)(np.arange(6)).ravel()
    array([0., 1., 2., 3., 4., 5.])
    """

    def __init__(self, encoder: Encoder, batch_size: int) -> None:
        self.encoder, self.batch_size = encoder, batch_size

    def __call__(self, observations: NDArray[np.generic], /) -> Any:
        """Encode a batch with the wrapped encoder."""
        parts = []
        for start in range(0, len(observations), self.batch_size):
            part = observations[start : start + self.batch_size]
            codes = _trimmed(self.encoder(padded(part, self.batch_size)), self.batch_size, len(part))
            if not isinstance(codes, Posterior | np.ndarray):
                return codes
            parts.append(codes)
        posteriors = [part for part in parts if isinstance(part, Posterior)]
        if posteriors:
            return Posterior.concatenated(posteriors)
        return np.concatenate([part for part in parts if isinstance(part, np.ndarray)])

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "encoder"), name)


def padded(observations: NDArray[Any], n: int) -> NDArray[Any]:
    """Return ``n`` observations by repeating the last one: zeros might not be a valid input of the encoder."""
    missing = n - len(observations)
    return np.concatenate([observations, np.repeat(observations[-1:], missing, axis=0)]) if missing else observations


def _trimmed(codes: Any, n_given: int, n_kept: int) -> Any:
    """Return the first rows of what an encoder returned; unchanged if it is invalid, which is reported elsewhere."""
    if isinstance(codes, Posterior):
        return Posterior(*(_trimmed(part, n_given, n_kept) for part in (codes.mean, codes.log_variance, codes.kl)))
    if codes is None or isinstance(codes, tuple | list | dict):
        return codes
    array = as_array("codes", codes)
    return array[:n_kept] if array.ndim and len(array) == n_given else array
