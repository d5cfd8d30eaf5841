"""Rows of one, two or three groups: a metric that keeps groups whole scores them right, or says what is missing."""

import numpy as np
import pytest

import disentmetrics as dm
from disentmetrics.metrics import find_metric, registered_metrics
from disentmetrics.metrics.base import Metric

CASES = [
    (metric, protocol)
    for metric in registered_metrics().values()
    for protocol, declared in metric.protocols.items()
    if not (declared.slow or declared.needs.circular or declared.needs.symbols or declared.needs.log_variance)
    and declared.needs.factors
    and metric.higher_is_better
]


def table(n_groups: int | None, n: int = 600, **options: object) -> dm.Representation:
    """Draw blurred codes of three factors; the group of a row is independent of them."""
    rng = np.random.default_rng(0)
    factors = rng.integers((3, 2, 5), size=(n, 3))
    codes = factors + 0.2 * rng.normal(size=(n, 3))
    groups = None if n_groups is None else rng.integers(n_groups, size=n)
    return dm.Representation(codes, factors, groups=groups, **options)  # type: ignore[arg-type] # options of any kind


@pytest.mark.parametrize(("metric", "protocol"), CASES, ids=[f"{m.name}@{p}" for m, p in CASES])
def test_few_groups_score_as_rows_without_groups_or_are_undefined_for_that_reason(
    metric: Metric, protocol: str
) -> None:
    plain = metric.score(table(None), protocol).value
    for n_groups in (1, 2, 3):
        score = metric.score(table(n_groups), protocol)
        assert "group" in score.undefined if score.undefined else score.value >= plain - 0.35


@pytest.mark.parametrize("name", ["dci", "dci_es"])
@pytest.mark.parametrize("n_groups", [1, 2, 3])
def test_significance_over_held_out_groups_needs_four_groups(name: str, n_groups: int) -> None:
    """With one held-out group there is no standard error over groups, so that nothing would be significant."""
    undefined = find_metric(name)[0].score(table(n_groups)).undefined
    assert undefined is not None
    assert undefined.startswith(f"{name} needs 4 or more groups of rows")
    assert undefined.endswith(f"got {n_groups}: add groups, or omit them if the rows are independent")
    assert find_metric(name)[0].score(table(4)).value > 0.9


@pytest.mark.parametrize("name", ["dci", "dci_es"])
def test_a_long_sequence_in_one_group_is_scored_in_blocks(name: str) -> None:
    score = find_metric(name)[0].score(table(1, sequential=True))
    assert score.value > 0.9


@pytest.mark.parametrize("name", ["dci", "dci_es", "block_identifiability@linear"])
def test_a_factor_labelled_in_a_single_group_is_excluded(name: str) -> None:
    full = table(8)
    factors = full.factors.copy()
    factors[full.groups != 0, 2] = -1
    partly = dm.Representation(full.codes, factors, space=full.space, groups=full.groups)
    metric, protocol = find_metric(name)
    score = metric.score(partly, protocol)
    assert np.isnan(score.per_factor["factor_2"])
    assert score.value > 0.85
    if protocol == "default":
        assert "factor_2 is excluded: its rows belong to 1 group, fewer than 4" in score.notes


def test_a_factor_that_is_constant_in_the_training_groups_is_excluded_with_a_note() -> None:
    """Where one of four groups differs from the others, it is sometimes among those held out."""
    full = table(4)
    factors = full.factors.copy()
    factors[:, 1] = full.groups == 0
    grouped = dm.Representation(full.codes, factors, space=full.space, groups=full.groups)
    scores = [dm.metrics.dci.score(grouped, seed=seed) for seed in range(6)]
    constant = [np.isnan(score.per_factor["factor_1"]) for score in scores]
    assert 0 < sum(constant) < 6
    for score, is_constant in zip(scores, constant, strict=True):
        assert ("factor_1 is excluded: it takes a single value among the training rows" in score.notes) == is_constant
