"""Variational bias in overcomplete independent component analysis (ICA) with heavy-tailed sources.

``z_k ~ Student-t``, ``x | z ~ N(W z, s I)`` with more sources than observed variables. Each row has its own factorised
Gaussian posterior, and the mixing matrix W is learned. After Stühmer, Turner & Nowozin (2020),
*Independent Subspace Analysis for Unsupervised Learning of Disentangled Representations*, appendix B.

Degrees of freedom, noise, angles, β and number of rows in their figure are not published. For mixing vectors at 0, 60
and 120 degrees, their observation that the two strongest components become nearly orthogonal was reproduced; their
observation that β = 1 keeps three components while larger β prunes one was not.
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
_POSTERIOR_STEPS = 5  # updates of the posteriors per update of the loadings


@dataclass(frozen=True)
class SparseSources:
    """Linear mixture of independent Student-t sources with Gaussian noise.

    Attributes
    ----------
    loadings : (n_observed, n_sources) float
        Mixing matrix W.
    noise_variance : float
        Variance s of each observed variable given the sources.
    degrees_of_freedom : float
        Degrees of freedom of every source, whose scale is 1; for 4 or fewer the kurtosis is infinite.

    Raises
    ------
    InvalidInputError
        If the loadings are not a matrix, or a number is not positive.
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
        """Sample data, (n_rows, n_observed)."""
        n_observed, n_sources = self.loadings.shape
        sources = rng.standard_t(self.degrees_of_freedom, size=(n_rows, n_sources))
        return np.asarray(
            sources @ self.loadings.T + math.sqrt(self.noise_variance) * rng.normal(size=(n_rows, n_observed))
        )


