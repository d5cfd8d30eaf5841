"""Mutual information of every latent with every factor, and the entropies of factors.

Metrics call these functions through ``representation.cached(function, ...)``, which computes each value once.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.typing import Floats, Integers
from disentmetrics.errors import InvalidInputError, UndefinedScoreError
from disentmetrics.estimators.activity import constant
from disentmetrics.estimators.gaussian_mixture import mixture_information
from disentmetrics.estimators.mutual_information import (
    adjusted_information,
    contingency,
    entropy,
    equal_width_bins,
    plug_in_information,
    quantile_bins,
)
from disentmetrics.estimators.rank_spacing import SortedCode, rank_spacing_information, sort_code
from disentmetrics.representation import Representation
from disentmetrics.statistics.resolution import at_resolution
from disentmetrics.statistics.targets import Target, label_table, value_target

InformationEstimator = Literal["finite-resolution", "rank-spacing", "equal-width", "quantile", "adjusted", "posterior"]
Bins = Literal["equal-width", "quantile"]


def information_matrix(representation: Representation, estimator: InformationEstimator, n_bins: int = 20) -> Floats:
    """Return I(z_j; v_k) in nats, (n_codes, n_factors); 0 for constant latents.

    Parameters
    ----------
    representation : Representation
        Rows that miss a factor's label are left out for that factor.
    estimator : {"finite-resolution", "rank-spacing", "equal-width", "quantile", "adjusted", "posterior"}
        ``rank-spacing`` has no bins and mean 0 for independent latents; ``finite-resolution`` applies it to
        the codes of :func:`disentmetrics.statistics.resolution.at_resolution`; ``equal-width`` and ``quantile``
        discretise each latent into ``n_bins`` bins and use the plug-in estimate; ``adjusted`` corrects the latter for
        chance; ``posterior`` integrates the aggregate posterior.
    n_bins : int
        Only for estimators that have bins.
    """
    if estimator == "posterior":
        return _posterior_information(representation.unresolved)
    if estimator == "finite-resolution":
        return at_resolution(representation).cached(information_matrix, "rank-spacing", n_bins)
    nats = np.zeros((representation.n_codes, representation.n_factors))
    how: Bins = "equal-width" if estimator == "equal-width" else "quantile"
    for position in range(representation.n_factors):
        factor = representation.cached(value_target, position)
        if not factor.n_classes:
            continue
        labels = factor.of(factor.values)
        if estimator == "rank-spacing":
            for code, ready in enumerate(_sorted_codes(representation, factor)):
                if ready is not None:
                    nats[code, position] = rank_spacing_information(ready, labels, factor.n_classes)
            continue
        information = adjusted_information if estimator == "adjusted" else plug_in_information
        for code, bins in enumerate(_bins_of_present(representation, factor, how, n_bins)):
            if bins is not None:
                nats[code, position] = information(contingency(bins, labels, int(bins.max()) + 1, factor.n_classes))
    return nats


def _posterior_information(representation: Representation) -> Floats:
    if representation.log_variance is None:
        raise UndefinedScoreError("the posterior estimator needs posterior variances (log_variance)")
    table = representation.cached(label_table)
    sizes = [int(column.max()) + 1 for column in table.T]
    try:
        mixture = mixture_information(representation.codes, representation.log_variance, table, sizes)
    except InvalidInputError as error:
        raise UndefinedScoreError(f"the aggregate posteriors cannot be integrated: {error}") from error
    return mixture.mutual_information


def _sorted_codes(representation: Representation, factor: Target) -> list[SortedCode | None]:
    if factor.is_complete:
        return representation.cached_by_codes(_sort_each)
    return _sort_each(representation.codes[factor.present])


def _sort_each(codes: NDArray[np.floating]) -> list[SortedCode | None]:
    return [None if dead else sort_code(np.ascontiguousarray(codes[:, j])) for j, dead in enumerate(constant(codes))]


def code_bins(representation: Representation, how: Bins, n_bins: int) -> list[Integers | None]:
    """Return the bin of each row from 0, for every latent; None for a constant latent.

    With ``quantile``, a latent of at most ``n_bins`` distinct values has one bin per value.
    """
    return representation.cached_by_codes(_bin_each, how, n_bins)


def _bins_of_present(representation: Representation, factor: Target, how: Bins, n_bins: int) -> list[Integers | None]:
    if factor.is_complete:
        return code_bins(representation, how, n_bins)
    return _bin_each(representation.codes[factor.present], how, n_bins)


def _bin_each(codes: NDArray[np.floating], how: Bins, n_bins: int) -> list[Integers | None]:
    cut = equal_width_bins if how == "equal-width" else _quantile_bins_or_values
    return [None if dead else cut(np.ascontiguousarray(codes[:, j]), n_bins) for j, dead in enumerate(constant(codes))]


def _quantile_bins_or_values(values: NDArray[np.floating], n_bins: int) -> Integers:
    if len(np.unique(values[: 50 * n_bins])) <= n_bins:
        distinct, index = np.unique(values, return_inverse=True)
        if len(distinct) <= n_bins:
            return np.asarray(index, dtype=np.int64).ravel()
    return quantile_bins(values, n_bins)


def factor_entropies(representation: Representation) -> Floats:
    """Return the plug-in entropy of each factor in nats, as (n_factors,)."""
    factors = (representation.cached(value_target, k) for k in range(representation.n_factors))
    return np.array([entropy(np.bincount(factor.of(factor.values), minlength=1)) for factor in factors])


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
