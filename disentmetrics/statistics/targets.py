"""Factors as numbers, laid out the same way for every statistic, probe and metric.

Arrays have one entry per row of the representation, and a mask (or -1, or NaN) marks missing labels, so that the
rows of a fold or of a subset index them directly.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.typing import Floats, Integers
from disentmetrics.estimators.mutual_information import quantile_bins
from disentmetrics.representation import FACTOR_BINS, Representation, is_binned

FENCE = 3.0
"""Labels further than this many interquartile ranges from the quartiles are outlying (Tukey's outer fences)."""

MOST_CLASSES = 10
"""Ordinal, circular and continuous factors of more values are merged into this many classes of equal frequency."""


@dataclass(frozen=True, eq=False)
class Target:
    """A factor as the target of a probe or a statistic.

    Attributes
    ----------
    values : (n_samples,) int or (n_samples, width) float
        Classes from 0, -1 where missing; or columns of real numbers, NaN where missing: one for ordinal and
        continuous factors, cosine and sine for circular ones.
    present : (n_samples,) bool
        Rows that have a label.
    is_class : bool
    """

    values: NDArray[Any]
    present: NDArray[np.bool_]
    is_class: bool

    @cached_property
    def rows(self) -> Integers:
        """Rows that have a label, in ascending order."""
        return np.flatnonzero(self.present)

    @cached_property
    def is_complete(self) -> bool:
        """Whether every row has a label."""
        return bool(self.present.all())

    @cached_property
    def n_classes(self) -> int:
        """Largest class plus 1; 0 for real values and where all labels are missing."""
        return int(self.values.max(initial=-1)) + 1 if self.is_class else 0

    @cached_property
    def varies(self) -> bool:
        """Whether the target takes two values, so that there is anything to predict."""
        values = self.values[self.present]
        return bool(len(values)) and bool((np.ptp(values, axis=0) > 0).any())

    def of(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return the rows of an array that have a label; the array itself if all have."""
        return array if self.is_complete else array[self.present]


def factor_values(representation: Representation) -> Floats:
    """Return the factors as stored, (n_samples, n_factors): indices or real values, NaN where missing."""
    values = representation.factors.astype(np.float64)
    discrete = np.array([factor.size is not None for factor in representation.space], dtype=bool)
    return np.asarray(np.where(discrete & (values < 0), np.nan, values))


def factor_columns(representation: Representation, position: int) -> Floats:
    """Return a factor as columns of real numbers, (n_samples, width), NaN where missing.

    Ordinal and continuous factors have one column (physical values where the factor has numbers for
    values), circular ones cosine and sine of their angle, categorical ones an indicator of each category but the first.
    """
    factor = representation.space.factors[position]
    values = representation.cached(factor_values)[:, position]
    missing = np.isnan(values)
    if factor.kind == "circular":
        angle = factor.angles(values)
        columns = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    elif factor.size is None or factor.kind == "ordinal":
        columns = values[:, None]
        if factor.values and not isinstance(factor.values[0], str):
            physical = np.array(factor.values, dtype=np.float64)
            columns = physical[np.where(missing, 0, values).astype(np.int64)][:, None]
    else:
        columns = (values[:, None] == np.arange(1, max(2, factor.size))).astype(np.float64)
    return np.asarray(np.where(missing[:, None], np.nan, columns))


def label_angles(representation: Representation, position: int) -> Floats:
    """Return the angle in radians of each label of a circular factor, see ``labels``, (n_values,).

    For bins it is the direction of the mean of their rows.
    """
    factor = representation.space.factors[position]
    if not is_binned(factor):
        return factor.angles(np.arange(factor.size or 0))
    labels, columns = representation.labels(position), representation.cached(factor_columns, position)
    present = labels >= 0
    cos, sin = (np.bincount(labels[present], column[present]) for column in columns.T)
    return np.asarray(np.mod(np.arctan2(sin, cos), 2 * np.pi))


def label_table(representation: Representation) -> Integers:
    """Return all factors as integers from 0, (n_samples, n_factors), -1 where missing; see ``labels``."""
    return np.stack([representation.labels(k) for k in range(representation.n_factors)], axis=1)


def value_target(representation: Representation, position: int, n_bins: int = FACTOR_BINS) -> Target:
    """Return a factor as classes that are numbered as its values are, whether or not all of them occur.

    A continuous factor, and a circular one of more than 100 values, is discretised into ``n_bins`` bins of equal
    frequency.
    """
    labels = representation.labels(position, n_bins)
    return Target(labels, labels >= 0, is_class=True)


def target(representation: Representation, position: int, *, classes: bool = False) -> Target:
    """Return a factor as the classes that occur where it is categorical, and as real numbers otherwise.

    With ``classes`` every kind becomes classes, a continuous factor 10 bins of equal frequency.
    """
    if classes or representation.space.factors[position].kind == "categorical":
        return class_target(representation, position, None)
    return representation.cached(column_target, position)


def bounded_target(representation: Representation, position: int) -> Target:
    """Return a factor as :func:`target` does, with its outlying numbers moved to the outer fences.

    For predictors of any shape of relation, such as trees, whose squared error a single outlying label would dominate.
    """
    factor = representation.cached(target, position)
    if factor.is_class:
        return factor
    bounded = np.clip(factor.values, *outer_fences(factor.values[factor.present]))
    return factor if np.array_equal(bounded, factor.values, equal_nan=True) else replace(factor, values=bounded)


def outer_fences(values: Floats) -> tuple[Floats, Floats]:
    """Return the lower and upper outer fence of each column; infinite where most values are equal, (width,) each.

    They contain every label of a uniform factor, and 99.9998 % of a normal one.

    References
    ----------
    Tukey (1977), *Exploratory Data Analysis*, section 2D.
    """
    if not len(values):
        return np.full(values.shape[1], -np.inf), np.full(values.shape[1], np.inf)
    low, high = np.quantile(values, [0.25, 0.75], axis=0)
    reach = np.where(high > low, FENCE * (high - low), np.inf)
    return low - reach, high + reach


def column_target(representation: Representation, position: int) -> Target:
    """Return a factor of any kind as columns of real numbers, see :func:`factor_columns`."""
    columns = representation.cached(factor_columns, position)
    return Target(columns, ~np.isnan(columns[:, 0]), is_class=False)


def class_target(representation: Representation, position: int, most: int | None = MOST_CLASSES) -> Target:
    """Return a factor as classes from 0, only those that occur.

    Neighbouring values of ordinal, circular and continuous factors are merged into ``most`` classes of
    nearly equal frequency where there are more values; categories are unchanged, and with ``most``
    None so are the values of ordinal and circular factors.
    """
    labels = representation.labels(position)
    present = labels >= 0
    classes = _numbered(labels[present])
    kind = representation.space.factors[position].kind
    if most is not None and kind != "categorical" and len(classes) and classes.max() >= most:
        classes = _numbered(quantile_bins(classes.astype(np.float64), most))
    values = np.full(len(labels), -1)
    values[present] = classes
    return Target(values, present, is_class=True)


def _numbered(values: Integers) -> Integers:
    return np.unique(values, return_inverse=True)[1].ravel().astype(np.int64)


def varied_factors(representation: Representation) -> NDArray[np.bool_]:
    """Return which factors take at least two values on these rows, as (n_factors,) booleans."""
    return np.array(
        [representation.cached(value_target, k).varies for k in range(representation.n_factors)], dtype=bool
    )
