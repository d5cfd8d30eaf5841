"""Custom data sets from rows of observations: arrays, image folders and Hugging Face data sets."""

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from disentmetrics.datasets.arrays.huggingface import read_huggingface
from disentmetrics.datasets.arrays.image_files import parse_size
from disentmetrics.datasets.arrays.image_folder import LabelledRows, read_folder
from disentmetrics.datasets.arrays.row_sources import Observations, as_observations
from disentmetrics.datasets.base import DataSet, Draws
from disentmetrics.errors import InvalidInputError
from disentmetrics.factors import FactorSpace, as_table, check_count
from disentmetrics.representation import Representation

_CHUNK_BYTES = 1 << 24
_NAME = re.compile(r"[\w.-]+")


class CustomDataSet(DataSet):
    """A data set given as a table of observations, with or without labels of its factors.

    Unlike a rendered data set, it contains only the combinations of factors of its rows. Rows with equal factors form
    a group, in table order, and factors together with a nuisance identify an observation: row ``nuisance %
    len(group)`` of the group. Continuous factors are matched by their exact value.

    Parameters
    ----------
    observations : array, memory map, h5py.Dataset or Observations
        Images, uint8 of shape (n, height, width, 1 or 3), or vectors, real of shape (n, n_values); or an object with
        ``shape``, ``dtype`` and ``take(rows)``, from which rows are read on demand. Arrays are not copied: do not
        modify them afterwards.
    factors : (n, n_factors) array, mapping of columns, or data frame, optional
        See :class:`disentmetrics.Representation`: raw labels of any type or, if ``space`` is given, indices, with -1
        (NaN if a factor is continuous) for missing labels. None if there are no labels.
    space : FactorSpace, optional
        The factors, if known.
    kinds : mapping of factor name to kind, optional
        Overrides the kinds inferred from raw labels, as in :class:`disentmetrics.Representation`.
    missing : str or number, or a collection of them
        Further marks of missing labels.
    factor_names : sequence of str, optional
        Names of the columns of ``factors``.
    groups : (n,), optional
        Cluster of each row, a number or a name, such as a person or recording; rows of a cluster are resampled
        together.
    name : str
        Name used in tables and reports.
    fingerprint : str, optional
        Identifier of the exact content. By default a hash of all rows and labels, computed when it is first needed;
        pass one for very large files.

    Attributes
    ----------
    factors : (n, n_factors) int64 or float64
        Factors of each row, as in ``Draws``.
    groups : (n,) int64 or None
        Cluster of each row.
    inference : tuple of str
        Kind of each factor, and why it was chosen.
    notes : tuple of str
        What was changed in the labels, or looks like a mistake in them; printed on score cards.

    Raises
    ------
    InvalidInputError
        If observations are neither images nor vectors, or labels do not match them.

    Notes
    -----
    ``nuisances`` is empty only for a complete grid in which each combination occurs exactly once: its rows are the
    entire population. The rows of any other table are a sample of a larger population, so scores have confidence
    intervals.

    Examples
    --------
    >>> images = np.arange(6 * 8 * 8 * 3, dtype=np.uint8).reshape(6, 8, 8, 3)
    >>> data = CustomDataSet(images, {"shape": ["cup", "ball", "cup", "ball", "cup", "cup"]})
    >>> len(data), data.space.names, data.inference
    (6, ('shape',), ('shape is categorical because its values are names (2 distinct)',))
    >>> second_ball = data.observations([[0]], [1])
    >>> bool((second_ball[0] == images[3]).all())
    True
    """

    sampling = "uniform"

    def __init__(
        self,
        observations: Any,
        factors: Any = None,
        *,
        space: FactorSpace | None = None,
        kinds: Mapping[str, str] | None = None,
        missing: Collection[str | float] | str | float = (),
        factor_names: Sequence[str] | None = None,
        groups: ArrayLike | None = None,
        name: str = "custom",
        fingerprint: str | None = None,
    ) -> None:
        for argument, text in (("name", name), ("fingerprint", fingerprint)):
            if text is not None and not (isinstance(text, str) and _NAME.fullmatch(text)):
                raise InvalidInputError(f"{argument} must consist of letters, digits, '.', '_' and '-'; got {text!r}")
        self._rows: Observations = as_observations(observations)
        labelled = Representation(
            np.zeros((self._rows.shape[0], 1)),
            factors,
            space=space,
            kinds=kinds,
            missing=missing,
            factor_names=factor_names,
            groups=groups,
        )
        self.name = name
        self.space = labelled.space
        self.factors = labelled.factors
        self.groups = labelled.groups
        self.inference = labelled.inference
        self.notes = labelled.notes
        self.observation_shape = tuple(self._rows.shape[1:])
        self._combinations = Combinations(self.factors)
        complete = len(self.space) > 0 and self.space.is_grid and self.factors.min() >= 0
        complete = complete and len(self) == self._combinations.n == self.space.n_combinations
        self.nuisances = () if complete else ("observation",)
        self.is_observed = not complete
        self._nuisance = self.default_nuisance(self.factors) if complete else self._combinations.rank.astype(np.uint64)
        if fingerprint is not None:
            self.__dict__["fingerprint"] = fingerprint

    @cached_property
    def fingerprint(self) -> str:  # type: ignore[override] # computed on first access, then cached
        """Name, and hash of all rows and labels."""
        factors = [(f.name, f.size, f.kind, f.values, *([] if f.period is None else [f.period])) for f in self.space]
        digest = hashlib.sha256(repr((self._rows.shape, self._rows.dtype.str[1:], factors)).encode())
        little = self._rows.dtype.newbyteorder("<")
        step = max(1, _CHUNK_BYTES // (int(np.prod(self.observation_shape)) * little.itemsize))
        for start in range(0, len(self), step):
            rows = np.arange(start, min(start + step, len(self)))
            digest.update(np.ascontiguousarray(self._take(rows), little).data)
        for labels in (self.factors, self.groups):
            if labels is not None:
                digest.update(np.ascontiguousarray(labels, labels.dtype.newbyteorder("<")).tobytes())
        return f"{self.name}-{digest.hexdigest()[:12]}"

    @classmethod
    def from_folder(
        cls,
        folder: Path | str,
        table: Path | str | None = None,
        *,
        image_column: str | None = None,
        factors: Sequence[str] | None = None,
        groups: str | None = None,
        kinds: Mapping[str, str] | None = None,
        missing: Collection[str | float] | str | float = (),
        size: int | tuple[int, int] | None = None,
        name: str = "folder",
        fingerprint: str | None = None,
    ) -> "CustomDataSet":
        """Create a data set from a folder of images, read on demand, and a table of labels or labelled subfolders.

        Parameters
        ----------
        folder : path
            Folder of PNG, JPEG, BMP, GIF, WebP, TIFF or PPM images, grey or RGB, of equal size; subfolders are
            included. Pixels are used as stored: a rotation in the EXIF data is not applied.
        table : path, optional
            A ``.csv``, ``.tsv``, ``.parquet`` or ``.xlsx`` file in the folder with one row per image. By default
            ``labels.csv`` (``.tsv``, ``.parquet``, ``.xlsx``) if it exists; otherwise the subfolder of an image is its
            only factor, ``label``, and images without subfolders have no factor.
        image_column : str, optional
            Column with the paths of the image files, relative to the folder; by default ``image``, ``file``,
            ``file_name``, ``filename`` or ``path``.
        factors : sequence of str, optional
            Columns that are factors; by default all others.
        groups : str, optional
            Column with the cluster of each row, such as the person.
        kinds : mapping of factor name to kind, optional
            Overrides the inferred kinds, as in :class:`disentmetrics.Representation`.
        missing : str or number, or a collection of them
            Further marks of missing labels.
        size : int or (height, width), optional
            Size to which images are resized by averaging over pixels.
        name, fingerprint : str, optional
            See the class.

        Raises
        ------
        InvalidInputError
            If the folder, the table, a column or an image file does not exist, a file is outside the folder, or images
            differ in size or mode.
        CorruptFileError
            If an image is truncated, altered or very large; also raised when it is read later.
        MissingExtraError
            If the package that reads the table is not installed.
        """
        labelled = read_folder(
            folder,
            table=table,
            image_column=image_column,
            factors=factors,
            groups=groups,
            missing=missing,
            size=parse_size(size),
        )
        return cls._from(labelled, kinds=kinds, missing=missing, name=name, fingerprint=fingerprint)

    @classmethod
    def from_huggingface(
        cls,
        dataset: Any,
        *,
        image: str | None = None,
        factors: Sequence[str] | None = None,
        groups: str | None = None,
        kinds: Mapping[str, str] | None = None,
        missing: Collection[str | float] | str | float = (),
        size: int | tuple[int, int] | None = None,
        name: str = "huggingface",
        fingerprint: str | None = None,
    ) -> "CustomDataSet":
        """Create a data set from one split of a data set of the Hugging Face library ``datasets``, read on demand.

        Parameters
        ----------
        dataset : datasets.Dataset
            A split with a column of images or vectors.
        image : str, optional
            Name of this column; by default the only column of images.
        factors : sequence of str, optional
            Columns that are factors; by default all others. ``ClassLabel`` columns are categorical, with their names
            as values.
        groups : str, optional
            Column with the cluster of each row.
        kinds : mapping of factor name to kind, optional
            Overrides the inferred kinds, as in :class:`disentmetrics.Representation`.
        missing : str or number, or a collection of them
            Further marks of missing labels.
        size : int or (height, width), optional
            Size to which images are resized by averaging over pixels.
        name, fingerprint : str, optional
            See the class.

        Raises
        ------
        InvalidInputError
            If the argument is not such a data set, a column does not exist, or images differ in size or mode.
        """
        labelled = read_huggingface(dataset, image=image, factors=factors, groups=groups, size=parse_size(size))
        return cls._from(labelled, kinds=kinds, missing=missing, name=name, fingerprint=fingerprint)

    @classmethod
    def _from(cls, labelled: LabelledRows, **options: Any) -> "CustomDataSet":
        data = cls(labelled.observations, labelled.factors, groups=labelled.groups, **options)
        data.inference = (*labelled.notes, *data.inference)
        return data

    def __len__(self) -> int:
        """Return the number of rows."""
        return int(self._rows.shape[0])

    def make(self, factors: NDArray[Any], nuisance: NDArray[np.uint64]) -> NDArray[Any]:
        """Return the row identified by each combination of factors and its nuisance."""
        return self._take(self._combinations.rows(self._find(factors), nuisance))

    def check_observations(self, observations: NDArray[Any], n: int) -> None:
        """Do nothing: rows are checked when they are read, and vectors of integers are allowed."""

    def full_grid(self) -> Draws:
        """Return all rows in table order, with the factors, nuisance and group of each."""
        return Draws(self.factors, self._nuisance, self.groups)

    def sample(self, n: int, rng: np.random.Generator, *, replace: bool = False) -> Draws:
        """Draw a random sample of rows, in ascending order; rows are distinct unless ``replace`` is set.

        Raises
        ------
        InvalidInputError
            If ``n`` is not a non-negative integer or exceeds the number of distinct rows.
        """
        check_count(n)
        if not replace and n > len(self):
            raise InvalidInputError(
                f"at most {len(self)} distinct rows can be drawn from {self.name}; got n = {n}; use all instead"
            )
        rows = rng.integers(len(self), size=n) if replace else rng.choice(len(self), size=n, replace=False)
        return self.full_grid()[np.sort(rows)]

    def sample_factors(self, n: int, rng: np.random.Generator) -> NDArray[Any]:
        """Draw the factors of ``n`` rows with replacement: combinations are as frequent as in the table."""
        return self.factors[rng.integers(len(self), size=n)]

    def draws(self, factors: ArrayLike) -> Draws:
        """Return the first row of each of the given combinations of factors.

        Raises
        ------
        InvalidInputError
            If a combination does not occur in the table.
        """
        checked = self.check_factors(factors)
        self._find(checked)
        return Draws(checked, self.default_nuisance(checked))

    def default_nuisance(self, factors: NDArray[Any]) -> NDArray[np.uint64]:
        """Return 0, which selects the first row of each combination; without nuisances, the grid position."""
        return np.zeros(len(factors), np.uint64) if self.nuisances else super().default_nuisance(factors)

    def check_factors(self, factors: ArrayLike) -> NDArray[Any]:
        """Check shape and type of factors and return them as int64 (float64 if any is continuous)."""
        array = as_table(factors)
        is_grid = self.space.is_grid
        if array.ndim != 2 or array.shape[1] != len(self.space) or array.dtype.kind not in ("iu" if is_grid else "iuf"):
            raise InvalidInputError(
                f"factors must be {'integers' if is_grid else 'numbers'} of shape (n, {len(self.space)}), with one "
                f"column for each of {', '.join(self.space.names) or 'no factors'}; "
                f"got {array.dtype} of shape {array.shape}"
            )
        return array.astype(np.int64 if is_grid else np.float64, copy=False)

    def _find(self, factors: NDArray[Any]) -> NDArray[np.int64]:
        """Return the number of each combination of factors; raise InvalidInputError if one does not occur."""
        numbers = self._combinations.find(factors)
        absent = np.flatnonzero(numbers < 0)
        if len(absent):
            values = zip(self.space.names, factors[absent[0]].tolist(), strict=True)
            raise InvalidInputError(
                f"{self.name} contains only the combinations of factors of its {len(self):,} rows; "
                f"{len(absent):,} of {len(factors):,} requested do not occur, such as "
                f"{', '.join(f'{name} {value}' for name, value in values)}; use sample or full_grid"
            )
        return numbers

    def _take(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        observations = self._rows.take(rows)
        expected = (len(rows), *self.observation_shape)
        if observations.shape != expected or observations.dtype != self._rows.dtype:
            raise InvalidInputError(
                f"take must return the requested rows, {self._rows.dtype} of shape {expected}; "
                f"it returned {observations.dtype} of shape {observations.shape}"
            )
        if observations.dtype.kind == "f" and not np.isfinite(observations).all():
            bad = rows[~np.isfinite(observations).all(axis=1)]
            raise InvalidInputError(
                f"observations must be finite; row {bad[0]} of {self.name} contains NaN or infinity; "
                "impute these values or remove the rows"
            )
        return observations


class Combinations:
    """Index of the distinct combinations of factors in a table, and of the rows of each.

    Parameters
    ----------
    factors : (n_rows, n_factors) int64 or float64
        Factors of each row, compared exactly; all missing labels of a factor are equal.

    Attributes
    ----------
    n : int
        Number of distinct combinations.
    rank : (n_rows,) int64
        Number of earlier rows with the same combination.

    Examples
    --------
    >>> combinations = Combinations(np.array([[0, 1], [2, 1], [0, 1]]))
    >>> combinations.n, combinations.rank, combinations.find(np.array([[2, 1], [2, 0]]))
    (2, array([0, 0, 1]), array([ 1, -1]))
    """

    def __init__(self, factors: NDArray[Any]) -> None:
        self._columns: list[tuple[NDArray[Any], NDArray[np.int64]]] = []
        combination = np.zeros(len(factors), np.int64)
        for column in factors.T:  # renumbered after each column, so that numbers stay below n_rows
            values, position = np.unique(column, return_inverse=True)
            prefixes, inverse = np.unique(combination * len(values) + position.ravel(), return_inverse=True)
            combination = inverse.ravel().astype(np.int64)
            self._columns.append((values, prefixes))
        self._count = np.bincount(combination)
        self._start = np.cumsum(self._count) - self._count
        self._order = np.argsort(combination, kind="stable")
        self.n = len(self._count)
        self.rank = np.empty(len(factors), np.int64)
        self.rank[self._order] = np.arange(len(factors)) - self._start[combination[self._order]]

    def find(self, factors: NDArray[Any]) -> NDArray[np.int64]:
        """Return the number of each combination (n, n_factors), or -1 if it does not occur."""
        combination = np.zeros(len(factors), np.int64)
        occurs = np.ones(len(factors), bool)
        for (values, prefixes), column in zip(self._columns, factors.T, strict=True):
            position = np.minimum(np.searchsorted(values, column), len(values) - 1)
            occurs &= (values[position] == column) | (np.isnan(values[position]) & np.isnan(column))
            prefix = combination * len(values) + position
            combination = np.minimum(np.searchsorted(prefixes, prefix), len(prefixes) - 1)
            occurs &= prefixes[combination] == prefix
        return np.where(occurs, combination, -1)

    def rows(self, combination: NDArray[np.int64], nuisance: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Return the row of each combination that the nuisance selects."""
        within = (nuisance % self._count[combination].astype(np.uint64)).astype(np.int64)
        return np.asarray(self._order[self._start[combination] + within])
