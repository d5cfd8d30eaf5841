"""Transformed data sets: any composition returns the observations of the base that its factors denote."""

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray
from scipy.stats import chisquare

import disentmetrics as dm
from disentmetrics.datasets.arrays.custom import CustomDataSet
from disentmetrics.datasets.base import DataSet, Symmetry
from disentmetrics.datasets.catalog.dsprites import DSprites
from disentmetrics.datasets.distribution import FactorDistribution
from disentmetrics.datasets.nuisance import choice
from disentmetrics.datasets.transforms.distributions import correlated, without
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


class AlikeToy(StillToy):
    """c3 equals c0 where a is 1, and d0 equals d2 everywhere."""

    fingerprint = "alike-toy-1"
    symmetries = (Symmetry("c", (0, 3), {"a": (1,)}), Symmetry("d", (0, 2)))

    def make(self, factors: NDArray[Any], nuisance: NDArray[np.uint64]) -> NDArray[np.float64]:
        shown = super().make(factors, nuisance)
        shown[(shown[:, 0] == 1) & (shown[:, 2] == 3), 2] = 0
        shown[shown[:, 3] == 2, 3] = 0
        return shown


class Reference:
    """Reference implementation of the steps on a table of all observations of the base, each with its weight."""

    def __init__(self) -> None:
        self.cells = Toy.space.indices_of(np.arange(72))
        self.weights = np.full(72, 1 / 72)
        self.parts: dict[str, tuple[str, ...]] = {name: (name,) for name in NAMES}

    def indices(self, space: FactorSpace, cells: NDArray[Any] | None = None) -> NDArray[np.int64]:
        """Return the values of the factors by their labels, -1 where a value was excluded."""
        found = []
        for factor in space:
            columns = [NAMES.index(part) for part in self.parts[factor.name]]
            sizes = [SIZES[k] for k in columns]
            labels = [
                ",".join(f"{NAMES[k]}{i}" for k, i in zip(columns, each, strict=True)) for each in np.ndindex(*sizes)
            ]
            places = {value: index for index, value in enumerate(factor.values)}
            known = np.array([places.get(label, -1) for label in labels])
            shown = self.cells if cells is None else cells
            found.append(known[np.ravel_multi_index(tuple(shown[:, columns].T), sizes)])
        return np.array(found, np.int64).T


def choose_values(data: DataSet, reference: Reference, kind: str, name: str, draw: st.DataObject) -> DataSet:
    """Keep, fix or exclude values of a factor, unless nothing would remain."""
    size = data.space[name].size or 0
    at = reference.indices(data.space)[:, data.space.position(name)]
    values = sorted(draw.draw(st.sets(st.integers(0, size - 1), min_size=1)))
    left = at == values[0] if kind == "fix" else np.isin(at, values) != (kind == "hole")
    if not reference.weights[left].any():
        return data
    reference.weights = reference.weights * left
    if kind == "hole":
        return data.with_distribution(without(data.space, {name: values}))
    if kind == "keep":
        return data.select({name: values})
    del reference.parts[name]
    return data.select({name: values[0]})


def add_step(data: DataSet, reference: Reference, draw: st.DataObject) -> DataSet:
    """Apply one more step, chosen by Hypothesis, to both."""
    kinds = ["keep", "hole", "map"] + (["fix", "merge", "hide", "design"] if len(data.space) > 1 else [])
    kind = draw.draw(st.sampled_from(kinds))
    name, *others = draw.draw(st.permutations(data.space.names))
    if kind == "map":
        return data.map(lambda shown: shown + 1.0, name="plus one").map(lambda shown: shown - 1.0, name="minus one")
    if kind == "merge":
        reference.parts[name + others[0]] = reference.parts.pop(name) + reference.parts.pop(others[0])
        return data.merge([name, others[0]], name=name + others[0])
    if kind == "hide":
        del reference.parts[name]
        return data.with_nuisance(name)
    if kind != "design":
        made = choose_values(data, reference, kind, name, draw)
    else:
        sizes = [data.space[n].size or 0 for n in (name, others[0])]
        table = np.random.default_rng(draw.draw(st.integers(0, 99))).random(sizes) + 0.01
        made = data.with_distribution(FactorDistribution(data.space, {(name, others[0]): table}))
        at = [reference.indices(data.space)[:, data.space.position(n)] for n in (name, others[0])]
        reference.weights = reference.weights * np.where(reference.weights > 0, table[tuple(at)], 0)
    reference.weights = reference.weights / reference.weights.sum()
    return made


