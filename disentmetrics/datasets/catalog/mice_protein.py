"""Mice protein: levels of 77 proteins in the brains of 72 mice (Higuera, Gardiner, Cios, 2015).

Factors: genotype, treatment and behaviour (2 values each); the 15 measurements of a mouse form a group.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from disentmetrics.datasets.arrays.custom import CustomDataSet
from disentmetrics.datasets.base import DataSetInfo
from disentmetrics.datasets.options import one_of
from disentmetrics.datasets.published.dataset import locate
from disentmetrics.datasets.published.manifest import read_manifest
from disentmetrics.errors import CorruptFileError, InvalidInputError
from disentmetrics.io.published_tables import numbers, open_columns, positions, texts

NAME = "mice-protein"
LABELS = ("Genotype", "Treatment", "Behavior")
MISSING_LEVELS = ("refuse", "columns", "rows")

_MEASUREMENT_SEPARATOR = "_"  # 309_1 to 309_15 are measurements of mouse 309
_CLASS_LETTERS = ({"Control": "c", "Ts65Dn": "t"}, {"C/S": "CS", "S/C": "SC"}, {"Memantine": "m", "Saline": "s"})


def info() -> DataSetInfo:
    """Describe the data set."""
    return read_manifest(NAME).info


def load(target: str = "", *, missing: str = "refuse", verify: bool = True, progress: bool = False) -> CustomDataSet:
    """Read the table of protein levels.

    Parameters
    ----------
    target : str
        Path of ``Data_Cortex_Nuclear.csv`` or ``.xlsx``, or of its folder.
    missing : {"refuse", "columns", "rows"}
        How missing levels are handled: drop the affected proteins (columns) or measurements (rows). By
        default a table with missing levels is refused, because the choice affects what is scored.
    verify, progress
        See ``load_published``.

    Returns
    -------
    CustomDataSet
        With the mouse as ``groups``; its ``inference`` reports what was dropped.

    Raises
    ------
    InvalidInputError
        If an option is wrong, there is no such file, or levels are missing and ``missing`` is ``refuse``.
    CorruptFileError
        If the file is damaged, or contains another table.
    MissingExtraError
        If the reader of Excel files is not installed.
    """
    manifest = read_manifest(NAME)
    one_of("missing", missing, MISSING_LEVELS)
    located = locate(manifest, target, verify=verify, progress=progress)
    path, _ = located.only
    source = open_columns(path, ("MouseID", *LABELS, "class"))
    proteins = [name for name in source.columns if name.endswith("_N")]
    if len(proteins) != manifest.shape[0]:
        raise CorruptFileError(
            f"{path} must have {manifest.shape[0]} protein columns, whose names end in _N; got {len(proteins)}"
        )
    levels = np.stack([numbers(path, source, name) for name in proteins], axis=1)
    names = [texts(path, source, label) for label in LABELS]
    _check_classes(path, names, texts(path, source, "class"))
    factors = np.stack(
        [positions(path, *column) for column in zip(LABELS, names, (f.values for f in manifest.space), strict=True)],
        axis=1,
    )
    mice = [measurement.rpartition(_MEASUREMENT_SEPARATOR)[0] for measurement in texts(path, source, "MouseID")]
    rows, columns, note = _complete_part(levels, missing)
    data = CustomDataSet(
        levels[np.ix_(rows, columns)],
        factors[rows],
        space=manifest.space,
        groups=np.array(mice)[rows],
        name=NAME,
        fingerprint=f"{located.fingerprint}-{missing}",
    )
    data.nuisances = manifest.nuisances
    data.inference = (note,)
    return data


def _check_classes(path: Path, names: list[list[str]], classes: list[str]) -> None:
    letters, (genotype, treatment, behaviour) = _CLASS_LETTERS, names
    expected = [
        f"{letters[0].get(g)}-{letters[1].get(b)}-{letters[2].get(t)}"
        for g, b, t in zip(genotype, behaviour, treatment, strict=True)
    ]
    if expected != classes:
        row = next(n for n, (one, other) in enumerate(zip(expected, classes, strict=True)) if one != other)
        raise CorruptFileError(
            f"column 'class' of {path} must agree with {', '.join(LABELS)}; "
            f"row {row + 1} below the header has {classes[row]!r} for {', '.join(n[row] for n in names)}"
        )


def _complete_part(levels: NDArray[np.float64], missing: str) -> tuple[NDArray[np.int64], NDArray[np.int64], str]:
    """Return the rows and columns to keep, which have no missing level, and a note on what was dropped."""
    is_missing = np.isnan(levels)
    n_rows, n_columns = levels.shape
    rows, columns = np.arange(n_rows), np.arange(n_columns)
    if not is_missing.any():
        return rows, columns, "no level is missing"
    complete_rows = np.flatnonzero(~is_missing.any(axis=1))
    complete_columns = np.flatnonzero(~is_missing.any(axis=0))
    n_missing = f"{is_missing.sum():,} of {is_missing.size:,} levels are missing"
    if missing == "refuse" or not len(complete_columns if missing == "columns" else complete_rows):
        raise InvalidInputError(
            f"{n_missing}; specify what to drop: missing=columns keeps {len(complete_columns)} of {n_columns} "
            f"proteins, missing=rows keeps {len(complete_rows)} of {n_rows} measurements"
        )
    if missing == "columns":
        n_dropped = n_columns - len(complete_columns)
        return rows, complete_columns, f"{n_missing}: {n_dropped} of {n_columns} proteins were dropped"
    return complete_rows, columns, f"{n_missing}: {n_rows - len(complete_rows)} of {n_rows} measurements were dropped"
