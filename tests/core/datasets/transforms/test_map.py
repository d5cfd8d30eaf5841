from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from disentmetrics.datasets.base import DataSet
from disentmetrics.datasets.nuisance import choice
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


def test_maps_to_varying_shapes_are_rejected() -> None:
    data = Toy().map(lambda shown: shown[:, : len(shown)], name="as wide as long")
    with pytest.raises(InvalidInputError, match=r"observations of shape \(1,\), float64; got \(3,\)"):
        data.observations(np.zeros((3, 4), int))


def test_continuous_factors_can_be_mapped_but_not_reweighted() -> None:
    class Line(Toy):
        space = FactorSpace([Factor("t", None, "continuous"), Factor("b", 4, "categorical")])
        observation_shape = (2,)

        def make(self, factors: NDArray[Any], nuisance: NDArray[np.uint64]) -> NDArray[np.float64]:
            return np.asarray(factors, np.float64)

        def sample_factors(self, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
            return np.column_stack([rng.normal(size=n), rng.integers(4, size=n)])

    data = Line().map(lambda shown: 2 * shown, name="double")
    drawn = data.sample(20, np.random.default_rng(0))
    assert np.array_equal(data.observations(drawn.factors, drawn.nuisance), 2 * drawn.factors)
    assert not data.has_distribution
    for step in (lambda: data.distribution, lambda: data.merge(["t", "b"]), lambda: data.with_nuisance("b")):
        with pytest.raises(InvalidInputError, match="full grid"):
            step()
    with pytest.raises(InvalidInputError, match="has no full grid"):
        data.select({"b": 1})
    with pytest.raises(InvalidInputError, match="'t' is continuous"):
        data.select({"t": 1})
