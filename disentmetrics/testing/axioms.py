"""The axiom x metric table: what each metric says of fourteen representations whose worth is known.

Four independent uniform factors, one of each code described below. A metric that fails here is not
wrong; its reader must know.
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


def _turned(v: Array, rng: np.random.Generator) -> Array:
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
    return np.hstack([v, _turned(v, rng)])


def _outliers(v: Array, _: np.random.Generator) -> Array:
    codes = v.copy()
    codes[: max(1, len(v) // 1_000)] *= 100
    return codes


def _synergy(v: Array, rng: np.random.Generator) -> Array:
    key = rng.uniform(size=v.shape)
    return np.hstack([(v + key) % 1, key])


CASES: dict[str, tuple[str, Callable[[Array, np.random.Generator], Array]]] = {
    "perfect": ("a code a factor", _identity),
    "scaled": ("codes times -100, 1, 0.01, -3", _scaled),
    "warped": ("exp(6 v)", _warped),
    "rotated": ("a random rotation of the standardised factors", _turned),
    "copies": ("each code twice", _duplicated),
    "+4 noise": ("and 4 codes of noise", _with_noise(4)),
    "+16 noise": ("and 16 codes of noise", _with_noise(16)),
    "+4 dead": ("and 4 constant codes", _with_constants),
    "null": ("codes that know nothing", _null),
    "3 of 4": ("one factor has no code", _dropped),
    "+rotated": ("perfect codes and a rotated copy", _with_rotated_copy),
    "dependent": ("perfect codes of factors that correlate by 0.7", _identity),
    "outliers": ("0.1 % of the rows times 100", _outliers),
    "synergy": ("(v + u) mod 1 and u: either alone tells nothing", _synergy),
}
"""Columns of the table: what each stands for, and the codes it gives to factors."""


def case(name: str, n_rows: int = N_ROWS, seed: int = 0, *, posterior: bool = False) -> Representation:
    """Return one column's representation.

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
    """What one metric says of every case.

    Attributes
    ----------
    name : str
        ``metric`` or ``metric@protocol``.
    values : tuple of float or None
        In the order of :data:`CASES`; None where the metric is undefined.
    kept : tuple of str
        Axioms A1 to A18 that the metric keeps in full, by its declaration.
    """

    name: str
    values: tuple[float | None, ...]
    kept: tuple[str, ...]


def axiom_rows(metrics: Sequence[tuple[Metric, str]], *, n_rows: int = N_ROWS, n_seeds: int = 2) -> Iterator[AxiomRow]:
    """Score every case with each metric, averaged over seeds, one row after the other.

    Examples
    --------
    >>> from disentmetrics.metrics import find_metric
    >>> row = next(axiom_rows([find_metric("mig")], n_rows=1_000, n_seeds=1))
    >>> row.name, [value > 0.9 for value in row.values[:4]], "A3" in row.kept
    ('mig', [True, True, True, False], True)
    """
    for metric, protocol in metrics:
        posterior = metric.protocol(protocol).needs.log_variance
        values = tuple(
            _mean_value(metric, protocol, [case(name, n_rows, seed, posterior=posterior) for seed in range(n_seeds)])
            for name in CASES
        )
        name = metric.name if protocol == "default" else f"{metric.name}@{protocol}"
        yield AxiomRow(name, values, kept_axioms(metric, protocol))


def _mean_value(metric: Metric, protocol: str, tables: Sequence[Representation]) -> float | None:
    try:
        return float(np.mean([metric.evaluate(table, protocol).value for table in tables]))
    except UndefinedScoreError:
        return None


def kept_axioms(metric: Metric, protocol: str = "default") -> tuple[str, ...]:
    """Return the axioms all of whose properties the metric declares, as the property suite has tested.

    A6 is kept by metrics that see a rotation and by those that ignore it altogether.

    Examples
    --------
    >>> from disentmetrics.metrics import find_metric
    >>> kept_axioms(*find_metric("mig@locatello2019"))
    ('A1', 'A2', 'A4', 'A5', 'A6', 'A7', 'A10', 'A11', 'A12', 'A15', 'A17', 'A18')
    """
    declared = metric.protocol(protocol)
    held = {*declared.invariant_to, *declared.detects, "bounds", "degenerate tables", "repeatable", "layout and type"}
    if declared.perfect == metric.bounds[1 if metric.higher_is_better else 0]:
        held.add("perfect")
    if declared.noise in {0.0, "chance"}:
        held.add("noise")
    if "rotation" in held or {"rotated", "rotated copy"} <= held:
        held |= {"rotation", "rotated", "rotated copy"}
    return tuple(axiom for axiom, names in AXIOMS.items() if held.issuperset(names))


def axiom_table(rows: Sequence[AxiomRow]) -> str:
    """Write rows as a markdown table: values first, then the axioms kept."""
    heads = ["metric", *CASES, "axioms kept"]
    lines = [heads, ["---", *("---:" for _ in CASES), "---"]]
    lines += [
        [row.name, *("–" if value is None else f"{value:z.2f}" for value in row.values), " ".join(row.kept)]
        for row in rows
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
