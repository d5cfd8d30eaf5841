"""The property suite detects planted bugs; user-defined functions are tested as registered metrics are."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from disentmetrics.metrics import find_metric
from disentmetrics.metrics.base import DEFECTS, INVARIANCES, Invariance
from disentmetrics.testing import BrokenClaimError, Finding, check_metric
from disentmetrics.testing.check import AXIOMS

Arrays = Callable[[np.ndarray, np.ndarray], float]


def correlation(codes: np.ndarray, factors: np.ndarray) -> np.ndarray:
    z, v = codes - codes.mean(0), factors - factors.mean(0)
    return np.asarray(z.T @ v / np.maximum(np.outer(np.sqrt((z**2).sum(0)), np.sqrt((v**2).sum(0))), 1e-300))


def best(codes: np.ndarray, factors: np.ndarray) -> np.ndarray:
    return np.asarray(np.abs(correlation(codes, factors)).max(axis=0))


def histogram_entropy(values: np.ndarray) -> float:
    share = np.histogram(values, 20)[0] / len(values)
    return float(-(share[share > 0] * np.log(share[share > 0])).sum())


def binned_variance(codes: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Share of the variance of each factor between 20 bins of equal width of each code."""
    share = np.zeros((codes.shape[1], factors.shape[1]))
    for j, code in enumerate(codes.T):
        bins = np.digitize(code, np.histogram_bin_edges(code, 20)[1:-1])
        counts = np.maximum(np.bincount(bins, minlength=20), 1)
        for k, factor in enumerate(factors.T.astype(float)):
            means = np.bincount(bins, weights=factor, minlength=20) / counts
            share[j, k] = np.var(means[bins]) / np.var(factor)
    return share


def in_sample_neighbour(codes: np.ndarray, factors: np.ndarray, *, resampled: bool = False) -> float:
    rows = np.random.default_rng(0).integers(600, size=600) if resampled else np.arange(600)
    z, v = codes[rows], factors[rows, 0]
    train, test = (slice(300), slice(300, None)) if resampled else (slice(None), slice(None))
    nearest = ((z[test, None] - z[None, train]) ** 2).sum(-1).argmin(1)
    return float(max(0.0, 1 - ((v[train][nearest] - v[test]) ** 2).mean() / (2 * v.var())))


def r2_without_intercept(codes: np.ndarray, factors: np.ndarray) -> float:
    weights = np.linalg.lstsq(codes, factors - factors.mean(0), rcond=None)[0]
    return float(
        max(0.0, 1 - ((codes @ weights - factors + factors.mean(0)) ** 2).sum() / (factors.var() * factors.size))
    )


def modularity_with_dead_codes_as_zero(codes: np.ndarray, factors: np.ndarray) -> float:
    information = correlation(codes, factors) ** 4
    total = information.sum(1)
    return float(np.where(total > 0, information.max(1) / np.maximum(total, 1e-300), 0.0).mean())


def stops_at_the_first_dead_code(codes: np.ndarray, factors: np.ndarray) -> float:
    dead = np.flatnonzero(codes.std(0) == 0)
    return float(best(codes[:, : dead[0] if len(dead) else None], factors).mean() - 0.01 * len(dead))


def largest_deviation(codes: np.ndarray, factors: np.ndarray) -> float:
    moved = np.abs(codes - codes.mean(0)) / np.maximum(np.abs(codes - codes.mean(0)).max(0), 1e-300)
    return float(1 - np.mean([moved[factors[:, 0] == value].mean() for value in np.unique(factors[:, 0])]))


def over_codes_of_wide_range(codes: np.ndarray, factors: np.ndarray) -> float:
    width = np.ptp(codes, axis=0)
    return float(best(codes[:, width >= width.max() / 20], factors).mean())


def mean_over_matched_factors(codes: np.ndarray, factors: np.ndarray) -> float:
    correlations = best(codes, factors)
    return float(correlations[correlations > 0.3].mean()) if (correlations > 0.3).any() else 0.0


GLOBAL = np.random.default_rng(0)  # a metric that keeps a random state is a planted bug


