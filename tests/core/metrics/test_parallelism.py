import numpy as np
import pytest

import disentmetrics as dm

CCGP = dm.metrics.ccgp
PARALLELISM = dm.metrics.parallelism


def grid(*sizes: int, repeats: int = 40) -> np.ndarray:
    return np.indices(sizes).reshape(len(sizes), -1).T.repeat(repeats, axis=0)


@pytest.mark.parametrize("protocol", ["default", "bernardi2020"])
def test_a_reversed_direction_is_antiparallel_and_misleads_the_decoder(protocol: str) -> None:
    factors = grid(2, 2, repeats=100)
    turned = np.where(factors[:, 1] == 0, 1.0, -1.0) * (factors[:, 0] - 0.5)
    codes = np.column_stack([turned, factors[:, 1]])
    assert PARALLELISM(codes, factors, protocol=protocol).details["cosine"][0, 1] == pytest.approx(-1.0, abs=0.01)
    assert CCGP(codes, factors).details["accuracy"][0, 1] == 0.0


def test_the_mean_cosine_is_the_plain_one() -> None:
    factors = grid(3, 2, repeats=30)
    codes = factors + np.random.default_rng(3).normal(size=factors.shape)
    standard = (codes - codes.mean(0)) / codes.std(0)
    mean = np.array([[standard[(factors == (a, c)).all(axis=1)].mean(0) for c in range(2)] for a in range(3)])
    cosines = []
    for a in range(3):
        for b in range(a):
            first, second = mean[a, 0] - mean[b, 0], mean[a, 1] - mean[b, 1]
            cosines.append(first @ second / np.linalg.norm(first) / np.linalg.norm(second))
    cosine = PARALLELISM(codes, factors, protocol="bernardi2020").details["cosine"]
    assert cosine[0, 1] == pytest.approx(np.mean(cosines), abs=1e-9)


def test_noise_in_the_means_lowers_the_published_parallelism_and_not_the_corrected_one() -> None:
    rng = np.random.default_rng(4)
    factors = rng.integers((5, 6), size=(600, 2))
    codes = np.column_stack([factors, 2 * rng.normal(size=(600, 6))])
    assert PARALLELISM(codes, factors, protocol="bernardi2020").value < 0.8
    assert PARALLELISM(codes, factors).value == pytest.approx(1.0, abs=0.1)
