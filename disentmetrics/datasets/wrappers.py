"""Data sets made from another: drawn otherwise, fewer values, merged or hidden factors, mapped observations.

Reached by methods of every data set (``data.select(...)``). Each keeps its base and adds one
step to the fingerprint, such as ``dsprites-1+select(shape=2)+correlate(x,y,0.8)``.
"""

import math
import re
import zlib
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from disentmetrics.datasets.base import DataSet, Draws, Symmetry
from disentmetrics.datasets.chosen_values import Chosen, chosen_values, known_factor, written
from disentmetrics.datasets.nuisance import choice, uniform
from disentmetrics.distribution import FactorDistribution, joint_positions
from disentmetrics.errors import InvalidInputError
from disentmetrics.factors import Factor, FactorSpace

_STEP_NAME = re.compile(r"[\w.,=/ -]+")


class Wrapped(DataSet):
    """A data set made from another one, ``base``."""

    def __init__(self, base: DataSet, step: str) -> None:
        self.base = base
        self.name = base.name
        self.fingerprint = f"{base.fingerprint}+{step}"
        self.space = base.space
        self.observation_shape = base.observation_shape
        self.nuisances = base.nuisances
        self.symmetries = base.symmetries

    def prepare(self, *, progress: bool = False) -> None:
        """Prepare the base."""
        self.base.prepare(progress=progress)

    @abstractmethod
    def base_factors(self, factors: NDArray[Any], nuisance: NDArray[np.uint64]) -> NDArray[Any]:
        """Return the factors (n, n_factors of the base) whose observations are meant."""

    def make(self, factors: NDArray[Any], nuisance: NDArray[np.uint64]) -> NDArray[Any]:
        """Return the observations of the base that are meant."""
        return self.base.make(self.base_factors(factors, nuisance), nuisance)


