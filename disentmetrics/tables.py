"""Files and data frames that hold codes beside labels, read as they are."""

import contextlib
import csv
import importlib
import os
import re
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import partial
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

import h5py
import narwhals as nw
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from disentmetrics.cache import sha256_of
from disentmetrics.columns import CategoricalColumn, encode_factor
from disentmetrics.errors import (
    CorruptFileError,
    DisentmetricsError,
    InvalidInputError,
    MissingExtraError,
    UntrustedFileError,
)
from disentmetrics.suggest import did_you_mean

MISSING = ("", "NA", "N/A", "#N/A", "NaN", "nan", "null", "NULL")
"""Text that means no value, in files whose format has no way of its own to say so."""

_FAMILY = re.compile(r"(z|code|latent|pc)(_?)(\d+)", re.IGNORECASE)
_DECIMAL_COMMA = re.compile(r"[-+]?\d*,\d+")
_SEPARATORS = (",", ";", "\t")
_ROWS_AT_ONCE = 20_000
_SHOWN = 12


@dataclass(frozen=True, eq=False)
class RawTable:
    """Codes beside raw labels, before kinds are inferred.

    Attributes
    ----------
    codes : (n_rows, n_codes) float32 or float64
        Finite.
    code_names : tuple of str
        Names of the codes, as in the source.
    factors : dict of (n_rows,) columns
        Label columns by name, to be handed to :func:`~disentmetrics.columns.encode_factor`.
    log_variance : (n_rows, n_codes) float32 or float64, or None
        Natural logarithm of the posterior variances.
    groups : (n_rows,) int64, or None
        Number of the cluster that each row belongs to.
    weights : (n_rows,) float64, or None
        How much each row counts.
    source : str
        What was read, for people.
    fingerprint : str
        First 16 digits of the file's SHA-256; ``memory`` for objects.
    notes : tuple of str
        Sentences on what was chosen where nothing was asked for; to be shown to users.
    """

    codes: NDArray[np.floating]
    code_names: tuple[str, ...]
    factors: dict[str, Any]
    log_variance: NDArray[np.floating] | None
    groups: NDArray[np.int64] | None
    weights: NDArray[np.float64] | None
    source: str
    fingerprint: str
    notes: tuple[str, ...]


class _Lazy(Mapping[str, Any]):
    """Columns or arrays by name, each read once, when asked for."""

    def __init__(self, names: Iterable[str], load: Callable[[str], Any]) -> None:
        self._read: dict[str, Any] = dict.fromkeys(names)
        self._load = load

    def __getitem__(self, name: str) -> Any:
        if self._read[name] is None:
            self._read[name] = self._load(name)
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read)

    def __len__(self) -> int:
        return len(self._read)


