"""Tables of codes and labels: which columns have which role."""

import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.cache import sha256_of
from disentmetrics.errors import InvalidInputError, did_you_mean
from disentmetrics.io.formats import MAX_BYTES, Source, open_file, open_object, some_of, split_array
from disentmetrics.io.labels import (
    MISSING_OR_NAME,
    CategoricalColumn,
    as_floats,
    encode_factor,
    mark_texts,
    notes_on_groups,
)

_FAMILY = re.compile(r"(z|code|latent|pc)(_?)(\d+)", re.IGNORECASE)
_DECIMAL_COMMA = re.compile(r"[-+]?\d*,\d+")


@dataclass(frozen=True, eq=False)
class RawTable:
    """Codes and raw labels, before kinds are inferred.

    Attributes
    ----------
    codes : (n_rows, n_codes) float32 or float64
        Finite.
    code_names : tuple of str
        Names of the latents, as in the source.
    factors : dict of (n_rows,) columns
        Label columns by name, as input of :func:`~disentmetrics.io.labels.encode_factor`.
    log_variance : (n_rows, n_codes) float32 or float64, or None
        Natural logarithm of the posterior variances.
    kl : (n_rows, n_codes) float32 or float64, or None
        KL divergence of each posterior from the model's own prior, in nats.
    categorical_codes : (n_codes,) bool
        Which latents are categorical.
    groups : (n_rows,) int64, or None
        Number of the cluster that each row belongs to.
    weights : (n_rows,) float64, or None
        Weight of each row.
    source : str
        Name of the source, as printed in messages.
    fingerprint : str
        First 16 digits of the file's SHA-256; ``memory`` for objects.
    notes : tuple of str
        Notes for users on what was chosen by default.
    group_notes : tuple of str
        What looks like a mistake in the names of groups.
    """

    codes: NDArray[np.floating]
    code_names: tuple[str, ...]
    factors: dict[str, Any]
    log_variance: NDArray[np.floating] | None
    kl: NDArray[np.floating] | None
    categorical_codes: NDArray[np.bool_]
    groups: NDArray[np.int64] | None
    weights: NDArray[np.float64] | None
    source: str
    fingerprint: str
    notes: tuple[str, ...]
    group_notes: tuple[str, ...] = ()


