"""How much of each factor the observations tell, where it is known in closed form."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import disentmetrics as dm
from disentmetrics.datasets.arrays.custom import CustomDataSet
from disentmetrics.datasets.base import DataSet, Symmetry
from disentmetrics.datasets.inspection.identifiability import FactorBits, factor_bits
from disentmetrics.datasets.nuisance import choice
from disentmetrics.datasets.transforms.distributions import only
from disentmetrics.factors import Factor, FactorSpace

TURNS = Symmetry("turn", (0, 2, 4, 6), {"shape": (1,)}), Symmetry("turn", (1, 3, 5, 7), {"shape": (1,)})


class Made(DataSet):
    """A bright pixel at ``place``; ``turn`` shows fully for shape 0 and modulo 2 for shape 1; ``hidden`` never."""

    name = "made"
    fingerprint = "made-1"
    observation_shape = (1, 8, 1)
    space = FactorSpace([
        Factor("shape", 2, "categorical", ("wheel", "cross")),
        Factor("turn", 8, "circular"),
        Factor("place", 4, "ordinal"),
        Factor("hidden", 3, "categorical"),
        Factor("constant", 1, "categorical"),
    ])  # fmt: skip

    def __init__(self, symmetries: tuple[Symmetry, ...] = ()) -> None:
        self.symmetries = symmetries

    def make(self, factors: NDArray[Any], nuisance: NDArray[np.uint64]) -> NDArray[np.uint8]:
        shape, turn, place = factors[:, 0], factors[:, 1], factors[:, 2]
        images = np.zeros((len(factors), 1, 8, 1), np.uint8)
        images[np.arange(len(factors)), 0, place, 0] = 200
        images[:, 0, 4, 0] = 10 * np.where(shape == 0, turn, turn % 2)
        images[:, 0, 5, 0] = 100 * shape
        if self.nuisances:
            images[:, 0, 7, 0] = choice(nuisance, 256)
        return images


class Noisy(Made):
    nuisances = ("noise",)


def measured(data: DataSet, **options: Any) -> dict[str, FactorBits]:
    return {found.factor: found for found in factor_bits(data, **options)}


def test_what_shows_fully_has_all_bits_and_what_does_not_has_none() -> None:
    found = measured(Made())
    assert found["place"].bits == found["place"].most == 2
    assert (found["hidden"].bits, found["hidden"].step, found["hidden"].moved) == (0, 0, 0)
    assert found["hidden"].most == pytest.approx(np.log2(3))
    assert found["constant"].bits == found["constant"].most == 0
    assert [name for name, bits in found.items() if bits.is_defect] == ["hidden"]


def test_a_symmetry_of_four_costs_two_bits_where_it_holds() -> None:
    contexts = 400
    found = measured(Made(), n_contexts=contexts)["turn"]
    share = sum(same.n_contexts for same in found.coincidences) / 2 / contexts
    assert share == pytest.approx(0.5, abs=0.1)
    assert found.bits == pytest.approx(3 - 2 * share)
    assert {same.values for same in found.coincidences} == {(0, 2, 4, 6), (1, 3, 5, 7)}
    assert {same.example["shape"] for same in found.coincidences} == {1}
    assert set(found.coincidences[0].example) == set(Made.space.names) - {"turn"}


def test_what_is_declared_is_not_named_again() -> None:
    found = measured(Made(TURNS))["turn"]
    assert (found.declared, found.coincidences, found.broken) == (TURNS, (), ())
    assert found.bits < found.most
    assert measured(Made(TURNS))["place"].declared == ()
    in_steps = tuple(Symmetry("turn", (i, i + 2), {"shape": (1,)}) for i in range(6))
    assert measured(Made(in_steps))["turn"].coincidences == ()  # one after the other they join the four
    some = measured(Made(in_steps[1:]))["turn"]
    assert {same.values for same in some.coincidences} == {(0, 2, 4, 6)}


def test_a_declared_symmetry_that_does_not_hold_is_a_defect() -> None:
    everywhere = (Symmetry("turn", (0, 2)),)
    found = measured(Made(everywhere))["turn"]
    assert found.broken == everywhere
    assert found.is_defect


def test_steps_and_moved_pixels_are_means_over_neighbours() -> None:
    found = measured(Made())
    assert found["place"].step == pytest.approx(2 * 200 / 8)
    assert found["place"].moved == pytest.approx(2 / 8)
    assert found["shape"].moved == pytest.approx(np.mean([1, 1, 2, 2, 2, 2, 2, 2]) / 8, abs=0.02)
    turning = measured(Made(), n_contexts=200)["turn"]
    assert turning.moved == pytest.approx(1 / 8)
    grey_levels = {0: (7 * 10 + 70) / 8 / 8, 1: 10 / 8}  # the last value is next to the first
    assert grey_levels[1] < turning.step < grey_levels[0]


def test_the_nuisance_is_fixed_within_a_context() -> None:
    plain, noisy = measured(Made()), measured(Noisy())
    assert noisy["hidden"].bits == noisy["hidden"].moved == 0
    assert noisy["place"] == plain["place"] or noisy["place"].bits == 2


def test_the_seed_decides() -> None:
    assert factor_bits(Made(), n_contexts=5, seed=1) == factor_bits(Made(), n_contexts=5, seed=1)
    assert factor_bits(Made(), n_contexts=5, seed=1) != factor_bits(Made(), n_contexts=5, seed=2)


def test_dsprites_loses_what_is_known_of_its_orientation() -> None:
    found = measured(dm.load_dataset("dsprites"), n_contexts=48)
    for name in ("shape", "scale", "x", "y"):
        assert found[name].bits == pytest.approx(found[name].most), name
        assert not found[name].coincidences
    orientation = found["orientation"]
    assert orientation.broken == ()
    assert not any(bits.is_defect for bits in found.values())
    assert orientation.coincidences
    for same in orientation.coincidences:  # found by rasterising: the ends alone are declared
        assert same.values != (0, 39)
        assert same.example["shape"] in {0, 1}, "a heart looks like no other"


class OneShape(DataSet):
    """dSprites of one shape."""

    name = "one-shape"
    fingerprint = "one-shape-1"
    observation_shape = (64, 64, 1)

    def __init__(self, shape: int) -> None:
        self.shape, self.base = shape, dm.load_dataset("dsprites")
        self.space = FactorSpace(self.base.space.factors[1:])
        self.symmetries = self.base.symmetries

    def make(self, factors: NDArray[Any], nuisance: NDArray[np.uint64]) -> NDArray[Any]:
        return self.base.observations(np.insert(factors, 0, self.shape, axis=1))


def test_shapes_of_dsprites_tell_their_orientation_as_far_as_their_pixels_do() -> None:
    square, ellipse, heart = (measured(OneShape(shape))["orientation"] for shape in range(3))
    but_for_the_ends = np.log2(40) - 2 / 40
    assert heart.bits == pytest.approx(but_for_the_ends, abs=1e-12)
    assert heart.coincidences == ()
    # Each look that rasterising merged with another costs 2/40 bits: 522 ellipses and 2,620 squares of 6,144 contexts.
    assert but_for_the_ends - ellipse.bits == pytest.approx(522 / 6144 * 2 / 40, abs=0.005)
    assert but_for_the_ends - square.bits == pytest.approx(2620 / 6144 * 2 / 40, abs=0.01)


def test_continuous_factors_are_looked_at_in_16_places() -> None:
    class Line(DataSet):
        name = "line"
        fingerprint = "line-1"
        observation_shape = (2,)
        space = FactorSpace([Factor("t", None, "continuous"), Factor("unseen", None, "continuous")])

        def make(self, factors: NDArray[Any], nuisance: NDArray[np.uint64]) -> NDArray[Any]:
            return np.column_stack([factors[:, 0], np.zeros(len(factors))])

        def sample_factors(self, n: int, rng: np.random.Generator) -> NDArray[Any]:
            return rng.normal(size=(n, 2))

    found = measured(Line(), n_contexts=4)
    assert (found["t"].bits, found["t"].most, found["t"].moved) == (4, 4, 0.5)
    assert found["unseen"].is_defect


def test_photographs_differ_in_more_than_a_factor_so_nothing_is_known(rng: np.random.Generator) -> None:
    images = rng.integers(256, size=(60, 4, 4, 3), dtype=np.uint8)
    found = measured(CustomDataSet(images, rng.integers(3, size=(60, 2)), factor_names=["a", "b"]))
    assert [bits.n_contexts for bits in found.values()] == [0, 0]
    assert all(np.isnan([bits.bits, bits.step, bits.moved]).all() for bits in found.values())
    assert not any(bits.is_defect for bits in found.values())


def test_a_table_with_every_combination_once_is_as_good_as_a_renderer() -> None:
    grid = np.indices((3, 4)).reshape(2, -1).T
    images = np.zeros((12, 2, 2, 1), np.uint8)
    images[:, 0, 0, 0] = grid[:, 0]
    images[:, 1, 1, 0] = grid[:, 1] // 2
    found = measured(CustomDataSet(images, grid, factor_names=["a", "b"]))
    assert [bits.bits for bits in found.values()] == pytest.approx([np.log2(3), 1])
    assert {same.values for same in found["b"].coincidences} == {(0, 1), (2, 3)}


def test_a_design_leaves_the_bits_of_what_it_allows() -> None:
    found = measured(dm.load_dataset("mini-sprites?without=shape:heart"), n_contexts=8)
    assert found["shape"].bits == found["shape"].most == 1
    hidden = measured(dm.load_dataset("mini-sprites?only=x:0-2,y:0-2&nuisance=x"), n_contexts=8)
    assert hidden["y"].bits == hidden["y"].most == pytest.approx(np.log2(3))
    fixed = measured(dm.load_dataset("mini-sprites?only=shape:square"), n_contexts=8)["shape"]
    assert (fixed.bits, fixed.most, fixed.is_defect) == (0, 0, False)


def test_symmetries_are_told_by_values_where_some_are_excluded() -> None:
    some = Made((*TURNS, Symmetry("turn", (3, 4)))).with_distribution(only(Made.space, {"turn": [3, 4, 5, 7]}))
    found = measured(some, n_contexts=64)["turn"]
    assert found.most == 2
    assert found.broken == (Symmetry("turn", (3, 4)),)
    undeclared = measured(Made().with_distribution(only(Made.space, {"turn": [3, 4, 5, 7]})))["turn"]
    assert {same.values for same in undeclared.coincidences} == {(3, 5, 7)}


def test_of_photographs_that_are_selected_nothing_is_known_either(rng: np.random.Generator) -> None:
    images = rng.integers(256, size=(60, 4, 4, 3), dtype=np.uint8)
    data = CustomDataSet(images, rng.integers(3, size=(60, 2)), factor_names=["a", "b"])
    for made in (data.select({"a": [0, 1]}), data.map(np.copy, name="same")):
        assert [bits.n_contexts for bits in measured(made).values()] == [0, 0]