class GridWrapped(Wrapped):
    """A data set whose factors form a grid and have a known distribution."""

    def __init__(self, base: DataSet, step: str, distribution: FactorDistribution) -> None:
        super().__init__(base, step)
        self._distribution = distribution
        self.space = distribution.space

    @property
    def has_distribution(self) -> bool:
        """Always."""
        return True

    @property
    def distribution(self) -> FactorDistribution:
        """What combinations of factors are drawn from."""
        return self._distribution

    def own_nuisance(self, factors: NDArray[Any]) -> NDArray[np.uint64]:
        """Return the nuisance that the base has for each combination of factors."""
        return self.base.own_nuisance(self.base_factors(factors, np.zeros(len(factors), np.uint64)))

    def sample(self, n: int, rng: np.random.Generator, *, replace: bool = False) -> Draws:
        """Draw observations at random.

        Distinct ones, in the order of the grid, if all combinations that can occur are equally likely and
        there is no nuisance; otherwise independent ones, so that one may come again.

        Parameters
        ----------
        n : int
            How many.
        rng : numpy.random.Generator
            Source of randomness.
        replace : bool
            Whether the same observation may be drawn twice.

        Returns
        -------
        Draws

        Raises
        ------
        InvalidInputError
            If more distinct observations are asked for than there are.
        """
        if self.nuisances or replace or not self.distribution.is_uniform:
            factors = self.sample_factors(n, rng)
            return Draws(factors, self.sample_nuisance(factors, rng))
        if n > len(self):
            raise InvalidInputError(
                f"at most {len(self)} distinct combinations can be drawn from {self.fingerprint}; got n = {n}; "
                "ask for the full grid instead"
            )
        factors = self.distribution.support(rng.choice(len(self), size=n, replace=False, shuffle=False))
        return self.draws(factors[np.argsort(self.space.rows_of(factors))])

    def sample_factors(self, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Draw ``n`` combinations of factors independently, as (n, n_factors) indices."""
        return self.distribution.sample(n, rng)

    def whole(self) -> Draws:
        """Return every combination of factors that can occur once, in the order of the grid.

        Raises
        ------
        InvalidInputError
            If some are likelier than others, so that once each is not how they are distributed.
        """
        if not self.distribution.is_uniform:
            raise InvalidInputError(
                f"{self.fingerprint} has no full grid, as some combinations of factors are likelier than others; "
                "draw a number of samples instead"
            )
        return self.draws(self.distribution.support())

    def __len__(self) -> int:
        """Return the number of combinations that can occur."""
        return self.distribution.support_size


class Designed(GridWrapped):
    """The observations of a data set, drawn from another distribution of its factors.

    Observations of combinations that are never drawn can still be asked for.

    Parameters
    ----------
    base : DataSet
        With a grid of factors of known distribution.
    distribution : FactorDistribution
        Multiplied with that of the base, and renormalised.

    Raises
    ------
    InvalidInputError
        If the distribution of the base is not known, is of other factors, or nothing is left.
    """

    def __init__(self, base: DataSet, distribution: FactorDistribution) -> None:
        super().__init__(base, distribution.name, base.distribution * distribution)

    def base_factors(self, factors: NDArray[Any], nuisance: NDArray[np.uint64]) -> NDArray[Any]:
        """Return the factors as they are."""
        return factors

    def sample_nuisance(self, factors: NDArray[Any], rng: np.random.Generator) -> NDArray[np.uint64]:
        """Draw a nuisance for each of these factors, as the base does."""
        return self.base.sample_nuisance(factors, rng)


def select(base: DataSet, factors: Chosen) -> "Selected | SelectedRows":
    """Return the part of a data set whose factors have some of their values; see ``DataSet.select``."""
    return Selected(base, factors) if base.has_distribution else SelectedRows(base, factors)


class _Selection:
    """Which values of which factors are kept, and what the factors are then."""

    def __init__(self, space: FactorSpace, chosen: Mapping[str, int | tuple[int, ...]]) -> None:
        self.of = space
        self.chosen = dict(chosen)
        self.kept_columns = [k for k, name in enumerate(space.names) if not isinstance(chosen.get(name), int)]
        self.space = FactorSpace([
            _with_values(factor, chosen[factor.name]) if factor.name in chosen else factor
            for factor in space
            if not isinstance(chosen.get(factor.name), int)
        ])  # fmt: skip

    def lifted(self, factors: NDArray[Any]) -> NDArray[Any]:
        """Return factors of the whole space; a missing value (-1) stays missing."""
        whole = np.empty((len(factors), len(self.of)), factors.dtype)
        whole[:, self.kept_columns] = factors
        for name, values in self.chosen.items():
            column = self.of.position(name)
            if isinstance(values, int):
                whole[:, column] = values
            else:
                index = whole[:, column].astype(np.int64)
                whole[:, column] = np.where(index < 0, -1, np.array(values)[np.maximum(index, 0)])
        return whole

    def lowered(self, whole: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Return the factors of those rows that are kept, and which rows these are."""
        kept = np.ones(len(whole), bool)
        factors = whole.copy()
        for name, values in self.chosen.items():
            column = self.of.position(name)
            listed = np.array(values if isinstance(values, tuple) else (values,))
            kept &= np.isin(whole[:, column], listed)
            factors[kept, column] = np.searchsorted(listed, whole[kept, column])
        rows = np.flatnonzero(kept)
        return factors[rows][:, self.kept_columns], rows

    def symmetries(self, old: Sequence[Symmetry]) -> tuple[Symmetry, ...]:
        """Return which symmetries hold among the values that are kept."""
        found = []
        for symmetry in old:
            same = self._new_indices(symmetry.factor, symmetry.same)
            given = {name: self._new_indices(name, indices) for name, indices in symmetry.given.items()}
            if symmetry.factor not in self.space.names or len(same) < 2 or not all(given.values()):
                continue
            found.append(Symmetry(symmetry.factor, same, {n: i for n, i in given.items() if n in self.space.names}))
        return tuple(found)

    def _new_indices(self, name: str, indices: Sequence[int]) -> tuple[int, ...]:
        values = self.chosen.get(name)
        if values is None:
            return tuple(indices)
        listed = values if isinstance(values, tuple) else (values,)
        return tuple(listed.index(index) for index in indices if index in listed)


def _with_values(factor: Factor, kept: int | tuple[int, ...]) -> Factor:
    """Return the factor with fewer values; a circle with a gap in it is no circle any more."""
    indices = kept if isinstance(kept, tuple) else (kept,)
    steps = {(b - a) % (factor.size or 1) for a, b in zip(indices, (*indices[1:], indices[0]), strict=True)}
    broken = factor.kind == "circular" and len(steps) > 1
    values: Any = tuple(factor.values[index] for index in indices) if factor.values else ()
    return Factor(factor.name, len(indices), "ordinal" if broken else factor.kind, values)


class Selected(GridWrapped):
    """The part of a data set whose factors have some of their values.

    Parameters
    ----------
    base : DataSet
        With a grid of factors of known distribution.
    factors : mapping of str to value or values
        See ``DataSet.select``.
    """

    def __init__(self, base: DataSet, factors: Chosen) -> None:
        chosen = chosen_values(base.space, factors)
        self._selection = _Selection(base.space, chosen)
        given = base.distribution.conditional(dict(chosen))
        tables = []
        for names, table in given.tables:
            part = table
            for axis, name in reversed(list(enumerate(names))):
                if name in chosen:
                    values = chosen[name]
                    part = part.take(values if isinstance(values, int) else list(values), axis=axis)
            left = tuple(name for name in names if name in self._selection.space.names)
            if left:
                tables.append((left, part))
        distribution = FactorDistribution(self._selection.space, tables)
        super().__init__(base, f"select({written(chosen)})", distribution)
        self.symmetries = self._selection.symmetries(base.symmetries)

    def base_factors(self, factors: NDArray[Any], nuisance: NDArray[np.uint64]) -> NDArray[Any]:
        """Return the indices that the values have in the base."""
        return self._selection.lifted(factors)

    def sample_nuisance(self, factors: NDArray[Any], rng: np.random.Generator) -> NDArray[np.uint64]:
        """Draw a nuisance for each of these factors, as the base does."""
        return self.base.sample_nuisance(self._selection.lifted(factors), rng)


class SelectedRows(Wrapped):
    """The rows of a data set that is a table of rows whose factors have some of their values.

    Parameters
    ----------
    base : DataSet
        Which lists its rows by ``whole``.
    factors : mapping of str to value or values
        See ``DataSet.select``; rows in which a label is missing are left out.

    Raises
    ------
    InvalidInputError
        If a factor is continuous, there is no end to observations, or no row is left.
    """

    def __init__(self, base: DataSet, factors: Chosen) -> None:
        chosen = chosen_values(base.space, factors)
        super().__init__(base, f"select({written(chosen)})")
        self._selection = _Selection(base.space, chosen)
        every = base.whole()
        lowered, rows = self._selection.lowered(every.factors)
        if not len(rows):
            raise InvalidInputError(f"values must be selected that some row has; no row of {base.name} is left")
        self._rows = replace(every[rows], factors=lowered)
        self.space = self._selection.space
        self.symmetries = self._selection.symmetries(base.symmetries)

    def base_factors(self, factors: NDArray[Any], nuisance: NDArray[np.uint64]) -> NDArray[Any]:
        """Return the indices that the values have in the base."""
        return self._selection.lifted(factors)

    def whole(self) -> Draws:
        """Return all rows that are kept."""
        return self._rows

    def sample(self, n: int, rng: np.random.Generator, *, replace: bool = False) -> Draws:
        """Draw rows at random; distinct ones, in their order, unless they may come again.

        Raises
        ------
        InvalidInputError
            If more distinct rows are asked for than there are.
        """
        if not replace and n > len(self):
            raise InvalidInputError(
                f"at most {len(self)} distinct rows can be drawn from {self.fingerprint}; got n = {n}; "
                "ask for all instead"
            )
        return self._rows[np.sort(rng.choice(len(self), size=n, replace=replace))]

    def sample_factors(self, n: int, rng: np.random.Generator) -> NDArray[Any]:
        """Draw the factors of ``n`` rows independently."""
        return np.asarray(self._rows.factors[rng.integers(len(self), size=n)])

    def own_nuisance(self, factors: NDArray[Any]) -> NDArray[np.uint64]:
        """Return the nuisance that the base has for each combination of factors."""
        return self.base.own_nuisance(self._selection.lifted(factors))

    def check_factors(self, factors: ArrayLike) -> NDArray[Any]:
        """Return factors after the checks of their space and of the base."""
        array = np.asarray(factors)
        if array.ndim != 2 or array.shape[1] != len(self.space) or array.dtype.kind not in "iuf":
            raise InvalidInputError(
                f"factors must be numbers of shape (n, {len(self.space)}), one column for each of "
                f"{', '.join(self.space.names)}; got {array.dtype} of shape {array.shape}"
            )
        array = array.astype(np.int64 if array.dtype.kind in "iu" else np.float64)
        for factor, column in zip(self.space, array.T, strict=True):
            if factor.size is not None and len(column) and column.max() >= factor.size:
                raise InvalidInputError(
                    f"indices of factor {factor.name!r} must lie in 0 .. {factor.size - 1}; got {column.max()}"
                )
        lifted = self.base.check_factors(self._selection.lifted(array))
        return array.astype(lifted.dtype, copy=False)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._rows)


