"""Changes of a representation to which a metric can claim to be invariant."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from disentmetrics.factors import FactorSpace
from disentmetrics.metrics.base import Invariance
from disentmetrics.representation import Representation

Array = NDArray[np.float64]


@dataclass(frozen=True)
class _Parts:
    codes: Array
    factors: NDArray[np.int64]
    log_variance: Array | None
    space: FactorSpace

    def rows(self, selected: NDArray[np.int64]) -> "_Parts":
        spread = self.log_variance
        return _Parts(
            self.codes[selected], self.factors[selected], None if spread is None else spread[selected], self.space
        )

    def with_codes(self, codes: Array, log_variance: Array | None) -> "_Parts":
        return _Parts(codes, self.factors, log_variance, self.space)


def _apply(
    representation: Representation, change: Callable[[_Parts, np.random.Generator], _Parts], rng: np.random.Generator
) -> Representation:
    spread = representation.log_variance
    changed = change(
        _Parts(
            np.array(representation.codes, dtype=np.float64),
            np.array(representation.factors),
            None if spread is None else np.array(spread, dtype=np.float64),
            representation.space,
        ),
        rng,
    )
    return Representation(changed.codes, changed.factors, space=changed.space, log_variance=changed.log_variance)


def _row_order(parts: _Parts, rng: np.random.Generator) -> _Parts:
    return parts.rows(rng.permutation(len(parts.codes)))


def _code_order(parts: _Parts, rng: np.random.Generator) -> _Parts:
    order = rng.permutation(parts.codes.shape[1])
    spread = parts.log_variance
    return parts.with_codes(parts.codes[:, order], None if spread is None else spread[:, order])


def _sign(parts: _Parts, rng: np.random.Generator) -> _Parts:
    sign = rng.choice([-1.0, 1.0], size=parts.codes.shape[1])
    sign[0] = -1.0
    return parts.with_codes(parts.codes * sign, parts.log_variance)


def _scale(parts: _Parts, rng: np.random.Generator) -> _Parts:
    scale = 10.0 ** rng.uniform(-3, 3, size=parts.codes.shape[1])
    scale[0] = 1e-3
    spread = parts.log_variance
    return parts.with_codes(parts.codes * scale, None if spread is None else spread + 2 * np.log(scale))


def _shift(parts: _Parts, rng: np.random.Generator) -> _Parts:
    return parts.with_codes(parts.codes + rng.uniform(-10, 10, size=parts.codes.shape[1]), parts.log_variance)


def _monotone_warp(parts: _Parts, rng: np.random.Generator) -> _Parts:
    steepness = rng.uniform(1.5, 3.0, size=parts.codes.shape[1])
    standard = parts.codes / parts.codes.std(axis=0)
    spread = parts.log_variance
    slope = np.log(steepness / parts.codes.std(axis=0)) + steepness * standard
    return parts.with_codes(np.exp(steepness * standard), None if spread is None else spread + 2 * slope)


def _outlier(parts: _Parts, rng: np.random.Generator) -> _Parts:
    codes = parts.codes.copy()
    codes[rng.integers(len(codes))] *= 1e3
    return parts.with_codes(codes, parts.log_variance)


def _with_code(parts: _Parts, code: Array, log_variance: float) -> _Parts:
    spread = parts.log_variance
    if spread is not None:
        spread = np.hstack([spread, np.full((len(spread), 1), log_variance)])
    return parts.with_codes(np.hstack([parts.codes, code[:, None]]), spread)


def _dead_code(parts: _Parts, _: np.random.Generator) -> _Parts:
    return _with_code(parts, np.zeros(len(parts.codes)), 0.0)


def _noise_code(parts: _Parts, rng: np.random.Generator) -> _Parts:
    return _with_code(parts, rng.normal(size=len(parts.codes)), -1.0)


def _duplicated_code(parts: _Parts, _: np.random.Generator) -> _Parts:
    return _with_code(parts, parts.codes[:, 0], -6.5)


def _relabelled_factors(parts: _Parts, rng: np.random.Generator) -> _Parts:
    factors = parts.factors.copy()
    for column in range(factors.shape[1]):
        factors[:, column] = rng.permutation(int(factors[:, column].max()) + 1)[factors[:, column]]
    return _Parts(parts.codes, factors, parts.log_variance, parts.space)


def _factor_order(parts: _Parts, _: np.random.Generator) -> _Parts:
    order = np.roll(np.arange(len(parts.space)), 1)
    space = FactorSpace([parts.space.factors[int(k)] for k in order])
    return _Parts(parts.codes, parts.factors[:, order], parts.log_variance, space)


def _repeated_rows(parts: _Parts, _: np.random.Generator) -> _Parts:
    return parts.rows(np.repeat(np.arange(len(parts.codes)), 2))


def _rotation(parts: _Parts, rng: np.random.Generator) -> _Parts:
    n_codes = parts.codes.shape[1]
    rotation = np.linalg.qr(rng.normal(size=(n_codes, n_codes)))[0]
    return parts.with_codes(parts.codes @ rotation, parts.log_variance)


def _dependent_factors(parts: _Parts, rng: np.random.Generator) -> _Parts:
    first, second = (parts.factors[:, k] / parts.factors[:, k].max() for k in (0, 1))
    return parts.rows(np.flatnonzero(rng.random(len(first)) < np.exp(-3 * (first - second) ** 2)))


def _determined_factors(parts: _Parts, _: np.random.Generator) -> _Parts:
    first, second = parts.factors[:, 0], parts.factors[:, 1]
    per_value = (second.max() + 1) / (first.max() + 1)
    return parts.rows(np.flatnonzero(first == (second / per_value).astype(np.int64)))


_CHANGES: dict[Invariance, Callable[[_Parts, np.random.Generator], _Parts]] = {
    "row order": _row_order,
    "code order": _code_order,
    "sign": _sign,
    "scale": _scale,
    "shift": _shift,
    "monotone warp": _monotone_warp,
    "outlier": _outlier,
    "dead code": _dead_code,
    "noise code": _noise_code,
    "duplicated code": _duplicated_code,
    "relabelled factors": _relabelled_factors,
    "factor order": _factor_order,
    "repeated rows": _repeated_rows,
    "rotation": _rotation,
    "dependent factors": _dependent_factors,
    "determined factors": _determined_factors,
}


def _public(
    change: Callable[[_Parts, np.random.Generator], _Parts],
) -> Callable[[Representation, np.random.Generator], Representation]:
    return lambda representation, rng: _apply(representation, change, rng)


CHANGES: dict[Invariance, Callable[[Representation, np.random.Generator], Representation]] = {
    name: _public(change) for name, change in _CHANGES.items()
}
"""Each change as ``(representation, rng) -> Representation``."""
