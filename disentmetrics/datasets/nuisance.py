"""Counter-based random numbers: deterministic functions of the nuisance, identical on every machine and in any order.

The finaliser of SplitMix64 (Steele, Lea, Flood 2014, *Fast Splittable Pseudorandom Number Generators*, OOPSLA) maps
each counter to 64 random bits. It uses integer arithmetic only, so results do not depend on the machine.
"""

import numpy as np
from numpy.typing import NDArray

_STEP = np.uint64(0x9E3779B97F4A7C15)
_FACTORS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_SHIFTS = (np.uint64(30), np.uint64(27), np.uint64(31))


def splitmix64(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Map each number to 64 random bits; the mapping is a bijection.

    Examples
    --------
    >>> splitmix64(np.array([0, 1], np.uint64))
    array([16294208416658607535, 10451216379200822465], dtype=uint64)
    """
    bits = numbers + _STEP
    bits = (bits ^ (bits >> _SHIFTS[0])) * _FACTORS[0]
    bits = (bits ^ (bits >> _SHIFTS[1])) * _FACTORS[1]
    return np.asarray(bits ^ (bits >> _SHIFTS[2]))


def random_bits(nuisance: NDArray[np.uint64], n_draws: int, *, stream: int = 0) -> NDArray[np.uint64]:
    """Generate ``n_draws`` numbers of 64 random bits for each nuisance.

    Parameters
    ----------
    nuisance : (n,) uint64
        One number per observation.
    n_draws : int
        Random numbers per observation.
    stream : int
        Streams are independent: use a different one for each random quantity.

    Returns
    -------
    (n, n_draws) uint64
    """
    start = splitmix64(nuisance ^ splitmix64(np.array([stream], np.uint64)))
    steps = np.arange(n_draws, dtype=np.uint64) * _STEP
    return splitmix64(start[:, None] + steps)


def uniform(nuisance: NDArray[np.uint64], n_draws: int, *, stream: int = 0) -> NDArray[np.float64]:
    """Draw ``n_draws`` numbers per nuisance from the uniform distribution on [0, 1), as (n, n_draws) float64.

    Examples
    --------
    >>> draws = uniform(np.arange(1000, dtype=np.uint64), 3)
    >>> draws.shape, bool(abs(draws.mean() - 0.5) < 0.02)
    ((1000, 3), True)
    """
    return (random_bits(nuisance, n_draws, stream=stream) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def choice(nuisance: NDArray[np.uint64], size: int, *, stream: int = 0) -> NDArray[np.int64]:
    """Draw one of 0 .. ``size`` - 1 uniformly for each nuisance, as (n,) int64.

    Examples
    --------
    >>> np.bincount(choice(np.arange(9000, dtype=np.uint64), 3)).round(-3)
    array([3000, 3000, 3000])
    """
    return (uniform(nuisance, 1, stream=stream)[:, 0] * size).astype(np.int64)


def normal(nuisance: NDArray[np.uint64], n_draws: int, *, stream: int = 0) -> NDArray[np.float64]:
    """Draw from the standard normal distribution, as (n, n_draws) float64; machines agree up to rounding."""
    from scipy.special import ndtri

    bits = random_bits(nuisance, n_draws, stream=stream) >> np.uint64(12)
    return np.asarray(ndtri((bits + 0.5) * 2.0**-52), np.float64)
