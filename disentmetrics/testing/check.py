"""Test what a metric claims."""

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.threads import single_threaded_blas
from disentmetrics.errors import DisentmetricsError, UndefinedScoreError
from disentmetrics.metrics.base import (
    DEFECTS,
    INVARIANCES,
    Defect,
    Invariance,
    Metric,
    Needs,
    RawScore,
    ResolvedProtocol,
)
from disentmetrics.representation import Representation
from disentmetrics.testing.changes import CHANGES
from disentmetrics.testing.examples import DEFECTIVE, EXAMPLES, as_symbols, degenerate_tables, synergy

TOLERANCE: dict[Invariance, float] = {"outlier": 0.05, "noise code": 0.03, "monotone warp": 0.01, "scale": 0.01}
"""How far a score may move by chance under a claimed invariance, beyond its precision and the spread of its draws."""
DETECTED = 0.1
"""How much a defect must lower the score of a perfect code to count as detected."""
_ROWS = 3_000
_FEW_ROWS = 1_200
AXIOMS: dict[str, tuple[str, ...]] = {
    "A1": ("code order",),
    "A2": ("sign", "scale", "shift"),
    "A3": ("monotone warp",),
    "A4": ("perfect",),
    "A5": ("noise",),
    "A6": ("rotated", "rotated copy", "rotation"),
    "A7": ("noise code", "dead code"),
    "A8": ("duplicated code",),
    "A9": ("packed",),
    "A10": ("missing factor",),
    "A11": ("blurred",),
    "A12": ("relabelled factors", "factor order"),
    "A13": ("dependent factors", "determined factors"),
    "A14": ("outlier",),
    "A15": ("row order", "repeated rows"),
    "A16": ("synergy lost",),
    "A17": ("bounds", "degenerate tables"),
    "A18": ("repeatable", "layout and type"),
}
"""The axioms of a good metric, each with the properties by which it is tested."""
_AXIOM_OF = {name: axiom for axiom, names in AXIOMS.items() for name in names}
_ONLY_ON: dict[Invariance, tuple[str, ...]] = {"dependent factors": ("perfect",), "determined factors": ("perfect",)}
_COUNTEREXAMPLES_FIRST = ("noisy", "rotated", "perfect", "noise")
"""Examples in the order in which they usually refute an invariance that is not claimed."""
_JOINT: tuple[Invariance, ...] = (
    "relabelled factors",
    "factor order",
    "sign",
    "shift",
    "code order",
    "dead code",
    "duplicated code",
    "row order",
)
"""Changes that leave a score as it is, not only nearly; in an order in which none undoes the effect of another."""
_JOINTLY_ON = ("perfect", "noise")
"""Examples on which the claimed ones of these changes are made together, and one by one only if the score moves."""


class BrokenClaimError(DisentmetricsError, AssertionError):
    """A metric violates its declaration; the message lists each violated claim."""


@dataclass(frozen=True)
class Finding:
    """Result of testing one property.

    Attributes
    ----------
    name : str
        An invariance, a defect, ``perfect``, ``noise``, ``bounds``, ``degenerate tables``, ``repeatable``
        or ``layout and type``.
    claimed, holds : bool
    largest_move : float
        Largest change of the score over the examples, or its largest distance from the claimed value; for a defect,
        by how much it lowers the score. An invariance that is not claimed is tested up to its first counterexample.
    example : str
        Example on which it occurs.
    """

    name: str
    claimed: bool
    holds: bool
    largest_move: float
    example: str

    @property
    def axiom(self) -> str:
        """Axiom (A1 to A18) to which the property belongs."""
        return _AXIOM_OF[self.name]

    @property
    def verdict(self) -> str:
        """Whether the property holds, or the defect is detected, and whether that is claimed."""
        verdict = "holds" if self.holds else "FAILS" if self.claimed else "does not hold (not claimed)"
        if self.name in DEFECTS:
            verdict = (
                "is detected" if self.holds else "is NOT detected" if self.claimed else "is not detected (not claimed)"
            )
        return verdict

    def __str__(self) -> str:
        return f"{self.axiom:<4}{self.name:<20} {self.verdict}: moved by {self.largest_move:.4f} on {self.example}"


