import numpy as np
import pytest

import disentmetrics as dm

CCGP, PARALLELISM, SHATTERING = dm.metrics.ccgp, dm.metrics.parallelism, dm.metrics.shattering_dimension


def grid(*sizes: int, repeats: int = 40) -> np.ndarray:
    return np.indices(sizes).reshape(len(sizes), -1).T.repeat(repeats, axis=0)


def test_one_latent_per_condition_shatters_everything_and_generalises_nothing() -> None:
    factors = grid(2, 2, repeats=200)
    rng = np.random.default_rng(2)
    apart = np.eye(4)[factors[:, 0] * 2 + factors[:, 1]] + 0.1 * rng.normal(size=(800, 4))
    linear = factors + 0.1 * rng.normal(size=(800, 2))
    assert [SHATTERING(apart, factors).parts[part].value for part in ("factors", "parity")] == pytest.approx([1, 1])
    assert CCGP(apart, factors).value < 0.9
    assert PARALLELISM(apart, factors).value == pytest.approx(0.0, abs=0.05)
    shattering = SHATTERING(linear, factors)
    assert shattering.parts["factors"].value == pytest.approx(1.0)
    assert shattering.parts["parity"].value == pytest.approx(0.5, abs=0.05)
    assert shattering.value == pytest.approx(5 / 6, abs=0.02)
    assert [CCGP(linear, factors).value, PARALLELISM(linear, factors).value] == pytest.approx([1, 1], abs=0.01)


def test_rows_of_one_group_are_on_one_side_of_a_split() -> None:
    """Rows of a group share a random code and their conditions: leakage would decode noise."""
    rng = np.random.default_rng(6)
    group = np.arange(40).repeat(12)
    factors = rng.integers(2, size=(40, 2))[group]
    codes = rng.normal(size=(40, 15))[group]
    representation = dm.Representation(codes, factors, groups=group)
    assert SHATTERING.score(representation).value < 0.7
