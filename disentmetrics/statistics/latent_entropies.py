"""Entropies of discretised latents, and the information about factors relative to them."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.typing import Floats, Integers
from disentmetrics.estimators.activity import constant
from disentmetrics.estimators.mutual_information import adjusted_information, contingency, entropy, plug_in_information
from disentmetrics.estimators.rank_spacing import sorted_rows
from disentmetrics.representation import Representation
from disentmetrics.statistics.mutual_information import Bins, code_bins
from disentmetrics.statistics.targets import value_target


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


def _symbols(codes: NDArray[np.floating]) -> list[Integers | None]:
    return [
        None if dead else np.asarray(np.unique(codes[:, j], return_inverse=True)[1], dtype=np.int64).ravel()
        for j, dead in enumerate(constant(codes))
    ]


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


def _bins_of_ranks(rank: _Ranks, n_bins: int) -> tuple[Integers, Integers]:
    """Return bins of equal frequency, and the rows at the exact centre, which may as well be one bin lower."""
    if rank.n_distinct <= n_bins:
        values = np.unique(rank.twice, return_inverse=True)[1].ravel()
        return np.asarray(values, dtype=np.int64), np.empty(0, dtype=np.int64)
    bins, over = np.divmod(rank.twice.astype(np.int64) * n_bins, 2 * len(rank.twice))
    middle = np.flatnonzero((over == 0) & (2 * bins == n_bins))
    bins -= (over == 0) & (2 * bins > n_bins)  # a row on an edge goes to the inner bin, whatever the sign
    return np.asarray(bins, dtype=np.int64), middle
