"""Mutual information of factors and latents whose rows are spread over bins according to their posteriors."""

from dataclasses import dataclass

import numpy as np

from disentmetrics._utils.typing import Floats
from disentmetrics.errors import UndefinedScoreError
from disentmetrics.estimators.activity import standard_deviation
from disentmetrics.estimators.soft_bins import Assignment, entropy_of_masses, soft_contingency
from disentmetrics.representation import Representation
from disentmetrics.statistics.targets import label_table


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
    representation = representation.unresolved
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