def read_table(
    source: Any,
    *,
    codes: str | Sequence[str] | None = None,
    factors: str | Sequence[str] | None = None,
    log_variance: str | Sequence[str] | None = None,
    kl: str | Sequence[str] | None = None,
    categorical_codes: str | Sequence[str] | None = None,
    groups: str | None = None,
    weights: str | None = None,
    missing: Collection[str | float] | str | float = (),
    separator: str | None = None,
    sheet: str | None = None,
    max_gigabytes: float = MAX_BYTES / 1e9,
) -> RawTable:
    r"""Read codes and labels from a file, a data frame or an AnnData object.

    Parameters
    ----------
    source : path, data frame or AnnData
        ``.npz``, ``.csv``, ``.tsv``, ``.parquet``, ``.xlsx`` or ``.h5ad``; or an eager
        data frame of pandas, polars or pyarrow; or an object with ``obsm`` and ``obs``.
    codes : str or sequence of str, optional
        Names or patterns (``PC*``) of the columns of codes, or the key of an array: by default
        ``codes`` in ``.npz`` and the only key of ``obsm``. It may be omitted if exactly one
        family of columns is numbered like z0, z_0, code_0, latent_0 or PC1.
    factors : str or sequence of str, optional
        Names or patterns of label columns, or the key of an array: by default ``factors`` in
        ``.npz`` (with ``factor_names``) and all remaining columns elsewhere.
    log_variance : str or sequence of str, optional
        As ``codes``, in the same order; by default ``log_variance`` in ``.npz``.
    kl : str or sequence of str, optional
        KL divergence in nats of each posterior from the model's own prior, where that is not N(0, 1). As ``codes``, in
        the same order.
    categorical_codes : str or sequence of str, optional
        Names or patterns of the latents that are categorical.
    groups, weights : str, optional
        Column or key; by default ``groups`` and ``weights`` in ``.npz``.
    missing : str or number, or a collection of them
        Marks of missing labels in addition to :data:`~disentmetrics.io.labels.MISSING` and
        :data:`~disentmetrics.io.labels.MISSING_OR_NAME`, such as -999.
    separator : str, optional
        Between cells of ``.csv`` and ``.tsv``; a comma, semicolon or tab is detected automatically.
    sheet : str, optional
        Name of a sheet of ``.xlsx``; the first by default.
    max_gigabytes : float
        Memory that a column or array may take, since a small file may claim any size.

    Returns
    -------
    RawTable
        Missing labels stay missing; missing codes are an error.

    Raises
    ------
    InvalidInputError
        If the file does not exist, or columns are unknown, ambiguous, not numeric, incomplete
        (codes) or of different length.
    CorruptFileError
        If the file is truncated, altered or not of its format.
    UntrustedFileError
        If an array contains pickled objects, lies in another file, or takes more memory than allowed.
    MissingExtraError
        If the reader of this format is not installed.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "codes.csv")
    ...     _ = path.write_text("z0,z1,shape\n0.1,3,square\n0.2,4,heart\n")
    ...     table = read_table(path)
    >>> table.codes.tolist(), table.code_names, table.factors["shape"].categories
    ([[0.1, 3.0], [0.2, 4.0]], ('z0', 'z1'), ('square', 'heart'))
    >>> table.notes
    ('codes: z0, z1 (the only numbered family of columns)', 'factors: shape (all other columns)')
    """
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        if not max_gigabytes > 0:
            raise InvalidInputError(f"max_gigabytes must be greater than 0; got {max_gigabytes!r}")
        options = {"separator": separator, "sheet": sheet, "max_bytes": int(max_gigabytes * 1e9)}
        opened = open_file(path, {"missing": mark_texts(missing), **options})
        fingerprint = sha256_of(path)[:16]
    else:
        opened, fingerprint = open_object(source), "memory"
    requested = {
        "codes": codes,
        "factors": factors,
        "log_variance": log_variance,
        "kl": kl,
        "groups": groups,
        "weights": weights,
    }
    listed = {role: _listed(opened, role, names) for role, names in requested.items()}
    categorical = [categorical_codes] if isinstance(categorical_codes, str) else list(categorical_codes or ())
    return _choose(opened, fingerprint, listed, categorical, missing)


def _listed(source: Source, role: str, names: str | Sequence[str] | None) -> list[str]:
    if names is None:
        return [source.roles[role]] if role in source.roles else []
    return [names] if isinstance(names, str) else list(names)


def _choose(
    source: Source,
    fingerprint: str,
    requested: Mapping[str, list[str]],
    categorical: list[str],
    missing: Collection[str | float] | str | float,
) -> RawTable:
    notes = list(source.notes)
    codes = _resolve(source, "codes", requested["codes"] or _numbered_family(source, notes))
    chosen = {role: _resolve(source, role, requested[role]) for role in ("log_variance", "kl", "groups", "weights")}
    for role in ("groups", "weights"):
        if len(chosen[role]) > 1:
            raise InvalidInputError(f"{role} must be one column; got {some_of(chosen[role])}")
    labels = requested["factors"]
    if not labels:
        used = {*codes, *(name for columns in chosen.values() for name in columns)}
        labels = [name for name in source.columns if name not in used]
        notes.append(f"factors: {some_of(labels)} (all other columns)")
    if not labels:
        raise InvalidInputError(f"{source.name} must contain labels in addition to codes; {_contents(source)}")
    factors = _resolve(source, "factors", labels)
    for role, columns in {"factors": factors, "log_variance": chosen["log_variance"], "kl": chosen["kl"]}.items():
        if both := [name for name, column in columns.items() if column is codes.get(name)]:
            raise InvalidInputError(
                f"a column must belong to either codes or {role}; both were specified for {some_of(both)}"
            )
    for name, column in {**factors, **chosen["groups"]}.items():
        _refuse_decimal_commas(name, column)
    numbered, group_notes = _groups(chosen["groups"], missing)
    table = RawTable(
        codes=_real("codes", source, codes),
        code_names=tuple(codes),
        factors=factors,
        log_variance=_real("log_variance", source, variance) if (variance := chosen["log_variance"]) else None,
        kl=_real("kl", source, kl) if (kl := chosen["kl"]) else None,
        categorical_codes=_marked(tuple(codes), categorical),
        groups=numbered,
        weights=_real("weights", source, w)[:, 0].astype(np.float64) if (w := chosen["weights"]) else None,
        source=source.name,
        fingerprint=fingerprint,
        notes=tuple(notes),
        group_notes=group_notes,
    )
    _check_lengths(table)
    return table


