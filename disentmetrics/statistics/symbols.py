"""Codes that are symbols of a language: integers that recur."""

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.typing import Integers
from disentmetrics.representation import Representation

_LARGEST = 2**31  # largest absolute value of a symbol: exact as a float and usable as an index


def are_symbols(representation: Representation) -> bool:
    """Return whether every latent is integer-valued and takes each value at least twice on average.

    Examples
    --------
    >>> are_symbols(Representation([[3], [3], [5], [5]], [0, 0, 1, 1]))
    True
    >>> are_symbols(Representation([[0.1], [0.1], [5], [5]], [0, 0, 1, 1]))
    False
    """
    return representation.cached_by_codes(_are_symbols)


def _are_symbols(codes: NDArray[np.floating]) -> bool:
    if (np.abs(codes) > _LARGEST).any() or (codes != np.round(codes)).any():
        return False
    return all(2 * len(np.unique(column)) <= len(column) for column in codes.T)


def messages(representation: Representation) -> Integers:
    """Return codes as symbols numbered from 0 over all positions jointly, (n_samples, n_codes)."""
    return representation.cached_by_codes(_numbered)


def _numbered(codes: NDArray[np.floating]) -> Integers:
    numbers = np.unique(codes, return_inverse=True)[1]
    return np.asarray(numbers, dtype=np.int64).reshape(codes.shape)
