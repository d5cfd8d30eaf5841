"""Factors that become nuisances keep their distribution."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import chisquare

from disentmetrics.datasets.base import DataSet
from disentmetrics.datasets.nuisance import choice
from disentmetrics.datasets.transforms.distributions import correlated, only
from disentmetrics.errors import InvalidInputError
from disentmetrics.factors import Factor, FactorSpace

NAMES = ("a", "b", "c", "d")
SIZES = (2, 3, 4, 3)
KINDS: Any = ("categorical", "ordinal", "circular", "ordinal")


class Toy(DataSet):
    """Observations that contain their factors and a value that depends on the nuisance."""

    name = "toy"
    fingerprint = "toy-1"
    space = FactorSpace([
        Factor(name, size, kind, tuple(f"{name}{i}" for i in range(size)))
        for name, size, kind in zip(NAMES, SIZES, KINDS, strict=True)
    ])  # fmt: skip
    observation_shape = (5,)
    nuisances: tuple[str, ...] = ("noise",)

    def make(self, factors: NDArray[Any], nuisance: NDArray[np.uint64]) -> NDArray[np.float64]:
        return np.column_stack([factors, choice(nuisance, 7)]).astype(np.float64)


class StillToy(Toy):
    """The same without a nuisance."""

    fingerprint = "still-toy-1"
    nuisances = ()

    def make(self, factors: NDArray[Any], nuisance: NDArray[np.uint64]) -> NDArray[np.float64]:
        return super().make(factors, np.zeros(len(factors), np.uint64))


def test_hidden_factors_keep_their_dependence_on_visible_ones() -> None:
    data = StillToy().with_distribution(correlated(StillToy.space, "b", "d", 0.9)).with_nuisance("d")
    drawn = data.sample(20_000, np.random.default_rng(0))
    shown = data.observations(drawn.factors, drawn.nuisance)
    assert np.corrcoef(shown[:, 1], shown[:, 3])[0, 1] == pytest.approx(0.9, abs=0.01)
    # Given b, d is a function of the nuisance alone.
    assert np.array_equal(shown, data.observations(drawn.factors, drawn.nuisance))
    never = StillToy().with_distribution(only(StillToy.space, {"b": [0, 1], "d": [0]})).with_nuisance("d")
    with pytest.raises(InvalidInputError, match="positive joint probability"):
        never.observations([[0, 2, 0]])


def test_hidden_factors_keep_their_dependence_on_each_other() -> None:
    entangled = StillToy().with_distribution(correlated(StillToy.space, "b", "d", 0.9))
    for data in (entangled.with_nuisance("b", "d"), entangled.with_nuisance("d").with_nuisance("b")):
        drawn = data.sample(20_000, np.random.default_rng(0))
        shown = data.observations(drawn.factors, drawn.nuisance)
        assert np.corrcoef(shown[:, 1], shown[:, 3])[0, 1] == pytest.approx(0.9, abs=0.01)


def test_two_hidden_factors_are_independent_however_they_are_hidden() -> None:
    for data in (StillToy().with_nuisance("b", "d"), StillToy().with_nuisance("b").with_nuisance("d")):
        drawn = data.sample(9000, np.random.default_rng(0))
        shown = data.observations(drawn.factors, drawn.nuisance).astype(int)
        assert chisquare(np.bincount(shown[:, 1] * 3 + shown[:, 3], minlength=9)).pvalue > 1e-3


def test_two_hidden_factors_of_one_name_are_independent() -> None:
    data = Toy().with_nuisance("d").merge(["a", "b"], name="d").with_nuisance("d")
    drawn = data.sample(9000, np.random.default_rng(0))
    shown = data.observations(drawn.factors, drawn.nuisance).astype(int)
    cells = (shown[:, 0] * 3 + shown[:, 1]) * 3 + shown[:, 3]
    assert chisquare(np.bincount(cells, minlength=18)).pvalue > 1e-3
