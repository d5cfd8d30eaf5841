"""Which latents are in use: not constant, and not collapsed to the prior."""

import numpy as np
from numpy.typing import NDArray

KL_THRESHOLD = 0.01
"""Nats of mean KL below which a latent is collapsed to the prior (Duan et al. 2020)."""
_SQUARE_OVERFLOWS = 1e150


def mean_kl(mean: NDArray[np.floating], log_variance: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the mean KL divergence in nats from each posterior to N(0, 1), as (n_codes,).

    Examples
    --------
    >>> mean_kl(np.zeros((3, 2)), np.zeros((3, 2)))
    array([0., 0.])
    """
    total = np.zeros(mean.shape[1])
    for start in range(0, len(mean), 65536):
        m = mean[start : start + 65536].astype(np.float64)
        v = log_variance[start : start + 65536].astype(np.float64)
        with np.errstate(over="ignore"):  # an infinite divergence means an active latent
            total += (m**2 + np.exp(v) - 1 - v).sum(axis=0)
    return total / (2 * len(mean))


def constant(codes: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Return which latents vary by no more than rounding, whatever their scale, as (n_codes,)."""
    # numpy reduces short rows slowly, so many rows are laid next to each other
    n_rows, n_codes = codes.shape
    width = max(1, min(n_rows, 1024 // max(1, n_codes)))
    n_wide = n_rows // width * width
    wide, rest = codes[:n_wide].reshape(n_rows // width, width * n_codes), codes[n_wide:]
    low, high = (
        extreme.reduce(np.concatenate([extreme.reduce(wide).reshape(width, n_codes), rest]))
        for extreme in (np.minimum, np.maximum)
    )
    rounding = 8 * np.finfo(codes.dtype).eps * np.maximum(np.abs(low), np.abs(high))
    return np.asarray(high - low <= rounding)


def standard_deviation(codes: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the standard deviation of each latent in double precision, however large or small, as (n_codes,).

    Examples
    --------
    >>> standard_deviation(np.array([[1e300, -1e-300], [3e300, 1e-300]]))
    array([1.e+300, 1.e-300])
    """
    largest = np.maximum(codes.max(axis=0), -codes.min(axis=0)).astype(np.float64)
    if ((largest < _SQUARE_OVERFLOWS) & (largest > 1 / _SQUARE_OVERFLOWS)).all():
        return np.asarray(codes.std(axis=0, dtype=np.float64))
    exponent = np.frexp(largest)[1]
    return np.asarray(np.ldexp(np.ldexp(codes.astype(np.float64), -exponent).std(axis=0), exponent))


def well_scaled(codes: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the codes scaled so that squares neither overflow nor underflow; most are returned unchanged.

    Latents of extreme range are centred and divided by a power of two, in double precision.
    """
    low, high = codes.min(axis=0).astype(np.float64), codes.max(axis=0).astype(np.float64)
    reach = high / 2 - low / 2
    if (np.maximum(np.abs(low), np.abs(high)) < 1e12).all() and (reach > 1e-12).all():
        return codes
    exponent = np.frexp(np.where(reach > 0, reach, 1.0))[1]
    return np.asarray(np.ldexp(codes.astype(np.float64) - (high / 2 + low / 2), -exponent))


def codes_by_kl(kl_of_code: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return the latents in order of decreasing KL divergence; ties keep their order.

    Examples
    --------
    >>> codes_by_kl(np.array([0.5, 2.0, 0.5]))
    array([1, 0, 2])
    """
    return np.asarray(np.argsort(-kl_of_code, kind="stable"))
