"""The data set that a command evaluates a trained model on."""

from disentmetrics.datasets import list_datasets, load_dataset
from disentmetrics.datasets.base import DataSet
from disentmetrics.errors import InvalidInputError


def data_for(fingerprint: str, spec: str = "") -> DataSet:
    """Return the data set of this spec, or the one that the model was trained on.

    Parameters
    ----------
    fingerprint : str
        Fingerprint of the training data.
    spec : str
        Data set given by the user; if empty, the training data are looked up among the bundled data sets.

    Raises
    ------
    InvalidInputError
        If there is no such data set, or the training data are not a bundled data set with default options.
    """
    if spec:
        return load_dataset(spec)
    for info in list_datasets():
        if info.offline and fingerprint.startswith(info.name):
            data = load_dataset(info.name)
            if data.fingerprint == fingerprint:
                return data
    raise InvalidInputError(
        f"the model was trained on {fingerprint}, which cannot be loaded automatically; specify it with --data"
    )


def other_data_note(fingerprint: str, data: DataSet) -> str:
    """Return a note if the data are not those that the model was trained on, and otherwise an empty text."""
    if data.fingerprint == fingerprint:
        return ""
    return f"the model was trained on {fingerprint} and is evaluated on {data.fingerprint}"
