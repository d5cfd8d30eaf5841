"""Columns and arrays of files and data frames, by name and read on demand."""

import contextlib
import csv
import importlib
import json
import math
import os
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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

from disentmetrics._utils.arrays import as_array
from disentmetrics._utils.installation import install_command
from disentmetrics.errors import (
    CorruptFileError,
    DisentmetricsError,
    InvalidInputError,
    MissingExtraError,
    UntrustedFileError,
    did_you_mean,
)
from disentmetrics.io.hdf5 import own_object, rehearse
from disentmetrics.io.labels import MISSING, MISSING_OR_NAME, CategoricalColumn, MarkedNumbers, as_floats

MAX_BYTES = 4_000_000_000
"""Memory that one column or array of a file may take unless the caller allows more."""
_DEEPEST = 2  # groups within an element of anndata: a data frame of categories
_READER_BYTES = 1 << 30  # that a reader in another process takes for itself, mostly reserved and not used
_SEPARATORS = (",", ";", "\t")
_ROWS_AT_ONCE = 20_000
_SHOWN = 12
_DAMAGED_ZIP = (Exception,)  # zipfile, decompressors and numpy raise errors of a dozen kinds
_DAMAGED_HDF5 = (Exception,)  # and so does h5py
_NUMBERED = {"codes": "z", "factors": "factor_"}
_NAMES = {"codes": "code_names", "factors": "factor_names"}


class Lazy(Mapping[str, Any]):
    """Columns or arrays by name, each read once on first access."""

    def __init__(self, names: Iterable[str], load: Callable[[str], Any]) -> None:
        self._read: dict[str, Any] = dict.fromkeys(names)
        self._load = load

    def __contains__(self, name: object) -> bool:
        return name in self._read

    def __getitem__(self, name: str) -> Any:
        if self._read[name] is None:
            self._read[name] = self._load(name)
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read)

    def __len__(self) -> int:
        return len(self._read)


@dataclass(frozen=True)
class Source:
    """The columns and arrays of a file or object.

    Attributes
    ----------
    name : str
        As printed in messages.
    columns : mapping of (n_rows,) columns
        One value per row.
    arrays : mapping of (n_rows, n_columns) arrays
        Several values per row.
    roles : mapping of role to key
        Arrays with a default role, such as ``codes``.
    names : mapping of role to sequence of str
        Names of the columns of the array in this role.
    notes : tuple of str
        Notes for users on what was left out.
    """

    name: str
    columns: Mapping[str, Any]
    arrays: Mapping[str, Any] = field(default_factory=dict)
    roles: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def some_of(names: Collection[str]) -> str:
    """Return the first names and the number of further ones, as text."""
    more = len(names) - _SHOWN
    return ", ".join([*islice(names, _SHOWN), *([f"and {more:,} more"] if more > 0 else [])])


def split_array(values: Any, key: str, role: str, named: Mapping[str, Sequence[str]]) -> Mapping[str, Any]:
    """Return the columns of a matrix, a data frame or a mapping.

    Parameters
    ----------
    values : array, sparse matrix, data frame or mapping of columns
        One row per observation.
    key, role : str
        Name of the values in the source, and their role.
    named : mapping of role to sequence of str
        Names of the columns in the source; numbered names are the default.
    """
    if isinstance(values, Mapping):
        return values
    if nw.dependencies.is_into_dataframe(values):
        return frame_columns(key, values)
    array = as_array(repr(key), values.toarray() if sparse.issparse(values) else values)
    if array.ndim == 1 and key != role:
        return {key: array}
    matrix = array[:, None] if array.ndim == 1 else array
    if matrix.ndim != 2:
        raise InvalidInputError(f"{key!r} must have shape (n_rows, n_columns); got {array.shape}")
    width = matrix.shape[1]
    names = named.get(role, ())
    if not names or (len(names) != width and key != role):
        prefix = _NUMBERED[role] if key == role in _NUMBERED else f"{key}_"
        names = [f"{prefix}{j}" for j in range(width)]
    if len({*names}) != width or len(names) != width:
        raise InvalidInputError(
            f"each of the {width} columns of {key!r} must have a unique name; got {len(names)} names: {some_of(names)}"
        )
    return {name: matrix[:, j] for j, name in enumerate(names)}


