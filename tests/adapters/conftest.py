"""A small data set whose images depend on their factors in a known way."""

import numpy as np
import pytest
from numpy.typing import NDArray

from disentmetrics.datasets.base import DataSet
from disentmetrics.factors import Factor, FactorSpace


class Squares(DataSet):
    """A bright square on an 8x8 image: its row, its column, its brightness."""

    name = "squares"
    fingerprint = "squares-1"
    observation_shape = (8, 8, 1)

    def __init__(self) -> None:
        self.space = FactorSpace(
            (
                Factor("row", 6, "ordinal"),
                Factor("column", 6, "circular"),
                Factor("brightness", 3, "ordinal", (60.0, 120.0, 240.0)),
            )
        )

    def make(self, factors: NDArray[np.int64], nuisance: NDArray[np.uint64]) -> NDArray[np.uint8]:
        images = np.zeros((len(factors), 8, 8, 1), np.uint8)
        for image, (row, column, brightness) in zip(images, factors, strict=True):
            image[row : row + 3, column : column + 3] = 60 * 2**brightness
        return images


@pytest.fixture
def squares() -> Squares:
    return Squares()


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def images(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Five colour images, taller than wide, so that no two axes have the same size."""
    return rng.integers(0, 256, (5, 8, 6, 3), dtype=np.uint8)