BROKEN: dict[str, tuple[Invariance, Arrays]] = {
    "stops at the first dead code": ("dead code", stops_at_the_first_dead_code),
    "dead codes count as zero": ("dead code", modularity_with_dead_codes_as_zero),
    "divides by the entropy of the code": (
        "dead code",
        lambda z, v: (
            float(np.mean([best(z, v).mean() / histogram_entropy(code) for code in z.T]))
            if (z.std(0) > 0).all()
            else math.nan
        ),
    ),
    "absolute threshold": ("scale", lambda z, _: float((z.std(0) > 0.05).mean())),
    "prunes codes by their range": ("scale", over_codes_of_wide_range),
    "looks at the first half of the rows": (
        "row order",
        lambda z, v: float(np.abs(correlation(z[: len(z) // 2], v[: len(z) // 2])).max() * 0.999),
    ),
    "reshapes where it should transpose": (
        "row order",
        lambda z, v: float(best(z.reshape(z.shape[1], len(z)).T, v).mean()),
    ),
    "depends on the sign": ("sign", lambda z, v: float(correlation(z, v).max(0).mean())),
    "regresses without intercept": ("shift", r2_without_intercept),
    "divides by the range": ("outlier", lambda z, _: float((z.std(0) / (np.ptp(z, axis=0) + 1e-9)).max())),
    "uses the largest deviation as the scale": ("outlier", largest_deviation),
    "cuts codes into bins of equal width": (
        "monotone warp",
        lambda z, v: float(binned_variance(z, v).max(0).mean()),
    ),
    "averages over all codes": ("noise code", lambda z, v: float(np.abs(correlation(z, v)).mean())),
    "the first code wins": ("code order", lambda z, v: float(np.abs(correlation(z[:, :1], v)).max())),
    "divides by the first factor's entropy": (
        "factor order",
        lambda z, v: min(1.0, float(best(z, v).mean() / histogram_entropy(v[:, 0]) / 3)),
    ),
    "treats categories as numbers": ("relabelled factors", lambda z, v: float(best(z, v).mean())),
    "grows with the number of rows": ("repeated rows", lambda z, v: float(1 - 1 / np.log(len(z) * best(z, v).max()))),
}


@pytest.mark.parametrize("bug", BROKEN)
def test_the_suite_catches_each_planted_bug(bug: str) -> None:
    change, metric = BROKEN[bug]
    with pytest.raises(BrokenClaimError, match=change):
        check_metric(metric, invariant_to=[change])


@pytest.mark.parametrize(
    ("bug", "metric"),
    [
        ("ignores the factors", lambda z, _: float(np.abs(correlation(z, z)).mean())),
        ("scores its training rows", in_sample_neighbour),
        ("resamples rows before splitting them", lambda z, v: in_sample_neighbour(z, v, resampled=True)),
        ("a ratio of two small numbers", lambda z, v: float((best(z, v) / np.abs(correlation(z, v)).sum(0)).mean())),
    ],
)
def test_the_suite_catches_high_scores_of_noise(bug: str, metric: Arrays) -> None:
    with pytest.raises(BrokenClaimError, match="noise"):
        check_metric(metric, noise=0.0)


def test_the_suite_catches_a_missing_factor_that_is_not_penalised() -> None:
    with pytest.raises(BrokenClaimError, match="missing factor"):
        check_metric(mean_over_matched_factors, detects=["missing factor"])


def test_the_suite_catches_a_private_random_state() -> None:
    with pytest.raises(BrokenClaimError, match="repeatable"):
        check_metric(lambda z, v: float(best(np.hstack([z, GLOBAL.normal(size=z.shape)]), v).mean()))


def test_the_suite_names_the_degenerate_table_that_fails() -> None:
    findings = check_metric(lambda z, v: float(best(z, v)[0]) / (z.shape[1] - 1))
    (degenerate,) = (finding for finding in findings if finding.name == "degenerate tables")
    assert (degenerate.holds, degenerate.example) == (False, "one code (ZeroDivisionError)")


def test_a_random_metric_is_not_repeatable() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(BrokenClaimError, match="repeatable"):
        check_metric(lambda _, __: rng.random())


def test_a_metric_beyond_its_bounds_is_caught() -> None:
    with pytest.raises(BrokenClaimError, match="bounds"):
        check_metric(lambda _, __: 1.5)


def test_unknown_claims_are_refused() -> None:
    with pytest.raises(ValueError, match="invariant_to must contain names of"):
        check_metric(lambda _, __: 0.5, invariant_to=["translation"])  # type: ignore[list-item] # wrong on purpose


def test_every_property_belongs_to_one_axiom() -> None:
    findings = check_metric(*find_metric("mig@locatello2019"))
    assert sorted(finding.name for finding in findings) == sorted(name for names in AXIOMS.values() for name in names)
    assert {*INVARIANCES, *DEFECTS} <= {finding.name for finding in findings}
    assert all(finding.name in AXIOMS[finding.axiom] for finding in findings)


@pytest.mark.parametrize(
    ("name", "claimed", "holds", "verdict"),
    [
        ("scale", True, True, "holds"),
        ("scale", True, False, "FAILS"),
        ("scale", False, False, "does not hold (not claimed)"),
        ("packed", True, True, "is detected"),
        ("packed", True, False, "is NOT detected"),
        ("packed", False, False, "is not detected (not claimed)"),
    ],
)
def test_a_finding_states_whether_the_property_holds_and_was_claimed(
    name: str, claimed: bool, holds: bool, verdict: str
) -> None:
    finding = Finding(name, claimed, holds, 0.25, "noisy")
    assert finding.verdict == verdict
    assert str(finding) == f"{finding.axiom:<4}{name:<20} {verdict}: moved by 0.2500 on noisy"
