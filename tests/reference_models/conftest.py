"""Small images and one thread: tests are about the resulting numbers."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from disentmetrics.datasets.base import DataSet
from disentmetrics.factors import Factor, FactorSpace


def pytest_configure(config: pytest.Config) -> None:
    torch.set_num_threads(1)  # before fixtures of modules, which train too
    config.addinivalue_line("markers", "claim(method, ...): shows what these methods claim of themselves, when trained")


class Spots(DataSet):
    """A bright square of 4 pixels on 16x16: its row and its column."""

    name = "spots"
    fingerprint = "spots-1"
    space = FactorSpace([Factor("row", 6, "ordinal"), Factor("column", 6, "ordinal")])
    observation_shape = (16, 16, 1)

    def make(self, factors: NDArray[np.int64], nuisance: NDArray[np.uint64]) -> NDArray[np.uint8]:
        images = np.zeros((len(factors), 16, 16, 1), np.uint8)
        for image, (row, column) in zip(images, factors, strict=True):
            image[2 * row : 2 * row + 4, 2 * column : 2 * column + 4] = 255
        return images


@pytest.fixture(scope="session")
def spots() -> Spots:
    return Spots()
