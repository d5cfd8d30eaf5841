import hashlib
import pickle

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray

from disentmetrics.datasets import load_dataset
from disentmetrics.datasets.catalog import scenes
from disentmetrics.datasets.catalog.scenes import COLOURS, IDENTITIES, Scenes
from disentmetrics.errors import InvalidInputError

WALL, FLOOR, OBJECT, IDENTITY = range(4)
PIXELS = {WALL: (11, 16), FLOOR: (30, 3), OBJECT: (17, 16)}


@pytest.fixture(scope="module")
def data() -> Scenes:
    return Scenes(16, 8, 32)


def at(image: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    return np.asarray(image[PIXELS[factor]])


def nuisances(n: int) -> NDArray[np.uint64]:
    return np.arange(n, dtype=np.uint64)


def test_the_default_is_small_and_scan_has_51_symbols() -> None:
    assert Scenes().space.names == ("wall_colour", "floor_colour", "object_colour", "object_identity")
    assert Scenes().space.sizes == (4, 4, 4, 3)
    assert {factor.kind for factor in Scenes().space} == {"categorical"}
    scan = load_dataset("scenes?colours=16&identities=3")
    assert isinstance(scan, Scenes)
    assert scan.space.sizes == (16, 16, 16, 3)
    assert len(scan.attribute_names) == 51


def test_attributes_are_named_after_factor_and_value() -> None:
    names = Scenes(2, 3).attribute_names
    assert names == (
        "wall red", "wall green", "floor red", "floor green", "object red", "object green",
        "object cube", "object sphere", "object cone",
    )  # fmt: skip


def test_attributes_are_k_hot() -> None:
    data = Scenes(3, 2)
    assert data.attributes([[2, 0, 1, 1]]).tolist() == [[0, 0, 1, 1, 0, 0, 0, 1, 0, 0, 1]]
    attributes = data.attributes(data.full_grid().factors)
    assert attributes.dtype == np.uint8
    assert attributes.shape == (54, 11)
    assert (attributes.sum(axis=1) == 4).all()
    assert len(np.unique(attributes, axis=0)) == 54
    assert data.attributes(np.empty((0, 4), int)).shape == (0, 11)


def test_attributes_of_wrong_factors_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="'object_identity' must lie in 0 .. 2"):
        Scenes().attributes([[0, 0, 0, 3]])


def test_attributes_determine_the_factors(data: Scenes) -> None:
    factors = data.sample_factors(200, np.random.default_rng(0))
    attributes = data.attributes(factors)
    blocks = np.split(attributes, np.cumsum(data.space.sizes)[:-1], axis=1)
    assert np.array_equal(np.stack([block.argmax(axis=1) for block in blocks], axis=1), factors)


def test_colours_are_well_separated() -> None:
    colours = np.array(list(COLOURS.values()))
    distances = np.abs(colours[:, None] - colours).sum(axis=2)
    assert distances[~np.eye(16, dtype=bool)].min() > 90
    assert distances[:4, :4][~np.eye(4, dtype=bool)].min() > 200


@pytest.mark.parametrize("factor", [WALL, FLOOR])
def test_walls_and_floors_have_nearly_the_named_colour(data: Scenes, factor: int) -> None:
    palette = np.array(list(COLOURS.values()))
    for colour, rgb in enumerate(palette):
        factors = [0, 0, 0, 1]
        factors[factor] = colour
        image = data.observations([factors], [0])[0]
        distances = np.abs(image.reshape(-1, 1, 3).astype(int) - palette).sum(axis=2)
        assert (distances.argmin(axis=1) == colour).sum() > 60
        assert np.abs(at(image, factor).astype(int) - rgb).max() < 45


@pytest.mark.parametrize("factor", [WALL, FLOOR, OBJECT])
def test_a_colour_affects_its_part_and_nothing_else(data: Scenes, factor: int) -> None:
    factors = np.array([[0, 1, 2, 4]] * 16)
    factors[:, factor] = np.arange(16)
    images = data.observations(factors, np.zeros(16, np.uint64))
    for part in PIXELS:
        colours = {at(image, part).tobytes() for image in images}
        assert len(colours) == (16 if part == factor else 1)
    assert (images[:, 0] == images[0, 0]).all()


def test_all_combinations_differ_under_every_nuisance() -> None:
    data = Scenes(3, 8, 32)
    factors = data.full_grid().factors
    for nuisance in (0, 5):
        images = data.observations(factors, np.full(len(factors), nuisance))
        assert len({image.tobytes() for image in images}) == len(factors)


