"""Data given as rows: arrays, folders of images, Hugging Face data sets, with factors or without."""

import hashlib
import re
from collections.abc import Mapping, Sequence
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
from disentmetrics.factors import FactorSpace, Kind, as_table, check_count
from disentmetrics.representation import Representation

_BYTES_AT_ONCE = 1 << 24
_NAME = re.compile(r"[\w.-]+")


class CustomDataSet(DataSet):
    """Rows of observations, each with the labels of its factors; or with none.

    Unlike a rendered set, it has the combinations of factors that its rows have, no others. Rows of
    equal factors form a group, in the order of the table, and an observation is found by its factors and a
    nuisance: row ``nuisance % len(group)`` of the group. Continuous factors are looked up by their exact value.

    Parameters
    ----------
    observations : array, memory map, h5py.Dataset or Observations
        Images, uint8 of shape (n, height, width, 1 or 3), or vectors, real of shape (n, n_values); or an
        object with ``shape``, ``dtype`` and ``take(rows)``, from which rows are read as they are needed. Arrays
        are not copied: do not change them afterwards.
    factors : (n, n_factors) array, mapping of columns, or data frame, optional
        As for :class:`disentmetrics.Representation`: raw labels of any type, or with ``space`` indices, -1 (NaN
        if a factor is continuous) where a label is missing. None: nothing is known but the observations.
    space : FactorSpace, optional
        The factors, where known.
    kinds : mapping of factor name to kind, optional
        Overrides what would be inferred from raw labels.
    factor_names : sequence of str, optional
        Names of the columns of ``factors``.
    groups : (n,), optional
        Cluster of each row, a number or a name, such as person or recording; rows of one cluster are resampled
        together.
    name : str
        For tables and reports.
    fingerprint : str, optional
        Names exactly this content. By default the hash of all rows and labels, computed once when it is
        first needed: give one for very large files.

    Attributes
    ----------
    factors : (n, n_factors) int64 or float64
        Of each row, as in ``Draws``.
    groups : (n,) int64 or None
    inference : tuple of str
        Which kind each factor has, and why.

    Raises
    ------
    InvalidInputError
        If observations are neither images nor vectors, or labels do not fit them.

    Notes
    -----
    ``nuisances`` is empty only for a complete grid in which each combination comes once: its rows are all there
    are. The rows of any other table are a sample of what there might be, so that scores keep their intervals.

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
        kinds: Mapping[str, Kind] | None = None,
        factor_names: Sequence[str] | None = None,
        groups: ArrayLike | None = None,
        name: str = "custom",
        fingerprint: str | None = None,
    ) -> None:
        for what, text in (("name", name), ("fingerprint", fingerprint)):
            if text is not None and not (isinstance(text, str) and _NAME.fullmatch(text)):
                raise InvalidInputError(f"{what} must be made of letters, digits, '.', '_' and '-'; got {text!r}")
        self._rows: Observations = as_observations(observations)
        labelled = Representation(
            np.zeros((self._rows.shape[0], 1)),
            factors,
            space=space,
            kinds=kinds,
            factor_names=factor_names,
            groups=groups,
        )
        self.name = name
        self.space = labelled.space
        self.factors = labelled.factors
        self.groups = labelled.groups
        self.inference = labelled.inference
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
    def fingerprint(self) -> str:  # type: ignore[override] # worked out when first asked for, and then kept
        """Name and hash of exactly these rows and labels."""
        factors = [(factor.name, factor.size, factor.kind, factor.values) for factor in self.space]
        digest = hashlib.sha256(repr((self._rows.shape, self._rows.dtype.str[1:], factors)).encode())
        little = self._rows.dtype.newbyteorder("<")
        step = max(1, _BYTES_AT_ONCE // (int(np.prod(self.observation_shape)) * little.itemsize))
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
        kinds: Mapping[str, Kind] | None = None,
        size: int | tuple[int, int] | None = None,
        name: str = "folder",
        fingerprint: str | None = None,
    ) -> "CustomDataSet":
        """Read images of a folder and its subfolders, as they are needed, and the labels beside them.

        Parameters
        ----------
        folder : path
            Images are PNG, JPEG, BMP, GIF, WebP, TIFF or PPM, grey or RGB, of one size. Pixels are taken as they are
            stored: a rotation noted beside them (EXIF) is not applied.
        table : path, optional
            A ``.csv``, ``.tsv``, ``.parquet`` or ``.xlsx`` file in the folder, one row an image. By default
            ``labels.csv`` (``.tsv``, ``.parquet``, ``.xlsx``) if there is one; if not, the subfolder of an image is its
            only factor, ``label``, and images that lie in no subfolder have no factor.
        image_column : str, optional
            Column that names the image files, from the folder on; by default ``image``, ``file``, ``file_name``,
            ``filename`` or ``path``.
        factors : sequence of str, optional
            Columns that are factors; by default all others.
        groups : str, optional
            Column that names clusters of rows, such as the person.
        kinds : mapping of factor name to kind, optional
            Overrides what would be inferred.
        size : int or (height, width), optional
            What images are resized to, by averaging over pixels.
        name, fingerprint : str, optional
            As above.

        Raises
        ------
        InvalidInputError
            If folder, table, columns or image files are not there, a file lies outside the folder, or images differ in
            size or mode.
        CorruptFileError
            If an image is truncated, altered or very large, also when it is read later.
        MissingExtraError
            If the reader of the table is not installed.
        """
        found = read_folder(
            folder, table=table, image_column=image_column, factors=factors, groups=groups, size=parse_size(size)
        )
        return cls._from(found, kinds=kinds, name=name, fingerprint=fingerprint)

    @classmethod
    def from_huggingface(
        cls,
        dataset: Any,
        *,
        image: str | None = None,
        factors: Sequence[str] | None = None,
        groups: str | None = None,
        kinds: Mapping[str, Kind] | None = None,
        size: int | tuple[int, int] | None = None,
        name: str = "huggingface",
        fingerprint: str | None = None,
    ) -> "CustomDataSet":
        """Read one split of a data set of the Hugging Face library ``datasets``, row by row as needed.

        Parameters
        ----------
        dataset : datasets.Dataset
            With a column of images, or of vectors.
        image : str, optional
            That column; by default the only one of images.
        factors : sequence of str, optional
            Columns that are factors; by default all others. ``ClassLabel`` columns are categorical, with
            their names as values.
        groups : str, optional
            Column that names clusters of rows.
        kinds : mapping of factor name to kind, optional
            Overrides what would be inferred.
        size : int or (height, width), optional
            What images are resized to, by averaging over pixels.
        name, fingerprint : str, optional
            As above.

        Raises
        ------
        InvalidInputError
            If it is no such data set, columns are not there, or images differ in size or mode.
        """
        found = read_huggingface(dataset, image=image, factors=factors, groups=groups, size=parse_size(size))
        return cls._from(found, kinds=kinds, name=name, fingerprint=fingerprint)

    @classmethod
    def _from(cls, found: LabelledRows, **options: Any) -> "CustomDataSet":
        data = cls(found.observations, found.factors, groups=found.groups, **options)
        data.inference = (*found.notes, *data.inference)
        return data

    def __len__(self) -> int:
        """Return the number of rows."""
        return int(self._rows.shape[0])

    def make(self, factors: NDArray[Any], nuisance: NDArray[np.uint64]) -> NDArray[Any]:
        """Return the row that each combination of factors and nuisance stands for."""
        return self._take(self._combinations.rows(self._known(factors), nuisance))

    def check_observations(self, made: NDArray[Any], n: int) -> None:
        """Refuse nothing: rows were checked as they were read, and vectors may be of whole numbers."""

    def full_grid(self) -> Draws:
        """Return all rows in their order, with the factors, nuisance and groups of each."""
        return Draws(self.factors, self._nuisance, self.groups)

    def sample(self, n: int, rng: np.random.Generator, *, replace: bool = False) -> Draws:
        """Draw rows at random, in ascending order; distinct ones unless they are replaced.

        Raises
        ------
        InvalidInputError
            If ``n`` is no whole number from 0, or more distinct rows are asked for than there are.
        """
        check_count(n)
        if not replace and n > len(self):
            raise InvalidInputError(
                f"at most {len(self)} distinct rows can be drawn from {self.name}; got n = {n}; ask for all instead"
            )
        rows = rng.integers(len(self), size=n) if replace else rng.choice(len(self), size=n, replace=False)
        return self.full_grid()[np.sort(rows)]

    def sample_factors(self, n: int, rng: np.random.Generator) -> NDArray[Any]:
        """Draw the factors of ``n`` rows independently: combinations come as often as in the table."""
        return self.factors[rng.integers(len(self), size=n)]

    def draws(self, factors: ArrayLike) -> Draws:
        """Return draws of these combinations of factors: the first row of each.

        Raises
        ------
        InvalidInputError
            If no row has one of the combinations.
        """
        checked = self.check_factors(factors)
        self._known(checked)
        return Draws(checked, self.default_nuisance(checked))

    def default_nuisance(self, factors: NDArray[Any]) -> NDArray[np.uint64]:
        """Return 0, the first row of each combination; the row of the grid if there are no nuisances."""
        return np.zeros(len(factors), np.uint64) if self.nuisances else super().default_nuisance(factors)

    def check_factors(self, factors: ArrayLike) -> NDArray[Any]:
        """Return factors as int64 (float64, if one is continuous) after checking shape and type; missing ones stay."""
        array = as_table(factors)
        is_grid = self.space.is_grid
        if array.ndim != 2 or array.shape[1] != len(self.space) or array.dtype.kind not in ("iu" if is_grid else "iuf"):
            raise InvalidInputError(
                f"factors must be {'whole ' if is_grid else ''}numbers of shape (n, {len(self.space)}), one column "
                f"for each of {', '.join(self.space.names) or 'no factors'}; got {array.dtype} of shape {array.shape}"
            )
        return array.astype(np.int64 if is_grid else np.float64, copy=False)

    def _known(self, factors: NDArray[Any]) -> NDArray[np.int64]:
        """Return the combination that each row of factors is; refuse any that does not occur."""
        found = self._combinations.find(factors)
        absent = np.flatnonzero(found < 0)
        if len(absent):
            values = zip(self.space.names, factors[absent[0]].tolist(), strict=True)
            raise InvalidInputError(
                f"{self.name} holds the combinations of factors of its {len(self):,} rows alone; "
                f"{len(absent):,} of {len(factors):,} asked for do not occur, such as "
                f"{', '.join(f'{name} {value}' for name, value in values)}; draw them by sample or whole"
            )
        return found

    def _take(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        taken = self._rows.take(rows)
        if taken.shape != (len(rows), *self.observation_shape) or taken.dtype != self._rows.dtype:
            raise InvalidInputError(
                f"take must return the rows asked for, {self._rows.dtype} of shape "
                f"{(len(rows), *self.observation_shape)}; it returned {taken.dtype} of shape {taken.shape}"
            )
        if taken.dtype.kind == "f" and not np.isfinite(taken).all():
            bad = rows[~np.isfinite(taken).all(axis=1)]
            raise InvalidInputError(
                f"observations must be finite; row {bad[0]} of {self.name} holds NaN or infinity; "
                "fill in these values or leave the rows out"
            )
        return taken


class Combinations:
    """The different combinations of factors in a table, and the rows that have each.

    Parameters
    ----------
    factors : (n_rows, n_factors) int64 or float64
        Values are equal if they are exactly equal; all missing ones are.

    Attributes
    ----------
    n : int
        How many different combinations there are.
    rank : (n_rows,) int64
        How many earlier rows have the row's combination.

    Examples
    --------
    >>> found = Combinations(np.array([[0, 1], [2, 1], [0, 1]]))
    >>> found.n, found.rank, found.find(np.array([[2, 1], [2, 0]]))
    (2, array([0, 0, 1]), array([ 1, -1]))
    """

    def __init__(self, factors: NDArray[Any]) -> None:
        self._columns: list[tuple[NDArray[Any], NDArray[np.int64]]] = []
        combination = np.zeros(len(factors), np.int64)
        for column in factors.T:  # numbered anew after each column, so that numbers never grow beyond n_rows
            values, position = np.unique(column, return_inverse=True)
            known, back = np.unique(combination * len(values) + position.ravel(), return_inverse=True)
            combination = back.ravel().astype(np.int64)
            self._columns.append((values, known))
        self._count = np.bincount(combination)
        self._start = np.cumsum(self._count) - self._count
        self._order = np.argsort(combination, kind="stable")
        self.n = len(self._count)
        self.rank = np.empty(len(factors), np.int64)
        self.rank[self._order] = np.arange(len(factors)) - self._start[combination[self._order]]

    def find(self, factors: NDArray[Any]) -> NDArray[np.int64]:
        """Return the number of each combination (n, n_factors); -1 where no row has it."""
        found = np.zeros(len(factors), np.int64)
        occurs = np.ones(len(factors), bool)
        for (values, known), column in zip(self._columns, factors.T, strict=True):
            position = np.minimum(np.searchsorted(values, column), len(values) - 1)
            occurs &= (values[position] == column) | (np.isnan(values[position]) & np.isnan(column))
            number = found * len(values) + position
            found = np.minimum(np.searchsorted(known, number), len(known) - 1)
            occurs &= known[found] == number
        return np.where(occurs, found, -1)

    def rows(self, found: NDArray[np.int64], nuisance: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Return the row of each combination that the nuisance picks."""
        within = (nuisance % self._count[found].astype(np.uint64)).astype(np.int64)
        return np.asarray(self._order[self._start[found] + within])
