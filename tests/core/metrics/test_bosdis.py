import numpy as np
import pytest

import disentmetrics as dm

M = dm.metrics
GRID = np.indices((4, 5)).reshape(2, -1).T.repeat(6, axis=0)


def test_a_language_is_perfect_by_position_by_bag_or_by_both() -> None:
    own_symbols, shared = GRID + np.array([0, 4]), GRID
    assert M.posdis(own_symbols, GRID).value == pytest.approx(1.0)
    assert M.bosdis(own_symbols, GRID).value == pytest.approx(1.0)
    assert M.posdis(shared, GRID).value == pytest.approx(1.0)
    assert M.bosdis(shared, GRID).value < 0.5
    free_order = np.take_along_axis(own_symbols, np.random.default_rng(0).random(GRID.shape).argsort(axis=1), axis=1)
    assert M.bosdis(free_order, GRID).value == pytest.approx(1.0)
    assert M.posdis(free_order, GRID).value < 0.3
