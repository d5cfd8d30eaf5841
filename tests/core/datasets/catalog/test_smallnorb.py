import gzip
import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from disentmetrics.datasets import load_dataset
from disentmetrics.datasets.arrays.resize import resized
from disentmetrics.datasets.catalog import smallnorb
from disentmetrics.datasets.published.dataset import Located
from disentmetrics.datasets.published.manifest import Manifest, ManifestFile, read_manifest
from disentmetrics.errors import CorruptFileError, DisentmetricsError, InvalidInputError
from disentmetrics.factors import Factor, FactorSpace

MAGIC = {"int32": 0x1E3D4C54, "uint8": 0x1E3D4C55, "float32": 0x1E3D4C51}
SIZES = (2, 4, 2, 3, 2)
INSTANCES = {"training": (1, 3), "testing": (0, 2)}
SIDE = 6
PAIRS = np.random.default_rng(0).integers(0, 256, (*SIZES, 2, SIDE, SIDE), dtype=np.uint8)


def norb(array: NDArray[Any]) -> bytes:
    """Return an array in the format of smallNORB: magic number, number of axes, at least three lengths, values."""
    lengths = [*array.shape, *[1] * (3 - array.ndim)]
    head = np.array([MAGIC[array.dtype.name], array.ndim, *lengths], "<i4")
    return head.tobytes() + np.ascontiguousarray(array).tobytes()


def contents(stem: str, *, shuffled: bool) -> dict[str, NDArray[Any]]:
    """Return pairs, categories and other labels of one split, the category varying fastest, or shuffled."""
    others = np.meshgrid(*[INSTANCES[stem], *map(range, SIZES[2:]), range(SIZES[0])], indexing="ij")
    instance, elevation, azimuth, lighting, category = (axis.ravel() for axis in others)
    order = np.random.default_rng(1).permutation(len(category)) if shuffled else np.arange(len(category))
    labels = np.stack([instance, elevation, 2 * azimuth, lighting], axis=1).astype(np.int32)
    pairs = PAIRS[category, instance, elevation, azimuth, lighting]
    return {"dat": pairs[order], "cat": category[order].astype(np.int32), "info": labels[order]}


def small_space() -> FactorSpace:
    factors = []
    for factor, size in zip(read_manifest("smallnorb").space, SIZES, strict=True):
        factors.append(Factor(factor.name, size, factor.kind, factor.values[:size]))
    return FactorSpace(factors)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "small NORB"
    folder.mkdir()
    return folder


Write = Callable[..., Manifest]


@pytest.fixture
def write(
    folder: Path, monkeypatch: pytest.MonkeyPatch, published: Callable[[ManifestFile, Path], ManifestFile]
) -> Write:
    """Return a function that writes the six files, some contents changed, and publishes them."""

    def write_files(**changed: Any) -> Manifest:
        files = []
        for file in read_manifest("smallnorb").files:
            stem, content = file.part.split("-")
            array = contents(stem, shuffled=stem == "training")[content]
            raw = changed.get(file.part.replace("-", "_"), array)
            raw = norb(raw) if isinstance(raw, np.ndarray) else raw
            path = folder / file.name
            path.write_bytes(gzip.compress(raw, mtime=0))
            files.append(replace(published(file, path), content_sha256=hashlib.sha256(raw).hexdigest()))
        manifest = replace(read_manifest("smallnorb"), space=small_space(), shape=(SIDE, SIDE, 1), files=tuple(files))
        monkeypatch.setattr(smallnorb, "read_manifest", lambda _: manifest)
        return manifest

    return write_files


def full_grid() -> NDArray[np.int64]:
    return np.stack(np.unravel_index(np.arange(np.prod(SIZES)), SIZES), axis=1)


def expected(indices: NDArray[np.int64]) -> NDArray[np.uint8]:
    return np.asarray(PAIRS[(*indices.T, 0)][..., None])


def test_the_label_files_are_rebuilt_byte_for_byte() -> None:
    """The layout that the reader assumes reproduces the published hashes."""
    hashes = {file.part: file.content_sha256 for file in read_manifest("smallnorb").files}
    categories = norb(np.arange(24_300, dtype=np.int32) % 5)
    axes = np.meshgrid([0, 1, 2, 3, 5], range(9), range(0, 36, 2), range(6), range(5), indexing="ij")
    others = norb(np.stack([axis.ravel() for axis in axes[:4]], axis=1).astype(np.int32))
    assert hashlib.sha256(categories).hexdigest() == hashes["training-cat"] == hashes["testing-cat"]
    assert hashlib.sha256(others).hexdigest() == hashes["testing-info"]


