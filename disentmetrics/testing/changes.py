"""Changes of a representation under which a metric may claim to be invariant."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from disentmetrics.metric import Invariance
from disentmetrics.representation import Representation

Array = NDArray[np.float64]


@dataclass(frozen=True)
class _Parts:
    codes: Array
    factors: NDArray[np.int64]
    log_variance: Array | None


def _apply(
    representation: Representation, change: Callable[[_Parts, np.random.Generator], _Parts], rng: np.random.Generator
) -> Representation:
    spread = representation.log_variance
    changed = change(
        _Parts(
            np.array(representation.codes, dtype=np.float64),
            np.array(representation.factors),
            None if spread is None else np.array(spread, dtype=np.float64),
        ),
        rng,
    )
    return Representation(changed.codes, changed.factors, space=representation.space, log_variance=changed.log_variance)


def _row_order(parts: _Parts, rng: np.random.Generator) -> _Parts:
    order = rng.permutation(len(parts.codes))
    spread = parts.log_variance
    return _Parts(parts.codes[order], parts.factors[order], None if spread is None else spread[order])


def _code_order(parts: _Parts, rng: np.random.Generator) -> _Parts:
    order = rng.permutation(parts.codes.shape[1])
    spread = parts.log_variance
    return _Parts(parts.codes[:, order], parts.factors, None if spread is None else spread[:, order])


def _sign(parts: _Parts, rng: np.random.Generator) -> _Parts:
    sign = rng.choice([-1.0, 1.0], size=parts.codes.shape[1])
    sign[0] = -1.0
    return _Parts(parts.codes * sign, parts.factors, parts.log_variance)


def _scale(parts: _Parts, rng: np.random.Generator) -> _Parts:
    scale = 10.0 ** rng.uniform(-3, 3, size=parts.codes.shape[1])
    scale[0] = 1e-3
    spread = parts.log_variance
    return _Parts(parts.codes * scale, parts.factors, None if spread is None else spread + 2 * np.log(scale))


def _shift(parts: _Parts, rng: np.random.Generator) -> _Parts:
    return _Parts(parts.codes + rng.uniform(-10, 10, size=parts.codes.shape[1]), parts.factors, parts.log_variance)


def _monotone_warp(parts: _Parts, rng: np.random.Generator) -> _Parts:
    steepness = rng.uniform(1.5, 3.0, size=parts.codes.shape[1])
    standard = parts.codes / parts.codes.std(axis=0)
    spread = parts.log_variance
    slope = np.log(steepness / parts.codes.std(axis=0)) + steepness * standard
    return _Parts(np.exp(steepness * standard), parts.factors, None if spread is None else spread + 2 * slope)


def _outlier(parts: _Parts, rng: np.random.Generator) -> _Parts:
    codes = parts.codes.copy()
    codes[rng.integers(len(codes))] *= 1e3
    return _Parts(codes, parts.factors, parts.log_variance)


def _with_code(parts: _Parts, code: Array, log_variance: float) -> _Parts:
    spread = parts.log_variance
    if spread is not None:
        spread = np.hstack([spread, np.full((len(spread), 1), log_variance)])
    return _Parts(np.hstack([parts.codes, code[:, None]]), parts.factors, spread)


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
    return _Parts(parts.codes, factors, parts.log_variance)


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
}


def _public(
    change: Callable[[_Parts, np.random.Generator], _Parts],
) -> Callable[[Representation, np.random.Generator], Representation]:
    return lambda representation, rng: _apply(representation, change, rng)


CHANGES: dict[Invariance, Callable[[Representation, np.random.Generator], Representation]] = {
    name: _public(change) for name, change in _CHANGES.items()
}
"""Each change as ``(representation, rng) -> Representation``."""
