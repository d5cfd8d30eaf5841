from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import entropy as scipy_entropy
from sklearn.metrics import mutual_info_score

import disentmetrics as dm

M = dm.metrics


def width_bins(values: np.ndarray, n_bins: int) -> np.ndarray:
    return np.asarray(np.digitize(values, np.linspace(values.min(), values.max(), n_bins + 1)[1:-1]))


def plug_in(codes: np.ndarray, factors: np.ndarray) -> np.ndarray:
    return np.array([[mutual_info_score(z, v) for v in factors.T] for z in codes.T])


def entropies(columns: np.ndarray) -> np.ndarray:
    return np.array([scipy_entropy(np.unique(column, return_counts=True)[1]) for column in columns.T])


def binned(codes: np.ndarray, n_bins: int) -> np.ndarray:
    return np.stack([width_bins(column, n_bins) for column in codes.T], axis=1)


def test_almudevar2024_are_the_ratios_of_their_formulas_and_dead_latents_are_excluded(
    mixed: Callable[..., tuple[np.ndarray, np.ndarray]],
) -> None:
    codes, factors = mixed()
    z = binned(codes, 15)
    nats = plug_in(z, factors)
    with_dead = np.hstack([np.ones((len(codes), 2)), codes])
    minimal = np.mean((nats / entropies(z)[:, None]).max(axis=1))
    assert M.minimality(codes, factors, protocol="almudevar2024").value == pytest.approx(minimal)
    assert M.minimality(with_dead, factors, protocol="almudevar2024").value == pytest.approx(minimal)
    sufficient = np.mean((nats / entropies(factors)).max(axis=0))
    assert M.sufficiency(with_dead, factors, protocol="almudevar2024").value == pytest.approx(sufficient)
