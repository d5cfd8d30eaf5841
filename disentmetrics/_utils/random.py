"""Random generators determined by a seed and a purpose."""

import zlib

import numpy as np

from disentmetrics._utils.typing import Seed
from disentmetrics.errors import InvalidInputError


def generator(seed: Seed, purpose: str) -> np.random.Generator:
    """Return a generator determined by the seed and the purpose alone.

    Different purposes have independent streams of random numbers under one seed.
    """
    parts = seed if isinstance(seed, tuple) else (seed,)
    if not all(isinstance(part, int | np.integer) and not isinstance(part, bool) and part >= 0 for part in parts):
        raise InvalidInputError(f"seed must be a whole number of at least 0; got {seed!r}")
    return np.random.default_rng([*np.atleast_1d(seed), zlib.crc32(purpose.encode())])


def derived_seed(seed: Seed, number: int) -> tuple[int, ...]:
    """Return a seed whose streams are independent of those of ``seed`` and of other numbers."""
    return (*seed, number) if isinstance(seed, tuple) else (seed, number)