@dataclass(frozen=True)
class _Source:
    """What a file or object offers, and which parts play which role unless asked otherwise."""

    name: str
    columns: Mapping[str, Any]
    arrays: Mapping[str, Any] = field(default_factory=dict)
    roles: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def read_table(
    source: Any,
    *,
    codes: str | Sequence[str] | None = None,
    factors: str | Sequence[str] | None = None,
    log_variance: str | Sequence[str] | None = None,
    groups: str | None = None,
    weights: str | None = None,
    missing: Collection[str] = MISSING,
    separator: str | None = None,
    sheet: str | None = None,
) -> RawTable:
    """Read codes and labels from a file, a data frame or an AnnData object.

    Parameters
    ----------
    source : path, data frame or AnnData
        ``.npz``, ``.csv``, ``.tsv``, ``.parquet``, ``.xlsx`` or ``.h5ad``; or an eager
        data frame of pandas, polars or pyarrow; or an object with ``obsm`` and ``obs``.
    codes : str or sequence of str, optional
        Names or patterns (``PC*``) of code columns, or the key of an array: by default
        ``codes`` in ``.npz`` and the only key of ``obsm``. Columns may go unnamed if exactly one
        family is numbered like z0, z_0, code_0, latent_0 or PC1.
    factors : str or sequence of str, optional
        Names or patterns of label columns, or the key of an array: by default ``factors`` in
        ``.npz`` (with ``factor_names``) and all remaining columns elsewhere.
    log_variance : str or sequence of str, optional
        As ``codes``, in the same order; by default ``log_variance`` in ``.npz``.
    groups, weights : str, optional
        Column or key; by default ``groups`` and ``weights`` in ``.npz``.
    missing : collection of str
        Text that means no value, in ``.csv``, ``.tsv``, ``.xlsx`` and ``.npz``.
    separator : str, optional
        Between cells of ``.csv`` and ``.tsv``; a comma, semicolon or tab is found by itself.
    sheet : str, optional
        Of ``.xlsx``; the first by default.

    Returns
    -------
    RawTable
        Missing labels stay missing; missing codes are an error.

    Raises
    ------
    InvalidInputError
        If the file is not there, or columns are unknown, ambiguous, not numeric, incomplete
        (codes) or of different length.
    CorruptFileError
        If the file is truncated, altered or not of its format.
    UntrustedFileError
        If an array holds pickled objects.
    MissingExtraError
        If the reader of this format is not installed.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "codes.csv")
    ...     _ = path.write_text("z0,z1,shape\\n0.1,3,square\\n0.2,4,heart\\n")
    ...     table = read_table(path)
    >>> table.codes.tolist(), table.code_names, table.factors["shape"].categories
    ([[0.1, 3.0], [0.2, 4.0]], ('z0', 'z1'), ('square', 'heart'))
    >>> table.notes
    ('codes: z0, z1 (the only numbered family of columns)', 'factors: shape (all other columns)')
    """
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        opened = _open_file(path, {"missing": frozenset(missing), "separator": separator, "sheet": sheet})
        fingerprint = sha256_of(path)[:16]
    else:
        opened, fingerprint = _open_object(source), "memory"
    asked = {
        "codes": codes,
        "factors": factors,
        "log_variance": log_variance,
        "groups": groups,
        "weights": weights,
    }
    return _choose(opened, fingerprint, {role: _listed(opened, role, names) for role, names in asked.items()})


def _listed(source: _Source, role: str, names: str | Sequence[str] | None) -> list[str]:
    if names is None:
        return [source.roles[role]] if role in source.roles else []
    return [names] if isinstance(names, str) else list(names)


# What was asked for is found among what there is.


def _choose(source: _Source, fingerprint: str, asked: Mapping[str, list[str]]) -> RawTable:
    notes = list(source.notes)
    codes = _resolve(source, "codes", asked["codes"] or _numbered_family(source, notes))
    chosen = {role: _resolve(source, role, asked[role]) for role in ("log_variance", "groups", "weights")}
    for role in ("groups", "weights"):
        if len(chosen[role]) > 1:
            raise InvalidInputError(f"{role} must be one column; got {_some(chosen[role])}")
    labels = asked["factors"]
    if not labels:
        taken = {*codes, *(name for columns in chosen.values() for name in columns)}
        labels = [name for name in source.columns if name not in taken]
        notes.append(f"factors: {_some(labels)} (all other columns)")
    if not labels:
        raise InvalidInputError(f"{source.name} must hold labels beside codes; {_offered(source)}")
    factors = _resolve(source, "factors", labels)
    for role, columns in {"factors": factors, "log_variance": chosen["log_variance"]}.items():
        if both := [name for name, column in columns.items() if column is codes.get(name)]:
            raise InvalidInputError(
                f"a column must be either one of codes or one of {role}; both were asked of {_some(both)}"
            )
    for name, column in {**factors, **chosen["groups"]}.items():
        _refuse_decimal_commas(name, column)
    table = RawTable(
        codes=_real("codes", source, codes),
        code_names=tuple(codes),
        factors=factors,
        log_variance=_real("log_variance", source, spread) if (spread := chosen["log_variance"]) else None,
        groups=_groups(chosen["groups"]),
        weights=_real("weights", source, w)[:, 0].astype(np.float64) if (w := chosen["weights"]) else None,
        source=source.name,
        fingerprint=fingerprint,
        notes=tuple(notes),
    )
    _check_lengths(table)
    return table


