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
            missing = self.batch_size - len(part)
            # a row of zeros might not be a valid input
            full = np.concatenate([part, np.repeat(part[-1:], missing, axis=0)]) if missing else part
            parts.append(_trimmed(self.encoder(full), self.batch_size, len(part)))
        if len(parts) == 1:
            return parts[0]
        if all(isinstance(part, Posterior) for part in parts):
            means, log_variances = zip(*((part.mean, part.log_variance) for part in parts), strict=True)
            return Posterior(np.concatenate(means), np.concatenate(log_variances))
        return np.concatenate(parts)

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "encoder"), name)


def _trimmed(codes: Any, n_given: int, n_kept: int) -> Any:
    """Return the first rows of what an encoder returned; unchanged if it is invalid, which is reported elsewhere."""
    if isinstance(codes, Posterior):
        return Posterior(*(_trimmed(part, n_given, n_kept) for part in (codes.mean, codes.log_variance)))
    if codes is None or isinstance(codes, tuple | list | dict):
        return codes
    array = as_array("codes", codes)
    return array[:n_kept] if array.ndim and len(array) == n_given else array
