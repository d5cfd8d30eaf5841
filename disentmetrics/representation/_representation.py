"""The table that every metric reads: codes and factors, one row per observation."""

import hashlib
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from disentmetrics._utils.text import one_line
from disentmetrics._utils.typing import Floats, Integers
from disentmetrics.errors import InvalidInputError
from disentmetrics.estimators.activity import mean_kl
from disentmetrics.estimators.mutual_information import quantile_bins
from disentmetrics.factors import Factor, FactorSpace
from disentmetrics.io.labels import MAX_ORDINAL_VALUES, CategoricalColumn, mark_texts
from disentmetrics.io.tables import RawTable, read_table
from disentmetrics.representation._html import representation_html
from disentmetrics.representation._storage import ARRAYS, array_sha256, read_representation, write_representation
from disentmetrics.representation._validation import (
    check_categorical,
    check_factors,
    check_groups,
    check_posterior,
    check_real,
    check_weights,
    infer_factors,
    no_factors,
    read_only,
)
from disentmetrics.representation.provenance import Provenance
from disentmetrics.representation.resampling import resampling_units, shuffled_order, shuffles_groups

FACTOR_BINS = 10
"""Number of bins of equal frequency into which a continuous factor is discretised."""

STANDARD_NORMAL, OWN_PRIOR = "kl", "kl(own-prior)"
"""Names of the KL divergence in signatures, by the prior that it is measured from."""

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Representation:
    """Codes and factors of the same observations; immutable.

    Parameters
    ----------
    codes : (n_samples, n_codes) real
        One row per observation; the posterior mean unless stated. A single latent may be
        given as (n_samples,). Arrays are not copied: do not change them afterwards.
    factors : (n_samples, n_factors) array, mapping of columns, or data frame
        With ``space``: indices of the factors' values, -1 where missing (real values with NaN
        where missing, for real-valued factors). Without: raw labels of any type, whose kinds are inferred as in
        :func:`disentmetrics.io.labels.encode_factor`; ``inference`` explains how, and ``notes`` contains what was
        changed in the labels, or looks like a mistake in them. None: no factors are known, and only metrics of the
        codes themselves are defined.
    space : FactorSpace, optional
        The factors, where known.
    log_variance : (n_samples, n_codes) real, optional
        Natural logarithm of the posterior variances.
    kl : (n_samples, n_codes) real, optional
        KL divergence in nats of each posterior from the model's own prior, where that is not N(0, 1).
    groups : (n_samples,), optional
        Cluster of each row, a number or a name, such as donor or speaker; rows of one cluster stay together
        when rows are resampled.
    weights : (n_samples,) real, optional
        Weight of each row; not negative.
    sequential : bool
        Whether rows are consecutive in time, within each group where there are groups. Rows are then
        resampled in blocks, and the null shifts codes cyclically against factors.
    factor_names, code_names : sequence of str, optional
        Names of the columns.
    kinds : mapping of factor name to kind, optional
        Overrides the inferred kinds: ``categorical``, ``ordinal``, ``continuous``, ``circular``, or ``circular`` with a
        period in the units of the labels, such as ``circular:24``.
    missing : str or number, or a collection of them
        Marks of missing labels in addition to the usual ones (NA, nan, null and the like).
    categorical_codes : (n_codes,) bool, optional
        Which latents are categorical, so that the distance between two values has no meaning.
    provenance : Provenance, optional
        Origin of the rows.

    Raises
    ------
    InvalidInputError
        If shapes disagree, there is no row, a code is not finite, or a label is outside ``space``.

    Examples
    --------
    >>> representation = Representation([[0.1], [0.2], [0.9]], {"shape": ["square", "square", "heart"]})
    >>> representation
    Representation(3 rows, 1 latent, factors: shape (categorical, 2))
    >>> representation.factors.ravel(), representation.space["shape"].values
    (array([1, 1, 0]), ('heart', 'square'))
    """

    codes: NDArray[np.floating]
    factors: NDArray[Any]
    space: FactorSpace
    log_variance: NDArray[np.floating] | None
    kl: NDArray[np.floating] | None
    groups: Integers | None
    weights: Floats | None
    sequential: bool
    code_names: tuple[str, ...]
    categorical_codes: NDArray[np.bool_]
    provenance: Provenance
    inference: tuple[str, ...]
    notes: tuple[str, ...]
    resolved: NDArray[np.floating] | None = None
    _unresolved: "Representation | None" = field(default=None, repr=False)
    _cached: dict[Any, Any] = field(default_factory=dict, repr=False)
    _cached_by_codes: dict[Any, Any] = field(default_factory=dict, repr=False)

    def __init__(
        self,
        codes: ArrayLike,
        factors: Any,
        *,
        space: FactorSpace | None = None,
        log_variance: ArrayLike | None = None,
        kl: ArrayLike | None = None,
        groups: ArrayLike | CategoricalColumn | None = None,
        weights: ArrayLike | None = None,
        sequential: bool = False,
        factor_names: Sequence[str] | None = None,
        code_names: Sequence[str] | None = None,
        kinds: Mapping[str, str] | None = None,
        missing: Collection[str | float] | str | float = (),
        categorical_codes: ArrayLike | None = None,
        provenance: Provenance | None = None,
    ) -> None:
        if space is not None and (factor_names is not None or kinds is not None):
            raise InvalidInputError("a given space names the factors and their kinds; omit factor_names and kinds")
        if space is not None and mark_texts(missing):
            raise InvalidInputError("labels of a given space are indices, -1 where missing; omit missing")
        if isinstance(code_names, str) or isinstance(factor_names, str):
            raise InvalidInputError("code_names and factor_names must be lists of names; got text")
        checked = check_real("codes", codes)
        n_samples, n_codes = checked.shape
        if factors is None:
            space, factors = no_factors(space, factor_names, kinds), np.empty((n_samples, 0), np.int64)
        if space is None:
            space, columns, inference, notes = infer_factors(factors, factor_names, kinds, missing, n_samples)
        else:
            columns, inference, notes = check_factors(factors, space, n_samples), (), ()
        names = (
            tuple(one_line(str(name)) for name in code_names)
            if code_names is not None
            else tuple(f"z{j}" for j in range(n_codes))
        )
        if len(names) != n_codes:
            raise InvalidInputError(f"code_names must name {n_codes} latents; got {len(names)} names")
        numbered, group_notes = check_groups(groups, n_samples)
        given: dict[str, Any] = {
            "codes": checked,
            "factors": columns,
            "space": space,
            **check_posterior(checked.shape, log_variance=log_variance, kl=kl),
            "groups": numbered,
            "weights": check_weights(weights, n_samples),
            "sequential": bool(sequential),
            "code_names": names,
            "categorical_codes": check_categorical(categorical_codes, n_codes),
            "provenance": provenance or Provenance(),
            "inference": inference,
            "notes": (*notes, *group_notes),
            "resolved": None,
            "_unresolved": None,
            "_cached": {},
            "_cached_by_codes": {},
        }
        for name, value in given.items():
            object.__setattr__(self, name, read_only(value) if isinstance(value, np.ndarray) else value)

    def __repr__(self) -> str:
        factors = ", ".join(factor.description for factor in self.space)
        plural = "" if self.n_codes == 1 else "s"
        return f"Representation({self.n_samples} rows, {self.n_codes} latent{plural}, factors: {factors or 'none'})"

    def _repr_html_(self) -> str:
        return representation_html(self)

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def n_samples(self) -> int:
        """Number of rows."""
        return len(self.codes)

    @property
    def n_codes(self) -> int:
        """Number of latents, the columns of ``codes``."""
        return int(self.codes.shape[1])

    @property
    def n_factors(self) -> int:
        """Number of factors, the columns of ``factors``."""
        return len(self.space)

    def labels(self, position: int, n_bins: int = FACTOR_BINS) -> Integers:
        """Return a factor as integers from 0, -1 where missing.

        A factor of real values, and a circular one of more than 100 values, is discretised into ``n_bins`` bins of
        equal frequency.
        """
        return self.cached(_labels, position, n_bins)

    def cached(self, function: Callable[Concatenate["Representation", P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return ``function(self, ...)``, computed once for these arguments."""
        key = (function, args, tuple(sorted(kwargs.items())))
        if key not in self._cached:
            with _lock_of(self._cached, key):  # another thread may be computing this value
                if key not in self._cached:
                    self._cached[key] = function(self, *args, **kwargs)
        return self._cached[key]  # type: ignore[no-any-return] # the key holds the function itself

    def cached_by_codes(
        self, function: Callable[Concatenate[NDArray[np.floating], P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Return ``function(codes, ...)``, computed once and retained when only factors change."""
        key = (function, args, tuple(sorted(kwargs.items())))
        if key not in self._cached_by_codes:
            with _lock_of(self._cached_by_codes, key):
                if key not in self._cached_by_codes:
                    self._cached_by_codes[key] = function(self.codes, *args, **kwargs)
        return self._cached_by_codes[key]  # type: ignore[no-any-return] # the key holds the function itself

    def __getstate__(self) -> dict[str, Any]:
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {**fields, "_cached": {}, "_cached_by_codes": {}}  # locks cannot be pickled

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, value)

    def take(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> "Representation":
        """Return the representation of these rows only."""
        return self._with(
            **{name: None if (array := getattr(self, name)) is None else array[rows] for name in (*ARRAYS, "resolved")},
            _unresolved=None if self._unresolved is None else self._unresolved.take(rows),
            provenance=replace(self.provenance, population=False),
        )

    def shuffled(self, rng: np.random.Generator) -> "Representation":
        """Pair codes with factors of other rows at random, which removes every dependence between them.

        Rows of one group keep their codes together: ten groups or more are permuted as units, and rows of fewer
        groups individually. Sequential rows are shifted cyclically, each group by its own random distance.
        """
        order = shuffled_order(self.groups, len(self), rng, sequential=self.sequential)
        return self.with_factors(self.factors[order], self.space)

    @property
    def shuffles_groups(self) -> bool:
        """Whether :meth:`shuffled` permutes entire groups."""
        return shuffles_groups(self.groups)

    @property
    def resampling_units(self) -> Integers | None:
        """Unit of each row that resampling and folds keep together, numbered from 0; None for single rows.

        The groups; for sequential rows of fewer than 20 groups, 40 blocks of consecutive rows.
        """
        return self.cached(_resampling_units)

    def resampled_by_weight(self, rng: np.random.Generator) -> "Representation":
        """Retain each row with probability weight / largest weight, so that all retained rows weigh the same."""
        if self.weights is None:
            return self
        kept = np.flatnonzero(rng.random(len(self)) * self.weights.max() < self.weights)
        return Representation._with(self.take(kept), weights=None)

    def with_factors(self, factors: NDArray[Any], space: FactorSpace) -> "Representation":
        """Return the same codes with other factors, laid out as a space requires."""
        before = None if self._unresolved is None else self._unresolved.with_factors(factors, space)
        return self._with(factors=factors, space=space, _unresolved=before)

    def with_resolved_codes(self, codes: NDArray[np.floating]) -> "Representation":
        """Return the same representation with codes at finite resolution attached, which its rows retain."""
        return self._with(resolved=read_only(codes))

    def at_resolved_codes(self) -> "Representation":
        """Return the representation whose codes are the attached ones, without posterior variances."""
        if self.resolved is None:
            raise InvalidInputError("no codes at finite resolution are attached; see with_resolved_codes")
        # Permuted factors share the codes at finite resolution, and what was computed from them.
        _, cached = self._cached_by_codes.setdefault(("resolved", id(self.resolved)), (self.resolved, {}))
        return self._with(codes=self.resolved, log_variance=None, _unresolved=self, _cached_by_codes=cached)

    def without_posterior(self) -> "Representation":
        """Return the posterior means alone, without variances and without codes at finite resolution."""
        return self._with(log_variance=None, kl=None, resolved=None, _unresolved=None)

    @property
    def mean_kl(self) -> Floats | None:
        """Mean KL divergence in nats of the posteriors of each latent from its prior, (n_codes,); None without them.

        The prior is N(0, 1) unless the encoder gave the divergence from its own.
        """
        return self.cached(_mean_kl)

    @property
    def kl_name(self) -> str:
        """Name of the divergence in signatures: ``kl`` from N(0, 1), ``kl(own-prior)`` from the model's own prior."""
        return STANDARD_NORMAL if self.kl is None else OWN_PRIOR

    @property
    def is_resolved(self) -> bool:
        """Whether the codes are those at finite resolution."""
        return self._unresolved is not None

    @property
    def unresolved(self) -> "Representation":
        """The representation as it was encoded, where this one has its codes at finite resolution."""
        return self if self._unresolved is None else self._unresolved

    def with_provenance(self, provenance: Provenance) -> "Representation":
        """Return the representation with another provenance."""
        return self._with(provenance=provenance)

    def with_notes(self, notes: Sequence[str]) -> "Representation":
        """Return the representation with other notes on its labels."""
        return self._with(notes=tuple(notes))

    def _with(self, **changes: Any) -> "Representation":
        new = object.__new__(Representation)
        for name in self.__dataclass_fields__:
            object.__setattr__(new, name, changes.get(name, getattr(self, name)))
        object.__setattr__(new, "_cached", {})
        if "codes" in changes and "_cached_by_codes" not in changes:
            object.__setattr__(new, "_cached_by_codes", {})
        return new

    @property
    def row_key(self) -> str:
        """Hash that identifies the rows: representations with the same key can be paired row by row."""
        return self.cached(_row_key)

    @classmethod
    def from_table(cls, source: Any, **columns: Any) -> "Representation":
        """Read a file or a data frame of codes and labels.

        Parameters
        ----------
        source : path, data frame or AnnData
            ``.npz``, ``.csv``, ``.tsv``, ``.parquet``, ``.xlsx`` or ``.h5ad``; or any data
            frame; or an object with ``obsm`` and ``obs``.
        **columns
            ``codes``, ``factors``, ``log_variance``, ``kl``, ``categorical_codes``, ``groups``, ``weights`` choose
            columns or keys as in :func:`disentmetrics.io.tables.read_table`; ``missing`` adds marks of missing labels;
            ``kinds`` overrides kinds; ``sequential`` states that rows are consecutive in time; ``max_gigabytes``
            bounds the memory that a column may take.

        Raises
        ------
        InvalidInputError, CorruptFileError, MissingExtraError
            If it is ambiguous which columns are codes, the file is damaged, or a reader is missing.
        """
        limit = {} if (most := columns.pop("max_gigabytes", None)) is None else {"max_gigabytes": most}
        given = {name: option for name, option in columns.items() if option is not None and option is not False}
        kinds, sequential = columns.pop("kinds", None), columns.pop("sequential", False)
        missing = () if (marks := columns.pop("missing", None)) is None else marks
        raw: RawTable = read_table(source, **columns, **limit, missing=missing)
        representation = cls(
            raw.codes,
            raw.factors,
            log_variance=raw.log_variance,
            kl=raw.kl,
            categorical_codes=raw.categorical_codes,
            groups=raw.groups,
            weights=raw.weights,
            sequential=sequential,
            code_names=raw.code_names,
            kinds=kinds,
            missing=missing,
            provenance=Provenance(
                data="table" if raw.fingerprint == "memory" else raw.fingerprint,
                columns={name: _plain_option(option) for name, option in given.items()},
            ),
        )
        return cls._with(
            representation,
            inference=(*raw.notes, *representation.inference),
            notes=(*representation.notes, *raw.group_notes),
        )

    def save(self, path: Path | str) -> None:
        """Write to one HDF5 file, completely or not at all; each array carries its checksum."""
        write_representation(self, Path(path))

    @classmethod
    def load(cls, path: Path | str) -> "Representation":
        """Memory-map a saved file after verifying its checksums.

        Raises
        ------
        InvalidInputError
            If there is no such file.
        CorruptFileError
            If it is truncated, altered, or not written by :meth:`save`.
        """
        new = object.__new__(cls)
        transient: dict[str, Any] = {"resolved": None, "_unresolved": None, "_cached": {}, "_cached_by_codes": {}}
        for name, value in {**read_representation(Path(path)), **transient}.items():
            object.__setattr__(new, name, value)
        return new


def _plain_option(option: Any) -> Any:
    """Return an option of :meth:`Representation.from_table` as JSON can represent it."""
    if isinstance(option, str | bool | int | float):
        return option
    if isinstance(option, Mapping):
        return dict(option)
    if isinstance(option, set | frozenset):
        return sorted(option)
    return list(option)


def _lock_of(store: dict[Any, Any], key: Any) -> AbstractContextManager[Any]:
    lock: AbstractContextManager[Any] = store.setdefault(("lock", key), threading.RLock())  # setdefault is atomic
    return lock


def _mean_kl(representation: Representation) -> Floats | None:
    if representation.log_variance is None:
        return None
    if representation.kl is not None:
        return np.asarray(representation.kl.mean(axis=0, dtype=np.float64))
    return mean_kl(representation.codes, representation.log_variance)


def _resampling_units(representation: Representation) -> Integers | None:
    return resampling_units(representation.groups, len(representation), sequential=representation.sequential)


def _row_key(representation: Representation) -> str:
    # Rows of a table are identified by their labels alone: files of two encoders for the same rows are paired.
    origin = representation.provenance
    about = (None if origin.rows == "table" else origin.data, representation.space.names, len(representation))
    digest = hashlib.sha256(repr(about).encode())
    for array in (representation.factors, representation.groups, representation.weights):
        if array is not None:
            digest.update(array_sha256(array).encode())
    return digest.hexdigest()[:16]


def is_binned(factor: Factor) -> bool:
    """Return whether ``Representation.labels`` discretises a factor into bins of equal frequency."""
    fine = factor.kind == "circular" and (factor.size or 0) > MAX_ORDINAL_VALUES
    return factor.size is None or fine


def _labels(representation: Representation, position: int, n_bins: int) -> Integers:
    column = representation.factors[:, position]
    if not is_binned(representation.space.factors[position]):
        return np.asarray(np.nan_to_num(column, nan=-1), dtype=np.int64)
    present = ~np.isnan(column)
    labels = np.full(len(column), -1, dtype=np.int64)
    labels[present] = quantile_bins(column[present], n_bins)
    return labels
