"""The table that every metric reads: codes beside factors, one row an observation."""

import hashlib
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from disentmetrics._utils.cache import atomic_path
from disentmetrics._utils.notebook import html_caption, html_lines, html_table
from disentmetrics.errors import CorruptFileError, InvalidInputError
from disentmetrics.estimators.mutual_information import quantile_bins
from disentmetrics.factors import Factor, FactorSpace, Kind
from disentmetrics.io.labels import MAX_ORDINAL_VALUES, CategoricalColumn
from disentmetrics.io.tables import RawTable, read_table
from disentmetrics.representation._validation import (
    check_categorical,
    check_factors,
    check_groups,
    check_real,
    check_weights,
    infer_factors,
    no_factors,
    read_only,
)
from disentmetrics.representation.provenance import Provenance

_FORMAT = "disentmetrics-representation-1"
_OVERHEAD = 1 << 16  # bytes of a file that are not arrays
_ARRAYS = ("codes", "factors", "log_variance", "groups", "weights")
FACTOR_BINS = 10
"""How many bins of equal frequency stand in for the values of a continuous factor."""

_FEWEST_GROUPS = 10  # fewer have too few orders: the identity would come up again and again
_ENOUGH_GROUPS = 20
_N_BLOCKS = 40

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Representation:
    """Codes and factors of the same observations; immutable.

    Parameters
    ----------
    codes : (n_samples, n_codes) real
        One row an observation; the posterior mean unless stated. A single code may be
        given as (n_samples,). Arrays are not copied: do not change them afterwards.
    factors : (n_samples, n_factors) array, mapping of columns, or data frame
        With ``space``: indices of the factors' values, -1 where missing (real values with NaN
        where missing, for continuous factors). Without: raw labels of any type, whose kinds
        are inferred; ``inference`` says how and why. None: no factor is known, which leaves the metrics
        that look at codes alone.
    space : FactorSpace, optional
        The factors, where known.
    log_variance : (n_samples, n_codes) real, optional
        Natural logarithm of the posterior variances.
    groups : (n_samples,), optional
        Cluster of each row, a number or a name, such as donor or speaker; rows of one cluster stay together
        when rows are resampled.
    weights : (n_samples,) real, optional
        How much each row counts; not negative.
    sequential : bool
        Whether rows follow each other in time, within each group where there are groups. Rows are then
        resampled in blocks, and the null shifts codes against factors in a circle.
    factor_names, code_names : sequence of str, optional
        Names of the columns.
    kinds : mapping of factor name to kind, optional
        Overrides what would be inferred.
    categorical_codes : (n_codes,) bool, optional
        Which codes are categories, so that the distance between two values means nothing.
    provenance : Provenance, optional
        Where the rows come from.

    Raises
    ------
    InvalidInputError
        If shapes disagree, there is no row, a code is not finite, or a label breaks ``space``.

    Examples
    --------
    >>> representation = Representation([[0.1], [0.2], [0.9]], {"shape": ["square", "square", "heart"]})
    >>> representation
    Representation(3 rows, 1 code, factors: shape (categorical, 2))
    >>> representation.factors.ravel(), representation.space["shape"].values
    (array([1, 1, 0]), ('heart', 'square'))
    """

    codes: NDArray[np.floating]
    factors: NDArray[Any]
    space: FactorSpace
    log_variance: NDArray[np.floating] | None
    groups: NDArray[np.int64] | None
    weights: NDArray[np.float64] | None
    sequential: bool
    code_names: tuple[str, ...]
    categorical_codes: NDArray[np.bool_]
    provenance: Provenance
    inference: tuple[str, ...]
    _cached: dict[Any, Any] = field(default_factory=dict, repr=False)
    _cached_by_codes: dict[Any, Any] = field(default_factory=dict, repr=False)

    def __init__(
        self,
        codes: ArrayLike,
        factors: Any,
        *,
        space: FactorSpace | None = None,
        log_variance: ArrayLike | None = None,
        groups: ArrayLike | CategoricalColumn | None = None,
        weights: ArrayLike | None = None,
        sequential: bool = False,
        factor_names: Sequence[str] | None = None,
        code_names: Sequence[str] | None = None,
        kinds: Mapping[str, Kind] | None = None,
        categorical_codes: ArrayLike | None = None,
        provenance: Provenance | None = None,
    ) -> None:
        if space is not None and (factor_names is not None or kinds is not None):
            raise InvalidInputError("a given space names the factors and their kinds; leave factor_names and kinds out")
        if isinstance(code_names, str) or isinstance(factor_names, str):
            raise InvalidInputError("code_names and factor_names must be lists of names; got text")
        checked = check_real("codes", codes)
        n_samples, n_codes = checked.shape
        if factors is None:
            space, factors = no_factors(space, factor_names, kinds), np.empty((n_samples, 0), np.int64)
        if space is None:
            space, columns, inference = infer_factors(factors, factor_names, kinds, n_samples)
        else:
            columns, inference = check_factors(factors, space, n_samples), ()
        spread = None if log_variance is None else check_real("log_variance", log_variance)
        if spread is not None and spread.shape != checked.shape:
            raise InvalidInputError(f"log_variance must have the shape of codes, {checked.shape}; got {spread.shape}")
        names = tuple(code_names) if code_names is not None else tuple(f"z{j}" for j in range(n_codes))
        if len(names) != n_codes:
            raise InvalidInputError(f"code_names must name {n_codes} codes; got {len(names)} names")
        given = {
            "codes": checked,
            "factors": columns,
            "space": space,
            "log_variance": spread,
            "groups": check_groups(groups, n_samples),
            "weights": check_weights(weights, n_samples),
            "sequential": bool(sequential),
            "code_names": names,
            "categorical_codes": check_categorical(categorical_codes, n_codes),
            "provenance": provenance or Provenance(),
            "inference": inference,
            "_cached": {},
            "_cached_by_codes": {},
        }
        for name, value in given.items():
            object.__setattr__(self, name, read_only(value) if isinstance(value, np.ndarray) else value)

    def __repr__(self) -> str:
        factors = ", ".join(f"{f.name} ({f.kind}{f', {f.size}' if f.size else ''})" for f in self.space)
        plural = "" if self.n_codes == 1 else "s"
        return f"Representation({self.n_samples} rows, {self.n_codes} code{plural}, factors: {factors or 'none'})"

    def _repr_html_(self) -> str:
        n_shown, n_codes, n_factors = min(5, len(self)), min(8, self.n_codes), min(8, self.n_factors)
        head = [*self.code_names[:n_codes], *(["…"] if n_codes < self.n_codes else [])]
        head += [*self.space.names[:n_factors], *(["…"] if n_factors < self.n_factors else [])]
        body = []
        for row in range(n_shown):
            cells = [f"{value:.3g}" for value in self.codes[row, :n_codes]] + ["…"] * (n_codes < self.n_codes)
            cells += [_shown(self.space.factors[k], self.factors[row, k]) for k in range(n_factors)]
            body.append([f"{row}", *cells, *(["…"] if n_factors < self.n_factors else [])])
        if n_shown < len(self):
            body.append(["…"] * (1 + len(head)))
        kinds = [
            f"{f.name}: {f.kind}{f' of {f.size} values' if f.size else ''}" for f in self.space.factors[:n_factors]
        ]
        kinds += [f"{self.n_factors - n_factors} more"] if n_factors < self.n_factors else []
        also = [name for name in ("log_variance", "groups", "weights") if getattr(self, name) is not None]
        counts = f"{self.n_samples} rows · {self.n_codes} code{'' if self.n_codes == 1 else 's'}"
        origin = f"{self.provenance.encoder} encoder · data {self.provenance.data}"
        about = [f"factors: {'; '.join(kinds) or 'none'}", *([f"with {', '.join(also)}"] if also else [])]
        caption = html_caption(f"Representation · {counts} · {origin}")
        return f"<div>{caption}{html_table(['row', *head], body)}{html_lines(about)}</div>"

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def n_samples(self) -> int:
        """Number of rows."""
        return len(self.codes)

    @property
    def n_codes(self) -> int:
        """Number of codes, the columns of ``codes``."""
        return int(self.codes.shape[1])

    @property
    def n_factors(self) -> int:
        """Number of factors, the columns of ``factors``."""
        return len(self.space)

    def labels(self, position: int, n_bins: int = FACTOR_BINS) -> NDArray[np.int64]:
        """Return a factor as integers from 0, -1 where missing.

        A continuous factor, and a circular one of more than 100 values, is cut into ``n_bins`` bins of
        equal frequency.
        """
        return self.cached(_labels, position, n_bins)

    def cached(self, function: Callable[Concatenate["Representation", P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return ``function(self, ...)``, computed once for these arguments."""
        key = (function, args, tuple(sorted(kwargs.items())))
        if key not in self._cached:
            with _lock_of(self._cached, key):  # another thread may be computing it
                if key not in self._cached:
                    self._cached[key] = function(self, *args, **kwargs)
        return self._cached[key]  # type: ignore[no-any-return] # the key holds the function itself

    def cached_by_codes(
        self, function: Callable[Concatenate[NDArray[np.floating], P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Return ``function(codes, ...)``, computed once and kept when only factors change."""
        key = (function, args, tuple(sorted(kwargs.items())))
        if key not in self._cached_by_codes:
            with _lock_of(self._cached_by_codes, key):
                if key not in self._cached_by_codes:
                    self._cached_by_codes[key] = function(self.codes, *args, **kwargs)
        return self._cached_by_codes[key]  # type: ignore[no-any-return] # the key holds the function itself

    def __getstate__(self) -> dict[str, Any]:
        kept = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {**kept, "_cached": {}, "_cached_by_codes": {}}  # locks cannot travel to another process

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, value)

    def take(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> "Representation":
        """Return the representation of these rows only."""
        return self._with(
            **{name: None if (a := getattr(self, name)) is None else a[rows] for name in _ARRAYS},
            provenance=replace(self.provenance, population=False),
        )

    def shuffled(self, rng: np.random.Generator) -> "Representation":
        """Pair codes with factors of other rows at random, which removes every relation.

        Rows of one group keep their codes together: ten groups or more are dealt out whole, one after the
        other in random order, and rows are shuffled singly otherwise. Sequential rows are shifted in a circle,
        each group by its own random distance.
        """
        if self.sequential:
            order = _shifted(self.groups, len(self), rng)
        elif self.groups is not None and self.shuffles_groups:
            order = _dealt(self.groups, rng)
        else:
            order = rng.permutation(len(self))
        return self._with(factors=self.factors[order])

    @property
    def shuffles_groups(self) -> bool:
        """Whether :meth:`shuffled` moves whole groups."""
        return self.groups is not None and int(self.groups.max()) + 1 >= _FEWEST_GROUPS

    @property
    def resampling_units(self) -> NDArray[np.int64] | None:
        """What is resampled or dealt into folds whole, numbered from 0 for each row; None for single rows.

        The groups; for sequential rows of fewer than 20 groups, 40 blocks of rows that follow each other.
        """
        return self.cached(_units)

    def resampled_by_weight(self, rng: np.random.Generator) -> "Representation":
        """Keep each row with probability weight / largest weight, so that all rows count alike."""
        if self.weights is None:
            return self
        kept = np.flatnonzero(rng.random(len(self)) * self.weights.max() < self.weights)
        return Representation._with(self.take(kept), weights=None)

    def without_codes(self, dropped: NDArray[np.bool_]) -> "Representation":
        """Return the representation without some codes."""
        kept = ~dropped
        return self._with(
            codes=self.codes[:, kept],
            log_variance=None if self.log_variance is None else self.log_variance[:, kept],
            code_names=tuple(name for name, keep in zip(self.code_names, kept, strict=True) if keep),
            categorical_codes=self.categorical_codes[kept],
        )

    def _with(self, **changes: Any) -> "Representation":
        new = object.__new__(Representation)
        for name in self.__dataclass_fields__:
            object.__setattr__(new, name, changes.get(name, getattr(self, name)))
        object.__setattr__(new, "_cached", {})
        if "codes" in changes:
            object.__setattr__(new, "_cached_by_codes", {})
        return new

    @property
    def row_key(self) -> str:
        """Hash of which rows these are: two representations with one key can be paired."""
        return self.cached(_row_key)

    @classmethod
    def from_table(cls, source: Any, **columns: Any) -> "Representation":
        """Build from a file or a data frame that holds codes and labels.

        Parameters
        ----------
        source : path, data frame or AnnData
            ``.npz``, ``.csv``, ``.tsv``, ``.parquet``, ``.xlsx`` or ``.h5ad``; or any data
            frame; or an object with ``obsm`` and ``obs``.
        **columns
            ``codes``, ``factors``, ``log_variance``, ``groups``, ``weights`` choose columns
            or keys as in :func:`disentmetrics.io.tables.read_table`; ``kinds`` overrides kinds; ``sequential``
            says that rows follow each other in time.

        Raises
        ------
        InvalidInputError, CorruptFileError, MissingExtraError
            If columns cannot be told apart, the file is damaged, or a reader is missing.
        """
        kinds, sequential = columns.pop("kinds", None), columns.pop("sequential", False)
        raw: RawTable = read_table(source, **columns)
        representation = cls(
            raw.codes,
            raw.factors,
            log_variance=raw.log_variance,
            groups=raw.groups,
            weights=raw.weights,
            sequential=sequential,
            code_names=raw.code_names,
            kinds=kinds,
            provenance=Provenance(data="table" if raw.fingerprint == "memory" else raw.fingerprint),
        )
        return cls._with(representation, inference=(*raw.notes, *representation.inference))

    def save(self, path: Path | str) -> None:
        """Write to one HDF5 file, whole or not at all; each array carries its checksum."""
        arrays = {name: array for name in _ARRAYS if (array := getattr(self, name)) is not None}
        # HDF5 crashes on a disk that fills up while it writes.
        n_bytes = sum(array.nbytes for array in arrays.values()) + _OVERHEAD
        with atomic_path(Path(path), n_bytes) as temporary, h5py.File(temporary, "w") as file:
            file.attrs["format"] = _FORMAT
            file.attrs["about"] = json.dumps(
                {
                    "factors": [[f.name, f.size, f.kind, list(f.values)] for f in self.space],
                    "code_names": list(self.code_names),
                    "sequential": self.sequential,
                    "categorical_codes": self.categorical_codes.tolist(),
                    "provenance": vars(self.provenance),
                    "inference": list(self.inference),
                }
            )
            for name, array in arrays.items():
                stored = file.create_dataset(name, data=array)
                stored.attrs["sha256"] = _sha256(array)

    @classmethod
    def load(cls, path: Path | str) -> "Representation":
        """Map a saved file into memory, after checking that nothing was altered.

        Raises
        ------
        InvalidInputError
            If there is no such file.
        CorruptFileError
            If it is truncated, altered, or not written by :meth:`save`.
        """
        path = Path(path)
        if not path.is_file():
            raise InvalidInputError(f"{path} must be a saved representation; there is no such file")
        try:
            with h5py.File(path, "r") as file:
                if file.attrs.get("format") != _FORMAT:
                    raise CorruptFileError(
                        f"{path} must be a file written by Representation.save (format {_FORMAT}); "
                        f"its format is {file.attrs.get('format', 'unknown')!r}"
                    )
                about = json.loads(file.attrs["about"])
                arrays = {name: _mapped(path, file, name) for name in _ARRAYS}
            given: dict[str, Any] = {
                **arrays,
                "space": FactorSpace([Factor(n, s, k, tuple(v)) for n, s, k, v in about["factors"]]),
                "code_names": tuple(about["code_names"]),
                "sequential": bool(about.get("sequential", False)),  # older files have no such field
                "categorical_codes": np.array(about["categorical_codes"], dtype=bool),
                "provenance": Provenance(**about["provenance"]),
                "inference": tuple(about["inference"]),
                "_cached": {},
                "_cached_by_codes": {},
            }
        except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
            if isinstance(error, CorruptFileError):
                raise
            raise CorruptFileError(
                f"{path} must be a whole HDF5 file written by Representation.save; it could not be read "
                f"({error}); encode again"
            ) from error
        new = object.__new__(cls)
        for name, value in given.items():
            object.__setattr__(new, name, value)
        return new


def _shown(factor: Factor, value: float) -> str:
    """Write one label as a reader knows it: its name or physical value where it has one."""
    if np.isnan(value) or (factor.size is not None and value < 0):
        return "—"
    if factor.size is None:
        return f"{value:.3g}"
    meant = factor.values[int(value)] if factor.values else int(value)
    return meant if isinstance(meant, str) else f"{meant:.4g}"


def _lock_of(store: dict[Any, Any], key: Any) -> AbstractContextManager[Any]:
    lock: AbstractContextManager[Any] = store.setdefault(("lock", key), threading.RLock())  # setdefault is atomic
    return lock


def _row_key(representation: Representation) -> str:
    # The rows of a table are told by their labels alone: two encoders' files of the same rows are paired.
    origin = representation.provenance
    about = (None if origin.rows == "table" else origin.data, representation.space.names, len(representation))
    digest = hashlib.sha256(repr(about).encode())
    for array in (representation.factors, representation.groups, representation.weights):
        if array is not None:
            digest.update(_sha256(array).encode())
    return digest.hexdigest()[:16]


def is_binned(factor: Factor) -> bool:
    """Return whether ``Representation.labels`` cuts a factor into bins of equal frequency."""
    fine = factor.kind == "circular" and (factor.size or 0) > MAX_ORDINAL_VALUES
    return factor.kind == "continuous" or fine


def _labels(representation: Representation, position: int, n_bins: int) -> NDArray[np.int64]:
    column = representation.factors[:, position]
    factor = representation.space.factors[position]
    if not is_binned(factor):
        return np.asarray(np.nan_to_num(column, nan=-1), dtype=np.int64)
    present = ~np.isnan(column)
    labels = np.full(len(column), -1, dtype=np.int64)
    labels[present] = quantile_bins(column[present], n_bins)
    return labels


def _sha256(array: NDArray[Any]) -> str:
    digest = hashlib.sha256()
    step = max(1, (1 << 24) // max(1, array[:1].nbytes))
    for start in range(0, len(array), step):
        digest.update(np.ascontiguousarray(array[start : start + step]).data)
    return digest.hexdigest()


def _mapped(path: Path, file: h5py.File, name: str) -> NDArray[Any] | None:
    if name not in file:
        if name in {"codes", "factors"}:
            raise CorruptFileError(f"{path} must hold codes and factors; {name} is missing; encode again")
        return None
    stored = file[name]
    if not stored.size:  # HDF5 keeps no place for nothing, and it cannot be mapped
        return np.empty(stored.shape, stored.dtype)
    array = np.asarray(np.memmap(path, stored.dtype, "r", stored.id.get_offset(), stored.shape))
    if _sha256(array) != stored.attrs["sha256"]:
        raise CorruptFileError(
            f"{path} was altered after it was written: {name} does not match its checksum; encode again"
        )
    return array


def _units(representation: Representation) -> NDArray[np.int64] | None:
    groups = representation.groups
    n_groups = 1 if groups is None else int(groups.max()) + 1
    if not representation.sequential or n_groups >= _ENOUGH_GROUPS:
        return groups
    n_rows = len(representation)
    place = np.arange(n_rows) if groups is None else np.argsort(np.argsort(groups, kind="stable"), kind="stable")
    block = place * min(_N_BLOCKS, n_rows) // n_rows
    joint = block if groups is None else block * n_groups + groups  # a block never spans two groups
    return np.asarray(np.unique(joint, return_inverse=True)[1], dtype=np.int64).ravel()


def _dealt(groups: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Lay out whole groups in random order along the rows, which are taken group by group."""
    by_group = np.argsort(groups, kind="stable")
    sizes = np.bincount(groups)
    ends = np.cumsum(sizes)
    laid = [by_group[ends[g] - sizes[g] : ends[g]] for g in rng.permutation(len(sizes))]
    order = np.empty(len(by_group), dtype=np.int64)
    order[by_group] = np.concatenate(laid)
    return order


def _shifted(groups: NDArray[np.int64] | None, n_rows: int, rng: np.random.Generator) -> NDArray[np.int64]:
    groups = np.zeros(n_rows, dtype=np.int64) if groups is None else groups
    by_group = np.argsort(groups, kind="stable")
    sizes = np.bincount(groups)
    start = np.repeat(np.cumsum(sizes) - sizes, sizes)
    shift = np.repeat(rng.integers(1, np.maximum(sizes, 2)), sizes)
    order = np.empty(n_rows, dtype=np.int64)
    order[by_group] = by_group[start + (np.arange(n_rows) - start + shift) % np.repeat(sizes, sizes)]
    return order
