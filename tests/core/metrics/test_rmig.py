from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import entropy as scipy_entropy
from sklearn.metrics import mutual_info_score

import disentmetrics as dm

M = dm.metrics


def plug_in(codes: np.ndarray, factors: np.ndarray) -> np.ndarray:
    return np.array([[mutual_info_score(z, v) for v in factors.T] for z in codes.T])


def entropies(columns: np.ndarray) -> np.ndarray:
    return np.array([scipy_entropy(np.unique(column, return_counts=True)[1]) for column in columns.T])


def test_rmig_is_mig_of_bins_where_posteriors_are_narrow(mixed: Callable[..., tuple[np.ndarray, np.ndarray]]) -> None:
    codes, factors = mixed(1_000)
    codes = (codes - codes.mean(axis=0)) / codes.std(axis=0)
    inside = np.clip(codes, -3.9, 3.9)
    score = M.rmig(inside, factors, log_variance=np.full(codes.shape, -30.0), protocol="do2020")
    z = np.stack([np.digitize(column, np.linspace(-4, 4, 101)) for column in inside.T], axis=1)
    nats = np.sort(plug_in(z, factors), axis=0)
    assert score.value == pytest.approx(np.mean((nats[-1] - nats[-2]) / entropies(factors)), abs=1e-9)


def test_limits_of_rmig_follow_the_scale_of_the_codes_unless_they_are_fixed() -> None:
    factors = np.random.default_rng(0).integers(6, size=(1_000, 2))
    near, far = factors.astype(float), 1000.0 * factors
    spread = np.full(near.shape, -4.0)
    wide = spread + 2 * np.log(1000)
    assert M.rmig(far, factors, log_variance=wide).value == pytest.approx(
        M.rmig(near, factors, log_variance=spread).value
    )
    assert M.rmig(far, factors, log_variance=wide, protocol="do2020").value < 0.5
    collapsed = M.rmig(np.c_[near, 1e-3 * near], factors, log_variance=np.c_[spread, 0 * spread])
    assert collapsed.value == pytest.approx(M.rmig(near, factors, log_variance=spread).value, abs=1e-4)
