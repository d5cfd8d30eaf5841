"""Mutual information of latents and factors, normalised and masked for the metrics that are gaps and shares of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.typing import Floats
from disentmetrics.errors import InvalidInputError, UndefinedScoreError
from disentmetrics.estimators.activity import constant, standard_deviation
from disentmetrics.estimators.assignment import one_to_one_assignment
from disentmetrics.estimators.mutual_information import (
    adjusted_information,
    contingency,
    entropy,
    equal_width_bins,
    plug_in_information,
)
from disentmetrics.estimators.rank_spacing import sorted_rows
from disentmetrics.estimators.soft_bins import Assignment, entropy_of_masses, soft_contingency
from disentmetrics.factors import Factor, FactorSpace
from disentmetrics.representation import Representation
from disentmetrics.statistics.mutual_information import (
    Bins,
    InformationEstimator,
    code_bins,
    factor_entropies,
    information_matrix,
)
from disentmetrics.statistics.significance import active_codes
from disentmetrics.statistics.targets import factor_values, label_table, value_target, varied_factors


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
    estimator : {"rank-spacing", "equal-width", "quantile", "adjusted", "posterior"}
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
    table = representation if factor_bins is None else representation.cached(with_binned_factors, factor_bins)
    defined = table.cached(varied_factors)
    if not defined.any():
        raise UndefinedScoreError("at least one factor must take two values; every factor is constant")
    entropies = table.cached(factor_entropies)
    estimates = table.cached(information_matrix, estimator, n_bins)
    kept, settings = np.ones(representation.n_codes, dtype=bool), {}
    if estimator == "posterior":
        settings = {"code": "mean+logvar"}
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
    return Representation(
        representation.codes, np.stack(columns, axis=1), space=space, log_variance=representation.log_variance
    )


def code_entropies(representation: Representation, how: Bins, n_bins: int) -> Floats:
    """Return H(z_j) in nats over the rows with a label of factor k, as (n_codes, n_factors); 0 if constant."""
    entropies = np.zeros((representation.n_codes, representation.n_factors))
    for position in range(representation.n_factors):
        factor = representation.cached(value_target, position)
        if factor.n_classes:
            table = representation if factor.is_complete else representation.take(factor.present)
            entropies[:, position] = table.cached(_entropies_of_bins, how, n_bins)
    return entropies


def _entropies_of_bins(representation: Representation, how: Bins, n_bins: int) -> Floats:
    return np.array(
        [0.0 if bins is None else entropy(np.bincount(bins)) for bins in code_bins(representation, how, n_bins)]
    )


def information_at_resolution(representation: Representation) -> tuple[Floats, Floats]:
    """Return I(z_j; v_k) and H(z_j) in nats, with each latent discretised as finely as the factor.

    For a factor that takes m values a latent is discretised into m bins of equal frequency, or by its values if
    there are at most m of them. The information is corrected for chance.

    Returns
    -------
    information, entropies : (n_codes, n_factors) float
        0 for constant latents; the information is not negative.
    """
    information = np.zeros((representation.n_codes, representation.n_factors))
    entropies = np.zeros_like(information)
    for position in range(representation.n_factors):
        factor = representation.cached(value_target, position)
        labels = factor.of(factor.values)
        n_occurring = len(np.unique(labels))
        if n_occurring < 2:
            continue
        complete = factor.is_complete
        ranks = representation.cached_by_codes(_ranks) if complete else _ranks(representation.codes[factor.present])
        for code, rank in enumerate(ranks):
            if rank is not None:
                bins, middle = _bins_of_ranks(rank, n_occurring)
                estimates = []
                for bins_of_middle in (bins[middle], bins[middle] - 1) if len(middle) else ((),):
                    bins[middle] = bins_of_middle
                    counts = contingency(bins, labels, int(bins.max()) + 1, factor.n_classes)
                    estimates.append((adjusted_information(counts), entropy(counts.sum(axis=1))))
                best = max(estimates)  # the larger one, so that the sign of the latent does not matter
                information[code, position], entropies[code, position] = max(0.0, best[0]), best[1]
    return information, entropies


@dataclass(frozen=True)
class _Ranks:
    """Twice the rank of each row's value, ranks being odd multiples of 1/2; equal values share their mean rank."""

    twice: NDArray[np.integer]
    n_distinct: int


def _ranks(codes: NDArray[np.floating]) -> list[_Ranks | None]:
    return [None if dead else _ranks_of(np.ascontiguousarray(codes[:, j])) for j, dead in enumerate(constant(codes))]


def _ranks_of(values: NDArray[np.floating]) -> _Ranks:
    order = sorted_rows(values)
    ordered = values[order]
    start = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    end = np.append(start[1:], len(values))
    twice: NDArray[np.integer] = np.empty(len(values), dtype=np.int32 if len(values) < 2**30 else np.int64)
    twice[order] = np.repeat(start + end, end - start)
    return _Ranks(twice, len(start))


