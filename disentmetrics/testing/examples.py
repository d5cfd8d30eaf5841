"""Representations whose scores are known, or known to be delicate."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from disentmetrics.factors import Factor, FactorSpace
from disentmetrics.metrics.base import Defect
from disentmetrics.representation import Representation

_SIZES = (3, 6, 10)
_SPACE = FactorSpace([Factor(f"v{k}", size, "ordinal") for k, size in enumerate(_SIZES)])
_NARROW, _WIDE = -6.5, -1.0  # log-variance of codes that know something, and of codes that know nothing


def _table(
    codes: NDArray[np.float64], factors: NDArray[np.int64], *, posterior: bool, spread: float = _NARROW
) -> Representation:
    log_variance = np.full(codes.shape, spread) if posterior else None
    return Representation(codes, factors, space=_SPACE, log_variance=log_variance)


def _draw(n: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    factors = rng.integers(_SIZES, size=(n, len(_SIZES)))
    return factors, (factors - factors.mean(axis=0)) / factors.std(axis=0)


def perfect(n: int, rng: np.random.Generator, *, posterior: bool = False) -> Representation:
    """One noiseless code a factor."""
    factors, ideal = _draw(n, rng)
    return _table(ideal, factors, posterior=posterior)


def noise(n: int, rng: np.random.Generator, *, posterior: bool = False) -> Representation:
    """Codes that know nothing of the factors."""
    factors, _ = _draw(n, rng)
    return _table(rng.normal(size=(n, 5)), factors, posterior=posterior, spread=_WIDE)


def noisy(n: int, rng: np.random.Generator, *, posterior: bool = False) -> Representation:
    """One blurred code a factor and one code that mixes two."""
    factors, ideal = _draw(n, rng)
    blurred = ideal + 0.5 * rng.normal(size=ideal.shape)
    mixed = ideal[:, :1] + 0.7 * ideal[:, 1:2] + 0.2 * rng.normal(size=(n, 1))
    return _table(np.hstack([blurred, mixed]), factors, posterior=posterior)


def rotated(n: int, rng: np.random.Generator, *, posterior: bool = False) -> Representation:
    """Perfect codes, rotated so that each code mixes all factors."""
    factors, ideal = _draw(n, rng)
    rotation = np.linalg.qr(np.array([[1.0, 1.0, 1.0], [1.0, -1.0, 0.5], [0.3, 1.0, -1.0]]))[0]
    return _table(ideal @ rotation + 0.02 * rng.normal(size=ideal.shape), factors, posterior=posterior)


def packed(n: int, rng: np.random.Generator, *, posterior: bool = False) -> Representation:
    """Two factors without loss in one code, the third in another, and a code of noise."""
    factors, ideal = _draw(n, rng)
    both = factors[:, 0] * _SIZES[1] + factors[:, 1]
    return _table(np.stack([both, ideal[:, 2], rng.normal(size=n)], axis=1), factors, posterior=posterior)


def rotated_copy(n: int, rng: np.random.Generator, *, posterior: bool = False) -> Representation:
    """Perfect codes, and beside them the same codes rotated."""
    factors, ideal = _draw(n, rng)
    rotation = np.linalg.qr(np.array([[1.0, 1.0, 1.0], [1.0, -1.0, 0.5], [0.3, 1.0, -1.0]]))[0]
    return _table(np.hstack([ideal, ideal @ rotation]), factors, posterior=posterior)


def missing_factor(n: int, rng: np.random.Generator, *, posterior: bool = False) -> Representation:
    """Perfect codes of all factors but the last, and a code of noise."""
    factors, ideal = _draw(n, rng)
    return _table(np.hstack([ideal[:, :-1], rng.normal(size=(n, 1))]), factors, posterior=posterior)


def blurred(n: int, rng: np.random.Generator, *, posterior: bool = False) -> Representation:
    """One code a factor, with as much noise as signal."""
    factors, ideal = _draw(n, rng)
    return _table(ideal + rng.normal(size=ideal.shape), factors, posterior=posterior, spread=0.0)


def synergy(n: int, rng: np.random.Generator, *, posterior: bool = False) -> Representation:
    """Give each factor two codes, a random key and the factor shifted by it; either alone tells nothing."""
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
"""What each defect looks like; ``synergy lost`` is compared with :func:`synergy`, others with :func:`perfect`."""
EXAMPLES: dict[str, Callable[..., Representation]] = {
    "perfect": perfect,
    "noise": noise,
    "noisy": noisy,
    "rotated": rotated,
}
"""Makers of examples: ``(n_rows, rng, posterior=False) -> Representation``."""


def as_symbols(representation: Representation) -> Representation:
    """Return a coarse version whose codes are symbols, each position with symbols of its own."""
    codes = np.round(4 * representation.codes) + 100 * np.arange(representation.n_codes)
    return Representation(
        codes, representation.factors, space=representation.space, log_variance=representation.log_variance
    )


def degenerate_tables(seed: int, *, posterior: bool = False) -> dict[str, Representation]:
    """Return tables on which a metric must have a finite value or say why it has none."""
    rng = np.random.default_rng([seed, 17])
    codes, factors = rng.normal(size=(200, 3)), rng.integers(3, size=(200, 2))
    holes = np.where(rng.random(factors.shape) < 0.3, -1, factors)
    lonely = np.where(np.arange(200)[:, None] == 7, 2, factors % 2)
    space = FactorSpace([Factor("a", 3, "categorical"), Factor("b", 3, "ordinal")])
    tables = {
        "one code": (codes[:, :1], factors),
        "constant codes": (np.ones_like(codes), factors),
        "constant factors": (codes, np.zeros_like(factors)),
        "one constant factor": (codes, factors * [1, 0]),
        "missing labels": (codes, holes),
        "no label of one factor": (codes, np.stack([factors[:, 0], np.full(200, -1)], axis=1)),
        "a value of one row": (codes, lonely),
        "equal factors": (codes, factors[:, [0, 0]]),
        "five rows": (codes[:5], factors[:5]),
        "one row": (codes[:1], factors[:1]),
    }
    made = {
        name: Representation(z, v, space=space, log_variance=np.full(z.shape, -3.0) if posterior else None)
        for name, (z, v) in tables.items()
    }
    single = FactorSpace([Factor("a", 3, "categorical")])
    made["one factor"] = Representation(
        codes, factors[:, :1], space=single, log_variance=np.full(codes.shape, -3.0) if posterior else None
    )
    return made
