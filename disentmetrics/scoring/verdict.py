"""Verdict on a representation: for each factor, which latents encode it, and which other factors they encode.

Two questions are answered by regression on held-out rows. How much of a factor can be read from one latent, and from
all of them? And how much of a latent is explained by one factor, and by all of them? A factor is captured if one latent
reads it as well as all do, and that factor explains this latent as well as all do.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.random import generator
from disentmetrics._utils.threads import single_threaded_blas
from disentmetrics._utils.typing import Floats, Integers
from disentmetrics.estimators.activity import constant
from disentmetrics.estimators.smooth_regression import (
    group_mean_shares,
    linear_shares,
    mean_ranks,
    moving_average_shares,
    smooth_fit,
    smooth_shares,
)
from disentmetrics.factors import Factor
from disentmetrics.representation import Representation
from disentmetrics.representation.resampling import folds_of_units, sorted_subset
from disentmetrics.results.verdict import FactorVerdict, Verdict
from disentmetrics.statistics.targets import factor_columns, factor_values

ENOUGH = 0.95
"""A latent reads a factor, or a factor explains a latent, as well as all do from this share of what all do."""
LEAST_SHARE = 0.3
"""Share of a factor's variance that all latents explain below which it is missing."""
CARRIED = 0.1
"""Share of what all factors explain of a latent from which another factor is named as encoded in it, too."""
CHANGED = 0.2
"""Share of a latent that a missing factor explains from which it is named as changing it."""
PACKED = 0.3
"""Share of another factor that a latent reads from which the latent is packed."""
GAIN = 0.02
"""Gain in the share that justifies another latent."""
LINEAR = 0.9
"""Share of what a curved function reads that a linear one must read of factors that are called rotated."""
FEWEST_ROWS = 50
"""Fewer labelled rows allow no verdict on a factor."""
FEWEST_GROUPS = 20
"""With fewer groups of rows there is no verdict on a factor that takes one value in each of them."""
_MOST_ROWS = 2_000
_MOST_LATENTS = 64
_MOST_FACTORS = 40
_MOST_SELECTED = 6
_MOST_COLUMNS = 32
_N_FOLDS = 5
_ROWS_PER_VALUE = 10
_BLUR = 0.1
_FEWEST_ON_CIRCLE = 8
_RELEVANT = 0.03
_UNUSED = 0.05


def verdict(representation: Representation, *, seed: int = 0) -> Verdict:
    """Return which factors are disentangled, and what is wrong with the others.

    Parameters
    ----------
    representation : Representation
        Codes are read as they are: where they are posterior means, a latent that has collapsed to the prior counts as
        any other. Only ranks matter, and structure finer than a tenth of the step between two values of a factor is
        ignored. At most 2,000 random rows are read.
    seed : int
        Random seed.

    Returns
    -------
    Verdict
        Shares are of variance explained on held-out rows: of ranks for ordinal and continuous factors, of cosine and
        sine for circular ones, of indicators of the categories for categorical ones.

    Notes
    -----
    S(j, k) is the share of factor k explained by latent j alone, J(k) that explained by all latents, M(j, k) the
    share of latent j explained by factor k alone, and R(j) that explained by all factors. Factor k is

    - missing if J(k) < 0.3;
    - captured by latent j if S(j, k) ≥ 0.95 J(k) and M(j, k) ≥ 0.95 R(j), and j is not packed: it must not read
      30 % of a factor that no other latent captures;
    - otherwise latents are added one by one while J grows. It is mixed with the factors that explain 10 % of R(j)
      beyond factor k in one of these latents, and spread if there are none.

    The documentation shows how often this is right on random encoders.

    Examples
    --------
    >>> import numpy as np, disentmetrics as dm
    >>> x, y = np.indices((20, 20)).reshape(2, -1).repeat(3, axis=1)
    >>> factors = {"x": x, "y": y}
    >>> print(verdict(dm.Representation(np.stack([x + y, x - y], axis=1), factors)).sentence)
    None of 2 factors is disentangled; x and y are readable but rotated over z0 and z1.
    """
    with single_threaded_blas():
        return _Reading(representation, seed).verdict()