def open_file(path: Path, options: Mapping[str, Any]) -> Source:
    """Open a file by its extension; each format uses those options that apply to it."""
    suffix = path.suffix.lower()
    if suffix not in _READERS:
        raise InvalidInputError(
            f"a table must be a file of one of these formats: {', '.join(_READERS)}; "
            f"got {path.name!r}{did_you_mean(suffix, _READERS)}"
        )
    if not path.is_file():
        if path.exists():
            raise InvalidInputError(f"a table must be a file; {path} is {'a folder' if path.is_dir() else 'a pipe'}")
        raise InvalidInputError(f"a table must be a file; there is no file at {path}")
    reader, applicable = _READERS[suffix]
    try:
        with path.open("rb") as file:
            if not file.read(1):
                raise CorruptFileError(f"{path} must contain a table; the file is empty")
        given = {"max_bytes": MAX_BYTES, **options}
        return reader(path, **{name: given[name] for name in applicable})
    except PermissionError as error:
        raise InvalidInputError(f"{path} must be readable; {error.strerror}") from error


def check_size(path: Path, what: str, n_bytes: int, max_bytes: int) -> None:
    """Raise UntrustedFileError if a part of a file that may be small itself takes more memory than allowed."""
    if n_bytes > max_bytes:
        raise UntrustedFileError(
            f"{what} of {path} would take {n_bytes / 1e9:,.1f} GB of memory, more than the limit of "
            f"{max_bytes / 1e9:g} GB; set max_gigabytes (--max-gigabytes) if you trust the file"
        )


@contextlib.contextmanager
def _undamaged(path: Path, *damage: type[BaseException]) -> Iterator[None]:
    """Convert the errors of a reader about a damaged file to CorruptFileError."""
    try:
        yield
    except DisentmetricsError:
        raise
    except damage as error:
        message = str(error).strip().partition("\n")[0] or type(error).__name__
        raise CorruptFileError(
            f"{path} must be a complete {path.suffix.lower()} file; it is truncated, altered or of another "
            f"format ({message}); write it again"
        ) from error


def _check_names(source: str, names: Sequence[Any]) -> None:
    if not_text := [name for name in names if not isinstance(name, str)]:
        raise InvalidInputError(f"column names must be text; {source} has a column named {not_text[0]!r}; rename it")
    if duplicates := [name for name, n in Counter(names).items() if n > 1]:
        raise InvalidInputError(f"column names must be unique; {source} has {some_of(duplicates)} more than once")


def frame_columns(source: str, frame: Any) -> Mapping[str, Any]:
    """Return the columns of a pandas, polars or pyarrow data frame unchanged."""
    names = getattr(frame, "column_names", frame.columns)  # pyarrow's columns are the data
    _check_names(source, list(names))
    wrapped = nw.from_native(frame, eager_only=True)
    return Lazy(wrapped.columns, lambda name: wrapped[name].to_native())


def open_object(table: Any) -> Source:
    """Open a data frame in memory, or an object such as AnnData with ``obsm`` and ``obs``."""
    name = f"the {type(table).__name__}"
    if hasattr(table, "obsm") and hasattr(table, "obs"):
        keys = [*table.obsm]
        roles = {"codes": keys[0]} if len(keys) == 1 else {}
        columns = frame_columns(f"{name}'s obs", table.obs)
        return Source(name, columns, Lazy(keys, table.obsm.__getitem__), roles)
    if not nw.dependencies.is_into_dataframe(table):
        hint = "; collect it first" if hasattr(table, "collect") else ""
        raise InvalidInputError(
            f"a table must be a path, an eager data frame or an object with obsm and obs; got {name}{hint}"
        )
    return Source(name, frame_columns(name, table))


def _read_npz(path: Path, max_bytes: int) -> Source:
    def load(key: str) -> Any:
        with _undamaged(path, *_DAMAGED_ZIP), zipfile.ZipFile(path) as archive:
            check_size(path, repr(key), archive.getinfo(members[key]).file_size, max_bytes)
            with archive.open(members[key]) as member:
                while member.read(1 << 20):  # the checksum is verified at the end, before any value is used
                    pass
            with archive.open(members[key]) as member:
                array = _read_array(path, key, member, archive.getinfo(members[key]).file_size)
        return {name: array[name] for name in array.dtype.names} if array.dtype.names else array

    with _undamaged(path, *_DAMAGED_ZIP), zipfile.ZipFile(path) as archive:
        members = {name.removesuffix(".npy"): name for name in archive.namelist()}
    arrays = Lazy(members, load)
    roles = {role: role for role in ("codes", "factors", "log_variance", "groups", "weights") if role in arrays}
    names = {role: tuple(map(str, _text(arrays[key]).ravel())) for role, key in _NAMES.items() if key in arrays}
    # a factor may also be selected by its name
    factors = split_array(arrays["factors"], "factors", "factors", names) if "factors" in arrays else {}
    return Source(path.name, factors, arrays, roles, names)


