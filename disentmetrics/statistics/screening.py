"""Screening of wide and sparse codes: the latents most correlated with any factor, without a dense matrix."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from disentmetrics._utils.arrays import as_array
from disentmetrics._utils.typing import Floats, Integers
from disentmetrics.errors import InvalidInputError
from disentmetrics.representation import Representation
from disentmetrics.statistics.targets import column_target


def screen(codes: Any, factors: Any, *, n_codes: int = 256, **options: Any) -> Representation:
    """Build a representation of the latents that are most correlated with any factor.

    A latent is ranked by its largest absolute correlation with a column of a factor (numbers unchanged, angles as
    cosine and sine, categories as indicators), using both its values and the indicator of its non-zero entries. Each
    factor selects an equal share of the latents, so that a factor with weak correlations is not crowded out.

    Parameters
    ----------
    codes : (n_samples, n_all_codes) array or scipy sparse matrix
        Tens of thousands of columns are possible: only the selected columns of a sparse matrix become dense.
    factors : as for Representation
    n_codes : int
        Number of latents to select, at least one per factor.
    **options
        Options of :class:`disentmetrics.Representation`; ``code_names`` names all latents.

    Returns
    -------
    Representation
        With the selected latents in their original order, named by their position (``z17``); ``inference`` states how
        many there were. Metrics of single latents (MIG, LMS, MCC) change little; those that average over latents are
        then averages over the selected ones.

    Raises
    ------
    InvalidInputError
        If shapes disagree, values are not finite, or ``n_codes`` is less than the number of factors.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> concept = rng.integers(2, size=500)
    >>> wide = sparse.random(500, 2_000, density=0.01, format="csc", rng=rng).tolil()
    >>> wide[:, 1234] = 3.0 * concept[:, None]
    >>> representation = screen(wide.tocsr(), {"concept": concept}, n_codes=4)
    >>> representation.n_codes, "z1234" in representation.code_names
    (4, True)
    """
    matrix = _checked(codes)
    names = options.pop("code_names", None)
    names = [f"z{j}" for j in range(matrix.shape[1])] if names is None else list(names)
    if len(names) != matrix.shape[1]:
        raise InvalidInputError(f"code_names must name {matrix.shape[1]} latents; got {len(names)} names")
    labelled = Representation(np.zeros((matrix.shape[0], 1)), factors, **options)
    if isinstance(n_codes, bool) or not isinstance(n_codes, int) or n_codes < labelled.n_factors:
        raise InvalidInputError(
            f"n_codes must be a whole number of at least one per factor, {labelled.n_factors}; got {n_codes!r}"
        )
    kept = _most_related(matrix, labelled, n_codes)
    dense = np.asarray(matrix[:, kept].toarray(), dtype=np.float64)
    screened = Representation(dense, factors, code_names=[names[j] for j in kept], **options)
    if len(kept) < matrix.shape[1]:
        note = (
            f"{len(kept)} of {matrix.shape[1]:,} latents were selected, those with the largest correlation with any "
            "factor; metrics that average over latents are averages over these"
        )
        object.__setattr__(screened, "inference", (note, *screened.inference))
    return screened


def _checked(codes: Any) -> sparse.csc_array:
    dense = None if sparse.issparse(codes) else as_array("codes", codes)
    if dense is not None and dense.dtype == np.float16:  # of which there are no sparse matrices
        dense = dense.astype(np.float32)
    try:
        matrix = sparse.csc_array(codes if dense is None else dense)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"codes must be a matrix of real numbers, dense or sparse; {error}") from error
    if matrix.ndim != 2 or matrix.dtype.kind not in "fiub" or 0 in matrix.shape:
        raise InvalidInputError(
            f"codes must be real numbers of shape (n_samples, n_codes); got {matrix.dtype} {matrix.shape}"
        )
    matrix = matrix.astype(np.float64)
    if not np.isfinite(matrix.data).all():
        raise InvalidInputError(
            f"codes must be finite; got {np.count_nonzero(~np.isfinite(matrix.data))} values that are NaN or infinite; "
            "fix the encoder or leave these rows out"
        )
    return matrix


def _most_related(matrix: sparse.csc_array, labelled: Representation, n_codes: int) -> Integers:
    if n_codes >= matrix.shape[1]:
        return np.arange(matrix.shape[1])
    firing = sparse.csc_array((np.ones_like(matrix.data), matrix.indices, matrix.indptr), matrix.shape)
    best = np.zeros((matrix.shape[1], labelled.n_factors))
    for position in range(labelled.n_factors):
        factor = column_target(labelled, position)
        columns, present = factor.values, factor.present
        for values in (matrix, firing):
            correlation = _largest_correlation(values, np.where(present[:, None], columns, 0.0), present)
            best[:, position] = np.maximum(best[:, position], correlation)
    # Factors take turns: each factor's best latent, then each factor's second, and so on.
    order = np.argsort(-best, axis=0, kind="stable").ravel()
    _, first_seen = np.unique(order, return_index=True)
    chosen = order[np.sort(first_seen)[:n_codes]]
    return np.sort(chosen)


def _largest_correlation(matrix: sparse.csc_array, columns: Floats, present: NDArray[np.bool_]) -> Floats:
    n = max(1, int(present.sum()))
    weight = present.astype(np.float64)
    mean = matrix.T @ weight / n
    variance = np.maximum(matrix.power(2).T @ weight / n - mean**2, 0.0)
    centred = (columns - columns.sum(axis=0) / n) * weight[:, None]
    spread = np.sqrt((centred**2).sum(axis=0) / n)
    covariance = np.abs(matrix.T @ centred) / n
    scale = np.sqrt(variance)[:, None] * spread
    usable = scale > 1e-12 * max(float(scale.max(initial=0.0)), 1e-300)
    return np.asarray(np.max(np.where(usable, covariance / np.where(usable, scale, 1.0), 0.0), axis=1, initial=0.0))
