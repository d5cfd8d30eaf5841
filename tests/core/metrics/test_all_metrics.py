"""Every registered metric under every protocol; a new metric is included automatically."""

import inspect
import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

import disentmetrics as dm
from disentmetrics.metrics import registered_metrics
from disentmetrics.metrics.base import DEFECTS, INVARIANCES, Invariance, Metric
from disentmetrics.testing import CHANGES, EXAMPLES, BrokenClaimError, check_metric
from disentmetrics.testing.examples import as_symbols

Case = tuple[Metric, str]


def each(cases: Sequence[Case]) -> pytest.MarkDecorator:
    ids = [f"{metric.name}@{protocol}" for metric, protocol in cases]
    return pytest.mark.parametrize(("metric", "protocol"), cases, ids=ids)


EVERY = [(metric, protocol) for metric in registered_metrics().values() for protocol in metric.protocols]
DEFINED = [(m, p) for m, p in EVERY if not m.protocol(p).needs.circular]  # no example has circular factors
SLOW = [(m, p) for m, p in EVERY if m.protocol(p).slow]
QUICK = [(m, p) for m, p in DEFINED if not m.protocol(p).slow]
DETERMINISTIC = [(m, p) for m, p in EVERY if not m.randomised]
every, defined, slow, quick, deterministic = map(each, (EVERY, DEFINED, SLOW, QUICK, DETERMINISTIC))


def posterior(metric: Metric, protocol: str) -> bool:
    return metric.protocol(protocol).needs.log_variance


def example(name: str, n: int, seed: int, metric: Metric, protocol: str) -> dm.Representation:
    table = EXAMPLES[name](n, np.random.default_rng(seed), posterior=posterior(metric, protocol))
    return as_symbols(table) if metric.protocol(protocol).needs.symbols else table


@quick
def test_every_claim_holds_and_every_other_change_has_a_counterexample(metric: Metric, protocol: str) -> None:
    findings = {finding.name: finding for finding in check_metric(metric, protocol)}
    for change in INVARIANCES:
        claimed = change in metric.protocol(protocol).invariant_to
        if change in metric.protocol(protocol).unsettled:
            continue
        assert findings[change].holds == claimed, f"{change} holds but is not claimed: {findings[change]}"
    for defect in DEFECTS:
        claimed = defect in metric.protocol(protocol).detects
        assert findings[defect].holds == claimed, f"{defect} is detected but not claimed: {findings[defect]}"


@pytest.mark.slow
@slow
def test_the_claims_of_slow_protocols_hold(metric: Metric, protocol: str) -> None:
    assert all(finding.holds for finding in check_metric(metric, protocol) if finding.claimed)