@dataclass(frozen=True)
class _Target:
    """A factor as centred columns, on the rows that have a label; 0 elsewhere.

    Attributes
    ----------
    columns, inputs : (n, width) float
        To be explained, and to explain other quantities by: scaled to ranges of about 1.
    labels : (n,) int or None
        Number of each value, 0 where missing; None if most values occur in few rows.
    present : (n,) bool
    """

    columns: Floats
    inputs: Floats
    labels: Integers | None
    present: NDArray[np.bool_]


class _Reading:
    """Codes and factors on a subset of rows, and the shares that each explains of the other."""

    def __init__(self, representation: Representation, seed: int) -> None:
        rng = generator(seed, "verdict")
        rows = sorted_subset(np.arange(len(representation)), _MOST_ROWS, rng)
        self.rng = rng
        self.names = representation.code_names
        self.space = representation.space
        some = representation.take(rows)
        units = _units(representation, rows)
        self.fold = _folds(units, len(some), seed)
        self.left_out: dict[str, str] = {}
        self.targets: dict[int, _Target] = {}
        values = some.cached(factor_values)
        for k, factor in enumerate(self.space):
            reason = _unusable(values[:, k], units)
            if reason or len(self.targets) == _MOST_FACTORS:
                self.left_out[factor.name] = reason or f"comes after {_MOST_FACTORS} others"
            else:
                self.targets[k] = _target(factor, values[:, k], some, k, rng)
        codes = some.codes.astype(np.float64)
        self.varied = np.flatnonzero(~constant(codes))
        codes = codes[:, self.varied]
        if len(self.varied) > _MOST_LATENTS and self.targets:
            kept = _most_related(codes, [t.columns for t in self.targets.values()])
            self.varied, codes = self.varied[kept], codes[:, kept]
        self.codes = self._blurred(codes, some)
        self.ranks = mean_ranks(self.codes) if codes.size else self.codes
        self.scales = np.hstack([self.ranks, _clipped(self.codes)])
        self._joint: dict[tuple[int, frozenset[int]], tuple[float, Floats]] = {}
        self._gains: dict[tuple[int, int], Floats] = {}

    def _blurred(self, codes: Floats, some: Representation) -> Floats:
        """Add normal noise of a tenth of the step between neighbouring values of the factor that a latent follows."""
        blurred = codes.copy()
        ranks = mean_ranks(codes) if codes.size else codes
        for j in range(codes.shape[1]):
            best, labels_of_best = 0.0, None
            for k in self.targets:
                labels = some.labels(k)
                present = labels >= 0
                share = _explained_by_labels(ranks[present, j], labels[present])
                if share > best:
                    best, labels_of_best = share, labels
            if labels_of_best is not None:
                blurred[:, j] += _step(codes[:, j], labels_of_best) * _BLUR * self.rng.normal(size=len(codes))
        return blurred

    def _rows(self, *factors: int) -> NDArray[np.bool_]:
        present = np.ones(len(self.fold), dtype=bool)
        for k in factors:
            present &= self.targets[k].present
        return present

    @cached_property
    def single(self) -> Floats:
        """S(j, k): share of each factor that one latent explains, (n_codes, n_factors)."""
        shares = np.zeros((len(self.varied), len(self.space)))
        noise = self.rng.random(len(self.fold))
        for j in range(len(self.varied)):
            order = np.lexsort((noise, self.codes[:, j]))  # ties in random order
            place = np.empty(len(order))
            place[order] = np.arange(len(order))
            for rows, factors in self._by_rows():
                columns = np.hstack([self.targets[k].columns[rows] for k in factors])
                groups = _groups([self.targets[k].columns.shape[1] for k in factors])
                shares[j, factors] = moving_average_shares(place[rows], columns, groups, self.fold[rows])
            for k in self._circles:
                shares[j, k] = self._share_of_circle(j, k)
        return shares

    @cached_property
    def _circles(self) -> list[int]:
        """Circular factors of so many values that they are not merely categories."""
        circular = [k for k in self.targets if self.space.factors[k].kind == "circular"]
        return [k for k in circular if len(np.unique(self.targets[k].columns[:, 0])) > _FEWEST_ON_CIRCLE // 2]

    def _share_of_circle(self, j: int, k: int) -> float:
        """Return the share of a circular factor that a latent explains by running along the circle once.

        Without noise, the cosine of an angle takes a different value at nearly every one of finitely many angles, so
        that moving averages would read the sine from it, too.
        """
        rows, columns = self.targets[k].present, self.targets[k].columns
        angle = 2 * np.pi * self.ranks[rows, j]
        inputs = np.stack([angle, np.cos(angle), np.sin(angle), np.cos(2 * angle), np.sin(2 * angle)], axis=1)
        return float(linear_shares(inputs, columns[rows], _groups([2]), self.fold[rows])[0])

    def _by_rows(self) -> list[tuple[NDArray[np.bool_], list[int]]]:
        """Return the factors in sets that have labels in the same rows."""
        sets: dict[bytes, tuple[NDArray[np.bool_], list[int]]] = {}
        for k, target in self.targets.items():
            sets.setdefault(target.present.tobytes(), (target.present, []))[1].append(k)
        return list(sets.values())

    @cached_property
    def of_latents(self) -> tuple[Floats, Floats]:
        """M(j, k), (2, n_codes, n_factors), and R(j), (2, n_codes), of the ranks of each latent, then of its codes.

        Ranks stretch small differences between rows of one value of a factor of few values; codes are dominated by
        the rows far out.
        """
        alone = np.zeros((2 * len(self.varied), len(self.space)))
        for k in self.targets:
            rows = self.targets[k].present
            alone[:, k] = self._explained_by([k], _centred(self.scales[rows]), rows)
        every = list(self.targets)
        rows = self._rows(*every)
        if rows.sum() < max(FEWEST_ROWS, len(rows) // 4):
            rows = np.ones(len(rows), dtype=bool)  # missing labels are 0, the mean
        together = self._explained_by(every, _centred(self.scales[rows]), rows)
        together = np.maximum(together, alone.max(axis=1, initial=0.0)).reshape(2, -1)
        by_factor = alone.reshape(2, len(self.varied), -1)
        return by_factor, np.maximum(together, self._explained_by_three(by_factor, together))

    def _explained_by_three(self, alone: Floats, together: Floats) -> Floats:
        """Return the share of each latent that the three most related factors explain, 0 where one or none does.

        With many factors, or few rows that have labels of all, three explain more than all together.
        """
        shares = np.zeros(together.shape)
        chosen: dict[tuple[int, ...], list[int]] = {}
        most = alone.max(axis=0)
        if len(self.targets) > 3:
            for j in np.flatnonzero((most.max(axis=1) < ENOUGH) & (together.max(axis=0) >= _UNUSED)):
                three = sorted(self.targets, key=lambda k: -most[j, k])[:3]
                chosen.setdefault(tuple(sorted(three)), []).append(int(j))
        for factors, latents in chosen.items():
            rows = self._rows(*factors)
            if rows.sum() >= FEWEST_ROWS:
                columns = [*latents, *(len(self.varied) + j for j in latents)]
                explained = self._explained_by(factors, _centred(self.scales[rows][:, columns]), rows)
                shares[:, latents] = explained.reshape(2, -1)
        return shares

    def _explained_by(self, factors: Sequence[int], columns: Floats, rows: NDArray[np.bool_]) -> Floats:
        """Return the share of each column that these factors explain together."""
        return self._shares_by(factors, columns, _groups([1] * columns.shape[1]), rows)

    def _shares_by(
        self, factors: Sequence[int], columns: Floats, groups: Sequence[slice], rows: NDArray[np.bool_]
    ) -> Floats:
        inputs = np.hstack([self.targets[k].inputs[rows] for k in factors])
        shares = smooth_shares(inputs, columns, groups, self.fold[rows], self.rng)
        labels = self.targets[factors[0]].labels
        if len(factors) > 1 or labels is None:
            return shares
        return np.maximum(shares, group_mean_shares(labels[rows], columns, groups, self.fold[rows]))

    @cached_property
    def purity(self) -> Floats:
        """Share of what all factors explain of a latent that one factor explains, (n_codes, n_factors)."""
        alone, together = self.of_latents
        return np.asarray((alone / np.maximum(together, _UNUSED)[:, :, None]).max(axis=0))

    @cached_property
    def of_factors(self) -> Floats:
        """Share of each factor that another one explains, (explaining, explained)."""
        shares = np.zeros((len(self.space), len(self.space)))
        for k in self.targets:
            for factors, rows in self._complete_with(k):
                columns = [_centred(self.targets[m].columns[rows]) for m in factors]
                groups = _groups([block.shape[1] for block in columns])
                shares[k, factors] = self._shares_by([k], np.hstack(columns), groups, rows)
        return shares

    def _complete_with(self, k: int) -> list[tuple[list[int], NDArray[np.bool_]]]:
        """Return the other factors in sets that have labels in the same rows as factor k, with these rows."""
        sets: dict[bytes, tuple[list[int], NDArray[np.bool_]]] = {}
        for m in self.targets:
            rows = self._rows(k, m)
            if m != k and rows.sum() >= FEWEST_ROWS:
                sets.setdefault(rows.tobytes(), ([], rows))[0].append(m)
        return list(sets.values())

    def joint(self, k: int, latents: Iterable[int]) -> tuple[float, Floats]:
        """Return the share of factor k that these latents explain together, and the residuals of its columns."""
        chosen = frozenset(latents)
        if (k, chosen) not in self._joint:
            rows, factors = next((rows, factors) for rows, factors in self._by_rows() if k in factors)
            columns = np.hstack([self.targets[m].columns[rows] for m in factors])
            groups = _groups([self.targets[m].columns.shape[1] for m in factors])
            shares, residuals = smooth_fit(
                self.ranks[rows][:, sorted(chosen)], columns, groups, self.fold[rows], self.rng
            )
            for m, share, group in zip(factors, shares, groups, strict=True):
                self._joint[m, chosen] = float(share), residuals[:, group]
        return self._joint[k, chosen]

    def linear(self, k: int, latents: Sequence[int]) -> float:
        """Return the share of factor k that a linear function of the ranks of these latents explains."""
        rows, columns = self.targets[k].present, self.targets[k].columns
        inputs = self.ranks[rows][:, list(latents)]
        return float(linear_shares(inputs, columns[rows], _groups([columns.shape[1]]), self.fold[rows])[0])

    def gain(self, k: int, other: int) -> Floats:
        """Return the share of each latent's ranks that another factor explains beyond factor k, (n_codes,)."""
        if (k, other) not in self._gains:
            rows = self._rows(k, other)
            if rows.sum() < FEWEST_ROWS:
                return np.zeros(len(self.varied))
            ranks = _centred(self.ranks[rows])
            both = self._explained_by([k, other], ranks, rows)
            for one, added in ((k, other), (other, k)):
                complete = bool(rows[self.targets[one].present].all())
                alone = self.of_latents[0][0, :, one] if complete else self._explained_by([one], ranks, rows)
                self._gains[one, added] = both - alone
        return self._gains[k, other]

    def verdict(self) -> Verdict:
        if not self.targets or not len(self.varied):
            missing = {
                self.space.names[k]: FactorVerdict(self.space.names[k], "missing", 0.0, 0.0) for k in self.targets
            }
            return Verdict(missing, self.left_out, self.names if self.targets else ())
        explained = self.of_latents[1].max(axis=0)
        relevant = np.flatnonzero((explained >= _RELEVANT) | (self.single.max(axis=1) >= _RELEVANT))
        together = {k: self._share_of_all(k, relevant) for k in self.targets}
        changed = {k: np.flatnonzero(self.of_latents[0].max(axis=0)[:, k] >= CHANGED).tolist() for k in self.targets}
        for k in self.targets:
            if together[k] < LEAST_SHARE and changed[k]:  # a few latents may read more than all, which are many inputs
                together[k] = max(together[k], self._selected(k, relevant, 1.0)[1])
        captured = {k: self._capturing(k, together[k]) for k in self.targets if together[k] >= LEAST_SHARE}
        packed = {k: self._packed(k, captured) for k in captured if captured[k]}
        self._prefer_own_latents(captured)
        factors = {}
        for k in self.targets:
            name = self.space.names[k]
            if together[k] < LEAST_SHARE:
                best = float(self.single[:, k].max())
                factors[name] = FactorVerdict(name, "missing", together[k], best, self._named(changed[k]))
            elif captured[k] and not packed[k]:
                factors[name] = self._captured(k, captured[k])
            else:
                factors[name] = self._several(k, relevant, together[k], packed.get(k, []))
        used = {latent for factor in factors.values() for latent in (*factor.latents, *factor.copies)}
        unused = [
            name
            for j, name in enumerate(self.names)
            if name not in used and not (explained[self.varied == j] >= _UNUSED).any()
        ]
        return Verdict(factors, self.left_out, tuple(map(str, unused)))

    def _share_of_all(self, k: int, relevant: Integers) -> float:
        shares = [float(self.single[:, k].max())]
        if len(relevant):
            shares += [self.joint(k, relevant.tolist())[0], self.linear(k, relevant.tolist())]
        return min(1.0, max(shares))

    def _pure(self, j: int, k: int) -> bool:
        """Whether factor k explains latent j as well as all factors do, or depends on a factor that does."""
        enough = self.purity[j] >= ENOUGH
        return bool(enough[k] or (enough & (self.of_factors[:, k] >= ENOUGH)).any())

    def _capturing(self, k: int, share_of_all: float) -> list[int]:
        """Return the latents that capture a factor, the best one first."""
        reading = np.flatnonzero(self.single[:, k] >= ENOUGH * share_of_all)
        pure = [j for j in reading.tolist() if self._pure(j, k)]
        return sorted(pure, key=lambda j: (-round(min(1.0, float(self.purity[j, k])), 2), -self.single[j, k]))

    def _prefer_own_latents(self, captured: dict[int, list[int]]) -> None:
        """Put a latent first that comes first for no other factor, where factors depend on each other."""
        taken: set[int] = set()
        for latents in sorted(captured.values(), key=len):
            latents.sort(key=lambda j: j in taken)
            taken.update(latents[:1])

    def _packed(self, k: int, captured: dict[int, list[int]]) -> list[int]:
        """Return the factors independent of factor k that its latent reads, and that no latent captures."""
        j = captured[k][0]
        return [
            m
            for m in self.targets
            if m != k
            and not captured.get(m)
            and self.single[j, m] - self.of_factors[k, m] >= PACKED
            and self.single[j, m] >= self.single[:, m].max() - CARRIED
        ]

    def _captured(self, k: int, latents: Sequence[int]) -> FactorVerdict:
        name, best = self.space.names[k], latents[0]
        determining = (self.of_factors[:, k] >= ENOUGH) & (self.purity[best] >= max(ENOUGH, self.purity[best, k]))
        depends_on = tuple(self.space.names[m] for m in np.flatnonzero(determining) if m != k)
        share = min(1.0, float(self.single[best, k]))
        copies = self._named(latents[1:])
        return FactorVerdict(name, "captured", share, share, self._named([best]), (), copies, depends_on)

    def _several(self, k: int, relevant: Integers, share_of_all: float, packed: Sequence[int]) -> FactorVerdict:
        """Return the verdict on a factor that no latent captures."""
        if packed:
            chosen, share = [int(np.argmax(self.single[:, k]))], float(self.single[:, k].max())
        else:
            chosen, share = self._selected(k, relevant, share_of_all)
        single = float(self.single[chosen[0], k])
        partners = dict.fromkeys(packed)
        for j in chosen:
            if not self._pure(j, k):
                partners.update(dict.fromkeys(self._partners(j, k)))
        share = min(1.0, max(share, single))
        return FactorVerdict(
            self.space.names[k],
            "mixed" if partners else "spread",
            share,
            min(1.0, single),
            self._named(chosen),
            tuple(self.space.names[m] for m in sorted(partners)),
            is_linear=self.linear(k, chosen) >= LINEAR * share,
            is_circular=self.space.factors[k].kind == "circular",
        )

    def _selected(self, k: int, relevant: Integers, share_of_all: float) -> tuple[list[int], float]:
        """Return the latents that read a factor together, added one by one, and the share that they explain."""
        chosen = [int(np.argmax(self.single[:, k]))]
        share, residuals = self.joint(k, chosen)
        share = max(share, float(self.single[chosen[0], k]))
        rows = self.targets[k].present
        while len(chosen) < _MOST_SELECTED and share < ENOUGH * share_of_all:
            rest = [int(j) for j in relevant if j not in chosen]
            if not rest:
                break
            group = _groups([residuals.shape[1]])
            left = [
                moving_average_shares(self.ranks[rows, j], residuals - residuals.mean(axis=0), group, self.fold[rows])[
                    0
                ]
                for j in rest
            ]
            candidates = {rest[int(np.argmax(left))], max(rest, key=lambda j: self.of_latents[0][0, j, k])}
            best = max(sorted(candidates), key=lambda j: self.joint(k, [*chosen, j])[0])
            larger, residuals = self.joint(k, [*chosen, best])
            if larger < share + GAIN:
                break
            chosen, share = [*chosen, best], larger
        return chosen, share

    def _partners(self, j: int, k: int) -> list[int]:
        """Return the factors that latent j encodes beyond factor k."""
        alone, together = self.of_latents[0][0, j], self.of_latents[1][0, j]
        gains = {}
        for m in self.targets:
            if m != k:
                linked = max(self.of_factors[k, m], self.of_factors[m, k]) >= _UNUSED
                gains[m] = alone[m] if alone[m] >= CARRIED * together and not linked else self.gain(k, m)[j]
        most = max(gains.values(), default=0.0)
        least = min(CARRIED * together, most) if most >= (1 - ENOUGH) / 2 * together else np.inf
        partners = [m for m, gain in gains.items() if gain >= least]
        # Of factors that determine each other, the one that explains more.
        return [
            m
            for m in partners
            if not any(self.of_factors[n, m] >= ENOUGH and (alone[n], -n) > (alone[m], -m) for n in partners if n != m)
        ]

    def _named(self, latents: Iterable[int]) -> tuple[str, ...]:
        return tuple(str(self.names[self.varied[j]]) for j in latents)


def _units(representation: Representation, rows: Integers) -> Integers | None:
    """Return the unit of each of these rows, numbered from 0 without gaps; None where each row is a unit."""
    units = representation.resampling_units
    return None if units is None else np.unique(units[rows], return_inverse=True)[1].ravel()


def _folds(units: Integers | None, n_rows: int, seed: int) -> Integers:
    fold = np.empty(n_rows, dtype=np.int64)
    for f, (_, held_out) in enumerate(folds_of_units(units, n_rows, _N_FOLDS, seed)):
        fold[held_out] = f
    return fold


def _unusable(values: Floats, units: Integers | None) -> str:
    """Return why there is no verdict on a factor; empty if there is one."""
    present = ~np.isnan(values)
    if present.sum() < FEWEST_ROWS:
        return f"has {present.sum()} labelled rows, fewer than {FEWEST_ROWS}"
    labels = values[present]
    if labels.min() == labels.max():
        return "takes a single value"
    if units is not None:
        of_unit = units[present]
        counts = np.bincount(of_unit)
        low, high = np.full(len(counts), np.inf), np.full(len(counts), -np.inf)
        np.minimum.at(low, of_unit, labels)
        np.maximum.at(high, of_unit, labels)
        n_units = int((counts > 0).sum())
        if n_units < FEWEST_GROUPS and (low == high)[counts > 0].all():
            return f"takes one value in each of {n_units} groups of rows; {FEWEST_GROUPS} are needed"
    return ""


def _target(factor: Factor, values: Floats, some: Representation, k: int, rng: np.random.Generator) -> _Target:
    present = ~np.isnan(values)
    columns = np.zeros((len(values), 1))
    if factor.kind in ("ordinal", "continuous"):
        columns[present, 0] = mean_ranks(values[present])
        inputs = columns / max(float(np.ptp(columns[present])), 1e-12)
    else:
        columns = np.nan_to_num(some.cached(factor_columns, k))
        if factor.kind == "categorical":
            columns = (values[:, None] == np.unique(values[present])).astype(np.float64)
        inputs = columns / (2.0 if factor.kind == "circular" else 1.0)
    if columns.shape[1] > _MOST_COLUMNS:  # a random projection retains the shares of squares
        columns = columns @ rng.normal(size=(columns.shape[1], _MOST_COLUMNS)) / np.sqrt(_MOST_COLUMNS)
    columns = np.where(present[:, None], columns - columns[present].mean(axis=0), 0.0)
    inputs = np.where(present[:, None], inputs - inputs[present].mean(axis=0), 0.0)
    distinct, labels = np.unique(values[present], return_inverse=True)
    numbered = np.zeros(len(values), dtype=np.int64)
    numbered[present] = labels.ravel()
    return _Target(columns, inputs, numbered if len(distinct) * _ROWS_PER_VALUE <= len(labels) else None, present)


def _most_related(codes: Floats, columns: Sequence[Floats]) -> Integers:
    """Return the latents of the largest squared correlation of ranks, or of their squares, with a factor."""
    ranks = mean_ranks(codes)
    related = np.zeros(codes.shape[1])
    for transformed in (ranks, np.square(ranks)):
        features = _centred(transformed)
        features /= np.sqrt(np.maximum(np.square(features).sum(axis=0), 1e-300))
        for block in columns:
            total = max(float(np.square(block).sum()), 1e-300)
            related = np.maximum(related, np.square(features.T @ block).sum(axis=1) / total)
    return np.sort(np.argsort(-related, kind="stable")[:_MOST_LATENTS])


def _explained_by_labels(ranks: Floats, labels: Integers) -> float:
    counts = np.bincount(labels)
    means = np.bincount(labels, ranks) / np.maximum(counts, 1)
    n, used = len(ranks), int((counts > 0).sum())
    total = float(np.square(ranks - ranks.mean()).sum())
    if total == 0 or n <= used:
        return 0.0
    within = float(np.square(ranks - means[labels]).sum()) / (n - used)
    return 1 - within / (total / (n - 1))


def _step(codes: Floats, labels: Integers) -> Floats:
    """Return for each row the smaller gap from the median code of its label to the next ones; 0 without a label."""
    used = np.unique(labels[labels >= 0])
    medians = np.array([np.median(codes[labels == value]) for value in used])
    order = np.sort(medians)
    gaps = np.diff(order, prepend=-np.inf, append=np.inf)
    smaller = np.minimum(gaps[:-1], gaps[1:])
    step = dict(zip(order.tolist(), smaller.tolist(), strict=True))
    by_value = np.zeros(int(labels.max()) + 2)  # the last entry is that of missing labels, -1
    by_value[used] = [step[median] if np.isfinite(step[median]) else 0.0 for median in medians.tolist()]
    return by_value[labels]


def _clipped(codes: Floats) -> Floats:
    """Return codes within their central 96 %, so that no single row dominates, scaled to a range of 1."""
    low, high = np.quantile(codes, [0.02, 0.98], axis=0) if codes.size else (0.0, 0.0)
    spread = np.where(high > low, high - low, 1.0)
    return np.asarray((np.clip(codes, low, high) - low) / spread)


def _groups(widths: Sequence[int]) -> list[slice]:
    return [slice(a, b) for a, b in pairwise(np.cumsum([0, *widths]).tolist())]


def _centred(values: Floats) -> Floats:
    return np.asarray(values - values.mean(axis=0))
