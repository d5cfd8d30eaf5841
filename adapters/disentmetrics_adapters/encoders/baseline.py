"""Scheme ``baseline``: reference encoders that need no training."""

import hashlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.threads import single_threaded_blas
from disentmetrics.datasets.base import DataSet
from disentmetrics.encoders.protocol import Encoder
from disentmetrics.encoders.registry import Fingerprinted
from disentmetrics.errors import InvalidInputError, did_you_mean
from disentmetrics.factors import Factor, FactorSpace
from disentmetrics_adapters.encoders._conventions import scale
from disentmetrics_adapters.encoders._options import log, positive_integer

N_CODES, N_FIT = 10, 10_000
FIT_BATCH = 1000
NEGLIGIBLE = 1e-5
"""Share of the largest standard deviation below which a direction of the observations is rounding noise."""


@dataclass(frozen=True)
class FactorsEncoder:
    """The ground truth: discrete factors standardised over their values, continuous factors unchanged."""

    space: FactorSpace
    reads_factors = True

    def __call__(self, factors: NDArray[np.generic], /) -> NDArray[np.floating]:
        """Return the codes of factors (n, n_factors): indices of discrete factors, values of continuous ones."""
        checked = self.space.check_indices(factors) if self.space.is_grid else self.space.check_values(factors)
        return np.stack([_codes(f, column) for f, column in zip(self.space, checked.T, strict=True)], axis=1)


def _codes(factor: Factor, column: NDArray[np.generic]) -> NDArray[np.floating]:
    if factor.size is None:
        return column.astype(np.float64)  # no finite set of values to standardise over
    return _standardised(factor)[column.astype(np.int64)]


def _standardised(factor: Factor) -> NDArray[np.floating]:
    indices = np.arange(factor.size or 0, dtype=np.float64)
    numeric = factor.kind == "ordinal" and all(isinstance(value, int | float) for value in factor.values)
    values = np.array(factor.values, np.float64) if numeric and factor.values else indices
    return np.asarray((values - values.mean()) / (values.std() or 1.0))


class PixelsEncoder:
    """Flattened observations, scaled to 0..1."""

    def __call__(self, observations: NDArray[np.generic], /) -> NDArray[np.floating]:
        """Return the values of observations (n, ...)."""
        return _flattened(observations)


@dataclass(frozen=True, eq=False)
class LinearEncoder:
    """A linear projection of centred observations."""

    mean: NDArray[np.floating]
    weights: NDArray[np.floating]

    def __call__(self, observations: NDArray[np.generic], /) -> NDArray[np.floating]:
        """Return the projections of observations (n, ...)."""
        with single_threaded_blas():
            return np.asarray((_flattened(observations) - self.mean) @ self.weights)


@dataclass(frozen=True)
class RandomEncoder:
    """Standard normal noise, a deterministic function of the bytes of each observation and the seed.

    Equal observations have equal codes, as with any encoder; otherwise the codes are uninformative.
    """

    n_codes: int
    seed: int

    def __call__(self, observations: NDArray[np.generic], /) -> NDArray[np.floating]:
        """Return the noise of observations (n, ...)."""
        from scipy.special import ndtri

        key = int(self.seed).to_bytes(16, "little", signed=True)
        rows = np.ascontiguousarray(observations, observations.dtype.newbyteorder("<"))
        digests = b"".join(hashlib.shake_256(key + row.tobytes()).digest(8 * self.n_codes) for row in rows)
        # 52 bits plus a half: never exactly 0 or 1, where the normal quantile is infinite.
        bits = np.frombuffer(digests, "<u8").reshape(len(rows), self.n_codes) >> np.uint64(12)
        return np.asarray(ndtri((bits + 0.5) / 2.0**52), np.float64)


def _flattened(observations: NDArray[np.generic]) -> NDArray[np.floating]:
    flat = np.asarray(observations).reshape(len(observations), -1)
    values = scale(flat, "auto")
    return values if np.issubdtype(values.dtype, np.floating) else values.astype(np.float64)


def _is_table(data: DataSet) -> bool:
    return data.sampling == "uniform" and not data.has_distribution


def _n_fitted(data: DataSet, n_fit: int) -> int:
    return min(n_fit, len(data)) if _is_table(data) else n_fit


def _fitting_observations(data: DataSet, n_fit: int, seed: int) -> NDArray[np.floating]:
    draws = data.sample(n_fit, np.random.default_rng(seed), replace=not _is_table(data))
    batches = [draws[i : i + FIT_BATCH] for i in range(0, n_fit, FIT_BATCH)]
    first = _flattened(data.observations(batches[0].factors, batches[0].nuisance))
    observations = np.empty((n_fit, first.shape[1]), first.dtype)  # filled in place: one copy of all and one batch
    observations[: len(first)] = first
    for number, batch in enumerate(batches[1:], start=1):
        observations[number * FIT_BATCH : number * FIT_BATCH + len(batch)] = _flattened(
            data.observations(batch.factors, batch.nuisance)
        )
    return observations