class Merged(GridWrapped):
    """A data set in which several factors are taken as one, of which each combination is a category.

    Parameters
    ----------
    base : DataSet
        With a grid of factors of known distribution.
    names : sequence of str
        At least two factors. The last of them varies fastest.
    name : str
        Of the merged factor, which stands where the first of them stood.

    Raises
    ------
    InvalidInputError
        If there are fewer than two factors, one is unknown, or the name is taken.
    """

    def __init__(self, base: DataSet, names: Sequence[str], name: str = "") -> None:
        old = base.distribution
        self._name = name or "_".join(names)
        self._factors = [known_factor(base.space, n) for n in names]
        joint_positions(base.space, names)
        others = [factor.name for factor in base.space if factor.name not in names]
        if len(names) < 2 or self._name in others:
            raise InvalidInputError(
                "at least two factors are merged, and into one whose name no other factor has; "
                f"got {', '.join(names)} as {self._name!r}"
            )
        self._sizes = tuple(factor.size or 0 for factor in self._factors)
        self._columns = [base.space.position(n) for n in names]
        self._others = [base.space.position(n) for n in others]
        first = min(self._columns)
        self._place = sum(column < first for column in self._others)
        values: Any = ()
        if all(factor.values for factor in self._factors):
            values = tuple(",".join(map(str, v)) for v in product(*(factor.values for factor in self._factors)))
        merged = Factor(self._name, math.prod(self._sizes), "categorical", values)
        factors = [base.space.factors[column] for column in self._others]
        factors.insert(self._place, merged)
        distribution = FactorDistribution(FactorSpace(factors), self._tables(old))
        super().__init__(base, f"merge({self._name}={','.join(names)})", distribution)
        self.symmetries = tuple(s for symmetry in base.symmetries for s in self._of_merged(symmetry))

    def _tables(self, old: FactorDistribution) -> list[tuple[tuple[str, ...], NDArray[np.float64]]]:
        merged = {factor.name for factor in self._factors}
        touching = [names for names, _ in old.tables if merged & set(names)]
        tables = [(names, table) for names, table in old.tables if names not in touching]
        if touching:
            others = tuple(name for names in touching for name in names if name not in merged)
            joint = old.marginal(*others, *(factor.name for factor in self._factors))
            tables.append(((*others, self._name), joint.reshape(*joint.shape[: len(others)], -1)))
        return tables

    def _of_merged(self, symmetry: Symmetry) -> list[Symmetry]:
        """Return what a symmetry of the base means for the merged factor."""
        names = [factor.name for factor in self._factors]
        allowed = [symmetry.given.get(name, range(size)) for name, size in zip(names, self._sizes, strict=True)]
        given = {name: indices for name, indices in symmetry.given.items() if name not in names}
        if symmetry.factor in names:
            axis = names.index(symmetry.factor)
            contexts = product(*(indices for k, indices in enumerate(allowed) if k != axis))
            return [
                Symmetry(self._name, tuple(self._row((*c[:axis], i, *c[axis:])) for i in symmetry.same), given)
                for c in contexts
            ]
        if set(names) & set(symmetry.given):
            given[self._name] = tuple(self._row(combination) for combination in product(*allowed))
        return [replace(symmetry, given=given)]

    def _row(self, combination: Sequence[int]) -> int:
        return int(np.ravel_multi_index(tuple(combination), self._sizes))

    def base_factors(self, factors: NDArray[Any], nuisance: NDArray[np.uint64]) -> NDArray[Any]:
        """Return the factors with the merged one split up."""
        whole = np.empty((len(factors), len(self.base.space)), np.int64)
        whole[:, self._others] = np.delete(factors, self._place, axis=1)
        whole[:, self._columns] = np.stack(np.unravel_index(factors[:, self._place], self._sizes), axis=1)
        return whole

    def sample_nuisance(self, factors: NDArray[Any], rng: np.random.Generator) -> NDArray[np.uint64]:
        """Draw a nuisance for each of these factors, as the base does."""
        return self.base.sample_nuisance(self.base_factors(factors, np.zeros(len(factors), np.uint64)), rng)


