import hashlib
import pickle
from colorsys import rgb_to_hsv
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray

from disentmetrics.datasets import load_dataset
from disentmetrics.datasets.catalog import rooms
from disentmetrics.datasets.catalog.rooms import Rooms, hue_colours
from disentmetrics.errors import InvalidInputError, StorageError

SIZES = (10, 10, 10, 8, 4, 15)
FLOOR, WALL, OBJECT, SCALE, SHAPE, ORIENTATION = range(6)
combinations = st.tuples(*(st.integers(0, size - 1) for size in SIZES))


@pytest.fixture(scope="module")
def data() -> Rooms:
    return Rooms(32)


def all_views() -> NDArray[np.int64]:
    """Return the factors of each view once, in fixed and different hues of floor, wall and object."""
    indices = Rooms.space.indices_of(np.arange(480))
    indices[:, FLOOR], indices[:, WALL], indices[:, OBJECT] = 0, 3, 7
    return indices


def changed(data: Rooms, factor: int, start: tuple[int, ...] = (0, 5, 7, 4, 2, 7)) -> NDArray[np.int64]:
    """Return the differences per pixel between images of consecutive values of a factor."""
    indices = np.repeat(np.array([start]), SIZES[factor], axis=0)
    indices[:, factor] = np.arange(SIZES[factor])
    images = data.observations(indices).astype(np.int64)
    return np.asarray(np.abs(np.diff(images, axis=0)).max(axis=3))


def test_the_space_is_that_of_3d_shapes() -> None:
    space = Rooms.space
    assert space.names == ("floor_hue", "wall_hue", "object_hue", "scale", "shape", "orientation")
    assert space.sizes == SIZES
    assert [factor.kind for factor in space] == [*["circular"] * 3, "ordinal", "categorical", "ordinal"]
    assert np.allclose(space["orientation"].values, np.linspace(-30, 30, 15))
    assert np.allclose(space["scale"].values, np.linspace(0.75, 1.25, 8))
    assert space["shape"].values == ("cube", "cylinder", "sphere", "capsule")
    assert len(Rooms()) == 480_000


def test_images_are_rgb_of_the_given_size() -> None:
    for size in (32, 64, 128):
        images = Rooms(size).observations([[0, 1, 2, 3, 2, 5]] * 2)
        assert (images.shape, images.dtype.name) == ((2, size, size, 3), "uint8")


def test_the_hues_are_evenly_spaced_around_the_colour_wheel_from_red() -> None:
    hues, saturations, values = zip(*(rgb_to_hsv(*colour) for colour in (hue_colours() / 255).tolist()), strict=True)
    assert np.allclose(hues, np.arange(10) / 10, atol=0.002)
    assert max(saturations) - min(saturations) < 0.01
    assert set(values) == {1}


@pytest.mark.parametrize(
    ("factor", "row", "column"), [(FLOOR, 28, 4), (WALL, 10, 4), (OBJECT, 16, 16)], ids=["floor", "wall", "object"]
)
def test_a_hue_affects_its_part_of_the_room_and_nothing_else(data: Rooms, factor: int, row: int, column: int) -> None:
    parts = {"floor": (28, 4), "wall": (10, 4), "object": (16, 16), "sky": (1, 1)}
    differences = changed(data, factor)
    for pixel in parts.values():
        assert (differences[:, *pixel] > 40).all() == (pixel == (row, column))
        assert differences[:, *pixel].any() == (pixel == (row, column))


@pytest.mark.parametrize("factor", [FLOOR, WALL, OBJECT])
def test_a_hue_is_visible_in_every_view(data: Rooms, factor: int) -> None:
    before = all_views()
    after = before.copy()
    after[:, factor] += 1
    difference = np.abs(data.observations(after).astype(np.int64) - data.observations(before)).max(axis=3)
    assert ((difference > 20).sum(axis=(1, 2)) > 50).all()


def test_all_views_differ(data: Rooms) -> None:
    images = data.observations(all_views())
    assert len({image.tobytes() for image in images}) == 480


@pytest.mark.parametrize("shape", range(4))
@pytest.mark.parametrize("factor", [SCALE, ORIENTATION])
def test_neighbouring_scales_and_orientations_differ_in_many_pixels(data: Rooms, factor: int, shape: int) -> None:
    differences = changed(data, factor, (0, 5, 7, 4, shape, 7))
    assert ((differences > 10).sum(axis=(1, 2)) > 20).all()


def test_objects_grow_with_scale(data: Rooms) -> None:
    for shape in range(4):
        covered = [
            (
                np.abs(np.diff(data.observations([[0, 5, hue, scale, shape, 7] for hue in (2, 7)]).astype(int), axis=0))
                > 9
            )
            .any(axis=3)
            .sum()
            for scale in range(8)
        ]
        assert all(small < large for small, large in pairwise(covered))


