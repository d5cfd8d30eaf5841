"""Mixtures of independent sources, shared by linear-gaussian, linear-ica and nonlinear-ica.

Sums are accumulated explicitly, one source after another, because the order of summation in a
matrix product depends on the library; every machine computes the same numbers.
"""

from collections.abc import Callable
from dataclasses import astuple, dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from disentmetrics.datasets.base import DataSet, DataSetInfo
from disentmetrics.datasets.nuisance import normal
from disentmetrics.datasets.options import no_target, one_of, real_number, whole_number
from disentmetrics.errors import InvalidInputError
from disentmetrics.factors import Factor, FactorSpace

MAX_DIMENSION = 512
CONDITION_NUMBER = 4.0
SLOPE = 0.2
_DECIMALS = 9  # mathematics libraries agree on these and several more

Sampler = Callable[[np.random.Generator, tuple[int, int]], NDArray[np.float64]]

SOURCES: dict[str, Sampler] = {
    "gaussian": lambda rng, shape: rng.standard_normal(shape),
    "laplace": lambda rng, shape: rng.laplace(scale=np.sqrt(0.5), size=shape),
    "uniform": lambda rng, shape: rng.uniform(-np.sqrt(3), np.sqrt(3), shape),
}
"""Distributions of a source, all of mean 0 and variance 1."""


@dataclass(frozen=True)
class Mixture:
    """Parameters of a data set of mixed sources.

    Attributes
    ----------
    name : str
        Name of the data set.
    sources : {"gaussian", "laplace", "uniform"}
        Distribution of each source; all have mean 0 and variance 1.
    n_sources, n_observed : int
        Number of sources, and dimension of an observation.
    noise : float
        Standard deviation of the Gaussian noise in each observed dimension.
    n_layers : int
        Number of linear layers, with a leaky ReLU between them.
    seed : int
        Random seed of the matrices.
    """

    name: str
    sources: str
    n_sources: int = 5
    n_observed: int = 10
    noise: float = 0.1
    n_layers: int = 1
    seed: int = 0

    @property
    def space(self) -> FactorSpace:
        """The factors ``source1``, ``source2`` and so on, all continuous."""
        return FactorSpace([Factor(f"source{k}", None, "continuous") for k in range(1, self.n_sources + 1)])

    @property
    def nuisances(self) -> tuple[str, ...]:
        """The variation not due to the sources."""
        return ("noise of the observation",) if self.noise else ()


