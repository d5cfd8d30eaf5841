"""Fashion-MNIST: photographs of clothes, in the published files."""

from disentmetrics.datasets.base import DataSetInfo
from disentmetrics.datasets.custom import CustomDataSet
from disentmetrics.datasets.idx import load_idx
from disentmetrics.datasets.manifest import read_manifest

NAME = "fashion-mnist"


def info() -> DataSetInfo:
    """Describe the data set."""
    return read_manifest(NAME).info


def load(target: str = "", *, split: str = "", verify: bool = True, progress: bool = False) -> CustomDataSet:
    """Read Fashion-MNIST from a folder, or fetch it.

    Parameters
    ----------
    target : str
        Path of the folder with the four files (two for a split), compressed or unpacked; fetched if empty.
    split : {"", "train", "test"}
        Both, train first, or one of them.
    verify, progress
        See ``load_original``.

    Returns
    -------
    CustomDataSet
        Its only factor is the label; which of the images of a label is the nuisance.

    Raises
    ------
    InvalidInputError
        If an option is wrong or a file is missing.
    CorruptFileError
        If a file is not the published one, is damaged or of another layout.
    DownloadError
        If a file cannot be fetched.
    """
    return load_idx(NAME, target, split=split, verify=verify, progress=progress)
