"""Rows that differ in a single factor, and the metrics computed from them."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import disentmetrics as dm
from disentmetrics.factors import Kind
from disentmetrics.statistics.traversals import cells, traversals

METRICS = pytest.mark.parametrize("name", ["z_max_var", "omes"])


def grid(*sizes: int) -> np.ndarray:
    return np.indices(sizes).reshape(len(sizes), -1).T


def ordinal(codes: np.ndarray, factors: np.ndarray) -> dm.Representation:
    return dm.Representation(codes, factors, kinds={f"factor_{k}": "ordinal" for k in range(factors.shape[1])})


def table(codes: np.ndarray, factors: np.ndarray, kind: Kind = "ordinal") -> dm.Representation:
    kinds: dict[str, Kind] = {f"factor_{k}": kind for k in range(factors.shape[1])}
    return dm.Representation(codes, factors, kinds=kinds)


@given(st.integers(0, 2**32 - 1), st.integers(1, 60))
@settings(max_examples=20)
def test_a_cell_contains_the_rows_that_agree_in_all_other_factors(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    factors = rng.integers((2, 3, 2), size=(n, 3))
    factors[rng.random(factors.shape) < 0.1] = -1
    space = dm.FactorSpace([dm.Factor(f"v{k}", size, "ordinal") for k, size in enumerate((2, 3, 2))])
    table = cells(dm.Representation(np.zeros((n, 1)), factors, space=space), 1)
    varied = [k for k in (0, 2) if len(set(factors[:, k]) - {-1}) > 1]
    expected: dict[tuple[int, ...], set[int]] = {}
    for row in np.flatnonzero((factors[:, [*varied, 1]] >= 0).all(axis=1)):
        expected.setdefault(tuple(factors[row, varied]), set()).add(int(row))
    members: dict[int, set[int]] = {}
    for row, cell in zip(table.rows, table.cell, strict=True):
        members.setdefault(int(cell), set()).add(int(row))
    assert sorted(map(sorted, members.values())) == sorted(map(sorted, expected.values()))
    assert (np.diff(table.run) >= 0).all()
    assert (table.run_value[table.run] == factors[table.rows, 1]).all()


def test_many_factors_do_not_overflow_the_key() -> None:
    rng = np.random.default_rng(0)
    factors = np.repeat(rng.integers(1000, size=(50, 12)), 2, axis=0)
    factors[1::2, 0] = (factors[::2, 0] + 1) % 1000
    table = cells(ordinal(np.zeros((100, 1)), factors), 0)
    assert table.share_that_varies == 1.0
    assert len(table.runs_in_cell) == 50


def test_a_traversal_changes_one_factor_in_order() -> None:
    factors = grid(3, 4, 5).repeat(2, axis=0)
    drawn = traversals(ordinal(np.zeros((120, 1)), factors), 1, 1000, np.random.default_rng(0))
    assert drawn is not None
    assert drawn.rows.shape == (15, 4)
    walked = factors[drawn.rows]
    assert (walked[:, :, 1] == np.arange(4)).all()
    assert (walked[:, :, [0, 2]] == walked[:, :1, [0, 2]]).all()


@METRICS
def test_a_random_sample_of_a_large_grid_is_refused_in_a_sentence(name: str) -> None:
    factors = np.random.default_rng(0).integers((3, 6, 40, 32, 32), size=(5_000, 5))
    score = getattr(dm.metrics, name).score(ordinal(factors.astype(float), factors))
    assert "agree in all factors but one" in (score.undefined or "")
    assert "full grid" in (score.undefined or "")


@METRICS
def test_a_factor_that_never_changes_alone_is_left_out_and_named(name: str) -> None:
    rows = grid(3, 4, 5)
    factors = np.c_[rows, rows.sum(axis=1)]  # the sum changes with each of the others, never alone
    score = getattr(dm.metrics, name).score(ordinal(rows.astype(float), np.c_[rows[:, :2], rows[:, 2] % 2, rows[:, 2]]))
    assert score.undefined is not None or any("left out" in note for note in score.notes)
    whole = getattr(dm.metrics, name).score(ordinal(rows.astype(float), factors))
    assert whole.undefined is not None


@METRICS
def test_perfect_codes_score_one_on_a_grid_of_any_size(name: str) -> None:
    for sizes in ((2, 2), (2, 7, 3), (12, 8, 6)):
        factors = grid(*sizes).repeat(20, axis=0)
        score = getattr(dm.metrics, name).score(ordinal(factors @ np.diag([1.0, -100, 0.01][: len(sizes)]), factors))
        assert score.value == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("name", ["flatness", "linearity"])
def test_tables_without_complete_traversals_are_refused_with_a_reason(name: str) -> None:
    rng = np.random.default_rng(0)
    factors = rng.integers((10, 20, 30), size=(2_000, 3))
    score = getattr(dm.metrics, name).score(table(factors.astype(float), factors))
    assert "this table contains too few" in (score.undefined or "")
    score = getattr(dm.metrics, name)(rng.normal(size=(50, 2)), rng.normal(size=(50, 2)))
    assert "continuous" in (score.undefined or "")


@pytest.mark.parametrize("name", ["flatness", "linearity"])
def test_a_grid_with_a_few_holes_will_do(name: str) -> None:
    factors = grid(6, 8, 9, 4)
    codes = factors @ np.random.default_rng(1).normal(size=(4, 4))
    kept = np.random.default_rng(0).random(len(factors)) > 0.03
    whole = getattr(dm.metrics, name).score(table(codes, factors)).value
    assert getattr(dm.metrics, name).score(table(codes[kept], factors[kept])).value == pytest.approx(whole, abs=0.02)
