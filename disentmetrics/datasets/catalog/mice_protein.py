"""Mice protein: levels of proteins in the brains of mice, from the table of Higuera, Gardiner and Cios (2015)."""

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

_SHARES_A_MOUSE = "_"  # 309_1 to 309_15 are measurements of mouse 309
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
        What is left out because some levels are missing: proteins (columns), or measurements (rows). By
        default nothing is: the table is refused until this is said, as it decides what is scored.
    verify, progress
        See ``load_published``.

    Returns
    -------
    CustomDataSet
        With the mouse as ``groups``; its ``inference`` says what was left out.

    Raises
    ------
    InvalidInputError
        If an option is wrong, there is no such file, or levels are missing and ``missing`` is ``refuse``.
    CorruptFileError
        If it is damaged, or not this table.
    MissingExtraError
        If the reader of Excel files is not installed.
    """
    manifest = read_manifest(NAME)
    one_of("missing", missing, MISSING_LEVELS)
    found = locate(manifest, target, verify=verify, progress=progress)
    path, _ = found.only
    source = open_columns(path, ("MouseID", *LABELS, "class"))
    proteins = [name for name in source.columns if name.endswith("_N")]
    if len(proteins) != manifest.shape[0]:
        raise CorruptFileError(
            f"{path} must have {manifest.shape[0]} columns of proteins, whose names end in _N; got {len(proteins)}"
        )
    levels = np.stack([numbers(path, source, name) for name in proteins], axis=1)
    names = [texts(path, source, label) for label in LABELS]
    _check_classes(path, names, texts(path, source, "class"))
    factors = np.stack(
        [positions(path, *column) for column in zip(LABELS, names, (f.values for f in manifest.space), strict=True)],
        axis=1,
    )
    mice = [measurement.rpartition(_SHARES_A_MOUSE)[0] for measurement in texts(path, source, "MouseID")]
    rows, columns, note = _kept(levels, missing)
    data = CustomDataSet(
        levels[np.ix_(rows, columns)],
        factors[rows],
        space=manifest.space,
        groups=np.array(mice)[rows],
        name=NAME,
        fingerprint=f"{found.fingerprint}-{missing}",
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
            f"column 'class' of {path} must say the same as {', '.join(LABELS)}; "
            f"row {row + 1} below the header has {classes[row]!r} for {', '.join(n[row] for n in names)}"
        )


def _kept(levels: NDArray[np.float64], missing: str) -> tuple[NDArray[np.int64], NDArray[np.int64], str]:
    """Return which rows and columns are left, and the sentence that says so."""
    absent = np.isnan(levels)
    n_rows, n_columns = levels.shape
    rows, columns = np.arange(n_rows), np.arange(n_columns)
    if not absent.any():
        return rows, columns, "no level is missing"
    whole_rows, whole_columns = np.flatnonzero(~absent.any(axis=1)), np.flatnonzero(~absent.any(axis=0))
    said = f"{absent.sum():,} of {absent.size:,} levels are missing"
    if missing == "refuse" or not len(whole_columns if missing == "columns" else whole_rows):
        raise InvalidInputError(
            f"{said}; say what is left out: missing=columns leaves {len(whole_columns)} of {n_columns} proteins, "
            f"missing=rows {len(whole_rows)} of {n_rows} measurements"
        )
    if missing == "columns":
        return rows, whole_columns, f"{said}: {n_columns - len(whole_columns)} of {n_columns} proteins were left out"
    return whole_rows, columns, f"{said}: {n_rows - len(whole_rows)} of {n_rows} measurements were left out"