@settings(derandomize=True)
@given(st.data(), st.booleans(), st.integers(1, 4))
def test_any_composition_returns_the_observations_of_its_factors(
    draw: st.DataObject, noisy: bool, n_steps: int
) -> None:
    data: DataSet = Toy() if noisy else StillToy()
    reference, base = Reference(), data
    for _ in range(n_steps):
        data = add_step(data, reference, draw)
    assert set(data.space.names) == set(reference.parts)
    assert data.fingerprint.startswith(base.fingerprint)

    drawn = data.sample(3000, np.random.default_rng(1), replace=True)
    shown = data.observations(drawn.factors, drawn.nuisance)
    cells = shown[:, :4].astype(np.int64)
    # The factors of a draw are those that its observation names ...
    assert np.array_equal(reference.indices(data.space, cells), drawn.factors)
    # ... the observation is that of the base with these factors and this nuisance ...
    assert np.array_equal(shown, base.observations(cells, drawn.nuisance))
    # ... combinations and hidden factors have the expected frequencies, and their probability is known.
    counts = np.bincount(Toy.space.rows_of(cells), minlength=72)
    assert not counts[reference.weights == 0].any()
    often = reference.weights * 3000 > 5
    seen, meant = np.append(counts[often], counts[~often].sum()), reference.weights * 3000
    expected = np.append(meant[often], meant[~often].sum())
    if (expected > 0).sum() > 1:
        assert chisquare(seen[expected > 0], expected[expected > 0]).pvalue > 1e-5
    every = data.space.indices_of(np.arange(data.space.n_combinations))
    sums = np.zeros(len(every))
    possible = reference.weights > 0
    np.add.at(sums, data.space.rows_of(reference.indices(data.space)[possible]), reference.weights[possible])
    assert data.distribution.probability(every) == pytest.approx(sums, abs=1e-12)
    assert len(data) == np.count_nonzero(sums)

    # The default nuisance is that of the base, as long as no factor is hidden.
    own = data.draws(drawn.factors[:50])
    again = data.observations(own.factors)
    assert np.array_equal(again, data.observations(own.factors, own.nuisance))
    if data.nuisances == base.nuisances:
        assert np.array_equal(again, base.observations(cells[:50]))


@settings(derandomize=True)
@given(st.data(), st.integers(1, 3))
def test_symmetries_that_are_declared_hold(draw: st.DataObject, n_steps: int) -> None:
    data: DataSet = AlikeToy()
    reference = Reference()
    for _ in range(n_steps):
        data = add_step(data, reference, draw)
    rng = np.random.default_rng(0)
    for symmetry in data.symmetries:
        contexts = data.distribution.sample(20, rng)
        for name, indices in symmetry.given.items():
            contexts[:, data.space.position(name)] = rng.choice(indices, size=20)
        nuisance = rng.integers(2**64, size=20, dtype=np.uint64)
        looks = []
        for index in symmetry.same:
            contexts[:, data.space.position(symmetry.factor)] = index
            if not (data.distribution.probability(contexts) > 0).all() and data.nuisances:
                break  # combinations that never occur have no hidden values
            looks.append(data.observations(contexts, nuisance))
        assert all(np.array_equal(looks[0], look) for look in looks[1:])


def alike(data: DataSet) -> set[frozenset[int]]:
    """Pairs of rows of the grid whose observations are equal."""
    shown = data.observations(data.full_grid().factors)
    return {frozenset((i, j)) for i in range(len(shown)) for j in range(i) if np.array_equal(shown[i], shown[j])}


