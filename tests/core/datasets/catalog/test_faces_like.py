import hashlib
import pickle
from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from disentmetrics.datasets.catalog import faces_like
from disentmetrics.datasets.catalog.faces_like import FacesLike, info, load
from disentmetrics.datasets.nuisance import choice
from disentmetrics.datasets.registry import load_dataset
from disentmetrics.datasets.rendering.heads import traits
from disentmetrics.datasets.rendering.point_clouds import Cloud, view
from disentmetrics.errors import InvalidInputError, StorageError

GRID = (50, 21, 11, 11)


@pytest.fixture(scope="module")
def people() -> FacesLike:
    """Return one shared data set, so that views are rendered once."""
    return load(identity="factor")


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> NDArray[np.int64]:
    """Return all factors of a grid small enough to fill the cache: two people, two azimuths, three elevations."""
    monkeypatch.setattr(faces_like, "_VIEWS", (2, 2, 3))
    return np.stack(np.meshgrid([0, 1], [0, 1], [0, 1, 2], [0, 4, 10], indexing="ij"), axis=-1).reshape(-1, 4)


def random_factors(n: int, n_people: int = 3) -> NDArray[np.int64]:
    rng = np.random.default_rng(n)
    return np.stack([rng.integers(size, size=n) for size in (n_people, *GRID[1:])], axis=1)


def recording(calls: list[tuple[float, float]]) -> Callable[..., NDArray[np.uint8]]:
    """Return a ``view`` that appends its angles to ``calls``."""

    def recorded_view(cloud: Cloud, azimuth: float, elevation: float) -> NDArray[np.uint8]:
        calls.append((azimuth, elevation))
        return view(cloud, azimuth, elevation)

    return recorded_view


def test_the_design_is_that_of_3d_faces() -> None:
    data, with_identity = load(), load(identity="factor")
    assert [(f.name, f.size, f.kind) for f in data.space] == [
        ("azimuth", 21, "ordinal"),
        ("elevation", 11, "ordinal"),
        ("lighting", 11, "ordinal"),
    ]
    assert with_identity.space.factors[1:] == data.space.factors
    assert (with_identity.space["identity"].size, with_identity.space["identity"].kind) == (50, "categorical")
    assert (len(data), len(with_identity)) == (2541, 127_050)
    assert (data.nuisances, with_identity.nuisances) == (("identity",), ())
    assert (data.fingerprint, with_identity.fingerprint) == ("faces-like-1", "faces-like-identity-1")
    assert data.space["azimuth"].values[::10] == (-90, 0, 90)
    assert data.space["elevation"].values[::5] == (-30, 0, 30)
    assert data.space["lighting"].values[::5] == (-75, 0, 75)


def test_the_info_agrees_with_the_data_set() -> None:
    described = info()
    assert (described.name, described.offline, described.licence) == ("faces-like", True, "Apache-2.0")
    assert described.space == load().space
    assert described.nuisances == ("identity",)
    assert described.symmetries == load().symmetries == ()


def test_identity_is_an_option_of_the_spec() -> None:
    assert load_dataset("faces-like").fingerprint == "faces-like-1"
    assert load_dataset("faces-like?identity=factor").fingerprint == "faces-like-identity-1"
    with pytest.raises(InvalidInputError, match="nuisance or factor; got 'maybe'"):
        load_dataset("faces-like?identity=maybe")
    with pytest.raises(InvalidInputError, match="reads no file; got the path faces.pth"):
        load_dataset("faces-like:faces.pth")


def test_images_are_grey_on_a_black_background(people: FacesLike) -> None:
    images = people.observations(random_factors(20))
    assert images.shape == (20, 64, 64, 1)
    assert images.dtype == np.uint8
    assert not images[:, 0].any()
    assert not images[:, :, [0, -1]].any()
    covered = (images > 0).mean(axis=(1, 2, 3))
    assert ((covered > 0.3) & (covered < 0.7)).all()
    assert (images.max(axis=(1, 2, 3)) > 120).all()


def test_no_images_are_an_empty_batch(people: FacesLike) -> None:
    assert people.observations(np.empty((0, 4), int)).shape == (0, 64, 64, 1)


def test_bad_indices_are_refused(people: FacesLike) -> None:
    for bad in ([[50, 0, 0, 0]], [[0, 21, 0, 0]], [[0, 0, 11, 0]], [[0, 0, 0, 11]], [[0, 0, 0, -1]], [[0, 0, 0]]):
        with pytest.raises(InvalidInputError):
            people.observations(bad)