@deterministic
@pytest.mark.parametrize("change", INVARIANCES)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(300, 900), name=st.sampled_from(sorted(EXAMPLES)))
@settings(max_examples=5, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
def test_claims_of_deterministic_metrics_hold_on_tables_that_hypothesis_draws(
    metric: Metric, protocol: str, change: Invariance, seed: int, n: int, name: str
) -> None:
    if change not in metric.protocol(protocol).invariant_to or change == "dependent factors":
        return
    by_chance = {"noise code", "outlier"}  # these change a score slightly on few rows, the others not at all
    before = example(name, n, seed, metric, protocol)
    after = CHANGES[change](before, np.random.default_rng([seed, 1]))
    slightly = 0.12 if math.isfinite(metric.bounds[1]) else 0.25  # mutual information in nats has no bound
    tolerance = slightly if change in by_chance else metric.protocol(protocol).precision
    if change == "monotone warp" and posterior(metric, protocol):
        tolerance = 0.05  # a warped Gaussian is approximated by its linearisation
    moved = abs(metric.evaluate(after, protocol).value - metric.evaluate(before, protocol).value)
    assert moved <= tolerance


@defined
def test_a_score_repeats_and_lies_within_its_bounds(metric: Metric, protocol: str) -> None:
    table = example("noisy", 400, 0, metric, protocol)
    first, second = (metric.score(table, protocol, seed=9) for _ in range(2))
    assert first.value == second.value
    assert metric.bounds[0] <= first.value <= metric.bounds[1]
    assert isinstance(first.value, float)
    assert set(first.per_factor) in (set(), set(table.space.names))
    assert set(first.parts) == set(metric.parts)


@quick
def test_codes_of_any_size_are_scored_without_overflow(metric: Metric, protocol: str) -> None:
    score_huge_codes(metric, protocol)


@pytest.mark.slow
@slow
def test_slow_protocols_score_codes_of_any_size_without_overflow(metric: Metric, protocol: str) -> None:
    score_huge_codes(metric, protocol)


def score_huge_codes(metric: Metric, protocol: str) -> None:
    """Overflows would warn, which is an error here; 2 to the power of 664 is about 1e200."""
    table = example("noisy", 150, 0, metric, protocol)
    if metric.protocol(protocol).needs.symbols:
        return
    spread = None if table.log_variance is None else table.log_variance + 2 * 664 * np.log(2)
    huge = dm.Representation(table.codes * 2.0**664, table.factors, space=table.space, log_variance=spread)
    score = metric.score(huge, protocol)
    assert score.undefined or not math.isnan(score.value)
    if "scale" in metric.protocol(protocol).invariant_to:
        assert score.value == pytest.approx(metric.score(table, protocol).value, abs=1e-6, nan_ok=True)


@every
@pytest.mark.parametrize(
    "what", ["one code", "one factor", "constant codes", "constant factors", "few rows", "one row"]
)
def test_degenerate_tables_give_a_number_or_a_reason(metric: Metric, protocol: str, what: str) -> None:
    rng = np.random.default_rng(0)
    n = {"few rows": 5, "one row": 1}.get(what, 200)
    codes = rng.normal(size=(n, 1 if what == "one code" else 3))
    factors = rng.integers(3, size=(n, 1 if what == "one factor" else 2))
    if what == "constant codes":
        codes[:] = 1.0
    if what == "constant factors":
        factors[:] = 0
    log_variance = np.zeros_like(codes) - 3 if posterior(metric, protocol) else None
    score = metric.score(dm.Representation(codes, factors, log_variance=log_variance), protocol)
    assert math.isfinite(score.value) != bool(score.undefined)
    assert not (score.undefined or "reason").startswith("Traceback")


@every
def test_inputs_are_not_changed(metric: Metric, protocol: str) -> None:
    table = example("noisy", 300, 0, metric, protocol)
    codes, factors = table.codes.copy(), table.factors.copy()
    metric.score(table, protocol)
    assert np.array_equal(codes, table.codes)
    assert np.array_equal(factors, table.factors)


@quick
def test_memory_layout_and_type_of_codes_do_not_matter(metric: Metric, protocol: str) -> None:
    table = example("noisy", 500, 0, metric, protocol)
    codes = np.round(table.codes * 64) / 64  # exact in single precision
    values = [
        metric.score(
            dm.Representation(layout, table.factors, space=table.space, log_variance=table.log_variance), protocol
        ).value
        for layout in (codes, np.asfortranarray(codes), np.repeat(codes, 2, axis=0)[::2])
    ]
    assert values[0] == values[1] == values[2]
    single = dm.Representation(
        codes.astype(np.float32), table.factors, space=table.space, log_variance=table.log_variance
    )
    assert metric.score(single, protocol).value == pytest.approx(values[0], abs=0.02)


@every
def test_a_metric_declares_itself(metric: Metric, protocol: str) -> None:
    text = inspect.getdoc(metric) or ""
    for section in ("Parameters", "Returns", "Notes", "Examples"):
        assert section in text
    assert metric.paper
    assert metric.known_failure.endswith(".")
    assert metric.protocol(protocol).source
    assert set(metric.protocol(protocol).options) <= set(metric.options)


def test_every_file_of_the_folder_is_a_metric() -> None:
    from importlib.resources import files

    modules = {path.name for path in files("disentmetrics.metrics").iterdir() if path.name.startswith("_")}
    named = {f"_{name}.py" for name in registered_metrics()} | {"__init__.py", "__pycache__"}
    assert modules <= named


Arrays = Callable[[np.ndarray, np.ndarray], float]


def correlation(codes: np.ndarray, factors: np.ndarray) -> np.ndarray:
    z, v = codes - codes.mean(0), factors - factors.mean(0)
    return np.asarray(z.T @ v / np.maximum(np.outer(np.sqrt((z**2).sum(0)), np.sqrt((v**2).sum(0))), 1e-300))


def best(codes: np.ndarray, factors: np.ndarray) -> np.ndarray:
    return np.asarray(np.abs(correlation(codes, factors)).max(axis=0))


def histogram_entropy(values: np.ndarray) -> float:
    share = np.histogram(values, 20)[0] / len(values)
    return float(-(share[share > 0] * np.log(share[share > 0])).sum())


def variance_between_bins(codes: np.ndarray, factors: np.ndarray) -> np.ndarray:
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
    "cuts codes into bins of equal width": ("monotone warp", lambda z, v: float(variance_between_bins(z, v).max(0).mean())),
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


def test_the_suite_catches_a_missing_factor_that_costs_nothing() -> None:
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