def product(rows: NDArray[np.float64], matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``rows @ matrix.T``, summed column by column, so that every machine computes the same numbers.

    Examples
    --------
    >>> product(np.array([[1.0, 2.0]]), np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 3.0]]))
    array([[1., 3., 6.]])
    """
    total = np.zeros((len(rows), len(matrix)))
    for column, weights in zip(rows.T, matrix.T, strict=True):
        total += column[:, None] * weights
    return total


def _orthonormal(n_rows: int, n_columns: int, seed: int, stream: int) -> NDArray[np.float64]:
    """Return a random matrix with orthonormal columns, uniformly (Haar) distributed."""
    entries = normal(np.array([seed], np.uint64), n_rows * n_columns, stream=stream).reshape(n_rows, n_columns)
    q, r = np.linalg.qr(entries)
    # A positive diagonal of R makes the decomposition unique and Q Haar distributed.
    return np.asarray(q * np.sign(np.diag(r)))


def random_matrix(
    n_rows: int, n_columns: int, *, seed: int, layer: int = 0, condition: float = CONDITION_NUMBER
) -> NDArray[np.float64]:
    """Draw a matrix with a given condition number, the same on every machine for a seed.

    Its singular vectors are uniformly distributed; its singular values are geometrically spaced from
    the square root of the condition number down to its reciprocal.

    Parameters
    ----------
    n_rows, n_columns : int
        Shape; at most as many columns as rows.
    seed, layer : int
        Matrices of different seeds and layers are independent.
    condition : float
        Condition number, the ratio of the largest to the smallest singular value; 1 if there is one column.

    Returns
    -------
    (n_rows, n_columns) float64
        Rounded to 9 decimals.
    """
    left = _orthonormal(n_rows, n_columns, seed, 2 * layer)
    right = _orthonormal(n_columns, n_columns, seed, 2 * layer + 1)
    root = np.sqrt(condition) if n_columns > 1 else 1.0
    return np.round((left * np.geomspace(root, 1 / root, n_columns)) @ right.T, _DECIMALS)


class MixedSources(DataSet):
    """Independent sources, mixed by random matrices and observed with Gaussian noise.

    The factors are the values of the sources. They are continuous, so the data set has no grid and is
    sampled. With one layer ``x = A s + noise``; with more, a leaky ReLU of slope 0.2 follows each
    matrix but the last. The condition numbers of the matrices multiply to 4, so the mixing is well
    conditioned: ``unmix`` inverts it, exactly if there is no noise.

    Parameters
    ----------
    mixture : Mixture
        Parameters of the data set.

    Raises
    ------
    InvalidInputError
        If there are more sources than observed dimensions.

    Examples
    --------
    >>> data = MixedSources(Mixture("linear-ica", "laplace", n_sources=2, n_observed=3, noise=0))
    >>> sources = data.sample_factors(4, np.random.default_rng(0))
    >>> observed = data.observations(sources)
    >>> observed.shape, bool(np.allclose(data.unmix(observed), sources))
    ((4, 3), True)
    """

    def __init__(self, mixture: Mixture) -> None:
        if mixture.n_sources > mixture.n_observed:
            raise InvalidInputError(
                "n_observed must be at least n_sources, otherwise the observations do not determine the sources; "
                f"got {mixture.n_observed} and {mixture.n_sources}"
            )
        self.mixture = mixture
        self.name = mixture.name
        self.space = mixture.space
        self.nuisances = mixture.nuisances
        self.observation_shape = (mixture.n_observed,)
        self.fingerprint = "-".join([mixture.name, "1", *map(str, astuple(mixture)[1:])])
        condition = CONDITION_NUMBER ** (1 / mixture.n_layers)
        widths = (mixture.n_sources, *[mixture.n_observed] * mixture.n_layers)
        self.layers = tuple(
            random_matrix(n_rows, n_columns, seed=mixture.seed, layer=layer, condition=condition)
            for layer, (n_columns, n_rows) in enumerate(pairwise(widths))
        )
        """The matrices, first to last: (n_observed, n_sources), then (n_observed, n_observed)."""

    def __reduce__(self) -> tuple[type["MixedSources"], tuple[Mixture]]:
        return type(self), (self.mixture,)

    @property
    def mixing(self) -> NDArray[np.float64]:
        """The mixing matrix (n_observed, n_sources), if there is a single layer."""
        if len(self.layers) > 1:
            raise InvalidInputError(
                f"{self.name} with {len(self.layers)} layers has no single mixing matrix: use layers"
            )
        return self.layers[0]

    def mix(self, sources: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the noise-free observations (n, n_observed) of sources (n, n_sources)."""
        mixed = product(sources, self.layers[0])
        for matrix in self.layers[1:]:
            mixed = product(np.where(mixed < 0, SLOPE * mixed, mixed), matrix)
        return mixed

    def unmix(self, observations: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the sources (n, n_sources) of observations (n, n_observed); exact if there is no noise."""
        mixed: NDArray[Any] = np.asarray(observations, np.float64)
        for matrix in self.layers[:0:-1]:
            activated = np.linalg.solve(matrix, mixed.T).T
            mixed = np.where(activated < 0, activated / SLOPE, activated)
        return np.asarray(mixed @ np.linalg.pinv(self.layers[0]).T)

    def make(self, factors: NDArray[Any], nuisance: NDArray[np.uint64]) -> NDArray[np.float64]:
        """Return the observations (n, n_observed) float64 of these sources, with the noise of the nuisance."""
        observed = self.mix(factors)
        if self.mixture.noise:
            observed += self.mixture.noise * np.round(normal(nuisance, observed.shape[1]), _DECIMALS)
        return observed

    def sample_factors(self, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Draw the sources (n, n_sources) from their distribution."""
        return SOURCES[self.mixture.sources](rng, (n, self.mixture.n_sources))


def mixture_info(default: Mixture, summary: str, citation: str, bibtex: str, remarks: tuple[str, ...]) -> DataSetInfo:
    """Describe a data set of mixed sources with its default options."""
    return DataSetInfo(
        name=default.name,
        summary=summary,
        space=default.space,
        offline=True,
        licence="Apache-2.0",
        citation=citation,
        bibtex=bibtex,
        remarks=remarks,
        nuisances=default.nuisances,
    )


def load_mixture(
    default: Mixture,
    target: str,
    *,
    n_sources: str | int,
    n_observed: str | int,
    noise: str | float,
    seed: str | int,
    sources: str | None = None,
    n_layers: str | int = 1,
) -> MixedSources:
    """Return the default mixture with these options replaced, after validating them.

    Raises
    ------
    InvalidInputError
        If an option is out of range or unknown, or a path is given.
    """
    no_target(default.name, target)
    return MixedSources(
        replace(
            default,
            sources=default.sources if sources is None else one_of("sources", sources, tuple(SOURCES)),
            n_sources=whole_number("n_sources", n_sources, 1, MAX_DIMENSION),
            n_observed=whole_number("n_observed", n_observed, 1, MAX_DIMENSION),
            noise=real_number("noise", noise, 0, 1e6),
            n_layers=whole_number("n_layers", n_layers, 1, 16),
            seed=whole_number("seed", seed, 0, 2**63 - 1),
        )
    )
