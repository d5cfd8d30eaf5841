"""Validation of the arrays that a representation is built from."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import ArrayLike, NDArray

from disentmetrics._utils.arrays import as_array
from disentmetrics._utils.text import one_line
from disentmetrics._utils.typing import Floats, Integers
from disentmetrics.errors import InvalidInputError
from disentmetrics.factors import FactorSpace
from disentmetrics.io.labels import CategoricalColumn, encode_factor, notes_on_groups


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    view = array.view()
    view.flags.writeable = False
    return view


def check_real(name: str, values: ArrayLike) -> NDArray[np.floating]:
    _refuse_masked(name, values)
    array = as_array(name, values)
    try:
        if array.dtype == object:
            array = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"{name} must be real numbers of shape (n_samples, n_codes); {error}") from error
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or not array.shape[1]:
        raise InvalidInputError(f"{name} must have shape (n_samples, n_codes); got {array.shape}")
    if not len(array):
        raise InvalidInputError(f"{name} must have at least one row; got shape {array.shape}")
    if array.dtype.kind not in "fiub":
        raise InvalidInputError(f"{name} must be real numbers; got dtype {array.dtype}")
    if array.dtype not in (np.float32, np.float64):
        array = array.astype(np.float64)
    with np.errstate(over="ignore"):  # large numbers may have an infinite sum
        total = array.sum()
    if not np.isfinite(total) and not np.isfinite(array).all():
        bad = ~np.isfinite(array)
        columns = ", ".join(str(j) for j in np.flatnonzero(bad.any(axis=0))[:10])
        raise InvalidInputError(
            f"{name} must be finite; got NaN or infinity in {int(bad.any(axis=1).sum())} of {len(array)} "
            f"rows, in columns {columns}; fix the encoder or leave these rows out"
        )
    return array


def check_factors(factors: ArrayLike, space: FactorSpace, n_samples: int) -> NDArray[Any]:
    array = as_array("factors", factors)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or array.shape[1] != len(space):
        raise InvalidInputError(
            f"factors must have shape (n_samples, {len(space)}), one column for each of "
            f"{', '.join(space.names)}; got {array.shape}"
        )
    check_length("factors", len(array), n_samples)
    if array.dtype.kind not in "iufb":
        raise InvalidInputError(f"factors of a given space must be numbers; got dtype {array.dtype}")
    array = array.astype(np.int64 if space.is_grid and array.dtype.kind != "f" else np.float64, copy=False)
    for column, factor in enumerate(space):
        values = array[:, column]
        if factor.size is None:
            if np.isinf(values).any():
                raise InvalidInputError(f"factor {factor.name!r} must be finite or NaN; got infinity")
            continue
        present = values[~np.isnan(values)] if values.dtype.kind == "f" else values
        if present.size and (
            present.min() < -1 or present.max() >= factor.size or (present.dtype.kind == "f" and (present % 1).any())
        ):
            raise InvalidInputError(
                f"factor {factor.name!r} must contain integer indices 0 .. {factor.size - 1}, or -1 where "
                f"missing; got values from {present.min()} to {present.max()}"
            )
    if space.is_grid:
        return np.asarray(np.nan_to_num(array, nan=-1), dtype=np.int64)
    return array


def infer_factors(
    factors: Any,
    names: Sequence[str] | None,
    kinds: Mapping[str, str] | None,
    missing: Collection[str | float] | str | float,
    n_samples: int,
) -> tuple[FactorSpace, NDArray[Any], tuple[str, ...], tuple[str, ...]]:
    columns = _columns_of(factors, names)
    if not columns:
        raise InvalidInputError("factors must have at least one column; pass None if no factor is known")
    unknown = set(kinds or ()) - set(columns)
    if unknown:
        raise InvalidInputError(
            f"kinds must name factors; there is no factor {', '.join(sorted(unknown))}; "
            f"the factors are {', '.join(columns)}"
        )
    encoded = []
    for name, values in columns.items():
        check_length(f"factor {name!r}", len(values), n_samples)
        encoded.append(encode_factor(one_line(name), values, kind=(kinds or {}).get(name), missing=missing))
    space = FactorSpace([column.factor for column in encoded])
    if space.is_grid:
        array = np.stack([column.indices for column in encoded], axis=1)
    else:
        array = np.stack(
            [np.where(c.indices < 0, np.nan, c.indices) if c.factor.size else c.indices for c in encoded], axis=1
        )
    notes = tuple(note for column in encoded for note in column.notes)
    return space, array, tuple(column.reason for column in encoded), notes


def no_factors(space: FactorSpace | None, names: Sequence[str] | None, kinds: Mapping[str, str] | None) -> FactorSpace:
    if space or names or kinds:
        raise InvalidInputError("factors must contain labels of the named factors; got None")
    return FactorSpace(())


def _columns_of(factors: Any, names: Sequence[str] | None) -> dict[str, Any]:
    try:
        frame = nw.from_native(factors, eager_only=True, pass_through=True)
    except nw.exceptions.DuplicateError as error:
        raise InvalidInputError(f"factor names must be unique; {error}") from error
    named: list[tuple[Any, Any]] | None = None
    if isinstance(frame, nw.DataFrame):
        named = [(name, frame.get_column(name).to_native()) for name in frame.columns]
    elif isinstance(factors, Mapping):
        named = list(factors.items())
    elif isinstance(factors, np.ndarray) and factors.dtype.names:
        named = [(name, factors[name]) for name in factors.dtype.names]
    if named is not None:
        if names is not None:
            raise InvalidInputError("these factors already have names; omit factor_names")
        return _unique([str(name) for name, _ in named], [values for _, values in named])
    _refuse_masked("factors", factors)
    array = _as_given(factors)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or not array.shape[1]:
        raise InvalidInputError(
            f"factors must have shape (n_samples, n_factors) with at least one factor; got {array.shape}"
        )
    names = list(names) if names is not None else [f"factor_{k}" for k in range(array.shape[1])]
    if len(names) != array.shape[1]:
        raise InvalidInputError(f"factor_names must name {array.shape[1]} factors; got {len(names)} names")
    return _unique(names, list(array.T))


def _as_given(factors: Any) -> NDArray[Any]:
    """Return factors as an array; labels in lists keep their types, which numpy would convert to a common one."""
    array = as_array("factors", factors)
    are_arrays = isinstance(factors, list | tuple) and any(hasattr(row, "__array__") for row in factors)
    if isinstance(factors, list | tuple) and array.dtype.kind in "Uf" and not are_arrays:
        original = np.array(factors, dtype=object)
        scalars = {str, bool, int, float, type(None)}
        if original.shape == array.shape and {type(label) for label in original.ravel()} <= scalars:
            return original
    return array


def _unique(names: list[str], columns: list[Any]) -> dict[str, Any]:
    if len(set(names)) < len(names):
        raise InvalidInputError(f"factor names must be unique; got {', '.join(names)}")
    return dict(zip(names, columns, strict=True))


def _refuse_masked(name: str, values: Any) -> None:
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise InvalidInputError(f"{name} must not have masked values; fill them, or leave these rows out")


def check_length(name: str, length: int, n_samples: int) -> None:
    if length != n_samples:
        raise InvalidInputError(
            f"{name} must have one row for each of the {n_samples} rows of observations; got {length}"
        )


def check_posterior(
    shape: tuple[int, ...], *, log_variance: ArrayLike | None, kl: ArrayLike | None
) -> dict[str, NDArray[np.floating] | None]:
    """Return log-variances and divergences by name, which must have the shape of the codes."""
    if kl is not None and log_variance is None:
        raise InvalidInputError("kl is the divergence of posteriors from their prior: give log_variance as well")
    arrays: dict[str, NDArray[np.floating] | None] = {}
    for name, given in (("log_variance", log_variance), ("kl", kl)):
        array = None if given is None else check_real(name, given)
        if array is not None and array.shape != shape:
            raise InvalidInputError(f"{name} must have the shape of codes, {shape}; got {array.shape}")
        arrays[name] = array
    return arrays


def check_groups(
    groups: ArrayLike | CategoricalColumn | None, n_samples: int
) -> tuple[Integers | None, tuple[str, ...]]:
    if groups is None:
        return None, ()
    column: Any = groups if isinstance(groups, CategoricalColumn) else as_array("groups", groups)
    if isinstance(column, np.ndarray) and column.ndim != 1:
        raise InvalidInputError(f"groups must have shape (n_samples,); got {column.shape}")
    check_length("groups", len(column), n_samples)
    encoded = encode_factor("groups", column, kind="categorical")
    if encoded.n_missing:
        raise InvalidInputError(f"every row must belong to a group; {encoded.n_missing} of {n_samples} rows have none")
    return np.asarray(encoded.indices, dtype=np.int64), notes_on_groups(encoded)


def check_weights(weights: ArrayLike | None, n_samples: int) -> Floats | None:
    if weights is None:
        return None
    try:
        array = as_array("weights", weights).astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"weights must be real numbers; {error}") from error
    if array.ndim != 1:
        raise InvalidInputError(f"weights must have shape (n_samples,); got {array.shape}")
    check_length("weights", len(array), n_samples)
    if not np.isfinite(array).all() or array.min() < 0 or array.max() <= 0:
        raise InvalidInputError(
            f"weights must be finite, not negative and not all 0; got values from {array.min()} to {array.max()}"
        )
    return array


def check_categorical(flags: ArrayLike | None, n_codes: int) -> NDArray[np.bool_]:
    if flags is None:
        return np.zeros(n_codes, dtype=bool)
    array = as_array("categorical_codes", flags)
    if array.shape != (n_codes,) or array.dtype != bool:
        raise InvalidInputError(
            f"categorical_codes must be {n_codes} booleans, one per latent; "
            f"got shape {array.shape}, dtype {array.dtype}"
        )
    return array