class Hidden(GridWrapped):
    """A data set of which some factors are nuisances: drawn for each observation, given the other factors.

    Parameters
    ----------
    base : DataSet
        With a grid of factors of known distribution.
    names : sequence of str
        The factors that the nuisance decides.

    Raises
    ------
    InvalidInputError
        If no factor is named, one is unknown, or none is left.
    """

    def __init__(self, base: DataSet, names: Sequence[str]) -> None:
        self._law = base.distribution
        for name in names:
            known_factor(base.space, name)
        columns = joint_positions(base.space, names)
        self._seen = [column for column in range(len(base.space)) if column not in columns]
        if not self._seen:
            raise InvalidInputError(f"at least one factor must stay; all were named as nuisances: {', '.join(names)}")
        space = FactorSpace([base.space.factors[column] for column in self._seen])
        tables = []
        depends = set[str]()
        for held, _ in self._law.tables:
            left = tuple(name for name in held if name not in names)
            depends |= set(left) if len(left) < len(held) else set()
            if left:
                tables.append((left, self._law.marginal(*left)))
        super().__init__(base, f"nuisance({','.join(names)})", FactorDistribution(space, tables))
        self.nuisances = (*base.nuisances, *names)
        # Of a hidden factor that depends on a visible one, equal nuisances are different values.
        self.symmetries = tuple(
            s for s in base.symmetries if not {s.factor, *s.given} & set(names) and s.factor not in depends
        )
        self._columns = columns

    def base_factors(self, factors: NDArray[Any], nuisance: NDArray[np.uint64]) -> NDArray[Any]:
        """Return the factors with those that the nuisance draws, one after the other.

        Raises
        ------
        InvalidInputError
            If a combination never occurs, so that there is nothing to draw the hidden factors from.
        """
        whole = np.zeros((len(factors), len(self.base.space)), np.int64)
        whole[:, self._seen] = factors
        known = list(self._seen)
        for column in self._columns:
            factor = self.base.space.factors[column]
            stream = zlib.crc32(factor.name.encode()) | 1 << 32  # no data set numbers its own draws so high
            block = next((block for block in self._law.blocks if column in block.columns), None)
            if block is None:
                whole[:, column] = choice(nuisance, factor.size or 1, stream=stream)
            else:
                given = tuple(k for k in block.columns if k in known)
                u = uniform(nuisance, 1, stream=stream)[:, 0]
                whole[:, column] = block.quantiles((column,), whole, given, u)[:, 0]
            known.append(column)
        return whole

    def own_nuisance(self, factors: NDArray[Any]) -> NDArray[np.uint64]:
        """Return the row of the grid at which each combination stands."""
        return DataSet.own_nuisance(self, factors)


