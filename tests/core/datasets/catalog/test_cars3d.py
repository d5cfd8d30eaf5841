import gzip
import io
import pickle
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
from numpy.typing import NDArray

from disentmetrics.datasets import load_dataset
from disentmetrics.datasets.arrays.resize import resized
from disentmetrics.datasets.catalog import cars3d
from disentmetrics.datasets.published.dataset import PublishedDataSet
from disentmetrics.datasets.published.manifest import Manifest, ManifestFile, read_manifest
from disentmetrics.errors import CorruptFileError, InvalidInputError
from disentmetrics.factors import Factor, FactorSpace

SIDE, N_AZIMUTHS, N_ELEVATIONS = 8, 3, 2
NAMES = ["car_004_mesh", "car_001_mesh", "car_199_mesh"]
CARS = np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE, 3, N_AZIMUTHS, N_ELEVATIONS), dtype=np.uint8)
SPACE = FactorSpace((
    Factor("elevation", N_ELEVATIONS, "ordinal"),
    Factor("azimuth", N_AZIMUTHS, "circular"),
    Factor("object_type", len(NAMES), "categorical"),
))  # fmt: skip


def mat5(images: NDArray[Any], key: str = "im", *, compressed: bool = True) -> bytes:
    file = io.BytesIO()
    mask = np.ones((SIDE, SIDE, N_AZIMUTHS, N_ELEVATIONS), np.uint8)
    scipy.io.savemat(file, {key: images, "mask": mask}, do_compression=compressed)
    return file.getvalue()


def mat73(images: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    with h5py.File(file, "w", userblock_size=512) as store:
        store["im"] = images.T
    file.seek(0)
    file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(128))
    return file.getvalue()


def complete_archive() -> dict[str, bytes]:
    """Return the files of an archive: cars sorted by number, the list in another order."""
    files = {f"data/cars/{name}.mat": mat5(CARS[car]) for car, name in enumerate(NAMES)}
    others = {"data/shapes48.mat": b"?", "data/sprites/sprites_1.mat": b"?", "data/cars/car_777_mesh.mat": b"left out"}
    listed = {"data/cars/list.txt": "\n".join(NAMES).encode() + b"\n"}
    return dict(sorted((files | others | listed).items()))