def declared(data: DataSet) -> set[frozenset[int]]:
    """Pairs of rows that are identical according to the symmetries, also through several of them."""
    every = data.full_grid().factors
    group = np.arange(len(every))
    for _ in range(3):
        for symmetry in data.symmetries:
            position = data.space.position(symmetry.factor)
            holds = np.all([np.isin(every[:, data.space.position(n)], i) for n, i in symmetry.given.items()], axis=0)
            for row in np.flatnonzero(holds & np.isin(every[:, position], symmetry.same)):
                other = np.tile(every[row], (len(symmetry.same), 1))
                other[:, position] = symmetry.same
                rows = data.space.rows_of(other)
                group[np.isin(group, group[rows])] = group[rows].min()
    return {frozenset((i, j)) for i in range(len(group)) for j in range(i) if group[i] == group[j]}


@pytest.mark.parametrize(
    "step",
    [
        lambda data: data,
        lambda data: data.select({"a": 1}),
        lambda data: data.select({"a": 0}),
        lambda data: data.select({"c": [0, 1, 3], "d": [0, 1]}),
        lambda data: data.select({"c": [1, 3], "d": 2}),
        lambda data: data.merge(["c", "d"]),
        lambda data: data.merge(["d", "a"]),
        lambda data: data.merge(["b", "c", "a"]),
        lambda data: data.merge(["a", "b"]).select({"c": [3, 0]}),
        lambda data: data.map(lambda shown: shown * 2, name="double"),
    ],
)
def test_symmetries_are_exactly_those_of_the_observations(step: Callable[[DataSet], DataSet]) -> None:
    data = step(AlikeToy())
    assert declared(data) == alike(data)


def test_factors_keep_their_kinds_and_values() -> None:
    data = Toy()
    assert data.select({"c": [0, 2]}).space["c"] == Factor("c", 2, "circular", ("c0", "c2"))  # every second: a circle
    assert data.select({"c": [0, 1]}).space["c"] == Factor("c", 2, "ordinal", ("c0", "c1"))  # a half is none
    assert data.select({"b": [2]}).space["b"] == Factor("b", 1, "ordinal", ("b2",))
    merged = data.merge(["d", "b"], name="place")
    assert merged.space.names == ("a", "place", "c")
    assert merged.space["place"].kind == "categorical"
    assert merged.space["place"].values[:4] == ("d0,b0", "d0,b1", "d0,b2", "d1,b0")
    assert data.merge(["d", "b"]).space.names == ("a", "d_b", "c")
    hidden = data.with_nuisance("a", "c")
    assert hidden.space.names == ("b", "d")
    assert hidden.nuisances == ("noise", "a", "c")
    assert StillToy().with_nuisance("a").nuisances == ("a",)


def test_the_fingerprint_contains_every_step() -> None:
    data = DSprites().select({"shape": "heart", "x": range(16)}).merge(["x", "y"], name="place")
    data = data.with_nuisance("scale")
    data = data.with_distribution(without(data.space, {"orientation": 39}))
    data = data.map(lambda images: images[:, ::2, ::2], name="half size, 32x32")
    assert data.fingerprint == (
        "dsprites-1+select(shape=2,x=0-15)+merge(place=x,y)+nuisance(scale)+without(orientation=39)"
        "+map(half size, 32x32)"
    )
    entangled = DSprites().with_distribution(correlated(DSprites.space, "x", "y", 0.8))
    assert entangled.fingerprint == "dsprites-1+correlate(x,y,0.8)"
    representation = dm.encode(lambda images: images.mean(axis=(1, 2)), entangled, n_samples=40)
    text = str(dm.score(representation, ["mcc"], null=False, interval=None)["mcc"].signature)
    assert "data:dsprites-1+correlate(x,y,0.8)|draw:weighted/0|" in text
    assert dm.Signature.parse(text).fields["data"] == entangled.fingerprint


