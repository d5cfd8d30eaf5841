"""Codes that are symbols, as metrics of emergent languages need them."""

import numpy as np
import pytest

import disentmetrics as dm

M = dm.metrics
GRID = np.indices((4, 5)).reshape(2, -1).T.repeat(6, axis=0)


@pytest.mark.parametrize("name", ["posdis", "bosdis", "topsim"])
@pytest.mark.parametrize("what", ["fractions", "serial numbers", "huge numbers"])
def test_codes_that_are_not_symbols_are_refused_with_a_reason(name: str, what: str) -> None:
    factors = np.random.default_rng(0).integers(3, size=(100, 2))
    codes = {
        "fractions": factors + 0.5,
        "serial numbers": np.c_[np.arange(100), factors[:, 0]],
        "huge numbers": factors * 1e12,
    }[what].astype(float)
    score = M.find_metric(name)[0](codes, factors)
    assert score.undefined == f"{name} needs codes that are symbols: whole numbers, each of which recurs"


def test_degenerate_messages_have_a_decided_outcome() -> None:
    silent = np.zeros((len(GRID), 2))
    assert "every symbol is constant" in (M.posdis(silent, GRID).undefined or "")
    assert "every message has the same symbols" in (M.bosdis(silent, GRID).undefined or "")
    assert "there is none" in (M.bosdis(silent, GRID, end=0).undefined or "")
    assert "all pairs have equal distances" in (M.topsim(silent, GRID).undefined or "")
    holes = np.where(np.arange(len(GRID))[:, None] % 2, GRID, np.nan)
    few = np.array([[0, 1], [1, np.nan], [np.nan, 0], [1, 0]])
    assert "at least 3 rows with all labels; got 2" in (M.topsim(np.array([1, 1, 2, 2]), few).undefined or "")
    assert M.topsim(GRID, holes).value == pytest.approx(1.0)
    assert M.posdis(GRID, GRID[:, 0]).value == pytest.approx(0.5)
