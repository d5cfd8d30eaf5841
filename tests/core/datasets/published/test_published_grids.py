"""Data sets that a manifest alone describes, on small files of their exact layout."""

import inspect
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from disentmetrics.datasets import load_dataset
from disentmetrics.datasets.arrays.resize import resized
from disentmetrics.datasets.arrays.row_sources import Hdf5Rows
from disentmetrics.datasets.published import (
    dataset as dataset_module,
    manifest as manifest_module,
    row_files,
)
from disentmetrics.datasets.published.dataset import PublishedDataSet, load_published
from disentmetrics.datasets.published.manifest import Manifest, ManifestFile, read_manifest
from disentmetrics.datasets.published.row_files import FileRows, UnpackedRows
from disentmetrics.datasets.registry import find_datasets
from disentmetrics.datasets.transforms.spec import TRANSFORM_OPTIONS
from disentmetrics.errors import CorruptFileError, InvalidInputError, StorageError, UntrustedFileError
from disentmetrics.factors import Factor, FactorSpace

SIZES = {
    "shapes3d": (3, 2, 2, 2, 4, 3),
    "mpi3d-toy": (2, 3, 2, 1, 2, 3, 2),
    "lpc-sprites": (2, 3, 2, 2, 3, 3),
    "faces3d": (3, 4, 2, 2),
}
Describe = Callable[[ManifestFile, Path], ManifestFile]


def small(name: str) -> Manifest:
    """Return a manifest with fewer values of each factor and images of 8 x 8."""
    whole = read_manifest(name)
    factors = []
    for factor, size in zip(whole.space, SIZES[name], strict=True):
        factors.append(Factor(factor.name, size, factor.kind, factor.values[:size]))
    return replace(whole, space=FactorSpace(factors), shape=(8, 8, whole.shape[2]))


def images_of(name: str) -> NDArray[np.uint8]:
    channels = read_manifest(name).shape[2]
    return np.random.default_rng(0).integers(0, 256, (int(np.prod(SIZES[name])), 8, 8, channels), dtype=np.uint8)


def assert_holds(data: PublishedDataSet, images: NDArray[np.uint8]) -> None:
    indices = data.full_grid().factors
    assert np.array_equal(data.observations(indices), images)
    some = np.random.default_rng(1).integers(0, len(images), 30)
    assert np.array_equal(data.observations(indices[some]), images[some])
    assert np.array_equal(pickle.loads(pickle.dumps(data)).observations(indices[some]), images[some])


# 3D Shapes

SHAPES = images_of("shapes3d")
SHAPE_VALUES = [
    *[factor.values for factor in small("shapes3d").space][:4],
    (0.0, 1.0, 2.0, 3.0),
    (-30.0, -25.7, -21.4),
]
SHAPE_LABELS = np.stack([g.ravel() for g in np.meshgrid(*SHAPE_VALUES, indexing="ij")], axis=1).astype(float)
STORAGE: dict[str, dict[str, Any]] = {
    "contiguous": {},
    "chunks of few images": {"chunks": (2, 8, 8, 3), "compression": "gzip"},
    "chunks of many images": {"chunks": (100, 2, 4, 1), "compression": "gzip"},
}


def write_shapes(path: Path, storage: str = "contiguous", **changed: Any) -> Path:
    content = {"images": SHAPES, "labels": SHAPE_LABELS} | changed
    with h5py.File(path, "w") as file:
        file.create_dataset("images", data=content["images"], **STORAGE[storage])
        file["labels"] = content["labels"]
    return path


@pytest.fixture
def few_bytes_per_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset_module, "_MAX_BYTES_PER_ROW", 1000)


@pytest.mark.parametrize(
    ("storage", "kind"),
    [("contiguous", FileRows), ("chunks of few images", Hdf5Rows), ("chunks of many images", UnpackedRows)],
)
def test_hdf5_is_read_in_place_or_unpacked_once(
    storage: str, kind: type, tmp_path: Path, published: Describe, few_bytes_per_row: None
) -> None:
    path = write_shapes(tmp_path / "3dshapes.h5", storage)
    manifest = small("shapes3d")
    manifest = replace(manifest, files=(published(manifest.files[0], path),))
    data = load_published(manifest, str(path))
    assert data.fingerprint == "shapes3d-original-hdf5"
    assert type(data._rows) is kind
    assert_holds(data, SHAPES)
    assert_holds(load_published(manifest, str(tmp_path)), SHAPES)  # the folder that it lies in