def _numbered_family(source: _Source, notes: list[str]) -> list[str]:
    families: dict[tuple[str, str], dict[str, int]] = {}
    for name in source.columns:
        if match := _FAMILY.fullmatch(name):
            families.setdefault((match[1], match[2]), {})[name] = int(match[3])
    ordered = [sorted(family, key=family.__getitem__) for family in families.values()]
    if len(ordered) != 1 or source.roles:
        several = f" ({' or '.join(map(_some, ordered))})" if len(ordered) > 1 else ""
        raise InvalidInputError(
            f"it must be said what in {source.name} are codes{several}; give codes= (--code-columns), "
            f'such as "z_*"; {_offered(source)}'
        )
    notes.append(f"codes: {_some(ordered[0])} (the only numbered family of columns)")
    return ordered[0]


def _resolve(source: _Source, role: str, asked: Sequence[str]) -> dict[str, Any]:
    """Return the columns that names, patterns and keys of arrays stand for, in this order."""
    known = [*source.arrays, *source.columns]
    found: dict[str, Any] = {}
    for pattern in asked:
        names = [pattern] if pattern in known else [name for name in known if fnmatchcase(name, pattern)]
        if not names:
            raise InvalidInputError(
                f"{role} must name what is in {source.name}; there is no {pattern!r}"
                f"{did_you_mean(pattern, known)}; {_offered(source)}"
            )
        for name in names:
            alone = len(asked) == len(names) == 1
            found |= (
                _split(source, role, name, alone) if name in source.arrays else {name: source.columns[name]}
            )
    return found


def _split(source: _Source, role: str, key: str, alone: bool) -> dict[str, Any]:  # noqa: FBT001 # private
    """Return the columns of a matrix, a structured array or a data frame."""
    values = source.arrays[key]
    frame = nw.from_native(values, eager_only=True, pass_through=True)
    if isinstance(frame, nw.DataFrame):
        return _frame_columns(key, values)
    array = np.asarray(values.toarray() if sparse.issparse(values) else values)
    if array.dtype.names:
        return {name: array[name] for name in array.dtype.names}
    if array.ndim == 1 and key != role:
        return {key: array}
    matrix = array[:, None] if array.ndim == 1 else array
    if matrix.ndim != 2:
        raise InvalidInputError(f"{key!r} must have shape (n_rows, n_columns); got {array.shape}")
    width = matrix.shape[1]
    names = source.names.get(role, ())
    if len(names) != width and (not names or key != role):
        prefix = {"codes": "z", "factors": "factor_"}.get(role, "") if alone else f"{key}_"
        names = [f"{prefix}{j}" for j in range(width)]
    if len({*names}) != width or len(names) != width:
        raise InvalidInputError(
            f"each of the {width} columns of {key!r} must have a name of its own; "
            f"got {len(names)} names: {_some(names)}"
        )
    return {name: matrix[:, j] for j, name in enumerate(names)}


