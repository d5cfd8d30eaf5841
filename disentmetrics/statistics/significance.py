"""Pairs of latent and factor that are dependent beyond chance, and their information: basis of the adjusted scores."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.random import generator
from disentmetrics._utils.typing import Floats, Integers
from disentmetrics.estimators.activity import KL_THRESHOLD
from disentmetrics.estimators.independence import chi_squared, false_discovery_gate, gamma_p_value, independence_p_value
from disentmetrics.estimators.mutual_information import contingency
from disentmetrics.representation import Representation
from disentmetrics.statistics.mutual_information import code_bins, factor_entropies, information_matrix
from disentmetrics.statistics.resolution import at_resolution, resolution_of
from disentmetrics.statistics.targets import value_target, varied_factors

FALSE_DISCOVERY_RATE = 0.01
_BINS = 10
_N_SHUFFLES = 40


@dataclass(frozen=True, eq=False)
class SignificantInformation:
    """Shares I(z_j; v_k) / H(v_k) of latents and factors that have a significant pair, and 0 elsewhere.

    Attributes
    ----------
    share : (n_codes, n_factors) float
        Unbiased, so that an independent pair of a significant latent may be slightly negative.
    defined : (n_factors,) bool
        Factors that take two values.
    settings : dict of str
        Fields of the signature.
    """

    share: Floats
    defined: NDArray[np.bool_]
    settings: dict[str, str]

    @property
    def related_codes(self) -> NDArray[np.bool_]:
        """Latents that depend on a factor significantly, as (n_codes,)."""
        return np.asarray(self.share.any(axis=1))

    @property
    def notes(self) -> tuple[str, ...]:
        """A note where no pair is significant."""
        if self.share.any():
            return ()
        rate = f"{FALSE_DISCOVERY_RATE:.0%}"
        return (f"no latent depends on any factor at a false discovery rate of {rate}: the score is 0 by definition",)


def significant_information(representation: Representation) -> SignificantInformation:
    """Estimate I(z_j; v_k) / H(v_k) for latents and factors with a significant pair.

    The estimate has no bins (rank spacings at finite resolution) and mean 0 for independent pairs. A pair is
    significant if the latent in 10 bins of equal frequency and the labels are dependent at a false discovery rate of
    1 % over all pairs (the null keeps clusters of rows together). Latents and factors without a significant pair
    become 0; of the others every pair is retained, because leaving small ones out would bias ratios upwards.
    """
    defined = representation.cached(varied_factors)
    entropies = representation.cached(factor_entropies)
    nats = representation.cached(information_matrix, "finite-resolution", 20)
    share = np.where(defined, nats / np.where(defined, entropies, 1.0), 0.0)
    passed = at_resolution(representation).cached(related_pairs)
    settings: dict[str, str] = {"resolution": resolution_of(representation)}
    kept = np.any(passed, axis=1, keepdims=True) & np.any(passed, axis=0)
    return SignificantInformation(np.where(kept, np.minimum(share, 1.0), 0.0), defined, settings)


def active_codes(representation: Representation) -> tuple[NDArray[np.bool_], dict[str, str]]:
    """Return which latents have not collapsed to the prior, and the field of the signature that records it.

    Without posterior variances all latents are active. Where the codes are samples of posteriors, those decide.
    """
    representation = representation.unresolved
    if representation.mean_kl is None:
        return np.ones(representation.n_codes, dtype=bool), {}
    return representation.mean_kl > KL_THRESHOLD, {"mask": f"{representation.kl_name}>{KL_THRESHOLD}"}


def above_chance(share: Floats | float, n: float) -> Floats:
    """Rescale the largest of ``n`` shares so that equal shares become 0 and a single nonzero share stays 1."""
    return np.asarray((share - 1 / n) / (1 - 1 / n)) if n > 1 else np.ones_like(share)


def related_pairs(representation: Representation) -> NDArray[np.bool_]:
    """Return which pairs of latent and factor are dependent at a false discovery rate of 1 %."""
    clustered = representation.sequential or representation.shuffles_groups
    p_values = _p_values_of_clustered_rows(representation) if clustered else _p_values(representation)
    return false_discovery_gate(p_values, FALSE_DISCOVERY_RATE)


def _p_values(representation: Representation) -> Floats:
    return _of_each_table(representation, independence_p_value, 1.0)


def _p_values_of_clustered_rows(representation: Representation) -> Floats:
    """P-values from the moments of the statistic under permutations that keep clusters together."""
    observed = _of_each_table(representation, chi_squared, 0.0)
    shuffles = (representation.shuffled(generator((0, b), "gate")) for b in range(_N_SHUFFLES))
    null = np.stack([_of_each_table(shuffled, chi_squared, 0.0) for shuffled in shuffles])
    mean, variance = null.mean(axis=0), null.var(axis=0, ddof=1)
    p_values = np.ones(observed.shape)
    for cell in np.ndindex(observed.shape):
        if mean[cell] > 0:
            p_values[cell] = gamma_p_value(float(observed[cell]), float(mean[cell]), float(variance[cell]))
    return p_values


def _of_each_table(
    representation: Representation, function: Callable[[Integers], float], where_constant: float
) -> Floats:
    values = np.full((representation.n_codes, representation.n_factors), where_constant)
    bins = code_bins(representation, "quantile", _BINS)
    for position in range(representation.n_factors):
        factor = representation.cached(value_target, position)
        labels, n_values = factor.of(factor.values), max(1, factor.n_classes)
        for code, column in enumerate(bins):
            if column is not None:
                values[code, position] = function(
                    contingency(factor.of(column), labels, int(column.max()) + 1, n_values)
                )
    return values
