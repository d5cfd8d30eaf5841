"""Random numbers derived from the nuisance."""

import numpy as np
import pytest
from scipy import stats

from disentmetrics.datasets.nuisance import choice, normal, random_bits, splitmix64, uniform


def test_splitmix64_reproduces_the_published_numbers() -> None:
    # The first outputs of the authors' generator, seeded with 1234567.
    step = np.uint64(0x9E3779B97F4A7C15)
    states = np.uint64(1234567) + step * np.arange(5, dtype=np.uint64)
    assert splitmix64(states).tolist() == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


def test_draws_depend_only_on_their_own_nuisance() -> None:
    nuisance = np.arange(50, dtype=np.uint64)
    all_at_once = uniform(nuisance, 7, stream=3)
    one_by_one = np.concatenate([uniform(nuisance[i : i + 1], 7, stream=3) for i in range(50)])
    assert np.array_equal(all_at_once, one_by_one)
    assert np.array_equal(all_at_once[:, :4], uniform(nuisance, 4, stream=3))


@pytest.mark.parametrize("stream", [0, 1, 17])
def test_draws_are_uniform_within_and_across_nuisances(stream: int) -> None:
    draws = uniform(np.arange(2000, dtype=np.uint64), 50, stream=stream)
    assert stats.kstest(draws.ravel(), "uniform").pvalue > 1e-3
    for column in (draws[:, 0], draws[0]):
        assert stats.kstest(column, "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(draws[:, 0], draws[:, 1])[0, 1]) < 0.1
    assert abs(np.corrcoef(draws[:-1, 0], draws[1:, 0])[0, 1]) < 0.1


def test_streams_are_independent() -> None:
    nuisance = np.arange(5000, dtype=np.uint64)
    assert abs(np.corrcoef(uniform(nuisance, 1, stream=0).T, uniform(nuisance, 1, stream=1).T)[0, 1]) < 0.05
    assert not np.array_equal(random_bits(nuisance, 1, stream=0), random_bits(nuisance, 1, stream=1))


def test_choices_are_uniform() -> None:
    counts = np.bincount(choice(np.arange(30_000, dtype=np.uint64), 7))
    assert stats.chisquare(counts).pvalue > 1e-3


def test_normal_draws_are_standard_normal() -> None:
    assert stats.kstest(normal(np.arange(5000, dtype=np.uint64), 4).ravel(), "norm").pvalue > 1e-3