def _some(names: Collection[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join([*islice(names, _SHOWN), *([f"and {more:,} more"] if more > 0 else [])])


def _offered(source: _Source) -> str:
    arrays = f"its arrays: {_some(source.arrays)}" if source.arrays else ""
    columns = f"its columns: {_some(source.columns)}" if source.columns else ""
    return "; ".join(filter(None, [arrays, columns])) or "it holds no column"


def _real(role: str, source: _Source, columns: Mapping[str, Any]) -> NDArray[np.floating]:
    """Return columns as one matrix of finite numbers."""
    arrays = {name: _numbers(role, name, column) for name, column in columns.items()}
    if not all(map(len, arrays.values())):
        raise InvalidInputError(f"{role} must have at least one row; got none in {source.name}")
    if len({len(array) for array in arrays.values()}) > 1:
        lengths = ", ".join(f"{name} has {len(array):,}" for name, array in islice(arrays.items(), _SHOWN))
        raise InvalidInputError(f"the columns of {role} must have as many rows each; {lengths}")
    single = all(array.dtype in (np.float16, np.float32) for array in arrays.values())
    matrix = np.stack([*arrays.values()], axis=1).astype(np.float32 if single else np.float64, copy=False)
    for what, is_bad in {"no value": np.isnan, "infinity": np.isinf}.items():
        counts = np.count_nonzero(is_bad(matrix), axis=0)
        if counts.any():
            worst = int(np.argmax(counts))
            others = np.count_nonzero(counts) - 1
            raise InvalidInputError(
                f"{role} must be finite in every row; {[*arrays][worst]!r} holds {what} in "
                f"{counts[worst]:,} of {len(matrix):,} rows{f', and so do {others:,} more' if others else ''}; "
                "fill in these values or leave the rows out"
            )
    return matrix


def _numbers(role: str, name: str, column: Any) -> NDArray[Any]:
    series = nw.from_native(column, series_only=True, pass_through=True)
    if isinstance(series, nw.Series):
        if series.dtype.is_numeric():
            return series.cast(nw.Float32 if series.dtype == nw.Float32 else nw.Float64).to_numpy()
        array = np.array(series.drop_nulls().head(1).to_list(), dtype=object)
    elif isinstance(column, CategoricalColumn):
        array = np.array(column.categories, dtype=object)
    else:
        array = np.asarray(column.astype(np.float64).filled(np.nan) if np.ma.isMA(column) else column)
    if array.dtype.kind in "iub":
        return array.astype(np.float64)
    if array.dtype.kind == "f":
        return array
    sample = next((label for label in array.tolist() if label is not None), None)
    commas = "; write decimal points" if _DECIMAL_COMMA.fullmatch(str(sample)) else ""
    raise InvalidInputError(f"{role} must be real numbers; {name!r} holds {sample!r}{commas}")


def _refuse_decimal_commas(name: str, column: Any) -> None:
    texts = [*map(str, column.categories)] if isinstance(column, CategoricalColumn) else []
    commas = [text for text in texts if _DECIMAL_COMMA.fullmatch(text)]
    if commas and all(_DECIMAL_COMMA.fullmatch(text) or text.lstrip("+-").isdecimal() for text in texts):
        raise InvalidInputError(f"numbers must be written with decimal points; {name!r} holds {commas[0]!r}")


def _groups(columns: Mapping[str, Any]) -> NDArray[np.int64] | None:
    for name, labels in columns.items():
        encoded = encode_factor(name, labels, kind="categorical")
        if encoded.n_missing:
            raise InvalidInputError(
                f"every row must belong to a group; {name!r} lacks {encoded.n_missing:,} of {len(labels):,} labels"
            )
        return encoded.indices.astype(np.int64, copy=False)
    return None


def _check_lengths(table: RawTable) -> None:
    spread = table.log_variance
    if spread is not None and spread.shape != table.codes.shape:
        raise InvalidInputError(
            f"log_variance must have the shape of codes, {table.codes.shape}; got {spread.shape}"
        )
    columns = {**table.factors, "groups": table.groups, "weights": table.weights}
    for name, column in columns.items():
        if column is not None and len(column) != len(table.codes):
            raise InvalidInputError(
                f"codes and labels must have as many rows; {table.source} has {len(table.codes):,} rows of codes "
                f"and {len(column):,} of {name!r}"
            )


# What there is, in each kind of file and object.


def _open_file(path: Path, options: Mapping[str, Any]) -> _Source:
    suffix = path.suffix.lower()
    if suffix not in _READERS:
        raise InvalidInputError(
            f"a table must be a file of one of these kinds: {', '.join(_READERS)}; "
            f"got {path.name!r}{did_you_mean(suffix, _READERS)}"
        )
    if not path.is_file():
        raise InvalidInputError(f"a table must be a file; there is none at {path}")
    reader, understood = _READERS[suffix]
    try:
        with path.open("rb") as file:
            if not file.read(1):
                raise CorruptFileError(f"{path} must hold a table; the file is empty")
        return reader(path, **{name: options[name] for name in understood})
    except PermissionError as error:
        raise InvalidInputError(f"{path} must be readable; {error.strerror}") from error


@contextlib.contextmanager
def _whole(path: Path, *damage: type[Exception]) -> Iterator[None]:
    """Turn what a reader raises about a damaged file into one sentence."""
    try:
        yield
    except DisentmetricsError:
        raise
    except damage as error:
        said = str(error).strip().partition("\n")[0] or type(error).__name__
        raise CorruptFileError(
            f"{path} must be a whole {path.suffix.lower()} file; it is truncated, altered or of another "
            f"format ({said}); write it again"
        ) from error


def _checked_names(source: str, names: Sequence[Any]) -> list[str]:
    if odd := [name for name in names if not isinstance(name, str)]:
        raise InvalidInputError(
            f"column names must be text; {source} has a column named {odd[0]!r}; rename it"
        )
    if double := sorted({name for name in names if names.count(name) > 1}):
        raise InvalidInputError(f"column names must be unique; {source} has {_some(double)} more than once")
    return list(names)


def _frame_columns(source: str, frame: Any) -> Mapping[str, Any]:
    names = getattr(frame, "column_names", frame.columns)  # pyarrow's columns are the data
    _checked_names(source, list(names))
    wrapped = nw.from_native(frame, eager_only=True)
    return _Lazy(wrapped.columns, lambda name: wrapped[name].to_native())


def _open_object(table: Any) -> _Source:
    name = f"the {type(table).__name__}"
    if hasattr(table, "obsm") and hasattr(table, "obs"):
        keys = [*table.obsm]
        roles = {"codes": keys[0]} if len(keys) == 1 else {}
        return _Source(
            name, _frame_columns(f"{name}'s obs", table.obs), _Lazy(keys, table.obsm.__getitem__), roles
        )
    if not isinstance(nw.from_native(table, eager_only=True, pass_through=True), nw.DataFrame):
        hint = "; collect it first" if hasattr(table, "collect") else ""
        raise InvalidInputError(
            f"a table must be a path, an eager data frame or an object with obsm and obs; got {name}{hint}"
        )
    return _Source(name, _frame_columns(name, table))


def _read_npz(path: Path, missing: frozenset[str]) -> _Source:
    damage = (zipfile.BadZipFile, zlib.error, ValueError, EOFError, OSError, KeyError, NotImplementedError)

    def load(key: str) -> NDArray[Any]:
        with _whole(path, *damage), zipfile.ZipFile(path) as archive:
            with archive.open(members[key]) as member:
                while member.read(
                    1 << 20
                ):  # the checksum is compared at the end, before anything is believed
                    pass
            with archive.open(members[key]) as member:
                try:
                    array = np.lib.format.read_array(member, allow_pickle=False)
                except ValueError as error:
                    if "allow_pickle" not in str(error):
                        raise
                    raise UntrustedFileError(
                        f"arrays in {path} must be numbers or text; {key!r} holds pickled Python objects, which "
                        "could run code when read and are refused; save it with a dtype of numbers or text"
                    ) from error
        if array.dtype.kind == "S":
            array = np.char.decode(array, "utf-8")
        if array.dtype.kind == "U" and array.ndim and np.isin(array, [*missing]).any():
            array = np.where(np.isin(array, [*missing]), None, array)
        return array

    with _whole(path, *damage), zipfile.ZipFile(path) as archive:
        members = {name.removesuffix(".npy"): name for name in archive.namelist()}
    arrays = _Lazy(members, load)
    names = {
        role: tuple(map(str, np.atleast_1d(arrays[key])))
        for role, key in {"codes": "code_names", "factors": "factor_names"}.items()
        if key in arrays
    }
    roles = {
        role: role for role in ("codes", "factors", "log_variance", "groups", "weights") if role in arrays
    }
    source = _Source(path.name, {}, arrays, roles, names)
    return (
        replace(source, columns=_split(source, "factors", "factors", alone=True))
        if "factors" in roles
        else source
    )


def _read_csv(path: Path, missing: frozenset[str], separator: str | None) -> _Source:
    separator = separator or ("\t" if path.suffix.lower() == ".tsv" else _separator_of(path))
    text: set[int] = set()
    while True:
        header, columns = _parse_csv(path, separator, missing, text)
        mixed = {j for j, column in enumerate(columns) if column is None}
        if not mixed:
            break
        text |= mixed
    _checked_names(path.name, [name for name in header if name])
    unnamed = header.count("")
    notes = (f"left out: {unnamed} column{'' if unnamed == 1 else 's'} without a name",) if unnamed else ()
    named = {name: column for name, column in zip(header, columns, strict=True) if name}
    return _Source(path.name, named, notes=notes)


@contextlib.contextmanager
def _csv_records(path: Path, separator: str) -> Iterator[Iterator[list[str]]]:
    with _whole(path, csv.Error, UnicodeDecodeError), path.open(encoding="utf-8-sig", newline="") as file:
        records = csv.reader(file, delimiter=separator, skipinitialspace=True, strict=True)
        yield (record for record in records if record)


def _separator_of(path: Path) -> str:
    widths: dict[str, list[int]] = {}
    for separator in _SEPARATORS:
        with contextlib.suppress(CorruptFileError), _csv_records(path, separator) as records:
            widths[separator] = [len(record) for record in islice(records, 20)]
    # a separator cuts every line into as many cells: more cells are the likelier cut
    rank = {s: (len({*w}) == 1, w[0]) for s, w in widths.items() if w and w[0] > 1}
    best = [s for s in rank if rank[s] == max(rank.values())]
    if len(best) > 1:
        raise InvalidInputError(
            f"the cells of {path} may be separated by {' or '.join(map(repr, best))}; give separator="
        )
    return best[0] if best else ","


def _parse_csv(
    path: Path, separator: str, missing: frozenset[str], text: Collection[int]
) -> tuple[list[str], list[Any]]:
    """Return the header and the columns; None for one that turns from numbers to text half-way."""
    with _csv_records(path, separator) as records:
        header = [name.strip() for name in next(records, [])]
        if header and _as_floats(header) is not None:
            raise InvalidInputError(f"the first line of {path} must name the columns; got {_some(header)}")
        columns = [_TextColumn(missing, is_text=j in text) for j in range(len(header))]
        n_rows = 0
        while rows := list(islice(records, _ROWS_AT_ONCE)):
            for n_rows, record in enumerate(rows, n_rows + 1):  # noqa: B020 # it counts on
                if len(record) != len(header):
                    raise CorruptFileError(
                        f"every line of {path} must have {len(header)} cells separated by {separator!r}; row "
                        f"{n_rows:,} below the header has {len(record)}; write the file again, or give separator="
                    )
            for column, cells in zip(columns, zip(*rows, strict=True), strict=True):
                column.append(cells)
    return header, [column.finish() for column in columns]


class _TextColumn:
    """Cells of text, which are numbers if all of them are and labels otherwise."""

    def __init__(self, missing: frozenset[str], *, is_text: bool = False) -> None:
        self._missing = missing | {""}
        self._is_text = is_text
        self._seen: dict[str, int] = {}
        self._numbers: list[NDArray[np.float64]] = []
        self._indices: list[NDArray[np.int64]] = []

    def append(self, cells: Sequence[str]) -> None:
        """Add some cells, as numbers if they can be."""
        numbers = _as_floats(["nan" if cell in self._missing else cell for cell in cells])
        if numbers is not None and (np.isnan(numbers).all() or not self._is_text):
            self._numbers.append(numbers)
            self._indices.append(np.full(len(cells), -1))
            return
        seen = self._seen
        labels = (-1 if cell in self._missing else seen.setdefault(cell, len(seen)) for cell in cells)
        self._indices.append(np.fromiter(labels, dtype=np.int64))

    def finish(self) -> NDArray[np.float64] | CategoricalColumn | None:
        """Return numbers or categories; None where some cells were read as either."""
        if not self._seen:
            return np.concatenate([np.empty(0), *self._numbers])
        if all(np.isnan(numbers).all() for numbers in self._numbers):
            return CategoricalColumn(np.concatenate(self._indices), tuple(self._seen))
        return None


def _as_floats(cells: Sequence[str]) -> NDArray[np.float64] | None:
    """Return cells as numbers; None if one is a label, such as 309_1 or an identifier of 20 digits."""
    text = "".join(cells)
    if "_" in text or not text.isascii():  # both of which Python would take for part of a number
        return None
    try:
        numbers = np.array(cells, dtype=np.float64)
    except ValueError:
        return None
    beyond_exact = np.flatnonzero(np.abs(numbers) >= 2**53)
    return None if any(cells[i].lstrip("+-").isdecimal() for i in beyond_exact) else numbers


def _read_parquet(path: Path) -> _Source:
    polars = _extra("polars", path)
    with _whole(path, polars.exceptions.PolarsError, OSError), path.open("rb") as file:
        frame = polars.read_parquet(file)
    return _Source(path.name, _frame_columns(path.name, frame))


def _read_xlsx(path: Path, missing: frozenset[str], sheet: str | None) -> _Source:
    fastexcel, polars = _extra("fastexcel", path), _extra("polars", path)
    with _whole(path, fastexcel.FastExcelError, polars.exceptions.PolarsError):
        book = fastexcel.read_excel(str(path))
        sheets = book.sheet_names
        if sheet is not None and sheet not in sheets:
            raise InvalidInputError(
                f"{path.name} has no sheet {sheet!r}{did_you_mean(sheet, sheets)}; its sheets: {_some(sheets)}"
            )
        chosen = sheets.index(sheet) if sheet is not None else 0
        # the header is read apart, since fastexcel would rename what is there twice
        titles = book.load_sheet(chosen, header_row=None, n_rows=1, dtypes="string").to_polars().row(0)
        header = [(title or "").strip() for title in titles]
        _checked_names(path.name, [title for title in header if title])
        named = [j for j, title in enumerate(header) if title]
        body = book.load_sheet(chosen, use_columns=named).to_polars()
    body = body.filter(~polars.all_horizontal(polars.all().is_null()))
    columns = {header[j]: _typed(body[:, k], missing) for k, j in enumerate(named)}
    others = f"sheet: {sheets[0]} (the first of {len(sheets)})"
    notes = (others,) if sheet is None and len(sheets) > 1 else ()
    return _Source(path.name, columns, notes=notes)


def _typed(series: Any, missing: frozenset[str]) -> Any:
    """Read a column of Excel text as that of a text file: numbers lie among labels like NA."""
    if not isinstance(nw.from_native(series, series_only=True).dtype, nw.String):
        return series
    column = _TextColumn(missing)
    column.append([cell or "" for cell in series.to_list()])
    return column.finish()


def _read_h5ad(path: Path) -> _Source:
    damage = (OSError, KeyError, RuntimeError, ValueError)

    def load(group: str, name: str) -> Any:
        with _whole(path, *damage), h5py.File(path) as file:
            return _h5_column(path, file, file[group][name])

    with _whole(path, *damage), h5py.File(path) as file:
        if not isinstance(file["obs"], h5py.Group):
            raise InvalidInputError(f"{path} must be written by anndata 0.7 or later; read and write it anew")
        names = [str(name) for name in file["obs"].attrs["column-order"]]
        keys = [*file["obsm"]] if "obsm" in file else []
    roles = {"codes": keys[0]} if len(keys) == 1 else {}
    return _Source(path.name, _Lazy(names, partial(load, "obs")), _Lazy(keys, partial(load, "obsm")), roles)


def _h5_column(path: Path, file: h5py.File, stored: Any) -> Any:
    """Return an element as anndata encodes it: array, text, categories, or values with a mask."""
    if isinstance(stored, h5py.Dataset):
        if "categories" in stored.attrs:  # anndata before 0.8
            categories = file[stored.attrs["categories"]]
            return _h5_categories(stored, categories, categories.attrs)
        return stored.asstr()[:] if h5py.check_string_dtype(stored.dtype) else stored[:]
    encoding = stored.attrs.get("encoding-type", "unknown")
    if encoding == "categorical":
        return _h5_categories(stored["codes"], stored["categories"], stored.attrs)
    if encoding in {"nullable-integer", "nullable-boolean", "nullable-string-array"}:
        values = stored["values"]
        values = values.asstr()[:] if h5py.check_string_dtype(values.dtype) else values[:]
        return np.ma.MaskedArray(values, stored["mask"][:])
    raise InvalidInputError(
        f"{stored.name} of {path.name} must be an array or a column; its encoding is {encoding}"
    )


def _h5_categories(indices: Any, categories: Any, attributes: Mapping[str, Any]) -> CategoricalColumn:
    labels = categories.asstr()[:] if h5py.check_string_dtype(categories.dtype) else categories[:]
    return CategoricalColumn(indices[:], tuple(labels.tolist()), bool(attributes.get("ordered", False)))


def _extra(module: str, path: Path) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise MissingExtraError(
            f"{path.suffix.lower()} files are read with {module}, which is not installed; "
            'pip install "disentmetrics[tables]"'
        ) from error


_READERS: dict[str, tuple[Callable[..., _Source], tuple[str, ...]]] = {
    ".npz": (_read_npz, ("missing",)),
    ".csv": (_read_csv, ("missing", "separator")),
    ".tsv": (_read_csv, ("missing", "separator")),
    ".parquet": (_read_parquet, ()),
    ".xlsx": (_read_xlsx, ("missing", "sheet")),
    ".h5ad": (_read_h5ad, ()),
}