def test_hdf5_behind_other_content_is_read_by_its_library(tmp_path: Path) -> None:
    path = tmp_path / "3dshapes.h5"
    with h5py.File(path, "w", userblock_size=512) as file:
        file["images"], file["labels"] = SHAPES, SHAPE_LABELS
    data = load_published(small("shapes3d"), str(path), verify=False)
    assert type(data._rows) is Hdf5Rows
    assert_holds(data, SHAPES)


def test_without_room_hdf5_is_read_slowly(
    tmp_path: Path, few_bytes_per_row: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_shapes(tmp_path / "3dshapes.h5", "chunks of many images")
    monkeypatch.setenv("DISENTMETRICS_CACHE", str(path / "below a file"))
    monkeypatch.setattr(row_files, "_MAX_MEMORY_BYTES", 0)
    data = load_published(small("shapes3d"), str(path), verify=False)
    assert "reading single images" in caplog.text
    assert type(data._rows) is Hdf5Rows
    assert_holds(data, SHAPES)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"images": SHAPES[:-1]}, r"must be uint8 of shape \(288, 8, 8, 3\); got uint8 of shape \(287, 8, 8, 3\)"),
        ({"images": SHAPES.astype(np.int16)}, "must be uint8"),
        ({"images": SHAPES.transpose(0, 3, 1, 2)}, r"got uint8 of shape \(288, 3, 8, 8\)"),
        ({"labels": SHAPE_LABELS[::-1]}, "last factor fastest"),
        ({"labels": SHAPE_LABELS[:, ::-1]}, "last factor fastest"),
        ({"labels": SHAPE_LABELS[:, :5]}, "last factor fastest"),
        ({"labels": np.zeros((288, 6))}, "last factor fastest"),
    ],
)
def test_hdf5_of_another_layout_is_rejected(changed: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = write_shapes(tmp_path / "3dshapes.h5", **changed)
    with pytest.raises(CorruptFileError, match=message):
        load_published(small("shapes3d"), str(path), verify=False)


@pytest.mark.parametrize("storage", STORAGE)
def test_damaged_hdf5_is_rejected(storage: str, tmp_path: Path, published: Describe, few_bytes_per_row: None) -> None:
    path = write_shapes(tmp_path / "3dshapes.h5", storage)
    manifest = small("shapes3d")
    manifest = replace(manifest, files=(published(manifest.files[0], path),))
    content = bytearray(path.read_bytes())
    content[-50] ^= 1
    path.write_bytes(content)
    with pytest.raises(CorruptFileError, match="sha256 .* found, .* expected"):
        load_published(manifest, str(path))
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(CorruptFileError, match="bytes found"):
        load_published(manifest, str(path))
    with pytest.raises(CorruptFileError, match="must be a complete"):
        load_published(manifest, str(path), verify=False)


def test_labels_of_absurd_size_are_rejected_unread(tmp_path: Path) -> None:
    path = write_shapes(tmp_path / "3dshapes.h5")
    with h5py.File(path, "a") as file:
        del file["labels"]
        file.create_dataset("labels", shape=(10**11, 6), dtype="f8", chunks=(1000, 6))
    with pytest.raises(CorruptFileError, match="'labels' contains 4,800,000,000,000 bytes, too many for labels"):
        load_published(small("shapes3d"), str(path), verify=False)


def test_a_hole_in_hdf5_is_noticed_when_it_is_read(tmp_path: Path) -> None:
    path = write_shapes(tmp_path / "3dshapes.h5", "chunks of few images")
    with h5py.File(path) as file:
        start = file["images"].id.get_chunk_info(5).byte_offset
    content = bytearray(path.read_bytes())
    content[start : start + 20] = bytes(20)
    path.write_bytes(content)
    data = load_published(small("shapes3d"), str(path), verify=False)
    with pytest.raises(CorruptFileError, match="reading them failed"):
        data.observations(data.full_grid().factors)


# MPI3D and LPC sprites: npz


def write_npz(path: Path, compress: bool, **arrays: Any) -> Path:
    with path.open("wb") as file:
        (np.savez_compressed if compress else np.savez)(file, **arrays)
    return path


@pytest.mark.parametrize(("compress", "kind"), [(False, FileRows), (True, UnpackedRows)])
@pytest.mark.parametrize("as_grid", [False, True])
def test_npz_is_read_in_place_or_unpacked_once(
    as_grid: bool, compress: bool, kind: type, tmp_path: Path, published: Describe
) -> None:
    images = images_of("mpi3d-toy")
    held = images.reshape(*SIZES["mpi3d-toy"], 8, 8, 3) if as_grid else images
    path = write_npz(tmp_path / "mpi3d_toy.npz", compress, images=held)
    manifest = small("mpi3d-toy")
    described = published(manifest.files[0], path)
    md5_alone = replace(described, checksums={"md5": described.checksums["md5"]}, n_bytes=None)
    data = load_published(replace(manifest, files=(md5_alone,)), str(path))
    assert data.fingerprint == "mpi3d-toy-original-npz"
    assert type(data._rows) is kind
    assert_holds(data, images)
    path.write_bytes(path.read_bytes() + b"?")
    with pytest.raises(CorruptFileError, match="md5 .* found, .* expected"):
        load_published(replace(manifest, files=(md5_alone,)), str(path))


def test_a_block_altered_in_the_cache_is_detected_and_recreated(tmp_path: Path, cache: Path) -> None:
    images = images_of("mpi3d-toy")
    path = write_npz(tmp_path / "mpi3d_toy.npz", True, images=images)
    load_published(small("mpi3d-toy"), str(path), verify=False)
    (kept,) = (cache / "datasets").glob("*.raw")
    content = bytearray(kept.read_bytes())
    content[8 * 8 * 3 * 5] ^= 1
    kept.write_bytes(content)
    data = load_published(small("mpi3d-toy"), str(path), verify=False)
    indices = data.full_grid().factors
    assert np.array_equal(data.observations(indices[:5]), images[:5])
    with pytest.raises(CorruptFileError, match="row 5 .* load the data set again"):
        data.observations(indices[5:6])
    assert_holds(load_published(small("mpi3d-toy"), str(path), verify=False), images)


def test_the_names_of_axes_must_be_those_of_the_factors(tmp_path: Path) -> None:
    manifest = small("lpc-sprites")
    images = images_of("lpc-sprites")
    names = np.array(manifest.space.names)
    grid = images.reshape(*SIZES["lpc-sprites"], 8, 8, 3)
    path = write_npz(tmp_path / "sprites.npz", True, imgs=grid, factor_names=names, factor_sizes=np.array(grid.shape))
    data = load_published(manifest, str(path), verify=False)
    assert data.fingerprint.startswith("lpc-sprites-file-")
    assert_holds(data, images)
    write_npz(path, True, imgs=grid, factor_names=names[[1, 0, 2, 3, 4, 5]])
    with pytest.raises(CorruptFileError, match="must be body, bottomwear, topwear.*; they are bottomwear, body"):
        load_published(manifest, str(path), verify=False)
    write_npz(path, True, imgs=grid)
    with pytest.raises(CorruptFileError, match="factor_names"):
        load_published(manifest, str(path), verify=False)


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"pictures": images_of("mpi3d-toy")}, "must be a complete npz file with 'images'"),
        ({"images": images_of("mpi3d-toy")[:, :4]}, r"got uint8 of shape \(144, 4, 8, 3\)"),
        ({"images": images_of("mpi3d-toy").reshape(4, 36, 8, 8, 3)}, r"got uint8 of shape \(4, 36, 8, 8, 3\)"),
        ({"images": np.asfortranarray(images_of("mpi3d-toy"))}, "C order"),
    ],
)
def test_npz_of_another_layout_is_rejected(
    arrays: dict[str, Any], message: str, compress: bool, tmp_path: Path, cache: Path
) -> None:
    path = write_npz(tmp_path / "mpi3d_toy.npz", compress, **arrays)
    with pytest.raises(CorruptFileError, match=message):
        load_published(small("mpi3d-toy"), str(path), verify=False)
    assert not list(cache.rglob("*.raw"))


