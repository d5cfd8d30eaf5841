"""Variational bias in over-complete independent component analysis with heavy-tailed sources.

``z_k ~ Student-t``, ``x | z ~ N(W z, s I)`` with more sources than observed variables; each row of data has a
factorised Gaussian posterior of its own, and the loadings W are learned. After Stühmer, Turner & Nowozin (2020),
*Independent Subspace Analysis for Unsupervised Learning of Disentangled Representations*, appendix B.

Degrees of freedom, noise, angles, β and number of rows of their figure are not published. Its claim, that plain
inference (β = 1) keeps three components where larger β prunes one, was not reproduced; that the strongest two end up
near orthogonal was, for loadings at 0, 60 and 120 degrees.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from disentmetrics._utils.figures import empty_figure
from disentmetrics.errors import InvalidInputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]
_NODES, _NODE_WEIGHTS = (part.astype(np.float64) for part in np.polynomial.hermite_e.hermegauss(24))
_NODE_WEIGHTS = _NODE_WEIGHTS / _NODE_WEIGHTS.sum()
_POSTERIOR_STEPS = 5  # of the posteriors, between two of the loadings


@dataclass(frozen=True)
class SparseSources:
    """Independent Student-t sources, mixed, with Gaussian noise.

    Attributes
    ----------
    loadings : (n_observed, n_sources) float
        W.
    noise_variance : float
        s, of each observed variable given the sources.
    degrees_of_freedom : float
        Of every source, whose scale is 1; of 4 and less the kurtosis is infinite.

    Raises
    ------
    InvalidInputError
        If the loadings are no matrix, or a number is not above 0.
    """

    loadings: Array
    noise_variance: float
    degrees_of_freedom: float

    def __post_init__(self) -> None:
        if self.loadings.ndim != 2:
            raise InvalidInputError(f"loadings must be (n_observed, n_sources); got shape {self.loadings.shape}")
        for name in ("noise_variance", "degrees_of_freedom"):
            if not getattr(self, name) > 0:
                raise InvalidInputError(f"{name} must be above 0; got {getattr(self, name)}")

    def sample(self, n_rows: int, rng: np.random.Generator) -> Array:
        """Draw data, (n_rows, n_observed)."""
        n_observed, n_sources = self.loadings.shape
        sources = rng.standard_t(self.degrees_of_freedom, size=(n_rows, n_sources))
        return np.asarray(
            sources @ self.loadings.T + math.sqrt(self.noise_variance) * rng.normal(size=(n_rows, n_observed))
        )


def directions(*degrees: float) -> Array:
    """Return loadings of length 1 in the plane, (2, n_sources).

    Examples
    --------
    >>> directions(0, 90).round(6)
    array([[1., 0.],
           [0., 1.]])
    """
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)])


@dataclass(frozen=True)
class Posteriors:
    """A Gaussian of each row and source, (n_rows, n_sources) each."""

    mean: Array
    deviation: Array


def expected_log_prior(posteriors: Posteriors, degrees_of_freedom: float) -> Array:
    """Return E_q log p(z) of each row and source, by Gauss-Hermite quadrature at 24 nodes.

    Examples
    --------
    >>> of_zero = expected_log_prior(Posteriors(np.zeros((1, 1)), np.full((1, 1), 1e-9)), 3.5)
    >>> of_zero.round(4)
    array([[-0.9895]])
    """
    nu = degrees_of_freedom
    z = posteriors.mean[..., None] + posteriors.deviation[..., None] * _NODES
    constant = gammaln((nu + 1) / 2) - gammaln(nu / 2) - 0.5 * math.log(nu * math.pi)
    return np.asarray(constant - (nu + 1) / 2 * (np.log1p(z**2 / nu) @ _NODE_WEIGHTS))


def free_energy(model: SparseSources, data: Array, posteriors: Posteriors, beta: float = 1.0) -> float:
    """Return the mean of E_q log p(x | z) + β (H[q] + E_q log p(z)) over the rows, in nats.

    A lower bound of log p(x) where β is 1.
    """
    mean, variance = posteriors.mean, np.square(posteriors.deviation)
    distance = np.square(data - mean @ model.loadings.T).sum(axis=1)
    distance = distance + variance @ np.square(model.loadings).sum(axis=0)
    constant = len(model.loadings) / 2 * math.log(2 * math.pi * model.noise_variance)
    entropy = 0.5 * np.log(2 * math.pi * math.e * variance).sum(axis=1)
    prior = expected_log_prior(posteriors, model.degrees_of_freedom).sum(axis=1)
    return float(np.mean(-distance / (2 * model.noise_variance) + beta * (entropy + prior)) - constant)


def better_posteriors(model: SparseSources, data: Array, posteriors: Posteriors, beta: float = 1.0) -> Posteriors:
    """Return posteriors whose free energy is higher, or the same if none is near.

    At every node of the quadrature the log-prior is bounded from below by a parabola that touches it there; the
    best means and then the best deviations under the bound are closed forms, so the free energy cannot fall.
    """
    nu, noise = model.degrees_of_freedom, model.noise_variance
    mean, deviation = posteriors.mean, posteriors.deviation
    curvature = (nu + 1) / (nu + np.square(mean[..., None] + deviation[..., None] * _NODES))
    level, slope, spread = (curvature @ (_NODE_WEIGHTS * _NODES**power) for power in range(3))
    precision = model.loadings.T @ model.loadings / noise + beta * level[:, :, None] * np.eye(level.shape[1])
    right = data @ model.loadings / noise - beta * slope * deviation
    mean = np.asarray(np.linalg.solve(precision, right[:, :, None])[:, :, 0], np.float64)
    square = np.square(model.loadings).sum(axis=0) / noise + beta * spread
    linear = beta * slope * mean
    return Posteriors(mean, (np.sqrt(linear**2 + 4 * beta * square) - linear) / (2 * square))


def best_loadings(data: Array, posteriors: Posteriors) -> Array:
    """Return the loadings whose free energy is highest, in closed form."""
    second = posteriors.mean.T @ posteriors.mean + np.diag(np.square(posteriors.deviation).sum(axis=0))
    return np.asarray(np.linalg.solve(second, posteriors.mean.T @ data).T)


@dataclass(frozen=True)
class Fit:
    """Where learning ended.

    Attributes
    ----------
    model : SparseSources
        With the learned loadings.
    posteriors : Posteriors
    beta : float
    free_energy : (n_sweeps + 1,) float
        At the start and after every sweep, in nats for each row of data.
    converged : bool
        Whether the criterion was met, and not the limit of sweeps.
    """

    model: SparseSources
    posteriors: Posteriors
    beta: float
    free_energy: Array
    converged: bool

    @property
    def contribution(self) -> Array:
        """Length of each source's loadings times the deviation of its means over the rows, (n_sources,).

        Near 0 for a pruned source; the length alone says nothing, as scale can move between both.
        """
        return np.asarray(np.linalg.norm(self.model.loadings, axis=0) * self.posteriors.mean.std(axis=0))

    @property
    def separation(self) -> float:
        """Angle between the loadings of the two sources that contribute most, in degrees from 0 to 90.

        NaN if one of the two contributes nothing.
        """
        strongest = np.argsort(self.contribution)[-2:]
        if not self.contribution[strongest].all():
            return math.nan
        first, second = (self.model.loadings[:, k] / np.linalg.norm(self.model.loadings[:, k]) for k in strongest)
        return math.degrees(math.acos(min(1.0, abs(float(first @ second)))))


def fit(
    model: SparseSources,
    data: Array,
    *,
    beta: float = 1.0,
    tolerance: float = 1e-5,
    window: int = 10,
    max_sweeps: int = 2000,
) -> Fit:
    """Learn posteriors and loadings from the given model on, such as the true one.

    Parameters
    ----------
    model : SparseSources
        Where learning starts; noise and degrees of freedom stay.
    data : (n_rows, n_observed) float
    beta : float
        Weight of entropy and prior.
    tolerance : float
        Learning ends when the free energy has gained less than this share of itself ...
    window : int
        ... over so many sweeps.
    max_sweeps : int
        Or here, and then it has not converged. A sweep is five steps of the posteriors and one of the loadings.

    Returns
    -------
    Fit
        Look at ``converged`` first: sources go on shrinking for hundreds of sweeps.

    Raises
    ------
    InvalidInputError
        If β or the tolerance is not above 0, or there is no sweep.
    """
    for name, number in (("beta", beta), ("tolerance", tolerance), ("window", window), ("max_sweeps", max_sweeps)):
        if not number > 0:
            raise InvalidInputError(f"{name} must be above 0; got {number}")
    shape = (len(data), model.loadings.shape[1])
    posteriors = Posteriors(np.zeros(shape), np.ones(shape))
    for _ in range(_POSTERIOR_STEPS):
        posteriors = better_posteriors(model, data, posteriors, beta)
    values = [free_energy(model, data, posteriors, beta)]
    converged = False
    while len(values) <= max_sweeps and not converged:
        for _ in range(_POSTERIOR_STEPS):
            posteriors = better_posteriors(model, data, posteriors, beta)
        loadings = best_loadings(data, posteriors)
        model = SparseSources(loadings, model.noise_variance, model.degrees_of_freedom)
        values.append(free_energy(model, data, posteriors, beta))
        converged = len(values) > window and values[-1] - values[-1 - window] < tolerance * abs(values[-1])
    return Fit(model, posteriors, beta, np.array(values), converged)


def plot_components(data: Array, fits: Sequence[Fit]) -> "Figure":
    """Draw two-dimensional data and the loadings of each fit, as long as what they contribute.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    figure = empty_figure(figsize=(3.5 * len(fits), 3.8))
    reach = float(np.quantile(np.abs(data), 0.99))
    for panel, found in zip(figure.subplots(1, len(fits), squeeze=False)[0], fits, strict=True):
        panel.plot(*data.T, ".", color="0.75", markersize=2)
        for end in (found.model.loadings * found.posteriors.mean.std(axis=0)).T:
            panel.plot([-end[0], end[0]], [-end[1], end[1]], linewidth=2)
        panel.set_xlim(-reach, reach)
        panel.set_ylim(-reach, reach)
        panel.set_aspect("equal")
        panel.set_title(
            f"β = {found.beta:g}: {found.separation:.0f}°{'' if found.converged else ', not converged'}", fontsize=10
        )
    return figure