def test_the_rebuilt_labels_form_the_grid_of_the_test_split(folder: Path) -> None:
    manifest = read_manifest("smallnorb")
    files = {file.part: file for file in manifest.files}
    axes = np.meshgrid([0, 1, 2, 3, 5], range(9), range(0, 36, 2), range(6), range(5), indexing="ij")
    arrays = {"testing-cat": axes[4].ravel()[:, None], "testing-info": np.stack([a.ravel() for a in axes[:4]], 1)}
    paths = {part: folder / part for part in arrays}
    for part, array in arrays.items():
        paths[part].write_bytes(norb(array.astype(np.int32)))
    located = Located(paths, files, "smallnorb")
    labels = smallnorb._labels(manifest, located, "testing")
    space, order = smallnorb._grid(manifest, labels, located)
    assert space.sizes == (5, 5, 9, 18, 6)
    assert space["instance"].values == ("0", "1", "2", "3", "5")
    assert np.array_equal(np.sort(order), np.arange(24_300))
    assert order[:2].tolist() == [0, 5]  # the next lighting is five rows further


def test_both_splits_form_the_full_grid_in_the_order_of_factors(write: Write, folder: Path) -> None:
    write()
    data = load_dataset(f"smallnorb:{folder}")
    assert (data.name, data.fingerprint) == ("smallnorb", "smallnorb-original-norb")
    assert data.observation_shape == (SIDE, SIDE, 1)
    assert data.space == small_space()
    assert np.array_equal(data.observations(full_grid()), expected(full_grid()))
    assert np.array_equal(data.observations(full_grid()[::-7]), expected(full_grid()[::-7]))


def test_unpacked_files_give_the_same_images(write: Write, folder: Path) -> None:
    for file in write().files:
        packed = folder / file.name
        packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
        packed.unlink()
    data = load_dataset(f"smallnorb:{folder}")
    assert data.fingerprint == "smallnorb-original-norb"
    assert np.array_equal(data.observations(full_grid()), expected(full_grid()))


def test_a_recompressed_file_counts_as_published(write: Write, folder: Path) -> None:
    for file in write().files:
        packed = folder / file.name
        packed.write_bytes(gzip.compress(gzip.decompress(packed.read_bytes()), compresslevel=1, mtime=99))
    assert load_dataset(f"smallnorb:{folder}").fingerprint == "smallnorb-original-norb"


@pytest.mark.parametrize(("split", "stem"), [("train", "training"), ("test", "testing")])
def test_a_split_needs_only_its_own_files(split: str, stem: str, write: Write, folder: Path) -> None:
    for file in write().files:
        if not file.part.startswith(stem):
            (folder / file.name).unlink()
    data = load_dataset(f"smallnorb:{folder}?split={split}")
    assert data.fingerprint == f"smallnorb-original-norb-{split}"
    assert data.space["instance"].values == tuple(str(i) for i in INSTANCES[stem])
    assert len(data) == 48
    indices = data.full_grid().factors
    images = data.observations(indices)
    indices[:, 1] = np.array(INSTANCES[stem])[indices[:, 1]]
    assert np.array_equal(images, expected(indices))
    with pytest.raises(InvalidInputError, match="must be a folder with smallnorb"):
        load_dataset(f"smallnorb:{folder}")


def test_the_available_split_is_suggested(write: Write, folder: Path) -> None:
    write()
    for path in folder.glob("*training*"):
        path.unlink()
    with pytest.raises(InvalidInputError, match="use split=test$"):
        load_dataset(f"smallnorb:{folder}")
    assert len(load_dataset(f"smallnorb:{folder}?split=test").space["instance"].values) == len(INSTANCES["testing"])


def test_the_instance_may_be_a_nuisance(write: Write, folder: Path) -> None:
    write()
    data = load_dataset(f"smallnorb:{folder}?nuisance=instance")
    assert data.space.names == ("category", "elevation", "azimuth", "lighting")
    assert data.nuisances == ("instance",)
    assert data.fingerprint == "smallnorb-original-norb+nuisance(instance)"
    indices = np.tile([[1, 0, 2, 1]], (400, 1))
    images = data.observations(indices, np.arange(400))[..., 0]
    toys = PAIRS[1, :, 0, 2, 1, 0]
    counts = (images[:, None] == toys).all(axis=(2, 3)).sum(axis=0)
    assert counts.sum() == 400
    assert (abs(counts - 100) < 4 * np.sqrt(400 * 3 / 16)).all()