@pytest.mark.parametrize("compress", [False, True])
def test_truncated_npz_is_rejected(compress: bool, tmp_path: Path) -> None:
    path = write_npz(tmp_path / "mpi3d_toy.npz", compress, images=images_of("mpi3d-toy"))
    os.truncate(path, path.stat().st_size - 300)
    with pytest.raises(CorruptFileError, match="must be a complete file of layout npz"):
        load_published(small("mpi3d-toy"), str(path), verify=False)


def test_a_compressed_npz_altered_inside_leaves_nothing(tmp_path: Path, cache: Path) -> None:
    path = write_npz(tmp_path / "mpi3d_toy.npz", True, images=images_of("mpi3d-toy"))
    content = bytearray(path.read_bytes())
    content[2000] ^= 255
    path.write_bytes(content)
    with pytest.raises(CorruptFileError, match="must be a complete npz file"):
        load_published(small("mpi3d-toy"), str(path), verify=False)
    assert not [found for found in cache.rglob("*") if found.suffix in {".raw", ".partial"}]


def test_data_too_large_for_memory_and_cache_raise_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_npz(tmp_path / "mpi3d_toy.npz", True, images=images_of("mpi3d-toy"))
    monkeypatch.setenv("DISENTMETRICS_CACHE", str(path / "below a file"))
    assert_holds(load_published(small("mpi3d-toy"), str(path), verify=False), images_of("mpi3d-toy"))
    monkeypatch.setattr(row_files, "_MAX_MEMORY_BYTES", 0)
    with pytest.raises(StorageError, match="set DISENTMETRICS_CACHE to a writable folder"):
        load_published(small("mpi3d-toy"), str(path), verify=False)


