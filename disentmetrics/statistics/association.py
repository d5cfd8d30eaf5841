"""Association of latents and factors: rank correlation, computed once per representation."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from disentmetrics.estimators.rank_correlation import standardise, standardised_ranks
from disentmetrics.representation import Representation


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
        columns = representation.cached(factor_columns, position)
        present = ~np.isnan(columns[:, 0])
        if present.sum() < 2:
            continue
        whole = present.all()
        codes = representation.cached_by_codes(transform) if whole else transform(representation.codes[present])
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