def _marked(names: tuple[str, ...], patterns: Sequence[str]) -> NDArray[np.bool_]:
    """Return which latents are named by these names or patterns."""
    flags = np.zeros(len(names), bool)
    for pattern in patterns:
        chosen = [name == pattern for name in names] if pattern in names else [fnmatchcase(n, pattern) for n in names]
        if not any(chosen):
            raise InvalidInputError(
                f"categorical_codes must name latents; there is no {pattern!r}{did_you_mean(pattern, names)}; "
                f"the latents are {some_of(names)}"
            )
        flags |= np.array(chosen)
    return flags


def _numbered_family(source: Source, notes: list[str]) -> list[str]:
    families: dict[tuple[str, str], dict[str, int]] = {}
    for name in source.columns:
        if match := _FAMILY.fullmatch(name):
            families.setdefault((match[1], match[2]), {})[name] = int(match[3])
    ordered = [sorted(family, key=family.__getitem__) for family in families.values()]
    if len(ordered) != 1 or source.roles:
        several = f" ({' or '.join(map(some_of, ordered))})" if len(ordered) > 1 else ""
        raise InvalidInputError(
            f"specify which columns of {source.name} are codes{several} by codes= (--code-columns), "
            f'such as "z_*"; {_contents(source)}'
        )
    notes.append(f"codes: {some_of(ordered[0])} (the only numbered family of columns)")
    return ordered[0]


def _resolve(source: Source, role: str, requested: Sequence[str]) -> dict[str, Any]:
    """Return the columns that names, patterns and keys of arrays select, in this order."""
    available = dict.fromkeys([*source.arrays, *source.columns])
    columns: dict[str, Any] = {}
    for pattern in requested:
        names = [pattern] if pattern in available else [name for name in available if fnmatchcase(name, pattern)]
        if not names:
            raise InvalidInputError(
                f"{role} must name a column of {source.name}; there is no {pattern!r}"
                f"{did_you_mean(pattern, available)}; {_contents(source)}"
            )
        for name in names:
            if name in source.arrays:
                columns |= split_array(source.arrays[name], name, role, source.names)
            else:
                columns[name] = source.columns[name]
    return columns


def _contents(source: Source) -> str:
    arrays = f"its arrays: {some_of(source.arrays)}" if source.arrays else ""
    columns = f"its columns: {some_of(source.columns)}" if source.columns else ""
    return "; ".join(filter(None, [arrays, columns])) or "it contains no column"


