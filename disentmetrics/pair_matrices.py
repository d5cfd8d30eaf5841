"""Matrices of (code, factor) pairs, computed once a representation and read by many metrics.

Each is a function ``(representation, ...) -> (n_codes, n_factors)``; metrics ask for it through
``representation.shared(function, ...)``, which computes it once.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

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
from disentmetrics.estimators.rank_correlation import standardise, standardised_ranks
from disentmetrics.estimators.rank_spacing import SortedCode, rank_spacing_information, sort_code
from disentmetrics.representation import Representation

InformationEstimator = Literal["rank-spacing", "equal-width", "quantile", "adjusted", "posterior"]
Bins = Literal["equal-width", "quantile"]


def information_matrix(
    representation: Representation, estimator: InformationEstimator, n_bins: int = 20
) -> NDArray[np.float64]:
    """Return I(z_j; v_k) in nats, 0 for constant codes.

    Parameters
    ----------
    representation : Representation
        Rows that miss a factor's label are left out for that factor.
    estimator : {"rank-spacing", "equal-width", "quantile", "adjusted", "posterior"}
        ``rank-spacing`` has no bins and mean 0 for unrelated codes; ``equal-width`` and ``quantile``
        cut each code into ``n_bins`` and plug in; ``adjusted`` corrects the latter for chance;
        ``posterior`` integrates the aggregate posterior.
    n_bins : int
        Only for the estimators that have bins.
    """
    if estimator == "posterior":
        return _posterior_information(representation)
    nats = np.zeros((representation.n_codes, representation.n_factors))
    how: Bins = "equal-width" if estimator == "equal-width" else "quantile"
    for position in range(representation.n_factors):
        labels = representation.labels(position)
        present = labels >= 0
        if not present.any():
            continue
        n_values = int(labels.max()) + 1
        if estimator == "rank-spacing":
            for code, ready in enumerate(_sorted_codes(representation, present)):
                if ready is not None:
                    nats[code, position] = rank_spacing_information(ready, labels[present], n_values)
            continue
        information = adjusted_information if estimator == "adjusted" else plug_in_information
        for code, bins in enumerate(_bins_of_present(representation, present, how, n_bins)):
            if bins is not None:
                n_present = int(bins.max()) + 1
                nats[code, position] = information(contingency(bins, labels[present], n_present, n_values))
    return nats


def _posterior_information(representation: Representation) -> NDArray[np.float64]:
    if representation.log_variance is None:
        raise UndefinedScoreError("the posterior estimator needs posterior variances (log_variance)")
    table = np.stack([representation.labels(k) for k in range(representation.n_factors)], axis=1)
    sizes = [int(column.max()) + 1 for column in table.T]
    try:
        found = mixture_information(representation.codes, representation.log_variance, table, sizes)
    except InvalidInputError as error:
        raise UndefinedScoreError(f"the aggregate posteriors cannot be integrated: {error}") from error
    return found.mutual_information


def _sorted_codes(representation: Representation, present: NDArray[np.bool_]) -> list[SortedCode | None]:
    if present.all():
        return representation.shared_by_codes(_sort_each)
    return _sort_each(representation.codes[present])


def _sort_each(codes: NDArray[np.floating]) -> list[SortedCode | None]:
    return [None if dead else sort_code(np.ascontiguousarray(codes[:, j])) for j, dead in enumerate(constant(codes))]


def code_bins(representation: Representation, how: Bins, n_bins: int) -> list[NDArray[np.int64] | None]:
    """Cut every code into bins numbered from 0; None for a constant code.

    ``quantile`` leaves a code of at most ``n_bins`` distinct values as it is.
    """
    return representation.shared_by_codes(_bin_each, how, n_bins)


def _bins_of_present(
    representation: Representation, present: NDArray[np.bool_], how: Bins, n_bins: int
) -> list[NDArray[np.int64] | None]:
    if present.all():
        return code_bins(representation, how, n_bins)
    return _bin_each(representation.codes[present], how, n_bins)


def _bin_each(codes: NDArray[np.floating], how: Bins, n_bins: int) -> list[NDArray[np.int64] | None]:
    cut = equal_width_bins if how == "equal-width" else _quantile_bins_or_values
    return [None if dead else cut(np.ascontiguousarray(codes[:, j]), n_bins) for j, dead in enumerate(constant(codes))]


def _quantile_bins_or_values(values: NDArray[np.floating], n_bins: int) -> NDArray[np.int64]:
    if len(np.unique(values[: 50 * n_bins])) <= n_bins:
        distinct, index = np.unique(values, return_inverse=True)
        if len(distinct) <= n_bins:
            return np.asarray(index, dtype=np.int64).ravel()
    return quantile_bins(values, n_bins)


def factor_entropies(representation: Representation) -> NDArray[np.float64]:
    """Return the plug-in entropy of each factor in nats, as (n_factors,)."""
    labels = (representation.labels(k) for k in range(representation.n_factors))
    return np.array([entropy(np.bincount(column[column >= 0], minlength=1)) for column in labels])


def factor_columns(representation: Representation, position: int) -> NDArray[np.float64]:
    """Return a factor as numbers, (n_samples, width), NaN where missing.

    Ordinal and continuous factors as they are (physical values where the factor has numbers for
    values), circular ones as cosine and sine together, categories as indicators of all but the first.
    """
    factor = representation.space.factors[position]
    values = np.asarray(representation.factors[:, position], dtype=np.float64)
    missing = np.isnan(values) | ((values < 0) & (factor.size is not None))
    if factor.size is None or factor.kind == "ordinal":
        columns = values[:, None]
        if factor.values and not isinstance(factor.values[0], str):
            known = np.array(factor.values, dtype=np.float64)
            columns = known[np.where(missing, 0, values).astype(np.int64)][:, None]
    elif factor.kind == "circular":
        angle = 2 * np.pi * values / factor.size
        columns = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    else:
        columns = (values[:, None] == np.arange(1, max(2, factor.size))).astype(np.float64)
    return np.asarray(np.where(missing[:, None], np.nan, columns))


def correlation_matrix(
    representation: Representation, method: Literal["pearson", "spearman"] = "pearson"
) -> NDArray[np.float64]:
    """Return |correlation| of each code with each factor, in [0, 1]; 0 where either is constant.

    For circular factors and for categories it is the multiple correlation of the code with all
    columns of the factor (:func:`factor_columns`) together; ``spearman`` ranks codes, and ordinal and
    continuous factors.
    """
    found = np.zeros((representation.n_codes, representation.n_factors))
    transform = standardise if method == "pearson" else standardised_ranks
    for position in range(representation.n_factors):
        columns = representation.shared(factor_columns, position)
        present = ~np.isnan(columns[:, 0])
        if present.sum() < 2:
            continue
        whole = present.all()
        codes = representation.shared_by_codes(transform) if whole else transform(representation.codes[present])
        columns = columns if whole else columns[present]
        if columns.shape[1] == 1:
            found[:, position] = np.abs(codes.T @ transform(columns)[:, 0]) / len(codes)
        else:
            basis = _orthonormal(standardise(columns))
            found[:, position] = np.sqrt(np.sum((codes.T @ basis) ** 2, axis=1) / len(codes))
    return np.minimum(found, 1.0)


def _orthonormal(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    # From the small matrix of products: a decomposition of the long columns themselves takes five times as long.
    strength, directions = np.linalg.eigh(columns.T @ columns)
    kept = strength > 1e-12 * max(float(strength[-1]), 1e-300)
    return np.asarray(columns @ (directions[:, kept] / np.sqrt(strength[kept])))


def best_and_second(matrix: NDArray[np.float64], axis: int = 0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the largest and the second largest entries along an axis; the second is 0 where there is one entry."""
    if matrix.shape[axis] == 1:
        return np.asarray(matrix.max(axis=axis)), np.zeros(matrix.shape[1 - axis])
    ranked = np.partition(matrix, matrix.shape[axis] - 2, axis=axis)
    return np.asarray(ranked.take(-1, axis=axis)), np.asarray(ranked.take(-2, axis=axis))


def matched(matrix: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pair codes with factors one to one so that the sum is largest; return codes and factors of the pairs.

    The Hungarian method; with fewer codes than factors some factors stay unpaired.

    Examples
    --------
    >>> codes, factors = matched(np.array([[0.9, 0.8], [0.8, 0.1], [0.0, 0.0]]))
    >>> codes.tolist(), factors.tolist()
    ([0, 1], [1, 0])
    """
    from scipy.optimize import linear_sum_assignment  # slow to import

    codes, factors = linear_sum_assignment(-matrix)
    return np.asarray(codes, dtype=np.int64), np.asarray(factors, dtype=np.int64)
