"""MNIST: handwritten digits, in the published files."""

from functools import partial

from disentmetrics.datasets.base import DataSetInfo
from disentmetrics.datasets.idx import load_idx
from disentmetrics.datasets.manifest import read_manifest

NAME = "mnist"


def info() -> DataSetInfo:
    """Describe the data set."""
    return read_manifest(NAME).info


load = partial(load_idx, NAME)
