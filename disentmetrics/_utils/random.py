"""Random generators that depend on a seed and a purpose alone."""

import zlib

import numpy as np

from disentmetrics.errors import InvalidInputError


def generator(seed: int | tuple[int, ...], purpose: str) -> np.random.Generator:
    """Return a generator that depends on nothing but seed and purpose."""
    parts = seed if isinstance(seed, tuple) else (seed,)
    if not all(isinstance(part, int | np.integer) and not isinstance(part, bool) and part >= 0 for part in parts):
        raise InvalidInputError(f"seed must be a whole number of at least 0; got {seed!r}")
    return np.random.default_rng([*np.atleast_1d(seed), zlib.crc32(purpose.encode())])