def _read_array(path: Path, key: str, member: Any, n_bytes: int) -> NDArray[Any]:
    try:
        _check_header(member, n_bytes)
        member.seek(0)
        array: NDArray[Any] = np.lib.format.read_array(member, allow_pickle=False)
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        raise UntrustedFileError(
            f"arrays in {path} must be numbers or text; {key!r} contains pickled Python objects, which could "
            "execute code when read and are always refused; save it with a dtype of numbers or text, such as "
            "array.astype(str)"
        ) from error
    return array


def _check_header(member: Any, n_bytes: int) -> None:
    """Check that the array is not larger than the member: numpy allocates it before it reads."""
    version = np.lib.format.read_magic(member)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(member)
    if not dtype.hasobject and math.prod(shape) * dtype.itemsize > n_bytes:
        raise ValueError(f"its header claims shape {shape}, which is more than it contains")


def _text(array: NDArray[Any]) -> NDArray[Any]:
    return np.char.decode(array, "utf-8") if array.dtype.kind == "S" else array


def _read_csv(path: Path, missing: frozenset[str], separator: str | None) -> Source:
    if separator is not None and len(separator) != 1:
        raise InvalidInputError(f"separator must be one character; got {separator!r}")
    separator = separator or ("\t" if path.suffix.lower() == ".tsv" else _separator_of(path))
    text: set[int] = set()
    while True:
        header, columns = _parse_csv(path, separator, missing, text)
        mixed = {j for j, column in enumerate(columns) if column is None}
        if not mixed:
            break
        text |= mixed
    _check_names(path.name, [name for name in header if name])
    unnamed = header.count("")
    notes = (f"left out: {unnamed} column{'' if unnamed == 1 else 's'} without a name",) if unnamed else ()
    named = {name: column for name, column in zip(header, columns, strict=True) if name}
    return Source(path.name, named, notes=notes)


@contextlib.contextmanager
def _csv_records(path: Path, separator: str) -> Iterator[Iterator[list[str]]]:
    try:
        with _undamaged(path, csv.Error), path.open(encoding="utf-8-sig", newline="") as file:
            records = csv.reader(file, delimiter=separator, skipinitialspace=True, strict=True)
            yield (record for record in records if record)
    except UnicodeDecodeError as error:
        raise InvalidInputError(
            f"{path} must be text in UTF-8; it contains the invalid byte {error.object[error.start]:#x}; "
            "save it as CSV UTF-8"
        ) from error


def _separator_of(path: Path) -> str:
    widths: dict[str, list[int]] = {}
    for separator in _SEPARATORS:
        with contextlib.suppress(CorruptFileError), _csv_records(path, separator) as records:
            widths[separator] = [len(record) for record in islice(records, 20)]
    # the separator splits every line into equally many cells; of several, the one with more cells is likelier
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
    """Return the header and the columns; None for a column whose later blocks turn from numbers to text."""
    with _csv_records(path, separator) as records:
        header = [name.strip() for name in next(records, [])]
        if header and as_floats(header) is not None:
            raise InvalidInputError(f"the first line of {path} must name the columns; got {some_of(header)}")
        columns = [_TextColumn(missing, is_text=j in text) for j in range(len(header))]
        n_rows = 0
        while rows := list(islice(records, _ROWS_AT_ONCE)):
            for n_rows, record in enumerate(rows, n_rows + 1):  # noqa: B020 # the count continues over blocks
                if len(record) != len(header):
                    raise CorruptFileError(
                        f"every row of {path} must have {len(header)} cells separated by {separator!r}; row "
                        f"{n_rows:,} below the header has {len(record)}; write it again, or give separator="
                    )
            for column, cells in zip(columns, zip(*rows, strict=True), strict=True):
                column.append(cells)
    return header, [column.finish() for column in columns]