def directions(*degrees: float) -> Array:
    """Return loadings of unit length in the plane, (2, n_sources), at the given angles in degrees.

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
    """Mean and standard deviation of a Gaussian posterior per row and source, (n_rows, n_sources) each."""

    mean: Array
    deviation: Array


def expected_log_prior(posteriors: Posteriors, degrees_of_freedom: float) -> Array:
    """Return E_q log p(z) of each row and source, by Gauss-Hermite quadrature with 24 nodes.

    Examples
    --------
    >>> at_zero = expected_log_prior(Posteriors(np.zeros((1, 1)), np.full((1, 1), 1e-9)), 3.5)
    >>> at_zero.round(4)
    array([[-0.9895]])
    """
    nu = degrees_of_freedom
    z = posteriors.mean[..., None] + posteriors.deviation[..., None] * _NODES
    constant = gammaln((nu + 1) / 2) - gammaln(nu / 2) - 0.5 * math.log(nu * math.pi)
    return np.asarray(constant - (nu + 1) / 2 * (np.log1p(z**2 / nu) @ _NODE_WEIGHTS))


def free_energy(model: SparseSources, data: Array, posteriors: Posteriors, beta: float = 1.0) -> float:
    """Return the mean of E_q log p(x | z) + β (H[q] + E_q log p(z)) over the rows, in nats.

    For β = 1 it is a lower bound of log p(x).
    """
    mean, variance = posteriors.mean, np.square(posteriors.deviation)
    # E_q |x - W z|² is the squared residual of the mean plus the variance of W z.
    residual = np.square(data - mean @ model.loadings.T).sum(axis=1)
    residual = residual + variance @ np.square(model.loadings).sum(axis=0)
    constant = len(model.loadings) / 2 * math.log(2 * math.pi * model.noise_variance)
    entropy = 0.5 * np.log(2 * math.pi * math.e * variance).sum(axis=1)
    prior = expected_log_prior(posteriors, model.degrees_of_freedom).sum(axis=1)
    return float(np.mean(-residual / (2 * model.noise_variance) + beta * (entropy + prior)) - constant)


def update_posteriors(model: SparseSources, data: Array, posteriors: Posteriors, beta: float = 1.0) -> Posteriors:
    """Return posteriors whose free energy is at least as high, by one step of a minorisation-maximisation algorithm.

    At every quadrature node the log-prior is bounded from below by a tangent parabola. The optimal means, and then the
    optimal standard deviations, have closed forms under this bound, so the free energy cannot decrease.
    """
    nu, noise = model.degrees_of_freedom, model.noise_variance
    mean, deviation = posteriors.mean, posteriors.deviation
    curvature = (nu + 1) / (nu + np.square(mean[..., None] + deviation[..., None] * _NODES))
    order_0, order_1, order_2 = (curvature @ (_NODE_WEIGHTS * _NODES**power) for power in range(3))
    precision = model.loadings.T @ model.loadings / noise + beta * order_0[:, :, None] * np.eye(order_0.shape[1])
    right = data @ model.loadings / noise - beta * order_1 * deviation
    mean = np.asarray(np.linalg.solve(precision, right[:, :, None])[:, :, 0], np.float64)
    quadratic = np.square(model.loadings).sum(axis=0) / noise + beta * order_2
    linear = beta * order_1 * mean
    return Posteriors(mean, (np.sqrt(linear**2 + 4 * beta * quadratic) - linear) / (2 * quadratic))


def optimal_loadings(data: Array, posteriors: Posteriors) -> Array:
    """Return the loadings that maximise the free energy, in closed form."""
    second = posteriors.mean.T @ posteriors.mean + np.diag(np.square(posteriors.deviation).sum(axis=0))
    return np.asarray(np.linalg.solve(second, posteriors.mean.T @ data).T)


@dataclass(frozen=True)
class Fit:
    """A fitted model.

    Attributes
    ----------
    model : SparseSources
        Model with the learned loadings.
    posteriors : Posteriors
    beta : float
    free_energy : (n_sweeps + 1,) float
        Free energy at the start and after every sweep, in nats per row.
    converged : bool
        Whether the convergence criterion was met within the maximum number of sweeps.
    """

    model: SparseSources
    posteriors: Posteriors
    beta: float
    free_energy: Array
    converged: bool

    @property
    def contribution(self) -> Array:
        """Norm of the loadings of each source times the standard deviation of its posterior means, (n_sources,).

        It is near 0 for a pruned source. The norm alone is not identified, because the source can absorb its scale.
        """
        return np.asarray(np.linalg.norm(self.model.loadings, axis=0) * self.posteriors.mean.std(axis=0))

    @property
    def separation(self) -> float:
        """Angle between the loadings of the two sources with the largest contribution, in degrees from 0 to 90.

        NaN if one of the two contributions is 0.
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
    """Fit posteriors and loadings by coordinate ascent on the free energy.

    Parameters
    ----------
    model : SparseSources
        Initial model, such as the true one; noise variance and degrees of freedom are kept fixed.
    data : (n_rows, n_observed) float
    beta : float
        Weight of entropy and prior.
    tolerance : float
        The fit has converged when the relative gain in free energy over ``window`` sweeps is smaller than this.
    window : int
        Number of sweeps between the compared free energies.
    max_sweeps : int
        Maximum number of sweeps. A sweep consists of five updates of the posteriors and one of the loadings.

    Returns
    -------
    Fit
        Check ``converged``: sources may continue to shrink for hundreds of sweeps.

    Raises
    ------
    InvalidInputError
        If a setting is not positive.
    """
    for name, number in (("beta", beta), ("tolerance", tolerance), ("window", window), ("max_sweeps", max_sweeps)):
        if not number > 0:
            raise InvalidInputError(f"{name} must be above 0; got {number}")
    shape = (len(data), model.loadings.shape[1])
    posteriors = Posteriors(np.zeros(shape), np.ones(shape))
    for _ in range(_POSTERIOR_STEPS):
        posteriors = update_posteriors(model, data, posteriors, beta)
    values = [free_energy(model, data, posteriors, beta)]
    converged = False
    while len(values) <= max_sweeps and not converged:
        for _ in range(_POSTERIOR_STEPS):
            posteriors = update_posteriors(model, data, posteriors, beta)
        loadings = optimal_loadings(data, posteriors)
        model = SparseSources(loadings, model.noise_variance, model.degrees_of_freedom)
        values.append(free_energy(model, data, posteriors, beta))
        converged = len(values) > window and values[-1] - values[-1 - window] < tolerance * abs(values[-1])
    return Fit(model, posteriors, beta, np.array(values), converged)


def plot_components(data: Array, fits: Sequence[Fit]) -> "Figure":
    """Plot two-dimensional data and the loadings of each fit, scaled by the contribution of their sources.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    figure = empty_figure(figsize=(3.5 * len(fits), 3.8))
    reach = float(np.quantile(np.abs(data), 0.99))
    for panel, fitted in zip(figure.subplots(1, len(fits), squeeze=False)[0], fits, strict=True):
        panel.plot(*data.T, ".", color="0.75", markersize=2)
        for vector in (fitted.model.loadings * fitted.posteriors.mean.std(axis=0)).T:
            panel.plot([-vector[0], vector[0]], [-vector[1], vector[1]], linewidth=2)
        panel.set_xlim(-reach, reach)
        panel.set_ylim(-reach, reach)
        panel.set_aspect("equal")
        panel.set_title(
            f"β = {fitted.beta:g}: {fitted.separation:.0f}°{'' if fitted.converged else ', not converged'}", fontsize=10
        )
    return figure
