"""Put the claims of a metric to the test."""

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from disentmetrics.errors import DisentmetricsError, UndefinedScoreError
from disentmetrics.metric import DEFECTS, INVARIANCES, Defect, Invariance, Metric, Outcome, Protocol
from disentmetrics.representation import Representation
from disentmetrics.testing.changes import CHANGES
from disentmetrics.testing.examples import DEFECTIVE, EXAMPLES, synergy

TOLERANCE: dict[Invariance, float] = {"outlier": 0.05, "noise code": 0.03, "monotone warp": 0.01, "scale": 0.01}
"""How far a claimed score may move by chance, beyond its precision and the spread of its own draws."""
DETECTED = 0.1
"""How much a defect must lower a score to be detected."""
_ROWS = 3_000
_FEW_ROWS = 1_200
_ONLY_ON: dict[Invariance, tuple[str, ...]] = {"dependent factors": ("perfect",)}


class BrokenClaimError(DisentmetricsError, AssertionError):
    """A metric does not keep what it declares; the message lists each broken claim."""


@dataclass(frozen=True)
class Finding:
    """One property, put to the test.

    Attributes
    ----------
    property : str
        An invariance, a defect, ``perfect``, ``noise``, ``bounds`` or ``repeatable``.
    claimed, holds : bool
    largest_move : float
        The largest change of the score that was seen, or its largest distance from the claim; by how
        much a defect lowers it.
    example : str
        On which example it was seen.
    """

    property: str
    claimed: bool
    holds: bool
    largest_move: float
    example: str

    def __str__(self) -> str:
        verdict = "holds" if self.holds else "FAILS" if self.claimed else "does not hold (not claimed)"
        if self.property in DEFECTS:
            verdict = (
                "is detected" if self.holds else "is NOT detected" if self.claimed else "goes unseen (not claimed)"
            )
        return f"{self.property:<20} {verdict}: moved by {self.largest_move:.4f} on {self.example}"


def check_metric(
    metric: Metric | Callable[..., Any],
    protocol: str = "default",
    *,
    invariant_to: Collection[Invariance] | None = None,
    detects: Collection[Defect] | None = None,
    bounds: tuple[float, float] = (0.0, 1.0),
    seed: int = 0,
) -> list[Finding]:
    """Test every claim of a metric, and every property that it does not claim.

    Parameters
    ----------
    metric : Metric or callable
        A registered metric, or any function ``(codes, factors) -> float`` of yours.
    protocol : str
        Which protocol of a registered metric.
    invariant_to : collection of Invariance, optional
        What a plain function claims; a registered metric has declared it.
    detects : collection of Defect, optional
        Which defects a plain function claims to see.
    bounds : pair of float
        Range of a plain function.
    seed : int
        Decides examples and changes.

    Returns
    -------
    list of Finding
        One a property, whether claimed or not.

    Raises
    ------
    BrokenClaimError
        If a claimed property does not hold.

    Examples
    --------
    >>> from disentmetrics.estimators.rank_correlation import rank_correlation
    >>> def largest_correlation(codes, factors):
    ...     return np.abs(rank_correlation(codes, factors)).max()
    >>> found = check_metric(largest_correlation, invariant_to=["row order", "sign", "scale", "shift"])
    >>> [finding.property for finding in found if finding.claimed and finding.holds]
    ['row order', 'sign', 'scale', 'shift', 'bounds', 'repeatable']
    >>> [finding.property for finding in found if not finding.holds]
    ['relabelled factors']
    """
    if not isinstance(metric, Metric):
        metric = _as_metric(metric, bounds, invariant_to or (), detects or ())
    declared = metric.protocol(protocol)
    posterior = metric.needs_of.get(protocol, metric.needs).log_variance
    n_rows = _FEW_ROWS if declared.costly else _ROWS
    made = {
        name: make(n_rows, np.random.default_rng([seed, i]), posterior=posterior)
        for i, (name, make) in enumerate(EXAMPLES.items())
    }
    before = {
        name: (_value(metric, representation, protocol, seed), _spread(metric, representation, protocol, seed))
        for name, representation in made.items()
    }
    findings = [_invariance(metric, protocol, made, before, change, seed) for change in INVARIANCES]
    findings += [_defect(metric, protocol, defect, n_rows, seed) for defect in DEFECTS]
    findings += _limits(metric, protocol, made, declared, seed)
    broken = [finding for finding in findings if finding.claimed and not finding.holds]
    if broken:
        raise BrokenClaimError(
            f"{metric.name}@{protocol} does not keep what it declares:\n" + "\n".join(map(str, broken))
        )
    return findings


