from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.stats import entropy as scipy_entropy
from sklearn.metrics import mutual_info_score

import disentmetrics as dm

SIZES = (3, 6, 10, 12)
M = dm.metrics


def width_bins(values: np.ndarray, n_bins: int) -> np.ndarray:
    return np.asarray(np.digitize(values, np.linspace(values.min(), values.max(), n_bins + 1)[1:-1]))


def plug_in(codes: np.ndarray, factors: np.ndarray) -> np.ndarray:
    return np.array([[mutual_info_score(z, v) for v in factors.T] for z in codes.T])


def entropies(columns: np.ndarray) -> np.ndarray:
    return np.array([scipy_entropy(np.unique(column, return_counts=True)[1]) for column in columns.T])


def binned(codes: np.ndarray, n_bins: int) -> np.ndarray:
    return np.stack([width_bins(column, n_bins) for column in codes.T], axis=1)


@pytest.mark.parametrize(("n_bins", "factor_bins"), [(10, 10), (20, None)])
def test_carbonneau2022_are_the_histograms_of_their_formulas(
    mixed: Callable[..., tuple[np.ndarray, np.ndarray]], n_bins: int, factor_bins: int | None
) -> None:
    codes, factors = mixed()
    z, v = binned(codes, n_bins), factors if factor_bins is None else binned(factors.astype(float), factor_bins)
    nats, h_v, h_z = plug_in(z, v), entropies(v), entropies(z)
    settings: dict[str, Any] = {"protocol": "carbonneau2022", "n_bins": n_bins, "factor_bins": factor_bins}

    ranked = np.sort(nats / h_v, axis=1)
    assert M.mig_sup(codes, factors, **settings).value == pytest.approx(np.mean(ranked[:, -1] - ranked[:, -2]))

    own = np.zeros(len(SIZES))
    for row in nats:
        best = int(np.argmax(row))
        own[best] = max(own[best], row[best] - max(x for k, x in enumerate(row) if k != best))
    assert M.dcimig(codes, factors, **settings).value == pytest.approx(own.sum() / h_v.sum())

    losses = []
    for k in range(len(SIZES)):
        first, second = np.argsort(nats[:, k])[::-1][:2]
        joint = h_z[first] + h_v[k] - nats[first, k]
        losses.append((joint - nats[first, k] + nats[second, k]) / (h_v[k] + np.log(n_bins)))
    assert M.jemmig(codes, factors, **settings).value == pytest.approx(1 - np.mean(losses))

    squares = nats**2
    of_code = 1 - (squares.sum(axis=1) - squares.max(axis=1)) / (squares.max(axis=1) * (len(SIZES) - 1))
    assert M.modularity(codes, factors, **settings).value == pytest.approx(of_code.mean())
