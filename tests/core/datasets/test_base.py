"""Behaviour that every data set inherits: sampling, nuisance, checks."""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

import disentmetrics as dm
from disentmetrics.datasets.base import DataSet, DataSetInfo, Draws
from disentmetrics.datasets.nuisance import choice
from disentmetrics.errors import InvalidInputError
from disentmetrics.factors import Factor, FactorSpace


class Pairs(DataSet):
    """Vectors of the two factors and a third value that depends on the nuisance."""

    name = "pairs"
    fingerprint = "pairs-1"
    space = FactorSpace([Factor("a", 3, "ordinal"), Factor("b", 4, "categorical")])
    observation_shape = (3,)

    def make(self, factors: NDArray[Any], nuisance: NDArray[np.uint64]) -> NDArray[np.float64]:
        added = choice(nuisance, 5) if self.nuisances else np.zeros(len(factors))
        return np.column_stack([factors, added]).astype(np.float64)


class NoisyPairs(Pairs):
    fingerprint = "noisy-pairs-1"
    nuisances = ("noise",)


class Line(Pairs):
    fingerprint = "line-1"
    space = FactorSpace([Factor("t", None, "continuous"), Factor("b", 4, "categorical")])

    def sample_factors(self, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
        return np.column_stack([rng.normal(size=n), rng.integers(4, size=n)])


def as_floats(images: NDArray[Any]) -> NDArray[Any]:
    return images / 255.0


def mapped(data: DataSet) -> DataSet:
    return data.map(as_codes, name="same")


def as_codes(observations: NDArray[Any]) -> NDArray[Any]:
    return observations


def test_observations_of_equal_factors_differ_only_by_their_nuisance(rng: np.random.Generator) -> None:
    data = NoisyPairs()
    factors = np.tile([[1, 2]], (200, 1))
    nuisance = rng.integers(2**64, size=200, dtype=np.uint64)
    observations = data.observations(factors, nuisance)
    assert set(observations[:, 2]) == {0, 1, 2, 3, 4}
    assert np.array_equal(observations[::-1], data.observations(factors, nuisance[::-1]))
    assert len(np.unique(data.observations(factors), axis=0)) == 1  # each combination has its own nuisance
    assert len(np.unique(data.observations(data.full_grid().factors)[:, 2])) > 1


def test_a_sample_of_a_grid_is_distinct_sorted_and_determined_by_the_generator() -> None:
    draws = Pairs().sample(10, np.random.default_rng(3))
    rows = Pairs.space.rows_of(draws.factors)
    assert np.array_equal(rows, np.unique(rows))
    assert np.array_equal(draws.nuisance, rows)
    assert np.array_equal(Pairs().sample(10, np.random.default_rng(3)).factors, draws.factors)
    with pytest.raises(InvalidInputError, match="at most 12 distinct"):
        Pairs().sample(13, np.random.default_rng(0))
    assert len(Pairs().sample(13, np.random.default_rng(0), replace=True)) == 13


def test_a_nuisance_makes_more_observations_than_combinations(rng: np.random.Generator) -> None:
    draws = NoisyPairs().sample(500, rng)
    assert len(np.unique(draws.nuisance)) == 500
    assert len(np.unique(draws.factors, axis=0)) == 12


def test_encoding_reads_each_observation_with_its_nuisance() -> None:
    data = NoisyPairs()
    found = dm.encode(as_codes, data, n_samples=100, seed=1)
    assert np.array_equal(found.codes[:, :2], found.factors)
    assert len(np.unique(found.codes[:, 2])) == 5
    assert not found.provenance.population
    again = dm.encode(as_codes, data, n_samples=100, seed=1, batch_size=7)
    assert np.array_equal(found.codes, again.codes)
    whole = dm.encode(as_codes, data, full_grid=True)
    assert len(whole) == 12
    assert not whole.provenance.population  # other images of the same combinations were left out
    assert dm.encode(as_codes, Pairs(), full_grid=True).provenance.population


def test_equal_indices_are_encoded_once(rng: np.random.Generator) -> None:
    seen: list[int] = []

    def counting(observations: NDArray[Any]) -> NDArray[Any]:
        seen.append(len(observations))
        return observations

    indices = rng.integers((3, 4), size=(300, 2))
    for data in (Pairs(), NoisyPairs()):
        seen.clear()
        found = dm.encode(counting, data, indices=indices, batch_size=100)
        assert np.array_equal(found.factors, indices)
        assert np.array_equal(found.codes, data.observations(indices))
        assert max(seen) == 12


def test_continuous_factors_have_values_and_no_grid(rng: np.random.Generator) -> None:
    data = Line()
    draws = data.sample(50, rng)
    assert draws.factors.dtype == np.float64
    assert np.array_equal(data.observations(draws.factors, draws.nuisance)[:, :2], draws.factors)
    assert len(np.unique(data.default_nuisance(draws.factors))) == 50
    assert np.array_equal(data.default_nuisance(np.array([[0.0, 1.0]])), data.default_nuisance(np.array([[-0.0, 1.0]])))
    with pytest.raises(InvalidInputError, match="has no full grid"):
        data.full_grid()
    found = dm.encode(as_codes, data, n_samples=60)
    assert np.array_equal(found.codes[:, :2], found.factors)


def test_draws_contain_the_groups_of_their_rows() -> None:
    draws = Draws(np.zeros((6, 1), np.int64), np.arange(6, dtype=np.uint64), np.array([0, 0, 1, 1, 2, 2]))
    assert draws[2:4].groups is not None
    assert draws[np.array([5, 0])].groups.tolist() == [2, 0]  # type: ignore[union-attr] # they are there


@pytest.mark.parametrize(
    ("nuisance", "message"),
    [
        ([1, 2, 3], "must be 2 non-negative integers"),
        ([0.5, 1.0], "got float64"),
        ([-1, 0], "non-negative integers"),
        ([[1, 2]], r"shape \(1, 2\)"),
    ],
)
def test_invalid_nuisances_are_rejected(nuisance: list[Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        NoisyPairs().observations([[0, 0], [1, 1]], nuisance)


@pytest.mark.parametrize(
    ("shape", "made", "message"),
    [
        ((8, 8, 1), np.zeros((2, 8, 8)), r"uint8 of shape \(\d, 8, 8, 1\); it returned float64 of shape \(2, 8, 8\)"),
        ((8, 8, 1), np.zeros((2, 8, 8, 1)), "uint8 .* it returned float64"),
        ((8, 8, 1), np.zeros((1, 8, 8, 1), np.uint8), r"it returned uint8 of shape \(1"),
        ((3,), np.zeros((2, 3), np.int64), r"float of shape \(\d, 3\); it returned int64"),
        ((3,), [[0.0] * 3] * 2, "it returned list"),
    ],
)
@pytest.mark.parametrize("step", [lambda data: data, lambda data: data.select({"a": [0, 1]}), mapped])
def test_observations_of_another_shape_or_type_are_rejected(
    shape: tuple[int, ...], made: Any, message: str, step: Callable[[DataSet], DataSet]
) -> None:
    class Broken(Pairs):
        observation_shape: Any = shape

        def make(self, factors: NDArray[Any], nuisance: NDArray[np.uint64]) -> Any:
            return made

    with pytest.raises(InvalidInputError, match=f"make of pairs must return an array, .*{message}"):
        step(Broken()).observations([[0, 0], [1, 1]])


def test_images_can_become_floats_and_integer_rows_stay_integers() -> None:
    images = np.zeros((3, 4, 4, 1), np.uint8)
    grey = dm.CustomDataSet(images, {"a": ["x", "y", "x"]}).map(as_floats, name="from 0 to 1")
    assert grey.select({"a": ["x", "y"]}).observations([[0], [1]]).dtype == np.float64
    assert dm.CustomDataSet(np.eye(2, dtype=np.int64), {"a": ["x", "y"]}).observations([[1]]).tolist() == [[0, 1]]


@pytest.mark.parametrize("attribute", ["name", "space", "fingerprint", "observation_shape"])
def test_the_error_names_a_missing_attribute(attribute: str) -> None:
    class Bare(DataSet):
        def make(self, factors: NDArray[Any], nuisance: NDArray[np.uint64]) -> NDArray[Any]:
            return np.zeros((len(factors), 1))

    with pytest.raises(InvalidInputError, match=f"must define {attribute}; Bare does not"):
        getattr(Bare(), attribute)
    with pytest.raises(InvalidInputError, match="must define space"):
        Bare().observations([[0]])


WITH_COUNTS = {
    "grid": Pairs(),
    "noisy": NoisyPairs(),
    "line": Line(),
    "rows": dm.CustomDataSet(np.eye(3), {"a": ["x", "y", "x"]}),
    "some rows": dm.CustomDataSet(np.eye(3), {"a": ["x", "y", "x"]}).select({"a": ["x", "y"]}),
    "design": Pairs().select({"a": [0, 1]}),
    "mapped": Pairs().map(as_codes, name="same"),
}


@pytest.mark.parametrize("name", WITH_COUNTS)
@pytest.mark.parametrize("n", [-1, 2.5, True, "3"])
def test_sample_sizes_must_be_integers(name: str, n: Any, rng: np.random.Generator) -> None:
    for replace in (False, True):
        with pytest.raises(InvalidInputError, match="number of draws must be a whole number from 0; got"):
            WITH_COUNTS[name].sample(n, rng, replace=replace)
        assert len(WITH_COUNTS[name].sample(cast("int", np.int64(2)), rng, replace=replace)) == 2


@pytest.mark.parametrize("name", WITH_COUNTS)
def test_rows_of_different_lengths_are_rejected(name: str) -> None:
    data = WITH_COUNTS[name]
    for read in (data.observations, data.draws, data.check_factors):
        with pytest.raises(InvalidInputError, match="rows of different lengths"):
            read([[1, 2], [1]])


def test_the_number_of_observations_is_that_of_the_grid_unless_given() -> None:
    def size(space: FactorSpace, n: int | None = None) -> int | None:
        return DataSetInfo("a", "b", space, True, "c", "d", n_observations=n).size

    assert size(Pairs.space) == 12
    assert size(Pairs.space, 7) == 7
    assert size(Line.space) is None
    assert size(FactorSpace([])) is None


@pytest.mark.parametrize(
    "spec",
    [
        "mini-sprites",
        "mini-sprites?select=shape:heart",
        "mini-sprites?without=shape:heart",
        "mini-sprites?correlate=x,y,0.5",
        "mini-sprites?nuisance=x",
        "mini-sprites?correlate=x,y,0.5&nuisance=x",
        "dsprites-color",
        "linear-ica",
        "pinwheel",
        "table",
        "table selected",
        "table mapped",
    ],
)
def test_has_full_grid_predicts_whether_full_grid_works(spec: str) -> None:
    images = np.arange(5 * 4, dtype=np.uint8).reshape(5, 2, 2, 1)
    table = dm.CustomDataSet(images, {"t": [0.1, 0.5, 0.2, 0.9, 0.7], "a": ["x", "y", "x", "y", "y"]})
    made = {
        "table": table,
        "table selected": table.select({"a": ["x"]}),
        "table mapped": table.map(lambda found: 255 - found, name="negative"),
    }
    data = made[spec] if spec in made else dm.load_dataset(spec)
    if data.has_full_grid:
        assert len(data.full_grid()) == len(data)
    else:
        with pytest.raises(InvalidInputError, match="has no full grid"):
            data.full_grid()
    # The marginal distribution of a ridge after hiding one factor is not exactly uniform either.
    assert data.has_full_grid == ("correlate" not in spec and spec not in {"linear-ica", "pinwheel"})
