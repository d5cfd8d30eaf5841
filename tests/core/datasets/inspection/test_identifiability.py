"""Information that observations contain about factors, where it is known in closed form."""

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


class Synthetic(DataSet):
    """A bright pixel at ``place``; ``turn`` is visible for shape 0 and modulo 2 for shape 1; ``hidden`` is not."""

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


class Noisy(Synthetic):
    nuisances = ("noise",)


def bits_by_factor(data: DataSet, **options: Any) -> dict[str, FactorBits]:
    return {bits.factor: bits for bits in factor_bits(data, **options)}


def test_visible_factors_have_all_bits_and_invisible_ones_none() -> None:
    factors = bits_by_factor(Synthetic())
    assert factors["place"].bits == factors["place"].most == 2
    assert (factors["hidden"].bits, factors["hidden"].step, factors["hidden"].moved) == (0, 0, 0)
    assert factors["hidden"].most == pytest.approx(np.log2(3))
    assert factors["constant"].bits == factors["constant"].most == 0
    assert [name for name, bits in factors.items() if bits.is_defect] == ["hidden"]


def test_a_symmetry_of_four_costs_two_bits_where_it_holds() -> None:
    contexts = 400
    turn = bits_by_factor(Synthetic(), n_contexts=contexts)["turn"]
    share = sum(same.n_contexts for same in turn.coincidences) / 2 / contexts
    assert share == pytest.approx(0.5, abs=0.1)
    assert turn.bits == pytest.approx(3 - 2 * share)
    assert {same.values for same in turn.coincidences} == {(0, 2, 4, 6), (1, 3, 5, 7)}
    assert {same.example["shape"] for same in turn.coincidences} == {1}
    assert set(turn.coincidences[0].example) == set(Synthetic.space.names) - {"turn"}


def test_declared_symmetries_are_not_reported_as_coincidences() -> None:
    turn = bits_by_factor(Synthetic(TURNS))["turn"]
    assert (turn.declared, turn.coincidences, turn.broken) == (TURNS, (), ())
    assert turn.bits < turn.most
    assert bits_by_factor(Synthetic(TURNS))["place"].declared == ()
    pairs = tuple(Symmetry("turn", (i, i + 2), {"shape": (1,)}) for i in range(6))
    assert bits_by_factor(Synthetic(pairs))["turn"].coincidences == ()  # their transitive closure joins the four
    partly_declared = bits_by_factor(Synthetic(pairs[1:]))["turn"]
    assert {same.values for same in partly_declared.coincidences} == {(0, 2, 4, 6)}


def test_a_declared_symmetry_that_does_not_hold_is_a_defect() -> None:
    everywhere = (Symmetry("turn", (0, 2)),)
    turn = bits_by_factor(Synthetic(everywhere))["turn"]
    assert turn.broken == everywhere
    assert turn.is_defect


def test_steps_and_moved_pixels_are_means_over_neighbours() -> None:
    factors = bits_by_factor(Synthetic())
    assert factors["place"].step == pytest.approx(2 * 200 / 8)
    assert factors["place"].moved == pytest.approx(2 / 8)
    assert factors["shape"].moved == pytest.approx(np.mean([1, 1, 2, 2, 2, 2, 2, 2]) / 8, abs=0.02)
    turn = bits_by_factor(Synthetic(), n_contexts=200)["turn"]
    assert turn.moved == pytest.approx(1 / 8)
    grey_levels = {0: (7 * 10 + 70) / 8 / 8, 1: 10 / 8}  # the last value is a neighbour of the first
    assert grey_levels[1] < turn.step < grey_levels[0]


def test_the_nuisance_is_fixed_within_a_context() -> None:
    plain, noisy = bits_by_factor(Synthetic()), bits_by_factor(Noisy())
    assert noisy["hidden"].bits == noisy["hidden"].moved == 0
    assert noisy["place"] == plain["place"] or noisy["place"].bits == 2


def test_the_seed_determines_the_result() -> None:
    assert factor_bits(Synthetic(), n_contexts=5, seed=1) == factor_bits(Synthetic(), n_contexts=5, seed=1)
    assert factor_bits(Synthetic(), n_contexts=5, seed=1) != factor_bits(Synthetic(), n_contexts=5, seed=2)


def test_only_the_orientation_of_dsprites_is_not_fully_identifiable() -> None:
    factors = bits_by_factor(dm.load_dataset("dsprites"), n_contexts=48)
    for name in ("shape", "scale", "x", "y"):
        assert factors[name].bits == pytest.approx(factors[name].most), name
        assert not factors[name].coincidences
    orientation = factors["orientation"]
    assert orientation.broken == ()
    assert not any(bits.is_defect for bits in factors.values())
    assert orientation.coincidences
    for same in orientation.coincidences:  # due to rasterisation: only the end points are declared
        assert same.values != (0, 39)
        assert same.example["shape"] in {0, 1}, "no two orientations of a heart coincide"


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