def _as_metric(
    function: Callable[..., Any],
    bounds: tuple[float, float],
    claims: Collection[Invariance],
    detects: Collection[Defect],
) -> Metric:
    def formula(representation: Representation) -> Outcome:
        return Outcome(float(function(representation.codes, representation.factors)))

    unknown = set(claims) - set(INVARIANCES)
    if unknown:
        raise ValueError(f"invariant_to must hold names of {', '.join(INVARIANCES)}; got {', '.join(unknown)}")
    unseen = set(detects) - set(DEFECTS)
    if unseen:
        raise ValueError(f"detects must hold names of {', '.join(DEFECTS)}; got {', '.join(unseen)}")
    declared = Protocol(
        source="", invariant_to=frozenset(claims), detects=frozenset(detects), perfect=math.nan, noise=math.nan
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
        return metric.evaluate(representation, protocol, seed=seed).value
    except UndefinedScoreError:
        return math.inf


def _spread(metric: Metric, representation: Representation, protocol: str, seed: int) -> float:
    if not metric.randomised:
        return 0.0
    values = [_value(metric, representation, protocol, (seed, r)) for r in range(4)]
    return 5 * float(np.std(values, ddof=1)) + 0.02


def _invariance(
    metric: Metric,
    protocol: str,
    made: dict[str, Representation],
    before: dict[str, tuple[float, float]],
    change: Invariance,
    seed: int,
) -> Finding:
    declared = metric.protocol(protocol)
    worst, example, holds = 0.0, "", True
    for index, (name, representation) in enumerate(made.items()):
        if name not in _ONLY_ON.get(change, made):
            continue
        changed = CHANGES[change](representation, np.random.default_rng([seed, index]))
        value, spread = before[name]
        move = abs(_value(metric, changed, protocol, seed) - value)
        holds &= move <= TOLERANCE.get(change, 0.0) + declared.precision + spread
        if move >= worst:
            worst, example = move, name
    return Finding(change, change in declared.invariant_to, holds, worst, example)


def _defect(metric: Metric, protocol: str, defect: Defect, n_rows: int, seed: int) -> Finding:
    posterior = metric.needs_of.get(protocol, metric.needs).log_variance
    whole = synergy if defect == "synergy lost" else EXAMPLES["perfect"]
    values = [
        _value(metric, make(n_rows, np.random.default_rng([seed, 100]), posterior=posterior), protocol, seed)
        for make in (whole, DEFECTIVE[defect])
    ]
    drop = (values[0] - values[1]) * (1 if metric.higher_is_better else -1)
    return Finding(
        defect, defect in metric.protocol(protocol).detects, drop > DETECTED, drop, DEFECTIVE[defect].__name__
    )


def _limits(
    metric: Metric, protocol: str, made: dict[str, Representation], declared: Protocol, seed: int
) -> list[Finding]:
    values = {name: _value(metric, representation, protocol, seed) for name, representation in made.items()}
    low, high = metric.bounds
    outside = max(max(low - value, value - high) for value in values.values())
    repeated = max(
        abs(_value(metric, representation, protocol, seed) - values[name]) for name, representation in made.items()
    )
    chance = 1 / made["noise"].n_factors if declared.noise == "chance" else float(declared.noise)
    from_perfect = abs(values["perfect"] - declared.perfect)
    from_noise = abs(values["noise"] - chance)
    findings = [
        Finding("bounds", True, outside <= 1e-12, max(outside, 0.0), "all"),
        Finding("repeatable", True, repeated == 0, repeated, "all"),
    ]
    if not math.isnan(declared.perfect):
        findings.append(Finding("perfect", True, from_perfect <= 0.01, from_perfect, "perfect"))
        findings.append(Finding("noise", True, from_noise <= 0.06, from_noise, "noise"))
    return findings
