"""Representations with known scores, and degenerate ones."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from disentmetrics.factors import Factor, FactorSpace
from disentmetrics.metrics.base import Defect
from disentmetrics.representation import Representation

_SIZES = (3, 6, 10)
_SPACE = FactorSpace([Factor(f"v{k}", size, "ordinal") for k, size in enumerate(_SIZES)])
_NARROW, _WIDE = -6.5, -1.0  # log-variance of informative and of uninformative latents


def _table(
    codes: NDArray[np.float64], factors: NDArray[np.int64], *, posterior: bool, spread: float = _NARROW
) -> Representation:
    log_variance = np.full(codes.shape, spread) if posterior else None
    return Representation(codes, factors, space=_SPACE, log_variance=log_variance)


def _draw(n: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    factors = rng.integers(_SIZES, size=(n, len(_SIZES)))
    return factors, (factors - factors.mean(axis=0)) / factors.std(axis=0)


def perfect(n: int, rng: np.random.Generator, *, posterior: bool = False) -> Representation:
    """One noiseless latent per factor."""
    factors, ideal = _draw(n, rng)
    return _table(ideal, factors, posterior=posterior)


def noise(n: int, rng: np.random.Generator, *, posterior: bool = False) -> Representation:
    """Uninformative latents."""
    factors, _ = _draw(n, rng)
    return _table(rng.normal(size=(n, 5)), factors, posterior=posterior, spread=_WIDE)


def noisy(n: int, rng: np.random.Generator, *, posterior: bool = False) -> Representation:
    """One blurred latent per factor, and one that mixes two factors."""
    factors, ideal = _draw(n, rng)
    blurred = ideal + 0.5 * rng.normal(size=ideal.shape)
    mixed = ideal[:, :1] + 0.7 * ideal[:, 1:2] + 0.2 * rng.normal(size=(n, 1))
    return _table(np.hstack([blurred, mixed]), factors, posterior=posterior)


def rotated(n: int, rng: np.random.Generator, *, posterior: bool = False) -> Representation:
    """Perfect code, rotated so that each latent mixes all factors."""
    factors, ideal = _draw(n, rng)
    rotation = np.linalg.qr(np.array([[1.0, 1.0, 1.0], [1.0, -1.0, 0.5], [0.3, 1.0, -1.0]]))[0]
    return _table(ideal @ rotation + 0.02 * rng.normal(size=ideal.shape), factors, posterior=posterior)


def packed(n: int, rng: np.random.Generator, *, posterior: bool = False) -> Representation:
    """Two factors packed losslessly into one latent, the third in another, and a latent of noise."""
    factors, ideal = _draw(n, rng)
    both = factors[:, 0] * _SIZES[1] + factors[:, 1]
    return _table(np.stack([both, ideal[:, 2], rng.normal(size=n)], axis=1), factors, posterior=posterior)


def rotated_copy(n: int, rng: np.random.Generator, *, posterior: bool = False) -> Representation:
    """Perfect code with a rotated copy of itself appended."""
    factors, ideal = _draw(n, rng)
    rotation = np.linalg.qr(np.array([[1.0, 1.0, 1.0], [1.0, -1.0, 0.5], [0.3, 1.0, -1.0]]))[0]
    return _table(np.hstack([ideal, ideal @ rotation]), factors, posterior=posterior)


def missing_factor(n: int, rng: np.random.Generator, *, posterior: bool = False) -> Representation:
    """Perfect code of all factors but the last, and a latent of noise."""
    factors, ideal = _draw(n, rng)
    return _table(np.hstack([ideal[:, :-1], rng.normal(size=(n, 1))]), factors, posterior=posterior)


def blurred(n: int, rng: np.random.Generator, *, posterior: bool = False) -> Representation:
    """One latent per factor, with as much noise as signal."""
    factors, ideal = _draw(n, rng)
    return _table(ideal + rng.normal(size=ideal.shape), factors, posterior=posterior, spread=0.0)


def synergy(n: int, rng: np.random.Generator, *, posterior: bool = False) -> Representation:
    """Two latents per factor, a random key and the factor shifted by the key, each uninformative alone."""
    factors, _ = _draw(n, rng)
    key = rng.integers(_SIZES, size=factors.shape)
    return _table(np.hstack([key, (factors + key) % _SIZES]).astype(float), factors, posterior=posterior)


DEFECTIVE: dict[Defect, Callable[..., Representation]] = {
    "rotated": rotated,
    "packed": packed,
    "rotated copy": rotated_copy,
    "missing factor": missing_factor,
    "blurred": blurred,
    "synergy lost": noise,
}
"""Example of each defect; ``synergy lost`` is compared with :func:`synergy`, all others with :func:`perfect`."""
EXAMPLES: dict[str, Callable[..., Representation]] = {
    "perfect": perfect,
    "noise": noise,
    "noisy": noisy,
    "rotated": rotated,
}
"""Generators of examples: ``(n_rows, rng, posterior=False) -> Representation``."""


def _zero_inflated(ideal: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    noisy = ideal + 0.1 * rng.normal(size=ideal.shape)
    return np.asarray(np.maximum(noisy - np.quantile(noisy, 0.94, axis=0), 0.0))


def _saturated(ideal: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    noisy = ideal + 0.1 * rng.normal(size=ideal.shape)
    logits = 40 * (noisy - np.quantile(noisy, 0.06, axis=0))
    return (1 / (1 + np.exp(-logits))).astype(np.float32).astype(np.float64)


def _heavy_tailed(ideal: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    return np.asarray(np.sign(ideal) * np.expm1(3 * np.abs(ideal)) + 0.3 * rng.standard_t(1.5, size=ideal.shape))


def _rectified(ideal: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    return np.maximum(np.hstack([ideal, -ideal]) + 0.1 * rng.normal(size=(len(ideal), 2 * ideal.shape[1])), 0.0)


def _one_hot(ideal: NDArray[np.float64], _: np.random.Generator) -> NDArray[np.float64]:
    return np.hstack([np.unique(column)[None, :] == column[:, None] for column in ideal.T]).astype(np.float64)


def _rounded(ideal: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    return np.round(ideal + 0.3 * rng.normal(size=ideal.shape), 1)


def _leaking(ideal: NDArray[np.float64], _: np.random.Generator) -> NDArray[np.float64]:
    return ideal + 1e-6 * np.roll(ideal, 1, axis=1)


CODES: dict[str, Callable[[NDArray[np.float64], np.random.Generator], NDArray[np.float64]]] = {
    "zero-inflated": _zero_inflated,
    "saturated": _saturated,
    "heavy-tailed": _heavy_tailed,
    "rectified": _rectified,
    "one-hot": _one_hot,
    "rounded": _rounded,
    "leaking": _leaking,
}
"""Kinds of codes that real encoders have, as functions of the standardised factors."""


def real_codes(kind: str, n: int, rng: np.random.Generator) -> Representation:
    """Return a representation whose codes are of one of the kinds of :data:`CODES`.

    Examples
    --------
    >>> real_codes("one-hot", 200, np.random.default_rng(0)).n_codes
    19
    """
    factors, ideal = _draw(n, rng)
    return _table(CODES[kind](ideal, rng), factors, posterior=False)


def as_symbols(representation: Representation) -> Representation:
    """Return a quantised version whose codes are symbols, with a separate alphabet at each position."""
    codes = np.round(4 * representation.codes) + 100 * np.arange(representation.n_codes)
    return Representation(
        codes, representation.factors, space=representation.space, log_variance=representation.log_variance
    )


def degenerate_tables(seed: int, *, posterior: bool = False) -> dict[str, Representation]:
    """Return tables on which a metric must have a finite value, or be undefined for a stated reason."""
    rng = np.random.default_rng([seed, 17])
    codes, factors = rng.normal(size=(200, 3)), rng.integers(3, size=(200, 2))
    missing = np.where(rng.random(factors.shape) < 0.3, -1, factors)
    singleton = np.where(np.arange(200)[:, None] == 7, 2, factors % 2)
    space = FactorSpace([Factor("a", 3, "categorical"), Factor("b", 3, "ordinal")])
    tables = {
        "one code": (codes[:, :1], factors),
        "constant codes": (np.ones_like(codes), factors),
        "constant factors": (codes, np.zeros_like(factors)),
        "one constant factor": (codes, factors * [1, 0]),
        "missing labels": (codes, missing),
        "no label of one factor": (codes, np.stack([factors[:, 0], np.full(200, -1)], axis=1)),
        "a value of one row": (codes, singleton),
        "equal factors": (codes, factors[:, [0, 0]]),
        "five rows": (codes[:5], factors[:5]),
        "one row": (codes[:1], factors[:1]),
    }
    representations = {
        name: Representation(z, v, space=space, log_variance=np.full(z.shape, -3.0) if posterior else None)
        for name, (z, v) in tables.items()
    }
    single = FactorSpace([Factor("a", 3, "categorical")])
    representations["one factor"] = Representation(
        codes, factors[:, :1], space=single, log_variance=np.full(codes.shape, -3.0) if posterior else None
    )
    return representations
