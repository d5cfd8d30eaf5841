"""Codes that are symbols of a language: whole numbers that come again and again."""

import numpy as np
from numpy.typing import NDArray

from disentmetrics.representation import Representation

_LARGEST = 2**31  # whole numbers up to here are exact in every type of float and fit an index


def are_symbols(representation: Representation) -> bool:
    """Tell whether every code holds whole numbers, each coming twice on average or more.

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


def messages(representation: Representation) -> NDArray[np.int64]:
    """Return codes as symbols numbered from 0 over all positions together, (n_samples, n_codes)."""
    return representation.cached_by_codes(_numbered)


def _numbered(codes: NDArray[np.floating]) -> NDArray[np.int64]:
    numbers = np.unique(codes, return_inverse=True)[1]
    return np.asarray(numbers, dtype=np.int64).reshape(codes.shape)
