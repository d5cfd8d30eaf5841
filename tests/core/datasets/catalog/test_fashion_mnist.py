"""Fashion-MNIST: its description and the options of its loader; the file reader is tested with the IDX format."""

from pathlib import Path

import pytest

from disentmetrics.datasets import load_dataset
from disentmetrics.datasets.catalog import fashion_mnist
from disentmetrics.errors import InvalidInputError


def test_the_only_factor_is_the_article() -> None:
    info = fashion_mnist.info()
    assert (info.name, info.offline, info.size) == ("fashion-mnist", False, 70_000)
    (factor,) = info.space
    assert (factor.name, factor.kind, factor.size) == ("article", "categorical", 10)
    assert factor.values[0] == "T-shirt/top"


def test_missing_files_and_unknown_splits_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="train-images-idx3-ubyte"):
        load_dataset(f"fashion-mnist:{tmp_path}")
    with pytest.raises(InvalidInputError, match="option split must be"):
        load_dataset("fashion-mnist?split=valid")
