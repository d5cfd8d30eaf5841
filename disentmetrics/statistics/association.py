"""Association of latents and factors: rank correlation, computed once per representation."""

from typing import Literal

import numpy as np

from disentmetrics._utils.typing import Floats
from disentmetrics.estimators.rank_correlation import standardise, standardised_ranks
from disentmetrics.representation import Representation
from disentmetrics.statistics.targets import column_target


def correlation_matrix(representation: Representation, method: Literal["pearson", "spearman"] = "pearson") -> Floats:
    """Return the absolute correlation of each latent with each factor, in [0, 1]; 0 where either is constant.

    For circular and categorical factors it is the multiple correlation of the latent with all
    columns of the factor (:func:`~disentmetrics.statistics.targets.factor_columns`) jointly; ``spearman`` ranks
    latents, and ordinal and continuous factors.
    """
    correlation = np.zeros((representation.n_codes, representation.n_factors))
    transform = standardise if method == "pearson" else standardised_ranks
    for position in range(representation.n_factors):
        factor = representation.cached(column_target, position)
        if len(factor.rows) < 2:
            continue
        if factor.is_complete:  # then the transformed codes are shared by all such factors
            codes = representation.cached_by_codes(transform)
        else:
            codes = transform(representation.codes[factor.present])
        columns = factor.of(factor.values)
        if columns.shape[1] == 1:
            correlation[:, position] = np.abs(codes.T @ transform(columns)[:, 0]) / len(codes)
        else:
            basis = _orthonormal(standardise(columns))
            correlation[:, position] = np.sqrt(np.sum((codes.T @ basis) ** 2, axis=1) / len(codes))
    return np.minimum(correlation, 1.0)


def _orthonormal(columns: Floats) -> Floats:
    # Eigenvectors of the small Gram matrix: decomposing the long columns directly takes five times as long.
    eigenvalues, directions = np.linalg.eigh(columns.T @ columns)
    kept = eigenvalues > 1e-12 * max(float(eigenvalues[-1]), 1e-300)
    return np.asarray(columns @ (directions[:, kept] / np.sqrt(eigenvalues[kept])))


def best_and_second(matrix: Floats, axis: int = 0) -> tuple[Floats, Floats]:
    """Return the largest and the second largest entries along an axis; the second is 0 where there is one entry."""
    if matrix.shape[axis] == 1:
        return np.asarray(matrix.max(axis=axis)), np.zeros(matrix.shape[1 - axis])
    ranked = np.partition(matrix, matrix.shape[axis] - 2, axis=axis)
    return np.asarray(ranked.take(-1, axis=axis)), np.asarray(ranked.take(-2, axis=axis))
