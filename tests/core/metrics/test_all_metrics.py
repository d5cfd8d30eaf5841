"""Every registered metric under every protocol; a new metric is included automatically."""

import inspect
import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import disentmetrics as dm
from disentmetrics.metrics import registered_metrics
from disentmetrics.metrics.base import DEFECTS, INVARIANCES, Invariance, Metric
from disentmetrics.testing import CHANGES, EXAMPLES, check_metric
from disentmetrics.testing.examples import as_symbols

Case = tuple[Metric, str]


def each(cases: Sequence[Case]) -> pytest.MarkDecorator:
    ids = [f"{metric.name}@{protocol}" for metric, protocol in cases]
    return pytest.mark.parametrize(("metric", "protocol"), cases, ids=ids)


EVERY = [(metric, protocol) for metric in registered_metrics().values() for protocol in metric.protocols]
DEFINED = [(m, p) for m, p in EVERY if not m.protocol(p).needs.circular]  # no example has circular factors
SLOW = [(m, p) for m, p in EVERY if m.protocol(p).slow]
QUICK = [(m, p) for m, p in DEFINED if not m.protocol(p).slow]
DETERMINISTIC = [(m, p) for m, p in DEFINED if not m.randomised]
every, slow, quick, deterministic = map(each, (EVERY, SLOW, QUICK, DETERMINISTIC))


def posterior(metric: Metric, protocol: str) -> bool:
    return metric.protocol(protocol).needs.log_variance


def example(name: str, n: int, seed: int, metric: Metric, protocol: str) -> dm.Representation:
    return generate(name, n, seed, *needed(metric, protocol))


def needed(metric: Metric, protocol: str) -> tuple[bool, bool]:
    return posterior(metric, protocol), metric.protocol(protocol).needs.symbols


def generate(name: str, n: int, seed: int, posterior: bool, symbols: bool) -> dm.Representation:
    table = EXAMPLES[name](n, np.random.default_rng(seed), posterior=posterior)
    return as_symbols(table) if symbols else table


@lru_cache(maxsize=64)
def shared(name: str, n: int, seed: int, needed: tuple[bool, bool], change: Invariance | None) -> dm.Representation:
    """An example, or a change of it: what one metric computes from it is there for the next."""
    if change is None:
        return generate(name, n, seed, *needed)
    return CHANGES[change](shared(name, n, seed, needed, None), np.random.default_rng([seed, 1]))


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
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(300, 900), name=st.sampled_from(sorted(EXAMPLES)))
@settings(max_examples=max(2, settings().max_examples // 10), derandomize=True)
def test_claims_of_deterministic_metrics_hold_on_tables_that_hypothesis_draws(
    metric: Metric, protocol: str, seed: int, n: int, name: str
) -> None:
    by_chance = {"noise code", "outlier"}  # these change a score slightly on few rows, the others not at all
    slightly = 0.12 if math.isfinite(metric.bounds[1]) else 0.25  # mutual information in nats has no bound
    declared = metric.protocol(protocol)

    def value(change: Invariance | None) -> float:
        return metric.evaluate(shared(name, n, seed, needed(metric, protocol), change), protocol).value

    before = value(None)
    for change in INVARIANCES:
        if change not in declared.invariant_to or change in {"dependent factors", "determined factors"}:
            continue
        tolerance = slightly if change in by_chance else declared.precision
        if change == "monotone warp" and posterior(metric, protocol):
            tolerance = 0.05  # a warped Gaussian is approximated by its linearisation
        assert abs(value(change) - before) <= tolerance, change


@every
def test_a_score_repeats_lies_within_its_bounds_and_leaves_its_inputs_as_they_are(
    metric: Metric, protocol: str
) -> None:
    n = 180 if metric.protocol(protocol).slow else 400
    tables = [example("noisy", n, 0, metric, protocol) for _ in range(2)]  # one would remember its first score
    codes, factors = tables[0].codes.copy(), tables[0].factors.copy()
    first, second = (metric.score(table, protocol, seed=9) for table in tables)
    assert np.array_equal(codes, tables[0].codes)
    assert np.array_equal(factors, tables[0].factors)
    if metric.protocol(protocol).needs.circular:  # no factor of the example is
        assert first.undefined
        return
    assert first.value == second.value
    assert metric.bounds[0] <= first.value <= metric.bounds[1]
    assert isinstance(first.value, float)
    assert set(first.per_factor) in (set(), set(tables[0].space.names))
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
    n = {"few rows": 5, "one row": 1}.get(what, 60)
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
