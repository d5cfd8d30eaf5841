"""MNIST: handwritten digits, in the published files."""

from functools import partial

from disentmetrics.datasets.base import DataSetInfo
from disentmetrics.datasets.published.idx import load_idx
from disentmetrics.datasets.published.manifest import read_manifest

NAME = "mnist"


def info() -> DataSetInfo:
    """Describe the data set."""
    return read_manifest(NAME).info


load = partial(load_idx, NAME)
