"""Ground-truth factors as predictors of latents and of one another."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from disentmetrics._utils.typing import Floats, Integers, Seed
from disentmetrics.estimators.activity import constant
from disentmetrics.estimators.rank_correlation import standardise
from disentmetrics.representation import Representation
from disentmetrics.representation.resampling import folds, some_rows
from disentmetrics.statistics.probes import N_FOLDS, Probe, predict
from disentmetrics.statistics.targets import factor_columns, varied_factors


@dataclass(frozen=True, eq=False)
class TrueFactors:
    """All factors as columns of numbers, on the rows that have a label of every varying factor.

    Attributes
    ----------
    rows : (n,) int
        These rows.
    columns : (n_samples, width) float
        Columns of all factors, standardised, NaN in all other rows: one for ordinal and continuous factors, cosine
        and sine for circular ones, indicators of all values but the first for categories. Constant factors have none.
    of_factor : tuple of tuple of int
        Columns of each factor.
    """

    rows: Integers
    columns: Floats
    of_factor: tuple[tuple[int, ...], ...]


def true_factors(representation: Representation) -> TrueFactors:
    """Return the factors as columns, on the rows that have a label of every varying factor."""
    varied = representation.cached(varied_factors)
    blocks = [
        representation.cached(factor_columns, k) if varies else np.empty((len(representation), 0))
        for k, varies in enumerate(varied)
    ]
    ends = np.cumsum([0, *(block.shape[1] for block in blocks)])
    table = np.hstack(blocks)
    rows = np.flatnonzero(~np.isnan(table).any(axis=1))
    columns = np.full(table.shape, np.nan)
    if len(rows) and table.shape[1]:
        columns[rows] = standardise(table[rows])
    return TrueFactors(rows, columns, tuple(tuple(range(a, b)) for a, b in pairwise(ends.tolist())))


def factors_as_codes(representation: Representation) -> Representation | None:
    """Return a representation whose codes are the columns of :func:`true_factors`; None if there are no columns."""
    factors = representation.cached(true_factors)
    rows = factors.rows
    if not factors.columns[rows].size:
        return None
    units = representation.resampling_units
    return Representation(
        factors.columns[rows],
        representation.factors[rows],
        space=representation.space,
        groups=None if units is None else units[rows],
    )


def codes_from_factors(
    representation: Representation, probe: Probe, seed: Seed, *, n_folds: int = N_FOLDS, n_rows: int | None = None
) -> Floats:
    """Return the held-out R² of each latent predicted from all factors together.

    Parameters
    ----------
    representation : Representation
    probe : {"linear", "boosting"}
    seed : int or tuple of int
        Random seed of the folds and of the probe.
    n_folds : int
    n_rows : int, optional
        Largest number of rows used.

    Returns
    -------
    (n_codes,) float
        Relative to the mean of the training rows: 1 where the factors determine the latent, 0 where they are
        uninformative; NaN for constant latents, and for all if fewer than two folds have rows with all labels.
    """
    factors = representation.cached(true_factors)
    r2 = np.full(representation.n_codes, np.nan)
    rows = factors.rows if n_rows is None else some_rows(factors.rows, n_rows, seed)
    splits = folds(representation, rows, n_folds, seed)
    if len(splits) < 2 or not factors.columns.shape[1]:
        return r2
    alive = np.flatnonzero(~constant(representation.codes[rows]))
    if not len(alive):
        return r2
    codes = np.zeros((len(representation), len(alive)))
    codes[rows] = standardise(representation.codes[rows][:, alive])
    errors = baseline = np.zeros(len(alive))
    for train, test in splits:
        y_pred = predict(probe, factors.columns[train], codes[train], factors.columns[test], is_class=False, seed=seed)
        errors = errors + ((y_pred - codes[test]) ** 2).sum(axis=0)
        baseline = baseline + ((codes[train].mean(axis=0) - codes[test]) ** 2).sum(axis=0)
    r2[alive] = 1 - errors / baseline
    return r2


def orthogonality_error(representation: Representation) -> float:
    """Deviation of the linear map from whitened factors to codes from a scaled rotation.

    ``||K A A' / tr(A A') - I||_F / sqrt(K)`` with A (K, n_codes) the least-squares map from the K columns of the
    factors, decorrelated and of unit variance, to the unscaled codes: 0 for a rotation times any
    number; at most ``sqrt(K - 1)``, where all latents are equal. NaN where no latent depends linearly on the factors.
    """
    factors = representation.cached(true_factors)
    columns = factors.columns[factors.rows]
    if len(columns) < 2 or not columns.size:
        return float("nan")
    left, singular, _ = np.linalg.svd(columns - columns.mean(axis=0), full_matrices=False)
    whitened = left[:, singular > 1e-9 * max(float(singular.max()), 1e-300)]
    codes = representation.codes[factors.rows].astype(np.float64)
    codes = np.ldexp(codes, -np.frexp(np.abs(codes).max())[1])  # otherwise squares of extreme scales overflow
    projected = whitened.T @ (codes - codes.mean(axis=0))
    gram = projected @ projected.T
    trace, width = float(np.trace(gram)), len(gram)
    if not width or not trace > 0:
        return float("nan")
    return float(np.linalg.norm(gram * (width / trace) - np.eye(width)) / np.sqrt(width))
