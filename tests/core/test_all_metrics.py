"""Every registered metric under every protocol; a new metric is found by itself."""

import inspect
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

import disentmetrics as dm
from disentmetrics.metric import DEFECTS, INVARIANCES, Metric, registered_metrics
from disentmetrics.testing import CHANGES, EXAMPLES, BrokenClaimError, check_metric
from disentmetrics.testing.examples import as_symbols

EVERY = [(metric, protocol) for metric in registered_metrics().values() for protocol in metric.protocols]
STEADY = [(metric, protocol) for metric, protocol in EVERY if not metric.randomised]
NAMES = [f"{metric.name}@{protocol}" for metric, protocol in EVERY]
SLOW = {"higgins@higgins2017"}  # seconds a score; its parts are tested in test_higgins.py
NO_EXAMPLE = {"d_lsbd@default"}  # circular factors alone; test_d_lsbd.py
QUICK = [pair for pair, name in zip(EVERY, NAMES, strict=True) if name not in SLOW | NO_EXAMPLE]
every = pytest.mark.parametrize(("metric", "protocol"), EVERY, ids=NAMES)
DEFINED = [pair for pair, name in zip(EVERY, NAMES, strict=True) if name not in NO_EXAMPLE]
defined = pytest.mark.parametrize(("metric", "protocol"), DEFINED, ids=[f"{m.name}@{p}" for m, p in DEFINED])
quick = pytest.mark.parametrize(("metric", "protocol"), QUICK, ids=[f"{m.name}@{p}" for m, p in QUICK])


def posterior(metric: Metric, protocol: str) -> bool:
    return metric.needs_of.get(protocol, metric.needs).log_variance


def example(name: str, n: int, seed: int, metric: Metric, protocol: str) -> dm.Representation:
    table = EXAMPLES[name](n, np.random.default_rng(seed), posterior=posterior(metric, protocol))
    return as_symbols(table) if metric.needs_of.get(protocol, metric.needs).symbols else table


@quick
def test_every_claim_holds_and_every_other_change_has_a_counterexample(metric: Metric, protocol: str) -> None:
    findings = {finding.name: finding for finding in check_metric(metric, protocol)}
    for change in INVARIANCES:
        claimed = change in metric.protocol(protocol).invariant_to
        assert findings[change].holds == claimed, f"{change} holds but is not claimed: {findings[change]}"
    for defect in DEFECTS:
        claimed = defect in metric.protocol(protocol).detects
        assert findings[defect].holds == claimed, f"{defect} is detected but not claimed: {findings[defect]}"


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["higgins2017"])
def test_the_slow_protocol_keeps_its_claims(protocol: str) -> None:
    assert all(finding.holds for finding in check_metric(dm.metrics.higgins, protocol) if finding.claimed)


@pytest.mark.parametrize(("metric", "protocol"), STEADY, ids=[f"{m.name}@{p}" for m, p in STEADY])
@pytest.mark.parametrize("change", INVARIANCES)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(300, 900), name=st.sampled_from(sorted(EXAMPLES)))
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_claims_of_deterministic_metrics_hold_on_tables_that_hypothesis_draws(
    metric: Metric, protocol: str, change: str, seed: int, n: int, name: str
) -> None:
    if change not in metric.protocol(protocol).invariant_to or change == "dependent factors":
        return
    chance = {"noise code", "outlier"}  # these move a score a little on few rows; the others not at all
    before = example(name, n, seed, metric, protocol)
    after = CHANGES[change](before, np.random.default_rng([seed, 1]))
    allowed = 0.12 if change in chance else metric.protocol(protocol).precision
    if change == "monotone warp" and posterior(metric, protocol):
        allowed = 0.05  # the spread of a warped Gaussian is that of its tangent
    moved = abs(metric.evaluate(after, protocol).value - metric.evaluate(before, protocol).value)
    assert moved <= allowed


@defined
def test_a_score_repeats_and_lies_within_its_bounds(metric: Metric, protocol: str) -> None:
    table = example("noisy", 400, 0, metric, protocol)
    first, second = (metric.score(table, protocol, seed=9) for _ in range(2))
    assert first.value == second.value
    assert metric.bounds[0] <= first.value <= metric.bounds[1]
    assert isinstance(first.value, float)
    assert set(first.per_factor) in (set(), set(table.space.names))
    assert set(first.parts) == set(metric.parts)


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
    assert set(metric.protocol(protocol).options) <= set(metric.formula.__kwdefaults__ or {})


def test_the_registry_holds_every_file_of_the_folder() -> None:
    from importlib.resources import files

    modules = {path.name for path in files("disentmetrics.metrics").iterdir() if path.name.startswith("_")}
    named = {f"_{name}.py" for name in registered_metrics()} | {"__init__.py", "__pycache__"}
    assert modules <= named


def correlation(codes: np.ndarray, factors: np.ndarray) -> np.ndarray:
    z, v = codes - codes.mean(0), factors - factors.mean(0)
    return np.asarray(z.T @ v / np.maximum(np.outer(np.sqrt((z**2).sum(0)), np.sqrt((v**2).sum(0))), 1e-300))


BROKEN: dict[str, tuple[str, Callable[[np.ndarray, np.ndarray], float]]] = {
    "stops at the first dead code": ("dead code", lambda z, _: float((z.std(0) > 0).all())),
    "absolute threshold": ("scale", lambda z, _: float((z.std(0) > 0.05).mean())),
    "looks at the first half of the rows": (
        "row order",
        lambda z, v: float(np.abs(correlation(z[: len(z) // 2], v[: len(z) // 2])).max() * 0.999),
    ),
    "reads the sign": ("sign", lambda z, v: float(correlation(z, v).max(0).mean())),
    "divides by the range": ("outlier", lambda z, _: float((z.std(0) / (np.ptp(z, axis=0) + 1e-9)).max())),
    "averages over all codes": ("noise code", lambda z, v: float(np.abs(correlation(z, v)).mean())),
    "reads categories as numbers": (
        "relabelled factors",
        lambda z, v: float(np.abs(correlation(z, v)).max(0).mean()),
    ),
}


@pytest.mark.parametrize("bug", BROKEN)
def test_the_suite_catches_each_planted_bug(bug: str) -> None:
    change, metric = BROKEN[bug]
    with pytest.raises(BrokenClaimError, match=change):
        check_metric(metric, invariant_to=[change])  # type: ignore[list-item] # one of INVARIANCES


def test_a_random_metric_is_not_repeatable() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(BrokenClaimError, match="repeatable"):
        check_metric(lambda _, __: rng.random())


def test_a_metric_beyond_its_bounds_is_caught() -> None:
    with pytest.raises(BrokenClaimError, match="bounds"):
        check_metric(lambda _, __: 1.5)


def test_unknown_claims_are_refused() -> None:
    with pytest.raises(ValueError, match="invariant_to must hold names of"):
        check_metric(lambda _, __: 0.5, invariant_to=["translation"])  # type: ignore[list-item] # wrong on purpose
