"""Data sets of the Hugging Face library ``datasets``, recognised by what they can do: it is not imported."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from disentmetrics.datasets.arrays.image_files import pixels_of
from disentmetrics.datasets.arrays.image_folder import LabelledRows
from disentmetrics.errors import InvalidInputError, did_you_mean
from disentmetrics.io.formats import some_of
from disentmetrics.io.labels import CategoricalColumn

_NEEDED = ("__len__", "__getitem__", "select_columns", "with_format")


def read_huggingface(
    dataset: Any,
    *,
    image: str | None = None,
    factors: Sequence[str] | None = None,
    groups: str | None = None,
    size: tuple[int, int] | None = None,
) -> LabelledRows:
    """Find images and labels; see :meth:`disentmetrics.CustomDataSet.from_huggingface`."""
    names = getattr(dataset, "column_names", None)
    if isinstance(names, Mapping):
        raise InvalidInputError(
            f"one split must be given; got all of {some_of(list(names))}; choose dataset[{next(iter(names))!r}]"
        )
    if not isinstance(names, list) or not all(hasattr(dataset, needed) for needed in _NEEDED):
        raise InvalidInputError(
            f"data must be a datasets.Dataset of Hugging Face; got {type(dataset).__name__}; load it without streaming"
        )
    if not len(dataset):
        raise InvalidInputError("there must be at least one observation; the data set has no row")
    features = getattr(dataset, "features", None) or {}
    image = _image_column(names, features, image)
    labels = [name for name in names if name not in {image, groups}] if factors is None else list(factors)
    if image in labels:
        raise InvalidInputError(f"factors must be columns of labels; {image!r} holds the images; leave it out")
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


def _image_column(names: list[str], features: Mapping[str, Any], asked: str | None) -> str:
    found = [asked] if asked is not None else [name for name in names if _is_image(features, name)]
    if len(found) != 1 or found[0] not in names:
        came = f"there is no {asked!r}" if asked is not None else f"found {len(found)} columns of images"
        raise InvalidInputError(f"one column must hold the images; {came}; name one of {some_of(names)}")
    return found[0]


def _is_image(features: Mapping[str, Any], name: str) -> bool:
    return type(features.get(name)).__name__ == "Image"


def _labels(dataset: Any, name: str, feature: Any) -> Any:
    # The lone column, so that no image is decoded for its label.
    values = list(dataset.with_format(None).select_columns([name])[:][name])
    classes = getattr(feature, "names", None)
    if classes is None:
        return values
    indices = np.array([-1 if value is None else value for value in values], np.int64)
    return CategoricalColumn(indices, tuple(classes), ordered=True)  # so that indices stay those of the data set


class _HuggingFaceRows:
    """Images of a column, decoded as they are asked for."""

    def __init__(self, dataset: Any, column: str, size: tuple[int, int] | None) -> None:
        self._images = dataset.select_columns([column])
        self._feature = (getattr(dataset, "features", None) or {}).get(column)
        self._column = column
        self._size = size
        first = self._image(0)
        self.shape: tuple[int, ...] = (len(dataset), *first.shape)
        self.dtype: np.dtype[Any] = first.dtype

    def take(self, rows: NDArray[np.int64], /) -> NDArray[Any]:
        """Return the images at these rows."""
        images = np.empty((len(rows), *self.shape[1:]), self.dtype)
        for position, row in enumerate(rows.tolist()):
            found = self._image(row)
            if found.shape != images.shape[1:] or found.dtype != self.dtype:
                raise InvalidInputError(
                    f"observations must have one shape and type; row 0 has {self.dtype} {self.shape[1:]} and row {row} "
                    f"has {found.dtype} {found.shape}; give a size if only that differs"
                )
            images[position] = found
        return images

    def _image(self, row: int) -> NDArray[Any]:
        value = self._images[row][self._column]
        if hasattr(value, "save") and hasattr(value, "mode"):  # an image of Pillow
            return pixels_of(f"row {row}", value, self._size)
        # Declared arrays come back as wide integers.
        array = np.asarray(value, getattr(self._feature, "dtype", None) if hasattr(self._feature, "shape") else None)
        if self._size is not None:
            raise InvalidInputError(f"size is for images; column {self._column!r} holds {type(value).__name__}")
        return array[..., None] if array.ndim == 2 and array.dtype == np.uint8 else array
