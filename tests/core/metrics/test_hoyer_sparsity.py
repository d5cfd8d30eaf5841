import numpy as np
import pytest

import disentmetrics as dm


def labels(codes: np.ndarray) -> np.ndarray:
    return np.zeros(len(codes), dtype=int)


def score(name: str, codes: np.ndarray, **options: object) -> dm.Score:
    result: dm.Score = getattr(dm.metrics, name)(codes, labels(codes), **options)
    return result


def test_hoyer_sparsity_of_a_plain_loop() -> None:
    codes = np.random.default_rng(0).normal(size=(50, 4)) * [1.0, 10.0, 0.1, 3.0]
    expected = [(2 - np.abs(z).sum() / np.sqrt((z**2).sum())) / (2 - 1) for z in codes / codes.std(axis=0)]
    assert score("hoyer_sparsity", codes).value == pytest.approx(np.mean(expected), abs=1e-12)
    assert score("hoyer_sparsity", np.c_[codes, np.zeros(50)]).value == pytest.approx(np.mean(expected), abs=1e-12)
    assert "two latents that vary" in (score("hoyer_sparsity", np.ones((9, 2))).undefined or "")


def test_hoyer_sparsity_leaves_empty_rows_out() -> None:
    codes = np.vstack([np.eye(3), -np.eye(3), np.zeros((4, 3))])
    assert score("hoyer_sparsity", codes).value == pytest.approx(1.0)
