import numpy as np
import pytest
from scipy.stats import entropy as scipy_entropy

import disentmetrics as dm

M = dm.metrics


def entropies(columns: np.ndarray) -> np.ndarray:
    return np.array([scipy_entropy(np.unique(column, return_counts=True)[1]) for column in columns.T])


@pytest.mark.parametrize("name", ["rmig", "jemmig"])
def test_do2020_spreads_each_row_over_bins_by_its_posterior(name: str) -> None:
    rng = np.random.default_rng(0)
    factors = rng.integers((3, 4), size=(200, 2))
    mean = np.c_[factors - 1.5, rng.normal(size=200)] / 1.5
    log_variance = rng.uniform(-6, 0, size=mean.shape)
    centres = np.linspace(-4, 4, 101)[:-1] + 0.04
    nats, joint = np.zeros((2, 3, 2))
    for j in range(3):
        density = np.exp(-((centres - mean[:, [j]]) ** 2) / (2 * np.exp(log_variance[:, [j]])))
        density /= density.sum(axis=1, keepdims=True)
        for k in range(2):
            table = np.array([density[factors[:, k] == v].sum(axis=0) for v in range(factors[:, k].max() + 1)]) / 200
            joint[j, k] = scipy_entropy(table.ravel())
            nats[j, k] = scipy_entropy(table.sum(axis=0)) + scipy_entropy(table.sum(axis=1)) - joint[j, k]
    h = entropies(factors)
    order = np.argsort(-nats, axis=0)
    first, second = (np.take_along_axis(nats, order[[i]], axis=0)[0] for i in (0, 1))
    own = np.take_along_axis(joint, order[[0]], axis=0)[0]
    expected = {"rmig": (first - second) / h, "jemmig": 1 - (own - first + second) / (h + np.log(100))}[name]
    score = M.find_metric(name)[0](mean, factors, log_variance=log_variance, protocol="do2020")
    assert list(score.per_factor.values()) == pytest.approx(expected, abs=1e-9)
