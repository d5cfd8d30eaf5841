from collections.abc import Callable

import numpy as np
import pytest
from sklearn.metrics import mutual_info_score

import disentmetrics as dm

COVARIANCE = np.array([[4.0, 1.0, 0.5], [1.0, 1.0, -0.2], [0.5, -0.2, 2.0]])


def labels(codes: np.ndarray) -> np.ndarray:
    return np.zeros(len(codes), dtype=int)


def score(name: str, codes: np.ndarray, **options: object) -> dm.Score:
    result: dm.Score = getattr(dm.metrics, name)(codes, labels(codes), **options)
    return result


def test_pairwise_information_as_in_the_library(with_covariance: Callable[..., np.ndarray]) -> None:
    codes = with_covariance(COVARIANCE, n=1_000)
    binned = [np.digitize(z, np.histogram(z, 20)[1][:-1]) for z in codes.T]
    expected = np.mean([mutual_info_score(binned[i], binned[j]) for i in range(3) for j in range(3) if i != j])
    assert score("mean_pairwise_mi", codes, protocol="locatello2019").value == pytest.approx(expected, abs=1e-12)


def test_pairwise_information_of_independent_latents_is_zero_even_on_few_rows() -> None:
    for n in (100, 300, 3_000):
        codes = np.random.default_rng(n).normal(size=(n, 6))
        assert score("mean_pairwise_mi", codes).value < 0.06
    few = np.random.default_rng(0).normal(size=(300, 6))
    assert score("mean_pairwise_mi", few, protocol="locatello2019").value > 0.2


def test_pairwise_information_of_copies_is_their_entropy() -> None:
    code = np.tile(np.arange(8.0), 50)
    assert score("mean_pairwise_mi", np.c_[code, np.exp(-code)]).value == pytest.approx(np.log(8))