def test_equal_samples_of_a_distribution_are_encoded_once() -> None:
    seen: list[int] = []

    def counting(observations: NDArray[Any]) -> NDArray[Any]:
        seen.append(len(observations))
        return observations

    data = StillToy().with_distribution(correlated(StillToy.space, "b", "d", 0.7))
    found = dm.encode(counting, data, n_samples=2000, batch_size=100)
    assert max(seen) <= 72
    assert len(found) == 2000
    assert np.array_equal(found.codes[:, :4], found.factors)
    assert np.corrcoef(found.factors[:, 1], found.factors[:, 3])[0, 1] == pytest.approx(0.7, abs=0.05)


def test_a_grid_with_holes_can_be_sampled_without_replacement_and_listed() -> None:
    data = StillToy().with_distribution(without(StillToy.space, {"a": 1, "c": [0, 1]}))
    assert len(data) == 54
    whole = data.full_grid()
    rows = data.space.rows_of(whole.factors)
    assert np.array_equal(rows, np.unique(rows))
    assert not ((whole.factors[:, 0] == 1) & (whole.factors[:, 2] < 2)).any()
    some = data.sample(30, np.random.default_rng(0))
    drawn = data.space.rows_of(some.factors)
    assert np.array_equal(drawn, np.unique(drawn))
    assert set(drawn) < set(rows)
    assert np.array_equal(data.sample(54, np.random.default_rng(0)).factors, whole.factors)
    with pytest.raises(InvalidInputError, match="at most 54 distinct"):
        data.sample(55, np.random.default_rng(0))
    encoded = dm.encode(lambda shown: shown, data, full_grid=True)
    assert encoded.provenance.population
    assert len(encoded) == 54
    assert np.array_equal(data.observations([[1, 0, 0, 0]]), StillToy().observations([[1, 0, 0, 0]]))  # still there


def test_every_remaining_combination_is_drawn_equally_often() -> None:
    data = StillToy().with_distribution(without(StillToy.space, {"a": 1, "c": [0, 1]}))
    rng = np.random.default_rng(5)
    counts = sum(np.bincount(data.space.rows_of(data.sample(10, rng).factors), minlength=72) for _ in range(2000))
    assert chisquare(np.asarray(counts)[np.asarray(counts) > 0]).pvalue > 1e-3


def test_weighted_data_have_no_full_grid() -> None:
    data = StillToy().with_distribution(correlated(StillToy.space, "b", "d", 0.5))
    with pytest.raises(InvalidInputError, match="some combinations of factors are likelier than others"):
        data.full_grid()
    with pytest.raises(InvalidInputError, match="likelier"):
        dm.encode(lambda shown: shown, data, full_grid=True)
    assert len(data.sample(500, np.random.default_rng(0))) == 500  # more than there are combinations


def test_symmetries_of_factors_on_which_a_hidden_one_depends_are_dropped() -> None:
    data = AlikeToy().with_distribution(correlated(AlikeToy.space, "b", "d", 0.5)).with_nuisance("b")
    assert [symmetry.factor for symmetry in data.symmetries] == ["c"]
    assert [symmetry.factor for symmetry in AlikeToy().with_nuisance("b").symmetries] == ["c", "d"]
    assert [symmetry.factor for symmetry in AlikeToy().with_nuisance("a").symmetries] == ["d"]


def test_selections_of_probability_0_are_rejected() -> None:
    data = StillToy().with_distribution(without(StillToy.space, {"a": 1, "c": [0, 1]}))
    with pytest.raises(InvalidInputError, match="at least one combination positive weight"):
        data.select({"a": 1, "c": 0})
    with pytest.raises(InvalidInputError, match="at least one combination positive weight"):
        data.select({"a": [1], "c": [0, 1]})