def test_the_orientation_of_each_shape_of_dsprites_has_the_expected_bits() -> None:
    square, ellipse, heart = (bits_by_factor(OneShape(shape))["orientation"] for shape in range(3))
    with_equal_ends = np.log2(40) - 2 / 40
    assert heart.bits == pytest.approx(with_equal_ends, abs=1e-12)
    assert heart.coincidences == ()
    # Each pair of images that rasterisation merges costs 2/40 bits: 522 ellipses and 2,620 squares in 6,144 contexts.
    assert with_equal_ends - ellipse.bits == pytest.approx(522 / 6144 * 2 / 40, abs=0.005)
    assert with_equal_ends - square.bits == pytest.approx(2620 / 6144 * 2 / 40, abs=0.01)


def test_continuous_factors_are_evaluated_at_16_values() -> None:
    class Line(DataSet):
        name = "line"
        fingerprint = "line-1"
        observation_shape = (2,)
        space = FactorSpace([Factor("t", None, "continuous"), Factor("unseen", None, "continuous")])

        def make(self, factors: NDArray[Any], nuisance: NDArray[np.uint64]) -> NDArray[Any]:
            return np.column_stack([factors[:, 0], np.zeros(len(factors))])

        def sample_factors(self, n: int, rng: np.random.Generator) -> NDArray[Any]:
            return rng.normal(size=(n, 2))

    factors = bits_by_factor(Line(), n_contexts=4)
    assert (factors["t"].bits, factors["t"].most, factors["t"].moved) == (4, 4, 0.5)
    assert factors["unseen"].is_defect


def test_photographs_differ_in_more_than_one_factor_so_the_bits_are_unknown(rng: np.random.Generator) -> None:
    images = rng.integers(256, size=(60, 4, 4, 3), dtype=np.uint8)
    factors = bits_by_factor(CustomDataSet(images, rng.integers(3, size=(60, 2)), factor_names=["a", "b"]))
    assert [bits.n_contexts for bits in factors.values()] == [0, 0]
    assert all(np.isnan([bits.bits, bits.step, bits.moved]).all() for bits in factors.values())
    assert not any(bits.is_defect for bits in factors.values())


def test_a_table_that_is_a_complete_grid_is_evaluated_like_a_renderer() -> None:
    grid = np.indices((3, 4)).reshape(2, -1).T
    images = np.zeros((12, 2, 2, 1), np.uint8)
    images[:, 0, 0, 0] = grid[:, 0]
    images[:, 1, 1, 0] = grid[:, 1] // 2
    factors = bits_by_factor(CustomDataSet(images, grid, factor_names=["a", "b"]))
    assert [bits.bits for bits in factors.values()] == pytest.approx([np.log2(3), 1])
    assert {same.values for same in factors["b"].coincidences} == {(0, 1), (2, 3)}


def test_excluded_values_do_not_count_towards_the_bits() -> None:
    factors = bits_by_factor(dm.load_dataset("mini-sprites?without=shape:heart"), n_contexts=8)
    assert factors["shape"].bits == factors["shape"].most == 1
    hidden = bits_by_factor(dm.load_dataset("mini-sprites?only=x:0-2,y:0-2&nuisance=x"), n_contexts=8)
    assert hidden["y"].bits == hidden["y"].most == pytest.approx(np.log2(3))
    fixed = bits_by_factor(dm.load_dataset("mini-sprites?only=shape:square"), n_contexts=8)["shape"]
    assert (fixed.bits, fixed.most, fixed.is_defect) == (0, 0, False)


def test_symmetries_refer_to_values_where_some_are_excluded() -> None:
    four_turns = only(Synthetic.space, {"turn": [3, 4, 5, 7]})
    declared = Synthetic((*TURNS, Symmetry("turn", (3, 4)))).with_distribution(four_turns)
    turn = bits_by_factor(declared, n_contexts=64)["turn"]
    assert turn.most == 2
    assert turn.broken == (Symmetry("turn", (3, 4)),)
    undeclared = bits_by_factor(Synthetic().with_distribution(four_turns))["turn"]
    assert {same.values for same in undeclared.coincidences} == {(3, 5, 7)}


def test_the_bits_of_selected_photographs_are_unknown_too(rng: np.random.Generator) -> None:
    images = rng.integers(256, size=(60, 4, 4, 3), dtype=np.uint8)
    data = CustomDataSet(images, rng.integers(3, size=(60, 2)), factor_names=["a", "b"])
    for derived in (data.select({"a": [0, 1]}), data.map(np.copy, name="same")):
        assert [bits.n_contexts for bits in bits_by_factor(derived).values()] == [0, 0]
