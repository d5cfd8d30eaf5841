"""Variational bias in factor analysis, in closed form: mean-field inference prefers orthogonal loadings.

``z ~ N(0, I)``, ``x | z ~ N(W z, s I)``. The likelihood is invariant to rotations of the latents, W R; the evidence
lower bound of the optimal factorised posterior is not. After Stühmer, Turner & Nowozin (2020), *Independent Subspace
Analysis for Unsupervised Learning of Disentangled Representations*, appendix B. The values of W, s and the data in
their figure are not published, so the loadings here differ.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import multivariate_normal

from disentmetrics._utils.figures import empty_figure
from disentmetrics.errors import InvalidInputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]


@dataclass(frozen=True)
class FactorAnalysis:
    """A factor analysis model with isotropic noise, ``x = W z + ε``.

    Attributes
    ----------
    loadings : (n_observed, n_codes) float
        Loading matrix W.
    noise_variance : float
        Variance s of each observed variable given the latents.

    Raises
    ------
    InvalidInputError
        If the loadings are not a matrix or the variance is not positive.
    """

    loadings: Array
    noise_variance: float

    def __post_init__(self) -> None:
        if self.loadings.ndim != 2:
            raise InvalidInputError(f"loadings must be (n_observed, n_codes); got shape {self.loadings.shape}")
        if not self.noise_variance > 0:
            raise InvalidInputError(f"noise_variance must be above 0; got {self.noise_variance}")

    def sample(self, n_rows: int, rng: np.random.Generator) -> Array:
        """Sample data, (n_rows, n_observed)."""
        n_observed, n_codes = self.loadings.shape
        noise = math.sqrt(self.noise_variance) * rng.normal(size=(n_rows, n_observed))
        return np.asarray(rng.normal(size=(n_rows, n_codes)) @ self.loadings.T + noise)

    def log_likelihood(self, data: Array) -> float:
        """Return the mean of log p(x) over the rows, in nats."""
        n_observed = len(self.loadings)
        covariance = self.loadings @ self.loadings.T + self.noise_variance * np.eye(n_observed)
        return float(np.mean(multivariate_normal(np.zeros(n_observed), covariance).logpdf(data)))

    def precision(self, beta: float = 1.0) -> Array:
        """Return the precision (n_codes, n_codes) of the exact posterior under the likelihood to the power 1 / β."""
        _check_beta(beta)
        return np.asarray(
            np.eye(self.loadings.shape[1]) + self.loadings.T @ self.loadings / (beta * self.noise_variance)
        )

    def mean_field(self, data: Array, beta: float = 1.0) -> tuple[Array, Array]:
        """Return means (n_rows, n_codes) and variances (n_codes,) of the optimal factorised posterior for β.

        Its means are those of the exact posterior, its precisions the diagonal of the exact precision.
        """
        precision = self.precision(beta)
        means = np.linalg.solve(precision, self.loadings.T @ data.T).T / (beta * self.noise_variance)
        return np.asarray(means), 1 / np.diag(precision)

    def free_energy(self, data: Array, beta: float = 1.0) -> float:
        """Return the mean of E_q log p(x | z) - β KL(q || p) at the optimal factorised posterior, in nats.

        Divided by β, it is the evidence lower bound of the tempered model, whose likelihood is p(x | z)^(1/β).
        """
        means, variances = self.mean_field(data, beta)
        # E_q |x - W z|² is the squared residual of the mean plus the variance of W z.
        residual = np.square(data - means @ self.loadings.T).sum(axis=1)
        variance = (np.square(self.loadings).sum(axis=0) * variances).sum()
        constant = len(self.loadings) / 2 * math.log(2 * math.pi * self.noise_variance)
        kl = 0.5 * (variances + np.square(means) - 1 - np.log(variances)).sum(axis=1)
        return float(np.mean(-(residual + variance) / (2 * self.noise_variance) - beta * kl) - constant)

    def gap(self, beta: float = 1.0) -> float:
        """Return the variational gap of the tempered model, log-likelihood minus bound, in nats per row.

        ``(sum_k log L_kk - log det L) / 2`` with the precision L: 0 if and only if the loadings are orthogonal.

        Examples
        --------
        >>> FactorAnalysis(rotated(np.diag([3.0, 1.0]), 45), 0.1).gap().__round__(3)
        0.477
        """
        precision = self.precision(beta)
        return max(0.0, float(0.5 * (np.log(np.diag(precision)).sum() - np.linalg.slogdet(precision)[1])))


def _check_beta(beta: float) -> None:
    if not beta > 0:
        raise InvalidInputError(f"beta must be above 0; got {beta}")


def rotated(loadings: Array, degrees: float) -> Array:
    """Return the loadings (n_observed, 2) after a rotation of the latents.

    Examples
    --------
    >>> rotated(np.diag([3.0, 1.0]), 90).round(6) + 0.0
    array([[ 0., -3.],
           [ 1.,  0.]])
    """
    angle = math.radians(degrees)
    rotation = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return np.asarray(loadings @ rotation)


def overcomplete(share: float) -> Array:
    """Return loadings of three latents in two dimensions, where the last two latents share the second axis.

    ``[[3, 0, 0], [0, sqrt(1 - a), sqrt(a)]]``: the likelihood is the same for every share a in [0, 1].
    """
    if not 0 <= share <= 1:
        raise InvalidInputError(f"share must be in [0, 1]; got {share}")
    return np.array([[3.0, 0.0, 0.0], [0.0, math.sqrt(1 - share), math.sqrt(share)]])


@dataclass(frozen=True)
class Scan:
    """Log-likelihood and variational bound along a family of models, in nats per row.

    Attributes
    ----------
    setting : (n,) float
        Rotation in degrees, or share of the last latent in the second axis.
    log_likelihood, free_energy, gap : (n,) float
        See :class:`FactorAnalysis`; with β the free energy is ``E log p(x | z) - β KL`` and the gap that of the
        tempered model, ``free_energy / β``.
    beta : float
    """

    setting: Array
    log_likelihood: Array
    free_energy: Array
    gap: Array
    beta: float

    @property
    def amplitude(self) -> float:
        """Range of ``free_energy / β``, which measures how strongly the tempered model prefers some settings."""
        return float(np.ptp(self.free_energy) / self.beta)


def rotation_scan(data: Array, loadings: Array, noise_variance: float, degrees: ArrayLike, beta: float = 1.0) -> Scan:
    """Evaluate the data (n_rows, n_observed) under rotations of a model with two latents.

    Examples
    --------
    >>> model = FactorAnalysis(np.diag([3.0, 1.0]), 0.1)
    >>> data = model.sample(50, np.random.default_rng(0))
    >>> scan = rotation_scan(data, model.loadings, 0.1, [0, 15, 30, 45, 90])
    >>> scan.gap.round(3)
    array([0.   , 0.168, 0.394, 0.477, 0.   ])
    """
    angles = np.asarray(degrees, dtype=np.float64)
    models = [FactorAnalysis(rotated(loadings, float(angle)), noise_variance) for angle in angles]
    return _scan(models, angles, data, beta)


def overcomplete_scan(data: Array, noise_variance: float, shares: ArrayLike, beta: float = 1.0) -> Scan:
    """Evaluate the data (n_rows, 2) while two latents share the second axis, see :func:`overcomplete`."""
    settings = np.asarray(shares, dtype=np.float64)
    models = [FactorAnalysis(overcomplete(float(share)), noise_variance) for share in settings]
    return _scan(models, settings, data, beta)


def _scan(models: Sequence[FactorAnalysis], setting: Array, data: Array, beta: float) -> Scan:
    return Scan(
        setting,
        np.array([model.log_likelihood(data) for model in models]),
        np.array([model.free_energy(data, beta) for model in models]),
        np.array([model.gap(beta) for model in models]),
        beta,
    )


def plot_rotation(scans: Sequence[Scan]) -> "Figure":
    """Plot the tempered bound relative to its best rotation, one line per β.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    return _plot(scans, "rotation of the latents in degrees")


def plot_overcomplete(scans: Sequence[Scan]) -> "Figure":
    """Plot the tempered bound while two latents share an axis, relative to its maximum, one line per β.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    return _plot(scans, "share of the last latent in the second axis")


def _plot(scans: Sequence[Scan], label: str) -> "Figure":
    figure = empty_figure(figsize=(6.0, 4.0))
    panel = figure.subplots()
    for scan in scans:
        tempered = scan.free_energy / scan.beta
        panel.plot(scan.setting, tempered - tempered.max(), label=f"bound / β, β = {scan.beta:g}")
    likelihood = scans[0].log_likelihood
    panel.plot(scans[0].setting, likelihood - likelihood.max(), "k--", label="log-likelihood")
    panel.set_xlabel(label)
    panel.set_ylabel("nats per row, relative to the maximum")
    panel.legend()
    return figure
