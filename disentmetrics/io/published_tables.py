"""Columns of published tables, selected by name and validated."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from disentmetrics.errors import CorruptFileError
from disentmetrics.io.formats import Source, open_file, some_of
from disentmetrics.io.labels import CategoricalColumn


def open_columns(path: Path, names: Sequence[str]) -> Source:
    """Open a ``.csv``, ``.tsv`` or ``.xlsx`` table that must have these columns.

    Raises
    ------
    CorruptFileError
        If a column is missing.
    """
    source = open_file(path, {"missing": frozenset(), "separator": None, "sheet": None})
    absent = [name for name in names if name not in source.columns]
    if absent:
        raise CorruptFileError(f"{path} must have the columns {some_of(names)}; it lacks {some_of(absent)}")
    return source


def numbers(path: Path, source: Source, name: str) -> NDArray[np.float64]:
    """Return a column as numbers, NaN where there is none.

    Raises
    ------
    CorruptFileError
        If it contains anything else.
    """
    column = source.columns[name]
    if isinstance(column, CategoricalColumn):
        raise CorruptFileError(f"column {name!r} of {path} must contain numbers; it contains {column.categories[0]!r}")
    series = nw.from_native(column, series_only=True, pass_through=True)
    if not isinstance(series, nw.Series):
        return np.asarray(column, np.float64)
    if not series.dtype.is_numeric():
        raise CorruptFileError(f"column {name!r} of {path} must contain numbers; it contains {series.dtype}")
    return np.asarray(series.cast(nw.Float64).to_numpy(), np.float64)


def texts(path: Path, source: Source, name: str) -> list[str]:
    """Return a column as text.

    Raises
    ------
    CorruptFileError
        If a row has none.
    """
    column: Any = source.columns[name]
    if not isinstance(column, CategoricalColumn) or column.missing.any():
        raise CorruptFileError(f"column {name!r} of {path} must contain a name in every row")
    return [str(column.categories[index]) for index in column.indices.tolist()]


def positions(path: Path, name: str, values: Sequence[Any], known: Sequence[Any]) -> NDArray[np.int64]:
    """Return the position of each value among the known ones.

    Raises
    ------
    CorruptFileError
        If a value is not among them.
    """
    position = {value: index for index, value in enumerate(known)}
    unknown = next((value for value in values if value not in position), None)
    if unknown is not None:
        raise CorruptFileError(
            f"column {name!r} of {path} must contain only {some_of([*map(str, known)])}; it contains {unknown!r}"
        )
    return np.array([position[value] for value in values], np.int64)