def test_images_are_resized(write: Write, folder: Path) -> None:
    write()
    data = load_dataset(f"smallnorb:{folder}?size=4")
    assert data.fingerprint == "smallnorb-original-norb-4"
    assert data.observation_shape == (4, 4, 1)
    assert np.array_equal(data.observations(full_grid()), resized(expected(full_grid()), (4, 4)))
    assert load_dataset(f"smallnorb:{folder}", size=SIDE).fingerprint == "smallnorb-original-norb"


@pytest.mark.parametrize("option", ["split=valid", "size=7", "size=big"])
def test_wrong_options_are_refused(option: str, write: Write, folder: Path) -> None:
    write()
    with pytest.raises(InvalidInputError, match=f"option {option.split('=', maxsplit=1)[0]} must be"):
        load_dataset(f"smallnorb:{folder}?{option}")


@pytest.mark.parametrize("damage", ["altered", "truncated"])
@pytest.mark.parametrize("part", ["training-dat", "testing-info"])
def test_damaged_files_are_refused(damage: str, part: str, write: Write, folder: Path) -> None:
    (name,) = (file.name for file in write().files if file.part == part)
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content if damage == "altered" else content[:-9])
    with pytest.raises(CorruptFileError, match=f"{name}.*(sha256|bytes) .* found, .* expected.*verify=false"):
        load_dataset(f"smallnorb:{folder}")
    with pytest.raises(CorruptFileError):
        load_dataset(f"smallnorb:{folder}?verify=false")


TRAIN = contents("training", shuffled=True)
TEST = contents("testing", shuffled=False)


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        (
            {"training_dat": TRAIN["dat"][:, :1]},
            r"must contain pairs of images, uint8 of shape \(n, 2, 6, 6\); got uint8",
        ),
        ({"training_dat": TRAIN["dat"].astype(np.int32)}, "must contain pairs of images.*got int32"),
        ({"training_dat": TRAIN["dat"][:-1]}, "each image of smallnorb must have labels; got 95 and 96"),
        ({"training_dat": norb(TRAIN["dat"])[:-5]}, "5 bytes are missing"),
        ({"training_dat": norb(TRAIN["dat"]) + b"?"}, "more bytes than images"),
        ({"training_cat": TRAIN["cat"][:-1]}, "must label 47 images; it labels 48"),
        ({"training_cat": TRAIN["cat"].astype(np.float32)}, "must contain int32 labels, 1 per row; got float32"),
        ({"training_info": TRAIN["info"] + np.array([0, 0, 1, 0], np.int32)}, "azimuths even"),
        ({"training_info": TRAIN["info"] + np.array([9, 0, 0, 0], np.int32)}, r"indices below \(2, 4, 2, 3, 2\)"),
        ({"training_info": TEST["info"]}, "each combination of category x instance x"),
        ({"training_info": np.tile(TRAIN["info"][:1], (48, 1))}, "each combination of category x instance x"),
        (
            {"testing_cat": b"\x54\x4c\x3d\x1f" + norb(TEST["cat"])[4:]},
            "it does not start with the header of a smallNORB file",
        ),
        ({"testing_cat": norb(TEST["cat"])[:8] + b"\xff" * 12}, "lengths of axes must not be negative"),
        ({"testing_cat": norb(TEST["cat"])[:12]}, "bytes are missing"),
    ],
)
def test_another_layout_is_refused(changed: dict[str, Any], complaint: str, write: Write, folder: Path) -> None:
    write(**changed)
    with pytest.raises(CorruptFileError, match=complaint):
        load_dataset(f"smallnorb:{folder}?verify=false")


def test_unverified_files_have_a_distinct_fingerprint(write: Write, folder: Path) -> None:
    manifest = write()
    path = folder / manifest.files[0].name
    changed = TRAIN["dat"].copy()
    changed[0, 0, 0, 0] ^= 1
    path.write_bytes(gzip.compress(norb(changed)))
    with pytest.raises(CorruptFileError, match="training-dat"):
        load_dataset(f"smallnorb:{folder}")
    data = load_dataset(f"smallnorb:{folder}?verify=false")
    assert data.fingerprint.startswith("smallnorb-file-")
    assert (data.observations(full_grid()) != expected(full_grid())).sum() == 1


def test_a_path_without_the_files_is_refused(write: Write, folder: Path) -> None:
    manifest = write()
    for path in (folder / manifest.files[0].name, folder / "none", folder.parent):
        with pytest.raises(DisentmetricsError, match="must be a folder with smallnorb-5x46789x9x18x6x2x96x96-tr"):
            load_dataset(f"smallnorb:{path}")
