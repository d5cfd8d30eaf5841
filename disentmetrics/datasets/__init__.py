"""Data sets with ground-truth factors: ``load_dataset("dsprites")``."""

from disentmetrics.datasets.arrays.custom import CustomDataSet
from disentmetrics.datasets.base import DataSet, DataSetInfo
from disentmetrics.datasets.registry import list_datasets, load_dataset

__all__ = ["CustomDataSet", "DataSet", "DataSetInfo", "list_datasets", "load_dataset"]