def test_an_image_does_not_depend_on_its_batch(people: FacesLike) -> None:
    factors = random_factors(60)
    together = people.observations(factors)
    assert np.array_equal(people.observations(factors[::-1]), together[::-1])
    fresh = load(identity="factor")
    one_by_one = np.concatenate([fresh.observations(one[None]) for one in factors[:15]])
    assert np.array_equal(one_by_one, together[:15])


def test_every_factor_changes_every_image(people: FacesLike) -> None:
    factors = random_factors(12)
    for column, size in enumerate((3, *GRID[1:])):
        every = np.repeat(factors[:3], size, axis=0)
        every[:, column] = np.tile(np.arange(size), 3)
        images = people.observations(every)
        assert len({image.tobytes() for image in images}) == len({tuple(row) for row in every.tolist()})


def test_neighbouring_values_differ_visibly_but_little(people: FacesLike) -> None:
    factors = random_factors(12) // [1, 2, 2, 2] * [1, 2, 2, 2]
    factors[:, 1:] = np.minimum(factors[:, 1:], [18, 8, 8])
    images = people.observations(factors).astype(int)
    for column in (1, 2, 3):
        step = np.zeros(4, int)
        step[column] = 1
        near = np.abs(people.observations(factors + step).astype(int) - images).mean(axis=(1, 2, 3))
        far = np.abs(people.observations(factors + 2 * step).astype(int) - images).mean(axis=(1, 2, 3))
        assert (near > 0.5).all()
        assert (far > near).mean() > 0.9


def test_azimuth_turns_the_face_to_the_right_and_light_comes_from_the_right(people: FacesLike) -> None:
    columns = np.arange(64) - 31.5

    def centre_of_brightness(azimuth: int, lighting: int) -> float:
        image = people.observations([[0, azimuth, 5, lighting]])[0, ..., 0].astype(float)
        return float((image * columns).sum() / image.sum())

    lit_from_left_to_right = [centre_of_brightness(10, lighting) for lighting in range(11)]
    assert (np.diff(lit_from_left_to_right) > 0).all()
    assert abs(lit_from_left_to_right[5]) < 0.2
    faces = people.observations([[0, azimuth, 5, 5] for azimuth in (4, 16)])[..., 0].astype(int)
    face_is_brighter_than_hair = [(face[26:44] * columns).sum() for face in faces]
    assert face_is_brighter_than_hair[0] < 0 < face_is_brighter_than_hair[1]


def test_elevation_shows_more_of_the_hair(people: FacesLike) -> None:
    dark_haired = int(np.argmin([traits(number).hair - traits(number).skin for number in range(50)]))
    images = people.observations([[dark_haired, 10, elevation, 5] for elevation in (0, 5, 10)])[..., 0]
    hair = [int(((image > 0) & (image < 110))[:40].sum()) for image in images]
    assert hair[0] < hair[1] < hair[2]


def test_mirrored_azimuth_and_light_give_the_mirrored_image(people: FacesLike) -> None:
    one, other = people.observations([[1, 6, 4, 2], [1, 14, 4, 8]])[..., 0].astype(int)
    assert np.abs(one - other[:, ::-1]).mean() < 0.5
    assert np.abs(one - other).mean() > 10


def test_the_nuisance_selects_the_identity_and_nothing_else(people: FacesLike) -> None:
    data = load()
    nuisance = np.arange(400, dtype=np.uint64)
    person = choice(nuisance, 50)
    nuisance, person = nuisance[person < 3], person[person < 3]
    assert len(set(person.tolist())) == 3
    factors = random_factors(len(nuisance))[:, 1:]
    expected = people.observations(np.column_stack([person, factors]))
    assert np.array_equal(data.observations(factors, nuisance), expected)
    assert np.array_equal(people.observations(random_factors(5), np.arange(5)), people.observations(random_factors(5)))


def test_identities_are_equally_likely() -> None:
    draws = load().sample(50_000, np.random.default_rng(0))
    counts = np.bincount(choice(draws.nuisance, 50), minlength=50)
    assert ((counts - 1000) ** 2 / 1000).sum() < 85  # the 99.9 % quantile of chi-squared with 49 degrees of freedom


def test_another_process_gets_the_data_set_without_its_images() -> None:
    for identity in ("nuisance", "factor"):
        data = load(identity=identity)
        expected = data.observations(np.zeros((1, len(data.space)), int))
        sent = pickle.dumps(data)
        assert len(sent) < 1000
        received = pickle.loads(sent)
        assert received.fingerprint == data.fingerprint
        assert np.array_equal(received.observations(np.zeros((1, len(data.space)), int)), expected)