def _real(role: str, source: Source, columns: Mapping[str, Any]) -> NDArray[np.floating]:
    """Return columns as one matrix of finite numbers."""
    if not all(map(len, columns.values())):
        raise InvalidInputError(f"{role} must have at least one row; got none in {source.name}")
    arrays = {name: _numbers(role, name, column) for name, column in columns.items()}
    if len({len(array) for array in arrays.values()}) > 1:
        lengths = some_of([f"{name} has {len(array):,}" for name, array in arrays.items()])
        raise InvalidInputError(f"the columns of {role} must have equally many rows; {lengths}")
    single = all(array.dtype in (np.float16, np.float32) for array in arrays.values())
    matrix: NDArray[np.floating] = np.stack([*arrays.values()], axis=1)
    matrix = matrix.astype(np.float32 if single else np.float64, copy=False)
    for what, is_bad in {"no value": np.isnan, "infinity": np.isinf}.items():
        counts = np.count_nonzero(is_bad(matrix), axis=0)
        if counts.any():
            worst = int(np.argmax(counts))
            others = np.count_nonzero(counts) - 1
            more = f", and so {'does' if others == 1 else 'do'} {others:,} more" if others else ""
            raise InvalidInputError(
                f"{role} must be finite in every row; {[*arrays][worst]!r} has {what} in {counts[worst]:,} "
                f"of {len(matrix):,} rows{more}; fill in these values or leave the rows out"
            )
    return matrix


def _numbers(role: str, name: str, column: Any) -> NDArray[Any]:
    series = nw.from_native(column, series_only=True, pass_through=True)
    sample: Sequence[Any]
    if isinstance(column, CategoricalColumn):
        sample = [label for label in column.categories if as_floats([str(label)]) is None]
    elif isinstance(series, nw.Series):
        if series.dtype.is_numeric():
            return series.cast(nw.Float32 if series.dtype == nw.Float32 else nw.Float64).to_numpy()
        sample = series.drop_nulls().head(1).to_list()
    else:
        array = np.ma.filled(column.astype(np.float64), np.nan) if np.ma.isMA(column) else np.asarray(column)
        if array.dtype.kind in "iufb":
            return array if array.dtype.kind == "f" else array.astype(np.float64)
        sample = array[:1].tolist()
    content = f"{type(sample[0]).__name__} such as {sample[0]!r}" if sample else "no value"
    commas = "; use decimal points" if sample and _DECIMAL_COMMA.fullmatch(str(sample[0])) else ""
    raise InvalidInputError(f"{role} must be real numbers; {name!r} contains {content}{commas}")


def _refuse_decimal_commas(name: str, column: Any) -> None:
    labels = map(str, column.categories) if isinstance(column, CategoricalColumn) else ()
    texts = [text for text in labels if text.strip() not in MISSING_OR_NAME]
    commas = [text for text in texts if _DECIMAL_COMMA.fullmatch(text)]
    if commas and all(_DECIMAL_COMMA.fullmatch(text) or text.lstrip("+-").isdecimal() for text in texts):
        raise InvalidInputError(f"numbers must be written with decimal points; {name!r} contains {commas[0]!r}")


def _groups(
    columns: Mapping[str, Any], missing: Collection[str | float] | str | float
) -> tuple[NDArray[np.int64] | None, tuple[str, ...]]:
    for name, labels in columns.items():
        encoded = encode_factor(name, labels, kind="categorical", missing=missing)
        if encoded.n_missing:
            raise InvalidInputError(
                f"every row must belong to a group; {name!r} has no value in {encoded.n_missing:,} "
                f"of {len(labels):,} rows; leave these rows out"
            )
        return encoded.indices.astype(np.int64, copy=False), notes_on_groups(encoded)
    return None, ()


def _check_lengths(table: RawTable) -> None:
    for name, array in {"log_variance": table.log_variance, "kl": table.kl}.items():
        if array is not None and array.shape != table.codes.shape:
            raise InvalidInputError(f"{name} must have the shape of codes, {table.codes.shape}; got {array.shape}")
    columns = {**table.factors, "groups": table.groups, "weights": table.weights}
    for name, column in columns.items():
        if column is not None and len(column) != len(table.codes):
            raise InvalidInputError(
                f"codes and labels must have equally many rows; {table.source} has "
                f"{len(table.codes):,} rows of codes and {len(column):,} of {name!r}"
            )
