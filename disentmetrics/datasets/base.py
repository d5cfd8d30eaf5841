"""What a data set is: factors, observations on demand, and a name for exactly this content."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from disentmetrics.factors import FactorSpace


@dataclass(frozen=True)
class DataSetInfo:
    """What is known of a data set before it is loaded.

    Attributes
    ----------
    name, summary : str
        As on the command line, and one line on what it is.
    space : FactorSpace
        The factors; the grid has ``space.n_combinations`` observations.
    offline : bool
        Whether it needs no download.
    licence, citation : str
        Of the data.
    remarks : tuple of str
        What one must know to use it well, such as a checksum that is missing.
    """

    name: str
    summary: str
    space: FactorSpace
    offline: bool
    licence: str
    citation: str
    remarks: tuple[str, ...] = ()


class DataSet(ABC):
    """Observations with known factors of variation; knows nothing of encoders or metrics.

    Attributes
    ----------
    name : str
        As on the command line.
    space : FactorSpace
        The factors, in order.
    fingerprint : str
        Name and version of exactly this content, such as ``dsprites-1``: equal
        fingerprints mean equal bytes for equal indices, on every machine.
    observation_shape : tuple of int
        Shape of one observation; (height, width, channels) for images.
    """

    name: str
    space: FactorSpace
    fingerprint: str
    observation_shape: tuple[int, ...]

    @abstractmethod
    def observations(self, indices: ArrayLike) -> NDArray[np.uint8]:
        """Return the observations with these factors.

        Parameters
        ----------
        indices : (n, n_factors) integer
            Index of each factor's value, in the order of ``space``.

        Returns
        -------
        (n, height, width, channels) uint8
        """

    def prepare(self, *, progress: bool = False) -> None:  # noqa: B027 - most have nothing to prepare
        """Do once what makes later observations faster, such as filling a cache; show a bar if asked."""

    def sample_factors(self, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Draw ``n`` combinations of factors independently, as (n, n_factors) indices."""
        return self.space.sample(n, rng)

    def __len__(self) -> int:
        """Return the number of observations of the full grid."""
        return self.space.n_combinations
