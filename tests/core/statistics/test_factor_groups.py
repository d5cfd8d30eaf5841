"""Rows that agree in a factor."""

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

import disentmetrics as dm
from disentmetrics.errors import InvalidInputError
from disentmetrics.metrics import find_metric
from disentmetrics.results.signature import Signature
from disentmetrics.statistics.factor_groups import nearest_rows

NAMES = ["higgins", "factorvae", "irs"]


def observed(values: np.ndarray, codes: np.ndarray | None = None) -> dm.Representation:
    names = [f"v{k}" for k in range(values.shape[1])]
    codes = values if codes is None else codes
    return dm.Representation(codes, values, factor_names=names, kinds=dict.fromkeys(names, "continuous"))


def scored(name: str, table: dm.Representation, **options: Any) -> dm.Score:
    return find_metric(name)[0].score(table, **options)


@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(2, 60),
    n_values=st.sampled_from([2, 5, 30, 10_000]),
    near=st.integers(2, 20),
    missing=st.booleans(),
)
def test_a_neighbourhood_contains_the_nearest_rows_and_never_splits_ties(
    seed: int, n: int, n_values: int, near: int, missing: bool
) -> None:
    rng = np.random.default_rng(seed)
    values = rng.integers(n_values, size=(n, 1)) / 7
    values[rng.random(n) < 0.2 * missing] = np.nan
    values[0] = 0.0
    known = np.flatnonzero(~np.isnan(values[:, 0]))
    found = nearest_rows(observed(values, np.zeros((n, 1))), 0, None, near)
    assert found.usable == (len(known) >= near)
    if not found.usable:
        return
    assert sorted(found.rows) == known.tolist()
    for i, centre in enumerate(found.rows):
        inside = found.rows[found.start[i] : found.start[i] + found.count[i]]
        distance = np.abs(values[:, 0] - values[centre, 0])
        assert centre in inside
        assert len(inside) >= near
        assert distance[inside].max() <= np.sort(distance[known])[near - 1] * (1 + 1e-9)
        assert not set(values[inside, 0]) & set(values[np.setdiff1d(known, inside), 0])


@pytest.mark.parametrize("name", ["higgins", "factorvae"])
def test_with_few_distinct_values_neighbours_are_the_rows_of_a_value(name: str) -> None:
    rng = np.random.default_rng(0)
    values = rng.integers((4, 5), size=(800, 2)) / 3
    table = observed(values, values + 0.3 * rng.normal(size=values.shape))
    near = scored(name, table, conditioning="neighbours", n_neighbours=40)
    assert near.value == scored(name, table).value
    assert near.value > 0.6


@pytest.mark.parametrize("conditioning", ["bins", "neighbours"])
def test_codes_that_are_the_continuous_factors_score_one(conditioning: str) -> None:
    values = np.random.default_rng(0).normal(size=(2_000, 3))
    assert scored("factorvae", observed(values), conditioning=conditioning).value > 0.99
    assert scored("higgins", observed(values), conditioning=conditioning).value > 0.99


def test_neighbours_agree_more_closely_than_the_rows_of_a_bin() -> None:
    table = observed(np.random.default_rng(0).uniform(size=(2_000, 2)))
    assert scored("irs", table).value == pytest.approx(0.9, abs=0.01)  # a tenth of the range
    assert scored("irs", table, conditioning="neighbours").value == pytest.approx(1 - 30 / 2_000, abs=0.002)


@pytest.mark.parametrize("name", NAMES)
def test_the_signature_records_how_rows_agree_in_a_continuous_factor(name: str) -> None:
    values = np.random.default_rng(0).normal(size=(400, 2))
    bins = Signature.parse(scored(name, observed(values)).signature)
    near = Signature.parse(scored(name, observed(values), conditioning="neighbours", n_neighbours=25).signature)
    assert bins.fields["conditioning"] == "10 bins"
    assert near.fields["conditioning"] == "25 neighbours"
    labels = dm.Representation(values, np.random.default_rng(1).integers(3, size=(400, 2)))
    assert "conditioning" not in Signature.parse(scored(name, labels).signature).fields


@pytest.mark.parametrize("name", NAMES)
def test_a_single_neighbour_is_refused_and_too_many_leave_the_score_undefined(name: str) -> None:
    table = observed(np.random.default_rng(0).normal(size=(100, 2)))
    with pytest.raises(InvalidInputError, match="n_neighbours must be a whole number of at least 2"):
        scored(name, table, conditioning="neighbours", n_neighbours=1)
    undefined = scored(name, table, conditioning="neighbours", n_neighbours=101).undefined
    assert re.search("or (be continuous|a continuous factor) with at least 101 rows", str(undefined))


def test_rows_drawn_together_are_close_and_a_pair_is_of_different_rows(rng: np.random.Generator) -> None:
    values = rng.uniform(size=(500, 1))
    near = nearest_rows(observed(values), 0, None, 5)
    assert np.ptp(values[near.draw(300, 8, rng), 0], axis=1).max() < 0.1
    first, second = near.draw_pairs(300, rng)
    assert (first != second).all()
    assert np.abs(values[first, 0] - values[second, 0]).max() < 0.1