@pytest.mark.parametrize(
    "data",
    [
        Toy().select({"a": 1, "c": [0, 3]}),
        Toy().merge(["a", "b"]),
        Toy().with_nuisance("a"),
        Toy().with_distribution(correlated(Toy.space, "b", "d", 0.5)),
        Toy().with_distribution(correlated(Toy.space, "b", "d", 0.5)).with_nuisance("d").select({"c": [1, 2]}),
        Toy().map(np.sqrt, name="root"),
    ],
)
def test_transformed_data_sets_can_be_pickled(data: DataSet) -> None:
    drawn = data.sample(50, np.random.default_rng(0))
    back = pickle.loads(pickle.dumps(data))
    assert len(pickle.dumps(data)) < 20_000
    shown = data.observations(drawn.factors, drawn.nuisance)
    assert np.array_equal(back.observations(drawn.factors, drawn.nuisance), shown)
    assert np.array_equal(back.sample(50, np.random.default_rng(0)).factors, drawn.factors)
    assert data.observations(drawn.factors[:0], drawn.nuisance[:0]).shape == (0, *data.observation_shape)


def table_of_rows(kind: str) -> DataSet:
    rng = np.random.default_rng(0)
    factors = rng.integers((2, 3), size=(200, 2)).astype(np.float64)
    factors[::10, 1] = -1
    shown = np.column_stack([factors, np.arange(200)]).astype(np.float64)
    space = FactorSpace([Factor("a", 2, "categorical", ("no", "yes")), Factor("b", 3, "ordinal")])
    if kind == "grid":
        return CustomDataSet(shown, factors.astype(np.int64), space=space, groups=np.arange(200) // 4, name="rows")
    mixed = np.column_stack([factors, np.where(np.arange(200) % 7, rng.normal(size=200), np.nan)])
    space = FactorSpace([*space, Factor("t", None, "continuous")])
    return CustomDataSet(shown, mixed, space=space, groups=np.arange(200) // 4, name="rows")


@pytest.mark.parametrize(
    "step",
    [
        lambda data: data.with_distribution(FactorDistribution(Toy.space)),
        lambda data: data.merge(["a", "b"]),
        lambda data: data.with_nuisance("a"),
        lambda data: data.select({"a": 1}).with_nuisance("b"),
    ],
)
def test_rows_of_a_table_have_no_distribution(step: Callable[[DataSet], DataSet]) -> None:
    with pytest.raises(InvalidInputError, match="a distribution of factors needs a full grid"):
        step(table_of_rows("grid"))


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (lambda data: data.select({}), "at least one factor must be selected"),
        (lambda data: data.select({"z": 1}), "no factor is named 'z'"),
        (lambda data: data.select({"c": [0, 4]}), r"indices in 0 .. 3; got 4"),
        (lambda data: data.select({"c": "c7"}), "no value 'c7'"),
        (lambda data: data.merge(["a"]), "merge needs at least two factors"),
        (lambda data: data.merge([]), "at least one factor must be named"),
        (lambda data: data.merge(["a", "a"]), "each once"),
        (lambda data: data.merge(["a", "b"], name="c"), "no other factor has; got a, b as 'c'"),
        (lambda data: data.with_nuisance(), "at least one factor must be named"),
        (lambda data: data.with_nuisance("a", "b", "c", "d"), "at least one factor must remain"),
        (lambda data: data.with_nuisance("z"), "no factor is named 'z'"),
        (lambda data: data.with_distribution(FactorDistribution(DSprites.space)), "over the same factors"),
        (lambda data: data.map(np.sqrt, name=""), "a name that describes it"),
        (lambda data: data.map(np.sqrt, name="a|b"), "a name that describes it"),
        (lambda data: data.map("sqrt", name="a"), "needs a function"),
        (
            lambda data: data.map(lambda shown: shown[:0], name="a"),
            r"array of 1 observations, .*; got float64 of shape \(0",
        ),
        (lambda data: data.map(lambda shown: shown.tolist(), name="a"), "got list"),
        (lambda data: data.map(lambda shown: shown.astype(int), name="a"), "got int64"),
    ],
)
def test_impossible_transforms_are_rejected(step: Callable[[DataSet], Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        step(Toy())


def test_the_error_for_an_oversized_sample_suggests_the_full_grid(rng: np.random.Generator) -> None:
    data = dm.load_dataset("mini-sprites?only=shape:0,scale:0,orientation:0,x:0,y:0")
    with pytest.raises(InvalidInputError, match=r"at most 1 distinct .*use all of them instead .*--samples all"):
        data.sample(5, rng)
