"""Linear independent component analysis: independent non-Gaussian sources, mixed linearly.

The setting of Comon (1994). Factors: the sources, all continuous.
"""

from disentmetrics.datasets.base import DataSetInfo
from disentmetrics.datasets.rendering.mixing import MixedSources, Mixture, load_mixture, mixture_info

DEFAULT = Mixture("linear-ica", "laplace")
_BIBTEX = """@article{comon94,
  author = {Pierre Comon},
  title = {Independent component analysis, a new concept?},
  journal = {Signal Processing},
  volume = {36},
  number = {3},
  pages = {287--314},
  year = {1994}
}"""


def info() -> DataSetInfo:
    """Describe the data set."""
    return mixture_info(
        DEFAULT,
        "independent Laplace sources mixed linearly; ?sources=uniform makes them uniform",
        "the setting of Comon (1994), Independent component analysis, a new concept?, Signal Processing 36(3)",
        _BIBTEX,
        ("the sources are identifiable up to order, sign and scale, unless sources=gaussian",),
    )


def load(
    target: str = "",
    *,
    sources: str = DEFAULT.sources,
    n_sources: str | int = DEFAULT.n_sources,
    n_observed: str | int = DEFAULT.n_observed,
    noise: str | float = DEFAULT.noise,
    seed: str | int = DEFAULT.seed,
) -> MixedSources:
    """Return independent sources s of variance 1 and observations x = A s + noise.

    Parameters
    ----------
    target : str
        Must be empty.
    sources : {"laplace", "uniform", "gaussian"}
        Distribution of each source, with mean 0 and variance 1.
    n_sources, n_observed : int
        Number of sources, and dimension of an observation, at least as large.
    noise : float
        Standard deviation of the Gaussian noise in each dimension.
    seed : int
        Random seed of the mixing matrix A, whose condition number is 4.

    Returns
    -------
    MixedSources

    Raises
    ------
    InvalidInputError
        If an option is out of range or unknown, or a path is given.
    """
    return load_mixture(
        DEFAULT, target, sources=sources, n_sources=n_sources, n_observed=n_observed, noise=noise, seed=seed
    )
