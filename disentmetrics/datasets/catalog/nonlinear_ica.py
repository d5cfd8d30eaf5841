"""Nonlinear independent component analysis: independent sources, mixed by a random invertible network.

The mixing is that of Hyvärinen, Morioka (2016). Factors: the sources, all continuous.
"""

from disentmetrics.datasets.base import DataSetInfo
from disentmetrics.datasets.rendering.mixing import MixedSources, Mixture, load_mixture, mixture_info

DEFAULT = Mixture("nonlinear-ica", "uniform", noise=0.0, n_layers=3)
_BIBTEX = """@inproceedings{hyvarinen16,
  author = {Aapo Hyv{\\"a}rinen and Hiroshi Morioka},
  title = {Unsupervised Feature Extraction by Time-Contrastive Learning and Nonlinear {ICA}},
  booktitle = {Advances in Neural Information Processing Systems},
  year = {2016}
}"""


def info() -> DataSetInfo:
    """Describe the data set."""
    return mixture_info(
        DEFAULT,
        "independent uniform sources mixed by an invertible leaky-ReLU network",
        "the mixing of Hyvärinen, Morioka (2016), Unsupervised Feature Extraction by Time-contrastive Learning and "
        "Nonlinear ICA, NeurIPS, here with bounded condition number and without temporal structure",
        _BIBTEX,
        ("independence alone does not identify the sources: labels or further structure are needed",),
    )


def load(
    target: str = "",
    *,
    sources: str = DEFAULT.sources,
    n_sources: str | int = DEFAULT.n_sources,
    n_observed: str | int = DEFAULT.n_observed,
    n_layers: str | int = DEFAULT.n_layers,
    noise: str | float = DEFAULT.noise,
    seed: str | int = DEFAULT.seed,
) -> MixedSources:
    """Return independent sources of variance 1 and their nonlinear mixture.

    Parameters
    ----------
    target : str
        Must be empty.
    sources : {"uniform", "laplace", "gaussian"}
        Distribution of each source, with mean 0 and variance 1.
    n_sources, n_observed : int
        Number of sources, and dimension of an observation, at least as large.
    n_layers : int
        Number of linear layers, with a leaky ReLU of slope 0.2 after each but the last.
    noise : float
        Standard deviation of the Gaussian noise in each dimension.
    seed : int
        Random seed of the matrices, whose condition numbers multiply to 4.

    Returns
    -------
    MixedSources

    Raises
    ------
    InvalidInputError
        If an option is out of range or unknown, or a path is given.
    """
    return load_mixture(
        DEFAULT,
        target,
        sources=sources,
        n_sources=n_sources,
        n_observed=n_observed,
        n_layers=n_layers,
        noise=noise,
        seed=seed,
    )