def _bins_of_ranks(rank: _Ranks, n_bins: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return bins of equal frequency, and the rows at the exact centre, which may as well be one bin lower."""
    if rank.n_distinct <= n_bins:
        values = np.unique(rank.twice, return_inverse=True)[1].ravel()
        return np.asarray(values, dtype=np.int64), np.empty(0, dtype=np.int64)
    bins, over = np.divmod(rank.twice.astype(np.int64) * n_bins, 2 * len(rank.twice))
    middle = np.flatnonzero((over == 0) & (2 * bins == n_bins))
    bins -= (over == 0) & (2 * bins > n_bins)  # a row on an edge goes to the inner bin, whatever the sign
    return np.asarray(bins, dtype=np.int64), middle


def information_between_factors(representation: Representation) -> Floats:
    """Return I(v_k; v_l) in nats, corrected for chance and not negative, as (n_factors, n_factors).

    Over the rows with labels of both; the diagonal contains the entropies.
    """
    n_factors = representation.n_factors
    nats = np.diag(representation.cached(factor_entropies))
    factors = [representation.cached(value_target, k) for k in range(n_factors)]
    for first in range(n_factors):
        for second in range(first):
            present = factors[first].present & factors[second].present
            if present.any():
                a, b = factors[first].values[present], factors[second].values[present]
                for k, m, counts in (
                    (first, second, contingency(b, a, int(b.max()) + 1, int(a.max()) + 1)),
                    (second, first, contingency(a, b, int(a.max()) + 1, int(b.max()) + 1)),
                ):
                    nats[k, m] = max(0.0, adjusted_information(counts))
    return nats


def share_of_code(
    representation: Representation, how: Bins | Literal["values"], n_bins: int, *, adjusted: bool
) -> Floats:
    """Return I(z_j; v_k) / H(z_j), the share of a latent's entropy that one factor explains.

    Parameters
    ----------
    representation : Representation
    how : {"quantile", "equal-width", "values"}
        How latents are discretised; ``values`` treats each value as a symbol.
    n_bins : int
        Number of bins; unused with ``values``.
    adjusted : bool
        Whether to correct for chance, ``(I - E) / (H(z_j) - E)`` with E the mean under random pairing.

    Returns
    -------
    (n_codes, n_factors) float
        In [0, 1]; NaN for a constant latent.
    """
    if how == "values":
        cut = representation.cached_by_codes(_symbols)
    elif how == "quantile":
        ranks = representation.cached_by_codes(_ranks)
        cut = [None if rank is None else _bins_of_ranks(rank, n_bins)[0] for rank in ranks]
    else:
        cut = representation.cached(code_bins, how, n_bins)
    share = np.full((representation.n_codes, representation.n_factors), np.nan)
    for position in range(representation.n_factors):
        factor = representation.cached(value_target, position)
        if not factor.n_classes:
            continue
        labels = factor.of(factor.values)
        for code, bins in enumerate(cut):
            if bins is not None:
                counts = contingency(factor.of(bins), labels, int(bins.max()) + 1, factor.n_classes)
                h = entropy(counts.sum(axis=1))
                mi = adjusted_information(counts.T) if adjusted else plug_in_information(counts)
                share[code, position] = min(1.0, max(0.0, mi / h)) if h > 0 else 0.0
    return share


def _symbols(codes: NDArray[np.floating]) -> list[NDArray[np.int64] | None]:
    return [
        None if dead else np.asarray(np.unique(codes[:, j], return_inverse=True)[1], dtype=np.int64).ravel()
        for j, dead in enumerate(constant(codes))
    ]


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


def assign_codes(shares: Floats, declared: Sequence[int] | None, *, one_to_one: bool = True) -> NDArray[np.int64]:
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


@dataclass(frozen=True, eq=False)
class SoftInformation:
    """Mutual information and entropies of latents that are distributions over bins, in nats.

    Attributes
    ----------
    nats, joint : (n_codes, n_factors) float
        I(z_j; v_k) and H(z_j, v_k).
    """

    nats: Floats
    joint: Floats


def soft_information(
    representation: Representation, n_bins: int, limit: float | None, assignment: Assignment
) -> SoftInformation:
    """Estimate I(z_j; v_k) and H(z_j, v_k) with each row spread over bins according to its posterior.

    Parameters
    ----------
    representation : Representation
        With posterior variances.
    n_bins : int
        Number of bins of equal width.
    limit : float, optional
        Bins span -limit to limit; by default 4 standard deviations on either side of the mean of the
        aggregate posterior, separately for each latent.
    assignment : {"mass", "centres"}
        As in :func:`disentmetrics.estimators.soft_bins.soft_contingency`.
    """
    if representation.log_variance is None:
        raise UndefinedScoreError("soft bins need posterior variances (log_variance)")
    labels = representation.cached(label_table)
    sizes = labels.max(axis=0) + 1
    start = np.cumsum(sizes) - sizes
    numbered = np.where(labels >= 0, labels + start, -1)
    nats, joint = np.zeros((2, representation.n_codes, representation.n_factors))
    for code in range(representation.n_codes):
        mean = representation.codes[:, code].astype(np.float64)
        with np.errstate(over="ignore"):
            deviation = np.exp(0.5 * representation.log_variance[:, code].astype(np.float64))
        widest = deviation.max()
        if not 0 < np.nextafter(deviation.min(), 0) <= widest < np.inf:
            name = representation.code_names[code]
            raise UndefinedScoreError(f"latent {name} has a posterior variance of 0 or infinity")
        centre, reach = 0.0, limit
        if reach is None:
            typical = widest * np.sqrt(np.mean((deviation / widest) ** 2))  # squares of extreme scales overflow
            centre, reach = float(mean.mean()), 4 * float(np.hypot(standard_deviation(mean[:, None])[0], typical))
        edges = np.linspace(centre - reach, centre + reach, n_bins + 1)
        table = soft_contingency(mean, deviation, edges, numbered, int(sizes.sum()), assignment)
        for factor, (first, size) in enumerate(zip(start, sizes, strict=True)):
            masses = table[:, first : first + size]
            joint[code, factor] = entropy_of_masses(masses)
            apart = entropy_of_masses(masses.sum(axis=0)) + entropy_of_masses(masses.sum(axis=1))
            nats[code, factor] = max(0.0, apart - joint[code, factor])
    return SoftInformation(nats, joint)