@pytest.mark.parametrize("extra", [b"", b"\x00" * 33])
def test_an_uncompressed_member_is_found_at_any_offset(extra: bytes, tmp_path: Path) -> None:
    images = images_of("mpi3d-toy")
    path = tmp_path / "mpi3d_toy.npz"
    with zipfile.ZipFile(path, "w") as archive:
        with archive.open("first.npy", "w") as member:
            np.save(member, np.arange(7))
        info = zipfile.ZipInfo("images.npy")
        info.extra = b"\xca\xfe" + len(extra).to_bytes(2, "little") + extra
        with archive.open(info, "w", force_zip64=True) as member:
            np.save(member, images)
    assert_holds(load_published(small("mpi3d-toy"), str(path), verify=False), images)


# 3D Faces: npy or npz, and never a pickle


@pytest.mark.parametrize("layout", ["npy", "npz"])
@pytest.mark.parametrize("channel", [(), (1,)])
def test_converted_faces_are_read(layout: str, channel: tuple[int, ...], tmp_path: Path) -> None:
    faces = images_of("faces3d")
    path = tmp_path / f"faces.{layout}"
    grid = faces.reshape(*SIZES["faces3d"], 8, 8, *channel)
    np.save(path, grid) if layout == "npy" else np.savez(path, images=grid)
    data = load_published(small("faces3d"), str(path), verify=False)
    assert data.observation_shape == (8, 8, 1)
    assert_holds(data, faces)
    drawn = load_published(small("faces3d"), str(path), verify=False, size=4).with_nuisance("face")
    assert drawn.space.names == ("azimuth", "elevation", "lighting")
    image = drawn.observations([[3, 1, 0]], [5])
    candidates = resized(grid[:, 3, 1, 0].reshape(3, 8, 8, 1), (4, 4))
    assert (image == candidates).all(axis=(1, 2, 3)).sum() == 1


def torch_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("basel_face_renders/data.pkl", pickle.dumps([1]))
        archive.writestr("basel_face_renders/data/0", b"")


def torch_legacy(path: Path) -> None:
    path.write_bytes(pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2) + b"more")


@pytest.mark.parametrize("write", [torch_zip, torch_legacy])
@pytest.mark.parametrize("option", ["", "?verify=false"])
def test_pickles_are_rejected_with_instructions_to_convert_them(
    write: Callable[[Path], None], option: str, tmp_path: Path
) -> None:
    path = tmp_path / "basel_face_renders.pth"
    write(path)
    with pytest.raises(UntrustedFileError, match=r"is a pickle.*numpy.save\('images.npy', torch.load"):
        load_dataset(f"faces3d:{path}{option}")


def test_npy_of_another_length_or_type_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "faces.npy"
    np.save(path, images_of("faces3d").reshape(*SIZES["faces3d"], 8, 8))
    for content, message in ((path.read_bytes()[:-1], "bytes found"), (path.read_bytes() + b"?", "bytes found")):
        path.write_bytes(content)
        with pytest.raises(CorruptFileError, match=message):
            load_published(small("faces3d"), str(path), verify=False)
    np.save(path, images_of("faces3d").astype(np.float32))
    with pytest.raises(CorruptFileError, match="must be uint8"):
        load_published(small("faces3d"), str(path), verify=False)
    np.save(path, np.array([{}]), allow_pickle=True)
    with pytest.raises(UntrustedFileError, match="pickled"):
        load_published(small("faces3d"), str(path), verify=False)


@pytest.mark.parametrize("name", ["faces3d", "lpc-sprites", "mpi3d-complex"])
def test_the_error_explains_how_to_obtain_data_manually(name: str) -> None:
    with pytest.raises(InvalidInputError, match=f"{name} cannot be downloaded.*{name}:/path. .*verify=false"):
        load_dataset(name)


def test_wrong_sizes_are_rejected(tmp_path: Path) -> None:
    np.save(tmp_path / "faces.npy", images_of("faces3d"))
    for size in ("9", "-1", "small"):
        with pytest.raises(InvalidInputError, match="option size must be an integer from 0 to 8"):
            load_published(small("faces3d"), str(tmp_path / "faces.npy"), verify=False, size=size)


