"""Invariances on codes as real encoders have them: sparse, saturated, heavy-tailed, rounded, with traces of factors."""

import numpy as np
import pytest

import disentmetrics as dm
from disentmetrics.errors import UndefinedScoreError
from disentmetrics.metrics.base import REGISTERED, Metric
from disentmetrics.testing.examples import CODES, noisy, perfect, real_codes

N = 600
DEFAULT = [
    metric
    for metric in REGISTERED.values()
    if metric.needs.factors and not (metric.needs.log_variance or metric.needs.symbols or metric.needs.circular)
]
CONTINUOUS = ["mig", "mig_sup", "modularity_adj", "compactness_adj", "explicitness_adj", "dcimig", "med", "modularity"]


def value(metric: Metric, representation: dm.Representation, seed: int = 0) -> float:
    try:
        return metric.evaluate(representation, seed=seed).value
    except UndefinedScoreError:
        return np.nan


@pytest.mark.parametrize("kind", CODES)
@pytest.mark.parametrize(
    "metric",
    [
        m
        for m in DEFAULT
        if "sign" in m.protocol("default").invariant_to and not (m.randomised or m.protocol("default").slow)
    ],
    ids=lambda metric: metric.name,
)
def test_a_change_of_sign_does_not_move_a_score(metric: Metric, kind: str) -> None:
    table = real_codes(kind, N, np.random.default_rng(0))
    negated = dm.Representation(-table.codes, table.factors, space=table.space)
    before, after = value(metric, table), value(metric, negated)
    assert after == pytest.approx(before, abs=metric.protocol("default").precision, nan_ok=True)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_a_leak_moves_a_score_in_proportion(name: str) -> None:
    """Codes plus a millionth of the step of another factor took scores from 1 to 0."""
    metric = REGISTERED[name]
    table = perfect(3_000, np.random.default_rng(0))
    clean = value(metric, table)
    for leak in (1e-6, 1e-4, 1e-2):
        codes = table.codes + leak * np.roll(table.codes, 1, axis=1)
        moved = value(metric, dm.Representation(codes, table.factors, space=table.space)) - clean
        assert abs(moved) < 0.02 + 10 * leak, leak


@pytest.mark.parametrize("name", CONTINUOUS)
@pytest.mark.parametrize("kind", ["float16", "4 digits", "3 digits", "2 digits"])
def test_rounding_moves_no_score(name: str, kind: str) -> None:
    table = noisy(3_000, np.random.default_rng(0))
    codes = table.codes / table.codes.std(axis=0)
    digits = int(kind[0]) if kind != "float16" else 0
    rounded = codes.astype(np.float16).astype(float) if kind == "float16" else np.round(codes, digits)
    exact, coarse = (
        value(REGISTERED[name], dm.Representation(z, table.factors, space=table.space)) for z in (codes, rounded)
    )
    assert coarse == pytest.approx(exact, abs=0.01)
