"""MNIST: handwritten digits (LeCun, Bottou, Bengio, Haffner, 1998), read from the published files.

The only known factor is the digit (10).
"""

from functools import partial

from disentmetrics.datasets.base import DataSetInfo
from disentmetrics.datasets.published.idx import load_idx
from disentmetrics.datasets.published.manifest import read_manifest

NAME = "mnist"


def info() -> DataSetInfo:
    """Describe the data set."""
    return read_manifest(NAME).info


load = partial(load_idx, NAME)
