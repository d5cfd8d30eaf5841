"""Properties of every bundled data set that needs no download."""

import pickle
import subprocess
import sys

import numpy as np
import pytest

import disentmetrics as dm
from disentmetrics.datasets.base import DataSet, Draws, Symmetry
from disentmetrics.datasets.registry import find_datasets
from disentmetrics.errors import InvalidInputError

INFOS = {info.name: info for info in dm.list_datasets()}
OFFLINE = [name for name, info in INFOS.items() if info.offline and info.size != 0]
NEED_A_PATH = {"folder"}
RENDERED = sorted(set(OFFLINE) - NEED_A_PATH)


@pytest.fixture(scope="module")
def loaded() -> dict[str, DataSet]:
    return {name: dm.load_dataset(name) for name in RENDERED}


def sampled(data: DataSet, n: int = 12, seed: int = 0) -> Draws:
    return data.sample(n, np.random.default_rng(seed))


@pytest.mark.parametrize("name", sorted(INFOS))
def test_its_description_is_complete(name: str) -> None:
    info = INFOS[name]
    assert info.name == name
    assert all((info.summary, info.licence, info.citation))
    assert not info.summary.endswith(".")
    assert info.size is None or info.size > 0
    for symmetry in info.symmetries:
        involved = {symmetry.factor: symmetry.same, **symmetry.given}
        for factor, indices in involved.items():
            assert all(0 <= index < (info.space[factor].size or 0) for index in indices), symmetry
        assert len(set(symmetry.same)) > 1


@pytest.mark.parametrize("name", RENDERED)
class TestRendered:
    def test_it_agrees_with_its_description(self, name: str, loaded: dict[str, DataSet]) -> None:
        data, info = loaded[name], INFOS[name]
        assert (data.name, data.space, data.nuisances, data.symmetries) == (
            name,
            info.space,
            info.nuisances,
            info.symmetries,
        )
        assert data.fingerprint.startswith(f"{name}-")
        if data.space.is_grid:
            assert len(data) == info.size

    def test_observations_have_the_promised_shape_and_type(self, name: str, loaded: dict[str, DataSet]) -> None:
        data = loaded[name]
        draws = sampled(data)
        observations = data.observations(draws.factors, draws.nuisance)
        assert observations.shape == (12, *data.observation_shape)
        is_image = len(data.observation_shape) == 3
        assert observations.dtype == np.uint8 if is_image else observations.dtype.kind == "f"
        assert len(np.unique(observations.reshape(12, -1), axis=0)) > 6
        assert data.observations(draws.factors[:0], draws.nuisance[:0]).shape == (0, *data.observation_shape)

    def test_they_do_not_depend_on_order_or_batch(self, name: str, loaded: dict[str, DataSet]) -> None:
        data = loaded[name]
        draws = sampled(data)
        together = data.observations(draws.factors, draws.nuisance)
        again = np.concatenate(
            [data.observations(draws.factors[i : i + 1], draws.nuisance[i : i + 1]) for i in range(11, -1, -1)]
        )
        assert np.array_equal(together, again[::-1])

    def test_another_process_renders_the_same(self, name: str, loaded: dict[str, DataSet]) -> None:
        data = loaded[name]
        draws = sampled(data, 4)
        sent = pickle.dumps(data)
        assert len(sent) < 100_000
        assert np.array_equal(
            pickle.loads(sent).observations(draws.factors, draws.nuisance),
            data.observations(draws.factors, draws.nuisance),
        )

    def test_the_nuisance_changes_observations_where_there_is_one(self, name: str, loaded: dict[str, DataSet]) -> None:
        data = loaded[name]
        factors = sampled(data, 3).factors
        nuisance = np.arange(100, 103, dtype=np.uint64)
        one, other = data.observations(factors, nuisance), data.observations(factors, nuisance + np.uint64(3))
        assert np.array_equal(one, other) == (not data.nuisances)

    def test_every_factor_changes_the_observation(self, name: str, loaded: dict[str, DataSet]) -> None:
        data = loaded[name]
        draws = sampled(data, 40)
        base = data.observations(draws.factors, draws.nuisance)
        for position, factor in enumerate(data.space):
            changed = draws.factors.copy()
            if factor.size is None:
                changed[:, position] += 0.5
            else:
                changed[:, position] = (changed[:, position] + max(1, factor.size // 3)) % factor.size
            moved = data.observations(changed, draws.nuisance) != base
            assert moved.reshape(40, -1).any(axis=1).mean() > 0.8, factor.name

    def test_declared_symmetries_give_identical_images(self, name: str, loaded: dict[str, DataSet]) -> None:
        data = loaded[name]
        rng = np.random.default_rng(1)
        for symmetry in data.symmetries[:20]:
            for images in images_of(data, symmetry, rng):
                assert all(np.array_equal(images[0], image) for image in images[1:]), symmetry

    def test_wrong_factors_are_refused(self, name: str, loaded: dict[str, DataSet]) -> None:
        data = loaded[name]
        wrong = sampled(data, 1).factors
        with pytest.raises(InvalidInputError, match="shape"):
            data.observations(wrong[:, :-1])
        discrete = [k for k, factor in enumerate(data.space) if factor.size is not None]
        if discrete:
            wrong[0, discrete[0]] = data.space.factors[discrete[0]].size or 0
            with pytest.raises(InvalidInputError, match="must"):
                data.observations(wrong)

    def test_a_path_or_an_unknown_option_is_refused(self, name: str) -> None:
        if name != "dsprites":  # whose file may be given
            with pytest.raises(InvalidInputError):
                dm.load_dataset(f"{name}:/nowhere/file.npz")
        with pytest.raises(InvalidInputError, match="no option 'colour_of_the_moon'"):
            dm.load_dataset(f"{name}?colour_of_the_moon=blue")

    def test_the_codes_of_an_encoder_carry_its_factors(self, name: str, loaded: dict[str, DataSet]) -> None:
        data = loaded[name]
        representation = dm.encode("baseline:factors", data, n_samples=64, seed=2)
        assert representation.space == data.space
        assert len(representation) == 64


def images_of(data: DataSet, symmetry: Symmetry, rng: np.random.Generator) -> list[list[np.ndarray]]:
    contexts = data.sample_factors(3, rng)
    nuisance = data.sample_nuisance(contexts, rng) if data.nuisances else None
    for factor, indices in symmetry.given.items():
        contexts[:, data.space.position(factor)] = rng.choice(indices, size=3)
    by_value = []
    for index in symmetry.same:
        contexts[:, data.space.position(symmetry.factor)] = index
        by_value.append(data.observations(contexts, nuisance))
    return [[images[i] for images in by_value] for i in range(3)]


def test_listing_them_imports_no_slow_library() -> None:
    slow = {"sklearn.datasets", "matplotlib", "PIL.Image", "torch", "pandas", "polars", "pooch", "requests"}
    program = (
        "import sys; from disentmetrics.datasets import list_datasets; list_datasets(); "
        f"print(*sorted({slow} & set(sys.modules)))"
    )
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert process.stdout.strip() == ""


def test_each_is_registered_under_the_name_in_its_description() -> None:
    assert {name: entry.info().name for name, entry in find_datasets().items()} == {name: name for name in INFOS}