@pytest.mark.parametrize("name", ["shapes3d", "mpi3d-toy", "cars3d", "coil20", "smallnorb"])
def test_sizes_are_checked_before_anything_is_downloaded(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset_module, "_downloaded", None)
    for size in ("999", "small"):
        with pytest.raises(InvalidInputError, match="option size must be an integer from 0 to"):
            load_dataset(f"{name}?size={size}")


@pytest.mark.parametrize("name", sorted(find_datasets()))
def test_no_data_set_has_an_option_that_hides_one_of_every_data_set(name: str) -> None:
    assert not TRANSFORM_OPTIONS.keys() & inspect.signature(find_datasets()[name].load).parameters.keys()


def test_a_large_file_is_hashed_once(tmp_path: Path, published: Describe, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_npz(tmp_path / "mpi3d_toy.npz", False, images=images_of("mpi3d-toy"))
    manifest = small("mpi3d-toy")
    manifest = replace(manifest, files=(published(manifest.files[0], path),))
    monkeypatch.setattr(manifest_module, "_MIN_CACHED_BYTES", 1000)
    load_published(manifest, str(path))
    monkeypatch.setattr(manifest_module, "_chunks", None)
    assert_holds(load_published(manifest, str(path)), images_of("mpi3d-toy"))


def test_a_large_file_is_hashed_again_even_if_its_time_was_reset(
    tmp_path: Path, published: Describe, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_npz(tmp_path / "mpi3d_toy.npz", False, images=images_of("mpi3d-toy"))
    file = published(small("mpi3d-toy").files[0], path)
    monkeypatch.setattr(manifest_module, "_MIN_CACHED_BYTES", 1000)
    assert not file.mismatch(path)
    before, content = path.stat(), bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert "found" in file.mismatch(path)


WALK = """
import resource, sys
from dataclasses import replace
from pathlib import Path
import numpy as np
from disentmetrics.datasets.published.manifest import read_manifest
from disentmetrics.datasets.published.dataset import load_published
from disentmetrics.factors import Factor, FactorSpace

path = Path(sys.argv[1])
space = FactorSpace([Factor("colour", 50, "categorical"), Factor("place", 3000, "ordinal")])
manifest = replace(read_manifest(sys.argv[2]), space=space)
(file,) = manifest.files
manifest = replace(manifest, files=(replace(file, labels=""),))
data = load_published(manifest, str(path), verify=False)
total = 0
for start in range(0, len(data), 500):
    total += int(data.observations(space.indices_of(np.arange(start, start + 500))).sum())
print(type(data._rows).__name__, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, total)
"""
N_MANY = 150_000  # 1.8 GB unpacked
MANY_MARKS = np.arange(0, N_MANY, 1000)


def write_many_npz(path: Path, *, compressed: bool) -> None:
    method = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    header = {"descr": "|u1", "fortran_order": False, "shape": (N_MANY, 64, 64, 3)}
    block = np.zeros((1000, 64 * 64 * 3), np.uint8)
    block[0, 0] = 1
    with (
        zipfile.ZipFile(path, "w", method, compresslevel=1) as archive,
        archive.open("images.npy", "w", force_zip64=True) as member,
    ):
        np.lib.format.write_array_header_1_0(member, header)
        for _ in MANY_MARKS:
            member.write(block.data)


def write_many_hdf5(path: Path) -> None:
    """With the default chunks of h5py: very many images and few pixels."""
    with h5py.File(path, "w") as file:
        images = file.create_dataset(
            "images", (N_MANY, 64, 64, 3), "u1", chunks=(30_000, 16, 16, 1), compression="gzip", compression_opts=1
        )
        images[MANY_MARKS, 0, 0, 0] = 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "write", "kind"),
    [
        ("mpi3d-toy", partial(write_many_npz, compressed=False), "FileRows"),
        ("mpi3d-toy", partial(write_many_npz, compressed=True), "UnpackedRows"),
        ("shapes3d", write_many_hdf5, "UnpackedRows"),
    ],
)
def test_a_large_file_is_walked_through_in_bounded_memory(
    name: str, write: Callable[[Path], None], kind: str, tmp_path: Path
) -> None:
    path = tmp_path / "large"
    write(path)
    command = [sys.executable, "-c", WALK, str(path), name]
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600).stdout.split()
    assert output[0] == kind
    assert int(output[1]) < 1000  # MB
    assert int(output[2]) == len(MANY_MARKS)
