"""Factor analysis: independent Gaussian sources, mixed linearly, with Gaussian noise.

The setting of Stühmer, Turner, Nowozin (2020), appendix B. Factors: the sources, all continuous.
"""

from disentmetrics.datasets.base import DataSetInfo
from disentmetrics.datasets.rendering.mixing import MixedSources, Mixture, load_mixture, mixture_info

DEFAULT = Mixture("linear-gaussian", "gaussian")
_BIBTEX = """@inproceedings{stuhmer20,
  author = {Jan St{\\"u}hmer and Richard E. Turner and Sebastian Nowozin},
  title = {Independent Subspace Analysis for Unsupervised Learning of Disentangled Representations},
  booktitle = {International Conference on Artificial Intelligence and Statistics},
  year = {2020}
}"""


def info() -> DataSetInfo:
    """Describe the data set."""
    return mixture_info(
        DEFAULT,
        "Gaussian sources mixed linearly, with Gaussian noise (factor analysis)",
        "Stühmer, Turner, Nowozin (2020), Independent Subspace Analysis for Unsupervised Learning of Disentangled "
        "Representations, appendix B, on factor analysis",
        _BIBTEX,
        ("rotated sources give the same distribution: the sources are not identifiable without labels",),
    )


def load(
    target: str = "",
    *,
    n_sources: str | int = DEFAULT.n_sources,
    n_observed: str | int = DEFAULT.n_observed,
    noise: str | float = DEFAULT.noise,
    seed: str | int = DEFAULT.seed,
) -> MixedSources:
    """Return Gaussian sources s ~ N(0, 1) and observations x = A s + noise.

    Parameters
    ----------
    target : str
        Must be empty.
    n_sources, n_observed : int
        Number of sources, and dimension of an observation, at least as large.
    noise : float
        Standard deviation of the noise in each dimension.
    seed : int
        Random seed of the mixing matrix A, whose condition number is 4.

    Returns
    -------
    MixedSources

    Raises
    ------
    InvalidInputError
        If an option is out of range, or a path is given.
    """
    return load_mixture(DEFAULT, target, n_sources=n_sources, n_observed=n_observed, noise=noise, seed=seed)