def write_tar(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


Publish = Callable[[Path], Manifest]


@pytest.fixture
def publish(monkeypatch: pytest.MonkeyPatch, published: Callable[[ManifestFile, Path], ManifestFile]) -> Publish:
    def publish_archive(path: Path) -> Manifest:
        full_size = read_manifest("cars3d")
        (file,) = full_size.files
        manifest = replace(full_size, space=SPACE, shape=(SIDE, SIDE, 3), files=(published(file, path),))
        monkeypatch.setattr(cars3d, "read_manifest", lambda _: manifest)
        return manifest

    return publish_archive


@pytest.fixture
def archive(tmp_path: Path, publish: Publish) -> Path:
    path = write_tar(tmp_path / "nips2015-analogy-data.tar.gz", complete_archive())
    publish(path)
    return path


def assert_contains_all_cars(data: PublishedDataSet | Any) -> None:
    indices = data.full_grid().factors
    elevation, azimuth, car = indices.T
    expected = CARS[car, ..., azimuth, elevation]
    assert expected.shape == (len(indices), SIDE, SIDE, 3)
    assert np.array_equal(data.observations(indices), expected)


def test_cars_are_numbered_in_the_order_of_the_list(archive: Path) -> None:
    data = load_dataset(f"cars3d:{archive}")
    assert data.fingerprint == "cars3d-original-tar"
    assert data.space == SPACE
    assert_contains_all_cars(data)
    assert_contains_all_cars(pickle.loads(pickle.dumps(data)))


def test_the_archive_is_unpacked_once_and_nothing_else_is_written(
    archive: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_dataset(f"cars3d:{archive}")
    (kept,) = (path for path in cache.rglob("*") if path.is_file() and path.suffix not in {".lock", ".TAG"})
    assert kept.suffix == ".raw"
    monkeypatch.setattr(tarfile, "open", None)
    assert_contains_all_cars(load_dataset(f"cars3d:{archive}"))


def test_images_are_resized(archive: Path) -> None:
    data = load_dataset(f"cars3d:{archive}?size=4")
    assert (data.fingerprint, data.observation_shape) == ("cars3d-original-tar-4", (4, 4, 3))
    first = data.observations([[1, 2, 0]])
    assert np.array_equal(first, resized(CARS[:1, ..., 2, 1], (4, 4)))


def test_files_of_matlab_73_are_read(tmp_path: Path, publish: Publish) -> None:
    files = complete_archive() | {"data/cars/car_001_mesh.mat": mat73(CARS[1])}
    path = write_tar(tmp_path / "cars.tar.gz", files)
    publish(path)
    assert_contains_all_cars(load_dataset(f"cars3d:{path}"))


def test_the_unpacked_folder_is_read_without_verification(archive: Path, tmp_path: Path) -> None:
    folder = tmp_path / "unpacked"
    for name, content in complete_archive().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    with pytest.raises(CorruptFileError, match="a folder, for which no checksum is published.*verify=false"):
        load_dataset(f"cars3d:{folder}")
    data = load_dataset(f"cars3d:{folder}/data/cars?verify=false")
    assert data.fingerprint.startswith("cars3d-file-")
    assert_contains_all_cars(data)
    (folder / "data/cars/list.txt").write_text("\n".join(sorted(NAMES)))
    other = load_dataset(f"cars3d:{folder}/data/cars?verify=false")
    assert other.fingerprint != data.fingerprint


def test_an_archive_cannot_write_outside(tmp_path: Path, publish: Publish) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    path = inner / "cars.tar.gz"
    with tarfile.open(path, "w:gz") as evil:
        for name, content in complete_archive().items():
            for member_name in (name, f"../{name}", f"/{tmp_path}/absolute/{name}"):
                member = tarfile.TarInfo(member_name)
                member.size = len(content)
                evil.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo("data/cars/car_500_mesh.mat")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        evil.addfile(link)
    publish(path)
    before = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*"))
    assert_contains_all_cars(load_dataset(f"cars3d:{path}"))
    after = [path.relative_to(tmp_path) for path in tmp_path.rglob("*")]
    assert sorted(path for path in after if "cache" not in path.parts[0]) == before


def test_a_truncated_or_altered_archive_is_refused(archive: Path) -> None:
    content = bytearray(archive.read_bytes())
    archive.write_bytes(content[:-20])
    with pytest.raises(CorruptFileError, match=r"bytes found, .* expected.*verify=false"):
        load_dataset(f"cars3d:{archive}")
    with pytest.raises(CorruptFileError):
        load_dataset(f"cars3d:{archive}?verify=false")
    content[len(content) // 2] ^= 1
    archive.write_bytes(content)
    with pytest.raises(CorruptFileError, match="sha256 .* found"):
        load_dataset(f"cars3d:{archive}")
    with pytest.raises(CorruptFileError):
        load_dataset(f"cars3d:{archive}?verify=false")


def test_the_checksum_at_the_end_of_the_stream_is_verified(archive: Path) -> None:
    content = bytearray(gzip.compress(gzip.decompress(archive.read_bytes()) + bytes(1 << 20)))
    archive.write_bytes(content)
    assert_contains_all_cars(load_dataset(f"cars3d:{archive}?verify=false"))
    content[-8] ^= 1
    archive.write_bytes(content)
    with pytest.raises(CorruptFileError, match="CRC check failed"):
        load_dataset(f"cars3d:{archive}?verify=false")


CAR = "data/cars/car_001_mesh.mat"


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"data/cars/list.txt": None}, r"must contain cars/list.txt"),
        ({"data/cars/list.txt": b"car_004_mesh\ncar_001_mesh"}, "must list 3 distinct cars; it lists 2 in 2 lines"),
        ({"data/cars/list.txt": b"a a b"}, "must list 3 distinct cars; it lists 2 in 3 lines"),
        ({"data/cars/list.txt": b"../../x\n" + "\n".join(NAMES[:2]).encode()}, "there is none for ../../x"),
        ({CAR: None}, "there is none for car_001_mesh"),
        ({CAR: b""}, "car_001_mesh.mat in .* must be a MATLAB file with 'im'"),
        ({CAR: b"MATLAB 7.3".ljust(700)}, "car_001_mesh.mat in .* must be a MATLAB file with 'im'"),
        ({CAR: b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM" + bytes(64)}, "must be a MATLAB file with 'im'"),
        ({CAR: mat5(CARS[0])[:-100]}, "must be a MATLAB file with 'im'"),
        ({CAR: mat5(CARS[0], "image")}, "must be a MATLAB file with 'im'"),
        ({CAR: mat5(CARS[0][..., :1])}, r"uint8 of shape \(8, 8, 3, 3, 2\); got uint8 of shape \(8, 8, 3, 3, 1\)"),
        ({CAR: mat5(CARS[0].astype(float))}, "must be uint8 of shape"),
        ({CAR: pickle.dumps(CARS[0])}, "must be a MATLAB file with 'im'"),
    ],
)
def test_another_layout_is_refused_and_nothing_is_cached(
    changed: dict[str, bytes | None], complaint: str, tmp_path: Path, cache: Path, publish: Publish
) -> None:
    files = complete_archive() | changed
    present = {name: content for name, content in files.items() if content is not None}
    path = write_tar(tmp_path / "cars.tar.gz", present)
    publish(path)
    with pytest.raises(CorruptFileError, match=complaint):
        load_dataset(f"cars3d:{path}")
    assert not [path for path in cache.rglob("*") if path.suffix in {".raw", ".partial"}]


def test_a_missing_archive_is_reported(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="must be a file or a folder with nips2015"):
        load_dataset(f"cars3d:{tmp_path}/none")