class _TextColumn:
    """A column of text, read as numbers if all cells are numbers or marks of missing values, and as labels otherwise.

    Labels keep the marks that may also be names, and those that the caller added: ``encode_factor`` decides.
    """

    def __init__(self, missing: frozenset[str], *, is_text: bool = False) -> None:
        self._added = missing | {*MISSING_OR_NAME}
        self._marks = Counter[str]()
        self._is_text = is_text
        self._is_read_as_numbers = False
        self._seen: dict[str, int] = {}
        self._numbers: list[NDArray[np.float64]] = []
        self._indices: list[NDArray[np.int64]] = []

    def append(self, cells: Sequence[str]) -> None:
        """Append a block of cells, as numbers if possible."""
        numbers = None if self._is_text else self._as_numbers(cells)
        if numbers is not None:
            self._is_read_as_numbers = True
            self._numbers.append(numbers)
            return
        self._is_text = True
        seen = self._seen
        labels = (-1 if cell.strip() in MISSING else seen.setdefault(cell, len(seen)) for cell in cells)
        self._indices.append(np.fromiter(labels, dtype=np.int64))

    def _as_numbers(self, cells: Sequence[str]) -> NDArray[np.float64] | None:
        missing = self._added | {*MISSING}
        if any(cell != cell.strip() for cell in cells):
            cells = [cell.strip() for cell in cells]
        numbers = as_floats(["nan" if cell in missing else cell for cell in cells])
        if numbers is not None:
            self._marks.update(cell for cell in cells if cell in self._added)
        return numbers

    def finish(self) -> NDArray[np.float64] | MarkedNumbers | CategoricalColumn | None:
        """Return numbers or categories; None if some blocks were read as numbers and others as labels."""
        if not self._is_text:
            numbers = np.concatenate([np.empty(0), *self._numbers])
            return MarkedNumbers(numbers, dict(self._marks)) if self._marks else numbers
        if self._is_read_as_numbers:
            return None
        return CategoricalColumn(np.concatenate(self._indices), tuple(self._seen), as_written=True)


def _read_parquet(path: Path, max_bytes: int) -> Source:
    polars = _extra("polars", path)
    with _undamaged(path, polars.exceptions.PolarsError, OSError, ValueError, _panic(polars)):
        rows = polars.scan_parquet(path)
        n_columns, n_rows = len(rows.collect_schema()), int(rows.select(polars.len()).collect().item())
        check_size(path, "its columns", n_rows * n_columns * 8, max_bytes)
        with path.open("rb") as file:
            frame = polars.read_parquet(file)
    return Source(path.name, frame_columns(path.name, frame))


def _panic(polars: ModuleType) -> type[BaseException]:
    panic: type[BaseException] = polars.exceptions.PanicException
    return panic


def _read_xlsx(path: Path, missing: frozenset[str], sheet: str | None, max_bytes: int) -> Source:
    polars = _extra("polars", path)
    _extra("fastexcel", path)
    about, content = _excel(path, sheet or "", max_bytes)
    sheets = about["sheets"]
    if "header" not in about:
        raise InvalidInputError(
            f"sheet must be in {path.name}; there is no {sheet!r}{did_you_mean(sheet, sheets)}; "
            f"its sheets: {some_of(sheets)}"
        )
    named = [title for title in about["header"] if title]
    _check_names(path.name, named)
    if not named:
        raise InvalidInputError(f"the first row of a sheet must name its columns; {path.name} has no names there")
    body = polars.read_ipc(content)
    columns = {title: _typed(body[:, k], missing) for k, title in enumerate(named)}
    others = f"sheet: {sheets[0]} (the first of {len(sheets)})"
    notes = (others,) if sheet is None and len(sheets) > 1 else ()
    return Source(path.name, columns, notes=notes)