class Mapped(Wrapped):
    """A data set whose observations are transformed.

    Parameters
    ----------
    base : DataSet
        Any.
    transform : callable
        From a batch of observations (n, ...) to as many, each a function of its own observation alone.
    name : str
        Which says exactly what the transform does, for the fingerprint.

    Raises
    ------
    InvalidInputError
        If the name is empty or has characters other than letters, digits and ``.,=/ -``, or the transform
        returns no array of one observation for each.
    """

    def __init__(self, base: DataSet, transform: Callable[[NDArray[Any]], NDArray[Any]], name: str) -> None:
        if not isinstance(name, str) or not _STEP_NAME.fullmatch(name) or not callable(transform):
            raise InvalidInputError(
                "map takes a function and a name that says what it does, of letters, digits and '.,=/ -'; "
                f"got {transform!r} and {name!r}"
            )
        super().__init__(base, f"map({name})")
        self._transform = transform
        first = base.sample(1, np.random.default_rng(0), replace=True)
        probe = self._transformed(base.observations(first.factors, first.nuisance))
        self.observation_shape = probe.shape[1:]
        self._dtype = probe.dtype

    def _transformed(self, observations: NDArray[Any]) -> NDArray[Any]:
        made = self._transform(observations.copy())
        if not isinstance(made, np.ndarray) or made.shape[:1] != observations.shape[:1] or made.dtype.kind not in "uf":
            said = f"{made.dtype} of shape {made.shape}" if isinstance(made, np.ndarray) else type(made).__name__
            raise InvalidInputError(
                f"{self.fingerprint}: the transform must return an array of {len(observations)} observations, "
                f"uint8 or real; got {said}"
            )
        return made

    def make(self, factors: NDArray[Any], nuisance: NDArray[np.uint64]) -> NDArray[Any]:
        """Return the transformed observations of the base."""
        if not len(factors):
            return np.empty((0, *self.observation_shape), self._dtype)
        made = self._transformed(self.base.make(factors, nuisance))
        if made.shape[1:] != self.observation_shape or made.dtype != self._dtype:
            raise InvalidInputError(
                f"{self.fingerprint}: the transform must always return observations of shape "
                f"{self.observation_shape}, {self._dtype}; got {made.shape[1:]}, {made.dtype}"
            )
        return made

    def base_factors(self, factors: NDArray[Any], nuisance: NDArray[np.uint64]) -> NDArray[Any]:
        """Return the factors as they are."""
        return factors

    @property
    def has_distribution(self) -> bool:
        """Whether the base has one."""
        return self.base.has_distribution

    @property
    def distribution(self) -> FactorDistribution:
        """What combinations of factors are drawn from, in the base."""
        return self.base.distribution

    def sample(self, n: int, rng: np.random.Generator, *, replace: bool = False) -> Draws:
        """Draw observations as the base does."""
        return self.base.sample(n, rng, replace=replace)

    def sample_factors(self, n: int, rng: np.random.Generator) -> NDArray[Any]:
        """Draw factors as the base does."""
        return self.base.sample_factors(n, rng)

    def sample_nuisance(self, factors: NDArray[Any], rng: np.random.Generator) -> NDArray[np.uint64]:
        """Draw nuisances as the base does."""
        return self.base.sample_nuisance(factors, rng)

    def whole(self) -> Draws:
        """Return what the base has."""
        return self.base.whole()

    def draws(self, factors: ArrayLike) -> Draws:
        """Return the draws of these factors, as the base does."""
        return self.base.draws(factors)

    def own_nuisance(self, factors: NDArray[Any]) -> NDArray[np.uint64]:
        """Return the nuisance that the base has for each combination of factors."""
        return self.base.own_nuisance(factors)

    def check_factors(self, factors: ArrayLike) -> NDArray[Any]:
        """Return factors after the checks of the base."""
        return self.base.check_factors(factors)

    def __len__(self) -> int:
        """Return the number of observations of the base."""
        return len(self.base)