def test_a_view_is_rendered_once_for_all_lights(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[float, float]] = []
    monkeypatch.setattr(faces_like, "view", recording(calls))
    data = load(identity="factor")
    for lighting in range(11):
        data.observations([[0, 3, 2, lighting], [0, 3, 2, lighting], [0, 3, 4, lighting]])
    assert calls == [(-63, -18), (-63, -6)]


def test_prepared_images_equal_those_rendered_on_demand(
    few: NDArray[np.int64], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn, prepared = load(identity="factor"), load(identity="factor")
    expected = drawn.observations(few)
    prepared.prepare()
    calls: list[tuple[float, float]] = []
    monkeypatch.setattr(faces_like, "view", recording(calls))
    assert np.array_equal(prepared.observations(few), expected)
    again = load(identity="factor")
    monkeypatch.delattr(faces_like, "locked")  # the folder may be read-only
    again.prepare()
    again.prepare()
    assert np.array_equal(again.observations(few), expected)
    assert calls == []


def test_both_values_of_identity_share_the_cache(
    few: NDArray[np.int64], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load().prepare()
    calls: list[tuple[float, float]] = []
    monkeypatch.setattr(faces_like, "view", recording(calls))
    load(identity="factor").prepare()
    assert calls == []
    files = [path.name for path in (cache / "datasets").iterdir() if path.suffix == ".views"]
    assert files == ["faces-like-1.views"]


def test_an_existing_cache_is_opened_after_some_views(few: NDArray[np.int64], monkeypatch: pytest.MonkeyPatch) -> None:
    load().prepare()
    calls: list[tuple[float, float]] = []
    monkeypatch.setattr(faces_like, "view", recording(calls))
    monkeypatch.setattr(faces_like, "_OPEN_CACHE_AFTER", 3)
    data = load(identity="factor")
    one_by_one = [data.observations(one[None]) for one in few]
    assert len(calls) == 2
    assert np.array_equal(np.concatenate(one_by_one), load(identity="factor").observations(few))


def test_an_altered_cache_is_rendered_again(few: NDArray[np.int64], cache: Path) -> None:
    expected = load(identity="factor").observations(few)
    load().prepare()
    path = cache / "datasets" / "faces-like-1.views"
    content = bytearray(path.read_bytes())
    content[5000] ^= 1
    path.write_bytes(content)
    data = load(identity="factor")
    data.prepare()
    assert np.array_equal(data.observations(few), expected)
    content[5000] ^= 1
    assert path.read_bytes() == bytes(content)


def test_without_a_writable_cache_images_are_rendered(few: NDArray[np.int64], cache: Path) -> None:
    cache.write_text("a file where a folder should be")
    data = load(identity="factor")
    with pytest.raises(StorageError, match="cannot be written"):
        data.prepare()
    assert np.array_equal(data.observations(few), load(identity="factor").observations(few))


def test_a_fixed_subset_is_the_same_on_every_machine(people: FacesLike) -> None:
    assert (
        hashlib.sha256(people.observations(random_factors(60)).data).hexdigest()
        == "83e9716b05314f4a489beeec09741b7f5c0830778269542f5b8ad7832a06c0db"
    )
    others = np.stack([np.arange(20, 50, 6), np.arange(0, 20, 4), np.arange(5), np.arange(5)], axis=1)
    assert (
        hashlib.sha256(people.observations(others).data).hexdigest()
        == "df155e80e0f59fe657e2b789af615bac9c67d4624b4fc5de334d5b99844ab665"
    )


def test_the_parameters_of_the_heads_are_frozen() -> None:
    rounded = np.round([astuple(traits(number)) for number in range(50)], 6)
    assert (
        hashlib.sha256(rounded.astype("<f8").data).hexdigest()
        == "8a80927341f7c8845e25a0a70b2a03538c8dfb8c0f581c407ba5f4a357ab05bd"
    )


@pytest.mark.slow
def test_all_images_are_distinct_and_have_the_frozen_hash(cache: Path) -> None:
    data = load(identity="factor")
    data.prepare()
    assert (cache / "datasets" / "faces-like-1.views").stat().st_size == 141_926_432
    digest, distinct = hashlib.sha256(), set[bytes]()
    for start in range(0, len(data), 1155):
        images = data.observations(data.space.indices_of(np.arange(start, start + 1155)))
        digest.update(images.data)
        distinct.update(hashlib.blake2b(image.data, digest_size=16).digest() for image in images)
    assert len(distinct) == 127_050
    assert digest.hexdigest() == "5bb9bb94239a892af48529d2a7244b33cc998c580750a0b5459030a9fbafbbf1"
