"""The table of axioms and metrics: scores of fourteen representations of known quality.

All represent four uniform factors, which are independent except in the case ``dependent``. A metric that violates an
axiom is not wrong, but its users should know.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from disentmetrics.errors import UndefinedScoreError
from disentmetrics.metrics.base import Metric
from disentmetrics.representation import Representation
from disentmetrics.testing.check import AXIOMS

Array = NDArray[np.float64]
N_FACTORS = 4
N_ROWS = 6_000
_CORRELATION = 0.7


def _identity(v: Array, _: np.random.Generator) -> Array:
    return v


def _scaled(v: Array, _: np.random.Generator) -> Array:
    return v * [-100.0, 1.0, 0.01, -3.0]


def _warped(v: Array, _: np.random.Generator) -> Array:
    return np.exp(6 * v)


def _rotated(v: Array, rng: np.random.Generator) -> Array:
    standard = (v - v.mean(axis=0)) / v.std(axis=0)
    return np.asarray(standard @ np.linalg.qr(rng.normal(size=(N_FACTORS, N_FACTORS)))[0])


def _duplicated(v: Array, _: np.random.Generator) -> Array:
    return np.hstack([v, 2 * v])


def _with_noise(n_codes: int) -> Callable[[Array, np.random.Generator], Array]:
    return lambda v, rng: np.hstack([v, rng.uniform(size=(len(v), n_codes))])


def _with_constants(v: Array, _: np.random.Generator) -> Array:
    return np.hstack([v, np.zeros_like(v)])


def _null(v: Array, rng: np.random.Generator) -> Array:
    return rng.normal(size=v.shape)


def _dropped(v: Array, rng: np.random.Generator) -> Array:
    return np.hstack([v[:, :-1], rng.uniform(size=(len(v), 1))])


def _with_rotated_copy(v: Array, rng: np.random.Generator) -> Array:
    return np.hstack([v, _rotated(v, rng)])


def _outliers(v: Array, _: np.random.Generator) -> Array:
    codes = v.copy()
    codes[: max(1, len(v) // 1_000)] *= 100
    return codes


def _synergy(v: Array, rng: np.random.Generator) -> Array:
    key = rng.uniform(size=v.shape)
    return np.hstack([(v + key) % 1, key])


CASES: dict[str, tuple[str, Callable[[Array, np.random.Generator], Array]]] = {
    "perfect": ("one latent per factor", _identity),
    "scaled": ("latents multiplied by -100, 1, 0.01, -3", _scaled),
    "warped": ("exp(6 v)", _warped),
    "rotated": ("a random rotation of the standardised factors", _rotated),
    "copies": ("each latent duplicated", _duplicated),
    "+4 noise": ("perfect, with 4 latents of noise", _with_noise(4)),
    "+16 noise": ("perfect, with 16 latents of noise", _with_noise(16)),
    "+4 dead": ("perfect, with 4 constant latents", _with_constants),
    "null": ("uninformative latents", _null),
    "3 of 4": ("one factor is not encoded", _dropped),
    "+rotated": ("perfect, with a rotated copy", _with_rotated_copy),
    "dependent": ("perfect, for factors with a correlation of 0.7", _identity),
    "outliers": ("perfect, with 0.1 % of the rows multiplied by 100", _outliers),
    "synergy": ("(v + u) mod 1 and u, each uninformative alone", _synergy),
}
"""Columns of the table: a description, and the function from factors to codes."""


def case(name: str, n_rows: int = N_ROWS, seed: int = 0, *, posterior: bool = False) -> Representation:
    """Return the representation of one column.

    Examples
    --------
    >>> case("+4 dead", 100).n_codes
    8
    """
    rng = np.random.default_rng([seed, 40])
    factors = _correlated(n_rows, rng) if name == "dependent" else rng.uniform(size=(n_rows, N_FACTORS))
    codes = CASES[name][1](factors, rng)
    log_variance = np.full(codes.shape, 2 * np.log(0.01)) + np.log(codes.var(axis=0) + 1e-12) if posterior else None
    return Representation(codes, factors, log_variance=log_variance, factor_names=[f"v{k}" for k in range(N_FACTORS)])


def _correlated(n_rows: int, rng: np.random.Generator) -> Array:
    from scipy.special import ndtr

    shared = rng.normal(size=(n_rows, 1))
    own = rng.normal(size=(n_rows, N_FACTORS))
    return np.asarray(ndtr(np.sqrt(_CORRELATION) * shared + np.sqrt(1 - _CORRELATION) * own))


@dataclass(frozen=True)
class AxiomRow:
    """Scores of all cases under one metric, one row of the table.

    Attributes
    ----------
    name : str
        ``metric`` or ``metric@protocol``.
    values : tuple of float or None
        In the order of :data:`CASES`; None where the metric is undefined.
    satisfied : tuple of str
        Axioms A1 to A18 that the metric satisfies in full, by its declaration.
    """

    name: str
    values: tuple[float | None, ...]
    satisfied: tuple[str, ...]


def axiom_rows(metrics: Sequence[tuple[Metric, str]], *, n_rows: int = N_ROWS, n_seeds: int = 2) -> Iterator[AxiomRow]:
    """Yield the row of each metric: the scores of all cases, averaged over seeds.

    Examples
    --------
    >>> from disentmetrics.metrics import find_metric
    >>> row = next(axiom_rows([find_metric("mig")], n_rows=1_000, n_seeds=1))
    >>> row.name, [value > 0.9 for value in row.values[:4]], "A3" in row.satisfied
    ('mig', [True, True, True, False], True)
    """
    for metric, protocol in metrics:
        posterior = metric.protocol(protocol).needs.log_variance
        values = tuple(
            _mean_value(metric, protocol, [case(name, n_rows, seed, posterior=posterior) for seed in range(n_seeds)])
            for name in CASES
        )
        name = metric.name if protocol == "default" else f"{metric.name}@{protocol}"
        yield AxiomRow(name, values, satisfied_axioms(metric, protocol))


def _mean_value(metric: Metric, protocol: str, tables: Sequence[Representation]) -> float | None:
    try:
        return float(np.mean([metric.evaluate(table, protocol).value for table in tables]))
    except UndefinedScoreError:
        return None


def satisfied_axioms(metric: Metric, protocol: str = "default") -> tuple[str, ...]:
    """Return the axioms all of whose properties the metric declares; the property suite tests the declaration.

    A6 is satisfied by metrics that detect a rotation, and by those that are invariant to it.

    Examples
    --------
    >>> from disentmetrics.metrics import find_metric
    >>> satisfied_axioms(*find_metric("mig@locatello2019"))
    ('A1', 'A2', 'A4', 'A5', 'A6', 'A7', 'A10', 'A11', 'A12', 'A15', 'A17', 'A18')
    """
    declared = metric.protocol(protocol)
    properties: set[str] = {
        *declared.invariant_to,
        *declared.detects,
        "bounds",
        "degenerate tables",
        "repeatable",
        "layout and type",
    }
    if declared.perfect == metric.bounds[1 if metric.higher_is_better else 0]:
        properties.add("perfect")
    if declared.noise in {0.0, "chance"}:
        properties.add("noise")
    if "rotation" in properties or {"rotated", "rotated copy"} <= properties:
        properties |= {"rotation", "rotated", "rotated copy"}
    return tuple(axiom for axiom, names in AXIOMS.items() if properties.issuperset(names))


def axiom_table(rows: Sequence[AxiomRow]) -> str:
    """Format rows as a Markdown table: the values, then the axioms satisfied."""
    heads = ["metric", *CASES, "axioms satisfied"]
    lines = [heads, ["---", *("---:" for _ in CASES), "---"]]
    lines += [
        [row.name, *("–" if value is None else f"{value:z.2f}" for value in row.values), " ".join(row.satisfied)]
        for row in rows
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
