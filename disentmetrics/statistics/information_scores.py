"""Mutual information of latents and factors, normalised and masked for the metrics that are gaps and shares of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.typing import Floats, Integers
from disentmetrics.errors import InvalidInputError, UndefinedScoreError
from disentmetrics.estimators.assignment import one_to_one_assignment
from disentmetrics.estimators.mutual_information import equal_width_bins
from disentmetrics.factors import Factor, FactorSpace
from disentmetrics.representation import Representation
from disentmetrics.statistics.mutual_information import InformationEstimator, factor_entropies, information_matrix
from disentmetrics.statistics.resolution import resolution_of, with_resolution
from disentmetrics.statistics.significance import active_codes
from disentmetrics.statistics.targets import factor_values, varied_factors

DETERMINED = 0.01
"""Share of a factor's entropy that remains given another factor, up to which the other one determines it."""


@dataclass(frozen=True, eq=False)
class NormalizedMutualInformation:
    """Mutual information of all pairs of latent and factor, with the entropies that normalise it.

    Attributes
    ----------
    estimates : (n_codes, n_factors) float
        I(z_j; v_k) in nats as estimated, which may fall outside [0, H(v_k)]; 0 for latents that are left out.
    entropies : (n_factors,) float
        H(v_k) in nats.
    defined : (n_factors,) bool
        Factors that take two values; there is at least one.
    kept : (n_codes,) bool
        Latents that are not left out.
    settings : dict of str
        Fields of the signature.
    """

    estimates: Floats
    entropies: Floats
    defined: NDArray[np.bool_]
    kept: NDArray[np.bool_]
    settings: dict[str, str]

    @property
    def nats(self) -> Floats:
        """I(z_j; v_k) limited to [0, H(v_k)]."""
        return np.clip(self.estimates, 0.0, self.entropies)

    @property
    def shares(self) -> Floats:
        """I(z_j; v_k) / H(v_k), 0 for a constant factor."""
        return np.minimum(self.nats / np.where(self.defined, self.entropies, np.inf), 1.0)

    def per_factor(self, values: Floats) -> Floats:
        """Return the values with NaN for constant factors."""
        return np.where(self.defined, values, np.nan)


def normalized_mutual_information(
    representation: Representation,
    estimator: InformationEstimator,
    n_bins: int = 20,
    factor_bins: int | None = None,
) -> NormalizedMutualInformation:
    """Estimate I(z_j; v_k) and H(v_k) for all latents and factors.

    Parameters
    ----------
    representation : Representation
    estimator : {"finite-resolution", "rank-spacing", "equal-width", "quantile", "adjusted", "posterior"}
        As in :func:`disentmetrics.statistics.mutual_information.information_matrix`. With ``rank-spacing`` and
        ``adjusted``, where posterior variances are given, latents whose mean KL to the prior is at most 0.01 nats are
        left out.
    n_bins : int
        Number of bins of a latent, for estimators that have bins.
    factor_bins : int, optional
        Number of bins of equal width into which factors are discretised first.

    Raises
    ------
    UndefinedScoreError
        If no factor takes two values.
    """
    table = representation
    if factor_bins is not None:
        if estimator == "finite-resolution" and table.resolved is None:
            table = table.cached(with_resolution)  # that of the factors before they are binned
        table = table.cached(with_binned_factors, factor_bins)
    defined = table.cached(varied_factors)
    if not defined.any():
        raise UndefinedScoreError("at least one factor must take two values; every factor is constant")
    entropies = table.cached(factor_entropies)
    estimates = table.cached(information_matrix, estimator, n_bins)
    kept, settings = np.ones(representation.n_codes, dtype=bool), {}
    if estimator == "posterior":
        settings = {"code": "mean+logvar"}
    elif estimator == "finite-resolution":
        settings = {"resolution": resolution_of(representation)}
    elif estimator in {"rank-spacing", "adjusted"}:
        kept, settings = active_codes(representation)
    return NormalizedMutualInformation(np.where(kept[:, None], estimates, 0.0), entropies, defined, kept, settings)


def with_binned_factors(representation: Representation, n_bins: int) -> Representation:
    """Return the same codes with factors discretised into bins of equal width; missing labels stay missing."""
    columns = []
    for position in range(representation.n_factors):
        values = representation.cached(factor_values)[:, position]
        present = ~np.isnan(values)
        bins = np.full(len(values), -1)
        if present.any():
            bins[present] = equal_width_bins(values[present], n_bins)
        columns.append(bins)
    space = FactorSpace([Factor(factor.name, n_bins, "ordinal") for factor in representation.space])
    return representation.with_factors(np.stack(columns, axis=1), space)


def mean_by_best_factor(values: Floats, weights: Floats, shares: Floats) -> Floats:
    """Weighted mean of values over the latents whose best factor is each factor; NaN for a factor without any.

    Parameters
    ----------
    values, weights : (n_codes,) float
        Latents of weight 0 are left out.
    shares : (n_codes, n_factors) float
        The best factor of a latent has the largest share.

    Returns
    -------
    (n_factors,) float
    """
    n_factors = shares.shape[1]
    counted = weights > 0
    best = np.argmax(shares[counted], axis=1)
    total = np.bincount(best, weights[counted] * values[counted], minlength=n_factors)
    mass = np.bincount(best, weights[counted], minlength=n_factors)
    return np.where(mass > 0, total / np.where(mass > 0, mass, 1.0), np.nan)


def missing_factor_note(representation: Representation, shares: Floats, defined: NDArray[np.bool_]) -> tuple[str, ...]:
    """Return a note that names the factors of which no latent carries 10 % of the entropy, if any."""
    missing = defined & (shares.max(axis=0, initial=0.0) < 0.1)
    if not missing.any() or not shares.any():
        return ()
    names = " and ".join(np.array(representation.space.names)[missing])
    return (f"no latent carries 10 % of the entropy of {names}; this metric does not penalise missing factors",)


def assign_codes(shares: Floats, declared: Sequence[int] | None, *, one_to_one: bool = True) -> Integers:
    """Return the latent assigned to each factor, -1 for none, as (n_factors,).

    Parameters
    ----------
    shares : (n_codes, n_factors) float
    declared : sequence of int, optional
        Latent of each factor, -1 for none.
    one_to_one : bool
        Without declaration, whether latents and factors are matched one to one so that the sum of shares is largest,
        or each factor is assigned its most informative latent.

    Raises
    ------
    InvalidInputError
        If a declared latent does not exist or is assigned to two factors.
    """
    n_codes, n_factors = shares.shape
    if declared is None:
        owners = np.full(n_factors, -1)
        others = np.where(np.eye(n_factors, dtype=bool), 0.0, shares[:, None, :]).max(axis=2)
        preference = shares - 1e-6 * others  # among equal latents, the one less informative about other factors
        if not one_to_one:
            return np.where(shares.any(axis=0), np.argmax(preference, axis=0), -1)
        codes, factors = one_to_one_assignment(preference)
        owners[factors] = codes
        return owners
    owners = np.asarray(declared)
    if (
        owners.shape != (n_factors,)
        or owners.dtype.kind not in "iu"
        or (owners < -1).any()
        or (owners >= n_codes).any()
    ):
        raise InvalidInputError(
            f"owners must give a latent, 0 .. {n_codes - 1}, or -1 for none, for each of {n_factors} factors; "
            f"got {declared}"
        )
    used = owners[owners >= 0]
    if len(np.unique(used)) < len(used):
        raise InvalidInputError(f"owners must assign each latent to at most one factor; got {declared}")
    return owners.astype(np.int64)
