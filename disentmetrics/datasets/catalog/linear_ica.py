"""Independent component analysis: independent sources that are not Gaussian, mixed linearly."""

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
        "independent Laplace sources mixed linearly; ?sources=uniform for uniform ones",
        "the setting of Comon (1994), Independent component analysis, a new concept?, Signal Processing 36(3)",
        _BIBTEX,
        ("sources can be found up to order, sign and scale, unless sources=gaussian",),
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
        Their distribution, each with mean 0 and variance 1.
    n_sources, n_observed : int
        Number of sources, and of values in an observation: at least as many.
    noise : float
        Standard deviation of the Gaussian noise on each value.
    seed : int
        Decides the mixing matrix A, whose condition number is 4.

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
