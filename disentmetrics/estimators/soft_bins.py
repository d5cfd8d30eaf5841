"""Histograms of latents that are distributions: each row is spread over bins according to its posterior."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import ndtr, xlogy

from disentmetrics._utils.typing import Floats

Assignment = Literal["mass", "centres"]
_CHUNK = 1 << 21  # masses in memory at once, 16 MB


def soft_contingency(
    mean: NDArray[np.floating],
    deviation: NDArray[np.floating],
    edges: Floats,
    labels: NDArray[np.integer],
    n_values: int,
    assignment: Assignment = "mass",
) -> Floats:
    """Sum the masses that Gaussian posteriors put into bins, for each factor value.

    Parameters
    ----------
    mean, deviation : (n,) float
        Mean and standard deviation of the posterior of one latent in each row.
    edges : (n_bins + 1,) float
        Increasing. Mass beyond them is added to the outermost bins.
    labels : (n, n_factors) integer
        Factor values numbered over all factors jointly, 0 .. n_values - 1; -1 where missing.
    n_values : int
    assignment : {"mass", "centres"}
        ``mass`` is the integral over each bin; ``centres`` the density at its middle, scaled to sum to 1 in
        each row, or the bin of the mean where all these densities are below 1e-5 (Do & Tran 2020).

    Returns
    -------
    (n_bins, n_values) float
        Each row adds a total mass of 1 for each label it has.

    Examples
    --------
    >>> soft_contingency(np.zeros(2), np.ones(2), np.array([-1.0, 0.0, 1.0]), np.array([[0], [1]]), 2)
    array([[0.5, 0.5],
           [0.5, 0.5]])
    """
    n_bins = len(edges) - 1
    table = np.zeros((n_bins, n_values))
    step = max(1, _CHUNK // n_bins)
    assign = _masses if assignment == "mass" else _centre_densities
    for start in range(0, len(mean), step):
        part = slice(start, start + step)
        masses = assign(mean[part].astype(np.float64), deviation[part].astype(np.float64), edges)
        row, factor = np.nonzero(labels[part] >= 0)
        value = labels[part][row, factor]
        indicator = sparse.csr_array((np.ones(len(row)), (value, row)), shape=(n_values, len(masses)))
        table += (indicator @ masses).T
    return table


def _masses(mean: Floats, deviation: Floats, edges: Floats) -> Floats:
    below = np.zeros((len(mean), len(edges)))
    below[:, -1] = 1.0
    with np.errstate(over="ignore"):  # a posterior far narrower than its bin
        below[:, 1:-1] = ndtr((edges[1:-1] - mean[:, None]) / deviation[:, None])
    return np.diff(below, axis=1)


def _centre_densities(mean: Floats, deviation: Floats, edges: Floats) -> Floats:
    centres = (edges[1:] + edges[:-1]) / 2
    with np.errstate(over="ignore", under="ignore"):
        density = np.exp(-0.5 * ((centres - mean[:, None]) / deviation[:, None]) ** 2)
        density /= deviation[:, None] * np.sqrt(2 * np.pi)
    lost = density.max(axis=1) < 1e-5
    if lost.any():
        own = np.clip(np.searchsorted(edges, mean[lost], side="right") - 1, 0, len(centres) - 1)
        density[lost] = own[:, None] == np.arange(len(centres))
    density *= np.diff(edges)
    return np.asarray(density / density.sum(axis=1, keepdims=True))


def entropy_of_masses(masses: Floats) -> float:
    """Return the entropy in nats of a distribution given by masses of any sum, 0 if there is none.

    Examples
    --------
    >>> round(entropy_of_masses(np.array([0.25, 0.25, 0.0])), 6)
    0.693147
    """
    present = masses[masses > 0]
    if not len(present):
        return 0.0
    share = present / present.sum()
    return float(-np.sum(xlogy(share, share)))