def check_metric(
    metric: Metric | Callable[..., Any],
    protocol: str = "default",
    *,
    invariant_to: Collection[Invariance] | None = None,
    detects: Collection[Defect] | None = None,
    bounds: tuple[float, float] = (0.0, 1.0),
    perfect: float = math.nan,
    noise: float = math.nan,
    seed: int = 0,
) -> list[Finding]:
    """Test every claim of a metric, and report the properties that it does not claim.

    Parameters
    ----------
    metric : Metric or callable
        A registered metric, or a user-defined function ``(codes, factors) -> float``.
    protocol : str
        Protocol of a registered metric.
    invariant_to : collection of Invariance, optional
        Invariances claimed by a user-defined function; a registered metric declares them.
    detects : collection of Defect, optional
        Defects that a user-defined function claims to detect.
    bounds : pair of float
        Range of a user-defined function.
    perfect, noise : float
        Values that a user-defined function claims where each factor has a noiseless latent of its own, and for
        uninformative latents; NaN claims nothing.
    seed : int
        Random seed of examples and changes.

    Returns
    -------
    list of Finding
        One per property, whether claimed or not.

    Raises
    ------
    BrokenClaimError
        If a claimed property does not hold; the message lists all of them.

    Notes
    -----
    Claimed changes that leave a score exactly as it is (such as signs and orders) are made one by one on two of the
    four examples, and together on the other two; one by one there too if together they move the score. An invariance
    that is not claimed is tested up to its first counterexample.

    Examples
    --------
    >>> from disentmetrics.estimators.rank_correlation import rank_correlation
    >>> def largest_correlation(codes, factors):
    ...     return np.abs(rank_correlation(codes, factors)).max()
    >>> findings = check_metric(largest_correlation, invariant_to=["row order", "sign", "scale", "shift"])
    >>> [finding.name for finding in findings if finding.claimed and finding.holds]
    ['row order', 'sign', 'scale', 'shift', 'bounds', 'repeatable']
    >>> print(next(finding for finding in findings if finding.axiom == "A13"))
    A13 dependent factors    holds: moved by 0.0000 on perfect
    """
    registered = isinstance(metric, Metric)
    if not isinstance(metric, Metric):
        metric = _as_metric(metric, bounds, invariant_to or (), detects or (), (perfect, noise))
    declared = metric.protocol(protocol)
    tables = _Tables(
        n_rows=_FEW_ROWS if declared.costly else _ROWS,
        posterior=declared.needs.log_variance,
        symbols=declared.needs.symbols,
        seed=seed,
    )
    before = {name: _value(metric, tables.example(name), protocol, seed) for name in EXAMPLES}
    spread = {name: _spread(metric, tables.example(name), protocol, seed) for name in EXAMPLES}
    joint = _hold_jointly(metric, protocol, tables, before, spread)
    findings = [_invariance(metric, protocol, tables, before, spread, change, joint) for change in INVARIANCES]
    findings += _defects(metric, protocol, tables)
    findings += _limits(metric, protocol, tables, before)
    findings += _robustness(metric, protocol, tables, claimed=registered)
    violated = [finding for finding in findings if finding.claimed and not finding.holds]
    if violated:
        raise BrokenClaimError(f"{metric.name}@{protocol} violates its claims:\n" + "\n".join(map(str, violated)))
    return findings