def _excel(path: Path, sheet: str, max_bytes: int) -> tuple[dict[str, Any], bytes]:
    """Read a sheet in another process, which its parser may abort."""
    limit = _READER_BYTES + max_bytes
    done = subprocess.run(  # noqa: S603 - a program of our own
        [sys.executable, "-P", str(Path(__file__).with_name("_excel.py")), str(path), sheet, str(limit)],
        env={**os.environ, "POLARS_MAX_THREADS": "1"},  # each thread reserves memory
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise CorruptFileError(
            f"{path} must be a complete .xlsx file whose cells fit into {max_bytes / 1e9:g} GB; its reader failed "
            f"(exit code {done.returncode}); write it again with the used cells only, or set max_gigabytes "
            "(--max-gigabytes)"
        )
    line, _, content = done.stdout.partition(b"\n")
    about = json.loads(line)
    if "error" in about:
        raise CorruptFileError(
            f"{path} must be a complete .xlsx file; it is truncated, altered or of another format "
            f"({about['error'].partition(chr(10))[0]}); write it again"
        )
    return about, content


def _typed(series: Any, missing: frozenset[str]) -> Any:
    """Read a text column of Excel like one of a text file, since numbers may be mixed with NA."""
    if not isinstance(nw.from_native(series, series_only=True).dtype, nw.String):
        return series
    column = _TextColumn(missing)
    column.append([cell or "" for cell in series.to_list()])
    return column.finish()


def _read_h5ad(path: Path, max_bytes: int) -> Source:
    def load(group: str, name: str) -> Any:
        with _undamaged(path, *_DAMAGED_HDF5), h5py.File(path) as file:
            stored = own_object(file, f"{group}/{name}")
            check_size(path, f"{group}/{name}", _n_bytes(stored), max_bytes)
            return _h5_column(path, file, stored)

    rehearse(path, ("obs", "obsm"), max_bytes)
    with _undamaged(path, *_DAMAGED_HDF5), h5py.File(path) as file:
        table = own_object(file, "obs")
        if not isinstance(table, h5py.Group):
            raise InvalidInputError(f"{path} must be written by anndata 0.7 or later; read it and write it again")
        names = [str(name) for name in table.attrs["column-order"]]
        keys = [*own_object(file, "obsm")] if "obsm" in file else []
    roles = {"codes": keys[0]} if len(keys) == 1 else {}
    return Source(path.name, Lazy(names, partial(load, "obs")), Lazy(keys, partial(load, "obsm")), roles)


def _n_bytes(stored: Any, depth: int = 0) -> int:
    """Return the size of an array, or of all arrays in a group, when they are read."""
    if isinstance(stored, h5py.Dataset):
        return int((stored.size or 0) * stored.dtype.itemsize)
    if depth > _DEEPEST:  # groups that share groups could take forever
        raise ValueError("its groups are nested too deeply")
    return sum(_n_bytes(own_object(stored, name), depth + 1) for name in stored)


def _h5_column(path: Path, file: h5py.File, stored: Any) -> Any:
    """Return an element in any encoding of anndata: array, text, data frame, categories or masked values."""
    if isinstance(stored, h5py.Dataset):
        if "categories" in stored.attrs:  # anndata before 0.8
            categories = own_object(file, file[stored.attrs["categories"]].name)
            return _h5_categories(stored, categories, categories.attrs)
        return stored.asstr()[:] if h5py.check_string_dtype(stored.dtype) else stored[:]
    encoding = stored.attrs.get("encoding-type", "unknown")
    if encoding == "dataframe":
        return {name: _h5_column(path, file, own_object(stored, name)) for name in stored.attrs["column-order"]}
    if encoding == "categorical":
        return _h5_categories(own_object(stored, "codes"), own_object(stored, "categories"), stored.attrs)
    if encoding in {"nullable-integer", "nullable-boolean", "nullable-string-array"}:
        values = own_object(stored, "values")
        values = values.asstr()[:] if h5py.check_string_dtype(values.dtype) else values[:]
        return np.ma.MaskedArray(values, own_object(stored, "mask")[:])
    raise InvalidInputError(f"{stored.name} of {path.name} must be an array or a column; its encoding is {encoding}")


def _h5_categories(indices: Any, categories: Any, attributes: Mapping[str, Any]) -> CategoricalColumn:
    labels = categories.asstr()[:] if h5py.check_string_dtype(categories.dtype) else categories[:]
    rows = indices[:]
    is_numbered = rows.dtype.kind in "iu" and rows.ndim == 1
    if not is_numbered or (rows.size and not -1 <= rows.min() <= rows.max() < len(labels)):
        raise ValueError(f"categories must be numbered -1 .. {len(labels) - 1}")
    return CategoricalColumn(rows, tuple(labels.tolist()), bool(attributes.get("ordered", False)))


def _extra(module: str, path: Path) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise MissingExtraError(
            f"{path.suffix.lower()} files are read with {module}, which is not installed; {install_command('tables')}"
        ) from error


_READERS: dict[str, tuple[Callable[..., Source], tuple[str, ...]]] = {
    ".npz": (_read_npz, ("max_bytes",)),
    ".csv": (_read_csv, ("missing", "separator")),
    ".tsv": (_read_csv, ("missing", "separator")),
    ".parquet": (_read_parquet, ("max_bytes",)),
    ".xlsx": (_read_xlsx, ("missing", "sheet", "max_bytes")),
    ".h5ad": (_read_h5ad, ("max_bytes",)),
}