@pytest.mark.parametrize("identity", range(len(IDENTITIES)), ids=IDENTITIES)
def test_the_nuisance_draws_camera_and_rotation(data: Scenes, identity: int) -> None:
    images = data.observations([[8, 9, 5, identity]] * 1000, nuisances(1000))
    distinct, counts = np.unique(images.reshape(1000, -1), axis=0, return_counts=True)
    n_rotations = 6 if IDENTITIES[identity] in {"cube", "torus", "pyramid", "octahedron"} else 1
    expected = 1000 / (27 * n_rotations)
    assert 0.95 * 27 * n_rotations < len(distinct) <= 27 * n_rotations
    chi_square = ((counts - expected) ** 2 / expected).sum() + expected * (27 * n_rotations - len(distinct))
    degrees = 27 * n_rotations - 1
    assert chi_square < degrees + 4 * (2 * degrees) ** 0.5


def test_colours_do_not_depend_on_the_nuisance(data: Scenes) -> None:
    images = data.observations([[3, 3, 3, 1]] * 30, nuisances(30))
    black = data.observations([[9, 9, 9, 1]] * 30, nuisances(30))
    assert not np.array_equal(images[0], images[1])
    assert (images[:, 0] == images[0, 0]).all()  # the sky
    assert (images >= black).all()


def test_the_same_nuisance_gives_the_same_camera_to_every_object(data: Scenes) -> None:
    images = data.observations([[0, 1, 2, identity] for identity in range(8)], [11] * 8)
    assert (images[:, :, :3] == images[0, :, :3]).all()


@settings(max_examples=20)
@given(
    st.lists(
        st.tuples(*(st.integers(0, size - 1) for size in (16, 16, 16, 8, 10))),
        min_size=1,
        max_size=20,
    )
)
def test_an_image_does_not_depend_on_its_batch(data: Scenes, drawn: list[tuple[int, ...]]) -> None:
    factors, nuisance = np.array(drawn)[:, :4], np.array(drawn)[:, 4]
    together = data.observations(factors, nuisance)
    for i in range(len(drawn)):
        assert np.array_equal(data.observations(factors[i : i + 1], nuisance[i : i + 1])[0], together[i])
    assert np.array_equal(data.observations(factors[::-1], nuisance[::-1]), together[::-1])


def test_a_fixed_subset_is_the_same_on_every_machine(data: Scenes) -> None:
    images = data.observations(data.space.indices_of(np.arange(0, 32_768, 131)), nuisances(251))
    assert (images.shape, images.dtype.name) == ((251, 32, 32, 3), "uint8")
    assert hashlib.sha256(images.data).hexdigest() == "e478bb8572cfd4438aec182dc0e28aece631721cc3002f692152fdd900c44bf6"
    default = Scenes()
    assert (
        hashlib.sha256(default.observations(default.full_grid().factors[::5]).data).hexdigest()
        == "785c35f968d9e3c89572b1c59c6599212f6223f583af3117bc6d1134dc54080a"
    )


def test_another_process_gets_the_data_set_without_its_views(data: Scenes) -> None:
    sent = pickle.dumps(data)
    assert len(sent) < 500
    received = pickle.loads(sent)
    assert received.fingerprint == data.fingerprint
    assert np.array_equal(received.observations([[1] * 4]), data.observations([[1] * 4]))


def test_the_cache_gives_the_same_images(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = Scenes(size=32).observations([[0, 1, 2, 0]] * 40, nuisances(40))
    Scenes(size=32).prepare()
    monkeypatch.setattr(scenes, "trace", None)
    assert np.array_equal(Scenes(size=32).observations([[0, 1, 2, 0]] * 40, nuisances(40)), drawn)
    assert Scenes(5, size=32).observations([[4, 4, 4, 2]]).any()  # views do not depend on the number of colours


def test_options_are_part_of_the_name() -> None:
    assert load_dataset("scenes").fingerprint == load_dataset("scenes?colours=4&size=64").fingerprint == "scenes-1"
    assert load_dataset("scenes?identities=5").fingerprint == "scenes-1-4-5-64"
    assert load_dataset("scenes", colours=9, size=32).fingerprint == "scenes-1-9-3-32"


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ("scenes?colours=17", "colours must be an integer from 2 to 16"),
        ("scenes?colours=1", "colours must be an integer from 2 to 16"),
        ("scenes?identities=9", "identities must be an integer from 2 to 8"),
        ("scenes?identities=cube", "identities must be an integer from 2 to 8"),
        ("scenes?size=100", "size must be 32 or 64 or 128"),
        ("scenes:file.npz", r"got the path 'file\.npz'"),
    ],
)
def test_wrong_options_are_refused(spec: str, complaint: str) -> None:
    with pytest.raises(InvalidInputError, match=complaint):
        load_dataset(spec)


def test_the_info_describes_the_default_options() -> None:
    info, data = scenes.info(), Scenes()
    assert (info.name, info.space, info.nuisances) == (data.name, data.space, data.nuisances)
    assert (info.symmetries, info.offline, info.licence) == (data.symmetries, True, "Apache-2.0")
    assert "SCAN" in info.citation
