import io
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from disentmetrics.datasets import load_dataset
from disentmetrics.datasets.catalog import coil20
from disentmetrics.datasets.published.manifest import ManifestFile, read_manifest
from disentmetrics.errors import CorruptFileError, InvalidInputError
from disentmetrics.factors import Factor, FactorSpace

SIDE = 8
IMAGES = np.random.default_rng(0).integers(0, 256, (2, 11, SIDE, SIDE), dtype=np.uint8)
SPACE = FactorSpace((Factor("object", 2, "categorical", ("1", "2")), Factor("angle", 11, "circular")))


def png(image: NDArray[np.uint8], kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, kind)
    return file.getvalue()


def complete_archive() -> dict[str, bytes]:
    """Return the files of the archive sorted by name: obj1__10.png comes before obj1__2.png."""
    files = {f"coil-20-proc/obj{o + 1}__{a}.png": png(IMAGES[o, a]) for o in range(2) for a in range(11)}
    return dict(sorted((files | {"__MACOSX/coil-20-proc/._obj1__0.png": b"?", "coil-20-proc/Thumbs.db": b"?"}).items()))


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


Write = Callable[[dict[str, bytes]], Path]


@pytest.fixture
def write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, published: Callable[[ManifestFile, Path], ManifestFile]
) -> Write:
    """Return a function that writes an archive and publishes it."""

    def write_archive(files: dict[str, bytes]) -> Path:
        path = write_zip(tmp_path / "coil-20-proc.zip", files)
        full_size = read_manifest("coil20")
        (file,) = full_size.files
        manifest = replace(full_size, space=SPACE, shape=(SIDE, SIDE, 1), files=(published(file, path),))
        monkeypatch.setattr(coil20, "read_manifest", lambda _: manifest)
        return path

    return write_archive


def test_objects_are_numbered_from_one_and_angles_are_circular(write: Write) -> None:
    path = write(complete_archive())
    data = load_dataset(f"coil20:{path}")
    assert data.fingerprint == "coil20-original-zip"
    assert data.space["angle"].kind == "circular"
    assert data.observation_shape == (SIDE, SIDE, 1)
    assert np.array_equal(data.observations(data.full_grid().factors), IMAGES.reshape(-1, SIDE, SIDE, 1))
    assert np.array_equal(data.observations([[1, 10], [0, 2]])[..., 0], IMAGES[[1, 0], [10, 2]])


def test_the_unpacked_folder_is_read_without_verification(write: Write, tmp_path: Path) -> None:
    write(complete_archive())
    folder = tmp_path / "coil"
    with zipfile.ZipFile(tmp_path / "coil-20-proc.zip") as archive:
        archive.extractall(folder)
    with pytest.raises(CorruptFileError, match="verify=false"):
        load_dataset(f"coil20:{folder}")
    data = load_dataset(f"coil20:{folder}/coil-20-proc?verify=false&size=4")
    assert data.fingerprint.startswith("coil20-file-")
    assert data.observations([[0, 0]]).shape == (1, 4, 4, 1)


NAME = "coil-20-proc/obj2__3.png"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "must contain 2 x 11 images; obj2__3.png is missing"),
        (b"", "obj2__3.png in .* must be a complete PNG image; reading it failed: unknown format"),
        (png(IMAGES[0, 0])[:-30], "must be a complete PNG image"),
        (png(IMAGES[0, 0], "BMP"), "must be a complete PNG image"),
        (png(IMAGES[0, 0, :4]), r"must be a greyscale image \(L\) of 8 x 8; it is L of 4 x 8"),
        (png(np.stack([IMAGES[0, 0]] * 3, axis=-1)), "it is RGB of 8 x 8"),
        (bytes(1 << 21), "obj2__3.png is missing"),
    ],
)
def test_another_layout_is_refused(content: bytes | None, complaint: str, write: Write, cache: Path) -> None:
    files = {name: original for name, original in complete_archive().items() if name != NAME}
    path = write(files if content is None else files | {NAME: content})
    with pytest.raises(CorruptFileError, match=complaint):
        load_dataset(f"coil20:{path}")
    assert not [path for path in cache.rglob("*") if path.suffix in {".raw", ".partial"}]


def test_a_damaged_archive_is_refused(write: Write) -> None:
    path = write(complete_archive())
    content = bytearray(path.read_bytes())
    content[200] ^= 1
    path.write_bytes(content)
    with pytest.raises(CorruptFileError, match="sha256 .* found"):
        load_dataset(f"coil20:{path}")
    with pytest.raises(CorruptFileError, match="must be a complete"):
        load_dataset(f"coil20:{path}?verify=false")
    path.write_bytes(content[:-50])
    with pytest.raises(CorruptFileError, match="layout zip; it is not"):
        load_dataset(f"coil20:{path}?verify=false")


def test_some_but_not_all_factors_may_become_nuisances(write: Write) -> None:
    path = write(complete_archive())
    data = load_dataset(f"coil20:{path}", nuisance="object")
    assert (data.space.names, data.nuisances) == (("angle",), ("object",))
    draws = data.sample(50, np.random.default_rng(0))
    images = data.observations(draws.factors, draws.nuisance)[..., 0]
    shows_object = (images[:, None] == IMAGES[:, draws.factors[:, 0]].swapaxes(0, 1)).all(axis=(2, 3))
    assert shows_object.any(axis=1).all()
    assert shows_object.any(axis=0).all()
    with pytest.raises(InvalidInputError, match="no factor is named 'angel'; did you mean 'angle'"):
        load_dataset(f"coil20:{path}?nuisance=angel")
    with pytest.raises(InvalidInputError, match="at least one factor must remain"):
        load_dataset(f"coil20:{path}?nuisance=object,angle")


@pytest.mark.parametrize(
    ("steps", "fingerprint"),
    [
        ("nuisance=object", "nuisance(object)"),
        ("correlate=object,angle,0.5&nuisance=object", "correlate(object,angle,0.5)+nuisance(object)"),
        ("select=angle:0-3&nuisance=object", "select(angle=0-3)+nuisance(object)"),
    ],
)
def test_transforms_enter_the_fingerprint_in_their_order(steps: str, fingerprint: str, write: Write) -> None:
    data = load_dataset(f"coil20:{write(complete_archive())}?size=4&{steps}")
    assert data.space.names == ("angle",)
    assert data.fingerprint == f"coil20-original-zip-4+{fingerprint}"
