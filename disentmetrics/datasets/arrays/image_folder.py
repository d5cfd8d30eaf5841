"""Folders of images with a table of labels, or with one subfolder per label."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np

from disentmetrics.datasets.arrays.image_files import SUFFIXES, ImageRows
from disentmetrics.errors import CorruptFileError, InvalidInputError, did_you_mean
from disentmetrics.io.formats import open_file, some_of
from disentmetrics.io.labels import CategoricalColumn, mark_texts

TABLES = ("labels.csv", "labels.tsv", "labels.parquet", "labels.xlsx")
"""File names of tables that are detected automatically."""

IMAGE_COLUMNS = ("image", "file", "file_name", "filename", "path")
"""Names of the column of image files that are detected automatically."""


@dataclass(frozen=True)
class LabelledRows:
    """Observations and their labels, before the kinds of factors are inferred.

    Attributes
    ----------
    observations : Observations
    factors : mapping of columns, or None
    groups : column or None
    notes : tuple of str
        Messages on what was chosen automatically or left out.
    """

    observations: Any
    factors: Mapping[str, Any] | None
    groups: Any = None
    notes: tuple[str, ...] = ()


def read_folder(
    folder: Path | str,
    *,
    table: Path | str | None = None,
    image_column: str | None = None,
    factors: Sequence[str] | None = None,
    groups: str | None = None,
    missing: Collection[str | float] | str | float = (),
    size: tuple[int, int] | None = None,
) -> LabelledRows:
    """Read images and labels of a folder; see :meth:`disentmetrics.CustomDataSet.from_folder`."""
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise InvalidInputError(f"the path of images must be a folder; there is none at {root}")
    tables = [root / table] if table is not None else [root / name for name in TABLES if (root / name).is_file()]
    if len(tables) > 1:
        raise InvalidInputError(
            f"the labels must be in a single table; {root} has {some_of([t.name for t in tables])}; name one"
        )
    if tables:
        return _from_table(root, tables[0], image_column, factors, groups, missing, size)
    if image_column or factors or groups:
        raise InvalidInputError(
            f"image column, factors and groups name columns of a table; {root} has none of {', '.join(TABLES)}; "
            "give its name"
        )
    return _from_names(root, size)


def _from_names(root: Path, size: tuple[int, int] | None) -> LabelledRows:
    names = _images_in(root)
    if not names:
        raise InvalidInputError(f"{root} must contain images ({', '.join(sorted(SUFFIXES))}); it contains none")
    labels = [str(Path(name).parent.as_posix()) for name in names]
    images = _images(root, names, size)
    if set(labels) == {"."}:
        return LabelledRows(images, None, notes=(f"no factors: {root} has neither a table of labels nor subfolders",))
    if "." in labels:
        raise InvalidInputError(
            "images must all be in subfolders named by their labels, or all in one folder; "
            f"{names[labels.index('.')]} is next to the subfolders of {root}: move it, or add a table"
        )
    return LabelledRows(images, {"label": labels}, notes=("factor label: the subfolder of each image",))


def _from_table(
    root: Path,
    path: Path,
    image_column: str | None,
    factors: Sequence[str] | None,
    groups: str | None,
    missing: Collection[str | float] | str | float,
    size: tuple[int, int] | None,
) -> LabelledRows:
    source = open_file(path, {"missing": mark_texts(missing), "separator": None, "sheet": None})
    columns = source.columns
    image_column = _image_column(path, list(columns), image_column)
    selected = list(columns) if factors is None else list(factors)
    for name in [*selected, *([groups] if groups else [])]:
        if name not in columns:
            raise InvalidInputError(
                f"factors and groups must be columns of {path.name}; there is no {name!r}"
                f"{did_you_mean(name, list(columns))}; its columns: {some_of(list(columns))}"
            )
    if factors is not None and image_column in factors:
        raise InvalidInputError(
            f"factors must be columns of labels; {image_column!r} contains the image files: remove it"
        )
    names = _texts(path, image_column, columns[image_column])
    kept = [name for name in selected if name not in {image_column, groups} or (factors is not None and name == groups)]
    notes = list(source.notes)
    if unused := len(set(_images_in(root)) - set(names)):
        notes.append(f"left out: {unused:,} image{'' if unused == 1 else 's'} of {root} not in {path.name}")
    return LabelledRows(
        _images(root, names, size),
        {name: columns[name] for name in kept} or None,
        columns[groups] if groups else None,
        tuple(notes),
    )


def _image_column(path: Path, columns: list[str], requested: str | None) -> str:
    candidates = [requested] if requested is not None else [n for n in columns if n.lower() in IMAGE_COLUMNS]
    if len(candidates) != 1 or candidates[0] not in columns:
        got = f"there is no {requested!r}" if requested is not None else f"found {some_of(candidates) or None}"
        raise InvalidInputError(
            f"one column of {path.name} must contain the image files; {got}; choose one of: {some_of(columns)}"
        )
    return candidates[0]


def _texts(path: Path, name: str, column: Any) -> list[str]:
    if isinstance(column, CategoricalColumn):
        labels = [*column.categories, None]
        texts = [labels[index] for index in column.indices.tolist()]
    else:
        series = nw.from_native(column, series_only=True, pass_through=True)
        texts = series.to_list() if isinstance(series, nw.Series) else np.asarray(column).tolist()
    bad = [(row, text) for row, text in enumerate(texts, 1) if not isinstance(text, str) or not text]
    if bad or not texts:
        got = f"row {bad[0][0]} below the header contains {bad[0][1]!r}" if bad else "it has no row"
        raise InvalidInputError(f"column {name!r} of {path.name} must contain an image file in every row; {got}")
    return texts


def _images(root: Path, names: list[str], size: tuple[int, int] | None) -> ImageRows:
    home = root.resolve()
    for name in dict.fromkeys(names):
        path = (home / name).resolve()
        if not path.is_relative_to(home):
            raise InvalidInputError(f"images must be in {root}; {name!r} is outside of it")
        if not path.is_file():
            raise InvalidInputError(f"every image must be a file in {root}; there is no {name!r}")
    return ImageRows(names, partial(_read, home), size=size)


def _read(home: Path, name: str) -> bytes:
    try:
        return (home / name).read_bytes()
    except OSError as error:
        raise CorruptFileError(f"{home / name} must be readable; {error.strerror or error}") from error


def _images_in(root: Path) -> list[str]:
    """Return the sorted paths of all images below a folder, except hidden ones."""
    paths = (path.relative_to(root) for path in root.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    return sorted(path.as_posix() for path in paths if not any(part.startswith(".") for part in path.parts))
