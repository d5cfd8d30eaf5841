"""Data sets of the Hugging Face library ``datasets``, recognised by duck typing: the library is not imported."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from disentmetrics.datasets.arrays.image_files import pixels_of
from disentmetrics.datasets.arrays.image_folder import LabelledRows
from disentmetrics.errors import InvalidInputError, did_you_mean
from disentmetrics.io.formats import some_of
from disentmetrics.io.labels import CategoricalColumn

_REQUIRED_METHODS = ("__len__", "__getitem__", "select_columns", "with_format")


def read_huggingface(
    dataset: Any,
    *,
    image: str | None = None,
    factors: Sequence[str] | None = None,
    groups: str | None = None,
    size: tuple[int, int] | None = None,
) -> LabelledRows:
    """Read images and labels of a data set; see :meth:`disentmetrics.CustomDataSet.from_huggingface`."""
    names = getattr(dataset, "column_names", None)
    if isinstance(names, Mapping):
        raise InvalidInputError(
            f"a single split must be given; got {some_of(list(names))}: use dataset[{next(iter(names))!r}]"
        )
    if not isinstance(names, list) or not all(hasattr(dataset, method) for method in _REQUIRED_METHODS):
        raise InvalidInputError(
            f"data must be a Hugging Face datasets.Dataset; got {type(dataset).__name__}; load it without streaming"
        )
    if not len(dataset):
        raise InvalidInputError("there must be at least one observation; the data set has no rows")
    features = getattr(dataset, "features", None) or {}
    image = _image_column(names, features, image)
    labels = [name for name in names if name not in {image, groups}] if factors is None else list(factors)
    if image in labels:
        raise InvalidInputError(f"factors must be columns of labels; {image!r} contains the images: remove it")
    for name in [*labels, *([groups] if groups else [])]:
        if name not in names:
            raise InvalidInputError(
                f"factors and groups must be columns; there is no {name!r}{did_you_mean(name, names)}; "
                f"the columns: {some_of(names)}"
            )
    return LabelledRows(
        _HuggingFaceRows(dataset.with_format(None if _is_image(features, image) else "numpy"), image, size),
        {name: _labels(dataset, name, features.get(name)) for name in labels} or None,
        _labels(dataset, groups, features.get(groups)) if groups else None,
    )


def _image_column(names: list[str], features: Mapping[str, Any], requested: str | None) -> str:
    candidates = [requested] if requested is not None else [name for name in names if _is_image(features, name)]
    if len(candidates) != 1 or candidates[0] not in names:
        got = f"there is no {requested!r}" if requested is not None else f"found {len(candidates)} columns of images"
        raise InvalidInputError(f"one column must contain the images; {got}; choose one of: {some_of(names)}")
    return candidates[0]


def _is_image(features: Mapping[str, Any], name: str) -> bool:
    return type(features.get(name)).__name__ == "Image"


def _labels(dataset: Any, name: str, feature: Any) -> Any:
    # Only this column is selected, so that no image is decoded to read its label.
    values = list(dataset.with_format(None).select_columns([name])[:][name])
    classes = getattr(feature, "names", None)
    if classes is None:
        return values
    indices = np.array([-1 if value is None else value for value in values], np.int64)
    return CategoricalColumn(indices, tuple(classes), ordered=True)  # keeps the indices of the data set


class _HuggingFaceRows:
    """Images of a column, decoded on demand."""

    def __init__(self, dataset: Any, column: str, size: tuple[int, int] | None) -> None:
        self._images = dataset.select_columns([column])
        self._feature = (getattr(dataset, "features", None) or {}).get(column)
        self._column = column
        self._size = size
        first = self._image(0)
        self.shape: tuple[int, ...] = (len(dataset), *first.shape)
        self.dtype: np.dtype[Any] = first.dtype

    def take(self, rows: NDArray[np.int64], /) -> NDArray[Any]:
        """Return the images of the given rows."""
        images = np.empty((len(rows), *self.shape[1:]), self.dtype)
        for position, row in enumerate(rows.tolist()):
            image = self._image(row)
            if image.shape != images.shape[1:] or image.dtype != self.dtype:
                raise InvalidInputError(
                    f"observations must all have the same shape and type; row 0 has {self.dtype} {self.shape[1:]} and "
                    f"row {row} has {image.dtype} {image.shape}; set size if only that differs"
                )
            images[position] = image
        return images

    def _image(self, row: int) -> NDArray[Any]:
        value = self._images[row][self._column]
        if hasattr(value, "save") and hasattr(value, "mode"):  # a Pillow image
            return pixels_of(f"row {row}", value, self._size)
        # Columns of arrays are returned as 64-bit integers, whatever their declared type.
        array = np.asarray(value, getattr(self._feature, "dtype", None) if hasattr(self._feature, "shape") else None)
        if self._size is not None:
            raise InvalidInputError(
                f"size applies only to images; column {self._column!r} contains {type(value).__name__}"
            )
        return array[..., None] if array.ndim == 2 and array.dtype == np.uint8 else array