@dataclass(frozen=True)
class _Tables:
    """Examples of one size and kind. Metrics that are tested in turn share them, with what was computed from them."""

    n_rows: int
    posterior: bool
    symbols: bool
    seed: int

    def example(self, name: str) -> Representation:
        return _generated(self, EXAMPLES[name], _STREAMS[name])

    def changed(self, name: str, *changes: Invariance) -> Representation:
        return _changed(self, name, changes)

    def of_the_same_factors(self, make: Callable[..., Representation]) -> Representation:
        """Return an intact or a defective table; all of them represent the same factors."""
        return _generated(self, make, 100)

    def generate(self, make: Callable[..., Representation], stream: int) -> Representation:
        return self.suited(make(self.n_rows, np.random.default_rng([self.seed, stream]), posterior=self.posterior))

    def suited(self, representation: Representation) -> Representation:
        return as_symbols(representation) if self.symbols else representation


_STREAMS = {name: stream for stream, name in enumerate(EXAMPLES)}


@lru_cache(maxsize=64)
def _generated(tables: _Tables, make: Callable[..., Representation], stream: int) -> Representation:
    return tables.generate(make, stream)


@lru_cache(maxsize=128)
def _changed(tables: _Tables, name: str, changes: tuple[Invariance, ...]) -> Representation:
    changed = tables.example(name)
    for change in changes:
        changed = CHANGES[change](changed, np.random.default_rng([tables.seed, _STREAMS[name]]))
    return changed


def _as_metric(
    function: Callable[..., Any],
    bounds: tuple[float, float],
    claims: Collection[Invariance],
    detects: Collection[Defect],
    limits: tuple[float, float],
) -> Metric:
    def formula(representation: Representation) -> RawScore:
        return RawScore(float(function(representation.codes, representation.factors)))

    unknown = set(claims) - set(INVARIANCES)
    if unknown:
        raise ValueError(f"invariant_to must contain names of {', '.join(INVARIANCES)}; got {', '.join(unknown)}")
    unseen = set(detects) - set(DEFECTS)
    if unseen:
        raise ValueError(f"detects must contain names of {', '.join(DEFECTS)}; got {', '.join(unseen)}")
    declared = ResolvedProtocol(
        source="",
        options={},
        reads="mean",
        needs=Needs(),
        invariant_to=frozenset(claims),
        detects=frozenset(detects),
        perfect=limits[0],
        noise=limits[1],
        precision=1e-9,
        costly=False,
        slow=False,
        unsettled=frozenset(),
    )
    return Metric(
        name=getattr(function, "__name__", "metric"),
        family="information",
        formula=formula,
        bounds=bounds,
        higher_is_better=True,
        paper="",
        known_failure="",
        protocols={"default": declared},
    )


def _value(metric: Metric, representation: Representation, protocol: str, seed: int | tuple[int, ...]) -> float:
    try:
        with single_threaded_blas():
            return metric.evaluate(representation, protocol, seed=seed).value
    except UndefinedScoreError:
        return math.inf


def _spread(metric: Metric, representation: Representation, protocol: str, seed: int) -> float:
    if not metric.randomised:
        return 0.0
    values = [_value(metric, representation, protocol, (seed, r)) for r in range(4)]
    return 5 * float(np.std(values, ddof=1)) + 0.02


def _hold_jointly(
    metric: Metric, protocol: str, tables: _Tables, before: dict[str, float], spread: dict[str, float]
) -> dict[str, float]:
    """Return by how much all claimed changes of ``_JOINT`` together move the score, where it is within tolerance."""
    declared = metric.protocol(protocol)
    claimed = [change for change in _JOINT if change in declared.invariant_to]
    moves = {
        name: abs(_value(metric, tables.changed(name, *claimed), protocol, tables.seed) - before[name])
        for name in (_JOINTLY_ON if len(claimed) > 1 else ())
    }
    return {name: move for name, move in moves.items() if move <= declared.precision + spread[name]}