@settings(max_examples=20)
@given(st.lists(combinations, min_size=1, max_size=20))
def test_an_image_does_not_depend_on_its_batch(data: Rooms, drawn: list[tuple[int, ...]]) -> None:
    indices = np.array(drawn)
    together = data.observations(indices)
    assert np.array_equal(np.concatenate([data.observations(one[None]) for one in indices]), together)
    assert np.array_equal(data.observations(indices[::-1]), together[::-1])


def test_no_images_are_an_empty_batch(data: Rooms) -> None:
    assert data.observations(np.empty((0, 6), int)).shape == (0, 32, 32, 3)


def test_the_nuisance_has_no_effect(data: Rooms) -> None:
    images = data.observations([[1, 2, 3, 4, 0, 6]] * 3, np.array([0, 1, 2**63], np.uint64))
    assert (images == images[0]).all()
    assert data.nuisances == ()


def test_a_fixed_subset_is_the_same_on_every_machine() -> None:
    images = Rooms().observations(Rooms.space.indices_of(np.arange(0, 480_000, 9973)))
    assert hashlib.sha256(images.data).hexdigest() == "d20cbfbd2b95b9fe5df7553b9f9e22c42edbe4a0562a818540bfd5e30141ac8b"


def test_all_views_are_the_same_on_every_machine(data: Rooms) -> None:
    images = data.observations(all_views())
    assert hashlib.sha256(images.data).hexdigest() == "ad2365f6dc7a5b25657fdf323eb91f0590a56ce149836bfc7eaed6593ae83d88"


def test_another_process_gets_the_data_set_without_its_views(data: Rooms) -> None:
    data.observations([[0] * 6])
    sent = pickle.dumps(data)
    assert len(sent) < 500
    received = pickle.loads(sent)
    assert received.fingerprint == data.fingerprint
    assert np.array_equal(received.observations([[1] * 6]), data.observations([[1] * 6]))


def test_the_cache_gives_the_same_images(data: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = data.observations(all_views())
    data.prepare()
    monkeypatch.setattr(rooms, "trace", None)
    assert np.array_equal(Rooms(32).observations(all_views()), drawn)


def test_without_a_usable_cache_images_are_made_all_the_same(
    data: Rooms, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("folder") / "file"
    file.touch()
    monkeypatch.setenv("DISENTMETRICS_CACHE", str(file))
    fresh = Rooms(32)
    with pytest.raises(StorageError):
        fresh.prepare()
    assert np.array_equal(fresh.observations([[1] * 6]), data.observations([[1] * 6]))


@pytest.mark.parametrize(
    ("indices", "complaint"),
    [
        ([[10, 0, 0, 0, 0, 0]], "'floor_hue' must lie in 0 .. 9"),
        ([[0, 0, 0, 0, 0, -1]], "'orientation' must lie in 0 .. 14"),
        ([[0, 0, 0, 0, 0]], r"shape \(n, 6\)"),
        ([[0.5, 0, 0, 0, 0, 0]], "integers"),
    ],
)
def test_wrong_indices_are_refused(data: Rooms, indices: list[list[int]], complaint: str) -> None:
    with pytest.raises(InvalidInputError, match=complaint):
        data.observations(indices)


def test_the_size_is_an_option_and_part_of_the_name() -> None:
    assert load_dataset("rooms").fingerprint == load_dataset("rooms?size=64").fingerprint == "rooms-1"
    small = load_dataset("rooms?size=32")
    assert (small.fingerprint, small.observation_shape) == ("rooms-1-32", (32, 32, 3))


@pytest.mark.parametrize("spec", ["rooms?size=48", "rooms?size=large", "rooms?size=", "rooms:file.h5"])
def test_other_sizes_and_paths_are_refused(spec: str) -> None:
    with pytest.raises(InvalidInputError, match=r"32 or 64 or 128|got the path 'file\.h5'"):
        load_dataset(spec)


def test_the_info_agrees_with_the_data_set(data: Rooms) -> None:
    info = rooms.info()
    assert (info.name, info.space, info.symmetries) == (data.name, data.space, data.symmetries)
    assert (info.offline, info.licence, info.size) == (True, "Apache-2.0", 480_000)
    assert "3D Shapes" in info.citation


@pytest.mark.slow
def test_all_images_differ_and_have_the_frozen_hash() -> None:
    data = Rooms()
    digest, distinct = hashlib.sha256(), set[bytes]()
    for start in range(0, len(data), 4800):
        images = data.observations(data.space.indices_of(np.arange(start, start + 4800)))
        digest.update(images.data)
        distinct.update(hashlib.blake2b(image.data, digest_size=16).digest() for image in images)
    assert len(distinct) == 480_000
    assert digest.hexdigest() == "8af5eaf30456964d4c479eb965a90aaff61258d10d97e131711ffaac0725c681"
