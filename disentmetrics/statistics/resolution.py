"""Codes at the resolution at which information is estimated: with the posterior's noise, or blurred by their own step.

Metrics under their default protocol read :func:`sampled`; estimators of information that would be infinite for a
noiseless code read :func:`at_resolution`.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.typing import Floats
from disentmetrics.errors import InvalidInputError
from disentmetrics.estimators.activity import constant, well_scaled
from disentmetrics.estimators.resolution import Levels, noise_by_rank, seed_of_values, step_blur
from disentmetrics.representation import FACTOR_BINS, Representation
from disentmetrics.statistics.targets import value_target

Resolution = Literal["posterior", "step"]

RESOLUTION_PRECISION = 0.02
"""How far scores at finite resolution may move, on 3,000 rows, where a change of the rows or codes redraws the noise of
equal values, or where a warp of a rotated code changes its step."""
_MOST_LEVELS = 40
"""Levels of a continuous factor, which has no step: finer bins than those of the estimate are used."""
_ROWS_OF_LEVEL = 25
_MOST_SINGLE_PRECISION_ROWS = 1_000_000
_MAX_LOG_VARIANCE = {4: 80.0, 8: 600.0}
"""By the bytes of a number; larger variances drown any code, and their squares would overflow."""


def resolution_of(representation: Representation) -> Resolution:
    """Return what limits the resolution of the codes: the posterior where its variances are known, or their step."""
    return "step" if representation.unresolved.log_variance is None else "posterior"


def with_resolution(representation: Representation) -> Representation:
    """Return the same representation with its noise drawn, so that resampled and permuted rows retain theirs."""
    if representation.log_variance is None:
        return representation.with_resolved_codes(_blurred(representation))
    return representation.with_resolved_codes(_with_posterior_noise(representation.codes, representation.log_variance))


def with_scaled_blur(representation: Representation, scale: float) -> Representation:
    """Return a representation blurred by :func:`with_resolution` with its blur multiplied by ``scale``."""
    if representation.resolved is None or representation.log_variance is not None:
        raise InvalidInputError("the representation must have codes that are blurred by a share of their step")
    exact = well_scaled(representation.codes)
    return representation.with_resolved_codes(exact + scale * (representation.resolved - exact))


def at_resolution(representation: Representation) -> Representation:
    """Return the representation of the codes at finite resolution, which has no posterior variances any more.

    With posterior variances each row is one sample of its posterior. Without, each row is blurred by a tenth of the
    latent's own step, see :func:`disentmetrics.estimators.resolution.step_blur`.
    """
    if representation.is_resolved:
        return representation
    if representation.resolved is None:
        representation = representation.cached(with_resolution)
    return representation.at_resolved_codes()


def sampled(representation: Representation) -> Representation:
    """Return one sample of the posterior per row where posterior variances are known, and else the same codes.

    A latent that has collapsed to the prior carries no information then, although its mean, read at a precision that
    no decoder has, may contain a clean trace of a factor.
    """
    return representation if representation.log_variance is None else representation.cached(at_resolution)


def _with_posterior_noise(mean: NDArray[np.floating], log_variance: NDArray[np.floating]) -> NDArray[np.floating]:
    codes = np.empty(mean.shape, _dtype(mean))
    n_equal: dict[int, int] = {}
    for j in range(mean.shape[1]):
        code = np.ascontiguousarray(mean[:, j])
        seed = seed_of_values(code)
        n_equal[seed] = n_equal.get(seed, 0) + 1  # copies of a latent have independent noise
        variance = np.minimum(log_variance[:, j].astype(np.float64), _MAX_LOG_VARIANCE[mean.itemsize])
        codes[:, j] = code + np.exp(variance / 2) * noise_by_rank(code, seed + n_equal[seed])
    return codes


def _blurred(representation: Representation) -> NDArray[np.floating]:
    levels = [_levels(representation, k) for k in range(representation.n_factors)]
    exact = well_scaled(representation.codes)  # only the order of the result matters
    codes = exact.astype(_dtype(exact))
    for j in np.flatnonzero(~constant(representation.codes) & ~representation.categorical_codes):
        code = np.ascontiguousarray(exact[:, j])
        blur: Floats = step_blur(code, levels)
        if blur.any():
            codes[:, j] = code + blur * noise_by_rank(code)
    return codes


def _dtype(codes: NDArray[np.floating]) -> np.dtype[np.floating]:
    """Return the type of codes with noise: of millions of rows many would be equal in single precision."""
    return np.result_type(codes, np.float64 if len(codes) > _MOST_SINGLE_PRECISION_ROWS else codes)


def _levels(representation: Representation, position: int) -> Levels:
    n_bins = max(FACTOR_BINS, min(_MOST_LEVELS, len(representation) // _ROWS_OF_LEVEL))
    factor = representation.cached(value_target, position, n_bins)
    return Levels(factor.values, max(1, factor.n_classes))