def fit_pca(observations: NDArray[np.floating], n_codes: int | None, seed: int) -> LinearEncoder:
    """Fit principal components to observations (n, n_dimensions), which are centred in place.

    Without ``n_codes`` there are 10 components, or as many as the observations have directions of non-negligible
    variance, if these are fewer.
    """
    from sklearn.utils.extmath import randomized_svd

    n_components = min(observations.shape)
    if n_codes is not None and n_codes > n_components:
        raise InvalidInputError(
            f"n_codes must be at most {n_components}, the smaller of n_fit = {observations.shape[0]} observations and "
            f"{observations.shape[1]} dimensions; got {n_codes}"
        )
    mean = observations.mean(axis=0)
    observations -= mean
    # Same computation as sklearn's PCA(svd_solver="randomized"), without a second copy of the observations.
    _, spread, components = randomized_svd(observations, n_codes or min(N_CODES, n_components), random_state=seed)
    if n_codes is None:
        components = components[: max(1, _rank(spread))]
    return LinearEncoder(mean, components.T.copy())


def _rank(spread: NDArray[np.floating]) -> int:
    return int((spread > NEGLIGIBLE * spread.max()).sum())


def fit_ica(observations: NDArray[np.floating], n_codes: int | None, seed: int) -> LinearEncoder:
    """Fit independent components, of unit variance, to the principal components of observations."""
    from sklearn.decomposition import FastICA
    from sklearn.exceptions import ConvergenceWarning

    pca = fit_pca(observations, n_codes, seed)
    projected = (observations @ pca.weights).astype(np.float64)
    spread = projected.std(axis=0)
    rank, width = _rank(spread), projected.shape[1]
    if rank < width:
        raise InvalidInputError(
            f"the {len(observations)} observations span {rank} dimensions, too few for {width} independent "
            f"components; give n_codes={max(rank, 1)} or more observations by n_fit="
        )
    ica = FastICA(width, whiten="unit-variance", random_state=seed, max_iter=2_000, tol=1e-3)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        ica.fit(projected / spread)
    if any(issubclass(warning.category, ConvergenceWarning) for warning in caught):
        log.warning("FastICA did not converge in %d iterations; its last components are used", ica.max_iter)
    return LinearEncoder(pca.mean, (pca.weights / spread) @ ica.components_.T)


FITS: dict[str, Callable[[NDArray[np.floating], int | None, int], LinearEncoder]] = {"pca": fit_pca, "ica": fit_ica}


def load(
    target: str,
    *,
    n_codes: str = "",
    n_fit: str = "",
    data: DataSet | None = None,
    seed: int = 0,
) -> Encoder:
    """Load an encoder that needs no training: factors, pixels, pca, ica or random.

    ``baseline:factors`` gives the standardised ground truth, an upper bound;
    ``baseline:random`` gives noise, a deterministic function of each observation, a
    lower bound. ``pixels`` gives the observations themselves, images as values in 0..1;
    ``pca`` and ``ica`` are fitted to observations that are drawn at random by the seed.

    Options
    -------
    n_codes : integer, default 10
        Number of latents of pca, ica and random. By default pca and ica have fewer where
        the observations have fewer dimensions.
    n_fit : integer, default 10000
        Number of observations to which pca and ica are fitted, at most the rows of a
        table.

    Example
    -------
    baseline:pca?n_codes=6
    """
    names = ("factors", "pixels", "pca", "ica", "random")
    if target not in names:
        raise InvalidInputError(
            f"the baseline must be one of {', '.join(names)}; got {target!r}{did_you_mean(target, names)}"
        )
    if (n_codes and target in {"factors", "pixels"}) or (n_fit and target not in FITS):
        raise InvalidInputError(
            f"baseline:{target} has no option {'n_fit' if n_fit else 'n_codes'}: n_codes is for pca, ica and "
            "random, n_fit for pca and ica"
        )
    width = positive_integer("n_codes", n_codes) if n_codes else None
    if target == "pixels":
        return Fingerprinted(PixelsEncoder(), "baseline-pixels")
    if target == "random":
        width = width or N_CODES
        return Fingerprinted(RandomEncoder(width, seed), f"baseline-random-{width}-seed-{seed}")
    if data is None:
        raise InvalidInputError(
            f"baseline:{target} depends on the data set; specify it by --data, or by data= in Python"
        )
    if target == "factors":
        return Fingerprinted(FactorsEncoder(data.space), f"baseline-factors-{data.fingerprint}")
    n_observations = _n_fitted(data, positive_integer("n_fit", n_fit) if n_fit else N_FIT)
    log.info("fitting baseline:%s to %d observations", target, n_observations)
    observations = _fitting_observations(data, n_observations, seed)
    with single_threaded_blas():  # codes must not depend on the number of CPUs
        encoder = FITS[target](observations, width, seed)
    fitted = f"{encoder.weights.shape[1]}-of-{n_observations}"
    return Fingerprinted(encoder, f"baseline-{target}-{fitted}-seed-{seed}-{data.fingerprint}")