def _invariance(
    metric: Metric,
    protocol: str,
    tables: _Tables,
    before: dict[str, float],
    spread: dict[str, float],
    change: Invariance,
    joint: dict[str, float],
) -> Finding:
    declared = metric.protocol(protocol)
    claimed = change in declared.invariant_to
    worst, example, holds = 0.0, "", True
    for name in _ONLY_ON.get(change, _COUNTEREXAMPLES_FIRST):
        if claimed and change in _JOINT and name in joint:
            move = joint[name]
        else:
            move = abs(_value(metric, tables.changed(name, change), protocol, tables.seed) - before[name])
            holds &= move <= TOLERANCE.get(change, 0.0) + declared.precision + spread[name]
        if move >= worst:
            worst, example = move, name
        if not holds and not claimed:
            break  # one counterexample is enough
    return Finding(change, claimed, holds, worst, example)


def _defects(metric: Metric, protocol: str, tables: _Tables) -> list[Finding]:
    @cache
    def value(make: Callable[..., Representation]) -> float:
        return _value(metric, tables.of_the_same_factors(make), protocol, tables.seed)

    findings = []
    for defect in DEFECTS:
        drop = value(synergy if defect == "synergy lost" else EXAMPLES["perfect"]) - value(DEFECTIVE[defect])
        drop *= 1 if metric.higher_is_better else -1
        claimed = defect in metric.protocol(protocol).detects
        findings.append(Finding(defect, claimed, drop > DETECTED + 1e-9, drop, DEFECTIVE[defect].__name__))
    return findings


def _limits(metric: Metric, protocol: str, tables: _Tables, before: dict[str, float]) -> list[Finding]:
    declared = metric.protocol(protocol)
    low, high = metric.bounds
    outside = max(max(low - value, value - high) for value in before.values())
    # tables of their own, since a Representation remembers what was computed from it
    repeated = max(
        abs(_value(metric, tables.generate(EXAMPLES[name], _STREAMS[name]), protocol, tables.seed) - value)
        for name, value in before.items()
    )
    n_factors = tables.example("noise").n_factors
    chance = 1 / n_factors if declared.noise == "chance" else float(declared.noise)
    from_perfect = abs(before["perfect"] - declared.perfect)
    from_noise = abs(before["noise"] - chance)
    findings = [
        Finding("bounds", True, outside <= 1e-12, max(outside, 0.0), "all"),
        Finding("repeatable", True, repeated == 0, repeated, "all"),
    ]
    if not math.isnan(declared.perfect):
        findings.append(Finding("perfect", True, from_perfect <= 0.01, from_perfect, "perfect"))
    if not math.isnan(chance):
        findings.append(Finding("noise", True, from_noise <= 0.06, from_noise, "noise"))
    return findings


def _robustness(metric: Metric, protocol: str, tables: _Tables, *, claimed: bool) -> list[Finding]:
    noisy, seed = tables.example("noisy"), tables.seed
    fault = ""
    for name, table in degenerate_tables(seed, posterior=tables.posterior).items():
        try:
            value = metric.evaluate(tables.suited(table), protocol, seed=seed).value
        except UndefinedScoreError:
            continue
        except Exception as error:  # noqa: BLE001 # whatever a user-defined function raises is the finding
            fault = fault or f"{name} ({type(error).__name__})"
            continue
        if not math.isfinite(value):
            fault = fault or f"{name} (not finite)"
    codes = np.round(noisy.codes * 64) / 64  # exact in single precision
    layouts: dict[str, NDArray[np.floating]] = {
        "C order": codes,
        "Fortran order": np.asfortranarray(codes),
        "strided": np.repeat(codes, 2, axis=0)[::2],
        "single precision": codes.astype(np.float32),
    }
    values = {
        name: _value(
            metric,
            Representation(layout, noisy.factors, space=noisy.space, log_variance=noisy.log_variance),
            protocol,
            seed,
        )
        for name, layout in layouts.items()
    }
    moves = {name: abs(value - values["C order"]) for name, value in values.items()}
    worst = max(moves, key=lambda name: moves[name])
    allowed = {"single precision": 0.02}
    same = all(move <= allowed.get(name, 0.0) for name, move in moves.items())
    return [
        Finding("degenerate tables", claimed, not fault, 1.0 if fault else 0.0, fault or "all"),
        Finding("layout and type", claimed, same, moves[worst], worst),
    ]
